"""The proximal solver: gradient descent on Φ(h) = L(h) + ||h − f||²/2γ from h = f.

Jafari and Anbarjafari 2025, arXiv:2511.21882v1, Eq. 8 and Algorithm 1:
h^{k+1} = h^k − α [∇L(h^k) + (h^k − f)/γ]. Halting per position: early stop (Algorithm 1), adaptive
budget by entropy (§3.7) and by energy (Corollary 5, Eq. 36–37). A halted position is left
untouched, and neither its neighbours nor its batch mates have a say in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..energies.energy import Potential
from ..layers.trunk import relative_change
from .solver import Iterate, Solver, slope


@dataclass(frozen=True)
class Halting:
    """When a position stops; every rule is off by default.

    tolerance: stop after a step with ||h^{k+1} − h^k|| below it. energy: stop where L(h^k) is
    below it. budget [B, T]: iterations that a position may take.
    """

    tolerance: float = 0.0
    energy: float | None = None
    budget: Tensor | None = None

    @property
    def off(self) -> bool:
        """Whether no position can halt."""
        return not self.tolerance and self.energy is None and self.budget is None

    def before(self, active: Tensor, taken: int, energy: Tensor) -> Tensor:
        """Positions that may take iteration number `taken` + 1 from states of this energy."""
        if self.budget is not None:
            active = active & (taken < self.budget)
        if self.energy is not None:
            active = active & (energy >= self.energy)
        return active

    def after(self, active: Tensor, moved: Tensor) -> Tensor:
        """Positions that go on after having moved by ||h^{k+1} − h^k|| = `moved`."""
        return active & (moved >= self.tolerance) if self.tolerance else active


class Proximal(Solver):
    """Descends Φ with trust γ (inf: the energy alone) and step sizes α_k, the last one repeated.

    Raises:
        ValueError: γ ≤ 0, or a step size outside (0, 2/(M + 1/γ)) for the energy's stated
            smoothness M (0 where it is unknown), from where on descent cannot converge.
    """

    def __init__(
        self,
        gamma: float,
        step_sizes: Sequence[float] | Tensor,
        halting: Halting | None = None,
        smoothness: float = 0.0,
    ) -> None:
        if not gamma > 0:
            raise ValueError(f"expected gamma > 0 (inf for the energy alone), got {gamma}")
        bound = 2 / (smoothness + 1 / gamma) if smoothness or gamma < torch.inf else torch.inf
        for size in torch.as_tensor(step_sizes).detach().tolist():
            if not 0 < size < bound:
                raise ValueError(
                    f"expected a step size between 0 and 2/(M + 1/gamma) = {bound:.4g}, got "
                    f"{size:.4g}: lower the step size or raise gamma"
                )
        self.gamma, self.step_sizes = gamma, step_sizes
        self.halting = halting or Halting()

    def solve(
        self,
        potential: Potential,
        proposal: Tensor,
        iterations: int,
        *,
        create_graph: bool = False,
        watch: bool = False,
    ) -> Iterator[Iterate]:
        """See Solver; once every position has halted, the state is repeated without cost."""
        state, change = proposal, torch.zeros_like(proposal[..., 0])
        active = torch.ones_like(change, dtype=torch.bool)
        moving, energy = torch.zeros_like(active), None
        for taken in range(iterations + 1):
            last = taken == iterations
            unseen = watch and (energy is None or bool(moving.any()))
            if unseen or (not last and bool(active.any())):
                gradient, energy = slope(potential, state, create_graph)
                pull = gradient + (state - proposal) / self.gamma
            if watch:
                yield Iterate(state, change, energy, moving, size_of(pull, state))
            else:
                yield Iterate(state, change, None, moving)
            if last:
                return
            if not bool(active.any()):
                moving, change = active, torch.zeros_like(change)
                continue
            moving = active = self.halting.before(active, taken, energy)  # type: ignore[arg-type]
            size = self.step_sizes[min(taken, len(self.step_sizes) - 1)]
            new = state - size * pull
            if not self.halting.off:
                new = torch.where(moving.unsqueeze(-1), new, state)
                active = self.halting.after(active, (new - state).detach().norm(dim=-1))
            change = relative_change(new.detach(), state.detach())
            state = new


def size_of(pull: Tensor, state: Tensor) -> Tensor:
    """||∇Φ(h)|| / ||h|| at every position, [B, T]."""
    length = state.detach().norm(dim=-1)
    return pull.detach().norm(dim=-1) / length.clamp_min(torch.finfo(length.dtype).tiny)
