"""Every row against the reference: paired differences by task and length, and over the tasks.

Seeds pair by their number. p-values stand from five seeds (or tasks) on; Holm's correction holds
within a declared family: all rows against the reference on one task's own metric, at all trained
lengths; over the tasks, all rows against the reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..scores import scores
from ..stats.intervals import seed_interval
from ..stats.paired import holm, paired_difference, sign_flip, wilcoxon
from ..tables import Table
from ..trial import OK
from .gather import (
    closing,
    p_text,
    reference_row,
    shared,
    told,
    trained_scores,
    without_blank,
)
from .over_tasks import table_over_tasks

FEW = (
    "Under five seeds no p-value is printed: n pairs give no two-sided p below 2/2ⁿ, which is "
    "0.0625 at n = 5, so that five seeds alone never reach 0.05"
)

COLUMNS = ["task", "L", "method", "metric", "method, %", "reference, %", "difference, points"]
COLUMNS += ["pairs", "p", "p Holm", "p Wilcoxon"]

Cell = tuple[str, int, str]
"""Task, trained length, row."""


def pair_tables(campaign: Campaign, reference: str) -> list[Table]:
    """By task and length, and over the tasks where there are two; none without a second row."""
    if len(campaign.rows) < 2:
        return []
    found, (row, remarks) = scores(campaign), reference_row(campaign, reference)
    notes = (*remarks, closing(campaign))
    tables = [table_by_task(campaign, found, row, notes)]
    if len(campaign.tasks) > 1:
        tables.append(table_over_tasks(campaign, found, row, notes))
    return [table for table in tables if len(table.frame)]


def table_by_task(
    campaign: Campaign, found: pd.DataFrame, reference: str, notes: Sequence[str]
) -> Table:
    """One line a task, trained length and row, where the reference was planned too."""
    mine = trained_scores(found)
    values, failed = by_cell(mine)
    metrics = dict(zip(mine["task"], mine["metric"], strict=True))
    places = {(t.question, t.length) for t in campaign.trials if t.row == reference}
    others = [cell for cell in values if cell[2] != reference]
    cells = sorted(cell for cell in others if cell[:2] in places)
    pairs = {
        (task, length, row): shared(
            [values[task, length, row], values.get((task, length, reference), {})]
        )
        for task, length, row in cells
    }
    pvalues = {cell: sign_flip(np.subtract(pair[0], pair[1])) for cell, pair in pairs.items()}
    mended = by_family(pvalues)
    rows = []
    for cell, (ours, theirs) in pairs.items():
        task, length, row = cell
        base = (task, length, reference)
        rows.append(
            [
                *(task, str(length), row, metrics[task]),
                *(score_text(values.get(c, {}), failed.get(c, [])) for c in (cell, base)),
                told(paired_difference(ours, theirs), 2, signed=True),
                str(len(ours)),
                *map(p_text, (pvalues[cell], mended[cell], wilcoxon(np.subtract(ours, theirs)))),
            ]
        )
    if len(cells) < len(others):
        left = len(others) - len(cells)
        notes = (f"Left out: {left} line(s) where {reference} was not asked the same", *notes)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    title = f"Paired differences to {reference} by task"
    note = by_task_note(reference, families(cells))
    return Table("pairs", title, without_blank(frame), (note, *notes), keys=3)


def by_task_note(reference: str, comparisons: str) -> str:
    """How to read the table by task."""
    return (
        f"Each row less the reference {reference}, at the trained lengths and budgets, by the "
        "task's own metric: mean over seeds [95 % t interval], the difference over the pairs of "
        "the same seed; p: exact sign flips, two-sided; p Holm: of those, corrected within the "
        "family of all rows and trained lengths against the reference on one task's own metric "
        f"({comparisons} comparisons a task). {FEW}"
    )


def by_cell(mine: pd.DataFrame) -> tuple[dict[Cell, dict[int, float]], dict[Cell, list[str]]]:
    """Percent by seed of every cell, and the statuses of its trials that failed."""
    values: dict[Cell, dict[int, float]] = {}
    failed: dict[Cell, list[str]] = {}
    names = ("task", "trained_length", "method", "seed", "value", "status")
    for task, length, row, seed, value, status in zip(*(mine[n] for n in names), strict=True):
        cell = (str(task), int(length), str(row))
        values.setdefault(cell, {})[int(seed)] = 100 * float(value)
        if status != OK:
            failed.setdefault(cell, []).append(str(status))
    return values, failed


def score_text(values: Mapping[int, float], failed: Sequence[str]) -> str:
    """Mean and interval in percent, with how many failed; the statuses where all did."""
    if not values:
        return "-"
    if len(failed) == len(values):
        return ", ".join(sorted(set(failed)))
    text = told(seed_interval(list(values.values()), 0, 100), 2)
    return f"{text} ({len(failed)} failed)" if failed else text


def by_family(pvalues: Mapping[Cell, float | None]) -> dict[Cell, float | None]:
    """Holm's p-values, every task a family of its own."""
    mended: dict[Cell, float | None] = dict.fromkeys(pvalues)
    for _, group in groupby(sorted(pvalues), key=lambda cell: cell[0]):
        cells = list(group)
        if all(pvalues[cell] is None for cell in cells):
            continue
        found = holm({str(place): pvalues[cell] for place, cell in enumerate(cells)})
        mended.update(zip(cells, found.values(), strict=True))
    return mended


def families(cells: Sequence[Cell]) -> str:
    """How many comparisons the families have: `5`, or `1 to 20`."""
    sizes = pd.Series([task for task, _, _ in cells], dtype=object).value_counts()
    if sizes.empty:
        return "0"
    return " to ".join(str(size) for size in sorted({int(sizes.min()), int(sizes.max())}))
