"""Does a method's gain over the reference grow with difficulty: a slope a method, task and axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..difficulty import (
    LEAST,
    SEEN,
    axes_in_order,
    doublings,
    measure,
    strata_scores,
    stratum_gains,
    stratum_name,
    tasks_by_name,
)
from ..stats.intervals import Interval, seed_interval
from ..stats.slopes import seed_slopes
from ..tables import Table

FEWEST = 3
"""Trained lengths from which a slope over length is told."""

QUANTITIES = ["first", "last", "slope", "reference"]
"""What a seed has: gains at the first and last stratum, the gain's slope, the reference's own."""

LENGTH = "trained length"

COLUMNS = [
    "task",
    "axis",
    "L",
    "method",
    "metric",
    "strata",
    "gain, first",
    "gain, last",
    "slope, points per doubling",
    "reference's slope",
    "seeds",
]

NOTE = (
    "Gain: method less reference, percentage points (or the metric's unit), paired by seed, at the "
    "trained budgets, tested at the trained length; slope: least squares over log2 of the "
    "stratum's difficulty (4-7 at its geometric middle, 0 one doubling below 1, strata without "
    "numbers by their place), mean over seeds [95 % t interval]; above 0, the gain grows. "
    "Reference's slope: of its own score; where it is below 0, higher strata are the harder ones. "
    "Of several trained lengths each has its own strata and slope, and means over them stand here. "
    f"Strata of less than {100 * LEAST:.0f} % are left out. d: a dial, which the task fills evenly"
)


@dataclass(frozen=True)
class Trend:
    """A slope with the gains at its ends, over the same seeds."""

    first: Interval
    last: Interval
    slope: Interval
    reference: Interval


@dataclass(frozen=True)
class Line:
    """What a line of the table is about."""

    task: str
    axis: str
    lengths: str
    method: str
    metric: str
    strata: str
    scale: float


def slope_table(campaign: Campaign, found: pd.DataFrame, reference: str, remark: str = "") -> Table:
    """One line a method, task and axis, from the strata's scores at the trained budgets."""
    rows = [*stratum_lines(campaign, found, reference), *length_lines(campaign, reference)]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    star = "* asked in another form than the reference, whose rows or tokens may differ"
    marked = (star,) if any(row[3].endswith(" *") for row in rows) else ()
    notes = tuple(text for text in (f"Reference: {reference}", remark, NOTE, *marked) if text)
    return Table("strata-slopes", "Gain over log2 difficulty", frame, notes, keys=4)


def stratum_lines(campaign: Campaign, found: pd.DataFrame, reference: str) -> list[list[str]]:
    """The lines of all axes of all tasks, by the task's own metric."""
    inside = found[(found["length"] == found["trained_length"]) & (found["share"] >= LEAST)]
    gains = stratum_gains(inside[inside["axis"] != SEEN], reference)
    lines = []
    for name, task in tasks_by_name(campaign).items():
        metric = task.metric if task else "token"
        mine = gains[(gains["task"] == name) & (gains["metric"] == metric)]
        mine = mine[mine.groupby(["axis", "method", "length"])["stratum"].transform("nunique") > 1]
        for axis in axes_in_order(task, mine["axis"].unique()):
            for method, part in mine[mine["axis"] == axis].groupby("method"):
                names = {s: stratum_name(task, axis, s) for s in sorted(set(part["stratum"]))}
                about = Line(
                    task=name,
                    axis=f"{axis} (d)" if task and axis in task.dials else axis,
                    lengths=", ".join(map(str, sorted(set(part["length"])))),
                    method=f"{method}{'' if part['alike'].all() else ' *'}",
                    metric=metric,
                    strata=ends([one.removeprefix(f"{axis} ") for one in names.values()]),
                    scale=measure(task, metric).scale,
                )
                lines += told(about, stratum_trend(part, axis, names))
    return lines


