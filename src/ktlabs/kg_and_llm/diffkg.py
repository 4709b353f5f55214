"""Diffusion over a knowledge graph, guided by who rated what: which edges help to recommend films."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from ktlabs.bench.data import batches, pick
from ktlabs.bench.facts import ratings
from ktlabs.bench.nets import Grid, Params, Population, fit
from ktlabs.bench.runner import Scores
from ktlabs.kg_and_llm.links import fold

_FILMS, _WIDTH, _STEPS, _BATCH, _TIME = 400, 32, 100, 100, 10
#: Share of the collaborative loss, chosen on other seeds.
_GUIDE = 0.98
#: Variance of all noise up to each of the five steps, as in the official code.
_NOISE = torch.linspace(1e-5, 2e-3, 5, dtype=torch.float64)
_SHARES, _WEIGHTS = (0.4, 0.6, 0.8), (0.3, 0.6, 1.2)
_SOURCES = ("random drop", "SVD", "guidance alone", "diffusion", "guided diffusion")


def diffuse(x: Tensor, noise: Tensor, variance: Tensor) -> Tensor:
    r"""Return rows of a graph with the noise of a step.

    .. math:: x_t = \sqrt{\bar\alpha_t} \, x_0 + \sqrt{1 - \bar\alpha_t} \, \epsilon

    Parameters
    ----------
    x, noise : Tensor, shape (..., n, E)
    variance : Tensor, shape (..., n)
        :math:`1 - \bar\alpha_t`, from 0 to 1.

    References
    ----------
    diffkg, section 3.2 (knowledge graph diffusion).
    """
    own = variance[..., None]
    return (1 - own).sqrt() * x + own.sqrt() * noise


def reverse(x: Tensor, predict: Callable[[Tensor, int], Tensor], variances: Tensor) -> Tensor:
    r"""Walk from the last step to the first along the means that a denoiser predicts.

    .. math:: x_{t-1} = \frac{\sqrt{\bar\alpha_{t-1}} \, \beta_t \, \hat{x}_0
        + \sqrt{\alpha_t} \, (1 - \bar\alpha_{t-1}) \, x_t}{1 - \bar\alpha_t}

    Parameters
    ----------
    x : Tensor, shape (..., n, E)
        The graph itself: as in the official code, no noise is added before the walk.
    predict : callable
        From rows and step to what it takes to be the rows without noise.
    variances : Tensor, shape (T,)
        :math:`1 - \bar\alpha_t`, rising.

    References
    ----------
    diffkg, section 3.2, and its official code, ``Model.py``, ``p_sample``.
    """
    kept = 1 - variances
    for step in reversed(range(len(variances))):
        before = kept[step - 1] if step else torch.ones(())
        now = kept[step] / before
        clean, noisy = before.sqrt() * (1 - now), now.sqrt() * (1 - before)
        x = (clean * predict(x, step) + noisy * x) / (1 - kept[step])
    return x


def collaborative(predicted: Tensor, entities: Tensor, films: Tensor) -> Tensor:
    r"""Return how far films rebuilt from their predicted edges are from what their raters say of them.

    .. math:: \mathcal{L}_{\text{ckgc}} = \lVert \hat{x}_0 E - I \rVert^2

    Parameters
    ----------
    predicted : Tensor, shape (..., n, E)
    entities, films : Tensor, shape (..., E, d) and (..., n, d)
        Vectors that users' ratings give to entities, through the films they are linked with, and to films.

    Returns
    -------
    Tensor, shape (...)

    References
    ----------
    diffkg, section 3.2 (collaborative knowledge graph convolution), with entities in the place of films.
    """
    return (predicted @ entities - films).square().mean(dim=(-2, -1))


def keep_best(graph: Tensor, scores: Tensor, share: float) -> Tensor:
    """Keep of each film's edges the share, rounded and not 0, with the highest scores; none is added.

    Of scores equal to eight digits after the point the earlier edge ranks first, lest rounding decide.

    Parameters
    ----------
    graph : Tensor, shape (..., n, E)
        0 or 1.
    scores : Tensor, shape (..., n, E)
    share : float
        From 0 to 1.

    References
    ----------
    diffkg, official code, ``Main.py``: rebuilt edges that the graph does not have are passed over.
    """
    ordered = (scores * 1e8).round()
    place = ordered.masked_fill(graph == 0, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    rank = place.argsort(dim=-1)
    number = (share * graph.sum(dim=-1, keepdim=True)).round().clamp(min=1)
    return graph * (rank < number)


def recommend(rated: Tensor, graph: Tensor, weight: float | Tensor) -> Tensor:
    r"""Score films for users by how alike they are to those that a user liked.

    .. math:: R \, (\cos(R^\top, R^\top) + w \cos(A, A)) \, \mathrm{diag}(R^\top 1)^{1/2}

    Columns of the graph are weighted by how few films have them, and films by how many users liked them.

    Parameters
    ----------
    rated : Tensor, shape (..., U, n)
    graph : Tensor, shape (..., n, E)
    weight : float or Tensor, shape (..., 1, 1)

    Returns
    -------
    Tensor, shape (..., U, n)
    """
    rare = (1 + graph.shape[-2] / (1 + graph.sum(dim=-2, keepdim=True))).log()

    def alike(rows: Tensor) -> Tensor:
        unit = nnf.normalize(rows, dim=-1)
        found = unit @ unit.transpose(-1, -2)
        return found - torch.diag_embed(found.diagonal(dim1=-2, dim2=-1))

    popular = rated.sum(dim=-2, keepdim=True).sqrt()
    return rated @ (alike(rated.transpose(-1, -2)) + weight * alike(graph * rare)) * popular


def recall(scores: Tensor, seen: Tensor, wanted: Tensor, k: int = 20) -> Tensor:
    """Return the share of wanted films among the first k that a user has not seen, mean over users.

    Users that want nothing are left out. Scores equal to eight digits rank the earlier film first.

    Parameters
    ----------
    scores, seen, wanted : Tensor, shape (..., U, n)
    """
    number = scores.shape[-1]
    ordered = (scores * 1e8).round() - torch.arange(number) / (2 * number)
    places = ordered.masked_fill(seen > 0, -torch.inf).topk(k, dim=-1).indices
    count = wanted.sum(dim=-1)
    found = wanted.expand(scores.shape).gather(-1, places).sum(dim=-1) / count.clamp(min=1)
    return found.sum(dim=-1) / (count > 0).sum(dim=-1)


@cache
def _tables() -> tuple[Tensor, Tensor]:
    """Return who liked what, shape (671, films), and what each film is linked with, shape (films, E)."""
    rows = ratings()
    films = rows.drop_duplicates("movieId").sort_values("movieId").dropna(subset=["year"])
    place = {film: n for n, film in enumerate(films["movieId"])}
    liked = rows[(rows["rating"] >= 4) & rows["movieId"].isin(place)]
    users = {user: n for n, user in enumerate(sorted(rows["userId"].unique()))}
    matrix = torch.zeros(len(users), len(place))
    matrix[[users[own] for own in liked["userId"]], [place[own] for own in liked["movieId"]]] = 1.0
    links = [
        [*(g for g in genres.split("|") if g[0] != "("), str(int(year))]
        for genres, year in zip(films["genres"], films["year"], strict=True)
    ]
    names = {name: n for n, name in enumerate(sorted({name for own in links for name in own}))}
    graph = torch.zeros(len(place), len(names))
    for film, own in enumerate(links):
        graph[film, [names[name] for name in own]] = 1.0
    return matrix, graph


def _draw(seed: int) -> dict[str, Tensor]:
    """Return a seed's own users and the films they like most, parts of what they like, and the graph."""
    liked, graph = _tables()
    users, _ = fold(seed, len(liked))
    own = liked[users]
    films = own.sum(dim=0).argsort(descending=True, stable=True)[:_FILMS]
    own, graph = own[:, films], graph[films]
    rng = np.random.default_rng((seed, 37))
    chance = torch.tensor(rng.random(tuple(own.shape)))
    parts = {"train": chance < 0.5, "validation": (chance >= 0.5) & (chance < 0.7), "test": chance >= 0.7}
    wrong = torch.stack([column[torch.tensor(rng.permutation(_FILMS))] for column in graph.T], dim=1)
    return {name: own * part for name, part in parts.items()} | {
        "clean": graph,
        "noisy": torch.maximum(graph, wrong),
        "coins": torch.tensor(rng.random(tuple(graph.shape))),
    }


