"""Changes of an ontology as sentences of a controlled language, beside patches of its text."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from ktlabs.bench import facts
from ktlabs.bench import runner as lab
from ktlabs.bench.facts import Triple
from ktlabs.bench.runner import Scores

Graph = frozenset[Triple]

LABEL, PARENT, SYNONYM = "rdfs:label", "rdfs:subClassOf", "oio:hasExactSynonym"
DEFINITION, DEPRECATED = "IAO:0000115", "owl:deprecated"
MEMBER, ALLOY = "EL:memberOf", "EL:alloysWith"
#: What a node has at most one of.
_SINGLE = (LABEL, DEFINITION, PARENT)
_LINKS = (PARENT, MEMBER, ALLOY)
#: What the parts of each kind of change are: node, predicate (of its own if empty), what goes, what comes.
_KINDS = {
    "create": ("id", LABEL, "", "label"),
    "rename": ("id", LABEL, "old_label", "new_label"),
    "add_definition": ("entity", DEFINITION, "", "new_definition"),
    "change_definition": ("entity", DEFINITION, "old_definition", "new_definition"),
    "create_synonym": ("entity", SYNONYM, "", "synonym"),
    "remove_synonym": ("entity", SYNONYM, "synonym", ""),
    "obsolete": ("entity", DEPRECATED, "", "true"),
    "unobsolete": ("entity", DEPRECATED, "true", ""),
    "create_edge": ("entity_subject", "", "", "entity_object_id"),
    "delete_edge": ("entity_subject", "", "entity_object_id", ""),
    "move": ("entity_subject", "", "old_entity", "new_entity"),
}
#: The sentence for each kind.
_SENTENCES = {
    "create": "create node {node} '{new}'",
    "rename": "rename {node} from '{old}' to '{new}'",
    "add_definition": "add definition '{new}' to {node}",
    "change_definition": "change definition of {node} from '{old}' to '{new}'",
    "create_synonym": "create exact synonym '{new}' for {node}",
    "remove_synonym": "remove synonym '{old}' for {node}",
    "obsolete": "obsolete {node}",
    "unobsolete": "unobsolete {node}",
    "create_edge": "create edge {node} {predicate} {new}",
    "delete_edge": "delete edge {node} {predicate} {old}",
    "move": "move {node} {predicate} {old} from {old} to {new}",
}
_EDITS = 15
#: Elements that two curators work on, and the kinds of edit that each makes.
_LABELS = ("rename", "define", "obsolete", "create")
_RELATIONS = ("synonym", "no synonym", "move", "class", "no class", "alloy", "create")
_ALL = tuple(dict.fromkeys((*_LABELS, *_RELATIONS, "delete")))
_REGIMES = {"apart": (30, _ALL, _ALL), "shared": (15, _LABELS, _RELATIONS), "clash": (8, _ALL, _ALL)}


class RefusedError(ValueError):
    """A change does not fit the graph: what it says of the state before is not so."""


@dataclass(frozen=True)
class Change:
    """A change as the grammar names it, such as ``rename``, and its parts by the grammar's names."""

    kind: str
    parts: dict[str, str]

    def __getitem__(self, part: str) -> str:
        return self.parts[part]


@cache
def _grammar() -> Any:
    path = lab.package("kgcl-schema") / "grammar" / "kgcl.lark"
    try:
        from lark import Lark  # noqa: PLC0415 - needed by this lab only
    except ImportError as error:
        raise lab.MissingError(f"reading the change language needs {error.name}: {lab.REMEDY}") from error
    return Lark(path.read_text(encoding="utf-8"), start="expression")


def parse(command: str) -> Change:
    """Parse a command with the grammar that kgcl-schema publishes.

    Raises
    ------
    lark.exceptions.UnexpectedInput
        If it is no sentence of the language; so is any text with an apostrophe in it, as the grammar has
        no way to escape one.
    """
    tree = _grammar().parse(command)
    parts = {str(own.data): str(own.children[0]).strip("'") for own in tree.children if own is not None}
    return Change(str(tree.data), parts)


