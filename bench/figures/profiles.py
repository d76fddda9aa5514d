"""Shares of runs: above a score (performance profile), or at a target within a compute budget.

After Dolan and Moré 2002 and Agarwal et al. 2021 (arXiv:2108.13264v4, Fig. 4); tasks weigh alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..campaign import Campaign
from ..scores import levels
from ..stats.aggregate import Profile, performance_profile
from ..trial import Record
from .axes import flops_axis
from .figure import Drawing, Missing, told_by
from .panels import canvas, entries
from .rows import Look, left_out, looks, part_name, shown
from .style import COLUMN, styled
from .summaries import Block, block

GRID = np.linspace(0, 0.99, 100)
"""Normalised scores: 0 is chance, 1 the ceiling, which no score is above."""

REPLICATES = 2000

PLACES, MARGIN = 200, 1.5
"""Budgets at which the compute profile is told, at most, and by which factor it goes on beyond."""

TARGET = 0.9
"""Of the way from chance to a perfect score, on validation tokens."""

Runs = Mapping[str, list[float]]
"""Task -> a number of every seed."""


def profiles(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """The performance profile of the rows that are in on every task, and compute to a target."""
    found = block(campaign)
    campaign = found.campaign
    if not found.scores:
        reason = f"no row is in on every task at every length{found.told()}"
        return [Missing("profile", reason), Missing("compute-to-target", reason)]
    ranking = pd.Series({row: mean_of_tasks(runs) for row, runs in found.scores.items()})
    groups = shown(ranking, reference)
    told = found.told() + left_out(ranking, groups)
    scored = [scores_drawing(campaign, found, rows, i, told) for i, rows in enumerate(groups)]
    return [*scored, *compute(campaign, found, groups, told)]


def mean_of_tasks(runs: Runs) -> float:
    """The mean over tasks of the means over seeds."""
    return float(np.mean([np.mean(values) for values in runs.values()]))


def scores_drawing(
    campaign: Campaign, found: Block, rows: Sequence[str], place: int, told: str
) -> Drawing:
    """The share of runs above each normalised score."""
    of = {row: performance_profile(found.scores[row], GRID, replicates=REPLICATES) for row in rows}
    data = table(of, "normalised_score", GRID)
    look = looks(campaign, rows)
    with styled():
        figure = canvas(1, 1, entries(look), COLUMN)
        (axes,) = figure.axes
        steps(axes, data, "normalised_score", look)
        axes.set_xlabel("Normalised score (0 chance, 1 ceiling)")
        axes.set_ylabel("Share of runs above")
    what = (
        f"Share of runs above a normalised score, {len(campaign.tasks)} task(s) weighing alike, "
        f"with pointwise 95 % bootstrap band over seeds; failed trials at chance{told}"
    )
    name = part_name("profile", place)
    return Drawing(name, "Performance profile", told_by(campaign, what), figure, data)


def compute(
    campaign: Campaign, found: Block, groups: Sequence[Sequence[str]], told: str
) -> list[Drawing | Missing]:
    """The share of runs that reach the target within some training FLOPs; a miss never does."""
    name = "compute-to-target"
    if not any(len(r.curves.get("validation_step", [])) > 1 for r in campaign.records):
        return [Missing(name, "validated once, at the end: when a target was met is not known")]
    if not any(r.costs.get("train_flops") for r in campaign.records):
        return [Missing(name, "no training FLOPs in the records")]
    runs = costs_to_target(campaign)
    reached = sorted({x for of in runs.values() for xs in of.values() for x in xs if x < np.inf})
    if not reached:
        return [Missing(name, f"no run came to {100 * TARGET:.0f} % of the way on validation rows")]
    places = np.array(reached)
    if len(places) > PLACES:
        places = np.append(np.geomspace(places[0], places[-1], PLACES)[:-1], places[-1])
    places = np.array([places[0] / MARGIN, *places, places[-1] * MARGIN])
    return [
        compute_drawing(campaign, runs, places, rows, place, told)
        for place, rows in enumerate(groups)
    ]


def costs_to_target(campaign: Campaign) -> Mapping[str, Runs]:
    """Row -> task -> training FLOPs of each planned trial's way to the target; a miss: infinity."""
    found: dict[str, dict[str, list[float]]] = {}
    for trial in campaign.trials:
        record = campaign.by_id.get(trial.id)
        cost = cost_to_target(campaign, record) if record else np.inf
        found.setdefault(trial.row, {}).setdefault(trial.question, []).append(cost)
    return found


def cost_to_target(campaign: Campaign, record: Record) -> float:
    """Training FLOPs up to the first validation at the target; infinity where there was none."""
    chance = levels(campaign, record, record.trial.length, "token")["chance"]
    needed = chance + TARGET * (1 - chance)
    places = record.curves.get("validation_step", [])
    accuracies = record.curves.get("validation_accuracy", [])
    for step, accuracy in zip(places, accuracies, strict=False):
        if accuracy is not None and accuracy >= needed:
            return record.costs.get("train_flops", np.inf) * step / record.costs["steps"]
    return np.inf


def compute_drawing(
    campaign: Campaign,
    runs: Mapping[str, Runs],
    reached: np.ndarray,
    rows: Sequence[str],
    place: int,
    told: str,
) -> Drawing:
    """The share of runs at the target within each number of training FLOPs."""
    below = -np.nextafter(reached, np.inf)  # a cost of x counts at x
    negative = {r: {t: [-x for x in xs] for t, xs in runs[r].items()} for r in rows}
    of = {row: performance_profile(negative[row], below, replicates=REPLICATES) for row in rows}
    data = table(of, "train_flops", reached)
    look = looks(campaign, rows)
    with styled():
        figure = canvas(1, 1, entries(look), COLUMN)
        (axes,) = figure.axes
        steps(axes, data, "train_flops", look)
        flops_axis(axes, reached, "Training FLOPs")
        axes.set_ylabel("Share of runs at target")
    what = (
        f"Share of runs whose validation token accuracy came to {100 * TARGET:.0f} % of the way "
        "from chance or the commonest answer to a perfect score, within some training FLOPs; a "
        "miss never does; known to one validation; tasks weigh alike, 95 % bootstrap band over "
        f"seeds{told}"
    )
    name = part_name("compute-to-target", place)
    return Drawing(name, "Training compute to a target", told_by(campaign, what), figure, data)


def table(of: Mapping[str, Profile], x: str, places: np.ndarray) -> pd.DataFrame:
    """Profiles as one frame: method, x, share and its limits."""
    parts = [
        pd.DataFrame(
            {"method": row, x: places, "share": one.share, "low": one.low, "high": one.high}
        )
        for row, one in of.items()
    ]
    return pd.concat(parts, ignore_index=True)


def steps(axes: Axes, data: pd.DataFrame, x: str, look: Mapping[str, Look]) -> None:
    """Step lines with bands."""
    for row, one in look.items():
        mine = data[data["method"] == row]
        style: dict[str, Any] = {"color": one.colour, "linestyle": one.dash, "marker": one.marker}
        axes.plot(mine[x], mine["share"], drawstyle="steps-post", markevery=0.2, **style)
        limits: dict[str, Any] = {
            "step": "post",
            "color": one.colour,
            "alpha": 0.15,
            "linewidth": 0,
        }
        axes.fill_between(mine[x], mine["low"], mine["high"], **limits)
    axes.set_ylim(-0.03, 1.03)
