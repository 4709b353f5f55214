"""Talking Models: a message goes to the teacher and an answer comes back."""

import math

import pytest
import torch
from torch import nn

from ktlabs.knowledge_distillation.talking_models import _YIELDS, Talker, talk_loss


def say(net, x, told, weight, bias):
    return dict(zip(_YIELDS, net(x, told, weight, bias).split(list(_YIELDS.values()), dim=-1), strict=True))


@pytest.fixture
def talk():
    net = Talker()
    return net, torch.rand(5, 64), torch.rand(5, 64), torch.randn(64, 64), torch.randn(64)


def test_the_talk_takes_the_way_it_should(talk):
    net, x, told, weight, bias = talk
    found = say(*talk)
    asked = net.student_encoder(net.lower(x).relu())
    understood = net.teacher_decoder(asked).relu()
    reply = net.teacher_encoder((understood @ weight.T + bias).relu())
    assert torch.allclose(found["heard"], net.student_decoder(reply).relu())
    assert torch.allclose(found["answer"], net.head(found["heard"]))
    assert torch.allclose(found["own"], net.teacher_encoder(told))


def test_the_answer_depends_on_the_teacher_and_what_the_student_says_alone_does_not(talk):
    net, x, told, weight, bias = talk
    one, other = say(*talk), say(net, x, torch.zeros_like(told), torch.zeros_like(weight), bias)
    assert torch.equal(one["logits"], other["logits"])
    assert torch.equal(one["understood"], other["understood"])
    assert not torch.allclose(one["reply"], other["reply"])


def yielded(**given):
    return {name: torch.zeros(2, width) for name, width in _YIELDS.items()} | given


def test_the_three_losses_by_hand():
    found = talk_loss(
        yielded(state=torch.full((2, 16), 3.0), understood=torch.full((2, 64), 2.0), own=torch.ones(2, 16)),
        torch.tensor([0, 7]),
        torch.zeros(2, 64),
    )
    assert found["interaction"] == pytest.approx(math.log(10) + 9)
    assert found["state"] == pytest.approx(4)
    assert found["message"] == pytest.approx(1)


def test_a_talk_in_which_all_agree_costs_what_the_task_does():
    state = torch.rand(2, 16)
    found = talk_loss(yielded(state=state, heard=state), torch.tensor([0, 7]), torch.zeros(2, 64))
    assert found["interaction"] == pytest.approx(math.log(10))
    assert found["state"] == found["message"] == 0


def test_the_student_follows_what_it_heard_and_not_the_other_way_round(talk):
    net, x, told, weight, bias = talk
    found = say(net, x, told, weight, bias)
    heard = found["heard"].detach().requires_grad_()
    state = found["state"].detach().requires_grad_()
    loss = talk_loss(found | {"heard": heard, "state": state}, torch.zeros(5, dtype=torch.long), told)
    pull = torch.autograd.grad(loss["interaction"], (heard, state), allow_unused=True)
    assert pull[0] is None
    assert pull[1].abs().sum() > 0


def test_only_training_needs_the_teacher():
    alone = nn.Sequential(*(list(Talker().children())[:3]))
    assert [(layer.in_features, layer.out_features) for layer in alone] == [(64, 16), (16, 16), (16, 10)]
