"""Panels with a legend below, curves with bands, and grey levels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from .rows import Dash, Look
from .style import PAGE

HEIGHT = 1.9
"""Inches of a panel."""

GREY = "0.45"


def canvas(
    rows: int,
    columns: int,
    entries: Mapping[str, Artist],
    width: float = PAGE,
    height: float = HEIGHT,
) -> Figure:
    """An empty figure of panels, row by row in `.axes`, with a legend of the entries below."""
    beside = min(legend_columns(entries, width), max(1, len(entries)))
    below = 0.16 * -(-len(entries) // beside) + 0.1
    figure = Figure(figsize=(width, rows * height + below))
    figure.subplots(rows, columns, squeeze=False)
    if entries:
        numbers = [str(i) for i in range(len(entries))]  # a name's own `_` would hide its entry
        legend = figure.legend(
            list(entries.values()), numbers, loc="outside lower center", ncols=beside
        )
        for text, name in zip(legend.get_texts(), entries, strict=True):
            text.set_text(name)
    return figure


def legend_columns(names: Iterable[str], width: float) -> int:
    """How many of the names, as wide as the widest, stand beside each other in so many inches."""
    font = FontProperties(size=rcParams["legend.fontsize"])
    widths = [text_to_path.get_text_width_height_descent(name, font, False)[0] for name in names]
    em = font.get_size_in_points()
    entry = max(widths, default=0) + 4.8 * em  # handle 2, its gap 0.8, the gap of columns 2
    return max(1, int((72 * width + em) / entry))


def entries(of: Mapping[str, Look]) -> dict[str, Artist]:
    """Legend entries of rows."""
    return {
        look.label: Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.dash)
        for look in of.values()
    }


def level_entry(dash: Dash) -> Line2D:
    """The legend entry of a level drawn by `level`."""
    return Line2D([], [], color=GREY, linestyle=dash, linewidth=0.9)


def level(axes: Axes, x: Sequence[float], y: Sequence[float], dash: Dash) -> None:
    """A grey line of reference, over the whole width where there is one place."""
    style = {"color": GREY, "linestyle": dash, "linewidth": 0.9, "zorder": 1}
    if len(x) == 1:
        axes.axhline(y[0], **style)  # type: ignore[arg-type]
    else:
        axes.plot(x, y, **style)  # type: ignore[arg-type]


def curve(axes: Axes, data: pd.DataFrame, x: str, look: Look, hollow: bool = False) -> None:
    """Mean over x with its band, or with a bar where there is one place; needs low and high."""
    data = data.sort_values(x)
    face = "white" if hollow else look.colour
    axes.plot(
        data[x],
        data["mean"],
        color=look.colour,
        marker=look.marker,
        linestyle=look.dash,
        markerfacecolor=face,
        zorder=3,
    )
    if len(data) > 1:
        axes.fill_between(
            data[x], data["low"], data["high"], color=look.colour, alpha=0.15, linewidth=0
        )
    else:
        axes.vlines(data[x], data["low"], data["high"], color=look.colour, linewidth=0.9)
