"""The interface of a task: what it asks, and how its answers are scored."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from .batch import Batch as Batch

Split = Literal["train", "validation", "test"]
SPLITS: tuple[str, ...] = get_args(Split)

SAMPLERS = ("natural", "stratified")
SUPERVISIONS = ("dense", "final")
FROZEN = 0
"""The seed of every test and validation split."""
MEASURED_ROWS = 2048
"""Validation rows on which a level without a closed form is measured."""


Rule = Callable[[Tensor], Tensor]
"""A trivial rule: answers [B, T] to inputs [B, T]."""
Check = tuple[Tensor, Tensor]
"""What a metric of a task's own gives: values [B, T] (bool or float) and where they count."""


class Task(ABC):
    """A question with a dial: rows of a given length, exact answers, strata of difficulty.

    A task is a frozen dataclass; its fields are its options. `length` is the dial: the number of
    positions T of a row, unless `positions` says otherwise. What a task states may depend on its
    options:

    version: rises whenever a row changes. vocab, classes: numbers of input and answer ids.
    causal: position t is answerable from inputs ≤ t. reveals: a later input shows an answer, so
    that a method which reads ahead would copy it. next_token: the answer at t is input t + 1, which
    the past makes likely and does not decide. dials: the row axes that the stratified sampler
    fills equally. metric: what chance, shortcut and ceiling speak of, and a summary shows. ceiling:
    the best that can be reached. titles: how the task's own metrics are called; a share's title
    ends in %. solved_by: who reaches it, as published. lengths: two lengths that
    the contracts use, the shorter one small. examples: options, beside the defaults, under which
    the contracts hold it.
    """

    name: ClassVar[str]
    version: int
    vocab: int
    classes: int
    causal: bool
    reveals: bool = False
    next_token: bool = False
    ceiling: float = 1.0
    metric: str = "token"
    dials: tuple[str, ...] = ()
    titles: ClassVar[Mapping[str, str]] = {}
    source: ClassVar[str] = ""
    solved_by: ClassVar[str] = ""
    lengths: ClassVar[tuple[int, int]] = (12, 40)
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    # ---- rows --------------------------------------------------------------------------------

    @abstractmethod
    def sample(self, n: int, length: int, seed: int, split: Split) -> Batch:
        """Rows 0 … n−1 of a split.

        Row i depends on (task, version, options, split, seed, length, i) only.

        Raises:
            ValueError: a size that the task cannot fill, or an unknown split.
        """

    @abstractmethod
    def label(self, inputs: Tensor) -> Tensor:
        """Targets [B, T] recomputed from inputs [B, T] alone; exact wherever they are scored."""

    def require_length(self, length: int) -> None:
        """Refuse a length that the task cannot fill, in one line.

        Raises:
            ValueError: what was expected, what came.
        """
        if length < 1:
            raise ValueError(f"expected a length of at least 1, got {length}")

    def positions(self, length: int) -> int:
        """Positions T of a row of this length."""
        return length

    def form(self, causal: bool) -> Task | None:
        """The task as a causal, or a non-causal, method may be asked it; None if it may not.

        A causal method cannot answer where the answer needs the future, and one that reads ahead
        must not be shown it. A task that can be asked in another way returns itself in that form:
        with the same rows, if it can, so that methods of both kinds are compared on them.
        """
        barred = not self.causal if causal else self.reveals
        return None if barred else self

    # ---- levels ------------------------------------------------------------------------------

    @abstractmethod
    def chance(self, length: int) -> float:
        """Expected `metric` of a guess among the answers that its own token leaves open.

        What a sampler gives away beyond that, such as a commonest answer, is told by the rules.
        """

    def shortcut(self, length: int) -> float:
        """Expected `metric` of the strongest trivial rule on the sampler's rows.

        Where no closed form is stated it is measured, on validation rows.
        """
        return max(self.chance(length), *measured_rules(self, length).values(), 0.0)

    def rules(self) -> dict[str, Rule]:
        """The task's trivial rules by name; the bench adds the majority class to every task's."""
        return {}

    # ---- metrics and names -------------------------------------------------------------------

    def checks(self, batch: Batch, answers: Tensor) -> dict[str, Check]:
        """Further token-level checks of answers [B, T]: name -> (correct, scored), bool [B, T]."""
        return {}

    def measures(self, batch: Batch, logits: Tensor) -> dict[str, Check]:
        """Further quantities of logits [B, T, V]: name -> (value, scored), float and bool."""
        return {}

    def stratum_name(self, axis: str, stratum: int) -> str:
        """A short name of one stratum of `axis`, for tables."""
        return f"{axis} {stratum}"

    def input_name(self, token: int) -> str:
        """How an input id is written."""
        return str(token)

    def answer_name(self, token: int) -> str:
        """How an answer id is written."""
        return self.input_name(token)

    def show(self, batch: Batch, row: int) -> str:
        """A row that a person can check: inputs, answers where scored, strata."""
        inputs = [self.input_name(token) for token in batch.inputs[row].tolist()]
        answers = [
            self.answer_name(token) if scored else "."
            for token, scored in zip(
                batch.targets[row].tolist(), batch.mask[row].tolist(), strict=True
            )
        ]
        return side_by_side({"inputs": inputs, "answers": answers})

    # ---- options -----------------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        """The options as plain values; one that came `later` is left out at its default.

        So a trial planned before the option existed keeps its id.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        defaults = {f.name: f.default for f in fields(self) if f.metadata.get("later")}  # type: ignore[arg-type]
        return {
            name: value
            for name, value in values.items()
            if name not in defaults or value != defaults[name]
        }

    @classmethod
    def option_names(cls) -> list[str]:
        """The names that `options` may hold and the constructor takes."""
        return [field.name for field in fields(cls)]  # type: ignore[arg-type]


