"""The looped transformer: the same blocks again and again, with the input put back in.

The control without an energy for every method that refines a state: Fan et al. 2024
(arXiv:2409.15647) loop a decoder with its embedded input injected at every loop and train the
answer of the last one; Geiping et al. 2025 (Huginn, arXiv:2502.05171) draw the number of loops at
random and let the gradient through the last of them only. With e = embedding(x), tied blocks Core:

    s_0 = e,    s_{k+1} = Core(inject(LN(s_k), e)),    logits_k = read(s_k),
    inject(s, e) = s + e  or  A [s; e].

Choices and departures:
- the blocks are the house's pre-norm ones, the prelude is the embedding alone and the coda the
  final LayerNorm and read-out, so that one loop costs what the plain transformer of this depth
  costs (Huginn has blocks of its own before and after the core, and four norms a block);
- the loop starts at the embedding, where Huginn starts from noise: answers repeat without a seed;
- the state passes a LayerNorm on its way back in, which bounds it at any number of loops;
- the number of loops is 1 + Poisson(λ), log λ normal with σ = 1/2, of mean `iterations` (Huginn
  adds the 1 to a Poisson of that mean). Fan et al. tie it to the row's length instead, and stop by
  an oracle or by confidence; here it is independent of the length, and every budget is scored;
- the gradient passes the last `truncation` loops, 8 as in Huginn, and e where these read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..tasks.task import Batch
from .layers.trunk import Trunk, TrunkConfig, relative_change
from .method import Loss, Method, Progress, Sizes, Step, cross_entropy

INJECTIONS = ("add", "concat")
SPREAD = 0.5  # σ of the logarithm of the Poisson rate, Huginn's


@dataclass(frozen=True, kw_only=True)
class LoopedConfig(TrunkConfig):
    """Options; width, depth (blocks of the core) and heads as in the transformer.

    injection: how the embedding joins the state, `add` or `concat` (a linear map of both).
    iterations: mean number of loops in training, and the number that validation uses.
    truncation: loops that the gradient passes, counted from the last.

    Raises:
        ValueError: an unknown injection, or a count below 1.
    """

    injection: str = "add"
    iterations: int = 8
    truncation: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.injection not in INJECTIONS:
            raise ValueError(f"no injection {self.injection!r}. Known: {', '.join(INJECTIONS)}")
        for name in ("iterations", "truncation"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} ≥ 1, got {getattr(self, name)}")


class Looped(Method):
    """Embedding, a tied core of blocks in a loop, final LayerNorm, linear read-out."""

    Config: ClassVar[type] = LoopedConfig
    family: ClassVar[str] = "recurrent depth"
    source: ClassVar[str] = "Fan et al. 2024, arXiv:2409.15647; Geiping et al. 2025, 2502.05171"
    iterates: ClassVar = "hidden"
    examples: ClassVar = (
        {},
        {"injection": "concat", "positions": "none", "iterations": 4, "truncation": 2},
    )

    def __init__(self, config: LoopedConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        self.trunk = Trunk(config, sizes)
        self.norm = nn.LayerNorm(config.width)
        self.adapter = None
        if config.injection == "concat":
            self.adapter = nn.Linear(2 * config.width, config.width, bias=False)
            nn.init.normal_(self.adapter.weight, std=(2 * config.width) ** -0.5)

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield the answer after 0, 1, … `iterations` loops."""
        embedded = self.trunk.embed(inputs)
        state = embedded
        yield self.step(state, state)
        for _ in range(iterations):
            old, state = state, self.loop(state, embedded)
            yield self.step(state, old)

    def answer(self, inputs: Tensor, iterations: int) -> Step:
        """The last state alone is read out."""
        embedded = self.trunk.embed(inputs)
        old = state = embedded
        for _ in range(iterations):
            old, state = state, self.loop(state, embedded)
        return self.step(state, old)

    def loop(self, state: Tensor, embedded: Tensor) -> Tensor:
        """Once through the core: states [B, T, D] and the embedded input to the next states."""
        state = self.norm(state)
        if self.adapter is None:
            return self.trunk.through(state + embedded)
        return self.trunk.through(self.adapter(torch.cat([state, embedded], -1)))

    def step(self, state: Tensor, old: Tensor) -> Step:
        """Read a state out, with its move since the old one."""
        return Step(self.trunk.read(state), relative_change(state, old))

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """Cross-entropy after a random number of loops, with a truncated gradient."""
        embedded = self.trunk.embed(batch.inputs)
        loops = loop_count(self.config.iterations, progress.generator())
        free = max(loops - self.config.truncation, 0)
        state = embedded
        with torch.no_grad():
            for _ in range(free):
                state = self.loop(state, embedded)
        for _ in range(loops - free):
            state = self.loop(state, embedded)
        nats = cross_entropy(self.trunk.read(state), batch)
        return Loss(nats, {"cross_entropy": nats})


def loop_count(mean: int, generator: torch.Generator) -> int:
    """1 + Poisson(λ), λ log-normal: a number of loops ≥ 1 of mean `mean` with a long tail."""
    noise = SPREAD * torch.randn((), generator=generator) - SPREAD**2 / 2  # E[exp(noise)] = 1
    rate = (mean - 1) * noise.exp()
    return 1 + int(torch.poisson(rate, generator=generator))
