"""Competitive distillation: new examples come from those on which the student falls behind its teacher."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.losses import cross_entropy, kl
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores

_ROUNDS, _STEPS, _SEED_IMAGES, _NEW = 4, 80, 100, 100
_PLAIN = [{"lr": rate} for rate in (2e-3, 3e-3, 1e-2, 2e-2)]
_KNOBS = [{"lr": rate, "noise": noise} for rate in (3e-3, 1e-2) for noise in (0.1, 0.2)]
_ARMS = {"plain distillation": _PLAIN, "random augmentation": _KNOBS, "competitive distillation": _KNOBS}


def shortfall(teacher: Tensor, student: Tensor) -> Tensor:
    r"""Return by how much the student's answer falls behind the teacher's on each example.

    .. math:: g(x) = \max\left(0,\; p_T(\hat y \mid x) - p_S(\hat y \mid x)\right),
              \qquad \hat y = \operatorname{argmax}_y p_T(y \mid x)

    Stands for the assessor that scores both answers.

    Parameters
    ----------
    teacher, student : Tensor, shape (..., n, C)
        Logits.

    Returns
    -------
    Tensor, shape (..., n)
        From 0 to 1.

    References
    ----------
    comd, second stage (assessment of both models' answers).
    """
    theirs, own = teacher.softmax(dim=-1), student.softmax(dim=-1)
    answer = theirs.argmax(dim=-1, keepdim=True)
    return (theirs - own).gather(-1, answer).squeeze(-1).clamp(min=0)


def hard_examples(gap: Tensor, draws: Tensor) -> Tensor:
    """Return which examples new ones are made from: half any at all, half as their gap says.

    Parameters
    ----------
    gap : Tensor, shape (P, n)
        As `shortfall` gives it; an example without one is never among the second half. Where no example
        has one, all are alike.
    draws : Tensor, shape (P, m)
        Uniform from 0 to 1; the first half of them is spent on any examples.

    Returns
    -------
    Tensor, shape (P, m)
        Places from 0 to n - 1.

    References
    ----------
    comd, second stage (augmentation of difficult instructions). The mix with easy ones is the lab's.
    """
    count = gap.shape[-1]
    weight = torch.where(gap.sum(dim=-1, keepdim=True) > 0, gap, torch.ones_like(gap))
    reach = weight.cumsum(dim=-1)
    half = draws.shape[-1] // 2
    any_at_all, by_gap = draws[..., :half], draws[..., half:]
    found = torch.searchsorted(reach, by_gap * reach[..., -1:], right=True)
    return torch.cat([(any_at_all * count).long(), found], dim=-1).clamp(max=count - 1)


def run(seeds: Sequence[int]) -> Scores:
    """Distil in four rounds; after each but the last, new images that the teacher answers join the pool."""
    images, labels = digits()
    parts = split(labels, seeds, teacher=600, seed=_SEED_IMAGES, validation=200, test=800)
    pools = {name: (images[places], labels[places]) for name, places in parts.items()}
    large = Population(lambda: mlp(64, 64, 64, 10), [seed + 1000 for seed in seeds])
    x, y = pools["teacher"]
    order = batches(seeds, 600, 50, 200)
    teacher = fit(
        large.params,
        lambda p, step: cross_entropy(large(p, pick(x, order[step])), pick(y, order[step])),
        steps=200,
        lr=1e-2,
    )
    grid = Grid(seeds, _ARMS)
    net = Population(lambda: mlp(64, 32, 10), seeds)
    trained, gaps = _distil(grid, net, (large, grid.population(teacher)), grid.spread(pools["seed"][0]))
    scored = {
        part: accuracy(net(trained, grid.spread(pools[part][0])), grid.spread(pools[part][1]))
        for part in ("validation", "test")
    }
    chosen, scores = grid.choose(scored["validation"]), Scores()
    scores.add("accuracy", grid.of(scored["test"], chosen))
    of_new = grid.of(gaps, chosen)
    scores.add("shortfall on new images", {arm: of_new[arm] for arm in list(_ARMS)[1:]})
    return scores


def _distil(
    grid: Grid, net: Population, teacher: tuple[Population, Params], pool: Tensor
) -> tuple[Params, Tensor]:
    """Return the students and the mean shortfall on images as they are new, shape (P,)."""
    large, weights = teacher
    params, rows = grid.population(net.params), torch.arange(len(grid))[:, None]
    fixed = grid.on("plain distillation")[:, None] > 0
    competes = grid.on("competitive distillation")[:, None] > 0
    seed_images, gaps = pool, torch.zeros(len(grid))
    for number in range(_ROUNDS):
        target = large(weights, pool).softmax(dim=-1)
        order = batches([seed + 10_000 * number for seed in grid.seeds], pool.shape[1], 50, _STEPS)

        def loss(
            own: Params, step: int, order: Tensor = order, pool: Tensor = pool, target: Tensor = target
        ) -> Tensor:
            at = grid.spread(order[step])
            at = torch.where(fixed, at % _SEED_IMAGES, at)
            return kl(target[rows, at], net(own, pool[rows, at]))

        params = fit(params, loss, steps=_STEPS, lr=grid["lr"])
        if number == _ROUNDS - 1:
            break
        uniform, normal = (grid.spread(each) for each in _random(grid.seeds, number))
        gap = shortfall(large(weights, pool), net(params, pool))
        base = hard_examples(gap * competes, uniform[:, 0])  # no gap, no preference
        other, share = (uniform[:, 1] * _SEED_IMAGES).long(), uniform[:, 2, :, None]
        new = (1 + share) / 2 * pool[rows, base] + (1 - share) / 2 * seed_images[rows, other]
        new = (new + grid["noise"][:, None, None] * normal).clamp(0, 1)
        gaps = gaps + shortfall(large(weights, new), net(params, new)).mean(dim=-1) / (_ROUNDS - 1)
        pool = torch.cat([pool, new], dim=1)
    return params, gaps


def _random(seeds: Sequence[int], number: int) -> tuple[Tensor, Tensor]:
    """Return what a round draws: uniform numbers (S, 3, new) and normal ones (S, new, 64)."""
    rngs = [np.random.default_rng((seed, 6, number)) for seed in seeds]
    uniform = np.stack([rng.random((3, _NEW)) for rng in rngs])
    return torch.tensor(uniform), torch.tensor(np.stack([rng.standard_normal((_NEW, 64)) for rng in rngs]))
