"""Ranks and their tests, slopes and rank correlations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from closedloop.bench.errors import Misuse
from closedloop.bench.stats.ranks import (
    critical_difference,
    friedman,
    friedman_statistic,
    nemenyi,
    rank_intervals,
    ranks,
)
from closedloop.bench.stats.slopes import (
    seed_slopes,
    seed_spearman,
    slope,
    slope_bootstrap,
    spearman,
)

TABLES = st.integers(2, 5).flatmap(
    lambda tasks: st.lists(
        st.lists(st.integers(0, 3), min_size=tasks, max_size=tasks), min_size=3, max_size=5
    )
)
"""Methods by tasks, with many ties."""


def test_the_best_is_first_and_ties_share() -> None:
    assert ranks(np.array([0.9, 0.5, 0.9, 0.1])).tolist() == [1.5, 3, 1.5, 4]
    assert ranks(np.array([0.1 + 0.2, 0.3])).tolist() == [1.5, 1.5]  # they differ by one bit


def test_mean_ranks_by_hand() -> None:
    """On a: x y z by means 0.8 0.6 0.6; on b: 0.2 0.4 0.6."""
    found = rank_intervals(
        {
            "x": {"a": [0.8, 0.8], "b": [0.1, 0.3]},
            "y": {"a": [0.5, 0.7], "b": [0.4, 0.4]},
            "z": {"b": [0.6, 0.6], "a": [0.6, 0.6]},
        }
    )
    assert {name: rank.mean for name, rank in found.items()} == {"x": 2, "y": 2.25, "z": 1.75}
    assert all(rank.n == 2 and 1 <= rank.low <= rank.high <= 3 for rank in found.values())


@given(TABLES)
@settings(deadline=None, max_examples=30)
def test_mean_ranks_add_up(table) -> None:
    methods = {str(place): [[score, score] for score in row] for place, row in enumerate(table)}
    total = len(table) * (len(table) + 1) / 2
    found = rank_intervals(methods, replicates=20)
    assert sum(rank.mean for rank in found.values()) == pytest.approx(total)
    tested = friedman({name: [row[0] for row in rows] for name, rows in methods.items()})
    assert tested.mean_ranks.sum() == pytest.approx(total)
    assert tested.mean_ranks == pytest.approx([rank.mean for rank in found.values()])


def test_a_method_that_always_wins_is_first_in_every_draw() -> None:
    random = np.random.default_rng(0)
    scores = {str(place): place + random.random((4, 5)) / 2 for place in range(3)}
    for tasks_too in (False, True):
        found = rank_intervals(scores, tasks_too=tasks_too)
        assert [(r.mean, r.low, r.high) for r in found.values()] == [(3,) * 3, (2,) * 3, (1,) * 3]
    assert rank_intervals({}) == {}


def test_missing_scores_leave_no_rank_and_one_seed_no_limits() -> None:
    found = rank_intervals({"x": [[0.5, math.nan]], "y": [[0.5, 0.6]]})
    assert np.isnan([found["x"].mean, found["y"].mean]).all()
    found = rank_intervals({"x": [[0.5]], "y": [[0.6]]})
    assert found["y"].mean == 1 and np.isnan(found["y"].low)


def test_the_critical_difference_is_demsar_s() -> None:
    """q at 0.05 for 2 to 10 methods: Demšar 2006, Table 5(a); printed to three digits."""
    printed = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    for methods, quantile in enumerate(printed, start=2):
        expected = quantile * math.sqrt(methods * (methods + 1) / (6 * 12))
        assert critical_difference(methods, 12) == pytest.approx(expected, abs=1.5e-3)
    assert critical_difference(5, 12) == pytest.approx(1.76, abs=5e-3)
    assert critical_difference(10, 12) == pytest.approx(3.9, abs=2e-2)


def test_friedman_by_hand() -> None:
    """One order on five tasks: 12 × 5/(3 × 4) × (1 + 4 + 9) − 3 × 5 × 4 = 10, at 2 degrees."""
    scores = np.arange(5.0)
    found = friedman({"x": scores, "y": scores + 1, "z": scores + 2})
    assert found.methods == ("x", "y", "z") and found.tasks == 5
    assert found.mean_ranks.tolist() == [3, 2, 1]
    assert found.statistic == pytest.approx(10)
    assert found.pvalue == pytest.approx(math.exp(-5))


def test_nemenyi_s_pairs_are_studentised_ranges() -> None:
    random = np.random.default_rng(0)
    found = friedman({name: random.random(12) for name in "abcde"})
    far = abs(found.mean_ranks[0] - found.mean_ranks[3]) / math.sqrt(5 * 6 / (6 * 12))
    assert found.pairs is not None and found.pairs.shape == (5, 5)
    assert found.pairs[0, 3] == found.pairs[3, 0]
    expected = stats.studentized_range.sf(far * math.sqrt(2), 5, np.inf)
    assert found.pairs[0, 3] == pytest.approx(expected)


def test_pairs_a_critical_difference_apart_have_p_0_05() -> None:
    """Of two methods Nemenyi's test is normal: sqrt(N) times the distance is 1.96."""
    ordered = np.array([[1.0, 2.0]] * 69 + [[2.0, 1.0]] * 31)  # mean ranks 1.31 and 1.69
    assert critical_difference(2, 100) == pytest.approx(0.196, abs=1e-3)
    assert nemenyi(ordered)[0, 1] == pytest.approx(2 * stats.norm.sf(3.8), abs=1e-5)


