"""Answering from the weights or from a store: what is fetched, when it is read, and when nothing is said."""

import torch

from ktlabs.external_knowledge import augmenting_llms
from ktlabs.external_knowledge.augmenting_llms import Fact, consult, decide, nearest, outcomes

KEYS = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]


def test_the_nearest_entry_is_fetched_unless_the_store_lacks_it():
    keys, asked = torch.tensor(KEYS), torch.tensor([[0.8, 0.6]])
    places, cosines = nearest(asked, keys, torch.zeros(1, 3, dtype=torch.bool))
    assert places.tolist() == [1]
    assert torch.allclose(cosines, torch.tensor([0.96]))
    places, cosines = nearest(asked, keys, torch.tensor([[False, True, False]]))
    assert places.tolist() == [0]
    assert torch.allclose(cosines, torch.tensor([0.8]))


def test_an_entry_is_read_from_the_gate_on_and_else_the_weights_speak():
    alone, reading = torch.tensor([[0.0, -1.0]] * 3), torch.tensor([[-1.0, 0.0]] * 3)
    found = consult(alone, reading, torch.tensor([0.5, 0.7, 0.9]), gate=0.7)
    assert torch.equal(found, torch.stack([alone[0], reading[1], reading[2]]))


def test_an_answer_is_given_only_above_the_least_probability():
    scores = torch.tensor([[0.7, 0.3], [0.45, 0.55]]).log()
    assert decide(scores, 0.0).tolist() == [0, 1]
    assert decide(scores, 0.6).tolist() == [0, -1]


def test_no_answer_is_neither_right_nor_a_hallucination_and_the_unknowable_is_never_right():
    right, wrong = outcomes(torch.tensor([4, 5, -1, 4, -1]), torch.tensor([4, 4, 4, -1, -1]))
    assert right.tolist() == [True, False, False, False, False]
    assert wrong.tolist() == [False, True, False, True, False]


def test_seeds_of_all_sets_ask_for_different_facts():
    store = [
        Fact(kind, f"{kind} {n}", "")
        for kind, count in (("capital", 8), ("symbol", 4))
        for n in range(24 * count)
    ]
    seeds = [*range(8), *range(100, 108), *range(200, 208)]
    dealt = [fact for seed in seeds for fact in augmenting_llms._dealt(store, seed)]
    assert sorted(dealt) == sorted(store)


def test_settings_are_chosen_on_facts_that_are_not_tested():
    facts = [Fact("capital", "", "")] * 3 + [Fact("symbol", "", "")] * 3
    assert augmenting_llms._chooses(facts * 2, [0, 1]).tolist() == [True, True, False] * 2
