"""How often intervals hold the truth, by simulation; the documented rates are asserted.

Each rate is of 300 experiments with a fixed seed: an interval that covers 0.95 is seen to cover
0.95 ± 0.038, three standard errors of a binomial share, one of 0.85 ± 0.062.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from closedloop.bench.stats.aggregate import (
    interquartile_mean,
    iqm_interval,
    mean_interval,
    performance_profile,
    probability_of_improvement,
)
from closedloop.bench.stats.intervals import Interval, wilson
from closedloop.bench.stats.paired import (
    paired_bootstrap,
    paired_difference,
    percentile_difference,
)
from closedloop.bench.stats.ranks import mean_ranks, rank_intervals
from closedloop.bench.stats.slopes import slope, slope_bootstrap

EXPERIMENTS = 300
GAIN = 0.1


def rate(measure: Callable[[np.random.Generator], Interval], truth: float) -> float:
    """The share of experiments whose interval holds the truth."""
    random = np.random.default_rng(2025)
    found = [measure(random) for _ in range(EXPERIMENTS)]
    return sum(interval.low <= truth <= interval.high for interval in found) / EXPERIMENTS


def about(expected: float) -> object:
    """Within three standard errors of a share of so many experiments."""
    return pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / EXPERIMENTS))


def scores(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Normal scores with a mean of GAIN; tasks along the last axis but one differ by 0.1."""
    tasks = 0.1 * np.arange(shape[-2])[:, None] if len(shape) > 1 else 0
    return random.normal(GAIN, 0.1, shape) + tasks


def block(interval: Callable[..., Interval], seeds: int) -> float:
    """How often an interval of the difference holds GAIN, from one block of so many seeds."""

    def measure(random: np.random.Generator) -> Interval:
        shared = random.normal(0, 1, seeds)
        return interval(shared + scores(random, seeds), shared)

    return rate(measure, GAIN)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_student_s_t_covers_what_it_says(seeds) -> None:
    assert block(paired_difference, seeds) == about(0.95)


@pytest.mark.parametrize("seeds, covered", [(3, 0.74), (5, 0.84), (10, 0.91)])
def test_the_percentile_bootstrap_of_few_seeds_covers_too_little(seeds, covered) -> None:
    found = block(lambda *pair: percentile_difference(*pair, replicates=600), seeds)
    assert found == about(covered)
    assert found < block(paired_difference, seeds)


@pytest.mark.parametrize("seeds, covered", [(3, 0.75), (5, 0.91), (10, 0.94)])
def test_the_expanded_percentile_covers_more(seeds, covered) -> None:
    found = block(lambda x, y: paired_bootstrap([x], [y], replicates=2000), seeds)
    assert found == about(covered)


@pytest.mark.parametrize("seeds, covered", [(2, 0.89), (3, 0.94), (5, 0.95), (10, 0.95)])
def test_paired_differences_over_five_tasks(seeds, covered) -> None:
    def measure(random: np.random.Generator) -> Interval:
        shared = random.normal(0, 1, (5, seeds))
        gained = random.normal(GAIN, 0.1, (5, seeds))
        return paired_bootstrap(shared + gained, shared, replicates=600)

    assert rate(measure, GAIN) == about(covered)


@pytest.mark.parametrize("seeds, covered", [(2, 0.81), (5, 0.95), (10, 0.94)])
def test_the_interquartile_mean_of_these_tasks(seeds, covered) -> None:
    truth = float(interquartile_mean(scores(np.random.default_rng(0), 5, 200_000)))
    found = rate(lambda random: iqm_interval(scores(random, 5, seeds), replicates=600), truth)
    assert found == about(covered)


