"""TRG: distil how patches of images relate to one another, within an image and across a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.losses import cross_entropy, distillation, kl, mean_squared_error
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit
from ktlabs.bench.runner import Scores

_PATCHES, _STUDENT, _TEACHER, _BATCH, _STEPS = 9, 10, 24, 31, 80
#: Tokens sampled from a batch, and neighbours of each.
_NODES, _NEIGHBOURS = 32, 8
_RATE = 3e-2
_KD = [{"lr": _RATE, "temperature": heat, "kd": 1.0} for heat in (1.0, 2.0, 4.0, 8.0)]
_MORE = [
    {"lr": _RATE, "temperature": heat, "kd": 1.0, "weight": weight}
    for heat in (2.0, 4.0)
    for weight in (0.1, 1.0)
]
_TOKENS, _IMAGES, _SWAPPED = "KD and TRG", "KD and image graph", "KD and TRG, tokens swapped"
_ARMS = {
    "labels only": [{"lr": rate, "temperature": 1.0} for rate in (3e-3, 1e-2, 3e-2, 1e-1)],
    "KD": _KD,
    _IMAGES: _MORE,
    _TOKENS: _MORE,
    _SWAPPED: _MORE,
}
#: Images of each class for the student; the teacher has two and a half times as many.
_SHARES = {"long-tailed": (40, 27, 18, 13, 9, 6, 4, 3, 2, 2), "balanced": (13,) * 4 + (12,) * 6}


def graph(tokens: Tensor, neighbours: int) -> Tensor:
    r"""Return the nearest-neighbour graph of tokens.

    .. math:: A_{ij} = \exp\left(-\|t_i - t_j\|^2 / 2\sigma\right) \text{ if } t_i \in
        \mathrm{kNN}(t_j), \text{ else } 0

    The width :math:`\sigma` is the mean squared distance, so that models of any size share a scale.

    Parameters
    ----------
    tokens : Tensor, shape (..., n, d)
    neighbours : int
        Fewer than n; a token is no neighbour of its own.

    References
    ----------
    trg, token graph.
    """
    length = tokens.pow(2).sum(dim=-1)
    square = (length.unsqueeze(-1) + length.unsqueeze(-2) - 2 * tokens @ tokens.mT).clamp(min=0)
    own = torch.eye(tokens.shape[-2], dtype=torch.bool)
    nearest = square.detach().masked_fill(own, torch.inf).topk(neighbours, dim=-2, largest=False).indices
    edges = torch.zeros_like(square).scatter(-2, nearest, 1.0)
    width = square.mean(dim=(-2, -1), keepdim=True) + 1e-12
    return edges * (-square / (2 * width)).exp()


def local_loss(taught: Tensor, own: Tensor) -> Tensor:
    r"""Return :math:`\sum_i \mathrm{KL}(\mathrm{softmax}_j A^S_{ij} \| \mathrm{softmax}_j A^T_{ij})`.

    Parameters
    ----------
    taught, own : Tensor, shape (..., n, n)
        Graphs of teacher and student.

    References
    ----------
    trg, local preserving loss; the student comes first, as recorded.
    """
    return own.shape[-2] * kl(own.softmax(dim=-1), taught)


def global_loss(taught: Tensor, own: Tensor, temperature: float) -> Tensor:
    r"""Return how badly each student token tells the teacher's token of its place from all others.

    .. math:: -\sum_i \log \frac{\exp(\cos(s_i, t_i) / \tau)}{\sum_j \exp(\cos(s_i, t_j) / \tau)}

    Parameters
    ----------
    taught, own : Tensor, shape (..., n, d)
        Of one width.
    temperature : float
        Falls as training goes on, from coarse to fine.

    References
    ----------
    trg, global relationship loss.
    """
    cosines = nn.functional.normalize(own, dim=-1) @ nn.functional.normalize(taught, dim=-1).mT
    places = torch.arange(own.shape[-2]).expand(own.shape[:-1])
    return own.shape[-2] * cross_entropy(cosines / temperature, places)


def inner_loss(taught: Tensor, own: Tensor) -> Tensor:
    r"""Return by how much similarities inside images differ.

    .. math:: \|R(F_S) - R(F_T)\|^2, \qquad R(F) = \mathrm{softmax}(F F^\top / \sqrt d)

    Parameters
    ----------
    taught, own : Tensor, shape (..., n, k, d)
        Of n images with k tokens each; widths d may differ.

    References
    ----------
    trg, contextual loss.
    """
    both = [(states @ states.mT / states.shape[-1] ** 0.5).softmax(dim=-1) for states in (taught, own)]
    return mean_squared_error(*both).mean(dim=-1)


class Tokens(nn.Module):
    """A classifier of images by nine overlapping patches: yields logits, tokens, and tokens made wider."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.patch, self.hidden = nn.Linear(16, width), nn.Linear(_PATCHES * width, hidden)
        self.head, self.widen = nn.Linear(hidden, 10), nn.Linear(width, _TEACHER)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 64) to (n, 10 + 9 * width + 9 * 24), joined."""
        patches = x.reshape(-1, 8, 8).unfold(1, 4, 2).unfold(2, 4, 2).flatten(3).flatten(1, 2)
        tokens = self.patch(patches).relu()
        logits = self.head(self.hidden(tokens.flatten(1)).relu())
        return torch.cat([logits, tokens.flatten(1), self.widen(tokens).flatten(1)], dim=-1)


def apart(yielded: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Take apart what `Tokens` yields: logits, tokens (..., 9, width), and the wider ones."""
    logits, tokens, wide = torch.split(yielded, [10, _PATCHES * width, _PATCHES * _TEACHER], dim=-1)
    return (
        logits,
        tokens.reshape(*logits.shape[:-1], _PATCHES, width),
        wide.reshape(*logits.shape[:-1], _PATCHES, _TEACHER),
    )


