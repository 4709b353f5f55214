"""What can be edited, what is asked after an edit, and how it is scored."""

from types import SimpleNamespace

import pytest
import torch

from ktlabs.bench import models
from ktlabs.bench.nets import Population, mlp
from ktlabs.knowledge_editing import editable
from ktlabs.knowledge_editing.editable import (
    Associative,
    Edits,
    Language,
    counterfactuals,
    harmonic,
    judge,
    train,
)


@pytest.fixture
def known():
    return editable.country_and_element_facts(6, 5)


def test_facts_are_real_and_asked_in_several_ways(known):
    assert known.answers[:2] == ("Beijing", "New Delhi")
    assert known.answers[6:] == ("H", "He", "Li", "Be", "B")
    assert [known.texts[place] for place in known.asked["edit"][[0, 7], 0]] == [
        "The capital of China is", "The chemical symbol for helium is",
    ]  # fmt: skip
    assert known.texts[known.asked["two-hop"][0, 0]] == "The capital of the country of the Chinese people is"
    assert known.asked["alias"][6:, 0].tolist() == [-1] * 5
    assert known.ends[0] == "The capital of China"
    numbers = torch.cat([own.flatten() for own in known.asked.values()])
    assert sorted(numbers[numbers >= 0].tolist()) == list(range(len(known.texts)))


def test_neighbours_are_the_nearest_of_the_kind_that_are_not_edited(known):
    allowed = torch.ones(1, 11, dtype=torch.bool)
    allowed[0, 3] = False
    near = known.neighbours(torch.tensor([[0, 7]]), allowed, 3)
    assert near.shape == (1, 2, 3)
    assert set(near[0, 0].tolist()) <= {1, 2, 4, 5}
    assert set(near[0, 1].tolist()) <= {6, 8, 9, 10}
    closeness = known.near[0, near[0, 0]]
    assert (closeness[:-1] >= closeness[1:]).all()


def test_a_counterfactual_is_another_answer_of_the_same_kind_and_the_same_for_a_seed(known):
    numbers, places = torch.arange(11), torch.tensor([[0, 7], [2, 9]])
    allowed = torch.ones(2, 11, dtype=torch.bool)
    both = counterfactuals(known, numbers, places, allowed, [3, 4])
    assert (both.targets != places).all()
    assert ((both.targets < 6) == (places < 6)).all()
    alone = counterfactuals(known, numbers, places[1:], allowed[1:], [4])
    assert torch.equal(alone.targets[0], both.targets[1])
    assert both.repeat(3).near.shape == (6, 2, 5)


def test_judging_worked_by_hand():
    # Two facts with prompts 0 and 1, a paraphrase each (2, 3), others 4 and 5; only the second has an alias, 6.
    asked = {
        "edit": torch.tensor([[0], [1]]),
        "paraphrase": torch.tensor([[2], [3]]),
        "other": torch.tensor([[4], [5]]),
        "alias": torch.tensor([[-1], [6]]),
        "two-hop": torch.tensor([[-1], [-1]]),
    }
    before = torch.zeros(1, 7, dtype=torch.long)
    network = SimpleNamespace(log_probs=lambda asked: torch.eye(3)[before.gather(1, asked)])
    after = torch.tensor([[2, 1, 2, 0, 0, 1, 1]])
    edits = Edits(torch.tensor([[0, 1]]), torch.tensor([[2, 1]]), torch.tensor([[[1], [0]]]))
    found = judge(
        lambda *_: lambda asked: after.gather(1, asked), network, SimpleNamespace(asked=asked), edits
    )
    assert found["reliability"].item() == 1
    assert found["generality"].item() == 0.5  # prompt 3 still gets 0
    assert found["alias"].item() == 1  # of the one that there is
    assert found["two-hop"].isnan().all()
    assert found["locality"].item() == 0  # both neighbours are edited here, so neither answers 0
    assert found["other relation"].item() == 0.5


