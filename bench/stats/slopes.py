"""Does it grow with difficulty: slopes and rank correlations with intervals over seeds.

y is [S, P], a row a seed and a column a level of difficulty; x is the difficulty, [P] or, where it
differs by seed, [S, P]. Give log2 of a length as x, and a slope is the gain per doubling.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ..errors import Misuse
from .intervals import (
    Interval,
    bootstrap_interval,
    expanded_level,
    seed_interval,
)
from .resampling import REPLICATES, Array, generator


def seed_slopes(x: ArrayLike, y: ArrayLike) -> Array:
    """The least-squares slope of every seed, [S]; their mean is the slope of the mean over seeds.

    That holds for a difficulty that all seeds share. A slope is NaN where x does not vary.
    """
    places, values = checked(x, y)
    far = places - places.mean(axis=-1, keepdims=True)
    spread = (far**2).sum(axis=-1)
    return np.divide(
        (far * values).sum(axis=-1), spread, out=np.full(len(values), np.nan), where=spread > 0
    )


def slope(x: ArrayLike, y: ArrayLike) -> Interval:
    """The slope of y over x with the t interval over the seeds' slopes.

    At five seeds it covers 0.95 and a percentile bootstrap of seeds 0.84 (intervals.py), so this is
    the default. All of a seed's levels stay together, so they may depend on each other.
    """
    return seed_interval(seed_slopes(x, y))


def slope_bootstrap(
    x: ArrayLike,
    y: ArrayLike,
    *,
    replicates: int = REPLICATES,
    seed: int | np.random.Generator = 0,
) -> Interval:
    """The slope of y over x with expanded percentile limits, seeds drawn with all their levels."""
    slopes = seed_slopes(x, y)
    n = len(slopes)
    if n < 2:
        return seed_interval(slopes)
    drawn = slopes[generator(seed).integers(n, size=(replicates, n))].mean(axis=1)
    return bootstrap_interval(drawn, slopes.mean(), n, expanded_level(n))


def seed_spearman(
    x: ArrayLike,
    y: ArrayLike,
    *,
    replicates: int = REPLICATES,
    seed: int | np.random.Generator = 0,
) -> Interval:
    """Spearman's correlation of x with the mean of y over seeds, seeds drawn with all their levels.

    It says whether the levels' order is certain for these levels, not whether others would follow.
    """
    places, values = checked(x, y)
    n = len(values)
    if not n or not values.shape[1]:
        return Interval(np.nan, np.nan, np.nan, 0)
    value = float(correlation(places.mean(axis=0), values.mean(axis=0)))
    if n < 2 or np.isnan(value):
        return Interval(value, np.nan, np.nan, n)
    drawn = generator(seed).integers(n, size=(replicates, n))
    found = correlation(places[drawn].mean(axis=1), values[drawn].mean(axis=1))
    return bootstrap_interval(found[~np.isnan(found)], value, n, expanded_level(n))


def spearman(
    x: ArrayLike,
    y: ArrayLike,
    *,
    replicates: int = REPLICATES,
    seed: int | np.random.Generator = 0,
) -> Interval:
    """Spearman's correlation of n pairs, x [n] and y [n], pairs drawn together, percentile limits.

    Measured coverage: 10 pairs 0.95, 20 pairs 0.95, 5 pairs 0.85 to 0.93. Replicates in which
    either is constant have no correlation and are left out.
    """
    first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if first.ndim != 1 or first.shape != second.shape:
        raise Misuse(
            f"expected pairs of values, got shapes {first.shape} and {second.shape}; "
            "leave out what has no partner"
        )
    n = len(first)
    value = float(correlation(first, second)) if n else np.nan
    if n < 2 or np.isnan(value):
        return Interval(value, np.nan, np.nan, n)
    drawn = generator(seed).integers(n, size=(replicates, n))
    found = correlation(first[drawn], second[drawn])
    return bootstrap_interval(found[~np.isnan(found)], value, n)


def correlation(x: Array, y: Array) -> Array:
    """Spearman's correlation along the last axis, [..., n] -> [...]; NaN where one is constant."""
    first, second = stats.rankdata(x, axis=-1), stats.rankdata(y, axis=-1)
    middle = (x.shape[-1] + 1) / 2
    first, second = first - middle, second - middle
    spread = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    empty = np.full(np.shape(spread), np.nan)
    return np.divide((first * second).sum(axis=-1), spread, out=empty, where=spread > 0)


def checked(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Difficulty and values, both [S, P]."""
    places, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if values.ndim != 2 or places.shape not in (values.shape, values.shape[1:]):
        raise Misuse(
            f"expected y [seeds, levels] and x [levels], got shapes {values.shape} and "
            f"{places.shape}; give a row of y for every seed"
        )
    return np.broadcast_to(places, values.shape), values
