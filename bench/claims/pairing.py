"""Scores by seed, and differences of two sides that share their seeds: rows, training, test data.

A side is a row of the tables at an iteration budget; both sides of a difference saw the same rows
in the same order, so that only what is compared differs. Points are percentage points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..campaign import Campaign
from ..overview import trained_budget
from ..scores import own_metric
from ..stats.intervals import Interval, seed_interval
from ..trial import OK, Record

TASK = "parity"
"""The paper's task, by which the claims' headlines are judged."""


@dataclass(frozen=True)
class Side:
    """A row at a budget K (None: its trained one), on a split; an open loop has K = 0 alone."""

    row: str
    budget: int | None = None
    split: str = "test"

    def __str__(self) -> str:
        """`eqt at K = 8`."""
        told = self.row if self.budget is None else f"{self.row} at K = {self.budget}"
        return told if self.split == "test" else f"{told} ({self.split.partition('@')[2]} course)"


@dataclass(frozen=True)
class Scores:
    """Seed -> percent, and the ids of the trials behind them."""

    values: Mapping[int, float]
    trials: Mapping[int, str]


def lengths_of(campaign: Campaign, task: str = TASK) -> list[int]:
    """The trained lengths of a task that were planned."""
    return sorted({trial.length for trial in campaign.trials if trial.question == task})


def records_of(campaign: Campaign, row: str, task: str, length: int) -> list[Record]:
    """The finished records of a row at a trained length, seeds in order."""
    found = [
        record
        for record in campaign.records
        if record.status == OK
        and (record.trial.row, record.trial.question, record.trial.length) == (row, task, length)
    ]
    return sorted(found, key=lambda record: record.trial.seed)


def sums(record: Record, split: str, length: int, metric: str) -> dict[int, tuple[float, float]]:
    """Budget -> (n, sum) of a metric over a whole set."""
    return {
        taken: (n, total)
        for where, at, taken, axis, _, name, n, total in record.metrics
        if (where, at, axis, name) == (split, length, "all", metric) and n
    }


def score(
    campaign: Campaign,
    side: Side,
    task: str,
    length: int,
    metric: str | None = None,
    tested: int | None = None,
) -> Scores:
    """Percent by seed at a trained length, tested there or at another; own metric if None."""
    values, trials = {}, {}
    for record in records_of(campaign, side.row, task, length):
        name = metric or own_metric(campaign, record.trial)
        found = sums(record, side.split, tested or length, name)
        budget = side.budget
        if budget is None and found:
            budget = trained_budget([record], sorted(found))
        if set(found) == {0}:
            budget = 0
        if budget in found:
            n, total = found[budget]
            values[record.trial.seed] = 100 * total / n
            trials[record.trial.seed] = record.trial.id
    return Scores(values, trials)


@dataclass(frozen=True)
class Paired:
    """First minus second by seed, with its interval and the trials of both."""

    by_seed: Mapping[int, float]
    figure: Interval
    trials: tuple[str, ...]


def sampled(values: Mapping[int, float], trials: Iterable[str]) -> Paired | None:
    """Values by seed with their interval; None without any."""
    if not values:
        return None
    return Paired(values, seed_interval(list(values.values())), tuple(dict.fromkeys(trials)))


def of_records(
    campaign: Campaign, row: str, length: int, of: Callable[[Record], float | None]
) -> Paired | None:
    """What `of` makes of a row's records on parity, by seed; it may say None of one."""
    seen = [(record.trial, of(record)) for record in records_of(campaign, row, TASK, length)]
    kept = [(trial, value) for trial, value in seen if value is not None]
    return sampled({trial.seed: value for trial, value in kept}, [trial.id for trial, _ in kept])


def paired(first: Scores, second: Scores) -> Paired | None:
    """The difference over the seeds that both have; None without any."""
    seeds = sorted(set(first.values) & set(second.values))
    values = {seed: first.values[seed] - second.values[seed] for seed in seeds}
    return sampled(values, [side.trials[seed] for side in (first, second) for seed in seeds])


def difference(
    campaign: Campaign,
    first: Side,
    second: Side,
    task: str,
    length: int,
    metric: str | None = None,
    tested: int | None = None,
) -> Paired | None:
    """Points of the first side above the second."""
    return paired(
        score(campaign, first, task, length, metric, tested),
        score(campaign, second, task, length, metric, tested),
    )


def averaged(parts: Sequence[Paired]) -> Paired | None:
    """The mean of several differences, by seed: of the seeds that all of them have."""
    if not parts:
        return None
    seeds = sorted(set.intersection(*(set(part.by_seed) for part in parts)))
    values = {seed: float(np.mean([part.by_seed[seed] for part in parts])) for seed in seeds}
    return sampled(values, [trial for part in parts for trial in part.trials])


def wanted(preset: str, rows: Iterable[str]) -> str:
    """What to run for records that are missing."""
    chosen = ",".join(dict.fromkeys(rows))
    return f"run `pytest bench/ --preset {preset}{f' --methods {chosen}' if chosen else ''}`"
