"""Accuracy over the iterations taken at test time, a panel a stratum of the first axis."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from ..difficulty import stratum_name
from .axes import budget_axis
from .figure import Drawing
from .panels import GREY, canvas, curve, entries, level_entry
from .rows import Look, looks, plain, shorten, shown
from .slices import Slice, same_height, wrapped
from .style import styled

ACROSS = 4
"""Panels side by side on a page."""

WHAT = (
    "Mean over seeds with 95 % t interval, the same weights at every budget K; ringed: the trained "
    "budget; dashed: the reference, where it does not iterate"
)


def step_drawings(part: Slice) -> list[Drawing]:
    """The drawings of one task; none where no row iterates."""
    data = part.data[part.data["axis"] == part.axes[0]]
    iterating = set(data.loc[data["iterations"] > 0, "method"])
    ranking = data[data["method"].isin(iterating) & data["trained"].astype(bool)]
    groups = shown(ranking.groupby("method")["mean"].mean(), part.reference)
    level = data[(data["method"] == part.reference) & ~data["method"].isin(iterating)]
    data = pd.concat([data[data["method"].isin(iterating)], level], ignore_index=True)
    strata = sorted(int(s) for s in set(data["stratum"]))
    across = min(ACROSS, len(strata))
    found = []
    for place, rows in enumerate(groups):
        look = looks(part.campaign, rows)
        legend = entries(look)
        if len(level):
            legend[plain(shorten(part.reference))] = level_entry("--")
        with styled():
            figure = canvas(-(-len(strata) // across), across, legend, height=1.6)
            for spot in figure.axes[len(strata) :]:
                spot.remove()
            for spot, stratum in zip(figure.axes, strata, strict=True):
                panel(spot, data[data["stratum"] == stratum], look, part.reference)
                spot.set_title(plain(shorten(stratum_name(part.task, part.axes[0], stratum))))
            same_height(figure.axes, data)
            for spot in figure.axes[::across]:
                spot.set_ylabel(wrapped(part.metric))
        kind = ("steps", f"accuracy over iterations by {part.axes[0]}")
        found.append(part.drawing(kind, WHAT, figure, data, groups, place))
    return found


def panel(axes: Axes, data: pd.DataFrame, look: Mapping[str, Look], reference: str) -> None:
    """Curves of one stratum, and the level of a reference that does not iterate."""
    for row, one in look.items():
        mine = data[data["method"] == row]
        if len(mine):
            curve(axes, mine, "iterations", one)
            ring = mine[mine["trained"].astype(bool)]
            axes.plot(
                ring["iterations"], ring["mean"], "o", ms=8, mfc="none", mec=one.colour, mew=0.8
            )
    if reference not in look:
        for mean in data[data["method"] == reference]["mean"]:
            axes.axhline(mean, color=GREY, linestyle="--", linewidth=0.9, zorder=1)
    budget_axis(axes, [int(k) for k in data["iterations"]])
