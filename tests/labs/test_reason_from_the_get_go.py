"""Reasoning apart from knowledge: facts exchanged, reasoner kept."""

import torch

from ktlabs.kg_and_llm.kg_traces import CAPITAL, FIRST, PLACES, RELATIONS, execute, relations, world
from ktlabs.knowledge_in_language_models.reason_from_the_get_go import answer, exchange, known


def writer(answers):
    """A reasoner that writes the right relations for every question, and ends with words of its own."""

    def net(_, tokens):
        written = tokens.shape[-1] - 2
        second = tokens[..., 1] - 5 + RELATIONS[0]
        word = [torch.full_like(second, CAPITAL), torch.full_like(second, 50), second, answers][written]
        return torch.nn.functional.one_hot(word, 200).double().unsqueeze(-2)

    return net


def test_countries_exchange_values_and_none_is_lost():
    own = world([0, 1])
    new = exchange(own, [0, 1])
    assert torch.equal(new.graph[..., CAPITAL], own.graph[..., CAPITAL])
    places = slice(FIRST + PLACES, FIRST + 2 * PLACES)
    for relation in RELATIONS:
        before, after = own.graph[:, places, relation], new.graph[:, places, relation]
        assert torch.equal(before.sort(dim=-1).values, after.sort(dim=-1).values)
        assert (before != after).any(dim=-1).all()


def test_facts_and_graph_stay_one():
    new = exchange(world([3]), [3])
    heads, through, tails = new.facts[0].T
    assert torch.equal(new.graph[0, heads, through], tails)
    assert torch.equal(new.questions, world([3]).questions)


def test_an_exchange_is_the_seed_s_own():
    alone, beside = exchange(world([4]), [4]), exchange(world([3, 4]), [3, 4])
    assert torch.equal(alone.graph[0], beside.graph[1])


def test_a_kept_reasoner_answers_by_whatever_memory_it_is_given():
    own = world([0])
    new = exchange(own, [0])
    questions = own.part(0, PLACES)
    truth = [execute(memory, questions[..., 0], relations(questions)) for memory in (own.graph, new.graph)]
    net = writer(truth[0])
    for memory, right in zip((own.graph, new.graph), truth, strict=True):
        assert torch.equal(answer(net, {}, "triple path", memory, questions), right)
    assert torch.equal(answer(net, {}, "triple path", new.graph, questions, alone=True), truth[0])
    assert (truth[0] != truth[1]).double().mean() > 0.7  # most answers change, as few values are shared


def test_facts_are_known_by_their_tails():
    facts = torch.tensor([[[8, 1, 38], [9, 1, 39]]])

    def net(_, tokens):
        return torch.nn.functional.one_hot(torch.full_like(tokens, 38), 200).double()

    assert known(net, {}, facts).tolist() == [0.5]
