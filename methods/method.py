"""The interface of a method: how it answers, step by step, and what it promises."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..tasks.task import Batch

Iterates = Literal["nothing", "hidden", "weights", "answer"]


@dataclass(frozen=True)
class Sizes:
    """What a task fixes: input ids, answer ids and the longest row (positions)."""

    vocab: int
    classes: int
    length: int


@dataclass(frozen=True)
class Progress:
    """Where training stands: update `step` of `steps`, and the seed of the method's own noise."""

    step: int
    steps: int
    seed: int

    @property
    def fraction(self) -> float:
        """Share of the training done, from 0 at the first update to 1 at the last."""
        return self.step / max(self.steps - 1, 1)

    def key(self) -> int:
        """A 63-bit key of this update, for counter-based noise."""
        digest = hashlib.sha256(f"{self.seed}:{self.step}".encode()).digest()
        return int.from_bytes(digest[:8], "little") >> 1

    def generator(self) -> torch.Generator:
        """A generator of this update's noise: the same after a resume, and the global one rests.

        It draws on the CPU, so that the noise does not depend on the device: move the draws.
        """
        return torch.Generator().manual_seed(self.key())


@dataclass(frozen=True)
class Loss:
    """What training descends: `total`, a scalar, and its parts by name, scalars to be logged."""

    total: Tensor
    parts: Mapping[str, Tensor]


@dataclass(frozen=True)
class Step:
    """The answer after some iterations, and how far the last of them moved.

    logits [B, T, V]. change [B, T] is ||h_k − h_{k−1}|| / ||h_{k−1}||, 0 at the proposal. energy
    [B, T], where the method has one, is in nats unless the method says otherwise. active [B, T] is
    True where the last iteration was allowed to move (an adaptive budget leaves finished positions
    untouched); None means all. residual [B, T], where the method can tell it, is how far this very
    state is from rest, relative to its size: ||∇Φ(h)|| / ||h|| of an energy.
    """

    logits: Tensor
    change: Tensor
    energy: Tensor | None = None
    active: Tensor | None = None
    residual: Tensor | None = None


class Method(nn.Module, ABC):
    """A model that answers every position, in zero or more iterations.

    Built from a frozen Config and a task's Sizes. The class states what the contracts test:
    `causal` (the answer at t depends on inputs ≤ t, after refinement too), `iterates` (what the
    iterations refine), `deterministic` (same weights and inputs, same answer), `row_independent`
    (a row's answer does not depend on its batch mates) and `anytime` (the state after k iterations
    does not depend on the budget; where it does, as with a schedule that ends at the budget, every
    budget is a run of its own). `incremental` says that an iteration goes on from the one before
    it; where it does not, every budget is a whole pass, and scoring asks `look` for the wanted
    ones alone. `examples` are the options, beside the defaults, under which the contracts hold it.
    """

    Config: ClassVar[type]
    version: ClassVar[int] = 1
    family: ClassVar[str]
    source: ClassVar[str] = ""
    causal: ClassVar[bool] = True
    iterates: ClassVar[Iterates] = "nothing"
    deterministic: ClassVar[bool] = True
    row_independent: ClassVar[bool] = True
    anytime: ClassVar[bool] = True
    incremental: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    trained_iterations: int = 0

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__()
        self.config, self.sizes = config, sizes

    @abstractmethod
    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield the state after 0, 1, … `iterations` iterations on inputs [B, T], int64.

        An open-loop method yields once. Works under `torch.no_grad()` and leaves no `.grad`.
        """

    def answer(self, inputs: Tensor, iterations: int) -> Step:
        """The last step of `deliberate`, at the cost of answering alone: what is timed."""
        steps = deque(self.deliberate(inputs, iterations), maxlen=1)
        if not steps:
            raise ValueError(f"{type(self).__name__}.deliberate yielded no step")
        return steps[0]

    def look(self, inputs: Tensor, iterations: int) -> Step:
        """The answer with what only an observer asks for, such as an energy: what is scored.

        Asked of methods that are not `incremental`; the others are scored by `deliberate`.
        """
        return self.answer(inputs, iterations)

    def courses(self, batch: Batch, iterations: int) -> Mapping[str, Iterator[Step]]:
        """Other deliberations from these weights, by name, that bound what its own is worth.

        Each yields as `deliberate` does. Here alone a method may read the labels, to say how far an
        energy that knew them would get; such a course is never an answer.
        """
        return {}

    def probe(self, inputs: Tensor, iterations: int) -> Mapping[str, Tensor]:
        """What can be told of the state after these iterations, by name, [B, T] each; costly."""
        return {}

    def loss(self, batch: Batch, progress: Progress) -> Loss:
        """Cross-entropy (nats per scored token) of the answer at the trained iterations."""
        step = self.answer(batch.inputs, self.trained_iterations)
        nats = cross_entropy(step.logits, batch)
        return Loss(nats, {"cross_entropy": nats})


class OpenLoop(Method):
    """A method that answers in one pass: it writes `forward` and nothing else."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [B, T, V] of inputs [B, T]."""

    def deliberate(self, inputs: Tensor, iterations: int) -> Iterator[Step]:
        """Yield the one answer, whatever the budget."""
        logits = self(inputs)
        yield Step(logits, torch.zeros_like(inputs, dtype=logits.dtype))


def cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy of logits [B, T, V] over the scored tokens, in nats."""
    return F.cross_entropy(logits[batch.mask], batch.targets[batch.mask])


def build(method: type[Method], config: Any, sizes: Sizes, seed: int) -> Method:
    """A method whose initial weights depend on `seed` alone; the global generator is left as is.

    Weights are drawn on the CPU, and no generator of a device is touched.
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        return method(config, sizes)