class Denoiser(nn.Module):
    """Predict a film's edges without noise from its noisy ones and the step."""

    def __init__(self, entities: int) -> None:
        super().__init__()
        self.time = nn.Linear(_TIME, _TIME)
        self.before, self.after = nn.Linear(entities + _TIME, _WIDTH), nn.Linear(_WIDTH, entities)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Return rows (n, E) from rows (n, E), scaled to length 1, and encoded steps (n, 10)."""
        hidden: Tensor = self.before(torch.cat([x, self.time(time)], dim=-1)).tanh()
        found: Tensor = self.after(hidden)
        return found


def run(seeds: Sequence[int]) -> Scores:
    """Prune the graph in five ways, and recommend with each."""
    drawn = [_draw(seed) for seed in seeds]
    own = {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
    scores = Scores()
    for regime in ("noisy", "clean"):
        graph = own[regime]
        sources = dict(zip(_SOURCES, _scores(seeds, graph, own), strict=True))
        whole = np.geomspace(0.1, 3, len(_SHARES) * len(_WEIGHTS))
        arms = {"no graph": [{"weight": 0.0}], "whole graph": [{"weight": weight} for weight in whole]}
        pruned = [{"share": share, "weight": weight} for share in _SHARES for weight in _WEIGHTS]
        arms |= dict.fromkeys(_SOURCES, pruned)
        grid = Grid(seeds, arms, untuned=["no graph"])
        tried = [(graph, (0.0, *whole))]
        tried += [
            (keep_best(graph, values, share), _WEIGHTS) for values in sources.values() for share in _SHARES
        ]
        found = torch.cat([recommend(own["train"], kept, _column(weights)) for kept, weights in tried])
        seen = own["train"] + own["validation"]
        chosen = grid.choose(recall(found, own["train"], own["validation"]).flatten())
        tested = recall(found, seen, own["test"]).flatten()
        popular = own["train"].sum(dim=1, keepdim=True).expand_as(seen)
        by_arm = grid.of(tested, chosen) | {"popular films": recall(popular, seen, own["test"])}
        scores.add("recall@20", by_arm, regime)
        if regime == "noisy":
            halves = {source: keep_best(graph, values, 0.5) for source, values in sources.items()}
            true = {
                name: (own["clean"] * half).sum((1, 2)) / half.sum((1, 2)) for name, half in halves.items()
            }
            scores.add("true edges", true, regime)
    return scores


def _column(weights: Sequence[float]) -> Tensor:
    """Return weights of the graph as the first of four dimensions."""
    return torch.tensor(weights, dtype=torch.get_default_dtype()).reshape(-1, 1, 1, 1)


def _scores(seeds: Sequence[int], graph: Tensor, own: dict[str, Tensor]) -> list[Tensor]:
    """Return how each source in turn rates the edges of the films, shape (S, n, E)."""
    left, values, right = torch.linalg.svd(graph, full_matrices=False)
    low = left[..., :8] * values[:, None, :8] @ right[:, :8]
    users, strength, films = torch.linalg.svd(own["train"], full_matrices=False)
    films = films[:, :16].transpose(1, 2) * strength[:, None, :16].sqrt()
    films = films.round(decimals=9)  # one that no direction kept reaches would point where rounding does
    users = users[..., :16] * strength[:, None, :16].sqrt()
    # An entity's vector is that of the users who like its films; the scale is that which fits films best.
    entities = (own["train"] @ graph).transpose(1, 2) @ users
    rebuilt = nnf.normalize(graph, dim=-1) @ entities
    scale = (rebuilt * films).sum(dim=(1, 2)) / rebuilt.square().sum(dim=(1, 2))
    entities = entities * scale[:, None, None]
    alone = nnf.normalize(films, dim=-1) @ nnf.normalize(entities, dim=-1).transpose(1, 2)
    plain, guided = _diffusion(seeds, graph, entities, films)
    return [own["coins"], low, alone, plain, guided]


def _diffusion(seeds: Sequence[int], graph: Tensor, entities: Tensor, films: Tensor) -> tuple[Tensor, Tensor]:
    """Train denoisers without and with guidance, and return the graph that each rebuilds."""
    grid = Grid(seeds, {"diffusion": [{"guide": 0.0}], "guided diffusion": [{"guide": _GUIDE}]})
    net = Population(partial(Denoiser, graph.shape[-1]), seeds)
    steps, count = len(_NOISE), graph.shape[1]
    ratio = (1 - _NOISE) / _NOISE
    gain = ratio[:-1] - ratio[1:]
    weight = torch.cat([torch.ones(1), gain / gain.mean()])
    angles = torch.arange(steps)[:, None] * torch.exp(
        -math.log(1e4) * torch.arange(_TIME // 2) / (_TIME // 2)
    )
    times = torch.cat([angles.cos(), angles.sin()], dim=-1)
    order = batches(seeds, count, _BATCH, _STEPS)
    draws = [np.random.default_rng((seed, 38)) for seed in seeds]
    size = graph.shape[-1]

    def loss(params: Params, step: int) -> Tensor:
        places = order[step]
        x, target = pick(graph, places), pick(films, places)
        level = torch.tensor(np.stack([rng.integers(0, steps, _BATCH) for rng in draws]))
        noise = torch.tensor(np.stack([rng.standard_normal((_BATCH, size)) for rng in draws]))
        kept = torch.tensor(np.stack([rng.random((_BATCH, size)) < 0.5 for rng in draws]))
        noisy = nnf.normalize(diffuse(x, noise, _NOISE[level]), dim=-1) * kept * 2
        found = net(params, grid.spread(noisy), grid.spread(times[level]))
        rebuilt = (found - grid.spread(x)).square().mean(dim=-1)
        fitted = (grid.spread(weight[level]) * rebuilt).mean(dim=-1)
        by_raters = collaborative(found, grid.spread(entities), grid.spread(target))
        return (1 - grid["guide"]) * fitted + grid["guide"] * by_raters

    trained = fit(grid.population(net.params), loss, steps=_STEPS, lr=1e-2)

    def predict(x: Tensor, step: int) -> Tensor:
        encoded = times[step].expand(*x.shape[:2], -1)
        return net(trained, nnf.normalize(x, dim=-1), encoded)

    rebuilt = reverse(grid.spread(graph), predict, _NOISE)
    plain, guided = rebuilt.chunk(2)
    return plain, guided