@functools.lru_cache(maxsize=256)
def measured_rules(task: Task, length: int) -> dict[str, float]:
    """The task's `metric` of each of its rules, on MEASURED_ROWS validation rows."""
    batch = task.sample(MEASURED_ROWS, length, FROZEN, "validation").to("cpu")
    return {
        name: scored_share(task, batch, rule(batch.inputs)) for name, rule in task.rules().items()
    }


def scored_share(task: Task, batch: Batch, answers: Tensor) -> float:
    """The task's `metric` of answers [B, T]: `token`, or one of its checks."""
    if task.metric == "token":
        right, scored = answers == batch.targets, batch.mask
    elif task.metric == "sequence":
        right = ((answers == batch.targets) | ~batch.mask).all(1)
        scored = torch.ones_like(right)
    else:
        right, scored = task.checks(batch, answers)[task.metric]
    return float((right & scored).sum() / scored.sum())


def require_sizes(task: Task, n: int, length: int, split: str) -> None:
    """Refuse sizes and splits that the task cannot fill, in one clear line."""
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}. Known: {', '.join(SPLITS)}")
    if n < 0:
        raise ValueError(f"expected a number of rows ≥ 0, got {n}")
    task.require_length(length)


def require_known(what: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a name that is not one of the known ones."""
    if value not in known:
        raise ValueError(f"no {what} {value!r}. Known: {', '.join(known)}")


def key_parts(task: Task, seed: int, split: str, length: int) -> tuple[object, ...]:
    """What the rows of a split depend on, beside their number."""
    options = sorted(task.options().items())
    return (task.name, task.version, options, split, seed, length)


def final_only(mask: Tensor) -> Tensor:
    """The last True of every row alone, [B, T]."""
    last = mask.long().flip(1).argmax(1)
    kept = torch.zeros_like(mask)
    kept.scatter_(1, (mask.shape[1] - 1 - last)[:, None], True)
    return kept & mask


def side_by_side(lines: Mapping[str, list[str]]) -> str:
    """Named lines of short words, in columns."""
    wide = max((len(word) for line in lines.values() for word in line), default=1)
    label = max(map(len, lines))
    return "\n".join(
        f"{name:{label}}  " + " ".join(f"{word:>{wide}}" for word in line)
        for name, line in lines.items()
    )
