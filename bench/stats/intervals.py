"""Intervals of a mean, of a share, and from bootstrap replicates.

Which one covers what it says: the share of 1,500 simulated experiments (600 for BCa) whose 95 %
interval held the truth, the mean of one block of normal scores, ± 0.02. All but BCa is repeated by
`tests/test_stats_coverage.py`.

    seeds   Student's t   expanded percentile   percentile   BCa
    2          0.95            0.50                0.50       –
    3          0.95            0.75                0.74      0.70
    5          0.95            0.91                0.84      0.83
    10         0.95            0.94                0.91      0.89

So the mean of one block has the t interval, and what has no t interval (a trimmed mean, a rank, a
share of wins) has the expanded percentile one. No interval that resamples can know more values
than it was shown: where every seed scores the same its width is zero, which proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..errors import Misuse

LEVEL = 0.95
"""What every interval is meant to cover, where nothing else is asked for."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its limits, and the number n of units that it rests on.

    The units are what was drawn: seeds, runs of a share, tasks. The limits are NaN where n < 2, the
    estimate too where n = 0. A score that is NaN makes the estimate and the limits NaN.
    """

    mean: float
    low: float
    high: float
    n: int


def seed_interval(
    values: Sequence[float] | NDArray[np.float64], floor: float = -np.inf, ceiling: float = np.inf
) -> Interval:
    """Student's t interval of the mean, cut at the range that the values can take.

    With three seeds it is wide (4.3 standard errors): that is what three seeds can say. Where all
    seeds agree to the last digit its width is zero, which is no proof of certainty.
    """
    sample = np.asarray(values, dtype=float)
    if not len(sample):
        return Interval(np.nan, np.nan, np.nan, 0)
    mean = float(sample.mean())
    if len(sample) < 2:
        return Interval(mean, np.nan, np.nan, len(sample))
    error = float(sample.std(ddof=1)) / len(sample) ** 0.5
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(sample) - 1)) * error
    return Interval(mean, max(mean - half, floor), min(mean + half, ceiling), len(sample))


def wilson(successes: float, n: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a share; NaN where there was nothing to count.

    It covers 0.95 on average over shares; for one near 0 or 1 less: at five runs 0.83 at the worst.

    Raises:
        Misuse: fewer than no successes, or more than n.
    """
    if n == 0 or np.isnan(n) or np.isnan(successes):
        return Interval(np.nan, np.nan, np.nan, 0)
    if not 0 <= successes <= n:
        raise Misuse(f"expected 0 to {n} successes of {n}, got {successes}; count them again")
    from statsmodels.stats.proportion import (  # type: ignore[import-untyped]
        proportion_confint,
    )

    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    return Interval(successes / n, float(low), float(high), n)


def bootstrap_interval(
    replicates: ArrayLike, value: float, n: int, level: float = LEVEL
) -> Interval:
    """Percentile limits of an estimate from its bootstrap replicates, [R], of n units."""
    low, high = percentile_limits(np.asarray(replicates, dtype=float), level)
    if n < 2:
        low = high = np.full((), np.nan)
    return Interval(float(value), float(low), float(high), n)


def percentile_limits(
    replicates: NDArray[np.float64], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper percentile limits of replicates, [R, ...] -> [...] and [...]."""
    if not len(replicates):
        gap = np.full(replicates.shape[1:], np.nan)
        return gap, gap
    low, high = np.quantile(replicates, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return np.asarray(low), np.asarray(high)


def expanded_level(units: int, blocks: int = 1, level: float = LEVEL) -> float:
    """The percentile level that mends how narrow a bootstrap of few units in blocks is.

    Resampled, n units spread by sqrt((n − 1)/n) too little, and a normal quantile stands where
    Student's belongs: both are put right by wider percentiles (Hesterberg 2015, What teachers
    should know about the bootstrap, The American Statistician 69:371–386, the expanded percentile
    interval; its n − 1 is here the units less the blocks that keep their own means).
    """
    free = units - blocks
    if free < 1:
        raise Misuse(f"expected more units than blocks, got {units} in {blocks}; add seeds")
    wider = (units / free) ** 0.5 * stats.t.ppf(0.5 + level / 2, free)
    return float(2 * stats.norm.cdf(wider) - 1)
