"""The importance of weights, the penalty on moving them, and what the frozen arm must show."""

import pytest
import torch

from ktlabs.bench.nets import Population, mlp
from ktlabs.continual_learning.lifelong import suite
from ktlabs.continual_learning.lifelong_metrics import consolidation, importance


def test_importance_of_a_linear_classifier_by_hand():
    net = Population(lambda: mlp(1, 2, bias=False), [0])
    params = {name: torch.zeros_like(value) for name, value in net.params.items()}
    # Both classes at one half: the gradient of log p(0) is x (1/2, -1/2).
    found = importance(net, params, torch.tensor([[[2.0], [4.0]]]), torch.tensor([[0, 1]]))
    (own,) = found.values()
    assert own.flatten().tolist() == pytest.approx([(1 + 4) / 2] * 2)


def test_importance_is_the_mean_over_images_and_never_negative():
    net = Population(lambda: mlp(3, 4, 2), [0, 1])
    x, y = torch.rand(2, 6, 3), torch.randint(2, (2, 6))
    whole = importance(net, net.params, x, y)
    halves = [importance(net, net.params, x[:, s], y[:, s]) for s in (slice(3), slice(3, 6))]
    for name, value in whole.items():
        assert (value >= 0).all()
        assert torch.allclose(value, (halves[0][name] + halves[1][name]) / 2)


def test_consolidation_by_hand():
    anchor = {"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([[3.0]])}
    weight = {"a": torch.tensor([[4.0, 0.0]]), "b": torch.tensor([[1.0]])}
    moved = {"a": torch.tensor([[2.0, 9.0]]), "b": torch.tensor([[5.0]])}
    assert consolidation(moved, anchor, weight).tolist() == [(4 * 1 + 0 + 1 * 4) / 2]
    assert consolidation(anchor, anchor, weight).tolist() == [0.0]


def test_a_network_that_stands_still_forgets_nothing_and_transfers_nothing_back():
    scores = torch.tensor([0.8, 0.2, 0.3]).expand(3, 3)
    found = suite(scores)
    for metric in ("BWT", "forgetting", "performance maintenance", "backward transfer"):
        assert found[metric] == 0
    assert found["plasticity"] == found["accuracy"]
