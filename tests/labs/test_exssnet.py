"""What masks, exclusive training and the choice of a mask must do."""

import pytest
import torch

from ktlabs.bench.data import digits
from ktlabs.continual_learning import exssnet
from ktlabs.continual_learning.exssnet import exclusive, nearest, supermask


def test_mask_is_the_top_share_in_size_of_each_layer():
    mask = supermask(torch.tensor([[[0.1, -0.9, 0.3, 0.2]], [[4.0, 3.0, 2.0, 1.0]]]), 0.5)
    assert mask.tolist() == [[[0.0, 1.0, 1.0, 0.0]], [[1.0, 1.0, 0.0, 0.0]]]


def test_gradient_passes_straight_through_with_the_sign_of_the_score():
    scores = torch.tensor([[[0.1, -0.9, 0.3, -0.2]]], requires_grad=True)
    (supermask(scores, 0.5) * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert scores.grad.flatten().tolist() == [1.0, -2.0, 3.0, -4.0]


def test_exclusive_parts_are_disjoint_and_cover_what_masks_cover():
    rng = torch.Generator().manual_seed(0)
    masks = (torch.rand(2, 4, 3, 5, generator=rng) < 0.4).to(torch.get_default_dtype())
    parts = torch.stack([exclusive(masks[:, t], masks[:, :t]) for t in range(4)], dim=1)
    assert torch.equal(parts[:, 0], masks[:, 0])
    assert torch.equal(parts.sum(dim=1), masks.amax(dim=1))
    assert (parts <= masks).all()


def test_exclusive_by_hand():
    mask, earlier = (
        torch.tensor([[[1.0, 1.0, 0.0, 1.0]]]),
        torch.tensor([[[[1.0, 0, 0, 0]], [[0, 0, 1.0, 1.0]]]]),
    )
    assert exclusive(mask, earlier).tolist() == [[[0.0, 1.0, 0.0, 0.0]]]


def test_a_step_on_exclusive_weights_leaves_earlier_tasks_alone():
    masks = torch.tensor([[[[1.0, 1, 0, 0]], [[0.0, 1, 1, 0]]]])
    weight = torch.ones(1, 1, 4)
    moved = weight - 0.5 * exclusive(masks[:, 1], masks[:, :1])
    assert torch.equal(moved * masks[:, 0], weight * masks[:, 0])
    assert not torch.equal(moved * masks[:, 1], weight * masks[:, 1])


def test_neighbours_vote_right_where_features_part_the_classes():
    labels = torch.arange(60).remainder(2).expand(2, 60)
    apart = labels.double().unsqueeze(-1) * 10 + torch.rand(2, 60, 1)
    same = torch.zeros(60, 1)
    assert nearest(apart, labels).tolist() == [1.0, 1.0]
    assert nearest(torch.stack([apart[0], same]), labels)[1] == pytest.approx(0.5)


def test_first_sums_are_exact_so_that_no_rounding_decides_whether_a_unit_is_on():
    images, _ = digits()
    weights = exssnet._random([0, 1], 4, signed=True)[0]
    there, back = (x @ w.mT for x, w in ((images, weights), (images.flip(-1), weights.flip(-1))))
    assert (there == 0).any()
    assert torch.equal(there, back)
