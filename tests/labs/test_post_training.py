"""Directions, what steering by them is worth, and labels that say nothing."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from ktlabs.knowledge_in_language_models.post_training import (
    auc,
    direction,
    normalised_effect,
    reassigned,
)

YES = torch.tensor([True, False, True, False, False])


def states(seed=0):
    return torch.tensor(np.random.default_rng(seed).standard_normal((5, 3)))


def test_a_direction_by_hand():
    own = torch.tensor([[1.0, 4.0], [0.0, 0.0], [3.0, 0.0], [3.0, 3.0], [0.0, 0.0]])
    assert_close(direction(own, YES), torch.tensor([2.0 - 1.0, 2.0 - 1.0]))


def test_a_direction_ignores_what_all_states_share_and_turns_with_the_labels():
    own = states()
    assert_close(direction(own + torch.tensor([5.0, -2.0, 1.0]), YES), direction(own, YES))
    assert_close(direction(own, ~YES), -direction(own, YES))
    assert_close(direction(torch.stack([own, 2 * own]), YES.expand(2, -1))[1], 2 * direction(own, YES))


def test_steering_that_does_nothing_is_worth_0_and_that_swaps_the_scores_1():
    plain = torch.tensor([3.0, -1.0, 5.0, 1.0, 0.0])  # means 4 and 0
    assert normalised_effect(plain, plain, plain, YES) == 0
    assert_close(normalised_effect(plain, plain + 4, plain - 4, YES), torch.tensor(1.0))
    assert_close(normalised_effect(plain, plain - 4, plain + 4, YES), torch.tensor(-1.0))


def test_both_kinds_count_alike_and_only_the_steering_meant_for_them():
    plain = torch.tensor([3.0, -1.0, 5.0, 1.0, 0.0])
    raised = plain + torch.tensor([99.0, 2.0, 99.0, 2.0, 2.0])
    lowered = plain - torch.tensor([1.0, 77.0, 1.0, 77.0, 77.0])
    assert_close(normalised_effect(plain, raised, lowered, YES), torch.tensor((2.0 + 1.0) / 2 / 4))


def test_steering_along_the_difference_of_means_is_worth_1_where_the_score_is_linear():
    own, read = states(1), torch.tensor([0.5, -1.0, 2.0])
    along = direction(own, YES)
    plain, raised, lowered = own @ read, (own + along) @ read, (own - along) @ read
    assert_close(normalised_effect(plain, raised, lowered, YES), torch.tensor(1.0))


@given(st.integers(0, 99))
def test_labels_reassigned_agree_with_as_many_of_one_kind_as_of_the_other(seed):
    positive = torch.arange(24) % 3 == 0  # 8 and 16
    labels = reassigned(positive, seed)
    assert labels[positive].sum() == 4
    assert labels[~positive].sum() == 8
    means = torch.where(positive, 1.0, 0.0)[:, None]
    assert direction(means, labels) == 0  # the true difference leaves no trace
    assert not torch.equal(labels, reassigned(positive, seed + 1))


def test_ranks_by_hand():
    assert auc(torch.tensor([2.0, 1.0, 1.0, 0.0, 1.0]), YES) == (3 + 1 + 0.5 + 0.5) / 6
    assert auc(torch.zeros(5), YES) == 0.5
