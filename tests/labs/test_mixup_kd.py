"""Mixup and distillation: what is mixed, and what the spread of logits does."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.bench.losses import cross_entropy, distillation
from ktlabs.knowledge_distillation.mixup_kd import _scaled, entropy, mix, mix_share, rescale, soft_loss

numbers = st.lists(st.floats(-9, 9), min_size=5, max_size=5)
logits = st.lists(numbers, min_size=3, max_size=3).map(lambda rows: torch.tensor(rows, dtype=torch.float64))


def test_mixing_is_the_line_between_two_images():
    own, other = torch.tensor([[0.0, 4.0], [1.0, 1.0]]), torch.tensor([[8.0, 0.0], [5.0, 9.0]])
    assert torch.equal(mix(own, other, torch.tensor([0.25, 1.0])), torch.tensor([[6.0, 1.0], [1.0, 1.0]]))


@given(logits, logits, st.floats(0, 1))
def test_mixed_labels_stay_probabilities(own, other, weight):
    mixed = mix(own.softmax(dim=-1), other.softmax(dim=-1), torch.full((3,), weight))
    assert torch.allclose(mixed.sum(dim=-1), torch.ones(3, dtype=mixed.dtype))


def test_partial_mixup_leaves_all_but_its_share_as_they_are():
    weight = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    assert mix_share(weight, 0.4).tolist() == [0.1, 0.2, 1, 1, 1]
    assert torch.equal(mix_share(weight, 1.0), weight)
    assert torch.equal(mix_share(weight, 0.0), torch.ones(5))


def test_logits_are_divided_by_their_own_spread():
    # The standard deviations, with n - 1, are 1 and 10.
    found = rescale(torch.tensor([[1.0, 2.0, 3.0], [0.0, 10.0, 20.0]]))
    assert torch.allclose(found, torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 2.0]]))


@given(logits, st.floats(0.1, 50), st.floats(-5, 5))
def test_no_scale_of_the_logits_changes_rescaled_predictions(own, scale, shift):
    own = own + torch.arange(5, dtype=own.dtype) * 20  # so that no row is constant
    before, after = rescale(own).softmax(dim=-1), rescale(scale * own + shift).softmax(dim=-1)
    assert torch.allclose(before, after)


def test_another_s_spread_does_let_the_scale_through():
    own = torch.tensor([[[1.0, 2.0, 3.0], [0.0, 10.0, 20.0]]])
    on, off = torch.tensor([True]), torch.tensor([False])
    assert torch.allclose(_scaled(own, on, on)[0, 1], torch.tensor([0.0, 10.0, 20.0]))
    assert torch.equal(_scaled(own, on, off), rescale(own))
    assert torch.equal(_scaled(own, off, on), own)


def test_entropy_runs_from_certainty_to_ignorance():
    assert entropy(torch.zeros(2, 10)) == pytest.approx(math.log(10))
    assert entropy(torch.eye(10) * 500) == pytest.approx(0)


@given(logits, logits, st.floats(1, 8))
def test_the_loss_is_its_two_parts_at_their_weights(taught, own, heat):
    labels = torch.tensor([0, 3, 4])
    target = torch.nn.functional.one_hot(labels, 5).to(own.dtype)
    hard, soft = cross_entropy(own, labels), distillation(taught, own, heat)
    assert torch.allclose(
        soft_loss(target, taught, own, torch.tensor(heat, dtype=own.dtype)), 0.1 * hard + 0.9 * soft
    )
    assert torch.allclose(soft_loss(target, taught, own, torch.tensor(0.0)), hard)
