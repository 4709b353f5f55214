"""Exclusive supermask training: learn a mask for each task, train only weights that no earlier one took."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, accuracy, fit
from ktlabs.bench.runner import Scores
from ktlabs.continual_learning.lifelong import Watched, suite

_SIZES = (64, 64, 10)
_TASKS, _IMAGES, _STEPS, _EARLY, _EVERY, _DENSITY = 3, 120, 40, 8, 8, 0.1
#: Learning rates of scores and of weights.
_RATES = {"scores": 0.01, "weights": 0.08}
_OTHERS = ("whole mask", "ExSSNeT", "ExSSNeT and KKT", "ExSSNeT, any mask")
_ARMS = {"SupSup": [{"scores": 0.006}]} | {arm: [_RATES] for arm in _OTHERS}


def supermask(scores: Tensor, density: float) -> Tensor:
    """Return 1 for the share of a layer's weights with the largest scores in size, else 0.

    Gradients pass to the scores' size as if the threshold were not there.

    Parameters
    ----------
    scores : Tensor, shape (P, m, d)
    density : float
        Share of the layer's weights, from 0 to 1.

    References
    ----------
    exssnet (SSNeT) and its official code, ``models/module_util.py``.
    """
    size = scores.detach().abs().flatten(1)
    count = max(1, round(density * size.shape[1]))
    least = size.topk(count, dim=1, sorted=False).values.amin(dim=1)
    mask = (scores.detach().abs() >= least[:, None, None]).to(scores.dtype)
    through = scores.abs()
    return mask + (through - through.detach())


def exclusive(mask: Tensor, earlier: Tensor) -> Tensor:
    r"""Return which weights of a task's mask may be trained: those in no earlier task's mask.

    .. math:: M_t^{\text{free}} = M_t \wedge \neg \bigvee_{i < t} M_i

    Parameters
    ----------
    mask : Tensor, shape (P, m, d)
        0 or 1.
    earlier : Tensor, shape (P, T, m, d)
        The masks of the tasks before; T may be 0.

    References
    ----------
    exssnet (exclusive supermask subnetwork training), and its official code, ``trainers/weights.py``.
    """
    if not earlier.shape[1]:
        return mask
    return mask * (1 - earlier.amax(dim=1))


def nearest(features: Tensor, labels: Tensor, neighbours: int = 5) -> Tensor:
    """Return the accuracy of nearest-neighbour voting among features, shape (P,).

    Two thirds of the examples are the memory and the rest ask. A mask of an earlier task under which this
    is high gives features that suit the new task.

    Parameters
    ----------
    features : Tensor, shape (P, n, h)
    labels : Tensor, shape (P, n)
        From 0 to 9.
    neighbours : int

    References
    ----------
    exssnet (KNN-based knowledge transfer) and its official code, ``utils/my_utils.py``.
    """
    known = 2 * features.shape[1] // 3
    apart = torch.cdist(features[:, known:], features[:, :known])
    places = apart.topk(neighbours, dim=-1, largest=False).indices
    votes = labels[:, None, :known].expand(-1, places.shape[1], -1).gather(2, places)
    counts = torch.nn.functional.one_hot(votes, 10).sum(dim=2)
    return (counts.argmax(dim=-1) == labels[:, known:]).to(features.dtype).mean(dim=-1)


def run(seeds: Sequence[int]) -> Scores:
    """Learn three permutations of the pixels, unrelated ones or with the third similar to the first."""
    images, labels = digits()
    parts = split(labels, seeds, train=_TASKS * _IMAGES, test=797)
    report = Scores()
    for regime in ("unrelated", "related"):
        orders = _permutations(seeds, related=regime == "related")

        def pools(part: str, orders: Tensor = orders) -> list[tuple[Tensor, Tensor]]:
            places = parts[part]
            own = torch.split(places, _IMAGES, dim=1) if part == "train" else [places] * _TASKS
            return [
                (images[at].gather(2, order[:, None].expand(*at.shape, -1)), labels[at])
                for at, order in zip(own, orders.unbind(1), strict=True)
            ]

        _measure(report, regime, seeds, {part: pools(part) for part in parts})
    return report


def _permutations(seeds: Sequence[int], *, related: bool) -> Tensor:
    """Return the order of pixels of each task (S, T, 64); the third may share 48 places with the first."""
    orders = []
    for seed in seeds:
        rng = np.random.default_rng((seed, 3))
        own = [rng.permutation(64) for _ in range(_TASKS)]
        for task in range(2, _TASKS) if related else ():
            some = rng.permutation(64)[:16]
            own[task] = own[task - 2].copy()
            own[task][some] = own[task][rng.permutation(some)]
        orders.append(np.stack(own))
    return torch.tensor(np.stack(orders))


def _measure(
    report: Scores, regime: str, seeds: Sequence[int], pools: dict[str, list[tuple[Tensor, Tensor]]]
) -> None:
    """Run all arms on one regime and note every measure."""
    grid = Grid(seeds, _ARMS)
    learner = _Learner(grid)
    tests = [(grid.spread(x), grid.spread(y)) for x, y in pools["test"]]
    before, rows, curves = learner.score(tests), [], []
    for own, test in zip(pools["train"], tests, strict=True):
        curves.append(learner.learn(grid.spread(own[0]), grid.spread(own[1]), test))
        rows.append(learner.score(tests))
    chosen = grid.choose(torch.zeros(len(grid)))
    curve = torch.stack(curves, dim=1)
    measured = suite(torch.stack(rows, dim=1), before, curve, grid.spread(_experts(seeds, pools)))
    measured["early accuracy"] = curve[:, 2:, _EARLY // _EVERY - 1].mean(dim=1)
    measured["free weights"] = learner.free / (_TASKS - 1)
    for metric, values in measured.items():
        report.add(metric, grid.of(values, chosen), regime)


def _experts(seeds: Sequence[int], pools: dict[str, list[tuple[Tensor, Tensor]]]) -> Tensor:
    """Return the learning curve of each task learnt alone, with the same mask and weights, (S, T, n)."""
    grid = Grid(seeds, {"ExSSNeT": [_RATES]})
    tasks = zip(pools["train"], pools["test"], strict=True)
    return torch.stack([_Learner(grid).learn(*own, test) for own, test in tasks], dim=1)


class _Learner:
    """All rows of the lab, task after task."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.weights = [grid.spread(own) for own in _random(grid.seeds, 4, signed=True)]
        self.scores: list[list[Tensor]] = []
        self.masks = [torch.zeros(len(grid), 0, *weight.shape[1:]) for weight in self.weights]
        self.free = torch.zeros(len(grid))  # share of the mask that may be trained, summed over tasks

    def score(self, tests: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return accuracies (P, T); a task to come is met with the latest task's mask."""
        found = []
        for task, (x, y) in enumerate(tests):
            if self.scores:
                masks = [own[:, min(task, len(self.scores) - 1)] for own in self.masks]
            else:
                masks = [supermask(own, _DENSITY) for own in self._fresh(0)]
            used = [weight * mask for weight, mask in zip(self.weights, masks, strict=True)]
            found.append(accuracy(_forward(used, x)[0], y))
        return torch.stack(found, dim=1)

    def _fresh(self, task: int) -> list[Tensor]:
        return [self.grid.spread(own) for own in _random(self.grid.seeds, 5 + task, signed=False)]

    def _start(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """Return the scores to begin with: fresh ones, or those of an earlier task."""
        task = len(self.scores)
        fresh = self._fresh(task)
        if not task:
            return fresh
        found = []
        for earlier in range(task):
            used = [w * own[:, earlier] for w, own in zip(self.weights, self.masks, strict=True)]
            found.append(nearest(_forward(used, x)[1], y))
        close = torch.stack(found, dim=1)
        drawn = [np.random.default_rng((seed, 20, task)).integers(task) for seed in self.grid.seeds]
        best = close.argmax(dim=1)
        best = torch.where(self.grid.on("ExSSNeT, any mask") > 0, self.grid.spread(torch.tensor(drawn)), best)
        takes = self.grid.on("ExSSNeT, any mask") + self.grid.on("ExSSNeT and KKT") * (
            close.amax(dim=1) > 0.1
        )
        rows = torch.arange(len(self.grid))
        return [
            torch.where(takes[:, None, None] > 0, torch.stack(own, dim=1)[rows, best], new)
            for own, new in zip(zip(*self.scores, strict=True), fresh, strict=True)
        ]

    def learn(self, x: Tensor, y: Tensor, test: tuple[Tensor, Tensor]) -> Tensor:
        """Learn a mask, then weights under it; return the learning curve (P, n)."""
        grid = self.grid
        order = batches(grid.seeds, x.shape[1], 40, 2 * _STEPS)
        still, only_masks = self.weights, grid.on("SupSup")
        held = (test[0][:, :200], test[1][:, :200])

        def used(params: Params) -> list[Tensor]:
            weights = [params.get(f"w{n}", still[n]) for n in (0, 1)]
            own = [supermask(params[f"s{n}"], _DENSITY) for n in (0, 1)]
            return [weight * mask for weight, mask in zip(weights, own, strict=True)]

        def loss(params: Params, step: int) -> Tensor:
            at = grid.spread(order[step])
            return cross_entropy(_forward(used(params), pick(x, at))[0], pick(y, at))

        def second(params: Params, step: int) -> Tensor:
            return loss(params, step + _STEPS)

        def score(params: Params) -> Tensor:
            return accuracy(_forward(used(params), held[0])[0], held[1])

        params = {f"s{n}": own for n, own in enumerate(self._start(x, y))}
        watched = Watched(loss, score, _EVERY)
        params = fit(params, watched, steps=_STEPS, lr=grid["scores"], decay=0)
        curve = watched.curve(params)
        masks = [supermask(params[f"s{n}"], _DENSITY) for n in (0, 1)]
        free = [exclusive(mask, earlier) for mask, earlier in zip(masks, self.masks, strict=True)]
        whole = grid.on("whole mask")[:, None, None]
        trained = [torch.where(whole > 0, mask, own) for mask, own in zip(masks, free, strict=True)]
        if self.scores:
            share = [own.flatten(1).sum(dim=1) for own in (*trained, *masks)]
            self.free = self.free + (share[0] + share[1]) / (share[2] + share[3]) * (1 - only_masks)

        def constrain(grads: Params, _: int) -> Params:
            moves = {f"w{n}": own * (1 - only_masks)[:, None, None] for n, own in enumerate(trained)}
            moves |= {f"s{n}": only_masks[:, None, None] for n in (0, 1)}
            return {name: grad * moves[name] for name, grad in grads.items()}

        params |= {f"w{n}": weight for n, weight in enumerate(self.weights)}
        watched = Watched(second, score, _EVERY)
        rate = torch.where(only_masks > 0, grid["scores"], grid["weights"])
        params = fit(params, watched, steps=_STEPS, lr=rate, decay=0, constrain=constrain)
        self.weights = [params["w0"], params["w1"]]
        self.scores.append([params["s0"], params["s1"]])
        self.masks = [
            torch.cat([earlier, supermask(params[f"s{n}"], _DENSITY).unsqueeze(1)], dim=1)
            for n, earlier in enumerate(self.masks)
        ]
        return torch.cat([curve, watched.curve(params)], dim=1)


def _forward(weights: Sequence[Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and hidden features."""
    hidden = (x @ weights[0].mT).relu()
    return hidden @ weights[1].mT, hidden


def _random(seeds: Sequence[int], purpose: int, *, signed: bool) -> list[Tensor]:
    """Draw layers for each seed: weights of one size and random sign, or scores from a uniform law.

    The size has few binary digits, as the pixels have, so that sums of them are exact and cancel to zero
    in whatever order they are added. Otherwise a rounding error would decide whether a unit is on.
    """
    layers = []
    for before, after in itertools.pairwise(_SIZES):
        drawn = []
        for seed in seeds:
            value = np.random.default_rng((seed, purpose, before)).uniform(-1, 1, (after, before))
            size = round(1024 * (2 / (before * _DENSITY)) ** 0.5) / 1024 if signed else before**-0.5
            drawn.append(np.sign(value) * size if signed else value * size)
        layers.append(torch.tensor(np.stack(drawn)))
    return layers