@pytest.mark.parametrize("tasks, covered", [(5, 0.91), (12, 0.94)])
def test_tasks_like_these_are_covered_by_drawing_tasks(tasks, covered) -> None:
    """Tasks drawn from a normal population of mean GAIN; seeds spread a quarter as wide."""

    def these(random: np.random.Generator) -> np.ndarray:
        return random.normal(GAIN, 0.2, (tasks, 1)) + random.normal(0, 0.05, (tasks, 5))

    found = rate(lambda random: mean_interval(these(random), tasks_too=True, replicates=600), GAIN)
    assert found == about(covered)
    assert rate(lambda random: mean_interval(these(random), replicates=200), GAIN) < 0.5


@pytest.mark.parametrize("paired", [True, False])
def test_the_probability_of_improvement(paired) -> None:
    """A normal score beats another whose mean is a standard deviation less with Φ(1/√2)."""

    def measure(random: np.random.Generator) -> Interval:
        first, second = scores(random, 5, 5), scores(random, 5, 5) - 0.1
        return probability_of_improvement(first, second, paired=paired, replicates=400)

    assert rate(measure, float(stats.norm.cdf(1 / math.sqrt(2)))) == about(0.955)


def test_the_band_of_a_profile_at_its_middle() -> None:
    """Above the middle of five tasks: half of the runs on average, in steps of 1/50."""
    truth = float(stats.norm.sf((0.3 - GAIN - 0.1 * np.arange(5)) / 0.1).mean())

    def measure(random: np.random.Generator) -> Interval:
        found = performance_profile(scores(random, 5, 10), [0.3], replicates=400)
        return Interval(found.share[0], found.low[0], found.high[0], found.n)

    assert rate(measure, truth) == about(0.95)


def test_rank_intervals_are_of_the_rank_seen_on_average() -> None:
    """Four methods a fifth of a spread apart on twelve tasks: ranks 1 to 4, seen 1.8 to 3.2."""
    steps = 0.02 * np.arange(4)[:, None, None]

    def runs(random: np.random.Generator, number: int) -> np.ndarray:
        return random.normal(0, 0.1, (number, 4, 12, 5)) + steps

    seen = mean_ranks(*np.moveaxis(runs(np.random.default_rng(0), 3000), 1, 0)).mean(axis=0)
    assert seen == pytest.approx([3.19, 2.74, 2.26, 1.81], abs=0.03)
    random = np.random.default_rng(1)
    held, true = [], []
    for _ in range(100):
        methods = dict(zip("abcd", runs(random, 1)[0], strict=True))
        found = list(rank_intervals(methods, replicates=300).values())
        held += [r.low <= rank <= r.high for r, rank in zip(found, seen, strict=True)]
        true += [r.low <= rank <= r.high for r, rank in zip(found, (4, 3, 2, 1), strict=True)]
    assert np.mean(held) > 0.9 and np.mean(true) < 0.6


def test_slopes_over_five_seeds() -> None:
    """A gain of GAIN per doubling, noise of a seed shared by its levels, and some of each level."""
    x = np.arange(4.0)

    def gains(random: np.random.Generator) -> np.ndarray:
        own = random.normal(0, 0.1, (5, 1)) * x + random.normal(0, 0.1, (5, 4))
        return GAIN * x + own

    assert rate(lambda random: slope(x, gains(random)), GAIN) == about(0.95)
    assert rate(lambda random: slope_bootstrap(x, gains(random)), GAIN) == about(0.91)


@pytest.mark.parametrize("n, least", [(5, 0.832), (10, 0.842), (40, 0.851)])
def test_wilson_covers_0_95_on_average_by_enumeration(n, least) -> None:
    """Every count weighted by its chance, at 999 shares; it dips for those near 0 or 1."""
    shares = np.arange(1, 1000) / 1000
    found = [wilson(count, n) for count in range(n + 1)]
    inside = np.array([(limit.low <= shares) & (shares <= limit.high) for limit in found])
    chances = stats.binom.pmf(np.arange(n + 1)[:, None], n, shares)
    covered = (inside * chances).sum(axis=0)
    assert covered.mean() == pytest.approx(0.95, abs=0.01)
    assert covered.min() == pytest.approx(least, abs=1e-3)
