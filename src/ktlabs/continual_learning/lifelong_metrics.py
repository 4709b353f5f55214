"""The suite of lifelong-learning measures, read off a sweep from plastic to rigid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ktlabs.bench.data import batches, digits, pick, split, turned
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores
from ktlabs.continual_learning.lifelong import Watched, suite

_TASKS, _IMAGES, _STEPS, _EVERY, _RATE = 4, 120, 80, 8, 1e-2
#: Strength of the penalty in each arm of the sweep.
_STRENGTHS = {"no penalty": 0.0, "weak": 30.0, "medium": 300.0, "strong": 3000.0, "strong, shuffled": 3000.0}

Pool = tuple[Tensor, Tensor]


def importance(net: Population, params: Params, inputs: Tensor, labels: Tensor) -> Params:
    r"""Return each weight's importance to a task: the diagonal of the empirical Fisher information.

    .. math:: F_i = \frac{1}{n} \sum_k \left( \frac{\partial \log p(y_k | x_k)}{\partial w_i} \right)^2

    Parameters
    ----------
    net : Population
    params : dict of str to Tensor
        Each of shape (P, ...).
    inputs : Tensor, shape (P, n, D)
    labels : Tensor, shape (P, n)
        The task's own labels; drawn from the model instead, they would give the true Fisher.

    References
    ----------
    J. Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks (2017), equation 3.
    """
    weights = {name: value.detach().requires_grad_() for name, value in params.items()}
    total = {name: torch.zeros_like(value) for name, value in params.items()}
    for k in range(labels.shape[1]):
        losses = cross_entropy(net(weights, inputs[:, k : k + 1]), labels[:, k : k + 1])
        grads = torch.autograd.grad(losses.sum(), list(weights.values()))
        for value, grad in zip(total.values(), grads, strict=True):
            value.add_(grad**2 / labels.shape[1])
    return total


def consolidation(params: Params, anchor: Params, weight: Params) -> Tensor:
    r"""Return the elastic penalty of every row, :math:`\frac12 \sum_i F_i (w_i - w_i^*)^2`, shape (P,).

    Parameters
    ----------
    params, anchor, weight : dict of str to Tensor
        The weights, those after the last task, and their importance; each of shape (P, ...).

    References
    ----------
    J. Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks (2017), equation 3.
    """
    terms = [
        (weight[name] * (value - anchor[name]) ** 2).flatten(1).sum(dim=1) / 2
        for name, value in params.items()
    ]
    return torch.stack(terms).sum(dim=0)


def run(seeds: Sequence[int]) -> Scores:
    """Learn four rotations one after another under growing consolidation, and measure all of the suite."""
    images, labels = digits()
    parts = split(labels, seeds, train=_TASKS * _IMAGES, test=797)
    chunks = torch.split(parts["train"], _IMAGES, dim=1)
    data = [(turned(images[own], task), labels[own]) for task, own in enumerate(chunks)]
    tests = [(turned(images[parts["test"]], task), labels[parts["test"]]) for task in range(_TASKS)]
    net = Population(lambda: mlp(64, 48, 10), seeds)
    arms = {arm: [{"strength": strength}] for arm, strength in _STRENGTHS.items()}
    grid = Grid(seeds, arms | {"frozen": [{}]})
    experts = _experts(seeds, net, data, tests)
    scores, before, curves = _sequence(grid, net, data, tests)
    report = Scores()
    everyone = grid.choose(torch.zeros(len(grid)))
    for metric, values in suite(scores, before, curves, grid.spread(experts)).items():
        report.add(metric, grid.of(values, everyone))
    return report


def _fit_task(
    net: Population,
    params: Params,
    task: tuple[Pool, Pool],
    order: Tensor,
    anchor: tuple[Params, Params] | None = None,
    *,
    moves: Tensor | None = None,
) -> tuple[Params, Tensor]:
    """Train every row on one task; return the weights and the learning curve on held-out images."""
    (x, y), test = task

    def loss(own: Params, step: int) -> Tensor:
        fitted = cross_entropy(net(own, pick(x, order[step])), pick(y, order[step]))
        return fitted if anchor is None else fitted + consolidation(own, *anchor)

    def constrain(grads: Params, _: int) -> Params:
        if moves is None:
            return grads
        return {name: grad * moves.reshape(-1, *[1] * (grad.dim() - 1)) for name, grad in grads.items()}

    watched = Watched(loss, lambda own: accuracy(net(own, test[0][:, :200]), test[1][:, :200]), _EVERY)
    trained = fit(params, watched, steps=_STEPS, lr=_RATE, decay=0, constrain=constrain)
    return trained, watched.curve(trained)


def _experts(
    seeds: Sequence[int],
    net: Population,
    data: list[Pool],
    tests: list[Pool],
) -> Tensor:
    """Return the learning curve of each task learnt alone, shape (S, T, n)."""
    order = batches(seeds, _IMAGES, 40, _STEPS)
    return torch.stack(
        [_fit_task(net, net.params, task, order)[1] for task in zip(data, tests, strict=True)],
        dim=1,
    )


def _sequence(
    grid: Grid, net: Population, data: list[Pool], tests: list[Pool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Learn the tasks in turn; return scores (P, T, T), scores before (P, T) and curves (P, T, n)."""
    spread = [(grid.spread(x), grid.spread(y)) for x, y in tests]
    order = torch.stack([grid.spread(places) for places in batches(grid.seeds, _IMAGES, 40, _STEPS)])
    shuffled = grid.on("strong, shuffled").bool()

    def score(own: Params) -> Tensor:
        return torch.stack([accuracy(net(own, x), y) for x, y in spread], dim=1)

    params = grid.population(net.params)
    total = {name: torch.zeros_like(value) for name, value in params.items()}
    before, rows, curves = score(params), [], []
    for task, (x, y) in enumerate(data):
        pool = (grid.spread(x), grid.spread(y))
        moves = 1 - grid.on("frozen") if task else None
        anchor = (params, total) if task else None
        params, curve = _fit_task(net, params, (pool, spread[task]), order, anchor, moves=moves)
        found = importance(net, params, pool[0][:, :60], pool[1][:, :60])
        for name, value in _shuffle(found, grid, shuffled, task).items():
            total[name] += value * grid["strength"].reshape(-1, *[1] * (value.dim() - 1))
        rows.append(score(params))
        curves.append(curve)
    return torch.stack(rows, dim=1), before, torch.stack(curves, dim=1)


def _shuffle(weight: Params, grid: Grid, chosen: Tensor, task: int) -> Params:
    """Hand the importance to other weights of the same layer, in the chosen rows."""
    found = {name: value.clone() for name, value in weight.items()}
    for row in chosen.nonzero()[:, 0].tolist():
        rng = torch.Generator().manual_seed(1000 * grid.seeds[row % len(grid.seeds)] + task)
        for value in found.values():
            flat = value[row].flatten()
            value[row] = flat[torch.randperm(len(flat), generator=rng)].reshape(value[row].shape)
    return found
