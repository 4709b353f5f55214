"""Emulated fine-tuning: what is added to the large model, and what is not."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.knowledge_in_language_models.eft import averaged, emulated

logits = st.lists(st.floats(-6, 6), min_size=3, max_size=3).map(
    lambda row: torch.tensor([row], dtype=torch.float64)
)


def test_emulation_by_hand():
    large, tuned, small = (torch.tensor([own]).log() for own in ([0.5, 0.5], [0.6, 0.4], [0.2, 0.8]))
    wanted = torch.tensor([0.5 * 3, 0.5 * 0.5]) / 1.75
    assert torch.allclose(emulated(large, tuned, small).exp()[0], wanted)


def test_average_by_hand():
    large, tuned = (torch.tensor([own]).log() for own in ([0.8, 0.2], [0.2, 0.8]))
    assert averaged(large, tuned).exp()[0].tolist() == pytest.approx([0.5, 0.5])


@given(logits, logits)
def test_fine_tuning_that_changed_nothing_leaves_the_large_model_as_it_is(large, small):
    assert torch.allclose(emulated(large, small, small), large.log_softmax(dim=-1))


@given(logits, logits)
def test_a_large_model_that_equals_the_small_one_becomes_the_fine_tuned_one(small, tuned):
    assert torch.allclose(emulated(small, tuned, small), tuned.log_softmax(dim=-1))


@given(logits, logits, logits, st.floats(-5, 5))
def test_probabilities_sum_to_one_whatever_constant_is_added_to_logits(large, tuned, small, constant):
    found = emulated(large + constant, tuned - constant, small + 2 * constant)
    assert torch.allclose(found.exp().sum(dim=-1), torch.ones(1))
    assert torch.allclose(found, emulated(large, tuned, small), atol=1e-9)
    assert torch.allclose(averaged(large, tuned).exp().sum(dim=-1), torch.ones(1))


def test_an_average_keeps_what_the_small_model_had_before_and_emulation_does_not():
    large, small = torch.zeros(1, 2), torch.tensor([[2.0, 0.0]])
    assert torch.allclose(emulated(large, small, small), large.log_softmax(dim=-1))
    assert averaged(large, small)[0, 0] > averaged(large, small)[0, 1]
