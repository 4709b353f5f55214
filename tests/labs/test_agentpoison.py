"""What a trigger is scored by, what detects it, and a retriever that is a bag of words."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.bench import sentences
from ktlabs.external_knowledge import agentpoison
from ktlabs.external_knowledge.agentpoison import Retriever, loneliness, search, uniqueness

CENTRES = torch.tensor([[0.0, 0.0], [0.0, 2.0]], dtype=torch.float64)


def test_the_objective_is_distance_from_centres_less_a_tenth_of_the_spread():
    queries = torch.tensor([[3.0, 0.0], [5.0, 0.0]], dtype=torch.float64)
    far = (3 + 5 + math.sqrt(13) + math.sqrt(29)) / 4
    assert float(uniqueness(queries, CENTRES)) == pytest.approx(far - 0.1 * 1)
    assert float(uniqueness(queries, CENTRES, weight=0)) == pytest.approx(far)


def test_of_triggers_equally_far_the_compact_one_is_better():
    together = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    apart = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    both = uniqueness(torch.stack([together, apart]), torch.zeros(1, 2, dtype=torch.float64))
    assert both.tolist() == pytest.approx([1, 1 - 0.1])


@given(st.integers(0, 99))
def test_the_objective_looks_at_no_direction_but_the_centres(seed):
    draw = torch.Generator().manual_seed(seed)
    queries, centres = torch.randn(4, 3, generator=draw), torch.randn(2, 3, generator=draw)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=draw))
    assert torch.allclose(uniqueness(queries @ turn, centres @ turn), uniqueness(queries, centres))


def test_an_entry_away_from_trusted_ones_is_lonely_whatever_company_it_brings():
    angles = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], dtype=torch.float64)
    trusted = torch.stack([angles.cos(), angles.sin()], dim=-1)
    away = torch.tensor([[-1.0, 0.0]] * 6, dtype=torch.float64)  # six planted entries at one place
    near = torch.tensor([[math.cos(0.25), math.sin(0.25)]], dtype=torch.float64)
    assert (loneliness(away, trusted) > 1.8).all()
    of_five = sum(math.cos(a) for a in (0.05, 0.05, 0.15, 0.15, 0.25)) / 5
    assert float(loneliness(near, trusted)) == pytest.approx(1 - of_five)


def test_a_trusted_entry_is_not_its_own_neighbour():
    trusted = torch.eye(6, dtype=torch.float64)
    assert loneliness(trusted, trusted).tolist() == pytest.approx([1.0] * 6)


def test_a_search_never_ends_below_where_it_began():
    vocabulary = torch.arange(1000)
    for seed in range(5):
        begin = search(lambda t: torch.zeros(len(t)), vocabulary, (seed,))  # any trigger is as good
        found = search(lambda t: t.double().sum(dim=-1), vocabulary, (seed,))
        assert found.sum() >= begin.sum()
        assert len(found) == 4
    assert found.sum() > 3500  # of 3996: seven or eight looks at 12 words for each place


def test_a_trigger_is_averaged_with_a_query_in_any_order():
    retriever = Retriever(sentences.encoder().weights["embeddings.word_embeddings.weight"])
    bags = retriever.bags(["gold is red", "red is gold"])
    trigger = torch.tensor(sentences.encoder().tokens(["moon"])[0][1:-1])
    whole = retriever.bags(["moon gold is red"])
    assert torch.allclose(retriever(bags)[0], retriever(bags)[1])
    assert torch.allclose(retriever(bags, trigger)[0], retriever(whole)[0])
    assert torch.allclose(retriever(bags).norm(dim=-1), torch.ones(2))


def test_questions_of_test_memory_and_attacker_differ():
    known = agentpoison._facts()
    words = agentpoison._vocabulary(known)
    decoded = sentences.encoder().tokenizer.decode(words[:50].tolist()).split()
    assert len(set(known)) == len(known) == 1534
    assert len(words) > 10_000
    asked = " ".join(form.format(name) for relation, name in known for form in agentpoison._FORMS[relation])
    assert not set(decoded) & set(asked.split())
