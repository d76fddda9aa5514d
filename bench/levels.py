"""The levels that a score is read against: chance, the stated shortcut, trivial rules as run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..tasks.task import Task
from .trial import OK, Record
from .view import View


def level_rows(view: View, metric: str) -> list[list[str]]:
    """Rows [name, K, a cell a length, trials] below the methods' of a table."""
    rows = [[name, "", *cells, ""] for name, cells in rule_cells(view, metric).items()]
    if view.task is None or view.task.metric != metric:
        return rows
    told = {n: stated(view.task, view.records, n) for n in view.lengths}
    names = sorted({name for levels in told.values() for name in levels}, reverse=True)
    return rows + [
        [name, "", *(f"{100 * told[n][name]:.2f}" if name in told[n] else "-" for n in told), ""]
        for name in names
    ]


def stated(task: Task, records: Sequence[Record], length: int) -> dict[str, float]:
    """`(shortcut)` and `(chance)` at a length, of every form that was asked, as the records tell.

    Older records do not: then the task is asked, which may have to make rows.
    """
    found: dict[str, float] = {}
    for record in records:
        told: Mapping[str, Any] = record.data.get(str(length), {})
        form = form_text(told.get("form", {}))
        for name, level in told.get("levels", {}).items():
            found.setdefault(f"({name}{'; ' + form if form else ''})", level)
    if found:
        return found
    return {"(shortcut)": task.shortcut(length), "(chance)": task.chance(length)}


def rule_cells(view: View, metric: str) -> dict[str, list[str]]:
    """A cell a length of every trivial rule: what it scored on the very test rows of the records.

    A rule that was run on several forms of the task has a row for each.
    """
    if not view.is_share(metric):
        return {}
    found: dict[str, dict[int, float]] = {}
    for length in view.lengths:
        for record in view.records:
            for name, share in rule_shares(record, length, metric).items():
                found.setdefault(name, {}).setdefault(length, share)
    return {
        name: [f"{100 * shares[n]:.2f}" if n in shares else "-" for n in view.lengths]
        for name, shares in sorted(found.items())
    }


def rule_shares(record: Record, length: int, metric: str) -> dict[str, float]:
    """`(rule: NAME)` -> share of a metric, as a record tells it; older records tell none."""
    told: Mapping[str, Any] = record.data.get(str(length), {})
    form = form_text(told.get("form", {}))
    return {
        f"(rule: {name}{'; ' + form if form else ''})": total / n
        for name, rows in told.get("rules", {}).items()
        for axis, _, found, n, total in rows
        if axis == "all" and found == metric
    }


def strongest_rule(records: Sequence[Record], length: int, metric: str) -> tuple[str, float] | None:
    """Name and share of the best trivial rule on the test rows: the plain form's, where asked."""
    shares = {
        name: share
        for record in records
        for name, share in rule_shares(record, length, metric).items()
    }
    plain = {name: share for name, share in shares.items() if "; " not in name}
    shares = plain or shares
    if not shares:
        return None
    best = max(shares, key=lambda name: shares[name])
    return best.removeprefix("(rule: ").removesuffix(")"), shares[best]


def forms(records: Sequence[Record]) -> str:
    """Who was asked the task in another form: `layout=copy (gru, transformer)`."""
    rows: dict[str, set[str]] = {}
    for record in records:
        for told in record.data.values() if record.status == OK else ():
            form = form_text(told.get("form", {}))
            if form:
                rows.setdefault(form, set()).add(record.trial.row)
    return "; ".join(f"{form} ({', '.join(sorted(names))})" for form, names in rows.items())


def form_text(form: Mapping[str, Any]) -> str:
    """`layout=copy`: the options in which a form differs."""
    return ", ".join(f"{name}={value}" for name, value in sorted(form.items()))
