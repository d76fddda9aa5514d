"""How our figures look: one file. Sizes fit a two-column paper; colours serve the colour-blind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import seaborn as sns  # type: ignore[import-untyped]

COLUMN, PAGE = 3.4, 7.0
"""Widths in inches of one column and of both."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
DASHES = ("-", "--", "-.", ":")

SETTINGS = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "text.usetex": False,
    "svg.hashsalt": "closedloop",
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw and save within this: the settings of the caller's session come back afterwards."""
    settings: dict[Any, Any] = {**sns.axes_style("ticks"), **SETTINGS}
    with mpl.rc_context(settings):
        yield


def colours(rows: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """A colour a row of the tables, in the order of their names (seaborn's colourblind palette)."""
    names = sorted(set(rows))
    palette = list(sns.color_palette("colorblind", 10))
    palette[7] = (0.1, 0.1, 0.1)  # its grey is kept for levels
    return dict(zip(names, cycle(palette), strict=False))


def marks(rows: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A marker and a dash a row, so that no figure is read by colour alone."""
    names = sorted(set(rows))
    return {
        name: (MARKERS[i % len(MARKERS)], DASHES[(i // 10 + i) % len(DASHES)])
        for i, name in enumerate(names)
    }
