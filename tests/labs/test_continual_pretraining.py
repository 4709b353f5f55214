"""How alike texts are, the order that follows, and what stand-alone adaptation starts from."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.bench.data import passages
from ktlabs.continual_learning import continual_pretraining as lab
from ktlabs.continual_learning.continual_pretraining import chain, similarity

texts = st.lists(st.integers(0, 95), min_size=3, max_size=30).map(torch.tensor)


def test_similarity_by_hand():
    one = torch.tensor([1, 2, 3, 1])  # trigrams 123 and 231
    assert similarity(one, one).item() == pytest.approx(1)
    assert similarity(one, torch.tensor([4, 4, 4])).item() == 0
    assert similarity(one, torch.tensor([1, 2, 3])).item() == pytest.approx(math.sqrt(1 / 2))


@given(texts, texts)
def test_similarity_has_bounds_and_does_not_ask_which_text_is_first(one, other):
    assert 0 <= similarity(one, other) <= 1 + 1e-12
    assert torch.allclose(similarity(one, other), similarity(other, one))


def test_orders_by_hand():
    alike = torch.tensor([[1, 9, 1, 1], [9, 1, 1, 8], [1, 1, 1, 7], [1, 8, 7, 1.0]])
    assert chain(alike, most=True) == (0, 1, 3, 2)
    assert _length(alike, chain(alike, most=False)) == 3


def _length(alike, order):
    return sum(float(alike[a, b]) for a, b in itertools.pairwise(order))


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_no_order_has_nearer_neighbours_than_the_similar_one_or_farther_than_the_other(values):
    alike = torch.zeros(4, 4)
    for (a, b), value in zip(itertools.combinations(range(4), 2), values, strict=True):
        alike[a, b] = alike[b, a] = value
    lengths = [_length(alike, order) for order in itertools.permutations(range(4))]
    assert _length(alike, chain(alike, most=True)) == pytest.approx(max(lengths))
    assert _length(alike, chain(alike, most=False)) == pytest.approx(min(lengths))
    assert sorted(chain(alike, most=True)) == [0, 1, 2, 3]


def test_the_first_domain_of_a_sequence_is_learnt_as_if_it_were_alone(monkeypatch):
    monkeypatch.setattr(lab, "_EACH", 3)
    parts = [passages(domain, [1, 2], train=2, test=2) for domain in lab.DOMAINS]
    walk = lab._Walk([1, 2], 4, 1e-2, parts)
    bits, right = walk.sequence(walk.net.params, (3, 0))
    walk.parts, walk.held = [parts[3]], [walk.held[3]]
    assert torch.allclose(walk.alone([walk.net.params]), bits[:, 0, 0])
    assert bits.shape == right.shape == (2, 2, 2)
