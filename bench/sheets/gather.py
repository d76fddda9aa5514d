"""What the sheets share: scores by seed, who is complete, and numbers as text.

Values of two rows pair by the number of their seed, never by their place: the data of a seed are
the same for every row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..campaign import Campaign
from ..conditions import conditions
from ..scopes import asked
from ..scores import by_task
from ..stats.intervals import Interval
from ..trial import OK, UNSUPPORTED

BySeed = Mapping[int, float]
"""Seed -> value."""


@dataclass(frozen=True)
class Coverage:
    """What a row was asked of what the campaign asks: tasks, and pairs of task and length."""

    tasks: int
    lengths: int
    of_tasks: int
    of_lengths: int

    @property
    def complete(self) -> bool:
        """Whether it was asked everything."""
        return self.lengths == self.of_lengths

    def told(self) -> str:
        """`3/20 tasks`; where it is the lengths that differ, `2/9 lengths`."""
        if self.complete or self.tasks < self.of_tasks:
            return f"{self.tasks}/{self.of_tasks} tasks"
        return f"{self.lengths}/{self.of_lengths} lengths"


def coverage(campaign: Campaign) -> dict[str, Coverage]:
    """Row -> how much it was asked of what any row was."""
    cells = asked(campaign)
    every = set().union(*cells.values())
    tasks = len({task for task, _ in every})
    return {
        row: Coverage(len({task for task, _ in mine}), len(mine), tasks, len(every))
        for row, mine in cells.items()
    }


def asked_tasks(campaign: Campaign) -> list[str]:
    """The tasks that any row was asked."""
    return sorted({task for mine in asked(campaign).values() for task, _ in mine})


def task_values(campaign: Campaign, found: pd.DataFrame) -> dict[str, dict[str, dict[int, float]]]:
    """Row -> task -> seed -> normalised score, the mean over the task's trained lengths.

    A seed counts once its trials of all trained lengths are in `found`.
    """
    planned = Counter((row, task) for row, mine in asked(campaign).items() for task, _ in mine)
    values: dict[str, dict[str, dict[int, float]]] = {}
    means = by_task(found)
    columns = (means[name] for name in ("method", "task", "seed", "value", "lengths"))
    for row, task, seed, value, lengths in zip(*columns, strict=True):
        if lengths == planned[row, task]:
            values.setdefault(row, {}).setdefault(task, {})[int(seed)] = float(value)
    return values


def trained_scores(found: pd.DataFrame) -> pd.DataFrame:
    """The scores at the trained length and the trained budget."""
    return found[(found["length"] == found["trained_length"]) & found["trained"]]


def without_failures(found: pd.DataFrame) -> pd.DataFrame:
    """The scores of trials that gave some."""
    return found[found["status"] == OK]


def shared(rows: Sequence[BySeed]) -> list[list[float]]:
    """The values of the seeds that all have, in the seeds' order."""
    seeds = sorted(set.intersection(*(set(row) for row in rows))) if rows else []
    return [[row[seed] for seed in seeds] for row in rows]


def common(
    ours: Mapping[str, BySeed], theirs: Mapping[str, BySeed]
) -> dict[str, list[list[float]]]:
    """Task -> two rows' values of the seeds that both have, of the tasks where there are any."""
    pairs = {task: shared([ours[task], theirs[task]]) for task in sorted(ours.keys() & theirs)}
    return {task: pair for task, pair in pairs.items() if pair[0]}


def sides(
    pairs: Mapping[str, list[list[float]]],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Task -> the first row's values, and task -> the second's."""
    first, second = ({task: pair[side] for task, pair in pairs.items()} for side in (0, 1))
    return first, second


def reference_row(campaign: Campaign, wanted: str) -> tuple[str, tuple[str, ...]]:
    """The reference's row, and a note where another one had to stand in."""
    if wanted in campaign.rows:
        return wanted, ()
    stand_in = campaign.rows[0]
    return stand_in, (f"No row {wanted} in this campaign: the reference is {stand_in}",)


def told(interval: Interval, digits: int = 3, signed: bool = False) -> str:
    """`0.912 [0.880, 0.944]`; without limits the value alone; blank without a value."""
    if not interval.n or interval.mean != interval.mean:
        return ""
    sign = "+" if signed else ""
    text = f"{interval.mean:{sign}.{digits}f}"
    if interval.low != interval.low:
        return text
    return f"{text} [{interval.low:{sign}.{digits}f}, {interval.high:{sign}.{digits}f}]"


def closing(campaign: Campaign, question: str | None = None, out: bool = False) -> str:
    """The last line of a caption: test rows, seeds, preset, device, and what failures count as.

    Of one task alone, if asked; out: failures are left out, rather than counted as chance.
    """
    trials = [t for t in campaign.trials if question in (None, t.question)]
    records = [r for r in campaign.records if question in (None, r.trial.question)]
    failed = sum(r.status not in (OK, UNSUPPORTED) for r in records)
    counted = f"{failed} failed or diverged trial(s) {'left out' if out else 'count as chance'}"
    return f"{conditions(trials, records)}; {counted if failed else 'no trial failed'}"


def without_blank(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without columns in which nothing stands."""
    return frame[[name for name in frame.columns if (frame[name] != "").any()]]


def p_text(value: float | None) -> str:
    """Three decimals, `< 0.001`, or blank where none is told."""
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value != 0.0625 else "0.0625"
