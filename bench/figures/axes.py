"""Axes of lengths, budgets and FLOPs, whose tick labels do not touch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..tables import engineering

APART = 0.1
"""Share of an axis that lies between two tick labels at the least."""


def share_axis(axes: Axes, values: Iterable[float]) -> None:
    """An axis of percents up to 100, from below the least of the values."""
    least = min((value for value in values if np.isfinite(value)), default=0.0)
    axes.set_ylim(min(10 * np.floor(least / 10), 60) - 2, 103)


def spaced(places: Sequence[float], limits: tuple[float, float]) -> list[float]:
    """Those of the places, already on a linear scale, whose labels do not touch; the ends first."""
    span = (limits[1] - limits[0]) or 1.0
    kept: list[float] = []
    for place in [places[0], places[-1], *places[1:-1]]:
        if all(abs(place - other) >= APART * span for other in kept):
            kept.append(place)
    return sorted(kept)


def length_axis(axes: Axes, lengths: Sequence[int], label: str) -> None:
    """An axis of lengths with its ticks at them; by powers of two where they span a factor of 4."""
    places = sorted(set(lengths))
    axes.set_xlabel(label)
    if places[-1] >= 4 * places[0] > 0:
        axes.set_xscale("log", base=2)
        kept = [2**p for p in spaced(list(np.log2(places)), tuple(np.log2(axes.get_xlim())))]
    else:
        kept = spaced(places, axes.get_xlim())
    axes.set_xticks(kept, [f"{round(place)}" for place in kept])
    axes.minorticks_off()


def budget_axis(axes: Axes, budgets: Sequence[int]) -> None:
    """An axis of iteration budgets, 0 included, in steps of doubling."""
    axes.set_xscale("function", functions=(log_budget, lambda x: np.exp2(x) - 1))
    places = sorted(set(budgets))
    limits = (log_budget(places[0]) - 0.3, log_budget(places[-1]) + 0.3)
    axes.set_xlim(2 ** limits[0] - 1, 2 ** limits[1] - 1)
    kept = spaced([float(log_budget(place)) for place in places], limits)
    ticks = [round(2**place - 1) for place in kept]
    axes.set_xticks(ticks, [f"{tick}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("Iterations K")


def log_budget(budgets):  # noqa: ANN001, ANN201 - an array or a number, as matplotlib asks
    """log2(1 + K); −1 at the edge of what is defined."""
    return np.log2(1 + np.maximum(budgets, -0.5))


def flops_axis(axes: Axes, values: Iterable[float], label: str) -> None:
    """A logarithmic axis of FLOPs, `1 M`, `10 M`, at least a factor of four wide."""
    finite = [value for value in values if np.isfinite(value) and value > 0]
    low, high = np.log10(min(finite)), np.log10(max(finite))
    wide = max(0.05 * (high - low), 0.3 - (high - low) / 2, 0.03)
    axes.set_xscale("log")
    axes.set_xlim(10 ** (low - wide), 10 ** (high + wide))
    narrow = high - low + 2 * wide < 2
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: engineering(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
