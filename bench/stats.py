"""Intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A mean over n seeds with its 95 % limits; NaN limits where n < 2."""

    mean: float
    low: float
    high: float
    n: int


def seed_interval(
    values: Sequence[float], floor: float = -np.inf, ceiling: float = np.inf
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
    half = float(stats.t.ppf(0.975, len(sample) - 1)) * error
    return Interval(mean, max(mean - half, floor), min(mean + half, ceiling), len(sample))
