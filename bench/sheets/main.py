"""The main leaderboard: every row over all tasks, with intervals, wins, ranks, solved runs, cost.

Aggregates are of complete rows only, those that were asked every task at every trained length;
others stand below with their coverage. Where trials failed, a second table leaves them out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..scopes import parts
from ..scores import scores
from ..stats.aggregate import interquartile_mean, mean_of_tasks, wins
from ..stats.intervals import Interval, wilson
from ..stats.ranks import rank_intervals
from ..stats.resampling import REPLICATES
from ..tables import Table, engineering
from ..trial import OK, UNSUPPORTED
from .batches import TaskSeeds, against, alone
from .gather import (
    asked_tasks,
    closing,
    common,
    coverage,
    reference_row,
    shared,
    sides,
    task_values,
    told,
    without_blank,
    without_failures,
)
from .reading import LONGEST, SOLVED, Values, notes_of
from .runs import effective, means_of_costs, solved_runs


def main_tables(campaign: Campaign, reference: str) -> list[Table]:
    """The leaderboard with failures as chance, and where any trial failed one without them.

    Where a preset asks some rows less than others, the same over what more rows were asked.
    """
    found = tables_of(campaign, reference)
    for place, part in enumerate(parts(campaign), 1):
        tasks, rows = ", ".join(part.tasks), len(part.rows)
        for table in tables_of(part, reference):
            told = f"Of the tasks and lengths that {rows} rows were asked: {tasks}"
            name = table.name.replace("main", f"main-part{place}")
            found.append(replace(table, name=name, notes=(told, *table.notes)))
    return found


def tables_of(campaign: Campaign, reference: str) -> list[Table]:
    """The leaderboard of a campaign or a part of it, with failures and, if any, without."""
    found, (row, remarks) = scores(campaign), reference_row(campaign, reference)
    tasks = tasks_in(campaign, task_values(campaign, found))
    tables = [main_table(campaign, found, tasks, row, remarks, out=False)]
    if failed(campaign):
        kept = without_failures(found)
        tables.append(main_table(campaign, kept, tasks, row, remarks, out=True))
    return tables


def failed(campaign: Campaign) -> dict[str, int]:
    """Row -> how many of its trials failed or diverged, of those where any did."""
    found: dict[str, int] = {}
    for record in campaign.records:
        if record.status not in (OK, UNSUPPORTED):
            found[record.trial.row] = found.get(record.trial.row, 0) + 1
    return found


def tasks_in(campaign: Campaign, values: Mapping[str, Values]) -> list[str]:
    """The tasks on which every complete row that was begun is in with a seed."""
    extent = coverage(campaign)
    begun = [row for row in campaign.rows if extent[row].complete and values.get(row)]
    return [task for task in asked_tasks(campaign) if all(values[row].get(task) for row in begun)]


def main_table(
    campaign: Campaign,
    found: pd.DataFrame,
    tasks: Sequence[str],
    reference: str,
    remarks: Sequence[str],
    out: bool,
) -> Table:
    """One of the two tables."""
    extent, values = coverage(campaign), task_values(campaign, found)
    whole = {
        row: {task: values[row][task] for task in tasks}
        for row in campaign.rows
        if tasks and extent[row].complete and all(values.get(row, {}).get(t) for t in tasks)
    }
    draws = replicates(len(whole))
    cells = aggregates(whole, reference, tasks, draws)
    frame = assembled(campaign, found[found["task"].isin(tasks)], cells, reference)
    extent_told = f" over {len(tasks)} task(s)" if whole else ", no row complete"
    title = f"Main leaderboard{extent_told}{', failures left out' if out else ''}"
    notes = (*remarks, *notes_of(campaign, whole, tasks, reference, draws))
    name = "main-without-failures" if out else "main"
    return Table(name, title, frame, (*notes, closing(campaign, out=out)))


def aggregates(
    whole: Mapping[str, Values], reference: str, tasks: Sequence[str], draws: int
) -> dict[str, dict[str, str]]:
    """Every complete row's numbers over the tasks, as text."""
    rows = {row: {task: list(mine[task].values()) for task in tasks} for row, mine in whole.items()}
    found: dict[str, dict[str, Interval]] = {}
    for too, name in ((False, "these tasks"), (True, "tasks like these"))[: min(2, len(tasks))]:
        found[f"IQM, {name}"] = alone(interquartile_mean, rows, too, draws)
        found[f"mean, {name}"] = alone(mean_of_tasks, rows, too, draws)
    if reference in whole:
        found["P(better)"] = against(wins, improvements(whole, reference), False, draws)
    found["mean rank"] = mean_ranks(whole, tasks, draws)
    digits = {"P(better)": 2, "mean rank": 2}
    return {
        row: {
            name: told(cells[row], digits.get(name, 3))
            for name, cells in found.items()
            if row in cells
        }
        for row in whole
    }


