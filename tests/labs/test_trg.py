"""TRG: graphs of tokens, and the three losses between two of them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.knowledge_distillation.trg import (
    Tokens,
    _relations,
    apart,
    global_loss,
    graph,
    inner_loss,
    local_loss,
)

states = st.lists(st.lists(st.floats(-5, 5), min_size=2, max_size=2), min_size=5, max_size=5).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64)
)


def test_edges_of_three_tokens_on_a_line():
    # Squared distances 1, 9, 4; their mean over all nine entries is 28/9.
    found = graph(torch.tensor([[0.0], [1.0], [3.0]]), neighbours=1)
    near, far = math.exp(-9 / 56), math.exp(-36 / 56)
    # 0 and 1 are nearest to one another, and 1 is nearest to 3, but 3 is nobody's nearest.
    assert torch.allclose(found, torch.tensor([[0.0, near, 0.0], [near, 0.0, far], [0.0, 0.0, 0.0]]))


@given(states, st.integers(1, 4))
def test_every_token_has_its_neighbours_and_is_none_of_its_own(tokens, neighbours):
    found = graph(tokens, neighbours)
    assert ((found > 0).sum(dim=-2) == neighbours).all()
    assert (found.diagonal() == 0).all()
    assert (found <= 1).all()


@given(states, st.floats(0.1, 20))
def test_no_scale_of_the_states_changes_a_graph(tokens, scale):
    tokens = tokens + torch.arange(10, dtype=tokens.dtype).reshape(5, 2) ** 2  # apart enough to order
    assert torch.allclose(graph(tokens, 4), graph(scale * tokens, 4))


@given(states, states)
def test_the_local_loss_is_a_divergence(taught, own):
    one, other = graph(taught, 2), graph(own, 2)
    assert local_loss(one, other) >= -1e-12
    assert local_loss(one, one) == pytest.approx(0, abs=1e-12)


def test_the_local_loss_puts_the_student_first():
    # One row each: the student believes 1/2 and 1/2, the teacher 1/4 and 3/4.
    own, taught = torch.zeros(2, 2), torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    assert local_loss(taught, own) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))


def test_the_global_loss_finds_each_token_its_place():
    taught = torch.eye(3)
    # Cosines 1 and 0: for each of three tokens log(1 + 2 exp(-1 / tau)).
    assert global_loss(taught, 5 * taught, 0.5) == pytest.approx(3 * math.log(1 + 2 * math.exp(-2)))
    assert global_loss(taught, taught.roll(1, dims=0), 0.5) > global_loss(taught, taught, 0.5)
    # A lower temperature asks for finer differences.
    assert global_loss(taught, taught, 0.1) < global_loss(taught, taught, 1.0)


def test_the_inner_loss_compares_what_is_alike_inside_an_image():
    taught, own = torch.zeros(1, 2, 4), torch.tensor([[[1.0], [0.0]]])
    # The teacher's similarities are all 1/2; the student's first row is e / (e + 1) and 1 / (e + 1).
    off = math.e / (math.e + 1) - 0.5
    assert inner_loss(taught, own) == pytest.approx(2 * off**2 / 4)


def test_the_inner_loss_does_not_see_a_rotation():
    own = torch.randn(3, 4, 5)
    turned = own @ torch.linalg.qr(torch.randn(5, 5)).Q
    assert inner_loss(own, turned) == pytest.approx(0, abs=1e-12)


def test_swapped_tokens_are_other_targets_at_the_same_cost():
    own, wide = torch.rand(1, 4, 9, 10), torch.rand(1, 4, 9, 24)
    nodes = torch.randperm(36)[None, :12]
    right, wrong = (
        _relations((wide, own, wide), nodes, torch.tensor([swap]), 0.5)[0] for swap in (False, True)
    )
    assert right.shape == wrong.shape == (3,)
    assert right[1] < wrong[1]
    assert not torch.isclose(right, wrong).any()


def test_tokens_are_nine_overlapping_patches():
    net = Tokens(10, 24)
    image = torch.rand(1, 64)
    _, tokens, wide = apart(net(image), 10)
    middle = image.reshape(8, 8)[2:6, 2:6].flatten()
    assert torch.allclose(tokens[0, 4], net.patch(middle).relu())
    assert torch.allclose(wide[0, 4], net.widen(tokens[0, 4]))
