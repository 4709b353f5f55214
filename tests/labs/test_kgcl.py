"""The change language: parse, apply, invert, diff and merge, and the text merge beside it."""

import numpy as np
import pytest

from ktlabs.kg_and_llm import kgcl
from ktlabs.kg_and_llm.kgcl import RefusedError, apply, broken, diff, invert, merge, merge_text, parse

GRAPH = frozenset(
    {
        ("EL:1", "rdfs:label", "Gold"),
        ("EL:1", "oio:hasExactSynonym", "Au"),
        ("EL:1", "rdfs:subClassOf", "EL:metal"),
        ("EL:2", "rdfs:label", "Silver"),
        ("EL:2", "EL:alloysWith", "EL:1"),
        ("EL:metal", "rdfs:label", "metal"),
        ("EL:noble", "rdfs:label", "noble metal"),
    }
)


@pytest.mark.parametrize(
    ("command", "gone", "come"),
    [
        ("rename EL:1 from 'Gold' to 'Aurum'", ("rdfs:label", "Gold"), ("rdfs:label", "Aurum")),
        ("create exact synonym 'yellow metal' for EL:1", None, ("oio:hasExactSynonym", "yellow metal")),
        ("remove synonym 'Au' for EL:1", ("oio:hasExactSynonym", "Au"), None),
        ("add definition 'A soft, yellow metal' to EL:1", None, ("IAO:0000115", "A soft, yellow metal")),
        ("obsolete EL:1", None, ("owl:deprecated", "true")),
        ("create edge EL:1 EL:alloysWith EL:2", None, ("EL:alloysWith", "EL:2")),
        (
            "move EL:1 rdfs:subClassOf EL:metal from EL:metal to EL:noble",
            ("rdfs:subClassOf", "EL:metal"),
            ("rdfs:subClassOf", "EL:noble"),
        ),
    ],
)
def test_a_command_of_the_published_grammar_changes_what_it_says_and_is_undone(command, gone, come):
    change = parse(command)
    after = apply(GRAPH, change)
    assert GRAPH - after == ({("EL:1", *gone)} if gone else set())
    assert after - GRAPH == ({("EL:1", *come)} if come else set())
    if change.kind != "add_definition":
        assert apply(after, parse(invert(change))) == GRAPH
    assert [parse(own) for own in diff(GRAPH, after)] == [change]


def test_nodes_come_and_go_with_their_edges():
    made = apply(GRAPH, parse("create node EL:3 'Tin'"))
    assert made - GRAPH == {("EL:3", "rdfs:label", "Tin")}
    assert apply(made, parse("delete EL:3")) == GRAPH
    gone = apply(GRAPH, parse("delete EL:1"))
    assert ("EL:2", "EL:alloysWith", "EL:1") not in gone
    assert len(gone) == 3
    with pytest.raises(RefusedError, match="delete"):
        invert(parse("delete EL:1"))


@pytest.mark.parametrize(
    "command",
    [
        "rename EL:1 from 'Silver' to 'Aurum'",  # it is called otherwise
        "move EL:1 rdfs:subClassOf EL:noble from EL:noble to EL:metal",  # it stands elsewhere
        "create edge EL:1 EL:alloysWith EL:3",  # to nothing
        "create edge EL:2 EL:alloysWith EL:1",  # there already
        "create edge EL:1 rdfs:subClassOf EL:noble",  # a second parent
        "create node EL:1 'Tin'",
        "delete EL:3",
        "obsolete EL:3",
        "remove synonym 'Ag' for EL:1",
    ],
)
def test_what_does_not_fit_the_graph_is_refused(command):
    with pytest.raises(RefusedError):
        apply(GRAPH, parse(command))


def test_the_grammar_has_no_place_for_an_apostrophe():
    from lark.exceptions import UnexpectedInput  # noqa: PLC0415 - may be missing

    with pytest.raises(UnexpectedInput):
        parse("rename EL:1 from 'Gold' to 'Fool's gold'")


@pytest.mark.parametrize("seed", range(4))
def test_commands_lead_from_any_version_to_any_other(seed):
    rng = np.random.default_rng(seed)
    pool = [f"EL:{number:05}" for number in range(1, 16)]
    before, after = (kgcl._edited(kgcl.elements(), pool, kgcl._ALL, curator, rng) for curator in (1, 2))
    graph = before
    for command in diff(before, after):
        graph = apply(graph, parse(command))
    assert graph == after
    assert diff(after, after) == []
    assert kgcl.read(line for stanza in kgcl.stanzas(after) for line in stanza) == after


def test_of_two_new_names_commands_keep_one_and_triples_both():
    ours, theirs = (apply(GRAPH, parse(f"rename EL:1 from 'Gold' to '{new}'")) for new in ("Aurum", "Or"))
    graph, refused = merge(GRAPH, ours, theirs)
    assert (graph, refused, broken(graph)) == (theirs, 1, 0)
    graph, refused = kgcl.merge_triples(GRAPH, ours, theirs)
    assert graph == theirs | {("EL:1", "rdfs:label", "Aurum")}
    assert (refused, broken(graph)) == (1, 1)


def test_an_edge_to_what_another_has_deleted_is_refused():
    ours = apply(GRAPH, parse("create edge EL:2 rdfs:subClassOf EL:noble"))
    theirs = apply(GRAPH, parse("delete EL:noble"))
    assert merge(GRAPH, ours, theirs) == (theirs, 1)
    assert broken(kgcl.merge_triples(GRAPH, ours, theirs)[0]) == 1


def test_texts_merge_but_for_neighbouring_lines():
    base = list("abcdef")
    assert merge_text(base, list("Abcdef"), list("abcdeF")) == (list("AbcdeF"), [])
    assert merge_text(base, list("abcdef"), list("abdef")) == (list("abdef"), [])
    assert merge_text(base, list("aXbcdef"), list("aXbcdef")) == (list("aXbcdef"), [])
    assert merge_text(base, list("abXdef"), list("abYdef")) == (list("abYdef"), [(2, 3)])
    assert merge_text(base, list("abXdef"), list("abcYef")) == (list("abcYef"), [(2, 4)])


def test_what_arrived_is_counted_by_node_and_predicate():
    ours = apply(apply(GRAPH, parse("rename EL:1 from 'Gold' to 'Aurum'")), parse("obsolete EL:2"))
    theirs = apply(GRAPH, parse("create exact synonym 'Ag' for EL:2"))
    assert kgcl.arrived(GRAPH, ours, theirs, theirs) == pytest.approx(1 / 3)
    assert kgcl.arrived(GRAPH, ours, theirs, ours) == pytest.approx(2 / 3)
    assert kgcl.arrived(GRAPH, ours, theirs, merge(GRAPH, ours, theirs)[0]) == 1
