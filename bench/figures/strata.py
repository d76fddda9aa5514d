"""Score by stratum of difficulty, and what iterations do to it in each stratum, a drawing a task.

At the longest trained length, tested there. Strata too small to tell anything are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..campaign import Campaign
from ..difficulty import chosen_reference, short_stratum
from .figure import Drawing, Missing
from .panels import canvas, entries
from .rows import Look, looks, plain, shorten, shown
from .slices import Slice, same_height, slices, wrapped
from .steps import step_drawings
from .style import styled


def strata_figures(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """Two drawings a task: scores by stratum, and accuracy over iterations, a panel a stratum."""
    reference, remark = chosen_reference(campaign, reference)
    found: list[Drawing | Missing] = []
    still, bare = [], set(campaign.tasks)
    for part in slices(campaign, reference, remark):
        if part.axes:
            bare.discard(part.name)
            stepped = step_drawings(part)
            found += [*score_drawings(part), *stepped]
            still += [] if stepped else [part.name]
    if still:
        found.append(Missing("steps", f"no row iterates on {', '.join(still)}"))
    if bare:
        names = ", ".join(sorted(bare))
        found.append(Missing("strata", f"no scores, or no axis of two strata: {names}"))
    return found


def score_drawings(part: Slice) -> list[Drawing]:
    """Scores at the trained budget: a panel an axis, strata in order, a point a method."""
    data = part.data[part.data["trained"].astype(bool) & part.data["axis"].isin(part.axes)]
    groups = shown(data.groupby("method")["mean"].mean(), part.reference)
    found = []
    for place, rows in enumerate(groups):
        look = looks(part.campaign, rows)
        across = min(len(part.axes), 2)
        with styled():
            figure = canvas(-(-len(part.axes) // across), across, entries(look))
            for spot in figure.axes[len(part.axes) :]:
                spot.remove()
            for spot, axis in zip(figure.axes, part.axes, strict=True):
                points(spot, part, axis, data[data["axis"] == axis], look)
            same_height(figure.axes, data)
            for spot in figure.axes[::across]:
                spot.set_ylabel(wrapped(part.metric))
        what = "Mean over seeds with 95 % t interval, at the trained budgets"
        kind = ("strata", "score by stratum")
        found.append(part.drawing(kind, what, figure, data, groups, place))
    return found


def points(
    axes: Axes, part: Slice, axis: str, data: pd.DataFrame, look: Mapping[str, Look]
) -> None:
    """A point with its interval a method and stratum, side by side."""
    strata = sorted(set(data["stratum"]))
    aside = (np.arange(len(look)) - (len(look) - 1) / 2) * min(0.15, 0.7 / len(look))
    for (row, one), shift in zip(look.items(), aside, strict=True):
        mine = data[data["method"] == row]
        x = [strata.index(stratum) + shift for stratum in mine["stratum"]]
        axes.vlines(x, mine["low"], mine["high"], color=one.colour, linewidth=0.9)
        axes.plot(x, mine["mean"], linestyle="none", marker=one.marker, color=one.colour)
    for edge in range(1, len(strata)):
        axes.axvline(edge - 0.5, color="0.9", linewidth=0.6, zorder=0)
    names = [plain(shorten(short_stratum(part.task, axis, s), 14)) for s in strata]
    upright = max(map(len, names)) * len(names) > 42
    axes.set_xticks(range(len(strata)), names, rotation=90 if upright else 0)
    axes.set_xlim(-0.5, len(strata) - 0.5)
    axes.set_xlabel(plain(shorten(axis)))
