"""Scores by length and stratum, a panel a method, beside its difference to the reference.

Hardness is the first dial's stratum; where a task has no dial, test rows by the reference's loss
over the other seeds, where outcomes by row were kept, else the first axis there is. A task with one
length has methods by strata instead. A difference is grey where its interval holds zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure, SubFigure

from ..campaign import Campaign
from ..difficulty import chosen_reference
from .figure import Drawing, Missing, told_by
from .grids import GAIN, ROWS, SCORE, Grid, grids
from .rows import labels, left_out, part_name, plain, shorten, shown
from .style import PAGE, styled

FLAT, WHITE = "0.88", "1.0"
"""Colours of a difference whose interval holds zero, and of a cell without a score."""

LINE = 0.16
"""Inches of a cell's height."""


@dataclass(frozen=True)
class Scales:
    """Colours of scores, and of differences: centred at zero."""

    score: ScalarMappable
    gain: ScalarMappable

    def colour(self, quantity: str, mean: float, low: float, high: float) -> tuple[float, ...]:
        """A cell's colour."""
        if quantity == GAIN and not low * high > 0:
            return to_rgb(FLAT)
        scale = self.score if quantity == SCORE else self.gain
        return tuple(scale.to_rgba(np.array(mean))[:3])


def heatmap_figures(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """A drawing a task, and one more for what is tested beyond the trained length."""
    reference, remark = chosen_reference(campaign, reference)
    made = grids(campaign, reference)
    found: list[Drawing | Missing] = []
    for grid in made:
        scores = grid.data[grid.data["quantity"] == SCORE]
        ranking = scores.groupby("method")["mean"].mean()
        groups = shown(ranking, reference)
        told = left_out(ranking, groups) + (f"; {remark}" if remark else "")
        for place, rows in enumerate(groups):
            found.append(drawing(campaign, grid, rows, reference, place, told))
    bare = sorted(set(campaign.tasks) - {grid.task for grid in made})
    if bare:
        found.append(Missing("heatmap", f"no scores, or no axis of two strata: {', '.join(bare)}"))
    return found


def drawing(
    campaign: Campaign, grid: Grid, rows: Sequence[str], reference: str, place: int, told: str
) -> Drawing:
    """One drawing of these rows, the reference first."""
    rows = sorted(rows, key=lambda row: (row != reference, row))
    data = grid.data[grid.data["method"].isin(rows)].reset_index(drop=True)
    scales = scales_of(data)
    with styled():
        many = data.groupby("method")["length"].nunique().max() > 1
        figure = (
            by_method(grid, data, rows, scales) if many else by_stratum(grid, data, rows, scales)
        )
    rows_too = " (the loss of the reference's other seeds, 1st: the easiest)"
    beyond = "; * beyond the trained length" if grid.trained else ""
    what = (
        f"{grid.metric}, mean over seeds at the trained budgets, and its difference to {reference} "
        f"in percentage points, paired by seed; grey where the 95 % t interval holds 0 or there is "
        f"one seed; columns: {grid.axis}{rows_too if grid.axis == ROWS else ''}{beyond}{told}"
    )
    trained = f", trained at L={grid.trained}" if grid.trained else ""
    title = f"{grid.task}: {grid.metric.removesuffix(', %')} by difficulty{trained}"
    return Drawing(part_name(grid.name, place), title, told_by(campaign, what), figure, data)


def scales_of(data: pd.DataFrame) -> Scales:
    """Colours that fit the numbers drawn."""
    scores, gains = (data[data["quantity"] == name]["mean"] for name in (SCORE, GAIN))
    least = 10 * np.floor(min(scores.min(), 90) / 10)
    far = max(gains.abs().max(), 1.0) if len(gains) else 1.0
    return Scales(
        ScalarMappable(Normalize(least, 100), mpl.colormaps["cividis"]),
        ScalarMappable(Normalize(-far, far), mpl.colormaps["RdBu"]),
    )


def by_method(grid: Grid, data: pd.DataFrame, rows: Sequence[str], scales: Scales) -> Figure:
    """Two panels a method, lengths by strata: its score, and its difference to the reference."""
    names, across = labels(rows), 2 if len(rows) > 1 else 1
    down = -(-len(rows) // across)
    upright = turned(grid, PAGE / (2 * across) - 0.3)
    high = LINE * len(grid.lengths) + 0.5 + (0.05 * wide(grid) if upright else 0.0)
    figure, top, bottom = halves(down * high)
    spots = top.add_gridspec(down, 2 * across)
    for place, row in enumerate(rows):
        for side, quantity in enumerate((SCORE, GAIN)):
            part = data[(data["method"] == row) & (data["quantity"] == quantity)]
            if len(part):
                axes = top.add_subplot(spots[place // across, 2 * (place % across) + side])
                lines = [part[part["length"] == n] for n in grid.lengths]
                cells(axes, grid, lines, quantity, scales, upright)
                marks = ["*" if grid.trained and n > grid.trained else "" for n in grid.lengths]
                ticks = [f"{n}{mark}" for n, mark in zip(grid.lengths, marks, strict=True)]
                axes.set_yticks(np.arange(len(ticks)), ticks if quantity == SCORE else [])
                axes.set_title(names[row] if quantity == SCORE else "less the reference", size=7)
                if quantity == SCORE:
                    axes.set_ylabel("Length", size=7)
    keys(bottom, grid, data, scales)
    return figure


def by_stratum(grid: Grid, data: pd.DataFrame, rows: Sequence[str], scales: Scales) -> Figure:
    """Two panels, methods by strata: scores, and differences to the reference."""
    names, kinds = labels(rows), [SCORE, GAIN] if (data["quantity"] == GAIN).any() else [SCORE]
    upright = turned(grid, 2.6)
    figure, top, bottom = halves(LINE * len(rows) + 0.55 + (0.05 * wide(grid) if upright else 0.0))
    for axes, quantity in zip(top.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        part = data[data["quantity"] == quantity]
        lines = [part[part["method"] == row] for row in rows]
        cells(axes, grid, lines, quantity, scales, upright)
        at = part.groupby("method")["length"].first()
        told = [f"{names[row]}, L={at.get(row, '?')}" for row in rows]
        axes.set_yticks(np.arange(len(rows)), told if quantity == SCORE else [])
        axes.set_title("Score" if quantity == SCORE else "less the reference")
    keys(bottom, grid, data, scales)
    return figure


def halves(height: float) -> tuple[Figure, SubFigure, SubFigure]:
    """A figure, its part for panels of this height in inches, and its part for colour keys."""
    figure = Figure(figsize=(PAGE, height + 0.55))
    parts = figure.add_gridspec(2, 1, height_ratios=[height, 0.55])
    return figure, figure.add_subfigure(parts[0]), figure.add_subfigure(parts[1])


def turned(grid: Grid, width: float) -> bool:
    """Whether the strata's names must stand upright in a panel of this width in inches."""
    return 0.05 * wide(grid) * len(grid.strata) > width


def wide(grid: Grid) -> int:
    """Characters of the longest stratum's name."""
    return max(len(shorten(name)) for name in grid.strata.values())


def cells(
    axes: Axes, grid: Grid, lines: Sequence[pd.DataFrame], kind: str, scales: Scales, upright: bool
) -> None:
    """Coloured cells with their numbers: a line a frame of one cell a stratum."""
    columns = {stratum: place for place, stratum in enumerate(grid.strata)}
    colour = np.full((len(lines), len(columns), 3), float(WHITE))
    for y, line in enumerate(lines):
        numbers = line[["stratum", "mean", "low", "high"]].to_numpy(dtype=float)
        for stratum, mean, low, high in numbers:
            x = columns[int(stratum)]
            colour[y, x] = scales.colour(kind, mean, low, high)
            number = f"{mean:+.0f}" if kind == GAIN else f"{mean:.0f}"
            dark = float(colour[y, x] @ [0.3, 0.59, 0.11]) < 0.55
            ink = "white" if dark else "0.45" if tuple(colour[y, x]) == to_rgb(FLAT) else "black"
            text = axes.text(x, y, number, size=5.5, color=ink, ha="center", va="center")
            text.set_in_layout(False)  # it is within the panel, and there are hundreds
    edges = [np.arange(n + 1) - 0.5 for n in (len(columns), len(lines))]
    axes.pcolormesh(*edges, colour, edgecolors="white", linewidth=0.5)
    axes.invert_yaxis()
    names = [plain(shorten(name)) for name in grid.strata.values()]
    axes.set_xticks(list(columns.values()), names, rotation=90 if upright else 0, size=6)
    axes.set_xlabel(plain(shorten(grid.axis)), size=7)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def keys(below: SubFigure, grid: Grid, data: pd.DataFrame, scales: Scales) -> None:
    """The colour keys."""
    kinds = {SCORE: (scales.score, grid.metric)}
    if (data["quantity"] == GAIN).any():
        kinds[GAIN] = (scales.gain, "Difference, points (grey: interval holds 0)")
    for axes, (scale, name) in zip(
        below.subplots(1, len(kinds), squeeze=False)[0], kinds.values(), strict=True
    ):
        bar = below.figure.colorbar(scale, cax=axes, orientation="horizontal")
        bar.set_label(plain(name), size=7)
        bar.outline.set_visible(False)
