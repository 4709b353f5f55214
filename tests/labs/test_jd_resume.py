"""Profiles of linked concepts, what explains a match, and how a ranking is scored."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.evaluation_and_applications.jd_resume import average_precision, contributions, expand

#: Entities 0 and 1 stand under concept 0, entity 2 under both.
ONTOLOGY = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)


def test_a_text_is_seen_under_the_concepts_of_what_it_mentions():
    linked = torch.tensor([[0.0, 1.0, 1.0]], dtype=torch.float64)
    expected = [[math.log(3), math.log(2)], [math.log(2), math.log(2)], [math.log(2), 0.0]]
    assert expand(linked, ONTOLOGY)[0].tolist() == [pytest.approx(row) for row in expected]


def test_what_a_text_says_of_the_other_party_does_not_count():
    only = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    assert torch.equal(expand(only, ONTOLOGY)[0, 2], torch.zeros(2, dtype=torch.float64))


@given(st.integers(0, 99))
def test_contributions_add_up_to_the_cosine(seed):
    draw = torch.Generator().manual_seed(seed)
    one, other, weight = (torch.rand(5, generator=draw) for _ in range(3))
    each = contributions(one, other, weight)
    assert float(each.sum()) == pytest.approx(
        float(torch.cosine_similarity(one * weight, other * weight, dim=0))
    )
    assert (each >= 0).all()


def test_only_shared_concepts_explain_and_rarer_ones_more():
    one = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    other = torch.tensor([1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    each = contributions(one, other, torch.tensor([1.0, 2.0, 1.0, 1.0], dtype=torch.float64))
    assert each.tolist() == pytest.approx([1 / 6, 4 / 6, 0, 0])
    assert contributions(one, torch.zeros_like(one), torch.ones_like(one)).tolist() == [0] * 4


def test_average_precision_by_hand():
    scores = torch.tensor([[3.0, 2.0, 1.0, -torch.inf], [1.0, 2.0, 3.0, -torch.inf]], dtype=torch.float64)
    matches = torch.tensor([[True, False, True, False], [False, False, False, False]])
    assert float(average_precision(scores, matches)) == pytest.approx((1 + 2 / 3) / 2)  # of the first row
    matches[1, 0] = True
    assert float(average_precision(scores, matches)) == pytest.approx(((1 + 2 / 3) / 2 + 1 / 3) / 2)