def apply(graph: Graph, change: Change) -> Graph:
    r"""Apply a change where what it presumes holds.

    .. math:: G' = (G \setminus \mathrm{del}(c)) \cup \mathrm{add}(c)
        \quad \text{if } \mathrm{del}(c) \subseteq G \text{ and every node of } c \text{ exists}

    Parameters
    ----------
    graph : frozenset of triples
    change : Change
        Deleting a node takes its edges from both sides.

    Raises
    ------
    RefusedError
        If a triple to be removed isn't there, a triple to be added is, or a node is missing or there already.

    References
    ----------
    kgcl: kinds of change and their parts in kgcl-schema 0.7.0; what each does to triples is this review's
    reading, as that package applies nothing.
    """
    nodes = {subject for subject, predicate, _ in graph if predicate == LABEL}
    if change.kind == "delete":
        if (gone := change["entity"]) not in nodes:
            raise RefusedError(f"there is no {gone}")
        return frozenset(triple for triple in graph if gone not in (triple[0], triple[2]))
    node, predicate, old, new = _effect(change)
    removed = {(node, predicate, old)} if old else set()
    added = {(node, predicate, new)} if new else set()
    needed = {node} if change.kind != "create" else set()
    if missing := sorted((needed | ({new} if predicate in _LINKS and new else set())) - nodes):
        raise RefusedError(f"there is no {missing[0]}")
    if not removed <= graph or added & graph:
        raise RefusedError(f"{change.kind} does not find what it changes")
    if added and predicate in _SINGLE and any((node, predicate) == own[:2] for own in graph - removed):
        raise RefusedError(f"{change.kind} would give {node} a second {predicate}")
    return (graph - removed) | added


def _effect(change: Change) -> tuple[str, str, str, str]:
    """Return node and predicate of a change, what goes and what comes; empty for nothing."""
    if change.kind not in _KINDS:
        raise RefusedError(f"changes of the kind {change.kind} are not read here")
    node, predicate, *values = _KINDS[change.kind]
    old, new = (change.parts.get(part, part) for part in values)  # the value of a deprecation is no part
    return change[node], predicate or change["entity_predicate"], old, new


def _command(node: str, predicate: str, old: str, new: str) -> str:
    """Return the sentence for a change that `_effect` would give."""
    own = "" if predicate in _LINKS else predicate
    for kind, (_, other, goes, comes) in _KINDS.items():
        if (own, bool(old), bool(new)) == (other, bool(goes), bool(comes)):
            return _SENTENCES[kind].format(node=node, predicate=predicate, old=old, new=new)
    raise RefusedError(f"no sentence takes {old or new} from or gives it to {predicate}")


def diff(before: Graph, after: Graph) -> list[str]:
    """Return commands that lead from one graph to another, those that make nodes first, deletions last."""
    old, new = _slots(before), _slots(after)
    made: list[str] = []
    changed: list[str] = []
    gone: list[str] = []
    for node in sorted({subject for subject, _ in old | new}):
        if (node, LABEL) not in new:
            gone.append(f"delete {node}")
            continue
        for predicate in (LABEL, DEFINITION, PARENT, SYNONYM, DEPRECATED, MEMBER, ALLOY):
            was, now = old.get((node, predicate), []), new.get((node, predicate), [])
            lost, won = [x for x in was if x not in now], [x for x in now if x not in was]
            if predicate in _LINKS:  # an edge to a deleted node goes with it
                lost = [x for x in lost if (x, LABEL) in new]
            pairs = [(x, y) for x, y in zip(lost, won, strict=False) if predicate in _SINGLE]
            pairs = pairs or [(x, "") for x in lost] + [("", y) for y in won]
            commands = [_command(node, predicate, *pair) for pair in pairs]
            (made if predicate == LABEL and not was else changed).extend(commands)
    return made + changed + gone


def invert(change: Change) -> str:
    """Return the command that undoes a change.

    The kind of a removed synonym is not in its command; here all are exact.

    Raises
    ------
    RefusedError
        For a deletion, as the command does not hold what it takes away, and for a new definition.
    """
    if change.kind == "create":
        return f"delete {change['id']}"
    node, predicate, old, new = _effect(change)
    return _command(node, predicate, new, old)


def merge(base: Graph, ours: Graph, theirs: Graph) -> tuple[Graph, int]:
    """Bring our changes, as commands, into their version; return it and how many were refused."""
    graph, refused = theirs, 0
    for command in diff(base, ours):
        try:
            graph = apply(graph, parse(command))
        except RefusedError:
            refused += 1
    return graph, refused


def merge_triples(base: Graph, ours: Graph, theirs: Graph) -> tuple[Graph, int]:
    """Bring our changes, triple by triple, into their version; refuse to remove what is gone."""
    refused = (base - ours) - theirs
    return (theirs - (base - ours)) | (ours - base), len(refused)


