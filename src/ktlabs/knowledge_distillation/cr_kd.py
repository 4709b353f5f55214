"""Class-relation distillation: while novel classes are found, what is known about known ones is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as nnf
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ktlabs.bench.data import batches, digits, noise, pick, split
from ktlabs.bench.losses import cross_entropy, kl
from ktlabs.bench.nets import Grid, Params, Population, fit
from ktlabs.bench.runner import Scores

_KNOWN, _STEPS, _BATCH, _BLUR, _SHARP, _SOFT = 5, 100, 40, 0.15, 10.0, 4.0
_RATES = (3e-3, 1e-2)
_PLAIN = [{"lr": rate, "epsilon": epsilon} for rate in _RATES for epsilon in (0.05, 0.1)]
_KNOBS = [{"lr": rate, "epsilon": 0.05, "strength": strength} for rate in _RATES for strength in (0.1, 0.3)]
_ARMS = {"discovery": _PLAIN, "Cr-KD": _KNOBS, "uniform weights": _KNOBS, "shuffled relation": _KNOBS}


def sinkhorn(cosines: Tensor, epsilon: Tensor, rounds: int = 3) -> Tensor:
    """Return soft assignments of examples to classes, such that all classes get equally many.

    Parameters
    ----------
    cosines : Tensor, shape (P, n, C)
        Of features with the classes' prototypes.
    epsilon : Tensor, shape (P,)
        The smaller, the harder the assignment.
    rounds : int

    Returns
    -------
    Tensor, shape (P, n, C)
        Rows add up to 1, columns nearly to n / C.

    References
    ----------
    M. Cuturi, Sinkhorn Distances (2013), algorithm 1; cr-kd takes over its use from UNO.
    """
    scaled = cosines / epsilon[:, None, None]
    plan = (scaled - scaled.amax(dim=(-2, -1), keepdim=True)).exp()
    for _ in range(rounds):
        plan = plan / plan.sum(dim=-2, keepdim=True)
        plan = plan / plan.sum(dim=-1, keepdim=True)
    return plan


def relation_loss(frozen: Tensor, now: Tensor, known: int, temperature: float, weighted: Tensor) -> Tensor:
    r"""Return how far what novel examples have in common with known classes has drifted.

    .. math:: L = \frac{\tau^2}{n} \sum_x \frac{w_x}{\bar w} \,
              \mathrm{KL}\left(p_0^\tau(x) \,\|\, p_{\text{known}}^\tau(x)\right),
              \qquad w_x = \sum_{c \le K} p^\tau(c \mid x)

    Parameters
    ----------
    frozen : Tensor, shape (P, n, K)
        Logits over the K known classes of the network before discovery.
    now : Tensor, shape (P, n, C)
        Logits over known and novel classes, known first.
    known : int
        K.
    temperature : float
    weighted : Tensor, shape (P,)
        1 for weights by the mass on known classes, 0 for equal ones.

    Returns
    -------
    Tensor, shape (P,)
        In nats.

    References
    ----------
    cr-kd, and its official code, ``model/losses.py`` (where it is cross-entropy: the same gradients).
    """
    target = (frozen / temperature).softmax(dim=-1)
    log = (now[..., :known] / temperature).log_softmax(dim=-1)
    mass = (now / temperature).softmax(dim=-1)[..., :known].sum(dim=-1)
    mass = mass / mass.mean(dim=-1, keepdim=True)
    weight = weighted[:, None] * mass + (1 - weighted[:, None])
    apart = (target.xlogy(target) - target * log).sum(dim=-1)
    return temperature**2 * (weight * apart).mean(dim=-1)


class Cosines(nn.Module):
    """Features and their cosines with prototypes, known classes first."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16))
        self.prototypes = nn.Parameter(torch.randn(classes, 16))

    def forward(self, x: Tensor) -> Tensor:
        """Return cosines, shape (n, classes)."""
        return nnf.normalize(self.body(x), dim=-1) @ nnf.normalize(self.prototypes, dim=-1).T


def run(seeds: Sequence[int]) -> Scores:
    """Learn five classes, then find the five others in images without labels."""
    pools = _pools(seeds)
    net = Population(lambda: Cosines(2 * _KNOWN), seeds)
    x, y = pools["known"]
    order = batches(seeds, x.shape[1], 50, 100)
    start = fit(
        net.params,
        lambda p, step: cross_entropy(
            _SHARP * net(p, pick(x, order[step]))[..., :_KNOWN], pick(y, order[step])
        ),
        steps=100,
        lr=1e-2,
    )
    grid = Grid(seeds, _ARMS)
    trained = _discover(grid, net, start, pools)
    labelled = {
        part: tuple(grid.spread(own) for own in pools[part]) for part in ("train", "validation", "test")
    }
    cosines = {part: net(trained, x) for part, (x, _) in labelled.items()}
    found = {
        part: _clustering(cosines[part][..., _KNOWN:], labelled[part][1]) for part in ("validation", "test")
    }
    chosen, scores = grid.choose(found["validation"]), Scores()
    scores.add("novel accuracy", grid.of(found["test"], chosen))
    before = {part: net(start, pools[part][0])[..., :_KNOWN] for part in ("train", "test")}
    now = {part: cosines[part][..., :_KNOWN] for part in ("train", "test")}
    drift = kl(grid.spread(_SHARP * before["test"]).softmax(dim=-1), _SHARP * now["test"])
    scores.add("drift", grid.of(drift, chosen))
    told = grid.of(_told(now["train"], labelled["train"][1], now["test"], labelled["test"][1]), chosen)
    at_first = _told(before["train"], pools["train"][1], before["test"], pools["test"][1])
    scores.add("relation accuracy", told | {"before discovery": at_first})
    return scores