def test_a_harmonic_mean_worked_by_hand():
    shares = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 1.0]), torch.tensor([0.25, 1.0])
    torch.testing.assert_close(harmonic(*shares), torch.tensor([3 / 7, 0.0]))


def test_the_associative_network_is_the_trained_one_seen_through_its_middle_map():
    net = Population(lambda: mlp(6, 5, 4, 3), [1, 2])
    inputs = torch.linspace(-1, 1, 30).reshape(5, 6)
    rows = torch.tensor([1, 0, 1])
    own = Associative(net.params, inputs, rows)
    prompts = torch.tensor([[0, 1], [2, 3], [4, 0]])
    expected = net({name: value[rows] for name, value in net.params.items()}, inputs[prompts])
    torch.testing.assert_close(own.log_probs(prompts), expected.log_softmax(dim=-1))
    values = own.keys(prompts) @ own.weight.mT
    torch.testing.assert_close(own.log_probs(prompts, values=values), own.log_probs(prompts))
    change = torch.ones_like(own.weight)
    assert not torch.allclose(own.log_probs(prompts, change), own.log_probs(prompts))
    part = own.on(torch.tensor([2, 2]))
    torch.testing.assert_close(part.log_probs(prompts[[2, 2]]), own.log_probs(prompts)[[2, 2]])


def test_a_seed_is_trained_alike_whatever_the_others_are(known):
    (both, numbers), (alone, _) = train(known, [1, 2], 5, 8), train(known, [2], 5, 8)
    torch.testing.assert_close(both.weight[1:], alone.weight)
    assert numbers.tolist() == list(range(11))


def test_the_language_model_from_a_block_on_answers_as_the_whole_one_and_can_be_edited(known):
    places = torch.tensor([[0], [7]])
    edits = Edits(places, places, torch.tensor([[[1]], [[8]]]))
    net = Language(known, edits, 28)
    asked = known.asked["edit"][places[:, 0]]
    found = net.log_probs(asked)
    whole = models.log_probs([known.texts[place] for place in asked[:, 0]])
    torch.testing.assert_close(found[:, 0], whole, rtol=0, atol=1e-9)
    more = torch.cat([asked, known.asked["paraphrase"][places[:, 0]]], dim=1)
    several = net.log_probs(more, torch.zeros(2, 576, 1536), size=2)
    torch.testing.assert_close(several, net.log_probs(more), rtol=0, atol=1e-9)
    # What the map gives at the subject, put in its place, changes nothing; a change of the map acts by its row.
    values = net.keys(asked) @ net.weight.mT
    torch.testing.assert_close(net.log_probs(asked, values=values), found, rtol=0, atol=1e-9)
    change = torch.zeros(2, 576, 1536)
    change[1, :, :8] = 1.0
    edited = net.log_probs(asked, change)
    torch.testing.assert_close(edited[0], found[0], rtol=0, atol=1e-9)
    assert (edited[1] - found[1]).abs().max() > 0.01
    name = "blk.28.ffn_down.weight"
    changed = {name: models.language_model().weights[name] + change[1]}
    expected = models.log_probs([known.texts[asked[1, 0]]], changed=changed)
    torch.testing.assert_close(edited[1], expected, rtol=0, atol=1e-9)


def test_draws_of_facts_are_disjoint_over_both_seed_sets(monkeypatch):
    monkeypatch.setattr(editable, "known_to_language_model", lambda _: torch.arange(100))
    facts = SimpleNamespace(kind=torch.tensor([0] * 50 + [1] * 50))
    drawn = editable.draws(facts, [*range(8), *range(200, 208)], 2, 1)
    assert drawn.shape == (16, 3)
    assert len(set(drawn.flatten().tolist())) == 48
    assert (drawn[:, :2] < 50).all()
    assert (drawn[:, 2] >= 50).all()
    others = editable.draws(facts, range(100, 108), 2, 1)
    assert not set(others.flatten().tolist()) & set(drawn.flatten().tolist())
    assert torch.equal(editable.draws(facts, [203], 2, 1)[0], drawn[11])
