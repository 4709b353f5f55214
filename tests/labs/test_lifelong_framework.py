"""What stiffness and links must do."""

import pytest
import torch

from ktlabs.bench import runner as lab
from ktlabs.bench.nets import Grid
from ktlabs.continual_learning.lifelong_framework import (
    _ARMS,
    _learn,
    _Net,
    _start,
    columns,
    consolidated,
)


def test_stiffness_by_hand():
    found = consolidated(
        torch.tensor([1.0, 1.0, 1.0]),
        torch.tensor([5.0, 5.0, 5.0]),
        torch.tensor([3.0, 3.0, 3.0]),
        torch.tensor([0.0, 0.5, torch.inf]),
    )
    assert found.tolist() == [1.0, 1.0 + 2 * 0.5 * 2.0, 0.0]


def test_stiffness_is_the_gradient_of_the_loss_with_penalty():
    weight = torch.randn(6, requires_grad=True)
    anchor, stiffness = torch.randn(6), torch.rand(6)
    ((weight**3).sum() + (stiffness * (weight - anchor) ** 2).sum()).backward()
    found = consolidated(3 * weight.detach() ** 2, weight.detach(), anchor, stiffness)
    assert torch.allclose(found, weight.grad)


def test_columns_are_disjoint_and_links_lead_from_earlier_to_later():
    within, links = columns(3, 2)
    assert (within * links).sum() == 0
    assert torch.equal(within + links + links.mT, torch.ones(6, 6))
    assert links[4, 0] == 1  # the third column reads the first
    assert links[0, 4] == 0


@pytest.fixture(scope="module")
def learnt():
    with lab.settings():
        return _learnt()


def _learnt():
    grid = Grid([0], _ARMS)
    start = grid.population(_start([0]))
    net = _Net(grid, start)
    rng = torch.Generator().manual_seed(1)
    x, y = torch.rand(1, 60, 64, generator=rng), torch.randint(10, (1, 60), generator=rng)
    pool = (grid.spread(x), grid.spread(y))
    first, _ = _learn(net, grid, start, 0, (pool, pool))
    second, _ = _learn(net, grid, first, 1, (pool, pool))
    return grid, net, pool[0], first, second


@pytest.mark.parametrize("arm", ["no links", "links", "untrained links"])
def test_frozen_columns_answer_as_before(learnt, arm):
    grid, net, x, first, second = learnt
    own = grid.on(arm) > 0
    assert torch.equal(net.logits(first, x, 0)[own], net.logits(second, x, 0)[own])
    assert not torch.equal(net.logits(first, x, 1)[own], net.logits(second, x, 1)[own])


def test_fine_tuning_changes_old_answers_and_stiffness_changes_them_less(learnt):
    grid, net, x, first, second = learnt
    moved = (net.logits(first, x, 0) - net.logits(second, x, 0)).abs().mean(dim=(1, 2))
    assert moved[grid.on("fine-tuning") > 0].min() > moved[grid.on("uniform stiffness") > 0].max() > 0


def test_only_linked_arms_read_earlier_columns(learnt):
    grid, net, x, _, second = learnt
    blind = {name: value.clone() for name, value in second.items()}
    blind["w1"][:, :12] = 0  # the first column
    moved = (net.logits(second, x, 1) - net.logits(blind, x, 1)).abs().amax(dim=(1, 2))
    assert (moved[grid.on("links") > 0] > 0).all()
    assert (moved[grid.on("no links", "untrained links") > 0] == 0).all()
