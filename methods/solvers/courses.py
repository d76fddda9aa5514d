"""Other ways from the same proposal: what a refinement is worth is told against them.

random moves every state as far from its proposal as the method's own descent did, the other way
about: along a fixed random direction. oracle descends the true label's −log p under the own
read-out, by the same solver: what an energy that knew the answer would reach. Both start at f.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ...tasks.task import Batch
from ..energies.energy import Potential
from ..layers.noise import hashed_normal
from ..layers.trunk import relative_change
from .solver import Iterate, slope


def random_course(inputs: Tensor, own: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """States and relative changes at the distances of the method's own states from its first.

    The direction at t is a hash of the inputs ≤ t: rows are independent of their batch mates.
    """
    proposal = old = direction = None
    for state in own:
        if proposal is None or direction is None:
            proposal = state
            noise = hashed_normal(inputs, state.shape[-1]).to(state)
            direction = noise / noise.norm(dim=-1, keepdim=True)
        distance = (state - proposal).norm(dim=-1, keepdim=True)
        new = proposal + distance * direction
        yield new, relative_change(new, new if old is None else old)
        old = new


def label_potential(batch: Batch, read: Callable[[Tensor], Tensor]) -> Potential:
    """−log p(y|h) of scored tokens, 0 elsewhere, [B, T]: the oracle's energy sees the labels."""

    def potential(state: Tensor) -> Tensor:
        logits = read(state).flatten(0, 1)
        nats = F.cross_entropy(logits, batch.targets.clamp_min(0).flatten(), reduction="none")
        return nats.view(batch.mask.shape) * batch.mask

    return potential


def raised_share(potential: Potential, state: Tensor, inputs: Tensor, size: float) -> Tensor:
    """Share of DIRECTIONS random perturbations, of relative length `size`, that raise Φ, [B, T]."""
    level, length = potential(state), size * state.norm(dim=-1, keepdim=True)
    raised = torch.zeros_like(level)
    for salt in range(1, DIRECTIONS + 1):
        noise = hashed_normal(inputs, state.shape[-1], salt).to(state)
        moved = state + length * noise / noise.norm(dim=-1, keepdim=True)
        raised += (potential(moved) > level).to(level)
    return raised / DIRECTIONS


DIRECTIONS = 32


def curvatures(potential: Potential, state: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest eigenvalue of every position's Hessian, [B, T] each; NaN where not finite.

    The Hessian of the sum is block-diagonal, since no potential reads another's state: column i of
    every block comes with one product.
    """
    point = state.detach().requires_grad_()
    gradient, _ = slope(potential, point, create_graph=True)
    with torch.enable_grad():
        sums = gradient.sum((0, 1)).unbind()
    columns = [torch.autograd.grad(entry, point, retain_graph=True)[0] for entry in sums]
    hessian = torch.stack(columns, -1)  # [B, T, D, D]
    finite = hessian.isfinite().all(-1).all(-1)
    values = torch.linalg.eigvalsh(((hessian + hessian.mT) / 2).where(finite[..., None, None], 0))
    values = values.where(finite[..., None], torch.nan)
    return values[..., 0], values[..., -1]


def probed(
    potential: Potential, gamma: float, proposal: Tensor, last: Iterate, inputs: Tensor
) -> dict[str, Tensor]:
    """What Φ(h) = L(h) + ||h − f||²/2γ is like around the last iterate, [B, T] each.

    curvature and smoothness, least and largest eigenvalue of its Hessian; raised, the share of
    perturbations that raise it; drop, Φ(f) − Φ(h) in nats; stationarity, ||∇Φ|| / ||h||.
    """

    def total(state: Tensor) -> Tensor:
        return potential(state) + (state - proposal).square().sum(-1) / (2 * gamma)

    assert last.residual is not None
    least, largest = curvatures(total, last.state)
    return {
        "curvature": least,
        "smoothness": largest,
        "raised": raised_share(total, last.state, inputs, PERTURBATION),
        "drop": total(proposal) - total(last.state),
        "stationarity": last.residual,
    }


PERTURBATION = 1e-2
"""Length of a probe's perturbation, relative to the state."""
