"""Knowledge cards: what a card may say, and which documents pass the filters."""

from math import e

import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.external_knowledge.cook import card_log_probs, check, screen

LOGITS = torch.tensor([[[0.0, 2.0, 1.0, 2.0]]], dtype=torch.float64)


def test_cards_divide_their_probability_apart_and_a_monolith_among_all():
    apart = card_log_probs(LOGITS, torch.tensor([[0, 1, 0, 1]])).exp()
    assert torch.allclose(apart[0, 0], torch.tensor([1 / (1 + e), 1 / 2, e / (1 + e), 1 / 2]))
    assert torch.allclose(card_log_probs(LOGITS, torch.zeros(1, 4).long()), LOGITS.log_softmax(dim=-1))


@given(st.permutations(range(6)))
def test_the_order_of_documents_does_not_matter_and_every_card_sums_to_one(order):
    order = torch.tensor(order)
    logits, card = torch.linspace(-1, 1, 12).reshape(1, 2, 6) ** 3, torch.tensor([[0, 0, 1, 1, 2, 2]])
    plain = card_log_probs(logits, card)
    assert torch.allclose(card_log_probs(logits[..., order], card[:, order]), plain[..., order])
    assert torch.allclose(plain.exp().reshape(1, 2, 3, 2).sum(dim=-1), torch.ones(1, 2, 3))


def test_what_one_card_learns_changes_nothing_that_another_says():
    card = torch.tensor([[0, 0, 1, 1]])
    other = LOGITS + torch.tensor([0.0, 0.0, 5.0, -5.0])
    assert torch.equal(card_log_probs(LOGITS, card)[..., :2], card_log_probs(other, card)[..., :2])
    one = torch.zeros_like(card)
    assert not torch.allclose(card_log_probs(LOGITS, one)[..., :2], card_log_probs(other, one)[..., :2])


def test_evidence_confirms_contradicts_or_is_silent():
    assert check(torch.tensor([3, 3, 3]), torch.tensor([3, 4, -1])).tolist() == [1, -1, 0]


def test_relevance_comes_before_facts_and_what_was_not_given_never_passes():
    weight = torch.tensor([0.5, 0.2, 0.9, 0.0])
    relevance = torch.tensor([0.8, 0.7, 0.1, 0.9])
    fact = torch.tensor([-1.0, 0.0, 1.0, 1.0])
    # The fourth is nearest but was not given, the third is confirmed but beside the point.
    assert screen(weight, relevance, fact, 2, 1).tolist() == [0.0, 0.2, 0.0, 0.0]
    assert screen(weight, relevance, fact, 2, 2).tolist() == [0.5, 0.2, 0.0, 0.0]


def test_documents_that_are_checked_alike_pass_by_weight():
    weight, near = torch.tensor([0.3, 0.6, 0.1]), torch.tensor([0.9, 0.8, 0.7])
    assert screen(weight, near, torch.zeros(3), 2, 1).tolist() == [0.0, 0.6, 0.0]
    assert screen(weight, near, torch.tensor([1.0, 0.0, 1.0]), 2, 1).tolist() == [0.3, 0.0, 0.0]
