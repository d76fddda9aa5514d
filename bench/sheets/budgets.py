"""What a row spends on a task at a trained length: the group of its seeds' records, and medians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..campaign import Campaign
from ..positions import flops_per_answer, in_other_form
from ..tables import engineering
from ..trial import OK, Record

Place = tuple[str, int, str]
"""Task, trained length, row."""


@dataclass(frozen=True)
class Spent:
    """The costs of one row on one task at one trained length, medians over seeds; NaN is unknown.

    answering: FLOPs per scored token by budget. seconds: of training, and of a position's answer by
    budget in microseconds, from devices that no other trial shared; else `shared`.
    """

    method: str
    parameters: float
    training: float
    answering: dict[int, float]
    seconds: float
    microseconds: dict[int, float]
    shared: bool
    form: str


def spendings(campaign: Campaign) -> dict[Place, Spent]:
    """Every place that has a record with costs."""
    groups: dict[Place, list[Record]] = {}
    for record in campaign.records:
        if record.status == OK and "parameters" in record.costs:
            trial = record.trial
            groups.setdefault((trial.question, trial.length, trial.row), []).append(record)
    return {place: spent(campaign, group) for place, group in sorted(groups.items())}


def spent(campaign: Campaign, group: Sequence[Record]) -> Spent:
    """The costs of these records of one place."""
    alone = [record for record in group if record.environment.get("jobs") == 1]
    return Spent(
        group[0].trial.method,
        median([record.costs.get("parameters") for record in group]),
        median([record.costs.get("train_flops") for record in group]),
        flops_per_answer(group[0], campaign.registry),
        median([record.costs.get("train_seconds") for record in alone]),
        answering_times(alone),
        not alone,
        in_other_form(group[0]),
    )


def answering_times(alone: Sequence[Record]) -> dict[int, float]:
    """Median microseconds of a position's answer, by budget."""
    timed = [record.costs.get("answer_seconds_per_token", {}) for record in alone]
    budgets = sorted({int(k) for times in timed for k in times})
    return {k: 1e6 * median([times.get(str(k)) for times in timed]) for k in budgets}


def median(values: Sequence[float | None]) -> float:
    """The median of those that are known; NaN where none is."""
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else np.nan


def multiple(value: float | None, reference: float | None, counted: bool = False) -> str:
    """`1.23 G (2.00×)`: a number and how many times the reference's it is."""
    if value is None or value != value:
        return "-"
    text = f"{value:,.0f}" if counted else engineering(value)
    if reference is None or not reference > 0:
        return text
    return f"{text} ({value / reference:.2f}×)"
