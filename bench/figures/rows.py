"""Rows of the tables as figures show them: names that read, looks, and how many fit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import pandas as pd

from ..campaign import Campaign
from .style import colours, marks

PART, PARTS = 10, 3
"""Rows that one drawing shows, and how many such drawings there are of one thing."""

WIDTH = 24
"""Characters of a name in a figure."""


Dash = Literal["-", "--", "-.", ":"]


@dataclass(frozen=True)
class Look:
    """How a row of the tables is drawn; the label is shortened and plain."""

    label: str
    colour: tuple[float, float, float]
    marker: str
    dash: Dash


def plain(text: str) -> str:
    """The text as it stands: nothing of it is read as a formula, nothing unprintable is left."""
    return "".join(c if c.isprintable() else "?" for c in text).replace("$", r"\$")


def shorten(text: str, width: int = WIDTH) -> str:
    """`a-very-long-na…e-variant`: both ends of a name that is too long."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 3
    return f"{text[: width - 1 - tail]}…{text[-tail:]}"


def labels(names: Iterable[str]) -> dict[str, str]:
    """Names as figures show them: short, plain, and no two alike."""
    found: dict[str, str] = {}
    for name in names:
        text, number = shorten(name), 1
        while plain(text) in found.values():
            number += 1
            text = f"{shorten(name, WIDTH - 5)} ({number})"
        found[name] = plain(text)
    return found


def stem(*parts: str) -> str:
    """Parts of a file's name; what a file system might refuse is replaced, and told apart."""
    name = "-".join(parts)
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", name)[:80]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def looks(campaign: Campaign, rows: Sequence[str]) -> dict[str, Look]:
    """A look a row: the same in all figures as far as the palette's ten colours tell rows apart."""
    colour, mark = colours(campaign.rows), marks(campaign.rows)
    if len({colour[row] for row in rows}) < len(rows):
        colour, mark = colours(rows), marks(rows)
    names = labels(rows)
    return {
        row: Look(names[row], colour[row], mark[row][0], cast(Dash, mark[row][1])) for row in rows
    }


def shown(values: pd.Series, reference: str, part: int = PART) -> list[list[str]]:
    """Which rows each drawing shows: all in one, or the best first with the reference in each.

    values: a score by row; part: rows that fit, two or more. Of rows beyond PARTS drawings the
    worst are shown in none.
    """
    score = values.fillna(-np.inf)
    order = sorted(score.index, key=lambda row: (-score[row], row))
    if len(order) <= part:
        return [sorted(order)] if order else []
    kept = [reference] if reference in order else []
    others, size = [row for row in order if row not in kept], part - len(kept)
    starts = range(0, min(len(others), PARTS * size), size)
    return [sorted([*kept, *others[start : start + size]]) for start in starts]


def left_out(values: pd.Series, parts: Sequence[Sequence[str]]) -> str:
    """What a caption says of rows that no drawing shows."""
    missing = len(set(values.index) - {row for part in parts for row in part})
    return f"; {missing} row(s) of lower score not drawn" if missing else ""


def part_name(name: str, place: int) -> str:
    """The name of a drawing, by its place among those of one thing."""
    return name if place == 0 else f"{name}-part{place + 1}"