def merge_text(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> tuple[list[str], list[tuple[int, int]]]:
    """Merge three versions of a text line by line.

    Between lines that all three share, a stretch that one side changed is that side's, and one that both
    changed differently is a conflict: there, theirs stands.

    Returns
    -------
    list of str
    list of tuple
        Begin and end, in `base`, of each conflict.

    References
    ----------
    S. Khanna, K. Kunal and B. C. Pierce, A Formal Investigation of Diff3 (2007), section 3.
    """
    a, b, c = 0, 0, 0
    merged: list[str] = []
    conflicts = []
    for base_at, ours_at, theirs_at, length in _common(base, ours, theirs):
        was, own, other = base[a:base_at], ours[b:ours_at], theirs[c:theirs_at]
        if other in (own, was):
            merged += own
        elif own == was:
            merged += other
        else:
            merged += other
            conflicts.append((a, base_at))
        merged += base[base_at : base_at + length]
        a, b, c = base_at + length, ours_at + length, theirs_at + length
    return merged, conflicts


def _common(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> Iterable[tuple[int, int, int, int]]:
    """Give stretches that all three texts share: their places and length; the last is empty, at the ends."""
    left, right = (
        {
            at + k: there + k
            for at, there, size in difflib.SequenceMatcher(None, base, text, False).get_matching_blocks()
            for k in range(size)
        }
        for text in (ours, theirs)
    )
    for place in sorted(left.keys() & right.keys()):
        yield place, left[place], right[place], 1
    yield len(base), len(ours), len(theirs), 0


def _slots(graph: Graph) -> dict[tuple[str, str], list[str]]:
    """Return the sorted objects of each subject and predicate."""
    found = defaultdict(list)
    for subject, predicate, tail in sorted(graph):
        found[subject, predicate].append(tail)
    return dict(found)


def stanzas(graph: Graph) -> list[list[str]]:
    """Return a text of a graph as ontologies are kept under version control: a stanza a node, sorted."""
    found: dict[str, list[str]] = {}
    for (subject, predicate), tails in _slots(graph).items():
        found.setdefault(subject, [f"id: {subject}"]).extend(f"{predicate} {tail}" for tail in tails)
    return list(found.values())


def read(text: Iterable[str]) -> Graph:
    """Read stanzas back."""
    found, subject = set(), ""
    for line in text:
        predicate, _, tail = line.partition(" ")
        if predicate == "id:":
            subject = tail
        else:
            found.add((subject, predicate, tail))
    return frozenset(found)


def broken(graph: Graph) -> int:
    """Count second values of what has one, edges to nodes that are not there, and nodes without a label."""
    slots = _slots(graph)
    nodes = {subject for subject, predicate in slots if predicate == LABEL}
    second = sum(len(tails) - 1 for (_, predicate), tails in slots.items() if predicate in _SINGLE)
    loose = sum(predicate in _LINKS and tail not in nodes for _, predicate, tail in graph)
    return second + loose + len({subject for subject, _ in slots} - nodes)


@cache
def elements() -> Graph:
    """Return an ontology of the elements: names, symbols, first sentences, series, blocks and classes."""
    triples = {(f"EL:{9000 + c}00", LABEL, f"earlier term of curator {c}") for c in (1, 2)}
    for number, own in facts.elements().iterrows():
        node = f"EL:{number:05}"
        triples |= {(node, LABEL, own["name"]), (node, SYNONYM, own["symbol"])}
        kinds = {PARENT: own["series"], MEMBER: f"{own['block']}-block"}
        for predicate, name in (*kinds.items(), (MEMBER, own["goldschmidt_class"])):
            group = f"EL:{name.replace(' ', '_')}"
            triples |= {(node, predicate, group), (group, LABEL, name)}
        if isinstance(own["description"], str):
            triples.add((node, DEFINITION, own["description"].split(". ")[0].rstrip(".")))
    return frozenset(triples)


def _edited(graph: Graph, pool: Sequence[str], kinds: Sequence[str], curator: int, rng: Any) -> Graph:
    """Return what a curator makes of a graph by random edits, each of another kind and node than before."""
    done: set[tuple[str, str]] = set()
    while len(done) < _EDITS:
        kind, node, other = str(rng.choice(kinds)), str(rng.choice(pool)), str(rng.choice(pool))
        if (node, kind) in done:
            continue
        removed, added = _edit(graph, kind, node, other, rng)
        if kind == "create":
            new = f"EL:{9000 + curator}{len(done) + 1:02}"
            added = {(new, LABEL, f"new term {curator}-{len(done) + 1}"), (new, PARENT, "EL:Metalloids")}
        if (after := (graph - removed) | added) != graph:
            graph = after
            done.add((node, kind))
    return graph


def _edit(
    graph: Graph, kind: str, node: str, other: str, rng: np.random.Generator
) -> tuple[set[Triple], set[Triple]]:
    """Return the triples that one edit of a node removes and adds; none where it or the other is gone."""
    slots = _slots(graph)
    if (node, LABEL) not in slots or (other, LABEL) not in slots or other == node:
        return set(), set()
    word = str(rng.choice(["pure", "native", "elemental", "free"]))
    label = slots[node, LABEL][0]
    series, member = (
        str(rng.choice(sorted({tail for _, p, tail in graph if p == predicate})))
        for predicate in (PARENT, MEMBER)
    )

    def own(predicate: str) -> set[Triple]:
        return {(node, predicate, tail) for tail in slots.get((node, predicate), [])}

    edits: dict[str, tuple[set[Triple], set[Triple]]] = {
        "rename": (own(LABEL), {(node, LABEL, f"{word} {label}")}),
        "define": (own(DEFINITION), {(node, DEFINITION, f"The {word} substance that is called {label}")}),
        "obsolete": (set(), {(node, DEPRECATED, "true")}),
        "synonym": (set(), {(node, SYNONYM, f"{word} substance {node[-3:]}")}),
        "no synonym": (own(SYNONYM), set()),
        "move": (own(PARENT), {(node, PARENT, series)}),
        "class": (set(), {(node, MEMBER, member)}),
        "no class": (own(MEMBER), set()),
        "alloy": (set(), {(node, ALLOY, other)}),
        "delete": ({triple for triple in graph if node in (triple[0], triple[2])}, set()),
    }
    return edits.get(kind, (set(), set()))


def run(seeds: Sequence[int]) -> Scores:
    """Let two curators edit one ontology at once, and bring the first's work into the second's version."""
    scores = Scores()
    for regime in _REGIMES:
        found = [_trial(seed, regime) for seed in seeds]
        for metric, arms in found[0].items():
            values = {arm: torch.tensor([own[metric][arm] for own in found]) for arm in arms}
            scores.add(metric, values, regime)
    return scores


def _trial(seed: int, regime: str) -> dict[str, dict[str, float]]:
    """Return what one draw of two curators' edits gives, by metric and arm."""
    rng = np.random.default_rng((seed, 65, list(_REGIMES).index(regime)))
    size, mine, yours = _REGIMES[regime]
    base = elements()
    pool = [f"EL:{number:05}" for number in rng.permutation(118)[:size] + 1]
    half = size // 2 if regime == "apart" else size
    ours = _edited(base, pool[:half], mine, 1, rng)
    theirs = _edited(base, pool[-half:], yours, 2, rng)

    def joined(parts: Iterable[list[str]]) -> list[str]:
        return [line for part in parts for line in part]

    texts = [joined(stanzas(graph)) for graph in (base, ours, theirs)]
    apart = stanzas(theirs)
    shuffled = joined(apart[place] for place in rng.permutation(len(apart)))
    merged = {
        "text": read(merge_text(texts[0], texts[1], texts[2])[0]),
        "text, order changed": read(merge_text(texts[0], texts[1], shuffled)[0]),
        "triples": merge_triples(base, ours, theirs)[0],
        "commands": merge(base, ours, theirs)[0],
    }
    found = {
        "arrived": {arm: arrived(base, ours, theirs, graph) for arm, graph in merged.items()},
        "broken": {arm: float(broken(graph)) for arm, graph in merged.items()},
        "lines": {
            "text": float(sum(line[0] in "+-" for line in difflib.ndiff(texts[0], texts[1]))),
            "triples": float(len(base ^ ours)),
            "commands": float(len(diff(base, ours))),
        },
    }
    again = base
    for command in diff(base, ours):
        again = apply(again, parse(command))
    return found | {"round trip": {"commands": float(again == ours)}}


def arrived(base: Graph, ours: Graph, theirs: Graph, merged: Graph) -> float:
    """Return the share of what either side changed, by node and predicate, that stands in a merged graph.

    Where both changed the same differently, ours counts as not arrived whatever became of it.
    """
    was, own, other, now = (_slots(graph) for graph in (base, ours, theirs, merged))
    mine = [slot for slot in sorted(was | own) if was.get(slot) != own.get(slot)]
    yours = [slot for slot in sorted(was | other) if was.get(slot) != other.get(slot)]
    right = sum(now.get(slot) == own.get(slot) for slot in mine)
    right += sum(now.get(slot) == other.get(slot) for slot in yours)
    return right / (len(mine) + len(yours))
