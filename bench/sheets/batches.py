"""Bootstrap intervals of many rows at once: rows that have the same seeds share their draws.

The numbers are those of the functions of stats, row by row; drawing once for all makes a thousand
rows a matter of seconds.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np

from ..stats.intervals import Interval
from ..stats.resampling import Array, Statistic, estimate

TaskSeeds = Mapping[str, Sequence[float]]
"""Task -> a value a seed."""

TOGETHER = 50
"""Rows of one batch, for the memory."""


def alone(
    statistic: Statistic, rows: Mapping[str, TaskSeeds], tasks_too: bool, draws: int
) -> dict[str, Interval]:
    """Row -> the statistic of its scores, [..., T, S] -> [...], with its interval."""
    keys = {
        row: tuple((task, len(values)) for task, values in mine.items())
        for row, mine in rows.items()
    }
    found: dict[str, Interval] = {}
    for names in batches(keys):
        made = estimate(
            lambda *all_: np.stack([statistic(one) for one in all_], axis=-1),
            [rows[name] for name in names],
            tasks_too=tasks_too,
            replicates=draws,
        )
        found |= {name: made.interval((place,)) for place, name in enumerate(names)}
    return found


def against(
    statistic: Statistic,
    pairs: Mapping[str, tuple[TaskSeeds, TaskSeeds]],
    tasks_too: bool,
    draws: int,
) -> dict[str, Interval]:
    """Row -> the statistic of its scores and the reference's of the same seeds, with limits."""
    keys = {
        row: tuple((task, *values) for task, values in theirs.items())
        for row, (_, theirs) in pairs.items()
    }

    def all_pairs(theirs: Array, *ours: Array) -> Array:
        return np.stack([statistic(one, theirs) for one in ours], axis=-1)

    found: dict[str, Interval] = {}
    for names in batches(keys):
        scores = [pairs[names[0]][1], *(pairs[name][0] for name in names)]
        made = estimate(all_pairs, scores, tasks_too=tasks_too, replicates=draws)
        found |= {name: made.interval((place,)) for place, name in enumerate(names)}
    return found


def batches(keys: Mapping[str, Hashable]) -> Iterator[list[str]]:
    """Names of the same key, some at a time."""
    groups: dict[Hashable, list[str]] = {}
    for name, key in keys.items():
        groups.setdefault(key, []).append(name)
    for names in groups.values():
        for start in range(0, len(names), TOGETHER):
            yield names[start : start + TOGETHER]
