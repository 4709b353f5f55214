"""One triple in five formats, and what an accuracy is worth above chance."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.knowledge_in_language_models.kgquiz import (
    CHANCE,
    Fact,
    above_chance,
    questions,
    states,
)

FACT = Fact("capital of", "France", "Paris", ("Rome", "Lima", "Oslo"), ("Continent", "Europe"), 2)


def test_the_right_option_stands_where_it_should_and_the_wrong_ones_keep_their_order():
    assert FACT.options == ["Rome", "Lima", "Paris", "Oslo"]
    asked = questions(FACT)["multiple choice"]
    assert "A. Rome B. Lima C. Paris D. Oslo" in asked


def test_formats_differ_in_whether_they_give_the_answer_away():
    gives = {name: "Paris" in text for name, text in questions(FACT).items()}
    assert gives == {
        "true": True,
        "false": False,
        "multiple choice": True,
        "blank filling": False,
        "factual editing": False,
        "open-ended": False,
    }


def test_what_is_to_be_edited_is_wrong_in_one_hop_only():
    asked = questions(FACT)["factual editing"]
    assert "The capital of France is Rome, and France is in continent Europe." in asked
    assert asked.endswith(questions(FACT)["blank filling"])


def test_above_chance_by_hand():
    found = above_chance(torch.tensor([0.25, 1.0, 0.625, 0.0]), CHANCE["multiple choice"])
    assert found.tolist() == pytest.approx([0.0, 1.0, 0.5, -1 / 3])


@given(st.floats(0, 0.9), st.floats(0, 1))
def test_knowing_a_share_and_guessing_the_rest_gives_that_share_in_every_format(chance, known):
    accuracy = torch.tensor(known + (1 - known) * chance)
    assert above_chance(accuracy, chance).item() == pytest.approx(known, abs=1e-9)


def test_an_answer_counts_as_a_word_of_its_own():
    assert states(" Au.\n\nThe", "Au", first=True)
    assert not states(" Australia", "Au", first=True)
    assert not states(" not Paris", "Paris", first=True)
    assert states("Location: Europe\nCapital: Paris", "Paris", first=False)
    assert not states("Comparison", "Paris", first=False)
    assert states(' "N\'Djamena"', "N'Djamena", first=True)
