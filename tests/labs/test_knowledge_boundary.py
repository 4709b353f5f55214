"""What a model says of its answers, beyond how often it says yes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.knowledge_in_language_models.knowledge_boundary import (
    PASSAGES,
    _passages,
    agreement,
    awareness,
    ranking,
)

bits = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=9).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64).T
)


def even(n):
    return torch.full((n,), 1 / n)


def test_by_hand():
    said, right = torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    # They agree on 3 of 4; by their rates of 3/4 and 1/2 alone they would on 1/2.
    assert agreement(said, right, even(4)).item() == pytest.approx(0.75)
    assert awareness(said, right, even(4)).item() == pytest.approx(0.25)


@given(bits)
def test_always_yes_agrees_as_often_as_it_is_right_and_is_aware_of_nothing(rows):
    right, yes = rows[0], torch.ones(rows.shape[1])
    assert agreement(yes, right, even(len(yes))).item() == pytest.approx(right.mean().item())
    assert awareness(yes, right, even(len(yes))).item() == pytest.approx(0.0, abs=1e-12)


@given(bits)
def test_awareness_is_agreement_less_what_the_rates_alone_give(rows):
    (said, right), weights = rows, even(rows.shape[1])
    j, c = said.mean(), right.mean()
    expected = agreement(said, right, weights) - j * c - (1 - j) * (1 - c)
    assert awareness(said, right, weights).item() == pytest.approx(expected.item(), abs=1e-12)
    assert abs(awareness(said, right, weights).item()) <= 0.5


def test_ranking_does_not_care_where_the_line_is_and_has_a_sign():
    margin, right = torch.tensor([3.0, 1.0, 2.0, -1.0]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    # Of the four pairs of a right and a wrong answer three are in order: (3 - 1) / 16.
    assert ranking(margin, right, even(4)).item() == pytest.approx(2 / 16)
    assert ranking(margin - 100, right, even(4)).item() == pytest.approx(2 / 16)
    assert ranking(-margin, right, even(4)).item() == pytest.approx(-2 / 16)
    assert ranking(margin, torch.ones(4), even(4)).item() == 0.0


def test_weights_count_as_copies():
    said, right = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0])
    weights = torch.tensor([0.5, 0.25, 0.25])
    copied = torch.tensor([0, 0, 1, 2])
    for measure in (agreement, awareness, ranking):
        once = measure(said, right, weights)
        assert once.item() == pytest.approx(measure(said[copied], right[copied], even(4)).item())


def test_passages_differ_in_what_they_are_about_and_not_in_their_form():
    class Country:
        def __init__(self, name, capital):
            self.name, self.capital = name, capital

    own = _passages([Country("France", "Paris"), Country("Peru", "Lima")], [0], [1])
    form = "Passage: {} is the capital of {}.\n"
    assert own["none"] == [""]
    assert own["gold"] == [form.format("Paris", "France")]
    assert own["irrelevant"] == [form.format("Lima", "Peru")]
    assert own["counterfactual"] == [form.format("Lima", "France")]
    assert sum(PASSAGES.values()) == 1
