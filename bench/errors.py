"""Mistakes that a user can make, each told in one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Misuse(ValueError):
    """Bad input: the message says what was expected, what came, and what to do."""


def unknown(kind: str, name: str, known: Iterable[str]) -> Misuse:
    """`no method 'etq'. Did you mean 'eqt'? Known: …`."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return Misuse(f"no {kind} {name!r}.{hint} Known: {', '.join(names)}")


def one_line(error: BaseException) -> str:
    """`Type: message` on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
