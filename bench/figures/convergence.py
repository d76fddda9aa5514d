"""How far every iteration moves, and what residual it leaves: the traces of a task's methods.

The claim to be seen (EQT, §6): a relative change below 1e-3 by k = 6 on 94 % of tokens. Traces are
histograms over scored tokens with eight bins a decade, pooled over seeds, so that the share below
1e-3 is exact and quantiles are to within a bin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..campaign import Campaign
from ..difficulty import chosen_reference
from ..evaluate import SETTLED
from ..outcomes import LOWEST, PER_DECADE, pooled, quantiles
from ..row_outcomes import Cells, cells
from ..trial import Record
from .axes import budget_axis
from .figure import Drawing, Missing, told_by
from .panels import GREY, canvas, curve, entries, level_entry
from .rows import Look, left_out, looks, part_name, shown, stem
from .style import styled

SHARES = (0.1, 0.5, 0.9)
CLAIM = (6, 94)
"""The paper's claim: by this iteration so many percent of tokens have settled."""

PANELS = {"change": "Relative change", "residual": "Residual"}

WHAT = (
    "Median over scored tokens with the 10 to 90 % band, all seeds pooled, from the longest run; "
    "dotted: a relative change of 1e-3, under which a token counts as settled; cross: the paper's "
    "claim for EqT, 94 % by k = 6. The relative change of a map iterated without damping (DEQ at "
    "damping 1) is the residual of the state before, so that such a method tells no residual of "
    "its own"
)


def convergence_figures(campaign: Campaign, reference: str) -> list[Drawing | Missing]:
    """A drawing a task, at the longest trained length that has traces."""
    reference, _ = chosen_reference(campaign, reference)
    if not any(record.traces for record in campaign.records):
        return [
            Missing("convergence", "these records keep no traces of iterations, or none iterates")
        ]
    found: list[Drawing | Missing] = []
    by_rows, bare = cells(campaign), []
    for task in campaign.tasks:
        length, data = longest_traced(by_rows, task)
        found += drawings(campaign, task, length, data, reference) if length else []
        bare += [] if length else [task]
    if bare:
        found.append(Missing("convergence", f"no traces on {', '.join(bare)}"))
    return found


def longest_traced(by_rows: Cells, task: str) -> tuple[int, pd.DataFrame]:
    """The longest trained length of a task with traces at it, and their table; else 0."""
    for (name, length), rows in sorted(by_rows.items(), reverse=True):
        lines = [
            line
            for method, records in rows.items()
            if name == task
            for line in trace_lines(method, records, length)
        ]
        if lines:
            columns = ["method", "quantity", "iteration", "low", "median", "high"]
            return length, pd.DataFrame(lines, columns=[*columns, "settled", "seeds"])
    return 0, pd.DataFrame()


def trace_lines(method: str, records: Sequence[Record], length: int) -> list[list[object]]:
    """A line a quantity and iteration of one row, its seeds pooled.

    An iteration that not all seeds reached is left out: with other budgets they are not one run.
    """
    lines: list[list[object]] = []
    traces = [t for r in records if (t := r.traces.get(str(length)))]
    for quantity in PANELS:
        runs = [trace[quantity] for trace in traces if trace.get(quantity)]
        shared = set.intersection(*(set(run) for run in runs)) if runs else set()
        for iteration in sorted(map(int, shared)):
            counts = pooled([run[str(iteration)] for run in runs])
            if counts:
                found = quantiles(counts, SHARES)
                lines.append(
                    [method, quantity, iteration, *found, settled_share(counts), len(runs)]
                )
    return lines


def settled_share(histogram: Sequence[Sequence[int]]) -> float:
    """Percent of a histogram's tokens below SETTLED, which is an edge of its bins."""
    edge = round(-3 - LOWEST) * PER_DECADE + 1
    total = sum(count for _, count in histogram)
    return 100 * sum(count for index, count in histogram if index < edge) / total


def drawings(
    campaign: Campaign, task: str, length: int, data: pd.DataFrame, reference: str
) -> list[Drawing]:
    """The drawings of one task, by at most ten rows: of more those that settle best come first."""
    changes = data[data["quantity"] == "change"]
    groups = shown(changes.groupby("method")["settled"].max(), reference)
    rest = left_out(changes.groupby("method")["settled"].max(), groups)
    found = []
    for place, rows in enumerate(groups):
        drawn = data[data["method"].isin(rows)].reset_index(drop=True)
        seeds = ", ".join(str(n) for n in sorted(set(drawn["seeds"])))
        what = f"{WHAT}; L={length}, {seeds} seed(s) in{rest}"
        title = f"{task}: convergence over iterations"
        figure = draw(drawn, looks(campaign, rows))
        name = part_name(stem("convergence", task), place)
        found.append(Drawing(name, title, told_by(campaign, what), figure, drawn))
    return found


def draw(data: pd.DataFrame, look: Mapping[str, Look]) -> Figure:
    """A panel a quantity that any row has, and one of the share of settled tokens."""
    kinds = [kind for kind in PANELS if (data["quantity"] == kind).any()]
    legend = {**entries(look), "1e-3": level_entry(":")}
    with styled():
        figure = canvas(1, len(kinds) + 1, legend, height=2.1)
        *moves, share = figure.axes
        for axes, kind in zip(moves, kinds, strict=True):
            part = data[data["quantity"] == kind].rename(columns={"median": "mean"})
            axes.set_yscale("log")
            panel(axes, part, look)
            if kind == "change":
                axes.axhline(SETTLED, color=GREY, linestyle=":", linewidth=0.9, zorder=1)
            axes.set_ylabel(PANELS[kind])
        changes = data[data["quantity"] == "change"]
        panel(share, changes.assign(mean=changes["settled"], low=np.nan, high=np.nan), look)
        share.plot(*CLAIM, "x", color="black", markersize=6, zorder=4)
        share.set_ylabel("Settled tokens, %")
        share.set_ylim(-4, 104)
    return figure


def panel(axes: Axes, data: pd.DataFrame, look: Mapping[str, Look]) -> None:
    """A curve a row over the iterations."""
    for row, one in look.items():
        mine = data[data["method"] == row]
        if len(mine):
            curve(
                axes, mine, "iteration", replace(one, marker="" if len(mine) > 12 else one.marker)
            )
    budget_axis(axes, [int(k) for k in data["iteration"]])
    axes.set_xlabel("Iteration k")
