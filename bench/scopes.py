"""Parts of a campaign that several rows were asked alike, so that more rows can be aggregated.

Where a preset asks some rows less than others, aggregates over everything are of few rows; over
what more of them were asked, they are of more.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from .campaign import Campaign
from .trial import UNSUPPORTED

Asked = Set[tuple[str, int]]
"""Pairs of task and trained length."""

FEWEST_TASKS, FEWEST_ROWS, MOST = 2, 3, 3
"""Tasks and rows of a part at the least, and parts at the most."""


def asked(campaign: Campaign) -> dict[str, set[tuple[str, int]]]:
    """Row -> the pairs of task and trained length that it is asked, as far as it can be.

    A pair whose trials all ended as unsupported was not asked.
    """
    planned: dict[str, set[tuple[str, int]]] = {}
    for trial in campaign.trials:
        planned.setdefault(trial.row, set()).add((trial.question, trial.length))
    seen: dict[tuple[str, tuple[str, int]], set[str]] = {}
    for record in campaign.records:
        cell = (record.trial.question, record.trial.length)
        seen.setdefault((record.trial.row, cell), set()).add(record.status)
    for (row, cell), statuses in seen.items():
        if statuses == {UNSUPPORTED}:
            planned[row].discard(cell)
    return planned


def parts(campaign: Campaign) -> list[Campaign]:
    """What more rows were asked than everything, the part of most rows and tasks first.

    Each is a set of pairs that a row was asked, with every row that was asked all of them.
    """
    cells = asked(campaign)
    every = frozenset().union(*cells.values())
    whole = sum(mine == every for mine in cells.values())
    sets = {frozenset(mine) for mine in cells.values()} - {every}
    found = []
    for wanted in sets:
        rows = {row for row, mine in cells.items() if mine >= wanted}
        tasks = len({task for task, _ in wanted})
        if tasks >= FEWEST_TASKS and len(rows) >= max(FEWEST_ROWS, whole + 1):
            found.append((-len(rows) * tasks, sorted(wanted), rows))
    return [part(campaign, set(wanted), rows) for _, wanted, rows in sorted(found)[:MOST]]


def part(campaign: Campaign, wanted: Asked, rows: Set[str]) -> Campaign:
    """The trials of these pairs and rows, as a campaign."""
    trials = [t for t in campaign.trials if t.row in rows and (t.question, t.length) in wanted]
    ids = {trial.id for trial in trials}
    records = [record for record in campaign.records if record.trial.id in ids]
    return replace(campaign, trials=trials, records=records)


def widest(campaign: Campaign) -> Campaign:
    """The campaign, or its part that tells of most rows and tasks: rows times tasks, complete."""
    cells = asked(campaign)
    every = set().union(*cells.values())
    rows = sum(mine == every for mine in cells.values())
    candidates = parts(campaign)
    if not candidates:
        return campaign
    first = candidates[0]
    size = len(first.rows) * len(first.tasks)
    return first if size > rows * len(campaign.tasks) else campaign
