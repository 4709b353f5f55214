"""Families of knowledge injection: what each leaves as it was, and what each costs."""

import torch

from ktlabs.external_knowledge.knowledge_injection import adapted, costs, look_up, route

KEYS = torch.tensor([[[2.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
ASKED = torch.tensor([[[0.8, 0.6], [0.0, 5.0], [-1.0, 0.0]]], dtype=torch.float64)


def test_the_nearest_entry_answers_from_the_gate_on_whatever_the_lengths():
    model = torch.tensor([[1, 2, 3]])
    entries = torch.tensor([[7, 8]])
    # Cosines to the nearest: 0.8 to the first, 1 to the second, 0 to the second.
    assert look_up(ASKED, KEYS, entries, model, gate=0.7).tolist() == [[7, 8, 3]]
    assert look_up(ASKED, KEYS, entries, model, gate=0.9).tolist() == [[1, 8, 3]]
    assert look_up(ASKED, KEYS, entries, model, gate=-1.0).tolist() == [[7, 8, 8]]


def test_a_store_that_grows_changes_no_answer_of_an_entry_that_is_still_the_nearest():
    grown = torch.cat([KEYS, torch.tensor([[[-1.0, -1.0]]])], dim=1)
    model = torch.zeros(1, 3, dtype=torch.long)
    before = look_up(ASKED, KEYS, torch.tensor([[7, 8]]), model, gate=0.5)
    after = look_up(ASKED, grown, torch.tensor([[7, 8, 9]]), model, gate=0.5)
    assert before.tolist() == [[7, 8, 0]]
    assert after.tolist() == [[7, 8, 9]]


def test_a_route_asks_the_changed_model_near_the_new_facts_only():
    new, old = torch.tensor([[1, 1, 1]]), torch.tensor([[0, 0, 0]])
    assert route(ASKED, KEYS, new, old, gate=0.9).tolist() == [[0, 1, 0]]


def test_an_adapter_that_begins_at_zero_changes_nothing_and_then_adds_its_product():
    logits, x = torch.zeros(1, 1, 2), torch.tensor([[[1.0, 2.0]]])
    down = torch.tensor([[[3.0, 1.0]]])
    assert torch.equal(adapted(logits, x, down, torch.zeros(1, 2, 1)), logits)
    assert adapted(logits + 1, x, down, torch.tensor([[[2.0], [-1.0]]])).tolist() == [[[11.0, -4.0]]]


def test_costs_by_hand():
    # A model of 2 x (3 + 4) = 14 weights, an adapter of 1 x (3 + 4) = 7, ten facts and five steps.
    assert costs((3, 2, 4), rank=1, facts=10, steps=5) == {
        "static": (3 * 14 * 50, 14),
        "adapter": ((3 * 7 * 5 + 14) * 10, 21),
        "retrieval": (0, 14 + 30),
    }
