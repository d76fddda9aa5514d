"""Gains over the reference by hardness, every way to ask for it side by side, a drawing a task.

Units are test rows at the longest trained length where outcomes by row were kept, and, in a drawing
of their own, the lengths that a task was trained at. What each way is worth: stats/hardness.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..campaign import Campaign
from ..difficulty import chosen_reference
from ..row_hardness import Binning, length_gains, row_gains
from ..row_outcomes import Cells, cells, keeps_rows
from .figure import Drawing, Missing, told_by
from .panels import GREY, canvas, entries
from .rows import Look, left_out, looks, part_name, shown, stem
from .slices import same_height
from .style import styled

ACROSS = 3
"""Panels side by side."""

WHAT = (
    "Gain over {reference} in percentage points at the trained budgets, paired by seed, mean over "
    "seeds with 95 % t interval; easy, medium, hard: above 95, 70 to 95, below 70 % right. Binned "
    "by the reference alone, a method just like it seems to gain on hard units (regression to the "
    "mean); the other ways are fair; {units}"
)

COLUMNS = ["method", "by", "bin", "units", "mean", "low", "high", "seeds"]


@dataclass(frozen=True)
class Part:
    """What one figure shows: its stem, its title, what its units are, and lines of COLUMNS."""

    name: str
    title: str
    units: str
    data: pd.DataFrame


def hardness_figures(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """Two drawings a task at the most: by test rows, and by trained lengths."""
    reference, remark = chosen_reference(campaign, reference)
    parts = {"hardness": row_parts(campaign, reference)}
    parts["hardness-lengths"] = length_parts(campaign, reference)
    reasons = {"hardness": why_no_rows(campaign)}
    reasons["hardness-lengths"] = "no two trained lengths that a method and the reference share"
    found: list[Drawing | Missing] = []
    for kind, of_tasks in parts.items():
        for part in of_tasks.values():
            found += drawings(campaign, part, reference, remark)
        bare = [task for task in campaign.tasks if task not in of_tasks]
        if bare:
            found.append(Missing(kind, f"{reasons[kind]}: {', '.join(bare)}"))
    return found


def why_no_rows(campaign: Campaign) -> str:
    """Why a task has no test rows to bin."""
    if keeps_rows(campaign):
        return "no method was asked the reference's rows, with outcomes kept of both"
    return "these records keep no outcomes of single test rows"


def row_parts(campaign: Campaign, reference: str) -> dict[str, Part]:
    """Task -> the gains by test rows at its longest length at which any pair."""
    found: dict[str, Part] = {}
    by_rows: Cells = cells(campaign)
    for (task, length), rows in sorted(by_rows.items(), reverse=True):
        gains = {} if task in found else row_gains(campaign, rows, length, reference)
        if gains:
            data = table(gains)
            units = f"units: test rows, L={length}"
            title = f"{task}: gain by hardness of test rows"
            found[task] = Part(stem("hardness", task), title, units, data)
    return dict(sorted(found.items()))


def length_parts(campaign: Campaign, reference: str) -> dict[str, Part]:
    """Task -> the gains by trained lengths."""
    gains: dict[str, dict[str, Sequence[Binning]]] = {}
    for one in length_gains(campaign, reference):
        gains.setdefault(one.task, {})[one.method] = one.binnings
    units = "units: trained lengths"
    return {
        task: Part(
            stem("hardness-lengths", task), f"{task}: gain by hardness of lengths", units, table(of)
        )
        for task, of in gains.items()
    }


def table(gains: Mapping[str, Sequence[Binning]]) -> pd.DataFrame:
    """Lines of COLUMNS in percentage points; bins without a unit are left out."""
    lines = [
        [method, binning.by, one.name, one.rows, *(100 * v for v in limits), one.gain.n]
        for method, binnings in gains.items()
        for binning in binnings
        for one in binning.bins
        for limits in [(one.gain.mean, one.gain.low, one.gain.high)]
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


def drawings(campaign: Campaign, part: Part, reference: str, remark: str) -> list[Drawing]:
    """The drawings of one part, by at most ten rows."""
    data = part.data
    ranking = data.groupby("method")["mean"].mean().fillna(0.0)
    groups, found = shown(ranking, reference), []
    rest = left_out(ranking, groups) + (f"; {remark}" if remark else "")
    for place, rows in enumerate(groups):
        drawn = data[data["method"].isin(rows)].reset_index(drop=True)
        figure = draw(drawn, looks(campaign, rows))
        caption = told_by(campaign, WHAT.format(reference=reference, units=part.units) + rest)
        found.append(Drawing(part_name(part.name, place), part.title, caption, figure, drawn))
    return found


def draw(data: pd.DataFrame, look: Mapping[str, Look]) -> Figure:
    """A panel a way to bin, on one scale."""
    known = data[data["seeds"] > 0]
    ways = list(dict.fromkeys(known["by"]))
    across = min(ACROSS, len(ways))
    with styled():
        figure = canvas(-(-len(ways) // across), across, entries(look))
        for axes in figure.axes[len(ways) :]:
            axes.remove()
        for axes, way in zip(figure.axes, ways, strict=True):
            bins = list(dict.fromkeys(data.loc[data["by"] == way, "bin"]))
            panel(axes, known[known["by"] == way], bins, look)
            axes.set_title(f"by {way}", size=7)
        same_height(figure.axes, known)
        for axes in figure.axes[::across]:
            axes.set_ylabel("Gain, points")
    return figure


def panel(axes: Axes, data: pd.DataFrame, bins: Sequence[str], look: Mapping[str, Look]) -> None:
    """A point with its interval a method and bin, side by side; zero is a line."""
    aside = (np.arange(len(look)) - (len(look) - 1) / 2) * min(0.15, 0.7 / len(look))
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    for (row, one), shift in zip(look.items(), aside, strict=True):
        mine = data[data["method"] == row]
        x = [bins.index(name) + shift for name in mine["bin"]]
        axes.vlines(x, mine["low"], mine["high"], color=one.colour, linewidth=0.9)
        axes.plot(x, mine["mean"], linestyle="none", marker=one.marker, color=one.colour)
    for edge in range(1, len(bins)):
        axes.axvline(edge - 0.5, color="0.9", linewidth=0.6, zorder=0)
    axes.set_xticks(range(len(bins)), [name.split(" (")[0] for name in bins])
    axes.set_xlim(-0.5, len(bins) - 0.5)
