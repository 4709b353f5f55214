"""Records in words, worked by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ktreview.corpus import wording
from ktreview.corpus.outcomes import Comparison

NAN = float("nan")


def claim(value, bound, unit="percent", value_high=NAN, **more):
    return SimpleNamespace(
        value=value, value_high=value_high, bound=bound, unit=unit, basis="unstated", **more
    )


@pytest.mark.parametrize(
    ("claimed", "words"),
    [
        (claim(2, "at-most", "points"), "≤ 2 points"),
        (claim(8, "at-least"), "≥ 8%"),
        (claim(24.1, "up-to", value_high=24.1), "up to 24.1%"),
        (claim(3, "exact", value_high=5), "3 to 5%"),
        (claim(14e9, "approx", "parameters"), "≈ 14 billion parameters"),
        (claim(2.5, "exact", "times"), "2.5×"),
        (claim(0.83, "exact", "score"), "0.83"),
    ],
)
def test_a_value_with_bound_and_unit(claimed, words):
    assert wording.value(claimed) == words


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ((-0.125, -0.25, 0.0125), "−0.125 [−0.250, +0.013], p 0.062, 7 of 8"),
        ((-12.5, -25.04, -1.0), "−12.50 [−25.04, −1.00], p 0.062, 7 of 8"),
        ((0.5, -1.25, 0.9), "+0.50 [−1.25, +0.90], p 0.062, 7 of 8"),
        ((0.5, 0.1, 1.25), "+0.50 [+0.10, +1.25], p 0.062, 7 of 8"),
    ],
)
def test_an_effect_has_two_digits_from_one_on_and_else_three(effect, words):
    assert wording.effect(Comparison(8, 1, 1, *effect, 0.0625, 1, 7, 0.1)) == words


def test_what_a_claim_states_and_leaves_out():
    stated = claim(2, "exact", metric="F1", benchmark="", baseline="a lamp", baseline_named=False)
    assert wording.details(stated) == "Metric: F1; benchmark: not named; baseline: a lamp (not by name)."
    stated.baseline_named = True
    assert wording.details(stated).endswith("baseline: a lamp.")
