"""What goes into the page besides markup: data as JSON, files as data URIs, hashes of scripts."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from ..trial import finite

PLAIN = 100_000
"""Characters from which a block of data is deflated; shorter ones can be read in the source."""
SAFE = "/:,;()[]=+|?@!* "
"""Characters that data URIs keep, beside letters, digits and `-._~`."""


def block(name: str, value: Any, plain: int = PLAIN) -> Markup:
    """A script element of JSON that no content can leave; deflated in base64 where it is long."""
    text = json.dumps(finite(value), separators=(",", ":"), allow_nan=False)
    if len(text) > plain:
        body, packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode(), " data-packed"
    else:
        body, packed = text, ""
        for mark in "&<>":
            body = body.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(f'<script type="application/json" id="{name}"{packed}>{body}</script>')


def script(text: str) -> tuple[Markup, str]:
    """A script element, and the hash by which the content security policy lets it run."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(f"<script>{text}</script>"), f"'sha256-{digest}'"


def csv_link(frame: pd.DataFrame) -> str:
    """A data URI of a frame as CSV."""
    return "data:text/csv;charset=utf-8," + quoted(frame.to_csv(index=False))


def svg_link(svg: str) -> str:
    """A data URI of a drawing."""
    return "data:image/svg+xml," + quoted(" ".join(svg.split()))


def quoted(text: str) -> str:
    """Text as part of a data URI; a lone half of a surrogate pair becomes `?`."""
    return quote(text.encode("utf-8", "replace"), safe=SAFE)


def columns(frame: pd.DataFrame) -> dict[str, Any]:
    """A frame column by column: numbers as they are, texts as places in a list of their own."""
    found: dict[str, Any] = {}
    for name in map(str, frame.columns):
        values = frame[name].tolist()
        if any(isinstance(value, str) for value in values):
            words = sorted(set(values))
            places = {word: place for place, word in enumerate(words)}
            found[name] = {"words": words, "places": [places[value] for value in values]}
        else:
            found[name] = values
    return found


class Pool:
    """Nested values, each different one kept once: what trials share is stored once.

    entries[i] is a scalar, or a list or an object of places in `entries`.
    """

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._places: dict[Any, int] = {}

    def add(self, value: Any) -> int:
        """The place of a value."""
        node: Any
        if isinstance(value, Mapping):
            node = {str(key): self.add(item) for key, item in value.items()}
            key: Any = ("object", *node.items())
        elif isinstance(value, list | tuple):
            node = [self.add(item) for item in value]
            key = ("list", *node)
        else:
            node, key = value, (type(value).__name__, value)
        if key not in self._places:
            self._places[key] = len(self.entries)
            self.entries.append(node)
        return self._places[key]


class Room:
    """How many characters are left for data, and what was left out for want of them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.left_out: list[str] = []

    def views(self, views: list[dict[str, Any]], most: int, kind: str) -> list[dict[str, Any]]:
        """The views that fit, in their order; names those that do not."""
        kept: list[dict[str, Any]] = []
        lacking: list[dict[str, Any]] = []
        room = min(most, self.size)
        for view in views:
            size = len(str(view))
            fits = size <= room
            (kept if fits else lacking).append(view)
            room, self.size = room - size * fits, self.size - size * fits
        if lacking:
            named = "; ".join(view["title"] for view in lacking[:5])
            self.left_out.append(
                f"{len(lacking)} {kind} ({named}{'; …' if len(lacking) > 5 else ''})"
            )
        return kept

    def block(self, name: str, steps: Sequence[tuple[str, Callable[[], Any]]]) -> Markup:
        """The first of the steps whose block fits, else the last; a step's text names its lack."""
        for lacking, make in steps:
            found, lack = block(name, make()), lacking
            if len(found) <= self.size:
                break
        if lack:
            self.left_out.append(f"{lack}: too many for one page")
        self.size -= len(found)
        return found
