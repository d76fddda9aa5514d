"""Whether the metrics of a record can be true: counts that add up, places that its trial names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .trial import OK, Record

SHARES = ("token", "sequence", "nonfinite", "gained", "lost", "settled")
"""Metrics of every record that count hits: 0 ≤ sum ≤ n. A task's own may be no share."""

Found = Mapping[tuple[Any, ...], tuple[int, float | None]]
"""(split, length, iterations, axis, stratum, metric) -> n, sum."""


def inconsistency(record: Record) -> str:
    """What contradicts itself in a record that the schema allows: a line, or "" for nothing."""
    if record.status != OK:
        return f"expected no metrics of status {record.status}" if record.metrics else ""
    if not record.metrics:
        return "expected metrics of status ok, found none"
    found: dict[tuple[Any, ...], tuple[int, float | None]] = {}
    for *place, n, total in record.metrics:
        if tuple(place) in found:
            return f"expected {named(place)} once, found it twice"
        found[tuple(place)] = n, total
    return foreign(found, record) or untrue_share(found) or unequal_parts(found)


def foreign(found: Found, record: Record) -> str:
    """A length or budget that the trial does not name."""
    lengths = record.trial.test_lengths
    budgets = {0, *record.trial.evaluate["iterations"]}  # whoever does not iterate is asked once
    for place in found:
        if place[1] not in lengths:
            return f"expected a length among {list(lengths)}, got {named(place)}"
        if place[2] not in budgets:
            return f"expected iterations among {sorted(budgets)}, got {named(place)}"
    return ""


def untrue_share(found: Found) -> str:
    """A count of hits that is not within 0 … n."""
    for place, (n, total) in found.items():
        if place[-1] in SHARES and (total is None or not 0 <= total <= n):
            return f"expected a sum of 0 to {n} for {named(place)}, got {total}"
    return ""


def unequal_parts(found: Found) -> str:
    """An axis whose strata hold more than there is in all."""
    parts: dict[tuple[Any, ...], list[float]] = {}
    for (split, length, taken, axis, _, metric), (n, total) in found.items():
        if axis != "all":
            slot = parts.setdefault((split, length, taken, axis, metric), [0, 0])
            slot[0] += n
            slot[1] += total or 0
    for (split, length, taken, axis, metric), (count, hits) in parts.items():
        whole = found.get((split, length, taken, "all", 0, metric))
        place = named((split, length, taken, axis, "every stratum", metric))
        if whole is None:
            return f"expected axis all beside {place}, found none"
        if count > whole[0]:
            return f"expected n of at most {whole[0]} over {place}, got {count:g}"
        if metric in SHARES and hits > (whole[1] or 0):
            return f"expected a sum of at most {whole[1]} over {place}, got {hits:g}"
    return ""


def named(place: Any) -> str:
    """`test/16/0/all/0/token`, cut."""
    text = "/".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in place)
    return text if len(text) <= 100 else f"{text[:99]}…"
