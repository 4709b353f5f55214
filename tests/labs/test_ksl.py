"""Knowledge Solver: a walk that chooses its edges."""

from itertools import pairwise

import pytest
import torch

from ktlabs.kg_and_llm.ksl import likest, phrase, search

GRAPH = {
    "Lima": [("capital", "Peru"), ("twin", "Oslo")],
    "Oslo": [("capital", "Norway"), ("twin", "Lima")],
    "Peru": [("currency", "PEN"), ("trade", "Norway")],
    "Norway": [("currency", "NOK"), ("trade", "Peru")],
}


def first(*_):
    return 0


def vectors(words):
    """Words as counts of what they name, so that likeness can be worked out by hand."""
    counts = torch.tensor([float(words.count(w)) for w in ("capital", "twin", "currency", "trading")])
    return counts / counts.norm()


def test_the_walk_ends_at_the_first_option_and_is_its_own_explanation():
    assert search("Lima", GRAPH, first, ["PEN", "NOK"]) == [("capital", "Peru"), ("currency", "PEN")]
    assert search("Lima", GRAPH, first, ["Peru"]) == [("capital", "Peru")]


def test_every_step_is_an_edge_of_the_graph_and_no_node_is_entered_twice():
    way = search("Lima", GRAPH, lambda _, offered: len(offered) - 1, limit=9)
    nodes = ["Lima", *(node for _, node in way)]
    assert nodes == ["Lima", "Oslo", "Norway", "Peru", "PEN"]
    assert all(
        there in [tail for _, tail in GRAPH[here]] and edge in GRAPH[here]
        for (here, there), edge in zip(pairwise(nodes), way, strict=True)
    )


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_facts_are_read_than_allowed(limit):
    assert len(search("Lima", GRAPH, lambda _, offered: len(offered) - 1, ["none"], limit)) == limit


def test_a_false_edge_leads_to_a_false_answer():
    swapped = GRAPH | {"Peru": [("currency", "NOK")]}
    assert search("Lima", swapped, first, ["PEN", "NOK"])[-1] == ("currency", "NOK")


def test_a_way_reads_from_its_end_to_its_begin():
    assert phrase(["twin", "capital"]) == "the country with the capital of the twin town in question"


def test_memory_tells_a_way_that_fits_as_a_whole():
    """The question holds twin, capital and trade: after two of them the third is missing, not the second."""
    asked = vectors("twin capital trading")
    offered = [("capital", "x"), ("trade", "y")]
    # with memory: (2, 1, 0, 0) scores 3 / sqrt(15), (1, 1, 0, 1) scores 1; alone both score 1 / sqrt(3)
    assert likest(asked, vectors)(("twin", "capital"), offered) == 1
    assert likest(asked, vectors, memory=False)(("twin", "capital"), offered) == 0


def test_its_own_stop_comes_where_no_edge_brings_the_way_closer():
    asked = vectors("twin capital")
    choose = likest(asked, vectors, own_stop=True)
    assert search("Lima", GRAPH, choose) == [("capital", "Peru")]  # the first of two that fit alike
    assert choose(("twin", "capital"), [("currency", "NOK")]) is None
    assert likest(asked, vectors)(("twin", "capital"), [("currency", "NOK")]) == 0