def stratum_trend(part: pd.DataFrame, axis: str, names: Mapping[int, str]) -> Trend:
    """The slope of one method's gains over the strata of an axis, lengths averaged by seed."""
    trends = []
    for _, block in part.groupby("length"):
        table, base = (by_level(block, "stratum", of) for of in ("gain", "value_reference"))
        x = doublings(axis, [names[int(stratum)] for stratum in table.columns])
        trends.append(by_seed(x, table, base))
    return pooled(trends)


def length_lines(campaign: Campaign, reference: str) -> list[list[str]]:
    """A line a method and task that was trained at FEWEST lengths or more, tested there."""
    found = strata_scores(campaign, whole=True)
    inside = found[found["trained"].astype(bool) & (found["length"] == found["trained_length"])]
    gains = stratum_gains(inside, reference)
    lines = []
    for name, task in tasks_by_name(campaign).items():
        metric = task.metric if task else "token"
        mine = gains[(gains["task"] == name) & (gains["metric"] == metric)]
        for method, part in mine.groupby("method"):
            table, base = (by_level(part, "length", of) for of in ("gain", "value_reference"))
            if table.shape[1] >= FEWEST:
                lengths = [str(length) for length in table.columns]
                about = Line(
                    task=name,
                    axis=LENGTH,
                    lengths=", ".join(lengths),
                    method=f"{method}{'' if part['alike'].all() else ' *'}",
                    metric=metric,
                    strata=ends(lengths),
                    scale=measure(task, metric).scale,
                )
                x = [float(np.log2(length)) for length in table.columns]
                lines += told(about, pooled([by_seed(x, table, base)]))
    return lines


def by_level(part: pd.DataFrame, level: str, values: str) -> pd.DataFrame:
    """Seeds by levels, [S, P], of the seeds that have every level."""
    seeds, rows = np.unique(part["seed"].to_numpy(), return_inverse=True)
    levels, columns = np.unique(part[level].to_numpy(), return_inverse=True)
    table = np.full((len(seeds), len(levels)), np.nan)
    table[rows, columns] = part[values].to_numpy()
    kept = ~np.isnan(table).any(axis=1)
    return pd.DataFrame(table[kept], index=seeds[kept], columns=levels)


def by_seed(x: Sequence[float], table: pd.DataFrame, base: pd.DataFrame) -> pd.DataFrame:
    """First gain, last gain and slopes of every seed; empty where x does not vary."""
    if table.empty or len(set(x)) < 2:
        return pd.DataFrame(columns=QUANTITIES, dtype=float)
    slopes = (seed_slopes(x, values.to_numpy()) for values in (table, base))
    values = (table.iloc[:, 0], table.iloc[:, -1], *slopes)
    return pd.DataFrame(dict(zip(QUANTITIES, values, strict=True)), index=table.index)


def pooled(trends: Sequence[pd.DataFrame]) -> Trend:
    """The mean over lengths of what every seed has at all of them, with its intervals."""
    kept = [trend for trend in trends if len(trend)]
    if not kept:
        return Trend(*[seed_interval([])] * len(QUANTITIES))
    joined = pd.concat(kept).groupby(level=0)
    means = joined.mean()[joined.size() == len(kept)]
    return Trend(*(seed_interval(list(means[name])) for name in QUANTITIES))


def told(about: Line, trend: Trend) -> list[list[str]]:
    """The line of a trend; none where no seed has one."""
    if not trend.slope.n:
        return []
    values = (trend.first, trend.last, trend.slope, trend.reference)
    numbers = [text(value, about.scale) for value in values]
    head = [about.task, about.axis, about.lengths, about.method, about.metric, about.strata]
    return [[*head, *numbers, str(trend.slope.n)]]


def text(interval: Interval, scale: float) -> str:
    """`+1.20 [+0.40, +2.00]`; from one seed the mean alone."""
    mean, low, high = (f"{scale * v:+.2f}" for v in (interval.mean, interval.low, interval.high))
    return mean if interval.n < 2 else f"{mean} [{low}, {high}]"


def ends(names: Sequence[str]) -> str:
    """`0 … 8-15`: the first and the last of some names."""
    return " … ".join(dict.fromkeys((names[0], names[-1])))
