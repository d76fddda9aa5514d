"""Means, wins and profiles over tasks, against hand, scipy and double loops."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from closedloop.bench.errors import Misuse
from closedloop.bench.stats.aggregate import (
    interquartile_mean,
    iqm_interval,
    mean_interval,
    normalise,
    performance_profile,
    probability_of_improvement,
)
from closedloop.bench.stats.resampling import draw, draw_tasks, runs

ROW = st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=5)
RAGGED = st.lists(ROW, min_size=1, max_size=4)
PAIRS = st.lists(st.tuples(ROW, ROW), min_size=1, max_size=4)
BRIEF = {"replicates": 50}


def double_loop(first, second) -> float:
    """How often a run of the first beats one of the second, averaged over tasks."""
    shares = []
    for ours, theirs in zip(first, second, strict=True):
        won = [1 if x > y else 0.5 if x == y else 0 for x in ours for y in theirs]
        shares.append(sum(won) / len(won))
    return sum(shares) / len(shares)


def test_chance_is_0_the_ceiling_1_and_worse_than_chance_negative() -> None:
    assert normalise([0.5, 0.75, 1.0, 0.25], chance=0.5, ceiling=1.0).tolist() == [0, 0.5, 1, -0.5]
    with pytest.raises(Misuse, match="expected a ceiling above chance"):
        normalise(0.5, 1.0, 1.0)


def test_the_interquartile_mean_by_hand() -> None:
    """Of eight runs the two least and the two greatest go: (3 + 4 + 5 + 6)/4."""
    assert iqm_interval([[9, 3, 5, -7], [4, 100, 6, 0]]).mean == 4.5
    assert iqm_interval([[1, 2, 30]]).mean == 11  # of three runs a quarter is none


@given(RAGGED)
@settings(deadline=None, max_examples=50)
def test_the_interquartile_mean_is_scipy_s_over_one_pool(rows) -> None:
    pool = np.concatenate(rows)
    assert interquartile_mean(runs(rows).values) == pytest.approx(stats.trim_mean(pool, 0.25))
    assert iqm_interval(rows, **BRIEF).mean == pytest.approx(stats.trim_mean(pool, 0.25))


def test_the_bootstrap_of_a_mean_spreads_as_it_must() -> None:
    """The limits of the mean are z sqrt(Σ v_t/S)/T away, z and v_t mended for few seeds.

    With unbiased variances v_t that is Student's t at the pooled 4 × 9 degrees of freedom; the
    percentiles of 20,000 replicates and their skew leave 4 %.
    """
    scores = np.random.default_rng(5).random((4, 10)) + np.arange(4)[:, None]
    found = mean_interval(scores, replicates=20_000)
    half = stats.t.ppf(0.975, 36) * math.sqrt(scores.var(axis=1, ddof=1).sum() / 10) / 4
    assert found.mean == pytest.approx(scores.mean()) and found.n == 10
    assert found.mean - found.low == pytest.approx(half, rel=0.04)
    assert found.high - found.mean == pytest.approx(half, rel=0.04)


def test_a_ragged_task_counts_once_in_the_mean() -> None:
    assert mean_interval({"a": [1.0, 1.0, 1.0, 1.0], "b": [0.0, 0.0]}).mean == 0.5


def test_a_drawn_task_brings_as_many_seeds_as_it_has() -> None:
    """Seeds of task b are 10 to 12, of a 0 and 1: wherever b stands, three numbers follow."""
    ragged = runs({"a": [0.0, 1.0], "b": [10.0, 11.0, 12.0]})
    random = np.random.default_rng(0)
    drawn = draw(ragged.counts, draw_tasks(2, 500, True, random), random)
    taken = drawn.take(ragged.values)  # [R, T, S]
    of_b = drawn.tasks == 1
    assert set(taken[of_b].ravel()) == {10, 11, 12}
    assert set(taken[~of_b][:, :2].ravel()) == {0, 1} and np.isnan(taken[~of_b][:, 2]).all()
    assert of_b.mean() == pytest.approx(0.5, abs=0.05)  # 1,000 draws, three standard errors
    assert (taken[of_b] == 10).mean() == pytest.approx(1 / 3, abs=0.04)


def test_tasks_like_these_are_less_certain_than_these_tasks() -> None:
    """Tasks differ by 0.2 a step, seeds by a hundredth: only other tasks could tell otherwise."""
    scores = np.arange(5)[:, None] / 5 + np.random.default_rng(1).random((5, 6)) / 100
    for interval in (mean_interval, iqm_interval):
        here, elsewhere = interval(scores), interval(scores, tasks_too=True)
        assert here.mean == elsewhere.mean and (here.n, elsewhere.n) == (6, 5)
        assert here.high - here.low < 0.01 < 0.2 < elsewhere.high - elsewhere.low
    one_seed = mean_interval(scores[:, :1], tasks_too=True)
    assert one_seed.low < one_seed.mean < one_seed.high
    one_task = mean_interval(scores[:1], tasks_too=True)
    assert one_task.n == 1 and np.isnan(one_task.low)


@given(PAIRS)
@settings(deadline=None, max_examples=50)
def test_wins_are_those_of_a_double_loop_and_add_up_to_one(pairs) -> None:
    first, second = [list(side) for side in zip(*pairs, strict=True)]
    found = probability_of_improvement(first, second, paired=False, **BRIEF)
    turned = probability_of_improvement(second, first, paired=False, **BRIEF)
    assert found.mean == pytest.approx(double_loop(first, second))
    assert found.mean + turned.mean == pytest.approx(1)
    if found.n > 1:
        assert 0 <= found.low <= found.high <= 1


@given(RAGGED, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_nobody_improves_on_itself_in_any_order_of_seeds(rows, random) -> None:
    mixed = [random.sample(row, len(row)) for row in rows]
    assert probability_of_improvement(rows, mixed, **BRIEF).mean == pytest.approx(0.5)
    assert mean_interval(mixed, **BRIEF).mean == pytest.approx(mean_interval(rows, **BRIEF).mean)


def test_seeds_that_move_both_methods_are_drawn_together() -> None:
    """The second is the first less a constant on every seed: their wins vary less when paired."""
    data = np.arange(8.0)
    together = probability_of_improvement([data + 0.5], [data])
    apart = probability_of_improvement([data + 0.5], [data], paired=False)
    assert together.mean == apart.mean == double_loop([data + 0.5], [data])
    assert together.high - together.low < apart.high - apart.low
    with pytest.raises(Misuse, match="pass paired=False"):
        probability_of_improvement([[1.0, 2.0]], [[1.0]])


def test_a_profile_is_the_share_above_each_threshold() -> None:
    """Of task a half is above 0.3 and of task b three quarters, whose seeds are twice as many."""
    scores = {"a": [0.2, 0.4], "b": [0.1, 0.5, 0.6, 1.0]}
    found = performance_profile(scores, [-0.1, 0.3, 0.5, 1.0])
    assert found.share == pytest.approx([1, 0.625, 0.25, 0])
    assert found.low[[0, 3]].tolist() == found.high[[0, 3]].tolist() == [1, 0]
    assert (found.low[1:3] < found.share[1:3]).all() and (found.share < found.high)[1:3].all()
    assert found.thresholds.tolist() == [-0.1, 0.3, 0.5, 1.0] and found.n == 2


def test_profiles_fall_and_their_area_is_the_mean() -> None:
    """The area under the share above tau, from 0 to 1, is the mean; 1,000 steps leave 1/1000."""
    scores = np.random.default_rng(0).random((3, 4))
    grid = np.linspace(0, 1, 1001)
    found = performance_profile(scores, grid, replicates=20)
    for curve in (found.share, found.low, found.high):
        assert (np.diff(curve) <= 1e-12).all()
    assert found.share.mean() == pytest.approx(scores.mean(), abs=1e-3)


def test_the_same_seed_gives_the_same_limits() -> None:
    scores = np.random.default_rng(0).random((3, 5))
    assert iqm_interval(scores, seed=4) == iqm_interval(scores, seed=4)
    assert iqm_interval(scores, seed=4) == iqm_interval(scores, seed=np.random.default_rng(4))
    assert iqm_interval(scores, seed=4) != iqm_interval(scores, seed=5)
    assert iqm_interval(list(scores), seed=4) == iqm_interval(
        dict(zip("abc", scores, strict=True)), seed=4
    )


def test_what_is_missing_is_not_made_up() -> None:
    for scores in ([], [[]], [[1.0, 2.0], []], [[1.0, math.nan], [0.5, 0.5]]):
        for tasks_too in (False, True):
            found = mean_interval(scores, tasks_too=tasks_too)
            assert np.isnan([found.mean, found.low, found.high]).all()
            assert np.isnan(iqm_interval(scores, tasks_too=tasks_too).mean)
            assert np.isnan(probability_of_improvement(scores, scores, tasks_too=tasks_too).mean)
            profile = performance_profile(scores, [0.1, 0.2], tasks_too=tasks_too)
            assert profile.share.shape == (2,) and np.isnan(profile.share).all()
    assert mean_interval([]).n == mean_interval([[1.0, 2.0], []]).n == 0
    one = iqm_interval([[0.25], [0.75]])
    assert one.mean == 0.5 and one.n == 1 and np.isnan(one.high)
    equal = iqm_interval([[0.5] * 5] * 3)
    assert (equal.mean, equal.low, equal.high) == (0.5, 0.5, 0.5)


def test_two_thousand_replicates_take_milliseconds() -> None:
    """Measured 4 ms on one core; the best of five tries, ten times that for a busy machine."""
    scores = np.random.default_rng(0).random((5, 12))
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        iqm_interval(scores, replicates=2000)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.05
