"""The anytime curve: accuracy against what an answer costs, over the iteration budgets.

Every method stands on one axis, FLOPs per token of an answer at the trained length as torch's
counter sees them; an open-loop method is a point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from ..campaign import Campaign
from ..scores import scores
from ..trial import OK
from .axes import budget_axis, flops_axis, share_axis
from .figure import Drawing, Missing, told_by
from .panels import canvas, curve, entries, level, level_entry
from .rows import Look, left_out, looks, part_name, plain, shorten, shown, stem
from .style import styled
from .summaries import chance_levels, failures_told, metric_title, percent

LENGTHS = 4
"""Trained lengths that one drawing shows, from the shortest to the longest."""

Costs = dict[tuple[str, int, str, int], float]
"""(task, trained length, row, budget) -> FLOPs per token."""


@dataclass(frozen=True)
class Curves:
    """Means of some rows by trained length and budget, with their FLOPs, and chance by length."""

    task: str
    metric: str
    data: pd.DataFrame
    chance: pd.DataFrame

    @property
    def lengths(self) -> list[int]:
        """The trained lengths drawn: those at which the FLOPs of a row are known."""
        known = self.data.dropna(subset="flops_per_token")
        return spread(sorted(known["trained_length"].unique()))


def anytime(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """Every task's own metric against inference FLOPs per token and against the budget K.

    Tested at the trained length; a row of panels for each of at most four trained lengths.
    """
    found = scores(campaign)
    found = found[found["length"] == found["trained_length"]]
    costs = answer_flops(campaign)
    drawings: list[Drawing | Missing] = []
    still, uncounted = [], []
    for task in campaign.tasks:
        mine = found[found["task"] == task]
        if mine.groupby("method")["iterations"].nunique().max() > 1:
            drawn = of_task(campaign, task, mine, costs, reference)
            drawings += drawn
            uncounted += [] if drawn else [task]
        else:
            still.append(task)
    if still:
        reason = "no row was scored at two budgets or more: " + ", ".join(still)
        drawings.append(Missing("anytime", reason))
    if uncounted:
        drawings.append(
            Missing("anytime-flops", "no FLOPs in the records: " + ", ".join(uncounted))
        )
    return drawings


def answer_flops(campaign: Campaign) -> Costs:
    """FLOPs per token of an answer, the mean over seeds."""
    seen: dict[tuple[str, int, str, int], list[float]] = {}
    for record in campaign.records:
        trial = record.trial
        told: Any = record.costs.get("answer_flops_per_token") if record.status == OK else None
        for budget, flops in (told or {}).items():
            if flops:
                key = (trial.question, trial.length, trial.row, int(budget))
                seen.setdefault(key, []).append(float(flops))
    return {key: math.fsum(values) / len(values) for key, values in seen.items()}


def of_task(
    campaign: Campaign, task: str, found: pd.DataFrame, costs: Costs, reference: str
) -> list[Drawing | Missing]:
    """The drawings of one task, by at most ten rows; none where no FLOPs are known."""
    known = {row for name, _, row, _ in costs if name == task}
    values = found[found["trained"]].groupby("method")["value"].mean()
    ranking = values[values.index.isin(known)]
    groups = shown(ranking, reference)
    told = left_out(ranking, groups)
    bare = sorted(set(values.index) - known)
    told += f"; without FLOPs, not drawn: {', '.join(bare[:5])}" if bare else ""
    metric = metric_title(campaign, task, found["metric"].iloc[0])
    chance = chance_levels(found).rename(columns={"length": "trained_length"})
    return [
        draw(campaign, Curves(task, metric, table(task, found, costs, rows), chance), place, told)
        for place, rows in enumerate(groups)
    ]


def table(task: str, found: pd.DataFrame, costs: Costs, rows: Sequence[str]) -> pd.DataFrame:
    """Means of these rows by trained length and budget, with the FLOPs of an answer."""
    keys = ["trained_length", "method", "iterations", "trained"]
    data = percent(found[found["method"].isin(rows)], keys)
    places = zip(data["trained_length"], data["method"], data["iterations"], strict=True)
    data.insert(3, "flops_per_token", [costs.get((task, *place), math.nan) for place in places])
    return data


def spread(lengths: Sequence[int]) -> list[int]:
    """At most LENGTHS of the lengths, evenly, with both ends."""
    if len(lengths) <= LENGTHS:
        return list(lengths)
    return [lengths[round(i * (len(lengths) - 1) / (LENGTHS - 1))] for i in range(LENGTHS)]


def draw(campaign: Campaign, curves: Curves, place: int, told: str) -> Drawing:
    """One drawing: a row of panels a trained length, over FLOPs and over K."""
    look = looks(campaign, sorted(set(curves.data["method"])))
    kept = curves.lengths
    with styled():
        figure = canvas(len(kept), 2, entries(look) | {"chance": level_entry(":")})
        for i, length in enumerate(kept):
            pair_of_panels(figure.axes[2 * i : 2 * i + 2], curves, length, look)
        figure.axes[1].set_title(plain(shorten(curves.task)), loc="right")
    skipped = curves.data["trained_length"].nunique() - len(kept)
    told += f"; {skipped} trained length(s) not drawn" if skipped else ""
    drawn = pd.concat([curves.data, curves.chance], ignore_index=True)
    return Drawing(
        part_name(stem("anytime", curves.task), place),
        f"{curves.task}: accuracy against inference FLOPs and iterations",
        caption(campaign, curves.data, told),
        figure,
        drawn[drawn["trained_length"].isin(kept)],
    )


def pair_of_panels(
    pair: Sequence[Axes], curves: Curves, length: int, look: dict[str, Look]
) -> None:
    """The panels of one trained length."""
    here = curves.data[curves.data["trained_length"] == length]
    at = curves.chance["trained_length"] == length
    chance = float(curves.chance[at]["mean"].iloc[0])
    counted = here.dropna(subset="flops_per_token")
    over(pair[0], counted, "flops_per_token", look, chance)
    over(pair[1], here, "iterations", look, chance)
    flops_axis(pair[0], counted["flops_per_token"], "Inference FLOPs per token")
    budget_axis(pair[1], list(here["iterations"]))
    pair[0].set_title(f"L={length}", loc="left")
    pair[0].set_ylabel(plain(curves.metric))


def over(axes: Axes, data: pd.DataFrame, x: str, look: dict[str, Look], chance: float) -> None:
    """Every row's curve over x, hollow but at the trained budget, and chance."""
    level(axes, [0], [chance], ":")
    for row, one in look.items():
        mine = data[data["method"] == row]
        if len(mine):
            curve(axes, mine, x, one, hollow=True)
        at = mine[mine["trained"]]
        axes.plot(at[x], at["mean"], color=one.colour, marker=one.marker, linestyle="", zorder=4)
    share_axis(axes, [*data["mean"], *data["low"], chance])


def caption(campaign: Campaign, data: pd.DataFrame, told: str) -> str:
    """How to read it."""
    least, most = data["seeds"].min(), data["seeds"].max()
    what = (
        f"Mean over {least if least == most else f'{least} to {most}'} seed(s) with 95 % t "
        "interval, tested at the trained length L; filled: the trained budget (open loop: its "
        "only one); FLOPs of matrix products per token of an answer, by torch's counter"
        f"{failures_told(data)}{told}"
    )
    return told_by(campaign, what)
