"""What the heatmaps show: means by method, length and stratum, and gains over the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...tasks.task import Task
from ..campaign import Campaign
from ..difficulty import (
    CELL,
    LEAST,
    SEEN,
    axes_in_order,
    measure,
    short_stratum,
    strata_scores,
    stratum_gains,
    tasks_by_name,
)
from ..row_hardness import QUARTILES
from ..row_outcomes import Cells, Outcomes, cells, load_outcomes
from ..stats.hardness import mean_of_others, quantile_bins
from ..stats.intervals import seed_interval
from .rows import stem

SCORE, GAIN = "score", "gain"
ROWS = "quartile of row hardness"
"""The axis where single rows are asked: how hard the reference's other seeds found them."""


@dataclass(frozen=True)
class Grid:
    """One heatmap's numbers: data has quantity, method, length, stratum, name, mean, low, high.

    trained: the length that all lengths are read against, or None where each has its own model.
    """

    name: str
    task: str
    axis: str
    metric: str
    strata: Mapping[int, str]
    lengths: Sequence[int]
    trained: int | None
    data: pd.DataFrame


def grids(campaign: Campaign, reference: str) -> list[Grid]:
    """A grid a task of its trained lengths, and one of the longest model's test lengths."""
    found = strata_scores(campaign)
    found = found[found["trained"].astype(bool) & (found["share"] >= LEAST)]
    by_rows, made = cells(campaign), []
    for name, task in tasks_by_name(campaign).items():
        metric = task.metric if task else "token"
        mine = found[(found["task"] == name) & (found["metric"] == metric)]
        if mine.empty:
            continue
        made.append(grid(campaign, by_rows, task, mine[same_length(mine)], reference, None))
        longest = int(mine["trained_length"].max())
        further = mine[mine["trained_length"] == longest]
        if further["length"].nunique() > 1:
            made.append(grid(campaign, by_rows, task, further, reference, longest))
    return [one for one in made if one is not None]


def same_length(found: pd.DataFrame) -> pd.Series:
    """Which lines were tested at the trained length."""
    return found["length"] == found["trained_length"]


def grid(
    campaign: Campaign,
    by_rows: Cells,
    task: Task | None,
    found: pd.DataFrame,
    reference: str,
    trained: int | None,
) -> Grid | None:
    """The grid of one task's lines; None where no axis has two strata."""
    name = str(found["task"].iloc[0])
    axes = [axis for axis in axes_in_order(task, found["axis"].unique()) if axis != SEEN]
    wide = [axis for axis in axes if found[found["axis"] == axis]["stratum"].nunique() > 1]
    dial = [axis for axis in wide if task and axis in task.dials]
    rows = pd.DataFrame() if dial else row_strata(campaign, by_rows, found, reference)
    if rows.empty and not wide:
        return None
    axis = ROWS if not rows.empty else (dial or wide)[0]
    part = rows if not rows.empty else found[found["axis"] == axis]
    strata = {
        s: QUARTILES[s].split(" ")[0] if axis == ROWS else short_stratum(task, axis, s)
        for s in sorted(int(s) for s in set(part["stratum"]))
    }
    metric = measure(task, part["metric"].iloc[0]).title
    data = pd.concat([summary(part, SCORE), summary(stratum_gains(part, reference), GAIN)])
    data["name"] = data["stratum"].map(strata)
    lengths = sorted(int(length) for length in set(part["length"]))
    place = ("heatmap", name) if trained is None else ("heatmap", name, "from", str(trained))
    return Grid(stem(*place), name, axis, metric, strata, lengths, trained, data)


def summary(part: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Means over seeds in percent, by method, length and stratum; gains have no bounds."""
    least, most = (0.0, 100.0) if quantity == SCORE else (-np.inf, np.inf)
    column, lines = "value" if quantity == SCORE else "gain", []
    for (method, length, stratum), group in part.groupby(["method", "length", "stratum"]):
        one = seed_interval(100 * group[column].to_numpy(dtype=float), least, most)
        lines.append([quantity, method, length, stratum, one.mean, one.low, one.high, one.n])
    columns = ["quantity", "method", "length", "stratum", "mean", "low", "high", "seeds"]
    return pd.DataFrame(lines, columns=columns)


def row_strata(
    campaign: Campaign, by_rows: Cells, found: pd.DataFrame, reference: str
) -> pd.DataFrame:
    """Token accuracy in quartiles of row hardness, in the columns of difficulty.strata_scores.

    A row is as hard for a seed as it was for the reference's other seeds; without two of them, or
    without outcomes by row, there is no line.
    """
    lines = []
    places = found[["task", "trained_length", "length"]].drop_duplicates()
    for task, trained, length in places.itertuples(index=False):
        rows = by_rows.get((task, int(trained)), {})
        base = load_outcomes(campaign, rows.get(reference, []), int(length))
        if base is None or len(base.seeds) < 2:
            continue
        bins = quartile_places(base)
        for method, records in rows.items():
            mine = base if method == reference else load_outcomes(campaign, records, int(length))
            if mine is not None and mine.rows == base.rows:
                lines += [
                    [task, trained, length, ROWS, stratum, "token", method, seed, value, ""]
                    for seed, stratum, value in binned(mine, bins)
                ]
    return pd.DataFrame(lines, columns=[*CELL, "method", "seed", "value", "form"])


def quartile_places(base: Outcomes) -> dict[int, np.ndarray]:
    """Seed -> the quartile of every row, [N], by the loss of the other seeds; −1 for none."""
    hardness = mean_of_others(base.loss())
    return {
        seed: quantile_bins(scores, len(QUARTILES))[0]
        for seed, scores in zip(base.seeds, hardness, strict=True)
    }


def binned(mine: Outcomes, bins: Mapping[int, np.ndarray]) -> list[tuple[int, int, float]]:
    """(seed, quartile, token accuracy) of the seeds that the reference has too."""
    place = mine.trained
    return [
        (seed, stratum, float(mine.right[s, place, inside].sum() / mine.scored[inside].sum()))
        for s, seed in enumerate(mine.seeds)
        if seed in bins
        for stratum in range(len(QUARTILES))
        if (inside := bins[seed] == stratum).any()
    ]
