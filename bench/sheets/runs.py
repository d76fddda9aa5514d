"""Single runs told in one number a row: solved or not, how far they reach, what they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..leaderboard import EFFECTIVE
from ..trial import OK
from .gather import trained_scores

TARGET = 0.9
"""A run is solved from this share of the way from chance to the ceiling on."""
SLACK = 1e-9
"""What rounding may take from a score that is exactly on target."""


def solved_runs(found: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Row -> (runs at target, runs), a run being a task, a trained length and a seed."""
    mine = trained_scores(found)
    hit = mine["normalised"] >= TARGET - SLACK
    grouped = hit.groupby(mine["method"]).agg(["sum", "count"])
    return {str(row): (int(line["sum"]), int(line["count"])) for row, line in grouped.iterrows()}


def effective(found: pd.DataFrame) -> dict[str, str]:
    """Row -> how far its runs reach over their trained length: `1.9 [1, 3.7]`.

    Of the trials that are tested beyond it, at the trained budget, by the task's own metric.
    """
    mine = found[found["trained"]]
    furthest = mine.groupby("trial_id")["length"].transform("max")
    mine = mine[furthest > mine["trained_length"]].sort_values("length")
    ratios: dict[str, list[float]] = {}
    for (row, _), group in mine.groupby(["method", "trial_id"], sort=False):
        reached = 0.0
        for length, value in zip(group["length"], group["value"], strict=True):
            if value < EFFECTIVE - SLACK:
                break
            reached = float(length)
        ratios.setdefault(str(row), []).append(reached / float(group["trained_length"].iloc[0]))
    return {row: spread(values) for row, values in ratios.items()}


def spread(values: list[float]) -> str:
    """Median [least, greatest], or the one value where all agree."""
    low, high = min(values), max(values)
    middle = f"{float(np.median(values)):.2f}"
    return middle if low == high else f"{middle} [{low:.2f}, {high:.2f}]"


def means_of_costs(campaign: Campaign) -> dict[str, tuple[float, float]]:
    """Row -> parameters and training FLOPs of a trial: median over seeds, mean over the others."""
    lines = [
        (r.trial.row, r.trial.question, r.trial.length, r.costs["parameters"], r.costs[FLOPS])
        for r in campaign.records
        if r.status == OK and "parameters" in r.costs and FLOPS in r.costs
    ]
    frame = pd.DataFrame(lines, columns=["row", "task", "length", "parameters", FLOPS])
    medians = frame.groupby(["row", "task", "length"])[["parameters", FLOPS]].median()
    means = medians.groupby("row").mean()
    return {
        str(row): (float(line["parameters"]), float(line[FLOPS])) for row, line in means.iterrows()
    }


FLOPS = "train_flops"
