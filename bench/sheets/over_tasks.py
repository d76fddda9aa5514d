"""Every row against the reference over the tasks, each counted once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..campaign import Campaign
from ..stats.aggregate import mean_of_tasks, wins
from ..stats.paired import holm, sign_flip
from ..stats.resampling import Array
from ..tables import Table
from .batches import TaskSeeds, against
from .gather import common, p_text, sides, task_values, told, without_blank
from .main import replicates

COLUMNS = ["method", "tasks", "pairs", "difference, these tasks", "difference, tasks like these"]
COLUMNS += ["P(better), these tasks", "P(better), tasks like these", "p", "p Holm"]


def table_over_tasks(
    campaign: Campaign, found: pd.DataFrame, reference: str, notes: Sequence[str]
) -> Table:
    """One line a row: the tasks that it shares with the reference, each counted once."""
    values = task_values(campaign, found)
    others = [row for row in campaign.rows if row != reference]
    draws, tasks = replicates(len(others)), len(campaign.tasks)
    shares = {row: common(values.get(row, {}), values.get(reference, {})) for row in others}
    pairs = {row: sides(pair) for row, pair in shares.items() if pair}
    pvalues = {row: sign_flip(list(mean_gains(*pair).values())) for row, pair in pairs.items()}
    mended = holm(pvalues)
    gains, better = (
        [against(statistic, pairs, too, draws) for too in (False, True)]
        for statistic in (mean_gain, wins)
    )
    rows = [
        [
            *(row, f"{len(ours)}/{tasks}", str(min(map(len, ours.values())))),
            *(told(found[row], 3, signed=True) for found in gains),
            *(told(found[row], 2) for found in better),
            *(p_text(pvalues[row]), p_text(mended[row])),
        ]
        for row, (ours, _) in pairs.items()
    ]
    note = over_tasks_note(reference, draws, len(rows))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    title = f"Paired differences to {reference} over the tasks"
    return Table("pairs-over-tasks", title, without_blank(frame), (note, *notes))


def over_tasks_note(reference: str, draws: int, rows: int) -> str:
    """How to read the table."""
    return (
        f"Each row less the reference {reference} over the tasks that both have in full, every "
        "task counted once, scores from 0 at chance to 1 at the ceiling; seeds drawn in pairs "
        f"within each task [95 % expanded percentile bootstrap, {draws} draws], or tasks drawn "
        "too; P(better): a run beats one of the reference, ties half; pairs: seeds of the task "
        "that has fewest; p: exact sign flips of the tasks' mean differences (from five tasks "
        f"on), Holm within the family of the {rows} row(s) here"
    )


def mean_gain(ours: Array, theirs: Array) -> Array:
    """The mean difference over tasks, each counted once, [..., T, S] -> [...]."""
    return mean_of_tasks(ours - theirs)


def mean_gains(ours: TaskSeeds, theirs: TaskSeeds) -> dict[str, float]:
    """Task -> the mean difference over its seeds."""
    return {task: float(np.mean(ours[task]) - np.mean(theirs[task])) for task in ours}
