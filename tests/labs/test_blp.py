"""Entities from text: what is trained on, what is asked, and what a name is made of."""

import pytest
import torch

from ktlabs.bench import sentences
from ktlabs.bench.facts import graph
from ktlabs.kg_and_llm.blp import _features, _parts, _swap, inductive, text_scores, word_table
from ktlabs.kg_and_llm.links import Links, fold


def test_queries_start_at_a_seen_entity_and_ask_for_an_unseen_one():
    asked = torch.tensor([[0, 0, 1], [0, 0, 2], [2, 0, 1], [2, 0, 3], [1, 0, 0]])
    unseen, seen = torch.tensor([False, False, True, True]), torch.tensor([True, True, False, False])
    assert inductive(asked, unseen, seen).tolist() == [[0, 0, 2]]
    assert inductive(asked, seen, seen).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_scores_worked_by_hand():
    params = {
        "layer": torch.tensor([[[1.0, 0.0], [1.0, 2.0]]]),
        "relations": torch.tensor([[[1.0, 1.0], [2.0, -1.0]]]),
    }
    text = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])  # entities (1, 0), (1, 2), (2, 2)
    assert text_scores(params, torch.tensor([[1, 1, 0]]), text).tolist() == [[[2.0, -2.0, 0.0]]]


def test_an_entity_without_training_is_scored_by_its_text_alone():
    params = {"layer": torch.randn(1, 4, 3), "relations": torch.randn(1, 2, 3)}
    text = torch.randn(1, 5, 4)
    more = torch.cat([text, text[:, :1], torch.zeros(1, 1, 4)], dim=1)
    found = text_scores(params, torch.tensor([[2, 0, 0], [5, 1, 0], [0, 1, 0]]), more)
    assert torch.equal(found[..., 5], found[..., 0])  # the same text, the same score
    assert not found[..., 6].any()  # no text, and no bias that could stand for it
    assert torch.equal(found[:, 1], found[:, 2])  # also as the known end


def test_no_unseen_entity_is_in_any_training_query():
    with_both = Links.of([(f"e{i}", "r", f"e{j}") for i in range(40) for j in range(40) if (i * j) % 3 == 1])
    asked = with_both.queries(with_both.triples)
    parts, seen = _parts(asked, len(with_both.entities), range(8))
    for s in range(8):
        assert seen[s][parts["train"][s][:, [0, 2]]].all()
        test, _ = fold(s, len(with_both.entities))
        assert not seen[s][test].any()
        assert torch.isin(parts["test"][s][:, 2], test).all()
        assert seen[s][parts["test"][s][:, 0]].all()
        assert not torch.isin(parts["validation"][s][:, 2], test).any()


def test_swapped_names_go_round_among_the_unseen():
    places, (test, rest) = _swap(5, 40), fold(5, 40)
    assert torch.equal(places[rest], rest)
    assert not (places[test] == test).any()
    assert sorted(places.tolist()) == list(range(40))


def test_words_and_encoder_know_what_they_should():
    names = ["organic chemical", "inorganic chemical", "chemical", "blue whale"]
    counts, vectors = word_table(names)
    encoded = sentences.embed(names)
    assert counts.sum(dim=1).tolist() == [2, 2, 1, 2]  # the marks of begin and end are left out
    assert vectors.shape == (counts.shape[1], 384)
    arms = _features(names, seed=1)
    assert torch.allclose(arms["encoder alone"] @ arms["encoder alone"].T, encoded @ encoded.T)
    # Beside the words, the permuted arm has the same vectors in another order: the trace stays.
    assert arms["encoder, permuted"].square().sum() == pytest.approx(float(arms["encoder"].square().sum()))
    table = arms["words alone"] @ arms["words alone"].T
    assert table[0, 3] == pytest.approx(0, abs=1e-9)
    assert table[0, 2] == pytest.approx(0.5**0.5)


def test_the_graph_is_what_the_declaration_says():
    own = Links.of([triple for part in graph("umls").values() for triple in part])
    assert (len(own.entities), own.relations, len(own.triples)) == (135, 46, 6529)
