"""Comparisons worked by hand, and what two seed sets mean for a claim."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ktreview.corpus import outcomes as stats

amounts = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=3, max_size=9)


def test_a_comparison_worked_by_hand():
    found = stats.compare(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 4.0, 3.0, 5.0]), "higher")
    # The differences are 1, 2, 0, 1: mean 1, variance 2/3. Of the 16 sums of flipped differences, 4 are as
    # far from 0 as the sum seen: the zero counts twice, on either side.
    assert (found.n, found.baseline_mean, found.method_mean, found.effect) == (4, 2.5, 3.5, 1.0)
    assert found.p == 4 / 16
    assert found.dz == pytest.approx(math.sqrt(3 / 2))
    assert found.wins == 3
    assert 0 <= found.low < 1 < found.high <= 2


def test_eight_differences_of_one_sign_reach_the_smallest_p():
    assert stats.sign_flip(np.arange(1.0, 9.0)) == 2 / 256


def test_a_claim_of_less_counts_the_seeds_that_fell():
    found = stats.compare(np.array([1.0, 1.0, 1.0]), np.array([0.5, 0.25, 2.0]), "lower")
    assert found.wins == 2


def test_differences_that_do_not_vary_have_no_standardised_effect():
    found = stats.compare(np.zeros(8), np.full(8, 0.3), "higher")
    assert math.isnan(found.dz)
    assert (found.low, found.high) == pytest.approx((0.3, 0.3))
    assert found.smallest == pytest.approx(0, abs=1e-12)


def test_the_smallest_effect_is_what_a_t_test_shows_in_four_of_five_cases():
    rng = np.random.default_rng(5)
    scatter = rng.standard_normal(8)
    scatter = (scatter - scatter.mean()) / scatter.std(ddof=1)
    effect = stats.compare(np.zeros(8), scatter, "higher").smallest
    drawn = rng.standard_normal((20_000, 8)) + effect
    shown = scipy_stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05
    assert shown.mean() == pytest.approx(0.8, abs=0.03)


def test_many_pairs_are_flipped_at_random_and_agree_with_the_exact_test():
    differences = np.random.default_rng(3).standard_normal(16) + 0.3
    exact = stats.sign_flip(differences)
    padded = np.concatenate([differences, [0.0]])  # a 17th pair that can't change the sum
    assert stats.sign_flip(padded) == pytest.approx(exact, abs=0.015)


@given(amounts)
def test_swapping_the_arms_turns_the_effect_around(differences):
    zero, method = np.zeros(len(differences)), np.array(differences)
    one, other = stats.compare(zero, method, "higher"), stats.compare(method, zero, "lower")
    assert one.effect == -other.effect
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.p == other.p
    assert one.wins == other.wins


@given(amounts)
def test_the_interval_holds_the_effect_and_p_is_a_share(differences):
    found = stats.compare(np.zeros(len(differences)), np.array(differences), "higher")
    slack = 1e-9
    assert min(differences) - slack <= found.low <= found.high <= max(differences) + slack
    assert 0 < found.p <= 1


def outcome(first, second, better, p=0.01):
    blank = stats.Comparison(8, 0, 0, 0, 0, 0, p, 0, 8, 0)
    decides, replication = (dataclasses.replace(blank, low=low, high=high) for low, high in (first, second))
    return stats.outcome(decides, replication, better)


@pytest.mark.parametrize(
    ("first", "second", "better", "p", "expected"),
    [
        ((0.1, 0.2), (0.1, 0.2), "higher", 0.01, "supports"),
        ((0.1, 0.2), (0.1, 0.2), "lower", 0.01, "contradicts"),
        ((-0.2, -0.1), (-0.2, -0.1), "lower", 0.01, "supports"),
        ((-0.2, -0.1), (-0.2, -0.1), "higher", 0.01, "contradicts"),
        ((0.1, 0.2), (-0.1, 0.2), "higher", 0.01, "undecided"),  # not replicated
        ((0.1, 0.2), (-0.2, -0.1), "higher", 0.01, "undecided"),  # replicated on the other side
        ((-0.1, 0.2), (0.1, 0.2), "higher", 0.01, "undecided"),  # the deciding interval covers 0
        ((0.1, 0.2), (0.1, 0.2), "higher", 0.06, "undecided"),  # the test does not reject
        ((0.1, 0.2), (0.1, 0.2), "higher", 0.05, "supports"),
        ((0.0, 0.2), (0.1, 0.2), "higher", 0.01, "undecided"),  # touches 0
    ],
)
def test_an_outcome_asks_for_interval_test_and_replication(first, second, better, p, expected):
    assert outcome(first, second, better, p) == expected


def test_what_can_t_be_compared_is_refused():
    with pytest.raises(ValueError, match="no pairs"):
        stats.compare(np.zeros(3), np.zeros(4), "higher")
    with pytest.raises(ValueError, match="'higher' or 'lower', not 'up'"):
        stats.compare(np.zeros(3), np.zeros(3), "up")
