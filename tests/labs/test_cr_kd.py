"""Class-relation distillation: balanced assignments, and what keeps the relation to known classes."""

import math

import pytest
import torch

from ktlabs.knowledge_distillation.cr_kd import relation_loss, sinkhorn

ONE, NONE = torch.ones(1), torch.zeros(1)


def test_assignments_add_up_to_one_and_use_all_classes_alike():
    torch.manual_seed(0)
    cosines = torch.rand(2, 12, 3) + torch.tensor([0.5, 0.0, 0.0])
    plan = sinkhorn(cosines, torch.tensor([0.1, 0.5]), rounds=200)
    assert torch.allclose(plan.sum(dim=-1), torch.ones(2, 12))
    assert torch.allclose(plan.sum(dim=-2), torch.full((2, 3), 4.0), atol=1e-4)


def test_a_class_that_all_prefer_is_shared_out():
    cosines = torch.tensor([[[0.9, 0.0], [0.8, 0.7]]])
    plan = sinkhorn(cosines, torch.tensor([0.05]), rounds=200)
    assert torch.allclose(plan, torch.eye(2)[None], atol=0.01)


def test_alike_cosines_are_assigned_alike():
    plan = sinkhorn(torch.full((1, 4, 2), 0.3), torch.tensor([0.05]))
    assert torch.allclose(plan, torch.full((1, 4, 2), 0.5))


def test_the_loss_worked_by_hand():
    frozen = torch.tensor([[[0.75, 0.25], [0.5, 0.5]]]).log()
    # Over two known and one novel class: mass 0.8 and 0.2 on the known, which are alike within.
    now = torch.tensor([[[0.4, 0.4, 0.2], [0.1, 0.1, 0.8]]]).log()
    apart = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)  # of the first; the second is as it was
    assert relation_loss(frozen, now, 2, 1.0, NONE).item() == pytest.approx(apart / 2)
    assert relation_loss(frozen, now, 2, 1.0, ONE).item() == pytest.approx(0.8 / 0.5 * apart / 2)


def test_the_same_relation_costs_nothing_however_likely_novel_classes_become():
    torch.manual_seed(0)
    frozen = torch.randn(1, 6, 3)
    now = torch.cat([frozen + torch.randn(1, 6, 1), 5 * torch.randn(1, 6, 2)], dim=-1)
    for weighted in (ONE, NONE):
        assert relation_loss(frozen, now, 3, 4.0, weighted).item() == pytest.approx(0, abs=1e-12)
    assert relation_loss(frozen.roll(1, dims=1), now, 3, 4.0, ONE) > 0


def test_temperature_keeps_the_size_of_small_gradients():
    frozen = torch.tensor([[[0.1, 0.0]]])
    grads = []
    for temperature in (10.0, 20.0):
        now = torch.zeros(1, 1, 3, requires_grad=True)
        relation_loss(frozen, now, 2, temperature, NONE).sum().backward()
        grads.append(now.grad)
    assert torch.allclose(grads[0], grads[1], rtol=1e-3)
