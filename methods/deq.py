"""Deep equilibrium model: the answer is read from a fixed point of one causal map.

Bai, Kolter and Koltun 2019, arXiv:1909.01377v2. With e the embedded inputs and blocks tied over
all iterations, torchdeq iterates

    z_0 = e,    z_{k+1} = τ f(z_k) + (1 − τ) z_k,    f(z) = LN(blocks(z + e)),

a fixed number of times. Trained by cross-entropy at z_K, its gradient taken through all K
iterations (unrolled), or through the last few alone (phantom: Geng et al. 2021,
arXiv:2111.05177v1), plus now and then the penalty ||J||_F² (Bai et al. 2021, arXiv:2106.14342v1).

Choices and departures:
- damped iteration at a fixed count, in place of Broyden's method to a tolerance: it alone is
  causal to the last bit and independent of batch mates; `deq-ift` is the textbook's;
- the house's pre-norm blocks, e added to the residual stream in place of the attention's inputs, no
  weight norm and no dropout; what the blocks write starts out scaled by `gain`;
- z_0 = e, where the paper starts from zero: zero iterations read the embedding out, which sees no
  neighbour. The start enters without gradient, as torchdeq takes it;
- training draws the count uniformly within ± `spread` of `iterations`, answering never does;
- the penalty starts after the `warmup` share of training, at a share `jacobian_share` of updates;
- a state is not told whether it has converged: its `change` tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..tasks.task import Batch
from .layers.injected import injected, soften
from .layers.trunk import Trunk, TrunkConfig, relative_change
from .method import Loss, Method, Progress, Sizes, Step, cross_entropy
from .solvers.fixed_point import iterate, phantom
from .solvers.jacobian import jacobian_penalty

GRADIENTS = ("unrolled", "phantom")


@dataclass(frozen=True, kw_only=True)
class DEQConfig(TrunkConfig):
    """Options; width, depth (blocks of f) and heads as in the transformer.

    iterations: mean count in training, and the count of validation. damping τ. gradient: unrolled
    or phantom, through the last phantom_steps. jacobian: weight of the penalty, 0 for none.

    Raises:
        ValueError: an option outside its range or an unknown gradient.
    """

    depth: int = 1
    gain: float = 0.5
    iterations: int = 12
    damping: float = 0.8
    spread: float = 0.25
    gradient: str = "unrolled"
    phantom_steps: int = 4
    jacobian: float = 0.0
    jacobian_share: float = 0.4
    warmup: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gradient not in GRADIENTS:
            raise ValueError(f"no gradient {self.gradient!r}. Known: {', '.join(GRADIENTS)}")
        for name in ("iterations", "phantom_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} ≥ 1, got {getattr(self, name)}")
        for name in ("gain", "damping"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"expected 0 < {name} ≤ 1, got {getattr(self, name)}")
        for name in ("spread", "jacobian_share", "warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"expected {name} from 0 to 1, got {getattr(self, name)}")
        if self.jacobian < 0:
            raise ValueError(f"expected a jacobian weight ≥ 0, got {self.jacobian}")


class DEQ(Method):
    """A trunk whose blocks, with the embedding put back in, are iterated to a fixed point."""

    Config: ClassVar[type] = DEQConfig
    family: ClassVar[str] = "equilibrium"
    source: ClassVar[str] = "Bai, Kolter and Koltun 2019, arXiv:1909.01377v2"
    iterates: ClassVar = "hidden"
    examples: ClassVar = (
        {},
        {"gradient": "phantom", "iterations": 8, "jacobian": 0.1, "jacobian_share": 1.0},
    )

    def __init__(self, config: DEQConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        self.trunk = Trunk(config, sizes)
        soften(self.trunk, config.gain)

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield the state after 0, 1, … iterations."""
        state = self.trunk.embed(inputs)
        f = injected(self.trunk, state)
        yield self.step(state, state)
        for _ in range(iterations):
            old, state = state, iterate(f, state, 1, self.config.damping)
            yield self.step(state, old)

    def answer(self, inputs: Tensor, iterations: int) -> Step:
        """The last state alone is read out."""
        state = self.trunk.embed(inputs)
        f = injected(self.trunk, state)
        old = iterate(f, state, max(iterations - 1, 0), self.config.damping)
        return self.step(iterate(f, old, min(iterations, 1), self.config.damping), old)

    def step(self, state: Tensor, old: Tensor) -> Step:
        """Read a state out, with its move since the old one."""
        return Step(self.trunk.read(state), relative_change(state, old))

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """Cross-entropy of the state, and the Jacobian penalty where this update has one."""
        generator = progress.generator()
        embedded = self.trunk.embed(batch.inputs)
        f = injected(self.trunk, embedded)
        count = spread_count(self.config.iterations, self.config.spread, generator)
        tracked = count
        if self.config.gradient == "phantom":
            tracked = min(self.config.phantom_steps, count)
        state = iterate(f, embedded, count - tracked, self.config.damping)
        state = phantom(f, state, tracked, self.config.damping)
        nats = cross_entropy(self.trunk.read(state), batch)
        parts = {"cross_entropy": nats}
        if penalised(self.config, progress, generator):
            probe = torch.randn(state.shape, generator=generator).to(state)
            parts["jacobian"] = jacobian_penalty(f, state, probe)
            return Loss(nats + self.config.jacobian * parts["jacobian"], parts)
        return Loss(nats, parts)


def spread_count(mean: int, spread: float, generator: torch.Generator) -> int:
    """A count uniform within ± spread of the mean, at least 1."""
    reach = int(spread * mean)
    return max(mean + int(torch.randint(-reach, reach + 1, (), generator=generator)), 1)


def penalised(config: Any, progress: Progress, generator: torch.Generator) -> bool:
    """Whether this update takes the penalty."""
    drawn = float(torch.rand((), generator=generator)) < config.jacobian_share
    return config.jacobian > 0 and progress.fraction >= config.warmup and drawn
