"""Editors on the same facts: what each arm may change, and where two arms are one."""

import pandas as pd
import pytest
import torch

from ktlabs.bench.nets import Population, mlp
from ktlabs.knowledge_editing.editable import Associative
from ktlabs.knowledge_editing.editors import rank_one
from ktlabs.knowledge_editing.knowedit import SETTINGS, editor, example

KNOBS = {
    "plain": 1.0, "lr": 0.05, "stop": 0.6, "replay": 300.0, "ridge": 0.01, "threshold": 0.9,
}  # fmt: skip
PROMPTS, TARGETS = torch.tensor([[0], [1]]), torch.tensor([[2], [0]])


@pytest.fixture
def network():
    net = Population(lambda: mlp(16, 12, 32, 3), [1, 2])
    inputs = torch.randn(9, 16, generator=torch.Generator().manual_seed(0))
    inputs = 384**0.5 * torch.nn.functional.normalize(inputs, dim=-1)  # as the embeddings are scaled
    return Associative(net.params, inputs, torch.arange(2))


def edited(network, arm, **other):
    knobs = {name: torch.full((2,), value) for name, value in (KNOBS | other).items()}
    ordinary = network.keys(torch.arange(2, 9).expand(2, 7))
    return editor(arm, knobs, ordinary)(network, PROMPTS, TARGETS)


@pytest.mark.parametrize("arm", ["fine-tuning", "rank one", "rank one, C = I", "memory"])
def test_every_arm_makes_the_network_say_what_it_is_told(network, arm):
    assert torch.equal(edited(network, arm)(PROMPTS), TARGETS)


def test_arms_choose_among_equally_many_settings():
    assert {len(settings) for settings in SETTINGS.values()} == {6}


def changed(network, arm, **other):
    """Return how far an arm moves the values at the edited and at ordinary prompts, shapes (2,)."""
    seen = []
    plain = network.log_probs

    def watch(prompts, change=None, values=None):
        seen.append(change)
        return plain(prompts, change, values)

    network.log_probs = watch
    edited(network, arm, **other)(PROMPTS)
    network.log_probs = plain
    change = seen[-1]
    ordinary = network.keys(torch.arange(2, 9).expand(2, 7))
    moved = [(keys @ change.mT).norm(dim=(1, 2)) for keys in (network.keys(PROMPTS), ordinary)]
    return change, moved[1] / moved[0]


def test_plain_fine_tuning_is_the_control_and_not_the_method(network):
    key = network.keys(PROMPTS)[:, 0]
    tuned, by_tuning = changed(network, "fine-tuning")
    value = ((network.weight + tuned) @ key[..., None])[..., 0]
    torch.testing.assert_close(tuned, rank_one(network.weight, key, value, torch.eye(12)))
    _, without = changed(network, "rank one, C = I")
    torch.testing.assert_close(by_tuning, without)  # the same direction, whatever the value
    _, method = changed(network, "rank one")
    assert (method < 0.5 * without).all()


def test_replay_and_the_covariance_spare_the_same_ordinary_prompts(network):
    _, free = changed(network, "fine-tuning", plain=0.0, lr=4e-3)
    _, held = changed(network, "fine-tuning with replay", plain=0.0, lr=4e-3)
    assert (held < 0.7 * free).all()


def test_the_example_spares_by_the_covariance_what_fine_tuning_overwrites():
    table = example("lithium", "Ca")
    new, same, near = table.iloc[:3], table.iloc[3], table.iloc[4:]
    for arm in ("fine-tuning", "rank one", "memory"):
        assert (new[arm] == "Ca").all()
    assert (near["rank one"] == near["should answer"]).all()
    assert (near["fine-tuning"] == "Ca").sum() == 3  # of four
    assert same["memory"] == "Ca"  # the memory answers another question with the edit
    assert same["rank one"] == same["should answer"]


def test_the_example_s_overlap_is_one_at_the_edit_and_smaller_nearby_under_the_covariance():
    table = example("neon", "Be")
    assert table["g"].iloc[0] == table["g, C = I"].iloc[0] == 1
    assert (table["g"].iloc[4:] < table["g, C = I"].iloc[4:]).all()


def test_the_example_is_the_same_on_more_threads():
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(example("nitrogen", "Co"))
    pd.testing.assert_frame_equal(*found)


@pytest.mark.parametrize(("element", "symbol"), [("kryptonite", "Ca"), ("lithium", "Xx")])
def test_the_example_names_what_the_network_does_not_know(element, symbol):
    with pytest.raises(ValueError, match="the network knows no"):
        example(element, symbol)
