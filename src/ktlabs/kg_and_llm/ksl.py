"""Knowledge Solver: let a model without training walk a graph edge by edge, instead of retrieving facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.facts import Country, countries
from ktlabs.bench.runner import Scores
from ktlabs.bench.sentences import embed

#: An edge that leaves a node: relation and where it leads.
Edge = tuple[str, str]
Graph = dict[str, list[Edge]]
_LIMIT, _WORLD = 4, 5
#: How a relation is called in a path, and how in a sentence.
_NAMES = {"capital": "country with the capital", "twin": "twin town", "flights": "town with flights from"}
_NAMES |= {"currency": "currency", "demonym": "people", "trade": "main trading partner"}
_SENTENCES = {
    "capital": "{} is the capital of {}.",
    "twin": "{} is twinned with {}.",
    "flights": "{} has flights to {}.",
    "currency": "{} has the currency {}.",
    "demonym": "The people of {} are called {}.",
    "trade": "{} trades most with {}.",
}
_ASKED = {"currency": "What is the currency", "demonym": "What are the people called"}
_SHAPES: dict[tuple[str, ...], tuple[str, str]] = {
    ("capital",): (" of the country whose capital is {}?", " in the country governed from {}?"),
    ("twin", "capital"): (
        " of the country whose capital is twinned with {}?",
        " in the country governed from the twin town of {}?",
    ),
    ("capital", "trade"): (
        " of the country that trades most with the country whose capital is {}?",
        " in the main trading partner of the country governed from {}?",
    ),
}


@dataclass(frozen=True)
class Question:
    """A question, the node it names, the relations that lead to its answer, and the answers offered."""

    text: str
    start: str
    path: tuple[str, ...]
    answer: str
    options: tuple[str, ...]


def search(
    start: str,
    graph: Graph,
    choose: Callable[[tuple[str, ...], list[Edge]], int | None],
    options: Sequence[str] = (),
    limit: int = _LIMIT,
) -> list[Edge]:
    r"""Walk the graph from the question's entity: choose an edge, follow it, until an answer is reached.

    .. math:: (r_{i+1}, v_{i+1}) = \mathrm{choose}(r_{1:i}, \mathcal{N}(v_i)), \quad
       \text{stop when } v_{i+1} \in A

    A node is never entered twice, so the walk can't go round in circles; it also ends where no edge is left.

    Parameters
    ----------
    start : str
        A node.
    graph : dict of str to list of (relation, node)
    choose : callable
        From the relations walked so far and the edges offered to the place of one, or to None to stop here.
    options : sequence of str, optional
        The answers offered, A.
    limit : int, optional
        The most edges that are followed.

    Returns
    -------
    list of (relation, node)
        The way, which is also the explanation; its last node is the answer if it is an option.

    References
    ----------
    ksl, abstract and introduction (the model chooses among neighbouring entities until it reaches an answer).
    """
    walked: list[Edge] = []
    while len(walked) < limit and (not walked or walked[-1][1] not in options):
        here = walked[-1][1] if walked else start
        offered = [e for e in graph.get(here, []) if e[1] != start and e[1] not in {v for _, v in walked}]
        chosen = choose(tuple(r for r, _ in walked), offered) if offered else None
        if chosen is None:
            break
        walked.append(offered[chosen])
    return walked


def phrase(relations: Sequence[str]) -> str:
    """Return a way through the graph in words, the last relation first, with no entity in it."""
    return "the " + " of the ".join(_NAMES[r] for r in reversed(relations)) + " in question"


def likest(
    asked: Tensor, vector: Callable[[str], Tensor], *, memory: bool = True, own_stop: bool = False
) -> Callable[[tuple[str, ...], list[Edge]], int | None]:
    """Return a choice for `search`: the edge with which the way, in words, is most like the question.

    Parameters
    ----------
    asked : Tensor, shape (d,)
        The question's embedding, of length 1.
    vector : callable
        From words to their embedding, shape (d,).
    memory : bool, optional
        Whether the way so far is part of the words, or the next relation alone.
    own_stop : bool, optional
        Stop, knowing no options, where no edge makes the way more like the question than it is.
    """

    def choose(walked: tuple[str, ...], offered: list[Edge]) -> int | None:
        before = walked if memory else ()
        found = [float(asked @ vector(phrase((*before, r)))) for r, _ in offered]
        if own_stop and walked and max(found) <= float(asked @ vector(phrase(walked))):
            return None
        return int(np.argmax(found))

    return choose


def run(seeds: Sequence[int]) -> Scores:
    """Ask about chains of facts, with all of the graph and with half of the answering facts missing."""
    worlds = [_world(seed) for seed in seeds]
    pool = _Vectors()
    pool.add([question.text for _, questions in worlds for question in questions])
    pool.add([triple[0] for graph, _ in worlds for triple in _triples(graph)])
    pool.add([option for _, questions in worlds for question in questions for option in question.options])
    pool.add([phrase(path) for path in _paths()])
    found: dict[tuple[str, str, str], list[float]] = {}
    for seed, (graph, questions) in zip(seeds, worlds, strict=True):
        rng = np.random.default_rng((seed, 52))
        lost = {v for v in sorted({o for q in questions for o in q.options}) if rng.random() < 0.5}
        gaps = {node: [e for e in edges if e[1] not in lost] for node, edges in graph.items()}
        for regime, own in (("whole", graph), ("gaps", gaps)):
            for arm, answers in _answers(own, questions, pool, rng, whole=regime == "whole").items():
                right = [a[-1:] == [q.answer] for a, q in zip(answers, questions, strict=True)]
                found.setdefault((regime, "accuracy", arm), []).append(float(np.mean(right)))
                read = float(np.mean([len(a) - 1 for a in answers]))
                found.setdefault((regime, "facts read", arm), []).append(read)
    scores = Scores()
    for (regime, metric, arm), values in found.items():
        scores.add(metric, {arm: torch.tensor(values)}, regime)
    return scores


class _Vectors:
    """Embeddings by their words."""

    def __init__(self) -> None:
        self._known: dict[str, Tensor] = {}

    def add(self, texts: Sequence[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known |= dict(zip(new, embed(new), strict=True))

    def __call__(self, text: str) -> Tensor:
        return self._known[text]


def _answers(
    graph: Graph, questions: Sequence[Question], pool: _Vectors, rng: np.random.Generator, *, whole: bool
) -> dict[str, list[list[str]]]:
    """Return, by arm, what is read for each question: a node a fact, and the answer given last."""

    def guess(question: Question) -> str:
        return max(question.options, key=lambda option: float(pool(question.text) @ pool(option)))

    def walked(question: Question, choose: Callable[..., int | None], *, blind: bool = False) -> list[str]:
        way = [node for _, node in search(question.start, graph, choose, () if blind else question.options)]
        reached = [node for node in way if node in question.options or blind][-1:]
        return [*way, *(reached or [guess(question)])]

    arms = {
        "no graph": [[guess(q)] for q in questions],
        "random walk": [walked(q, lambda _, offered: int(rng.integers(len(offered)))) for q in questions],
        "KSL": [walked(q, likest(pool(q.text), pool)) for q in questions],
        "KSL without memory": [walked(q, likest(pool(q.text), pool, memory=False)) for q in questions],
        "KSL, own stop": [
            walked(q, likest(pool(q.text), pool, own_stop=True), blind=True) for q in questions
        ],
        "one-shot retrieval": [_retrieved(q, graph, pool, guess(q), rounds=1) for q in questions],
    }
    if whole:
        for arm, linked in (("iterative retrieval", False), ("iterative retrieval, linked facts", True)):
            arms[arm] = [
                _retrieved(q, graph, pool, guess(q), rounds=_LIMIT, linked=linked) for q in questions
            ]
    return arms


def _retrieved(
    question: Question, graph: Graph, pool: _Vectors, guess: str, *, rounds: int, linked: bool = False
) -> list[str]:
    """Read the facts most like the question, and after each round like the question and what was read.

    Linked facts are those about the question's entity or an entity that was read.
    """
    triples, read, query = _triples(graph), list[str](), question.text
    for _ in range(rounds):
        pool.add([query])
        able = [t for t in triples if not linked or t[1] in (question.start, *read)]
        able.sort(key=lambda triple: -float(pool(query) @ pool(triple[0])))
        for triple in able[: _LIMIT // rounds]:
            triples.remove(triple)
            read.append(triple[2])
            query += " " + triple[0]
            if read[-1] in question.options:
                return [*read, read[-1]]
    return [*read, guess]


def _triples(graph: Graph) -> list[tuple[str, str, str]]:
    """Return every fact as a sentence, with the nodes that it leads from and to."""
    return [
        (_SENTENCES[relation].format(head, tail), head, tail)
        for head, edges in graph.items()
        for relation, tail in edges
    ]


def _paths() -> list[tuple[str, ...]]:
    """Return all ways that a walk can take, as relations, and every relation alone."""
    town, country = ("capital", "twin", "flights"), ("currency", "demonym", "trade")
    follow = {"twin": town, "flights": town, "capital": country, "trade": country}
    found: list[tuple[str, ...]] = [(relation,) for relation in town]
    for path in found:
        if len(path) < _LIMIT:
            found += [(*path, relation) for relation in follow.get(path[-1], ())]
    return [*found, *((relation,) for relation in country)]


def _places(seed: int) -> list[Country]:
    """Return a seed's countries: no other seed of the three sets in use has any of them."""
    rng = np.random.default_rng(52)
    able = [c for c in countries() if not c.tells and c.currencies and c.demonym]
    taken: dict[str, list[Country]] = {}
    for place in rng.permutation(len(able)):
        own = taken.setdefault(able[place].currencies[0], [])
        if len(own) < 24:  # so that no two of a world share a currency
            own.append(able[place])
    dealt = [country for own in taken.values() for country in own]
    return dealt[8 * (seed // 100 % 3) + seed % 8 :: 24][:_WORLD]


def _world(seed: int) -> tuple[Graph, list[Question]]:
    """Return true facts about a few countries, with links between them that are drawn, and questions."""
    own = _places(seed)
    rng = np.random.default_rng((seed, 51))
    order = [own[place] for place in rng.permutation(len(own))]
    graph: Graph = {}
    for i, country in enumerate(order):  # the three links of a country lead to three others
        twin, flights, trade = (order[(i + step) % len(order)] for step in (1, 2, 3))
        graph[country.capital] = [
            ("capital", country.name),
            ("twin", twin.capital),
            ("flights", flights.capital),
        ]
        graph[country.name] = [
            ("currency", country.currencies[0]),
            ("demonym", country.demonym),
            ("trade", trade.name),
        ]
    questions = []
    for country in own:
        for shape, wordings in _SHAPES.items():
            asked = ("currency", "demonym")[int(rng.integers(2))]
            path, node = (*shape, asked), country.capital
            for relation in path:
                node = dict(graph[node])[relation]
            text = _ASKED[asked] + wordings[int(rng.integers(2))].format(country.capital)
            options = tuple(dict(graph[other.name])[asked] for other in own)
            questions.append(Question(text, country.capital, path, node, options))
    return graph, questions
