"""Scores by stratum of difficulty: what the tables and figures of strata are made from.

A stratum is a number on an axis of the task (its dials, and further row and token axes). Rows of
the tables are compared within a stratum, seed by seed; lengths are never pooled here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..tasks.task import Task
from .campaign import Campaign
from .levels import form_text
from .scores import task_of, trained_budgets
from .side_tables import REFINEMENT
from .trial import OK
from .view import PREFIX, TITLES

SEEN = "seen"
"""The axis that every test set has: whether a row stands in training too. It is no difficulty."""

LEAST = 0.01
"""A stratum with a smaller share of its test set's tokens (or rows) is noise: no slope, no mark."""

CELL = ["task", "trained_length", "length", "axis", "stratum", "metric"]
COLUMNS = [
    "trial_id",
    *CELL,
    "method",
    "seed",
    "iterations",
    "trained",
    "n",
    "share",
    "value",
    "form",
]


@dataclass(frozen=True)
class Measure:
    """How a metric is written: its title, the factor of its values, and decimals."""

    title: str
    scale: float
    digits: int

    @property
    def ceiling(self) -> float:
        """The most that a value can be, scaled."""
        return 100.0 if self.title.endswith("%") else np.inf

    @property
    def floor(self) -> float:
        """The least."""
        return 0.0 if self.title.endswith("%") else -np.inf


def measure(task: Task | None, metric: str) -> Measure:
    """How a metric is written, in the task's words where it is at hand."""
    if metric in REFINEMENT:
        return Measure(*REFINEMENT[metric])
    known = {**TITLES, "prefix": PREFIX, "nats": "Nats per scored token"}
    title = {**known, **(task.titles if task else {})}.get(metric, f"{metric.capitalize()}, %")
    return Measure(title, 100, 2) if title.endswith("%") else Measure(title, 1, 3)


def strata_scores(campaign: Campaign, whole: bool = False) -> pd.DataFrame:
    """Rows of COLUMNS, one a trial, test length, budget, axis, stratum and metric.

    whole: of the test sets as a whole, the axis `all`, in place of their strata. value is sum / n;
    share is the stratum's share of the test set's n on its axis; trained tells whether the budget
    is the row's trained one. Trials without scores have no line.
    """
    frame = campaign.frame
    asked = (frame["axis"] == "all") if whole else (frame["axis"] != "all")
    frame = frame[(frame["split"] == "test") & asked & (frame["n"] > 0)]
    if frame.empty:
        return pd.DataFrame(columns=COLUMNS)
    budgets = trained_budgets(campaign, frame)
    told = pd.DataFrame(
        [(*key, budget) for key, budget in budgets.items()],
        columns=["task", "trained_length", "method", "budget"],
    )
    found = frame.merge(told, on=["task", "trained_length", "method"])
    found = found.merge(asked_forms(campaign), on=["trial_id", "length"])
    found["trained"] = found["iterations"] == found["budget"]
    found["value"] = found["sum"] / found["n"]
    sets = found.groupby(["trial_id", "length", "iterations", "axis", "metric"])
    found["share"] = found["n"] / sets["n"].transform("sum")
    return found[COLUMNS]


def asked_forms(campaign: Campaign) -> pd.DataFrame:
    """trial_id, length and the form that the trial was asked, as `layout=copy` or ""."""
    lines = [
        (record.trial.id, length, form_text(record.data.get(str(length), {}).get("form", {})))
        for record in campaign.records
        if record.status == OK
        for length in record.trial.test_lengths
    ]
    return pd.DataFrame(lines, columns=["trial_id", "length", "form"])


def stratum_gains(found: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every row's value less the reference's in the same stratum and seed, as `gain`.

    alike tells whether both were asked the same form of the task: where not, their rows or scored
    tokens may differ. Seeds that the reference lacks are left out, and so is the reference.
    """
    keys = [*CELL, "seed"]
    base = found[found["method"] == reference][[*keys, "value", "form"]]
    others = found[found["method"] != reference]
    pairs = others.merge(base, on=keys, suffixes=("", "_reference"))
    pairs["gain"] = pairs["value"] - pairs["value_reference"]
    pairs["alike"] = pairs["form"] == pairs["form_reference"]
    return pairs


def chosen_reference(campaign: Campaign, wanted: str) -> tuple[str, str]:
    """The reference's row and a remark: the wanted one, else the first row by name, told."""
    if wanted in campaign.rows or not campaign.rows:
        return wanted, ""
    return campaign.rows[0], f"no row {wanted!r} here: {campaign.rows[0]} is the reference"


def tasks_by_name(campaign: Campaign) -> dict[str, Task | None]:
    """Every task of the tables with its options; None where it is not at hand."""
    firsts = {trial.question: trial for trial in reversed(campaign.trials)}
    return {name: task_of(campaign, firsts[name]) for name in sorted(firsts)}


def axes_in_order(task: Task | None, axes: Iterable[str]) -> list[str]:
    """The task's dials first, then its other axes by name, `seen` last."""
    dials = list(task.dials) if task else []
    places = {axis: place for place, axis in enumerate(dials)}
    return sorted(set(axes), key=lambda axis: (axis == SEEN, places.get(axis, len(dials)), axis))


def stratum_name(task: Task | None, axis: str, stratum: int) -> str:
    """A stratum as the task calls it, such as `carry 4-7`."""
    if axis == SEEN:
        return "met in training" if stratum else "new"
    try:
        return task.stratum_name(axis, stratum) if task else f"{axis} {stratum}"
    except (LookupError, TypeError, ValueError):  # a stratum that this version of the task lacks
        return f"{axis} {stratum}"


def short_stratum(task: Task | None, axis: str, stratum: int) -> str:
    """The name without its axis, for ticks: `4-7`."""
    return stratum_name(task, axis, stratum).removeprefix(f"{axis} ")


def doublings(axis: str, names: Sequence[str]) -> list[float]:
    """log2 of every stratum's difficulty, from the numbers in its name.

    `4-7` stands at the geometric middle of its ends, `3/8` at 3, and 0, which has no logarithm, one
    doubling below 1. Where a name has no number the strata's places 1, 2, 3 … stand for it.
    """
    found = [number(name.removeprefix(f"{axis} ")) for name in names]
    known = [value for value in found if value is not None]
    levels = known if len(known) == len(names) else [1.0 + place for place in range(len(names))]
    return [float(np.log2(level or 0.5)) for level in levels]


def number(name: str) -> float | None:
    """What a stratum's name counts, or None."""
    if match := re.fullmatch(r"(\d+)-(\d+)", name):
        return (int(match[1]) * int(match[2])) ** 0.5
    match = re.fullmatch(r"(\d+)(?:/\d+)?", name)
    return float(match[1]) if match else None
