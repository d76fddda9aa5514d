"""What a figure is: drawn from records alone, with the numbers beside it; or why there is none."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pandas as pd
from matplotlib.figure import Figure

from ..campaign import Campaign
from ..store import write_whole
from .style import styled

FORMATS = ("pdf", "svg", "png")


@dataclass(frozen=True)
class Drawing:
    """A figure with its file's stem, what it shows, and the numbers that are drawn in it.

    The caption says n, seeds, interval, preset and device. data has a column for every quantity
    on an axis or in a colour; it is written beside the figure as CSV.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame


@dataclass(frozen=True)
class Missing:
    """A figure that these records cannot give, and why."""

    name: str
    reason: str


Maker = Callable[[Campaign, str], list[Drawing | Missing]]
"""Called with the campaign and the name of the reference method's row."""


def write_drawing(drawing: Drawing, folder: Path) -> list[Path]:
    """Write a figure as PDF, SVG and PNG, and its numbers as CSV."""
    written = []
    with styled():
        for form in FORMATS:
            path = folder / f"{drawing.name}.{form}"
            write_whole(path, functools.partial(save, drawing.figure, form))
            written.append(path)
    path = folder / f"{drawing.name}.csv"
    text = drawing.data.to_csv(index=False, float_format="%.6g")
    write_whole(path, lambda file: file.write(text.encode()))
    return [*written, path]


def save(figure: Figure, form: str, file: IO[bytes]) -> None:
    """Write a figure without the date, so that the same records give the same file."""
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(form)
    figure.savefig(file, format=form, bbox_inches="tight", metadata=metadata)


def told_by(campaign: Campaign, what: str) -> str:
    """The end of every caption: interval, seeds, preset, device."""
    return (
        f"{what}; {campaign.seeds} seed(s) planned, preset {campaign.preset}, on {campaign.device}"
    )
