"""What the claims' plots are made of: lines of numbers, curves with intervals, panels, a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..campaign import Campaign
from ..figures.axes import budget_axis, share_axis
from ..figures.figure import Drawing, Missing, told_by
from ..figures.panels import canvas, entries
from ..figures.rows import Dash, Look
from ..figures.style import COLUMN, colours, marks, styled
from ..stats.intervals import Interval, seed_interval
from .pairing import wanted

Line = Mapping[str, object]
Drawn = list[Drawing | Missing]
ACROSS = 4
"""Panels beside each other at the most."""

INTERVAL = "mean over seeds, 95 % t interval"


def named(name: str) -> str:
    """The stem of a claim's plot."""
    return f"claim-{name}"


def missing(name: str, rows: Sequence[str]) -> Drawn:
    """No records to draw from."""
    return [Missing(named(name), wanted("small", rows))]


def drawing(
    name: str, title: str, campaign: Campaign, figure: Figure, lines: Sequence[Line]
) -> Drawn:
    """The figure, unless nothing was drawn into it."""
    if not lines:
        return [Missing(named(name), wanted(campaign.preset, []))]
    caption = f"{title}; {told_by(campaign, INTERVAL)}"
    return [Drawing(named(name), title, caption, figure, pd.DataFrame(lines))]


def one_panel(lines: Sequence[Line], x: str, xlabel: str, ylabel: str, **how: object) -> Figure:
    """Curves in one column's width, with a legend inside; `how` goes to `curves`."""
    with styled():
        figure = Figure(figsize=(COLUMN, 2.2))
        axes = figure.subplots()
        curves(axes, lines, x, **how)  # type: ignore[arg-type]
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.legend()
    return figure


def panels(
    lines: Sequence[Line], key: str, x: str, title: str, xlabel: str, apart: bool = False
) -> Figure:
    """Percents right, a panel a value of `key`; title holds {}.

    The same curves in all and one legend below, or, `apart`, a legend a panel.
    """
    values = sorted({each[key] for each in lines})  # type: ignore[type-var]
    columns = min(ACROSS, max(1, len(values)))
    names = sorted({str(each["curve"]) for each in lines})
    with styled():
        below = {} if apart else entries({name: look(name, names) for name in names})
        figure = canvas(-(-len(values) // columns) or 1, columns, below)
        for axes, value in zip(figure.axes, values, strict=False):
            mine = [each for each in lines if each[key] == value]
            curves(axes, mine, x, names=() if apart else names)
            share_axis(axes, [float(str(each["mean"])) for each in mine])
            axes.set_title(title.format(value))
            axes.set_xlabel(xlabel)
            if apart:
                axes.legend(loc="lower right")
        for axes in figure.axes[::columns]:
            axes.set_ylabel("right, %")
        for axes in figure.axes[len(values) :]:
            axes.remove()
    return figure


def look(name: str, names: Sequence[str]) -> Look:
    """How a curve among others is drawn."""
    marker, dash = marks(names)[name]
    return Look(name, colours(names)[name], marker, cast(Dash, dash))


def by_budget(figure: Figure, budgets: Sequence[int]) -> None:
    """Show the iterations K as they were scored, doubling, with 0."""
    with styled():
        for axes in figure.axes:
            budget_axis(axes, budgets)


def percent(values: Sequence[float], **place: object) -> dict[str, object]:
    """A row of a plot's numbers: the mean of percents over seeds, its interval cut at 0 and 100."""
    return line(seed_interval(values, 0, 100), **place)


def line(figure: Interval, **place: object) -> dict[str, object]:
    """A row of a plot's numbers."""
    return {**place, "mean": figure.mean, "low": figure.low, "high": figure.high, "n": figure.n}


def curves(
    axes: Axes,
    lines: Sequence[Line],
    x: str,
    names: Sequence[str] = (),
    dodge: float = 0.0,
    band: bool = False,
) -> None:
    """A curve a name with its intervals; `dodge` sets curves apart by a share of x."""
    frame = pd.DataFrame(lines)
    if not len(frame):
        return
    names = list(names) or list(dict.fromkeys(frame["curve"]))
    hue, mark = colours(names), marks(names)
    for place, name in enumerate(names):
        mine = frame[frame["curve"] == name].sort_values(x)
        if not len(mine):
            continue
        at = mine[x] * (1 + dodge * (place - (len(names) - 1) / 2))
        marker, dash = ("", mark[name][1]) if band else mark[name]
        if band:
            axes.plot(at, mine["mean"], color=hue[name], linestyle=dash, label=name)
            axes.fill_between(at, mine["low"], mine["high"], color=hue[name], alpha=0.2, lw=0)
            continue
        spread = np.abs(mine[["low", "high"]].sub(mine["mean"], axis=0).to_numpy().T)
        axes.errorbar(
            at,
            mine["mean"],
            yerr=np.nan_to_num(spread),
            color=hue[name],
            marker=marker,
            linestyle=dash,
            label=name,
            elinewidth=0.8,
        )
