"""How to read the main leaderboard: its notes, by what it has and what it cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..campaign import Campaign
from .gather import asked_tasks
from .runs import TARGET

Values = Mapping[str, Mapping[int, float]]
"""Task -> seed -> normalised score of one row."""

SOLVED = f"solved (≥ {100 * TARGET:.0f} %)"
LONGEST = "longest L / trained"


def notes_of(
    campaign: Campaign,
    whole: Mapping[str, Values],
    tasks: Sequence[str],
    reference: str,
    draws: int,
) -> list[str]:
    """What the columns mean, and what so few seeds, tasks or rows leave untold."""
    notes = columns_told(len(whole), len(tasks) > 1, reference, draws) if whole else []
    if whole and any(max(trial.test_lengths) > trial.length for trial in campaign.trials):
        notes.append(
            f"{LONGEST}: up to which tested length the metric stays at 90 % or above, over the "
            "trained length, of the trials tested beyond it: median over runs [least, greatest]"
        )
    lacking = [task for task in asked_tasks(campaign) if task not in tasks]
    if lacking:
        notes.append(f"Left out, since not all of it is in: {', '.join(lacking)}")
    bare = sum(row not in whole for row in campaign.rows)
    if bare:
        notes.append(f"{bare} row(s) without aggregates: not asked everything, or not all in")
    fewest = min((len(seeds) for mine in whole.values() for seeds in mine.values()), default=0)
    return notes + doubts(whole, fewest, len(tasks), reference) if whole else notes


def columns_told(rows: int, several: bool, reference: str, draws: int) -> list[str]:
    """What the columns mean."""
    tasks_too = ", or of tasks too (tasks like these)" if several else ""
    return [
        "Each task by its own metric, at the trained lengths and budgets, 0 at chance and 1 at the "
        "task's ceiling; IQM: mean of the middle half of all runs; [95 % expanded percentile "
        f"bootstrap, {draws} draws]: of seeds within these tasks{tasks_too}; P(better): a run "
        f"beats one of {reference}, seeds paired, ties half; mean rank: 1 is best of {rows} "
        f"complete row(s); {SOLVED}: runs that come so far from chance to ceiling, and their share "
        "[95 % Wilson]; parameters and training FLOPs of a trial: mean over tasks and lengths"
    ]


def doubts(whole: Mapping[str, Values], fewest: int, tasks: int, reference: str) -> list[str]:
    """What the aggregates cannot tell."""
    notes = []
    if fewest < 2:
        notes.append("One seed: no interval over seeds")
    elif fewest == 2:
        notes.append("Two seeds: the intervals cover less than they say (0.77 to 0.87)")
    if tasks == 1:
        notes.append("One task: nothing is told of tasks like these")
    if reference not in whole:
        notes.append(f"{reference} is not complete: nothing is told against it")
    return notes
