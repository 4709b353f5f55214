"""Edits that stay: what a later one does to an earlier one, and what one solution for all does not."""

import pytest
import torch

from ktlabs.bench.nets import Population, mlp
from ktlabs.knowledge_editing.easyedit import SETTINGS, example, kept_in_place
from ktlabs.knowledge_editing.editable import Associative

KNOBS = {
    "plain": 1.0, "lr": 0.05, "stop": 0.6, "replay": 30.0, "ridge": 0.01, "strength": 1e-3, "threshold": 0.9,
}  # fmt: skip
PROMPTS, TARGETS = torch.tensor([[0, 1, 2], [1, 2, 3]]), torch.tensor([[2, 0, 1], [0, 1, 2]])


@pytest.fixture
def network():
    net = Population(lambda: mlp(16, 12, 32, 3), [1, 2])
    inputs = torch.randn(12, 16, generator=torch.Generator().manual_seed(0))
    inputs = 384**0.5 * torch.nn.functional.normalize(inputs, dim=-1)  # as the embeddings are scaled
    return Associative(net.params, inputs, torch.arange(2))


def change_of(network, arm, prompts=PROMPTS, targets=TARGETS):
    """Return the change that an arm makes, shape (2, v, k)."""
    seen = []
    plain = network.log_probs

    def watch(prompts, change=None, values=None):
        seen.append(change)
        return plain(prompts, change, values)

    knobs = {name: torch.full((2,), value) for name, value in KNOBS.items()}
    ordinary = network.keys(torch.arange(4, 12).expand(2, 8))
    answers = kept_in_place(arm, knobs, ordinary)(network, prompts, targets)
    network.log_probs = watch
    answers(prompts)
    network.log_probs = plain
    return seen[-1]


def test_arms_choose_among_equally_many_settings():
    assert {len(settings) for settings in SETTINGS.values()} == {6}


def test_one_by_one_the_last_edit_holds_and_an_earlier_one_drifts_by_the_later_one_s_gain(network):
    two = change_of(network, "rank one, one by one, C = I", PROMPTS[:, :2], TARGETS[:, :2])
    three = change_of(network, "rank one, one by one, C = I")
    first, last = (network.keys(PROMPTS)[:, place] for place in (0, 2))
    stored = ((three - two) @ last[..., None])[..., 0]
    drift = ((three - two) @ first[..., None])[..., 0]
    gain = (first * last).sum(-1, keepdim=True) / last.square().sum(-1, keepdim=True)
    torch.testing.assert_close(drift, stored * gain)
    assert (drift.norm(dim=-1) > 0.1 * stored.norm(dim=-1)).all()  # it is not nothing


def test_at_once_the_order_of_edits_does_not_matter_and_one_by_one_it_does(network):
    turned = torch.tensor([2, 0, 1])
    for arm, same in (("many edits, at once", True), ("rank one, one by one", False)):
        one, other = change_of(network, arm), change_of(network, arm, PROMPTS[:, turned], TARGETS[:, turned])
        assert torch.allclose(one, other) == same


def test_at_once_every_value_is_stored_where_storing_is_all_that_counts(network):
    change = change_of(network, "many edits, at once")
    found = network.log_probs(PROMPTS, change)
    assert torch.equal(found.argmax(dim=-1), TARGETS)
    own = found.gather(-1, TARGETS[..., None]).exp()
    assert (own > 0.55).all()  # the search stops at 0.6, and little is given away


def test_fine_tuning_one_by_one_moves_the_map_along_the_keys_of_the_edits_alone(network):
    for arm in ("fine-tuning, one by one", "fine-tuning, at once"):
        change = change_of(network, arm)
        keys = network.keys(PROMPTS)
        inside = torch.linalg.pinv(keys) @ keys
        torch.testing.assert_close(change @ inside, change)
    assert not torch.allclose(change_of(network, "many edits, at once") @ inside, change)


def test_a_memory_changes_nothing(network):
    assert change_of(network, "memory") is None


def test_in_the_example_only_editors_that_look_at_ordinary_prompts_keep_a_sequence():
    table = example()
    assert (table.loc[1] == 1).all()
    assert table.loc[12, "rank one, one by one"] > 2 * table.loc[12, "rank one, one by one, C = I"]
    assert table.loc[12, "rank one, one by one"] > 2 * table.loc[12, "fine-tuning, one by one"]
    assert table.loc[12, "many edits, at once"] == 12
    assert table.loc[12, "fine-tuning, at once"] >= 11  # what is lost one by one is no lack of room


def test_the_example_counts_no_more_edits_than_were_made():
    table = example([3, 15])
    assert list(table.index) == [3, 15]
    assert all((table.loc[count] <= count).all() for count in (3, 15))


@pytest.mark.parametrize("counts", [[0], [16]])
def test_the_example_has_room_for_fifteen_edits(counts):
    with pytest.raises(ValueError, match="1 to 15 edits"):
        example(counts)
