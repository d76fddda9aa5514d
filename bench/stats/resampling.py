"""The stratified bootstrap: seeds drawn anew within each task, and, if asked, the tasks too.

Scores are ragged: a task is a block, its seeds are replicates, and tasks may have different numbers
of them. Inside, they are a matrix [T, S] with NaN behind the last seed of a task that has fewer, so
that every statistic is one vectorised function of [..., T, S]. Limits are those of the expanded
percentile interval (intervals.py): what is drawn are the seeds ("these tasks") or the tasks, with
the seeds drawn anew within every drawn task ("tasks like these").

A score that is itself NaN makes NaN of the estimate: which runs to leave out, or to count as
chance, is for the caller to say and never done in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import Misuse
from .intervals import Interval, expanded_level, percentile_limits

Array = NDArray[np.float64]
Scores = Mapping[str, ArrayLike] | Sequence[ArrayLike] | Array
"""Scores of one method: task -> seeds, or one array of seeds a task, or [tasks, seeds]."""
Statistic = Callable[..., Array]
"""From one array [..., T, S] a method, NaN where a task has fewer seeds, to [...] or [..., k]."""

REPLICATES = 5000


@dataclass(frozen=True)
class Runs:
    """One method's scores: values [T, S], NaN behind the last seed; how many seeds, [T]; tasks."""

    values: Array
    counts: NDArray[np.int64]
    tasks: tuple[str, ...]

    @property
    def missing(self) -> bool:
        """Whether a score is NaN, or a task without any, or there is no task."""
        scored = (~np.isnan(self.values)).sum(axis=1)
        return not len(self.counts) or not self.counts.all() or (scored < self.counts).any()


@dataclass(frozen=True)
class Estimate:
    """What a statistic says, [...], its limits, [...], and the least number of units drawn."""

    value: Array
    low: Array
    high: Array
    n: int

    def interval(self, at: tuple[int, ...] = ()) -> Interval:
        """One of its numbers."""
        return Interval(float(self.value[at]), float(self.low[at]), float(self.high[at]), self.n)


@dataclass(frozen=True)
class Draw:
    """Which tasks, [R, T], and which of their seeds, [R, T, S], stand in each replicate."""

    tasks: NDArray[np.int64]
    seeds: NDArray[np.int64]

    def take(self, values: Array) -> Array:
        """Scores [T, S] as drawn, [R, T, S]."""
        return values[self.tasks[:, :, None], self.seeds]


def generator(seed: int | np.random.Generator) -> np.random.Generator:
    """A generator from a seed; a generator as it is."""
    return np.random.default_rng(seed)


def runs(scores: Scores) -> Runs:
    """Ragged scores as a matrix."""
    named = scores if isinstance(scores, Mapping) else {str(i): row for i, row in enumerate(scores)}
    rows = [np.asarray(row, dtype=float) for row in named.values()]
    for name, row in zip(named, rows, strict=True):
        if row.ndim != 1:
            raise Misuse(
                f"expected one score a seed of task {name}, got shape {row.shape}; "
                "give an array of seeds for every task"
            )
    counts = np.array([len(row) for row in rows], dtype=np.int64)
    values = np.full((len(rows), counts.max(initial=0)), np.nan)
    for place, row in zip(values, rows, strict=True):
        place[: len(row)] = row
    return Runs(values, counts, tuple(named))


def aligned(methods: Sequence[Scores], paired: bool) -> list[Runs]:
    """Several methods' scores, of the same tasks in the first one's order.

    Raises:
        Misuse: other tasks, or, where seeds are paired, other numbers of seeds.
    """
    first, *others = [runs(scores) for scores in methods]
    found = [first]
    for other in others:
        if sorted(other.tasks) != sorted(first.tasks):
            raise Misuse(
                f"expected the same tasks of every method, got {', '.join(first.tasks)} and "
                f"{', '.join(other.tasks)}; give those that both were asked"
            )
        order = [other.tasks.index(task) for task in first.tasks]
        other = Runs(other.values[order], other.counts[order], first.tasks)
        if paired and (other.counts != first.counts).any():
            raise Misuse(
                f"expected the same seeds of every method, got {first.counts.tolist()} and "
                f"{other.counts.tolist()} seeds a task; leave out the unpaired or pass paired=False"
            )
        found.append(other)
    return found


def draw(counts: NDArray[np.int64], tasks: NDArray[np.int64], random: np.random.Generator) -> Draw:
    """Seeds with replacement, as many as a task has, for the drawn tasks, [R, T]."""
    width = counts.max(initial=1)
    drawn = counts[tasks][:, :, None]  # [R, T, 1]
    seeds = (random.random((*tasks.shape, width)) * drawn).astype(np.int64)
    beyond = np.arange(width) >= drawn  # the last place of such a task holds NaN
    return Draw(tasks, np.where(beyond, width - 1, seeds))


def draw_tasks(
    number: int, replicates: int, tasks_too: bool, random: np.random.Generator
) -> NDArray[np.int64]:
    """The tasks of every replicate, [R, T]: themselves, or drawn with replacement."""
    if tasks_too:
        return random.integers(number, size=(replicates, number))
    return np.broadcast_to(np.arange(number), (replicates, number))


def estimate(
    statistic: Statistic,
    methods: Sequence[Scores],
    *,
    paired: bool = True,
    tasks_too: bool = False,
    replicates: int = REPLICATES,
    seed: int | np.random.Generator = 0,
) -> Estimate:
    """A statistic of one or more methods' scores with its 95 % limits by the bootstrap.

    Paired methods share their draws: seed s of one stands or falls with seed s of the others. The
    units n are the seeds of the task that has fewest, or the tasks.
    """
    found = aligned(methods, paired)
    tasks = len(found[0].tasks)
    counts = [method.counts for method in (found[:1] if paired else found)]
    units = tasks if tasks_too else min(int(count.min(initial=count.sum())) for count in counts)
    nothing = np.full(np.shape(statistic(*(np.zeros((1, 1)) for _ in found))), np.nan)
    if any(method.missing for method in found):
        return Estimate(nothing, nothing, nothing, units)
    value = np.asarray(statistic(*(method.values for method in found)))
    if units < 2:
        return Estimate(value, nothing, nothing, units)
    random = generator(seed)
    places = draw_tasks(tasks, replicates, tasks_too, random)
    draws = [draw(count, places, random) for count in counts] * (len(found) if paired else 1)
    drawn = statistic(*(d.take(m.values) for d, m in zip(draws, found, strict=True)))
    level = expanded_level(tasks) if tasks_too else pooled_level(counts)
    return Estimate(value, *percentile_limits(drawn, level), units)


def pooled_level(counts: Sequence[NDArray[np.int64]]) -> float:
    """The expanded level where every task of every sample is a block of its own."""
    return expanded_level(int(sum(count.sum() for count in counts)), sum(map(len, counts)))
