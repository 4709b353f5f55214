"""Texts cut into parts, and the language model of characters that labs share."""

import pytest
import torch

from ktlabs.bench.data import CHARACTERS, passages, text, windows
from ktlabs.bench.nets import CharacterModel, Population


def test_parts_of_a_text_share_no_passage_and_stand_in_it():
    parts = passages("scikit-learn", [4, 5], length=500, train=30, test=50)
    assert parts["train"].shape == (2, 30, 500)
    source = text("scikit-learn")[: 500 * (len(text("scikit-learn")) // 500)].reshape(-1, 500)
    for seed in range(2):
        found = torch.cat([parts["train"][seed], parts["test"][seed]])
        places = [int((source == own).all(dim=1).nonzero()[0, 0]) for own in found]
        assert len(set(places)) == 80


def test_a_seed_draws_the_same_passages_whoever_stands_beside_it():
    together, alone = (passages("torch", seeds, train=3)["train"] for seeds in ([7, 8], [8]))
    assert torch.equal(together[1], alone[0])


def test_more_passages_than_a_text_has_are_refused():
    with pytest.raises(ValueError, match="more than the 86 passages that scikit-learn has"):
        passages("scikit-learn", [1], train=50, test=50)


def test_windows_by_hand():
    before, after = windows(torch.tensor([[[1, 2, 3, 4], [5, 6, 7, 8]]]), 2)
    assert before.tolist() == [[[1, 2], [2, 3], [5, 6], [6, 7]]]
    assert after.tolist() == [[3, 4, 7, 8]]
    before, after = windows(torch.arange(8).reshape(1, 1, 8), 2, every=3)
    assert (before.tolist(), after.tolist()) == ([[[0, 1], [3, 4]]], [[2, 5]])


@pytest.mark.parametrize("domain", ["special", "networkx"])
def test_the_other_texts_are_in_the_known_characters(domain):
    assert len(text(domain)) > 200_000
    assert 0 <= text(domain).min() <= text(domain).max() < CHARACTERS


def test_a_character_model_by_hand_and_as_a_row_of_a_population():
    seeds = [3, 4]
    net = Population(lambda: CharacterModel(5, context=2, width=3, characters=7), seeds)
    before = torch.tensor([[[1, 6]], [[0, 2]]])
    logits = net(net.params, before)
    assert logits.shape == (2, 1, 7)
    for row in range(2):
        own = {name: value[row] for name, value in net.params.items()}
        seen = torch.cat([own["embedding"][place] for place in before[row, 0]])
        hidden = torch.tanh(own["hidden.weight"] @ seen + own["hidden.bias"])
        wanted = own["head.weight"] @ hidden + own["head.bias"]
        assert torch.allclose(logits[row, 0], wanted)
