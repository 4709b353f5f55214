"""KnFu: whom a client heeds, and what it is told."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.knowledge_distillation.knfu import effectiveness, estimated_classes, fuse

answers = st.lists(st.lists(st.floats(-5, 5), min_size=6, max_size=6), min_size=3, max_size=3).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64).unflatten(1, (2, 3)).softmax(dim=-1)
)


def test_the_estimate_is_the_mean_answer():
    found = estimated_classes(torch.tensor([[[0.9, 0.1], [0.5, 0.5]], [[0.0, 1.0], [0.2, 0.8]]]))
    assert torch.allclose(found, torch.tensor([[[0.7, 0.3]], [[0.1, 0.9]]]))


def test_weights_worked_by_hand():
    classes = torch.tensor([[[0.5, 0.5]], [[0.25, 0.75]]])
    forward = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    backward = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    found = effectiveness(classes, 2.0)
    for row, column, apart in ((0, 1, forward), (1, 0, backward)):
        assert found[row, column].item() == pytest.approx(1 / (1 + math.exp(2 * apart)))


def test_answers_that_disagree_are_told_apart_where_their_means_are_not():
    clients = torch.tensor([[[0.9, 0.1], [0.1, 0.9]], [[0.1, 0.9], [0.9, 0.1]]])
    assert torch.allclose(effectiveness(estimated_classes(clients), 10.0), torch.full((2, 2), 0.5))
    assert effectiveness(clients, 10.0)[0, 1] < 1e-6


@given(answers)
def test_weights_add_up_to_one_and_nobody_is_heeded_more_than_oneself(clients):
    weights = effectiveness(clients, 10.0)
    assert torch.allclose(weights.sum(dim=-1), torch.ones(3, dtype=torch.float64))
    assert (weights <= weights.diagonal().unsqueeze(-1) + 1e-12).all()


@given(answers)
def test_without_beta_fusion_is_the_average_and_with_much_of_it_a_client_hears_itself(clients):
    mean = clients.mean(dim=0).expand_as(clients)
    assert torch.allclose(fuse(effectiveness(clients, 0.0), clients), mean)
    apart = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]], [[0.5, 0.5]]])
    assert torch.allclose(fuse(effectiveness(apart, 500.0), apart), apart)


def test_each_network_may_have_its_own_beta():
    classes = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]]).expand(2, 2, 1, 2)
    found = effectiveness(classes, torch.tensor([0.0, 10.0]))
    assert torch.equal(found[0], torch.full((2, 2), 0.5))
    assert torch.equal(found[1], effectiveness(classes[1], 10.0))
