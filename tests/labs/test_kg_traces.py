"""KG-TRACES: paths as supervision, and as programs on a graph."""

import pytest
import torch

from ktlabs.kg_and_llm.kg_traces import (
    CAPITAL,
    NONE,
    PLACES,
    QUESTIONS,
    RELATIONS,
    SHAPES,
    TRAINED,
    execute,
    generate,
    relations,
    trajectory,
    world,
)

A, B, C = QUESTIONS


def small():
    """Two capitals 20 and 21 of the countries 30 and 31, with currencies 40 and 41, regions 50, languages 60."""
    graph = torch.zeros(1, 70, 5, dtype=torch.long)
    graph[0, [20, 21], CAPITAL] = torch.tensor([30, 31])
    for relation, tails in zip(RELATIONS, ([40, 41], [50, 50], [60, 61]), strict=True):
        graph[0, [30, 31], relation] = torch.tensor(tails)
    asked = [[head, question] for head in (20, 21) for question in QUESTIONS]
    return graph, torch.tensor([asked])


def test_a_path_ends_where_its_edges_lead_and_nowhere_if_one_is_missing():
    graph, _ = small()
    heads = torch.tensor([[20, 21, 20, 20]])
    ways = torch.tensor([[[1, 2], [1, 3], [2, 2], [1, 99]]])
    assert execute(graph, heads, ways).tolist() == [[40, 50, NONE, NONE]]


def test_execution_follows_the_graph_it_is_given():
    graph, asked = small()
    other = graph.clone()
    other[0, 30, RELATIONS[0]] = 41
    assert execute(other, asked[..., 0], relations(asked))[0, 0] == 41
    assert execute(graph, asked[..., 0], relations(asked)).tolist() == [[40, 50, 60, 41, 50, 61]]


def test_trajectories_by_hand():
    graph, asked = small()
    assert trajectory(graph, asked, "answer only")[0, 0].tolist() == [20, A, 40]
    assert trajectory(graph, asked, "relation path")[0, 3].tolist() == [21, A, 1, 2, 41]
    assert trajectory(graph, asked, "triple path")[0, 5].tolist() == [21, C, 1, 31, 4, 61]


def test_a_swapped_path_is_as_long_and_another_capital_s_with_one_s_own_answer():
    graph, asked = small()
    own, swapped = (trajectory(graph, asked, arm) for arm in ("triple path", "swapped path"))
    assert own.shape == swapped.shape
    assert torch.equal(own[..., [0, 1, 5]], swapped[..., [0, 1, 5]])
    assert swapped[0, 0].tolist() == [20, A, 1, 31, 3, 40]
    trained = world([0]).part(0, TRAINED)
    own, swapped = (
        trajectory(world([0]).graph, trained, arm)[..., 3] for arm in ("triple path", "swapped path")
    )
    assert (own != swapped).all()


def test_facts_in_the_prompt_hold_the_answer_behind_its_relation_wherever_that_stands():
    graph, asked = small()
    told = trajectory(graph, asked, "facts in the prompt")
    for row in told[0]:
        relation = row[7] - QUESTIONS[0] + RELATIONS[0]
        place = row[:6:2].tolist().index(relation)
        assert row[2 * place + 1] == row[8]
    assert told[0, 0, 0] != told[0, 3, 0]  # not the same order for each capital


@pytest.mark.parametrize("arm", SHAPES)
def test_shapes_say_what_trajectories_are(arm):
    prompt, written, chosen = SHAPES[arm]
    graph, asked = small()
    found = trajectory(graph, asked, arm)
    assert found.shape[-1] == prompt + written
    if arm in ("relation path", "triple path"):
        assert torch.equal(found[..., chosen], relations(asked))


def test_held_out_capitals_are_asked_about_nowhere_in_training():
    own = world([0, 1])
    trained, held = own.part(0, TRAINED), own.part(TRAINED, PLACES)
    assert not (trained[..., 0].unsqueeze(-1) == held[..., 0].unsqueeze(-2)).any()
    assert (own.facts[..., 0].unsqueeze(-1) == held[..., 0].unsqueeze(-2)).any(dim=1).all()


def test_a_model_writes_on_from_its_own_words():
    def net(_, tokens):
        return torch.nn.functional.one_hot((tokens + 1) % 7, 7).double()

    assert generate(net, {}, torch.tensor([[[4, 5]]]), 3).tolist() == [[[4, 5, 6, 0, 1]]]
