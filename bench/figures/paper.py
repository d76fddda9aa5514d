"""The paper's Figure 1 from our records, with the intervals that it lacks (EQT, §5).

(a) accuracy over length, (b) the gain over the standard model per length, (c) the training loss at
the hardest length, (d) the gain by regime. The paper sorts lengths into regimes by the standard
model's accuracy alone, which makes a gain where that was unlucky; beside it stands the gain by the
mean of both models, which does not (stats/hardness.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ..campaign import Campaign
from ..scores import scores
from ..stats.hardness import REGIMES
from .axes import length_axis
from .duel import Duel, accuracies, duel, gains, losses, regimes
from .figure import Drawing, Missing, told_by
from .panels import GREY, canvas, curve, entries, level, level_entry
from .rows import Look, looks, plain, shorten, stem
from .style import styled
from .summaries import CHANCE
from .training import panel as training_panel

METHOD, CEILING = "eqt", "gru"
"""The paper's model, and the net that solves the state tasks."""

BOUNDS = {"easy": "> 95 %", "medium": "70–95 %", "hard": "< 70 %"}
MARKS: dict[str, dict[str, Any]] = {
    "reference": {"marker": "o", "ls": "", "markerfacecolor": "white"},
    "mean": {"marker": "o", "ls": ""},
}
BINNED = {"reference": "by the reference (as in the paper)", "mean": "by the mean of both (fair)"}


def paper(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """Figure 1 of every task on which both EqT and the reference were trained at two lengths."""
    rows = sorted({trial.row for trial in campaign.trials if trial.method == METHOD})
    if not rows or reference not in campaign.rows:
        lacking = f"no row of {METHOD}" if not rows else f"no row {reference} to compare with"
        return [Missing("paper-figure-1", f"{lacking} in this campaign")]
    row = METHOD if METHOD in rows else rows[0]
    found = scores(campaign, "token")
    found = found[found["length"] == found["trained_length"]]
    duels = [duel(found[found["task"] == task], task, row, reference) for task in campaign.tasks]
    kept = [one for one in duels if len(one.lengths) > 1 and one.seeds]
    if not kept:
        reason = (
            f"{row} and {reference} have no task with scores of one seed or more at each of two or "
            "more trained lengths"
        )
        return [Missing("paper-figure-1", reason)]
    return [draw(campaign, one) for one in kept]


def draw(campaign: Campaign, one: Duel) -> Drawing:
    """The four panels of one task."""
    rows = [row for row in (one.row, one.reference, CEILING) if row in set(one.scores["method"])]
    rows = sorted(set(rows))
    look = looks(campaign, rows)
    parts = [accuracies(one, rows), gains(one), losses(campaign, one), regimes(one)]
    binned = {text: Line2D([], [], color=GREY, **MARKS[key]) for key, text in BINNED.items()}
    with styled():
        legend = entries(look) | {"chance": level_entry(":")} | binned
        figure = canvas(2, 2, legend)
        makers = (accuracy_panel, gain_panel, loss_panel, regime_panel)
        for axes, make, part, letter in zip(figure.axes, makers, parts, "abcd", strict=True):
            if len(part):
                make(axes, part, look)
                axes.set_title(f"({letter})", loc="left")
            else:
                axes.remove()
        figure.axes[1].set_title(plain(shorten(one.task)), loc="right")
    named = [part.assign(panel=letter) for part, letter in zip(parts, "abcd", strict=True)]
    data = pd.concat([part for part in named if len(part)], ignore_index=True)
    title = f"{one.task}: {one.row} against {one.reference}, the paper's Figure 1"
    return Drawing(
        stem("paper-figure-1", one.task), title, caption(campaign, one, parts), figure, data
    )


def accuracy_panel(axes: Axes, data: pd.DataFrame, look: dict[str, Look]) -> None:
    """(a)."""
    chance = data[data["method"] == CHANCE]
    level(axes, list(chance["length"]), list(chance["mean"]), ":")
    for row, part in look.items():
        curve(axes, data[data["method"] == row], "length", part)
    axes.set_ylabel("Token accuracy, %")
    length_axis(axes, list(data["length"]), "Length, trained and tested")


def gain_panel(axes: Axes, data: pd.DataFrame, look: dict[str, Look]) -> None:
    """(b)."""
    level(axes, [0], [0], "-")
    bars(axes, data["length"].to_numpy(), data, {"color": look[data["method"].iloc[0]].colour})
    axes.set_ylabel("Gain, points")
    length_axis(axes, list(data["length"]), "Length, trained and tested")


def loss_panel(axes: Axes, data: pd.DataFrame, look: dict[str, Look]) -> None:
    """(c)."""
    training_panel(axes, data, "step", look, "loss")
    axes.set_title(f"L={data['length'].iloc[0]}", loc="right")


def regime_panel(axes: Axes, data: pd.DataFrame, look: dict[str, Look]) -> None:
    """(d)."""
    level(axes, [0], [0], "-")
    for shift, (key, style) in zip((-0.12, 0.12), MARKS.items(), strict=True):
        mine = data[data["binned_by"] == key]
        colour = look[mine["method"].iloc[0]].colour
        bars(axes, np.arange(len(mine)) + shift, mine, {**style, "color": colour})
    names = [f"{regime}\n{BOUNDS[regime]}" for regime in REGIMES]
    axes.set_xticks(range(len(REGIMES)), names)
    axes.set_xlim(-0.5, len(REGIMES) - 0.5)
    axes.set_ylabel("Gain, points")


def bars(axes: Axes, x: np.ndarray, data: pd.DataFrame, style: dict[str, Any]) -> None:
    """Means with their intervals, as points with bars."""
    mean, low, high = (data[name].to_numpy() for name in ("mean", "low", "high"))
    axes.errorbar(x, mean, [mean - low, high - mean], **{"marker": "o", "ls": "", **style})


def caption(campaign: Campaign, one: Duel, parts: Sequence[pd.DataFrame]) -> str:
    """How to read it."""
    counts = parts[3].groupby("binned_by", sort=False)["lengths"]
    told = "; ".join(f"by the {key} {'/'.join(f'{n:g}' for n in group)}" for key, group in counts)
    what = (
        f"{one.row} at K={one.budget} against {one.reference}, paired by {len(one.seeds)} seed(s): "
        "mean with 95 % t interval. (b) gain per length; (c) median and range of the training "
        f"loss, each method's own total; (d) gain by regime, lengths easy/medium/hard {told}: "
        "sorting by the reference alone makes gains of its bad luck"
    )
    bare = "" if len(parts[2]) else "; (c) left out: no training curves in the records"
    return told_by(campaign, what + bare)
