"""Inference or memory: complete one graph with its entities' names as they are, exchanged, or taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench import sentences
from ktlabs.bench.facts import graph
from ktlabs.bench.nets import Grid
from ktlabs.bench.runner import Scores
from ktlabs.kg_and_llm.blp import text_scores, word_table
from ktlabs.kg_and_llm.links import Links, fold, hits, mrr, ranks, square, train

_ARMS = ("structure only", "random vectors", "permuted names", "names", "names, no pretraining")
#: Training triples of each regime, where not all that are left, steps, and the learning rate of each arm.
_REGIMES: dict[str, tuple[int | None, int, tuple[float, ...]]] = {
    "sparse": (500, 80, (0.3, 0.05, 0.05, 0.05, 0.3)),
    "full": (None, 200, (0.1, 0.1, 0.1, 0.1, 0.1)),
}
#: Triples left aside, on which the rates were chosen with other seeds.
_VALIDATION = 400


def virtual_world(texts: Tensor, rng: np.random.Generator) -> Tensor:
    r"""Give each entity the text of another, and leave the graph and all texts as they are.

    .. math:: \tau'(e) = \tau(\pi(e)), \qquad \pi(e) \neq e

    What a model has read about the texts no longer fits their links; what can be inferred from other links
    can be inferred as before.

    Parameters
    ----------
    texts : Tensor, shape (n, d)
        Texts or what is encoded of them, n > 1.
    rng : numpy.random.Generator
        Draws one of the cycles through all entities.

    References
    ----------
    plm-kgc, section 3.1 (virtual world), for entities alone.
    """
    order = torch.tensor(rng.permutation(len(texts)))
    given = torch.empty_like(order)
    given[order] = order.roll(1)
    return texts[given]


def anonymous(texts: Tensor, rng: np.random.Generator) -> Tensor:
    r"""Replace each text's vector by a random one, with the mean and the spread of all vectors as they were.

    .. math:: X = \bar{x} + U S V^\top \mapsto \bar{x} + Q S V^\top

    with Q random orthogonal columns of mean zero. Which entities are alike is then chance, while what a
    network gains from vectors that share a direction, or lie in few, stays.

    Parameters
    ----------
    texts : Tensor, shape (n, d)
    rng : numpy.random.Generator

    References
    ----------
    plm-kgc, section 3.2 (anonymized entities), where names become random strings.
    """
    mean = texts.mean(dim=0)
    _, values, right = torch.linalg.svd(texts - mean, full_matrices=False)
    count = min(len(texts) - 1, len(values))
    drawn = rng.standard_normal((len(texts), count))
    columns, upper = np.linalg.qr(drawn - drawn.mean(axis=0))
    found: Tensor = mean + torch.tensor(columns * np.sign(np.diag(upper))) * values[:count] @ right[:count]
    return found


def run(seeds: Sequence[int]) -> Scores:
    """Hold links out of the graph, and complete it from many or few others under each kind of text."""
    links = Links.of([triple for part in graph("umls").values() for triple in part])
    names = [name.replace("_", " ") for name in links.entities]
    truth = links.truth()
    encoded, (counts, _) = sentences.embed(names), word_table(names)
    of_seed = [_texts(encoded, counts, seed) for seed in seeds]
    parts = [fold(seed, len(links.triples)) for seed in seeds]
    metrics: dict[str, Callable[[Tensor], Tensor]] = {
        "MRR": mrr,
        "Hits@1": partial(hits, k=1),
        "Hits@10": partial(hits, k=10),
    }
    scores = Scores()
    for regime, (count, steps, rates) in _REGIMES.items():
        grid = Grid(seeds, {arm: [{"lr": rate}] for arm, rate in zip(_ARMS, rates, strict=True)})
        text = torch.cat([torch.stack([own[arm] for own in of_seed]) for arm in grid.arms])
        params = train(
            grid,
            partial(text_scores, text=text),
            [links.queries(links.triples[rest[_VALIDATION:][:count]]) for _, rest in parts],
            torch.ones(len(seeds), len(names), dtype=torch.bool),
            relations=2 * links.relations,
            steps=steps,
        )
        found = []
        for s, (test, _) in enumerate(parts):
            own = {name: value[s :: len(seeds)] for name, value in params.items()}
            asked = links.queries(links.triples[test])
            found.append(ranks(text_scores(own, asked, text[s :: len(seeds)]), asked, truth))
        tested = torch.stack(found, dim=1)  # (arms, S, n)
        for name, metric in metrics.items():
            scores.add(name, dict(zip(_ARMS, metric(tested), strict=True)), regime)
    return scores


def _texts(encoded: Tensor, counts: Tensor, seed: int) -> dict[str, Tensor]:
    """Return what each arm has of the entities, with as many columns in each."""
    rng = np.random.default_rng((seed, 35))
    return {
        "structure only": torch.eye(len(encoded)),
        "random vectors": square(anonymous(encoded, rng)),
        "permuted names": square(virtual_world(encoded, rng)),
        "names": square(encoded),
        "names, no pretraining": square(counts),
    }
