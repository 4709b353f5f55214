"""What the penalty on memorised passages asks, and what it leaves alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.bench.reader import World
from ktlabs.external_knowledge.cit import _FOUND, _likelihood, _passages, growth

nats = st.lists(st.floats(-20, 0), min_size=3, max_size=3).map(torch.tensor)


def test_growth_by_hand():
    now, before = torch.tensor([[-1.0, -3.0], [-2.0, -2.0]]), torch.tensor([[-3.0, -1.0], [-2.0, -2.5]])
    # (2 + 0) / 2 and (0 + 0.5) / 2: what is forgotten does not make up for what is learnt.
    torch.testing.assert_close(growth(now, before), torch.tensor([1.0, 0.25]))


@given(nats, nats)
def test_only_a_rise_costs_anything(now, before):
    assert growth(now, before) >= 0
    assert growth(torch.minimum(now, before), before) == 0
    assert growth(now, before) + growth(before, now) == pytest.approx(
        float((now - before).abs().mean()), abs=1e-8
    )


def test_the_gradient_lowers_what_rose_and_leaves_what_fell():
    now = torch.tensor([-1.0, -3.0], requires_grad=True)
    growth(now, torch.tensor([-2.0, -2.0])).backward()
    assert now.grad.tolist() == [0.5, 0.0]


def test_what_rounding_alone_adds_is_no_growth():
    now = torch.tensor([-1.0, -2.0], dtype=torch.float64, requires_grad=True)
    growth(now, now.detach() - 1e-14).backward()
    assert now.grad.tolist() == [0.0, 0.0]


def test_passages_are_what_the_slots_of_context_state():
    world = World([0], 6, copying=4)
    cases = world.draw(world.parts(all=6)["all"], _FOUND, 5, 50)
    stated = _passages(cases)
    assert torch.equal(stated.asked, cases.keys[..., :2].flatten(1))
    assert torch.equal(stated.labels, stated.asked)  # a fact's name and value have the same number
    assert stated.keys.shape[-1] == 0


def test_likelihood_is_that_of_memory_alone():
    world = World([0], 6, copying=4)
    cases = world.draw(world.parts(all=6)["all"], _FOUND, 5, 50)
    params = world.readers.params
    own = {name: value[0] for name, value in params.items() if name.startswith("memory")}
    names, values = (world.readers._codes[part][0] for part in ("names", "values"))
    hidden = (names[cases.asked[0]] @ own["memory.0.weight"].T + own["memory.0.bias"]).relu()
    logits = (hidden @ own["memory.2.weight"].T + own["memory.2.bias"]) @ values.T
    expected = logits.log_softmax(dim=-1)[torch.arange(5), cases.labels[0]]
    assert torch.allclose(_likelihood(world, params, cases)[0], expected)
