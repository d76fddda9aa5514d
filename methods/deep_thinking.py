"""Deep thinking: one recurrent convolution that thinks longer about longer rows.

Schwarzschild et al. 2021 (arXiv:2106.04537) iterate a convolutional block; Bansal et al. 2022
(arXiv:2202.05826) put the input back in at every iteration (recall) and train with the progressive
loss, which teaches to make progress from any state. Their first task, prefix sums, is cumulative
parity: trained on 32 bits, it reads 512 with more iterations. With w channels, every ∗ a
convolution of three taps and x the one-hot inputs:

    Z_0 = ReLU(V ∗ x),    Z ← ReLU(U ∗ Z + V ∗ x), then `depth` residual pairs
    Z ← ReLU(Z + B ∗ ReLU(A ∗ Z)),    logits = H_3 ∗ ReLU(H_2 ∗ ReLU(H_1 ∗ Z)).

An update draws n ~ U{0 … m−1} iterations without a gradient, then k ~ U{1 … m−n} with one, and
scores the last answer; a share 1 − `progressive` of the loss is that of all m with a gradient.

`lipschitz` follows Bear, Prügel-Bennett and Hare 2024 (DT-L, arXiv:2410.23451): the kernels of the
iteration have spectral norm below 1, and a residual pair is ReLU((1 − ζ) Z + ζ B ∗ ReLU(A ∗ Z))
with a learned ζ in (0, 1). As there, the constant is approximate: the norm is that of the kernel as
a matrix [w, 3w], and the convolution's own is 1 to √3 times it. A strict contraction would have to
forget in the end what parity must not: one flipped bit changes every later answer.

Choices and departures:
- the convolutions pad on the left only, hence the answer is causal: an iteration reads 2 + 4·depth
  positions back (10 at depth 2), the read-out 6, where theirs look both ways;
- the first state comes from V too, where theirs has a projection of its own, which learns from the
  updates with n = 0 alone;
- x is one-hot over the vocabulary, where theirs is a bit less 1/2, so that every task fits;
- the width is the preset's (theirs is 400), and so is the optimiser;
- DT-L keeps ReLU and has neither its normalisation layers nor its biases, so that only the
  constraint differs; its norms are computed afresh, where power iterations would keep a state;
- DT-L's kernels start orthogonal: under the norm, torch's default ones forget 10 to 50 times as
  much on the way from one end of 32 positions to the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..tasks.task import Batch
from .layers.trunk import relative_change
from .method import Loss, Method, Progress, Sizes, Step, cross_entropy

TAPS = 3
SPECTRAL_NORM = 0.99  # of the iteration's kernels under `lipschitz`


class DeepThinking(Method):
    """Recall, residual pairs of causal convolutions in a loop, a read-out of three."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options.

        width: channels w. depth: residual pairs of an iteration. iterations: m, the longest that
        training thinks, and what validation uses. progressive: share of the progressive loss, the
        paper's α. lipschitz: keep the iteration's kernels under norm 1 (DT-L).

        Raises:
            ValueError: a size or count that is too small, or a share outside [0, 1].
        """

        width: int = 64
        depth: int = 2
        iterations: int = 30
        progressive: float = 1.0
        lipschitz: bool = False

        def __post_init__(self) -> None:
            for name, least in (("width", 2), ("depth", 1), ("iterations", 1)):
                if getattr(self, name) < least:
                    raise ValueError(f"expected {name} ≥ {least}, got {getattr(self, name)}")
            if not 0 <= self.progressive <= 1:
                raise ValueError(f"expected progressive within [0, 1], got {self.progressive}")

    family: ClassVar[str] = "recurrent depth"
    source: ClassVar[str] = "Bansal et al. 2022, arXiv:2202.05826"
    iterates: ClassVar = "hidden"
    examples: ClassVar = ({}, {"lipschitz": True, "progressive": 0.5, "iterations": 8})

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.trained_iterations = config.iterations
        width = config.width
        self.recall = convolution(sizes.vocab, width)
        self.core = nn.ModuleList(convolution(width, width) for _ in range(1 + 2 * config.depth))
        ends = (width, width, width // 2, sizes.classes)
        self.head = nn.ModuleList(map(convolution, ends[:-1], ends[1:]))
        self.mixture = None
        if config.lipschitz:
            self.mixture = nn.Parameter(torch.zeros(config.depth))
            for layer in self.core:
                nn.init.orthogonal_(layer.weight)  # type: ignore[arg-type]

    # ---- answering ---------------------------------------------------------------------------

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield the answer after 0, 1, … `iterations` iterations."""
        for old, state in self.states(inputs, iterations):
            yield self.step(old, state)

    def answer(self, inputs: Tensor, iterations: int) -> Step:
        """The last state alone is read out."""
        [(old, state)] = deque(self.states(inputs, iterations), maxlen=1)
        return self.step(old, state)

    def states(self, inputs: Tensor, iterations: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every state [B, w, T] after the one before it; the first follows itself."""
        recalled, kernels = self.recalled(inputs), self.kernels()
        state = recalled.relu()
        yield state, state
        for _ in range(iterations):
            old, state = state, self.advance(state, recalled, kernels)
            yield old, state

    def step(self, old: Tensor, state: Tensor) -> Step:
        """Read a state out, with its move since the old one."""
        return Step(self.read(state), relative_change(state.mT, old.mT))

    def recalled(self, inputs: Tensor) -> Tensor:
        """V ∗ x, what every iteration is reminded of, [B, w, T]."""
        weight = self.recall.weight
        return causal(F.one_hot(inputs, self.sizes.vocab).to(weight.dtype).mT, weight)

    def kernels(self) -> list[Tensor]:
        """The iteration's kernels: U, then A and B of every pair, [w, w, 3] each."""
        kernels = torch.stack([layer.weight for layer in self.core])  # type: ignore[misc]
        if self.config.lipschitz:
            kernels = kernels * (SPECTRAL_NORM / spectral_norms(kernels))[:, None, None, None]
        return list(kernels)

    def advance(self, state: Tensor, recalled: Tensor, kernels: Sequence[Tensor]) -> Tensor:
        """One iteration, [B, w, T] -> [B, w, T]."""
        state = (causal(state, kernels[0]) + recalled).relu()
        for pair in range(self.config.depth):
            inner, outer = kernels[1 + 2 * pair], kernels[2 + 2 * pair]
            branch = causal(causal(state, inner).relu(), outer)
            if self.mixture is None:
                state = (state + branch).relu()
            else:
                state = torch.lerp(state, branch, self.mixture[pair].sigmoid()).relu()
        return state

    def read(self, state: Tensor) -> Tensor:
        """Logits [B, T, V] of a state [B, w, T]."""
        first, second, third = (layer.weight for layer in self.head)
        hidden = causal(causal(state, first).relu(), second).relu()  # type: ignore[arg-type]
        return causal(hidden, third).mT  # type: ignore[arg-type]

    # ---- training ----------------------------------------------------------------------------

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """(1 − α) CE after m iterations + α CE after n + k, the first n without a gradient."""
        share, longest = self.config.progressive, self.config.iterations
        parts = {}
        if share > 0:
            free, traced = drawn(longest, progress.generator())
            parts["progressive"] = self.nats_after(batch, free, traced)
        if share < 1:
            parts["full"] = self.nats_after(batch, 0, longest)
        weights = {"progressive": share, "full": 1 - share}
        total = torch.stack([weights[name] * nats for name, nats in parts.items()]).sum()
        return Loss(total, parts)

    def nats_after(self, batch: Batch, free: int, traced: int) -> Tensor:
        """Cross-entropy after `free` iterations without a gradient and `traced` ones with it."""
        recalled, kernels = self.recalled(batch.inputs), self.kernels()
        state = recalled.relu()
        with torch.no_grad():
            for _ in range(free):
                state = self.advance(state, recalled, kernels)
        for _ in range(traced):
            state = self.advance(state, recalled, kernels)
        return cross_entropy(self.read(state), batch)


def convolution(channels: int, out: int) -> nn.Conv1d:
    """The weights of a convolution of three taps, [out, channels, 3]."""
    return nn.Conv1d(channels, out, TAPS, bias=False)


def causal(state: Tensor, weight: Tensor) -> Tensor:
    """Convolve [B, C, T] with weight [C', C, 3] into [B, C', T]; t reads t − 2, t − 1 and t."""
    return F.conv1d(F.pad(state, (TAPS - 1, 0)), weight)


def spectral_norms(kernels: Tensor) -> Tensor:
    """Largest singular values [N] of kernels [N, C', C, 3], each as a matrix [C', 3 C]."""
    matrices = kernels.flatten(2)
    return torch.linalg.eigvalsh(matrices @ matrices.mT)[:, -1].sqrt()


def drawn(longest: int, generator: torch.Generator) -> tuple[int, int]:
    """n ~ U{0 … m−1} and k ~ U{1 … m−n} of the progressive loss, m = `longest`."""
    free = int(torch.randint(longest, (), generator=generator))
    return free, 1 + int(torch.randint(longest - free, (), generator=generator))
