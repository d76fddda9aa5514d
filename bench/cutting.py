"""Texts that fit a cell: one line, and an ellipsis where there is too much."""

from __future__ import annotations

import unicodedata

ELLIPSIS = "…"


def flat(text: str) -> str:
    """The text on one line, without characters that control, or mark what is not shown."""
    spaced = " ".join(str(text).split())
    if spaced.isprintable():
        return spaced
    return "".join(letter for letter in spaced if unicodedata.category(letter)[0] != "C")


def shortened(text: str, most: int) -> str:
    """A line of at most `most` characters: the middle gives way."""
    line = flat(text)
    if len(line) <= most:
        return line
    head = 2 * (most - 1) // 3
    return line[:head] + ELLIPSIS + line[len(line) - (most - 1 - head) :]