def _pools(seeds: Sequence[int]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return labelled known images, and novel ones in three parts; classes are numbered anew, known first."""
    images, labels = digits()
    parts = split(labels, seeds, train=800, validation=200, test=797)
    wanted = {
        "known": ("train", 70),
        "train": ("train", 70),
        "validation": ("validation", 16),
        "test": ("test", 70),
    }
    pools = {}
    for name, (part, each) in wanted.items():
        rows = []
        for seed, places in zip(seeds, parts[part], strict=True):
            classes = np.random.default_rng((seed, 11)).permutation(10)
            classes = classes[:_KNOWN] if name == "known" else classes[_KNOWN:]
            rows.append(torch.cat([places[labels[places] == int(c)][:each] for c in classes]))
        pools[name] = (
            images[torch.stack(rows)],
            torch.arange(_KNOWN).repeat_interleave(each).expand(len(seeds), -1),
        )
    return pools


def _discover(grid: Grid, net: Population, start: Params, pools: dict[str, tuple[Tensor, Tensor]]) -> Params:
    """Train on labels of known and balanced pseudo-labels of novel images, with what each arm adds."""
    (known, labels), (novel, _) = pools["known"], pools["train"]
    frozen = net(start, novel)[..., :_KNOWN]
    orders = [
        batches([seed + late for seed in grid.seeds], known.shape[1], _BATCH, _STEPS) for late in (0, 5000)
    ]
    blurs = [_BLUR * noise(grid.seeds, _STEPS, 2 * _BATCH, 64, purpose=view) for view in (12, 13)]
    strength, epsilon = grid["strength"], grid["epsilon"]
    weighted, wrong = 1 - grid.on("uniform weights"), grid.on("shuffled relation")[:, None, None] > 0

    def loss(params: Params, step: int) -> Tensor:
        first, second = (order[step] for order in orders)
        x = torch.cat([pick(known, first), pick(novel, second)], dim=1)
        views = [net(params, grid.spread(x + blur[:, step])) for blur in blurs]
        one_hot = nnf.one_hot(grid.spread(pick(labels, first)), 2 * _KNOWN).to(x.dtype)
        total = torch.zeros(len(grid))
        relation = grid.spread(pick(frozen, second))
        relation = torch.where(wrong, relation.roll(1, dims=1), relation)
        for own, other in (views, views[::-1]):
            with torch.no_grad():
                pseudo = sinkhorn(own[:, _BATCH:, _KNOWN:], epsilon)
                pseudo = torch.cat([torch.zeros_like(pseudo), pseudo], dim=-1)
            total = total + kl(torch.cat([one_hot, pseudo], dim=1), _SHARP * other) / 2
            kept = relation_loss(_SHARP * relation, _SHARP * own[:, _BATCH:], _KNOWN, _SOFT, weighted)
            total = total + strength * kept / 2
        return total

    return fit(grid.population(start), loss, steps=_STEPS, lr=grid["lr"])


def _clustering(scores: Tensor, labels: Tensor) -> Tensor:
    """Return accuracies (P,) under the best matching of found to true classes."""
    found = []
    for own, truth in zip(scores.argmax(dim=-1), labels, strict=True):
        table = np.zeros((_KNOWN, _KNOWN))
        np.add.at(table, (own.numpy(force=True), truth.numpy(force=True)), 1)
        rows, columns = linear_sum_assignment(-table)
        found.append(table[rows, columns].sum() / len(truth))
    return torch.tensor(found)


def _told(known: Tensor, labels: Tensor, asked: Tensor, truth: Tensor) -> Tensor:
    """Return how well novel classes are told apart by similarity to known ones: nearest mean, (P,)."""
    near, far = ((_SHARP * own).softmax(dim=-1) for own in (known, asked))
    member = nnf.one_hot(labels, _KNOWN).to(near.dtype)
    means = member.mT @ near / member.sum(dim=1)[..., None]
    return (torch.cdist(far, means).argmin(dim=-1) == truth).to(near.dtype).mean(dim=-1)