def test_under_five_tasks_there_are_ranks_but_no_p_value() -> None:
    found = friedman({name: [0.1, 0.2, 0.3, 0.4] for name in "abc"})
    assert found.pvalue is None and found.pairs is None
    assert found.mean_ranks.tolist() == [2, 2, 2] and found.critical_difference > 1
    assert friedman_statistic(np.full((5, 3), 2.0)) == (0, 1)


def test_too_few_methods_or_tasks_are_refused() -> None:
    with pytest.raises(Misuse, match="three or more methods to rank, got 2"):
        friedman({"x": [1.0, 2.0], "y": [1.0, 2.0]})
    for rows in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(Misuse, match="the same two or more tasks"):
            friedman({"x": rows, "y": [1.0], "z": [1.0]})
    with pytest.raises(Misuse, match="on every task, got NaN"):
        friedman({"x": [1.0, math.nan], "y": [1.0, 2.0], "z": [1.0, 2.0]})


def test_slopes_are_scipy_s_of_each_seed() -> None:
    random = np.random.default_rng(0)
    x, y = np.log2([16, 32, 64, 192]), random.random((5, 4))
    each = [stats.linregress(x, row).slope for row in y]
    assert seed_slopes(x, y) == pytest.approx(each)
    assert slope(x, y).mean == pytest.approx(stats.linregress(x, y.mean(axis=0)).slope)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(each), scale=stats.sem(each))
    assert (slope(x, y).low, slope(x, y).high) == pytest.approx((low, high))
    by_draws = slope_bootstrap(x, y)
    assert by_draws.mean == pytest.approx(slope(x, y).mean) and by_draws.n == 5
    assert min(each) <= by_draws.low < by_draws.mean < by_draws.high <= max(each)


def test_a_gain_of_a_point_per_doubling_has_slope_one() -> None:
    doubled = slope([4, 5, 6, 7], [[1.0, 2.0, 3.0, 4.0]] * 3)
    assert (doubled.mean, doubled.low, doubled.high) == (1, 1, 1)
    own = [[0.0, 1.0], [0.0, 2.0]]  # a difficulty that differs by seed
    assert seed_slopes(own, [[0.0, 1.0], [0.0, 1.0]]).tolist() == [1, 0.5]


def test_spearman_is_scipy_s_with_ties() -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 6, 30)
    y = x + random.integers(0, 6, 30)
    found = spearman(x, y)
    assert found.mean == pytest.approx(stats.spearmanr(x, y).statistic)
    assert 0 < found.low < found.mean < found.high < 1 and found.n == 30
    assert found == spearman(x, y, seed=0) != spearman(x, y, seed=1)
    few = spearman([1, 2, 3], [1, 3, 2])  # a ninth of the draws are of one pair alone
    assert (few.low, few.mean, few.high) == pytest.approx((-1, 0.5, 1))


def test_a_correlation_over_seeds_is_of_their_mean() -> None:
    random = np.random.default_rng(0)
    y = np.arange(6) + 3 * random.random((5, 6))
    found = seed_spearman(np.arange(6), y)
    assert found.mean == pytest.approx(stats.spearmanr(np.arange(6), y.mean(axis=0)).statistic)
    assert found.low <= found.mean <= found.high <= 1 and found.n == 5
    turned = seed_spearman([[1, 2, 3], [3, 1, 2]], [[1, 2, 3], [3, 1, 2]])
    assert (turned.low, turned.mean, turned.high) == (1, 1, 1)  # x is drawn with its y


def test_without_seeds_or_spread_there_is_no_slope_and_no_correlation() -> None:
    for measure in (slope, slope_bootstrap, seed_spearman):
        one = measure([1, 2, 3], [[0.0, 1.0, 2.0]])
        assert one.mean == 1 and one.n == 1 and np.isnan(one.low)
        assert np.isnan(measure([2, 2, 2], [[0.0, 1.0, 2.0]] * 3).mean)
        assert measure([1, 2, 3], np.empty((0, 3))).n == 0
        with pytest.raises(Misuse, match=r"expected y \[seeds, levels\]"):
            measure([1, 2], [[0.0, 1.0, 2.0]])
    assert np.isnan(spearman([1, 2, 3], [5, 5, 5]).mean) and spearman([], []).n == 0
    assert np.isnan(spearman([1], [1]).low)
    with pytest.raises(Misuse, match="expected pairs of values"):
        spearman([1, 2], [1, 2, 3])
