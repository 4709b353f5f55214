"""Link prediction that several labs share: queries, a scorer on encoded texts, filtered ranks.

A triple (head, relation, tail) asks two queries: the tail of a head, and the head of a tail under the
relation's inverse, which has a vector of its own. Entities and relations are numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from ktlabs.bench.data import batches
from ktlabs.bench.facts import Triple
from ktlabs.bench.nets import Grid, Params, fit

#: Length of the vectors of entities and relations, and queries in a batch.
_WIDTH, _BATCH = 32, 96


@dataclass(frozen=True)
class Links:
    """A graph as numbers.

    Attributes
    ----------
    entities : list of str
        In alphabetical order.
    triples : Tensor, shape (n, 3)
        Head, relation, tail.
    relations : int
        How many relations there are; the inverse of relation r is r + relations.
    """

    entities: list[str]
    triples: Tensor
    relations: int

    @classmethod
    def of(cls, triples: Sequence[Triple]) -> Links:
        """Return a graph with its entities and relations numbered, each in alphabetical order."""
        entities = sorted({end for head, _, tail in triples for end in (head, tail)})
        kinds = sorted({relation for _, relation, _ in triples})
        place = {name: n for n, name in enumerate(entities)}
        kind = {name: n for n, name in enumerate(kinds)}
        rows = [(place[head], kind[relation], place[tail]) for head, relation, tail in triples]
        return cls(entities, torch.tensor(rows), len(kinds))

    def queries(self, triples: Tensor) -> Tensor:
        """Return both queries of each triple, shape (2 n, 3): known end, relation, answer."""
        head, relation, tail = triples.T
        inverse = torch.stack([tail, relation + self.relations, head], dim=1)
        return torch.cat([triples, inverse])

    def truth(self) -> Tensor:
        """Return which answers are true, shape (2 relations, entities, entities), by relation and end."""
        known, relation, answer = self.queries(self.triples).T
        found = torch.zeros(2 * self.relations, len(self.entities), len(self.entities), dtype=torch.bool)
        found[relation, known, answer] = True
        return found


def square(*features: Tensor) -> Tensor:
    r"""Put features side by side and return as many columns as rows, with the same inner products of rows.

    .. math:: X = U S V^\top \mapsto U S U^\top

    A linear layer on the one can do what it can on the other, so features of any width get equally many
    weights; vectors that are all orthogonal become columns of their own, as in an embedding table.

    Parameters
    ----------
    *features : Tensor, shape (n, d)
        Rows are scaled to length 1.
    """
    scaled = [nnf.normalize(own, dim=-1) for own in features]
    left, values, _ = torch.linalg.svd(torch.cat(scaled, dim=-1), full_matrices=False)
    found: Tensor = (left * values) @ left.T
    return found


def distmult(known: Tensor, relations: Tensor, candidates: Tensor) -> Tensor:
    r"""Return the scores of all candidates for each query.

    .. math:: s(h, r, t) = \sum_i h_i r_i t_i

    Parameters
    ----------
    known, relations : Tensor, shape (..., n, d)
        Vectors of each query's known end and relation.
    candidates : Tensor, shape (..., m, d)

    Returns
    -------
    Tensor, shape (..., n, m)

    References
    ----------
    B. Yang et al., Embedding Entities and Relations for Learning and Inference in Knowledge Bases (2015),
    section 3.
    """
    return (known * relations) @ candidates.transpose(-1, -2)


def filtered_ranks(scores: Tensor, answers: Tensor, true: Tensor) -> Tensor:
    r"""Return the rank of each query's answer among the candidates that are not true as well.

    .. math:: \rho = 1 + |\{e : s_e > s_t\}| + \tfrac12 |\{e : s_e = s_t\}|

    Those of equal score count one half, so a scorer that tells nothing apart ranks in the middle.

    Parameters
    ----------
    scores : Tensor, shape (..., n, m)
    answers : Tensor, shape (n,)
        The candidate asked for.
    true : Tensor, shape (n, m)
        Which candidates answer the query truly: all but the one asked for are left out.

    Returns
    -------
    Tensor, shape (..., n)
    """
    own = scores.gather(-1, answers[:, None].expand(*scores.shape[:-1], 1))
    others = ~true.scatter(-1, answers[:, None], True)
    above, equal = ((scores > own) & others).sum(dim=-1), ((scores == own) & others).sum(dim=-1)
    return 1 + above + 0.5 * equal


def mrr(ranks: Tensor) -> Tensor:
    """Return the mean reciprocal rank over the last dimension."""
    return ranks.reciprocal().mean(dim=-1)


def hits(ranks: Tensor, k: int) -> Tensor:
    """Return the share of ranks up to k over the last dimension."""
    return (ranks <= k).to(torch.get_default_dtype()).mean(dim=-1)


def fold(seed: int, count: int, parts: int = 8) -> tuple[Tensor, Tensor]:
    """Draw a seed's own part of `count` things, and all others, shuffled.

    The parts of eight seeds in a row, the first divisible by 8, share nothing; each further eight deal
    afresh.
    """
    block, place = divmod(seed, parts)
    order = np.random.default_rng((block, 31)).permutation(count)
    held = order[place * (count // parts) : (place + 1) * (count // parts)]
    rest = np.random.default_rng((seed, 32)).permutation(np.setdiff1d(order, held))
    return torch.tensor(held), torch.tensor(rest)


#: Scores (P, b, entities) of all answers to each row's queries, its own (P, b, 3) or common ones (b, 3).
Scorer = Callable[[Params, Tensor], Tensor]


def train(
    grid: Grid,
    scores: Scorer,
    queries: Sequence[Tensor],
    candidates: Tensor,
    *,
    relations: int,
    steps: int,
) -> Params:
    """Train a linear layer on entities' features, and vectors of relations, to give the true answer.

    The loss of a query is the cross-entropy of its answer among the candidates. The grid tunes ``lr``.

    Parameters
    ----------
    grid : Grid
    scores : callable
        From parameters and queries to the scores of all entities.
    queries : sequence of Tensor
        Those that each seed trains on, shape (q, 3).
    candidates : Tensor, shape (S, n)
        Which entities each seed trains on; there are as many features as entities.
    relations : int
        With inverses.
    steps : int
        Batches of 96 queries.

    Returns
    -------
    dict of str to Tensor
        ``layer`` (P, n, 32) and ``relations`` (P, relations, 32).
    """
    seeds = grid.seeds
    drawn = [own[batches([seed], len(own), _BATCH, steps)] for seed, own in zip(seeds, queries, strict=True)]
    order = torch.cat(drawn, dim=1)
    start = [np.random.default_rng((seed, 33)) for seed in seeds]
    layer = [rng.standard_normal((candidates.shape[1], _WIDTH)) for rng in start]
    vectors = [rng.standard_normal((relations, _WIDTH)) for rng in start]
    begin = {
        "layer": torch.tensor(np.stack(layer)) * 0.25,
        "relations": torch.tensor(np.stack(vectors)) * 0.5,
    }
    closed = grid.spread(torch.where(candidates, 0.0, -1e9))[:, None]

    def loss(params: Params, step: int) -> Tensor:
        asked = grid.spread(order[step])
        found = (scores(params, asked) + closed).flatten(0, 1)
        missed = nnf.cross_entropy(found, asked[..., 2].flatten(), reduction="none")
        return missed.reshape(asked.shape[:2]).mean(dim=-1)

    return fit(grid.population(begin), loss, steps=steps, lr=grid["lr"])


def ranks(scores: Tensor, queries: Tensor, truth: Tensor) -> Tensor:
    """Return the filtered ranks of the answers to queries (n, 3), shape (..., n), from their scores.

    Parameters
    ----------
    scores : Tensor, shape (..., n, entities)
    queries : Tensor, shape (n, 3)
    truth : Tensor
        As `Links.truth` gives it.
    """
    known, relation, answer = queries.T
    return filtered_ranks(scores, answer, truth[relation, known])
