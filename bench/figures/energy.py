"""Does a lower energy mean a lower loss: row by row, and how the energy falls over iterations.

For every test row L(f) − L(h_K), the drop of its energy since K = 0, stands against the drop of its
loss (EQT, Eq. 31 to 35). Each seed has an energy of its own, on its own scale: rank correlations
are taken within a seed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..campaign import Campaign
from ..difficulty import chosen_reference
from ..row_outcomes import Array, cells, keeps_rows
from .axes import budget_axis
from .drops import Drops, curve_table, finite, longest_with_energy, row_table
from .figure import Drawing, Missing, told_by
from .panels import GREY, canvas, curve
from .rows import PARTS, Look, looks, part_name, stem
from .style import styled

MOST = 4
"""Methods of one drawing, each a line of panels; of more than PARTS drawings the rest is told."""

WHAT = (
    "A point a test row and seed: drops of its energy and loss since K = 0, means over its scored "
    "tokens, the central 99 % shown, grey lines at zero; ρ: Spearman's correlation over rows, mean "
    "over seeds [95 % t interval], of one seed [95 % percentile interval over rows]; right: energy "
    "less that at K = 0, median over rows and seeds with the 10 to 90 % band"
)


def energy_figures(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """A drawing a task, at its longest trained length at which a row has an energy."""
    reference, _ = chosen_reference(campaign, reference)
    if not keeps_rows(campaign):
        return [Missing("energy", "these records keep no outcomes of single test rows")]
    by_rows, bare = cells(campaign), []
    found: list[Drawing | Missing] = []
    for task in campaign.tasks:
        length, drops = longest_with_energy(campaign, by_rows, task)
        found += drawings(campaign, task, length, drops)
        bare += [] if drops else [task]
    if bare:
        reason = f"no row with an energy, K = 0 and another budget on {', '.join(bare)}"
        found.append(Missing("energy", reason))
    return found


def drawings(
    campaign: Campaign, task: str, length: int, drops: Mapping[str, Drops]
) -> list[Drawing]:
    """The drawings of one task, a few methods each."""
    groups = parts(drops)
    missing, found = len(drops) - sum(map(len, groups)), []
    rest = f"; {missing} row(s) whose loss dropped less not drawn" if missing else ""
    for place, rows in enumerate(groups):
        part = {row: drops[row] for row in rows}
        curves = pd.concat([curve_table(row, one) for row, one in part.items()])
        points = pd.concat([row_table(row, one) for row, one in part.items()])
        data = pd.concat([curves, points], ignore_index=True)
        with styled():
            figure = draw(part, looks(campaign, list(part)), curves)
        seeds = ", ".join(f"{row}: {len(one.outcomes.seeds)}" for row, one in part.items())
        what = told_by(campaign, f"{WHAT}; L={length}; seeds in: {seeds}{rest}")
        title = f"{task}: energy against loss, row by row"
        found.append(Drawing(part_name(stem("energy", task), place), title, what, figure, data))
    return found


def parts(drops: Mapping[str, Drops]) -> list[list[str]]:
    """The methods of each drawing: those whose loss dropped most come first."""
    order = sorted(drops, key=lambda row: (-mean_drop(drops[row]), row))
    starts = range(0, min(len(order), MOST * PARTS), MOST)
    return [sorted(order[start : start + MOST]) for start in starts]


def mean_drop(drops: Drops) -> float:
    """The mean drop of the loss at the first drawn budget; −∞ where none is finite."""
    nats = drops.nats[:, drops.places[0]]
    known = nats[np.isfinite(nats)]
    return float(known.mean()) if len(known) else -np.inf


def draw(part: Mapping[str, Drops], look: Mapping[str, Look], curves: pd.DataFrame) -> Figure:
    """A line of panels a method: the budgets' scatters, then the energy over iterations."""
    across = max(len(one.places) for one in part.values()) + 1
    figure = canvas(len(part), across, {}, height=2.0)
    spots = np.array(figure.axes).reshape(len(part), across)
    for line, (row, drops) in zip(spots, part.items(), strict=True):
        mine = curves[curves["method"] == row]
        told = {int(one["iterations"]): rho(one) for _, one in mine.iterrows()}
        for axes, place in zip(line, drops.places, strict=False):
            budget = drops.outcomes.budgets[place]
            scatter(axes, drops, place, look[row])
            axes.set_title(f"K={budget}: {told[budget]}", size=7)
        for axes in line[len(drops.places) : -1]:
            axes.remove()
        line[0].set_ylabel(f"{look[row].label}\nDrop of loss, nats")
        curve(line[-1], mine, "iterations", look[row])
        line[-1].axhline(0, color=GREY, linewidth=0.6, zorder=1)
        budget_axis(line[-1], list(drops.outcomes.budgets))
        line[-1].set_ylabel("Energy since K = 0")
    return figure


def scatter(axes: Axes, drops: Drops, place: int, look: Look) -> None:
    """Energy drop against loss drop of all rows and seeds; points are kept as an image."""
    energy, nats = finite(drops.energy[:, place].ravel(), drops.nats[:, place].ravel())
    axes.axhline(0, color=GREY, linewidth=0.6, zorder=1)
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=1)
    axes.plot(
        energy,
        nats,
        ".",
        color=look.colour,
        markersize=2,
        alpha=0.25,
        markeredgewidth=0,
        rasterized=True,
    )
    axes.set_xlim(*middle(energy))
    axes.set_ylim(*middle(nats))
    axes.set_xlabel("Drop of energy")
    axes.locator_params(nbins=5)


def middle(values: Array) -> tuple[float, float]:
    """Limits around zero and the central 99 % of values."""
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 0.0)
    low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def rho(line: pd.Series) -> str:
    """`ρ=0.31 [0.20, 0.42]`, or that there is none, as where nothing moved."""
    if np.isnan(line["rho"]):
        return "ρ undefined"
    if np.isnan(line["rho_low"]):
        return f"ρ={line['rho']:.2f}"
    return f"ρ={line['rho']:.2f} [{line['rho_low']:.2f}, {line['rho_high']:.2f}]"
