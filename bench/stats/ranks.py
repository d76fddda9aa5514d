"""Who comes first: mean ranks over tasks with intervals, and Friedman's and Nemenyi's tests.

Best is 1, ties share the mean of their ranks, a higher score is better. After Demšar 2006
(Statistical comparisons of classifiers over multiple data sets, JMLR 7:1–30, §3.2.2); the interval
beside every rank is ours, since a rank alone hides how near the next one is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..errors import Misuse
from .aggregate import task_means
from .intervals import LEVEL, Interval
from .paired import DIGITS, FEWEST
from .resampling import REPLICATES, Array, Scores, estimate


@dataclass(frozen=True)
class RankTest:
    """Friedman's test over tasks, and Nemenyi's of all pairs.

    mean_ranks [k] and pairs [k, k] go in the order of methods; two methods differ where their mean
    ranks are further apart than the critical difference. The p-values, Friedman's and the pairs',
    are None below five tasks, as is the rule of the house.
    """

    methods: tuple[str, ...]
    tasks: int
    mean_ranks: Array
    critical_difference: float
    statistic: float
    pvalue: float | None
    pairs: Array | None


def ranks(scores: Array) -> Array:
    """Ranks along the last axis: best, the highest, is 1; what agrees to 12 decimals ties."""
    return stats.rankdata(-np.round(scores, DIGITS), axis=-1)


def mean_ranks(*methods: Array) -> Array:
    """Mean rank over tasks, by means over seeds, of k methods, [..., T, S] each -> [..., k]."""
    return ranks(np.stack([task_means(scores) for scores in methods], axis=-1)).mean(axis=-2)


def rank_intervals(
    scores: Mapping[str, Scores],
    *,
    paired: bool = True,
    tasks_too: bool = False,
    replicates: int = REPLICATES,
    seed: int | np.random.Generator = 0,
) -> dict[str, Interval]:
    """The mean rank of every method over tasks with its interval; method -> scores of its runs.

    Seeds are drawn within tasks, jointly where `paired`; `tasks_too` draws the tasks as well.

    What it covers is the rank that experiments with so many seeds give on average (measured 0.91 to
    1.00), not the rank by the methods' true means: noise pulls ranks to the middle, and between
    methods that differ everywhere by a fifth of a seed's spread it held that in 0.41 to 0.64 only.
    """
    if not scores:
        return {}
    found = estimate(
        mean_ranks,
        list(scores.values()),
        paired=paired,
        tasks_too=tasks_too,
        replicates=replicates,
        seed=seed,
    )
    return {name: found.interval((place,)) for place, name in enumerate(scores)}


def critical_difference(methods: int, tasks: int, level: float = LEVEL) -> float:
    """How far two mean ranks must lie apart, q sqrt(k(k + 1)/6N) (Nemenyi; Demšar 2006, p. 11)."""
    studentized = stats.studentized_range.ppf(level, methods, np.inf) / 2**0.5
    return float(studentized * (methods * (methods + 1) / (6 * tasks)) ** 0.5)


def friedman(scores: Mapping[str, Sequence[float] | Array]) -> RankTest:
    """Friedman's test and Nemenyi's pairs; method -> its score of every task, [N].

    Both p-values hold for many tasks; Friedman's minds ties, Nemenyi's does not.

    Raises:
        Misuse: fewer than three methods or two tasks, other tasks for some, or a NaN.
    """
    table = blocks(scores)
    tasks, number = table.shape
    ordered = ranks(table)
    told = tasks >= FEWEST
    statistic, pvalue = friedman_statistic(ordered)
    return RankTest(
        tuple(scores),
        tasks,
        ordered.mean(axis=0),
        critical_difference(number, tasks),
        statistic,
        pvalue if told else None,
        nemenyi(ordered) if told else None,
    )


def blocks(scores: Mapping[str, Sequence[float] | Array]) -> Array:
    """Tasks by methods, [N, k], checked."""
    rows = [np.asarray(row, dtype=float) for row in scores.values()]
    if len(rows) < 3:
        raise Misuse(
            f"expected three or more methods to rank, got {len(rows)}; compare two by pairs"
        )
    if len({row.shape for row in rows}) > 1 or rows[0].ndim != 1 or len(rows[0]) < 2:
        raise Misuse(
            f"expected a score of every method on the same two or more tasks, got shapes "
            f"{', '.join(str(row.shape) for row in rows)}; leave out what was not asked of all"
        )
    table = np.stack(rows, axis=1)
    if np.isnan(table).any():
        raise Misuse("expected a score of every method on every task, got NaN; count it as chance")
    return table


def friedman_statistic(ordered: Array) -> tuple[float, float]:
    """Friedman's chi-square and its p-value; 0 and 1 where every task is one tie."""
    if (ordered == ordered[:, :1]).all():
        return 0.0, 1.0
    found = stats.friedmanchisquare(*ordered.T)
    return float(found.statistic), float(found.pvalue)


def nemenyi(ordered: Array) -> Array:
    """Nemenyi's p-values of all pairs, [k, k], from ranks, [N, k]."""
    from scikit_posthocs import posthoc_nemenyi_friedman  # type: ignore[import-untyped]

    return posthoc_nemenyi_friedman(ordered).to_numpy()