def run(seeds: Sequence[int]) -> Scores:
    """Distil from a teacher with more images, where classes are rare and where they are not."""
    images, labels = digits()
    parts = split(labels, seeds, pool=1050, validation=200, test=547)
    scores = Scores()
    for regime, counts in _SHARES.items():
        more = tuple(5 * count // 2 for count in counts)
        pools = {name: (images[parts[name]], labels[parts[name]]) for name in ("pool", "validation", "test")}
        x, y = pools["pool"]
        rows = [
            [_of_each(own, (seed, 18), wanted) for own, seed in zip(y, seeds, strict=True)]
            for wanted in (more, counts)
        ]
        pools["teacher"], pools["train"] = (
            (pick(x, torch.stack(places)), pick(y, torch.stack(places))) for places in rows
        )
        large = Population(lambda: Tokens(_TEACHER, 48), [seed + 1000 for seed in seeds])
        teacher = _teach(large, seeds, pools["teacher"])
        arms = (
            _ARMS if regime == "long-tailed" else {arm: _ARMS[arm] for arm in ("labels only", "KD", _TOKENS)}
        )
        scores.add("accuracy", _distil(Grid(seeds, arms), large(teacher, pools["train"][0]), pools), regime)
        right = accuracy(large(teacher, pools["test"][0])[..., :10], pools["test"][1])
        scores.add("accuracy", {"teacher": right}, regime)
    return scores


def _of_each(labels: Tensor, key: tuple[int, int], counts: Sequence[int]) -> Tensor:
    """Return the places of the first images of each class; which class is frequent is drawn."""
    order = np.random.default_rng(key).permutation(10).tolist()
    return torch.cat([(labels == c).nonzero()[:n, 0] for c, n in zip(order, counts, strict=True)])


def _teach(large: Population, seeds: Sequence[int], pool: tuple[Tensor, Tensor]) -> Params:
    x, y = pool
    order = batches(seeds, x.shape[1], 100, 120)
    return fit(
        large.params,
        lambda p, step: cross_entropy(large(p, pick(x, order[step]))[..., :10], pick(y, order[step])),
        steps=120,
        lr=1e-2,
    )


def _relations(states: tuple[Tensor, Tensor, Tensor], nodes: Tensor, swap: Tensor, heat: float) -> Tensor:
    """Return the three losses of rows of tokens (R, n, 9, d), shape (R, 3)."""
    taught, own, _ = states
    places = [pick(tokens.flatten(1, 2), nodes) for tokens in states]
    told = torch.where(swap[:, None, None], places[0].roll(1, dims=1), places[0])
    inside = torch.where(swap[:, None, None, None], taught.roll(1, dims=2).roll(1, dims=1), taught)
    losses = [
        local_loss(graph(told, _NEIGHBOURS), graph(places[1], _NEIGHBOURS)),
        global_loss(told, places[2], heat),
        inner_loss(inside, own),
    ]
    return torch.stack(losses, dim=-1)


def _of_images(taught: Tensor, own: Tensor, wide: Tensor, heat: float) -> Tensor:
    """Return the losses between whole images, each the mean of its tokens, shape (R, 2)."""
    means = [tokens.mean(dim=2) for tokens in (taught, own, wide)]
    losses = [
        local_loss(graph(means[0], _NEIGHBOURS), graph(means[1], _NEIGHBOURS)),
        global_loss(means[0], means[2], heat),
    ]
    return torch.stack(losses, dim=-1)


def _distil(grid: Grid, yielded: Tensor, pools: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Train the students of every arm; return test accuracies by arm."""
    seeds = grid.seeds
    net = Population(lambda: Tokens(_STUDENT, 24), seeds)
    x, y = pools["train"]
    answers, tokens, _ = apart(yielded, _TEACHER)
    order = batches(seeds, x.shape[1], _BATCH, _STEPS)
    drawn = [np.random.default_rng((s, 19)) for s in seeds]
    sampled = [[rng.permutation(_BATCH * _PATCHES)[:_NODES] for _ in range(_STEPS)] for rng in drawn]
    nodes = torch.tensor(np.array(sampled)).transpose(0, 1)
    images, both = grid.on(_IMAGES) > 0, grid.on(_TOKENS, _SWAPPED) > 0
    swap = (grid.on(_SWAPPED) > 0)[both]
    first: list[Tensor] = []

    def loss(params: Params, step: int) -> Tensor:
        now, heat = order[step], 1.0 - 0.9 * step / _STEPS
        logits, own, wide = apart(net(params, grid.spread(pick(x, now))), _STUDENT)
        taught, told = (grid.spread(pick(all_of, now)) for all_of in (answers, tokens))
        graphs = [_relations((told[both], own[both], wide[both]), grid.spread(nodes[step])[both], swap, heat)]
        if images.any():
            graphs.append(_of_images(told[images], own[images], wide[images], heat))
        if not first:  # their weights are not known: each counts as a share of what it was at the start
            first.extend(losses.detach() for losses in graphs)
        known = torch.zeros(len(grid))
        for rows, losses, start in zip((both, images), graphs, first, strict=False):
            known[rows] = (losses / start).mean(dim=-1)
        soft = grid["kd"] * distillation(taught, logits, grid["temperature"])
        return cross_entropy(logits, grid.spread(pick(y, now))) + soft + grid["weight"] * known

    trained = fit(grid.population(net.params), loss, steps=_STEPS, lr=grid["lr"])
    scored = {
        part: accuracy(net(trained, grid.spread(pools[part][0]))[..., :10], grid.spread(pools[part][1]))
        for part in ("validation", "test")
    }
    return grid.of(scored["test"], grid.choose(scored["validation"]))
