"""Intervals, paired tests and Holm's correction against hand, enumeration and scipy."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from closedloop.bench.errors import Misuse
from closedloop.bench.stats.intervals import (
    bootstrap_interval,
    expanded_level,
    seed_interval,
    wilson,
)
from closedloop.bench.stats.paired import (
    differences,
    holm,
    paired_bootstrap,
    paired_difference,
    percentile_difference,
    sign_flip,
    wilcoxon,
)

SAMPLES = st.lists(st.integers(-40, 40), min_size=5, max_size=8)
"""Differences in fortieths, so that ties and zeros are common."""


def limits(interval) -> tuple[float, float, float]:
    return interval.mean, interval.low, interval.high


def brute_force_flips(sample) -> float:
    """The sign-flip p-value of whole numbers, one pattern after the other."""
    seen = abs(sum(sample))
    patterns = list(itertools.product((-1, 1), repeat=len(sample)))
    far = [abs(sum(s * d for s, d in zip(signs, sample, strict=True))) for signs in patterns]
    return sum(value >= seen for value in far) / len(patterns)


def test_wilson_of_no_success_in_five_reaches_to_0_434() -> None:
    found = wilson(0, 5)
    assert limits(found) == pytest.approx((0, 0, 1.959964**2 / (5 + 1.959964**2)), abs=1e-6)
    assert found.high == pytest.approx(0.434, abs=5e-4)
    assert wilson(5, 5).low == pytest.approx(1 - found.high)


def test_wilson_is_scipy_s_and_narrower_at_a_lower_level() -> None:
    theirs = stats.binomtest(7, 20).proportion_ci(0.9, method="wilson")
    found = wilson(7, 20, level=0.9)
    assert limits(found) == pytest.approx((0.35, theirs.low, theirs.high))
    assert wilson(7, 20).low < found.low


def test_wilson_of_nothing_is_nothing_and_refuses_what_cannot_be() -> None:
    for nothing in (wilson(0, 0), wilson(math.nan, 5)):
        assert nothing.n == 0 and np.isnan(limits(nothing)).all()
    for successes in (-1, 6):
        with pytest.raises(Misuse, match="expected 0 to 5 successes of 5"):
            wilson(successes, 5)


def test_bootstrap_limits_are_the_replicates_percentiles() -> None:
    found = bootstrap_interval(np.arange(101.0), 40.0, 7, level=0.9)
    assert (*limits(found), found.n) == pytest.approx((40, 5, 95, 7))
    assert np.isnan(bootstrap_interval(np.arange(101.0), 40.0, 1).low)
    assert np.isnan(bootstrap_interval([], 40.0, 7).high)


def test_the_expanded_level_mends_the_spread_of_five_seeds() -> None:
    """sqrt(5/4) of bias and 2.776 for 1.960 (Student's t at 4) make 3.104 normal deviations."""
    assert expanded_level(5) == pytest.approx(1 - 2 * stats.norm.sf(3.1041), abs=1e-6)
    assert expanded_level(25, blocks=5) == pytest.approx(
        1 - 2 * stats.norm.sf(math.sqrt(5 / 4) * stats.t.ppf(0.975, 20))
    )
    assert expanded_level(10**6) == pytest.approx(0.95, abs=1e-5)  # many units need no mending
    with pytest.raises(Misuse, match="more units than blocks"):
        expanded_level(5, blocks=5)


def test_the_paired_difference_is_scipy_s_paired_t_interval() -> None:
    candidate, reference = [0.9, 0.7, 0.8, 0.95], [0.85, 0.6, 0.82, 0.9]
    theirs = stats.ttest_rel(candidate, reference).confidence_interval(0.95)
    assert limits(paired_difference(candidate, reference)) == pytest.approx(
        (0.045, theirs.low, theirs.high)
    )


def test_pairing_sees_what_two_samples_hide() -> None:
    """The data seed moves both methods by 0.3, the method by 0.02: paired, its gain is certain."""
    random = np.random.default_rng(0)
    data = 0.3 * random.random(10)
    reference = data + 0.005 * random.random(10)
    candidate = data + 0.02 + 0.005 * random.random(10)
    assert paired_difference(candidate, reference).low > 0
    assert paired_bootstrap([candidate], [reference]).low > 0
    assert stats.ttest_ind(candidate, reference).pvalue > 0.1


def test_a_paired_bootstrap_goes_through_all_resamples_of_three_seeds() -> None:
    """All 27 resamples are as likely: the limits are the least and the greatest mean difference."""
    found = percentile_difference([3.0, 1.0, 2.0], [1.0, 1.0, 1.0], level=0.99)
    assert limits(found) == pytest.approx((1, 0, 2))
    means = [np.mean(drawn) for drawn in itertools.product((0, 1, 2), repeat=3)]
    found = percentile_difference([3.0, 1.0, 2.0], [1.0, 1.0, 1.0], level=0.8)
    assert limits(found) == pytest.approx((1, np.quantile(means, 0.1), np.quantile(means, 0.9)))


def test_tasks_count_once_and_are_matched_by_name() -> None:
    candidate = {"parity": [1.0, 0.8], "sudoku": [0.5, 0.5, 0.5]}
    reference = {"sudoku": [0.4, 0.5, 0.6], "parity": [0.5, 0.7]}
    found = paired_bootstrap(candidate, reference)
    assert found.mean == pytest.approx((0.3 + 0) / 2) and found.n == 2
    assert found.low < found.mean < found.high
    assert found == paired_bootstrap(candidate, reference, seed=0)
    assert found == paired_bootstrap(candidate, reference, seed=np.random.default_rng(0))


def test_what_does_not_pair_is_refused() -> None:
    with pytest.raises(Misuse, match=r"align them by seed"):
        paired_difference([1.0, 2.0], [1.0])
    with pytest.raises(Misuse, match="expected the same tasks of every method, got a and b"):
        paired_bootstrap({"a": [1.0]}, {"b": [1.0]})
    with pytest.raises(Misuse, match=r"got \[2\] and \[1\] seeds a task"):
        paired_bootstrap([[1.0, 2.0]], [[1.0]])
    with pytest.raises(Misuse, match="an array of seeds for every task"):
        paired_bootstrap([1.0, 2.0], [1.0, 2.0])


def test_one_seed_has_no_limits_none_has_no_mean_and_nan_is_not_dropped() -> None:
    one = paired_difference([0.5], [0.25])
    assert one.mean == 0.25 and one.n == 1 and np.isnan([one.low, one.high]).all()
    assert percentile_difference([], []).n == paired_difference([], []).n == 0
    lonely = paired_bootstrap([[0.5], [0.5, 0.6]], [[0.25], [0.5, 0.5]])
    assert lonely.mean == pytest.approx(0.15) and lonely.n == 1 and np.isnan(lonely.low)
    for found in (
        paired_difference([0.5, math.nan, 1], [0, 0, 0]),
        percentile_difference([0.5, math.nan, 1], [0, 0, 0]),
        paired_bootstrap([[0.5, math.nan, 1]], [[0, 0, 0]]),
    ):
        assert found.n == 3 and np.isnan(limits(found)).all()


def test_equal_differences_have_an_interval_without_width() -> None:
    for found in (
        paired_difference([0.75] * 5, [0.25] * 5),
        paired_bootstrap([[0.75] * 5], [[0.25] * 5]),
    ):
        assert limits(found) == (0.5, 0.5, 0.5)


@given(SAMPLES)
@settings(deadline=None, max_examples=50)
def test_sign_flips_are_those_of_brute_force(sample) -> None:
    found = sign_flip(np.array(sample) / 40)
    assert found == pytest.approx(brute_force_flips(sample))
    assert found == pytest.approx(sign_flip(-np.array(sample[::-1]) / 40))


def test_five_seeds_cannot_give_less_than_a_sixteenth() -> None:
    assert sign_flip([0.1, 0.2, 0.3, 0.4, 0.5]) == 2 / 2**5
    assert wilcoxon([0.1, 0.2, 0.3, 0.4, 0.5]) == 2 / 2**5
    assert sign_flip([0.1] * 6) == wilcoxon([0.1] * 6) == 2 / 2**6


@given(st.lists(st.floats(-1, 1), min_size=5, max_size=5))
@settings(deadline=None, max_examples=50)
def test_no_five_differences_are_significant(sample) -> None:
    assert sign_flip(sample) >= 0.0625 and wilcoxon(sample) >= 0.0625


def test_no_p_value_is_given_under_five_pairs_or_with_a_nan() -> None:
    for test in (sign_flip, wilcoxon):
        assert test([0.1, 0.2, 0.3, 0.4]) is None
        assert test([]) is None
        assert test([0.1, 0.2, 0.3, 0.4, math.nan]) is None
        assert test([0.0] * 5) == 1


def test_many_sign_flips_are_drawn_and_agree_with_the_t_test() -> None:
    """With 40 normal differences both tests say the same to the error of 2^16 draws and n."""
    sample = np.random.default_rng(3).normal(0.3, 1, 40)
    found = sign_flip(sample, seed=1)
    assert found == sign_flip(sample, seed=1) != sign_flip(sample, seed=2)
    assert found == pytest.approx(stats.ttest_1samp(sample, 0).pvalue, abs=0.01)
    assert sign_flip([1.0] * 40) == 1 / (2**16 + 1)  # the seen pattern alone is so far out


@given(st.permutations([1, 2, 4, 7, 11, 12, 20]), st.integers(0, 2**7 - 1))
@settings(deadline=None, max_examples=30)
def test_wilcoxon_is_scipy_s_exact_test_and_leaves_out_zeros(sizes, bits) -> None:
    sample = [size if bits >> place & 1 else -size for place, size in enumerate(sizes)]
    expected = stats.wilcoxon(sample, method="exact").pvalue
    assert wilcoxon(np.array([0, *sample, 0]) / 40) == pytest.approx(expected)


def test_wilcoxon_minds_ties_and_zeros() -> None:
    """Ranks of |−0.1 0.1 0.2 0.2 0.3| are 1.5 1.5 3.5 3.5 5: the sum below zero is 1.5.

    Of 32 sign patterns 3 have at most that (none, either one of the least): twice that is 6/32.
    """
    assert wilcoxon([0.1, -0.1, 0.3 - 0.1, 0.2, 0.3, 0]) == 6 / 32
    sample = np.random.default_rng(0).normal(0.2, 1, 30)
    assert wilcoxon(sample) == stats.wilcoxon(sample).pvalue


def test_holm_by_hand() -> None:
    """0.01 × 3, then 0.03 × 2, then 0.04 × 1 but no less than the one before."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1, "b": 1}
    assert holm({"alone": 0.02}) == {"alone": 0.02} and holm({}) == {}


def test_a_comparison_without_a_p_value_counts_in_the_family() -> None:
    assert holm({"a": 0.01, "b": None, "c": 0.04}) == pytest.approx(
        {"a": 0.03, "b": None, "c": 0.08}
    )
    for wrong in (1.5, -0.1, math.nan):
        with pytest.raises(Misuse, match="expected p-values from 0 to 1"):
            holm({"a": wrong})


@given(st.permutations(range(6)), st.lists(st.integers(0, 40), min_size=12, max_size=12))
@settings(deadline=None, max_examples=50)
def test_seeds_may_come_in_any_order(order, scores) -> None:
    candidate, reference = np.array(scores[:6]) / 40, np.array(scores[6:]) / 40
    mixed = candidate[order], reference[order]
    assert limits(paired_difference(*mixed)) == pytest.approx(
        limits(paired_difference(candidate, reference))
    )
    found = differences(candidate, reference)
    assert sign_flip(differences(*mixed)) == sign_flip(found)
    assert wilcoxon(differences(*mixed)) == pytest.approx(wilcoxon(found))


def test_the_t_interval_may_be_cut_to_the_range_of_shares() -> None:
    assert seed_interval([0.0, 1.0], 0, 1).high == 1 and seed_interval([0.0, 1.0]).high > 1
