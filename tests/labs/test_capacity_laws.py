"""Bits that a network holds, and the rounding of its weights."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from ktlabs.knowledge_in_language_models.capacity_laws import learned_bits, quantised

WEIGHTS = torch.randn(5, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_uniform_guess_holds_nothing_and_certainty_holds_all():
    values = torch.tensor([[0, 3, 5, 7]])
    assert_close(learned_bits(torch.zeros(1, 4, 8), values), torch.zeros(1))
    sure = 100 * torch.nn.functional.one_hot(values, 8).to(torch.float64)
    assert_close(learned_bits(sure, values), torch.tensor([4 * 3.0]))  # four facts of three bits


def test_half_the_values_excluded_is_one_bit_a_fact():
    logits = torch.zeros(3, 8)
    logits[:, 4:] = -1000.0
    assert_close(learned_bits(logits, torch.tensor([0, 1, 3])), torch.tensor(3.0))


def test_what_is_told_wrongly_counts_against_what_is_told_rightly():
    p = 0.75
    logits = torch.tensor([p, 1 - p]).log().expand(2, 2)
    lost = 2 + math.log2(p) + math.log2(1 - p)  # one right and one wrong: less than nothing
    assert lost < 0
    assert learned_bits(logits, torch.tensor([0, 1])) == 0
    assert learned_bits(logits[:1], torch.tensor([0])) == pytest.approx(1 + math.log2(p))


def test_rounding_by_hand():
    w = torch.tensor([[7.0, -3.4, 0.6], [0.07, 0.034, -0.006]])
    rows = quantised(w, 4, by_row=True)  # levels of 1, and of 0.01
    assert_close(rows, torch.tensor([[7.0, -3.0, 1.0], [0.07, 0.03, -0.01]]))
    assert_close(quantised(w, 4, by_row=False), torch.tensor([[7.0, -3.0, 1.0], [0.0, 0.0, 0.0]]))


@given(st.integers(2, 8), st.booleans())
def test_rounding_keeps_each_network_s_largest_moves_none_by_more_than_half_a_level_and_is_idempotent(
    bits, by_row
):
    own = quantised(WEIGHTS, bits, by_row=by_row)
    dims = -1 if by_row else (-2, -1)
    largest = WEIGHTS.abs().amax(dim=dims, keepdim=True)
    assert_close(own.abs().amax(dim=dims, keepdim=True), largest)
    assert ((own - WEIGHTS).abs() <= largest / (2 ** (bits - 1) - 1) / 2 + 1e-12).all()
    assert_close(quantised(own, bits, by_row=by_row), own)
    assert len((own[0, 0] / largest[0, 0]).unique()) <= 2**bits


def test_a_scale_a_row_rounds_no_worse_than_one_scale():
    errors = [(quantised(WEIGHTS, 4, by_row=own) - WEIGHTS).square().mean() for own in (True, False)]
    assert errors[0] < 0.7 * errors[1]


def test_networks_are_rounded_apart_and_zeros_stay():
    other = WEIGHTS.clone()
    other[1:] *= 100
    assert_close(quantised(other, 4, by_row=False)[0], quantised(WEIGHTS, 4, by_row=False)[0])
    assert (quantised(torch.zeros(2, 3), 8, by_row=True) == 0).all()


def test_one_bit_is_refused():
    with pytest.raises(ValueError, match="1 bits leave no level"):
        quantised(WEIGHTS, 1, by_row=True)