def improvements(
    whole: Mapping[str, Values], reference: str
) -> dict[str, tuple[TaskSeeds, TaskSeeds]]:
    """Row -> its scores and the reference's, over the seeds that both have, if any of each task."""
    pairs = {row: common(mine, whole[reference]) for row, mine in whole.items() if row != reference}
    return {row: sides(pair) for row, pair in pairs.items() if len(pair) == len(whole[reference])}


def mean_ranks(rows: Mapping[str, Values], tasks: Sequence[str], draws: int) -> dict[str, Interval]:
    """Mean rank over the tasks, over the seeds that all rows have."""
    aligned: dict[str, dict[str, list[float]]] = {row: {} for row in rows}
    for task in tasks:
        for row, values in zip(rows, shared([rows[r][task] for r in rows]), strict=True):
            aligned[row][task] = values
    return rank_intervals(aligned, replicates=draws)


def assembled(
    campaign: Campaign,
    found: pd.DataFrame,
    cells: Mapping[str, Mapping[str, str]],
    reference: str,
) -> pd.DataFrame:
    """The frame: rows with aggregates from the best on, then the others."""
    extent, broken, runs = coverage(campaign), failed(campaign), solved_runs(found)
    reached, costs = effective(found), means_of_costs(campaign)
    come = Counter(record.trial.row for record in campaign.records)
    planned = Counter(trial.row for trial in campaign.trials)
    order = sorted(cells, key=lambda row: (-leading(cells[row]["IQM, these tasks"]), row))
    rows = []
    for row in [*order, *(row for row in campaign.rows if row not in cells)]:
        line = {"method": row, "asked": extent[row].told(), **cells.get(row, {})}
        if row in cells:
            line |= {SOLVED: solved_text(*runs[row]), LONGEST: reached.get(row, "")}
            line |= {"P(better)": "reference"} if row == reference else {}
            if row in costs:
                parameters, flops = costs[row]
                line |= {"parameters": f"{parameters:,.0f}", "training FLOPs": engineering(flops)}
        counts = {"in / planned": f"{come[row]}/{planned[row]}", "failed": f"{broken.get(row, 0)}"}
        rows.append(line | counts)
    return without_blank(
        pd.DataFrame([[row.get(name, "") for name in COLUMNS] for row in rows], columns=COLUMNS)
    )


COLUMNS = ["method", "asked", "IQM, these tasks", "IQM, tasks like these", "mean, these tasks"]
COLUMNS += ["mean, tasks like these", "P(better)", "mean rank", SOLVED, LONGEST, "parameters"]
COLUMNS += ["training FLOPs", "in / planned", "failed"]


def leading(text: str) -> float:
    """The number that a cell begins with."""
    return float(text.split(" ")[0]) if text else -np.inf


def replicates(rows: int) -> int:
    """How many draws: fewer for hundreds of rows, so that they take seconds."""
    return max(200, min(REPLICATES, 20 * REPLICATES // max(rows, 1)))


def solved_text(hits: int, count: int) -> str:
    """`24/60 0.40 [0.29, 0.53]`."""
    return f"{hits}/{count} {told(wilson(hits, count), 2)}"
