"""Objects of statements: how they are asked for, matched, and learnt by a linear head."""

import pytest
import torch

from ktlabs.kg_and_llm.orkg_qa import _parts, _shuffled, question, relaxed, ridge, strict


def test_a_question_is_a_statement_that_stops_before_its_object():
    assert question("gold", "series") == "gold | series:"
    shown = question("gold", "series", [("neon", "Noble gases")])
    assert shown == "neon | series: Noble gases\ngold | series:"


@pytest.mark.parametrize(
    ("answer", "is_strict", "is_relaxed"),
    [
        (" Noble gases\nArgon | series:", True, True),
        (" noble gas", False, False),
        (" a noble gases element", False, True),
        (" Noble", False, True),
        (" ignoble", False, False),
        ("", False, False),
        (" halogens", False, False),
    ],
)
def test_relaxed_is_containment_of_words_either_way(answer, is_strict, is_relaxed):
    assert strict(answer, "Noble gases") == is_strict
    assert relaxed(answer, "Noble gases") == is_relaxed


def test_number_and_case_do_not_count():
    assert strict(" alkali metal.", "Alkali metals")
    assert not strict(" metalloid", "Alkali metals")


def test_a_head_by_hand():
    # One state of length 2 with d = 2: W = h y / (h.h + 2 penalty).
    states, objects = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0]])
    assert torch.allclose(ridge(states, objects, 2.5), torch.tensor([[0.1], [4 / 30]]))


def test_the_head_solves_the_penalised_normal_equations():
    rng = torch.Generator().manual_seed(0)
    states, objects = (torch.randn(7, own, generator=rng) for own in (5, 3))
    head = ridge(states, objects, 0.4)
    assert torch.allclose(states.T @ (states @ head - objects) + 0.4 * 5 * head, torch.zeros(5, 3), atol=1e-9)


def test_shuffling_keeps_what_each_predicate_has():
    labels = torch.tensor([0, 0, 1, 2, 7, 8, 8, 9])
    found = _shuffled(labels, 3)
    assert found[:4].sort().values.tolist() == [0, 0, 1, 2]
    assert found[4:].sort().values.tolist() == [7, 8, 8, 9]
    assert torch.equal(found, _shuffled(labels, 3))


def test_parts_share_no_element_but_for_the_shots_that_are_trained_on():
    own = _parts(3)
    elements = {name: {n for n, _ in items} for name, items in own.items()}
    assert not elements["test"] & (elements["validation"] | elements["train"])
    assert not elements["validation"] & elements["train"]
    assert elements["shots"] <= elements["train"]
    assert len(own["shots"]) == 8
