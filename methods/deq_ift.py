"""Deep equilibrium model, the textbook's: a root finder forward, implicit gradients backward.

Bai, Kolter and Koltun 2019, arXiv:1909.01377v2; Anderson's acceleration and the Jacobian penalty
as in Bai et al. 2021, arXiv:2106.14342v1. The map is `deq`'s, f(z) = LN(blocks(z + e)) from
z_0 = e; torchdeq looks for its fixed point by Anderson's or Broyden's method, and the gradient is
that of the fixed point, whatever way led there (1909.01377, Eq. 6–9).

An iteration is an evaluation of f. The state after k of them is f at the best point so far, by the
row's relative residual. The solvers' coefficients and the choice of the best read the whole row: a
later input moves earlier answers by as much as the search is from converged. So this arm is not
causal, and says so; on a causal task its few-iteration answers have seen what they should not.

Choices and departures:
- fixed counts forward, no tolerance, so that a row does not depend on its batch mates;
- backward Broyden, whose steps scale with the gradient (Anderson's ridge in torchdeq is absolute,
  and cannot be set there), to a relative tolerance or a bound on the iterations;
- training starts from a few unrolled plain iterations for the `warmup` share (the paper: a
  two-layer net of tied weights, for 10–20 % of training);
- the house's pre-norm blocks, e added to the residual stream, no weight norm, no dropout; the
  start is the embedding and not zero; what the blocks write starts out scaled by `gain`;
- that a solve has not converged is told in the loss's parts, forward with the update and backward
  with the next one, and never acted upon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..tasks.task import Batch
from .layers.injected import injected, soften
from .layers.trunk import Trunk, TrunkConfig, relative_change
from .method import Loss, Method, Progress, Sizes, Step, cross_entropy
from .solvers.fixed_point import SEARCHES, Found, implicit, phantom, search, searched
from .solvers.jacobian import jacobian_penalty

WARMUP_STEPS = 4  # unrolled iterations of the warm-up
CONVERGED = 1e-2  # relative residual over which a row counts as unconverged


@dataclass(frozen=True, kw_only=True)
class DEQIFTConfig(TrunkConfig):
    """Options; width, depth (blocks of f) and heads as in the transformer.

    solver: anderson or broyden. iterations: evaluations of f by the search in training.
    backward_iterations and backward_tolerance bound the backward solve. jacobian: weight of the
    penalty, 0 for none.

    Raises:
        ValueError: an option outside its range or an unknown solver.
    """

    depth: int = 1
    gain: float = 0.5
    solver: str = "anderson"
    iterations: int = 12
    backward_iterations: int = 12
    backward_tolerance: float = 1e-3
    jacobian: float = 0.1
    jacobian_share: float = 0.4
    warmup: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.solver not in SEARCHES:
            raise ValueError(f"no solver {self.solver!r}. Known: {', '.join(SEARCHES)}")
        for name in ("iterations", "backward_iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} ≥ 1, got {getattr(self, name)}")
        if not 0 < self.gain <= 1:
            raise ValueError(f"expected 0 < gain ≤ 1, got {self.gain}")
        for name in ("jacobian_share", "warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"expected {name} from 0 to 1, got {getattr(self, name)}")
        for name in ("jacobian", "backward_tolerance"):
            if getattr(self, name) < 0:
                raise ValueError(f"expected {name} ≥ 0, got {getattr(self, name)}")


class DEQIFT(Method):
    """A trunk whose blocks, with the embedding put back in, define a fixed point."""

    Config: ClassVar[type] = DEQIFTConfig
    family: ClassVar[str] = "equilibrium"
    source: ClassVar[str] = "Bai, Kolter and Koltun 2019, arXiv:1909.01377v2"

    backward_residual: Tensor

    causal: ClassVar[bool] = False
    iterates: ClassVar = "hidden"
    examples: ClassVar = ({}, {"solver": "broyden", "jacobian": 0.0})

    def __init__(self, config: DEQIFTConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        self.trunk = Trunk(config, sizes)
        soften(self.trunk, config.gain)
        self.register_buffer("backward_residual", torch.tensor(torch.nan))

    def search(self, inputs: Tensor, iterations: int) -> Found:
        """What the solver has found after so many evaluations, with its residual."""
        embedded = self.trunk.embed(inputs)
        return search(injected(self.trunk, embedded), embedded, self.config.solver, iterations)

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield the best after 0, 1, … evaluations of f; `change` is ||f(z) − z|| / ||z||."""
        embedded = self.trunk.embed(inputs)
        f = injected(self.trunk, embedded)
        for found in searched(f, embedded, self.config.solver, iterations):
            yield self.step(found)

    def answer(self, inputs: Tensor, iterations: int) -> Step:
        """The best alone is read out."""
        return self.step(self.search(inputs, iterations))

    def step(self, found: Found) -> Step:
        """Read the best out."""
        return Step(self.trunk.read(found.state), relative_change(found.state, found.point))

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """Cross-entropy of the fixed point, and the Jacobian penalty where this update has one."""
        embedded = self.trunk.embed(batch.inputs)
        f = injected(self.trunk, embedded)
        if progress.fraction < self.config.warmup:
            nats = cross_entropy(self.trunk.read(phantom(f, embedded, WARMUP_STEPS, 1.0)), batch)
            return Loss(nats, {"cross_entropy": nats})
        config = self.config
        found = search(f, embedded, config.solver, config.iterations)
        parts = self.told(found)
        state = implicit(
            f,
            found.point,
            "broyden",
            config.backward_iterations,
            config.backward_tolerance,
            self.hear,
        )
        nats = parts["cross_entropy"] = cross_entropy(self.trunk.read(state), batch)
        generator = progress.generator()
        if config.jacobian and float(torch.rand((), generator=generator)) < config.jacobian_share:
            probe = torch.randn(state.shape, generator=generator).to(state)
            parts["jacobian"] = jacobian_penalty(f, state, probe)
            return Loss(nats + config.jacobian * parts["jacobian"], parts)
        return Loss(nats, parts)

    def told(self, found: Found) -> dict[str, Tensor]:
        """How far both solves are from converged; the backward one is the last update's."""
        parts = {
            "residual": found.residual.mean(),
            "unconverged": (~found.converged(CONVERGED)).to(found.residual).mean(),
        }
        if not bool(self.backward_residual.isnan()):
            parts["backward_residual"] = self.backward_residual.clone()
        return parts

    def hear(self, residual: Tensor) -> None:
        """Keep what the backward solve came to, in the state dict: a resume must know it too."""
        self.backward_residual.fill_(residual.mean())
