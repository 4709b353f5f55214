"""Entities from text: rank entities that training never saw by a scorer on what their names encode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench import sentences
from ktlabs.bench.facts import graph
from ktlabs.bench.nets import Grid, Params
from ktlabs.bench.runner import Scores
from ktlabs.kg_and_llm.links import Links, distmult, fold, hits, mrr, ranks, square, train

#: Entities kept from training to choose settings on; a seed's test has 16 others.
_VALIDATION, _STEPS = 14, 100
_SETTINGS = [{"lr": rate} for rate in (0.05, 0.1)]
_ARMS = ("words alone", "bag of words", "encoder alone", "encoder", "encoder, permuted")


def inductive(triples: Tensor, unseen: Tensor, seen: Tensor) -> Tensor:
    """Return the queries whose known end is a seen entity and whose answer an unseen one.

    Parameters
    ----------
    triples : Tensor, shape (n, 3)
        Known end, relation, answer.
    unseen, seen : Tensor, shape (entities,)
        Masks.
    """
    return triples[seen[triples[:, 0]] & unseen[triples[:, 2]]]


def text_scores(params: Params, queries: Tensor, text: Tensor) -> Tensor:
    r"""Score all entities as answers, each by what its text encodes, so that none needs to have been seen.

    .. math:: e_\tau = W \, \mathrm{enc}(\tau), \qquad s(h, r, t) = \sum_i e_{h,i} \, r_i \, e_{t,i}

    Parameters
    ----------
    params : dict of str to Tensor
        ``layer``, shape (P, d, k), and ``relations``, shape (P, R, k).
    queries : Tensor, shape (P, b, 3) or (b, 3)
        Known end, relation and, not read, the answer.
    text : Tensor, shape (P, n, d)
        What is encoded of each of n entities.

    Returns
    -------
    Tensor, shape (P, b, n)

    References
    ----------
    blp, section 3.1, and its official code, ``models.py``: a linear layer without bias, and DistMult.
    """
    rows = torch.arange(len(text))[:, None]
    entities = text @ params["layer"]
    known = entities[rows, queries[..., 0]]
    return distmult(known, params["relations"][rows, queries[..., 1]], entities)


def word_table(names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return which word pieces each name has, shape (n, pieces), and the encoder's vectors of these pieces.

    A linear layer on the first is a table of words that is trained from nothing; the mean vector of a name's
    words, apart from any context, is the first times the second.
    """
    encoder = sentences.encoder()
    tokens = [own[1:-1] for own in encoder.tokens(names)]
    pieces = sorted({piece for own in tokens for piece in own})
    counts = torch.tensor([[float(own.count(piece)) for piece in pieces] for own in tokens])
    return counts, encoder.weights["embeddings.word_embeddings.weight"][pieces]


def run(seeds: Sequence[int]) -> Scores:
    """Train on links among seen entities; rank unseen ones for queries from seen ones."""
    links = Links.of([triple for part in graph("umls").values() for triple in part])
    names = [name.replace("_", " ") for name in links.entities]
    truth = links.truth()
    grid = Grid(seeds, dict.fromkeys(_ARMS, _SETTINGS))
    of_seed = [_features(names, seed) for seed in seeds]
    text = torch.cat([torch.stack([own[arm] for own in of_seed]) for arm, _ in grid.settings])
    parts, seen = _parts(links.queries(links.triples), len(names), seeds)
    params = train(
        grid,
        partial(text_scores, text=text),
        parts["train"],
        seen,
        relations=2 * links.relations,
        steps=_STEPS,
    )

    def ranked(part: str, places: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Return the ranks of a part's answers, (settings, n) a seed; `places`: whose text each has."""
        found = []
        for s in range(len(seeds)):
            own = {name: value[s :: len(seeds)] for name, value in params.items()}
            given = text[s :: len(seeds)] if places is None else text[s :: len(seeds), places[s]]
            asked = parts[part][s]
            found.append(ranks(text_scores(own, asked, given), asked, truth))
        return found

    def score(found: list[Tensor], metric: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.stack([metric(own) for own in found], dim=1).flatten()

    chosen = grid.choose(score(ranked("validation"), mrr))
    tested, swapped = ranked("test"), ranked("test", [_swap(seed, len(names)) for seed in seeds])
    scores = Scores()
    metrics: dict[str, Callable[[Tensor], Tensor]] = {
        "MRR": mrr,
        "Hits@1": partial(hits, k=1),
        "Hits@10": partial(hits, k=10),
    }
    for name, metric in metrics.items():
        arms = grid.of(score(tested, metric), chosen)
        other = grid.of(score(swapped, metric), chosen)["encoder"]
        scores.add(name, arms | {"encoder, other names": other})
    return scores


def _features(names: Sequence[str], seed: int) -> dict[str, Tensor]:
    """Return what each arm knows of the entities."""
    counts, vectors = word_table(names)
    encoded = sentences.embed(names)
    mixed = torch.tensor(np.random.default_rng((seed, 34)).permutation(len(names)))
    return {
        "words alone": square(counts),
        "bag of words": square(counts @ vectors, counts),
        "encoder alone": square(encoded),
        "encoder": square(encoded, counts),
        "encoder, permuted": square(encoded[mixed], counts),
    }


def _parts(asked: Tensor, entities: int, seeds: Sequence[int]) -> tuple[dict[str, list[Tensor]], Tensor]:
    """Return each seed's queries and, as masks (S, entities), the entities that it trains on."""
    parts: dict[str, list[Tensor]] = {"train": [], "validation": [], "test": []}
    masks = []
    for seed in seeds:
        test, rest = fold(seed, entities)
        held = {"validation": rest[:_VALIDATION], "test": test, "train": rest[_VALIDATION:]}
        member = {
            name: torch.zeros(entities, dtype=torch.bool).index_fill(0, own, True)
            for name, own in held.items()
        }
        for name, own in parts.items():
            own.append(inductive(asked, member[name], member["train"]))
        masks.append(member["train"])
    return parts, torch.stack(masks)


def _swap(seed: int, entities: int) -> Tensor:
    """Return whose text each entity gets if the unseen ones of the test exchange theirs in a circle."""
    places = torch.arange(entities)
    test, _ = fold(seed, entities)
    places[test] = test.roll(1)
    return places
