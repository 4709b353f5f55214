"""The factorised layer: own channels come from the task's expert, the rest from what all share."""

import torch

from ktlabs.evaluation_and_applications import vitpose_plus
from ktlabs.evaluation_and_applications.vitpose_plus import FactorisedFeedForward

OWN = torch.tensor([0.0, 0.0, 0.0, 1.0])


def _layer():
    torch.manual_seed(0)
    return FactorisedFeedForward(4, 6, 3), torch.randn(5, 2, 4)


def _to(task):
    return torch.nn.functional.one_hot(torch.full((5,), task), 3).to(torch.get_default_dtype())


def test_tasks_differ_in_their_own_channels_only():
    layer, inputs = _layer()
    first, second = layer(inputs, _to(0), OWN), layer(inputs, _to(1), OWN)
    torch.testing.assert_close(first[..., :3], second[..., :3])
    assert not torch.allclose(first[..., 3], second[..., 3])


def test_without_own_channels_it_is_a_plain_feed_forward_layer():
    layer, inputs = _layer()
    plain = inputs @ layer.first.weight.T + layer.first.bias
    plain = plain.clamp(min=0) @ layer.second.weight.T + layer.second.bias
    for task in range(3):
        torch.testing.assert_close(layer(inputs, _to(task), torch.zeros(4)), plain)


def test_own_channels_are_the_named_experts():
    layer, inputs = _layer()
    hidden = (inputs @ layer.first.weight.T + layer.first.bias).clamp(min=0)
    rows = slice(4 * 2, 4 * 3)  # the third expert's part of the stacked weights
    expert = hidden @ layer.experts.weight[rows].T + layer.experts.bias[rows]
    torch.testing.assert_close(layer(inputs, _to(2), torch.ones(4)), expert)


def test_a_task_trains_its_expert_and_no_other():
    layer, inputs = _layer()
    layer(inputs, _to(1), OWN).sum().backward()
    moved = layer.experts.weight.grad.reshape(3, 4, 6).abs().sum(dim=-1) > 0
    # Of the second expert only the channel that is the task's own.
    assert not moved[[0, 2]].any()
    assert moved[1].tolist() == [False, False, False, True]
    assert layer.second.weight.grad[:3].abs().sum() > 0
    assert layer.second.weight.grad[3].abs().sum() == 0


def test_tasks_share_images_out_evenly_with_keypoints_in_their_own_frame():
    images = torch.zeros(1, 3, 64)
    images[0, :, 1 * 8 + 2] = 1.0  # ink in row 1, column 2, of every image
    seen, wanted, kind = vitpose_plus._tasks(images)
    assert kind[0].argmax(dim=-1).tolist() == [0, 1, 2]
    torch.testing.assert_close(seen[0, 1].reshape(8, 8)[6, 5], torch.tensor(0.0))  # inverted and turned
    assert float(seen[0, 1].sum()) == 63
    torch.testing.assert_close(wanted[0, 0, :2], torch.tensor([1.0, 2.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(wanted[0, 1, 2:], torch.tensor([6.0, 5.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(wanted[0, 2, :2], torch.tensor([2.0, 1.0]), atol=1e-6, rtol=0)


def test_experts_by_chance_follow_no_task_and_depend_on_the_seed_alone():
    both, alone = vitpose_plus._by_chance([3, 4], 90), vitpose_plus._by_chance([4], 90)
    torch.testing.assert_close(both[1:], alone)
    assert both.sum(dim=-1).eq(1).all()
