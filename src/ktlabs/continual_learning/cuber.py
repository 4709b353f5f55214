"""Continual learning with backward transfer: gradient projection that lets go where gradients agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.data import digits, split, turned
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores
from ktlabs.continual_learning.lifelong import Watched, suite

#: Quarter turns of the tasks: every other task is of the same kind.
_TURNS = (0, 1, 0, 1)
_IMAGES, _STEPS, _EVERY, _RATE = 50, 80, 8, 0.3
_SLOWER = 0.1  # the scaling's learning rate, as a share of the weights'
_SUFFICIENT, _POSITIVE, _MOST = 0.5, 0.0, 2
#: Share of its inputs' energy that is kept of a task, tuned, and strength of the penalty.
_ENERGIES = [{"energy": energy} for energy in (0.8, 0.9)]
_PENALISED = [{"energy": energy, "penalty": 0.1} for energy in (0.8, 0.9)]
_CUBER, _RANDOM = ("CUBER", "CUBER, no penalty"), ("random release", "random release, no penalty")
_ARMS = {
    "fine-tuning": [{"energy": 0.9}],
    "GPM": _ENERGIES,
    "TRGP": _ENERGIES,
    _CUBER[0]: _PENALISED,
    _CUBER[1]: _ENERGIES,
    _RANDOM[0]: _PENALISED,
    _RANDOM[1]: _ENERGIES,
}
_DIRECTIONS = 24  # kept a layer at most


def project(matrix: Tensor, pool: Tensor, chosen: Tensor) -> Tensor:
    r"""Project the rows of a matrix on chosen directions, :math:`A B \,\mathrm{diag}(c)\, B^\top`.

    Parameters
    ----------
    matrix : Tensor, shape (..., m, d)
        A weight matrix or its gradient.
    pool : Tensor, shape (..., d, k)
        Orthonormal directions of a layer's inputs, as columns; unused columns are 0.
    chosen : Tensor, shape (..., k)
        1 for the columns that span the subspace, else 0.

    References
    ----------
    cuber, definition 1.
    """
    return (matrix @ pool * chosen.unsqueeze(-2)) @ pool.mT


def scaled(weight: Tensor, pool: Tensor, change: Tensor, shared: Tensor) -> Tensor:
    r"""Return the weights that a new task uses: those of old tasks, scaled inside their subspaces.

    .. math:: \tilde w = w + \sum_j \left[ w B_j Q_j B_j^\top - w B_j B_j^\top \right]

    Parameters
    ----------
    weight : Tensor, shape (..., m, d)
    pool : Tensor, shape (..., d, k)
        As in `project`; every :math:`B_j` is made of its columns.
    change : Tensor, shape (..., k, k)
        :math:`Q - I`, learnt, from 0.
    shared : Tensor, shape (..., k, k)
        1 where both directions belong to the same selected task, else 0.

    References
    ----------
    cuber, equations 1 and 3. One matrix stands for the sum over the selected tasks.
    """
    return weight + weight @ pool @ (change * shared) @ pool.mT


def agreement(gradient: Tensor, olds: Tensor) -> Tensor:
    r"""Return the cosine of a gradient (P, m, d) with each of several (P, T, m, d), shape (P, T).

    Old tasks with a cosine of at least :math:`\epsilon_2` correlate positively with the new one.

    References
    ----------
    cuber, definition 2.
    """
    own, old = gradient.flatten(1), olds.flatten(2)
    size = own.norm(dim=-1, keepdim=True) * old.norm(dim=-1)
    cosine: Tensor = (old @ own.unsqueeze(-1)).squeeze(-1) / size.clamp(min=1e-30)
    return cosine


def regularised(
    gradient: Tensor, drift: Tensor, members: Tensor, released: Tensor, penalty: Tensor
) -> Tensor:
    r"""Return the gradient that is followed, in coordinates of the pool of directions.

    .. math:: g \leftarrow (I - P_{\text{blocked}}) \left[ g
        + \lambda \sum_{j\ \text{released}} \nabla \left\| P_j (w - w^{t-1}) \right\| \right]

    Directions of an old task that is not released are blocked, also where a released task shares them.

    Parameters
    ----------
    gradient, drift : Tensor, shape (P, m, k)
        Of the loss, and of how far the weights have moved on this task; both times the pool.
    members : Tensor, shape (P, T, k)
        1 for the directions of each old task.
    released : Tensor, shape (P, T)
        1 for the tasks whose weights may change (regime 3).
    penalty : Tensor, shape (P,)
        :math:`\lambda`.

    References
    ----------
    cuber, section 4, regimes 1 to 3 and equation 3. Its sum of projections is taken as the projection on
    the span, since tasks share directions.
    """
    blocked = (members * (1 - released).unsqueeze(-1)).amax(dim=1)
    length = (members * drift.square().sum(dim=1, keepdim=True)).sum(dim=2).sqrt()  # of P_j (w - w0)
    pulls = ((released / length.clamp(min=1e-12)).unsqueeze(-1) * members).sum(dim=1)
    pull = drift * (penalty.unsqueeze(1) * pulls).unsqueeze(1)
    return (gradient + pull) * (1 - blocked).unsqueeze(1)


def extend(pool: Tensor, members: Tensor, inputs: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
    """Add a task to the pool: the fewest directions, old or new, that carry a share of its inputs' energy.

    Parameters
    ----------
    pool : Tensor, shape (P, d, k)
    members : Tensor, shape (P, T, k)
    inputs : Tensor, shape (P, n, d)
        What the layer is fed by the task.
    energy : Tensor, shape (P,)
        The share, from 0 to 1.

    Returns
    -------
    tuple of Tensor
        The pool with new columns behind the old ones, as far as k columns last, and members with one
        task more.

    References
    ----------
    cuber, section 4 (bases extraction).
    """
    size, width = pool.shape[-1], pool.shape[-2]
    rest = inputs - inputs @ pool @ pool.mT
    _, singular, directions = torch.linalg.svd(rest, full_matrices=False)
    fresh = torch.cat([(inputs @ pool).square().sum(dim=1), singular.square()], dim=1)
    ranks = fresh.argsort(dim=1, descending=True, stable=True)
    before = fresh.gather(1, ranks).cumsum(dim=1) - fresh.gather(1, ranks)
    wanted = before < energy.unsqueeze(1) * inputs.square().sum(dim=(1, 2)).unsqueeze(1)
    chosen = torch.zeros_like(fresh).scatter(1, ranks, wanted.to(fresh.dtype))
    chosen = chosen * (fresh > 1e-12 * fresh.amax(dim=1, keepdim=True))
    used = (pool.abs().amax(dim=1) > 0).to(fresh.dtype)
    kept = torch.cat([used, chosen[:, size:]], dim=1)
    places = kept.argsort(dim=1, descending=True, stable=True)[:, :size]  # old columns stay where they are
    columns = torch.cat([pool, directions.mT], dim=2) * kept.unsqueeze(1)
    added = chosen.gather(1, places)
    return columns.gather(2, places.unsqueeze(1).expand(-1, width, -1)), torch.cat(
        [members, added.unsqueeze(1)], dim=1
    )


class _Learner:
    """All rows of the lab, task after task."""

    def __init__(self, grid: Grid, params: Params) -> None:
        self.grid, self.weights = grid, [grid.spread(params["0.weight"]), grid.spread(params["2.weight"])]
        rows = len(grid)
        self.pools = [torch.zeros(rows, weight.shape[-1], _DIRECTIONS) for weight in self.weights]
        self.members = [torch.zeros(rows, 0, _DIRECTIONS) for _ in self.weights]
        self.gradients = [torch.zeros(rows, 0, *weight.shape[1:]) for weight in self.weights]
        self.released = torch.zeros(rows)  # share of pairs of layer and old task, summed over tasks
        self.uses: list[list[Tensor]] = []  # of each task, what its weights are multiplied by

    def multiplier(self, layer: int, change: Tensor, shared: Tensor) -> Tensor:
        size = self.pools[layer].shape[1]
        one = torch.eye(size).expand(len(change), size, size)
        return scaled(one, self.pools[layer], change, shared)

    def logits(self, weights: Sequence[Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = (x @ weights[0].mT).relu()
        return hidden @ weights[1].mT, hidden

    def score(self, tests: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return accuracies (P, T); tasks to come are met with the weights as they are."""
        found = []
        for task, (x, y) in enumerate(tests):
            own = self.weights
            if task < len(self.uses):
                own = [w @ use for w, use in zip(own, self.uses[task], strict=True)]
            found.append(accuracy(self.logits(own, x)[0], y))
        return torch.stack(found, dim=1)

    def _selected(self, grads: list[Tensor]) -> list[Tensor]:
        """Return, for each layer, which old tasks hold the gradient well: at most `_MOST` (P, T)."""
        selected = []
        for layer, grad in enumerate(grads):
            inside = (grad @ self.pools[layer]).square().sum(dim=1, keepdim=True) * self.members[layer]
            share = inside.sum(dim=2).sqrt() / grad.flatten(1).norm(dim=1, keepdim=True)
            ranks = share.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
            selected.append(((share >= _SUFFICIENT) & (ranks < _MOST)).to(grad.dtype))
        return selected

    def _agrees(self, grads: list[Tensor]) -> list[Tensor]:
        return [
            (agreement(grad, olds) >= _POSITIVE).to(grad.dtype)
            for grad, olds in zip(grads, self.gradients, strict=True)
        ]

    def _at_random(self, released: list[Tensor], task: int) -> list[Tensor]:
        """In the control's rows, release as many pairs of layer and task as CUBER does, drawn at random."""
        flat = torch.cat(released, dim=1)
        seeds, cuber = self.grid.seeds, self.grid.on(*_CUBER).bool()
        orders = [np.random.default_rng((seed, 3, task)).permutation(flat.shape[1]) for seed in seeds]
        order = torch.tensor(np.stack(orders)).repeat(int(cuber.sum()) // len(seeds), 1)
        drawn = flat.clone()
        drawn[self.grid.on(*_RANDOM).bool()] = flat[cuber].gather(1, order)
        return list(torch.chunk(drawn, 2, dim=1))

    def learn(self, x: Tensor, y: Tensor, test: tuple[Tensor, Tensor]) -> Tensor:
        """Learn one task by plain gradient descent; return the learning curve (P, n)."""
        task, free = len(self.uses), self.grid.on("fine-tuning")[:, None, None]
        start = {f"w{n}": weight for n, weight in enumerate(self.weights)}
        square = torch.zeros(len(self.grid), _DIRECTIONS, _DIRECTIONS)
        start |= {"q0": square, "q1": square}
        grads = self._gradients(self.weights, x, y)
        selected = self._selected(grads)
        cuber = self.grid.on(*_CUBER).unsqueeze(1)
        released = [own * yes * cuber for own, yes in zip(selected, self._agrees(grads), strict=True)]
        now = start
        shared = [
            torch.einsum("pti,ptj,pt->pij", member, member, own).clamp(max=1)
            * self.grid.on("TRGP", *_CUBER, *_RANDOM)[:, None, None]
            for member, own in zip(self.members, selected, strict=True)
        ]

        def weights(params: Params) -> list[Tensor]:
            return [scaled(params[f"w{n}"], self.pools[n], params[f"q{n}"], shared[n]) for n in (0, 1)]

        def loss(params: Params, _: int) -> Tensor:
            nonlocal now
            now = {name: value.detach() for name, value in params.items()}
            return cross_entropy(self.logits(weights(params), x)[0], y)

        def constrain(grads: Params, _: int) -> Params:
            nonlocal released
            if not task:
                return grads
            agrees = self._agrees([grads["w0"], grads["w1"]])
            released = [own * yes for own, yes in zip(released, agrees, strict=True)]  # once held, held
            follows = self._at_random(released, task)
            held = {name: grad * _SLOWER for name, grad in grads.items() if name.startswith("q")}
            for n, pool in enumerate(self.pools):
                grad, drift = grads[f"w{n}"], now[f"w{n}"] - start[f"w{n}"]
                inside = grad @ pool
                moved = regularised(inside, drift @ pool, self.members[n], follows[n], self.grid["penalty"])
                held[f"w{n}"] = grad + ((moved - inside) * (1 - free)) @ pool.mT
            return held

        if task:
            follows = self._at_random(released, task)
            self.released = self.released + torch.cat(follows, dim=1).mean(dim=1) / (len(_TURNS) - 1)
        watched = Watched(loss, lambda own: accuracy(self.logits(weights(own), test[0])[0], test[1]), _EVERY)
        trained = fit(start, watched, steps=_STEPS, lr=_RATE, optimiser="sgd", constrain=constrain)
        self._remember(trained, shared, x, y)
        return watched.curve(trained)

    def _gradients(
        self, weights: list[Tensor], x: Tensor, y: Tensor, uses: list[Tensor] | None = None
    ) -> list[Tensor]:
        """Return the gradients by layer; the weights are multiplied by what a task uses, if given."""
        own = [weight.detach().requires_grad_() for weight in weights]
        used = own if uses is None else [weight @ use for weight, use in zip(own, uses, strict=True)]
        return list(torch.autograd.grad(cross_entropy(self.logits(used, x)[0], y).sum(), own))

    def _remember(self, trained: Params, shared: list[Tensor], x: Tensor, y: Tensor) -> None:
        """Store the task's weights, multipliers, gradients and directions."""
        self.weights = [trained["w0"], trained["w1"]]
        uses = [self.multiplier(n, trained[f"q{n}"], shared[n]) for n in (0, 1)]
        grads = self._gradients(self.weights, x, y, uses)
        hidden = self.logits([w @ use for w, use in zip(self.weights, uses, strict=True)], x)[1]
        for n, inputs in enumerate((x, hidden)):
            self.gradients[n] = torch.cat([self.gradients[n], grads[n].unsqueeze(1)], dim=1)
            self.pools[n], self.members[n] = extend(
                self.pools[n], self.members[n], inputs, self.grid["energy"]
            )
        self.uses.append(uses)


def run(seeds: Sequence[int]) -> Scores:
    """Learn upright and turned digits by turns, and see what later tasks do to earlier ones."""
    images, labels = digits()
    parts = split(labels, seeds, train=_IMAGES * len(_TURNS), validation=300, test=797)
    chunks = torch.split(parts["train"], _IMAGES, dim=1)
    held_out = {
        part: [(turned(images[parts[part]], turn), labels[parts[part]]) for turn in _TURNS]
        for part in ("validation", "test")
    }
    net = Population(lambda: mlp(64, 32, 10, bias=False), seeds)
    grid = Grid(seeds, _ARMS, untuned=["fine-tuning"])
    learner = _Learner(grid, net.params)
    tests = [(grid.spread(x), grid.spread(y)) for x, y in held_out["test"]]
    before, rows, curves = learner.score(tests), [], []
    for turn, own, test in zip(_TURNS, chunks, tests, strict=True):
        x, y = grid.spread(turned(images[own], turn)), grid.spread(labels[own])
        curves.append(learner.learn(x, y, (test[0][:, :200], test[1][:, :200])))
        rows.append(learner.score(tests))
    tuning = learner.score([(grid.spread(x), grid.spread(y)) for x, y in held_out["validation"]])
    chosen = grid.choose(tuning.mean(dim=1))
    experts = _experts(seeds, net.params, chunks, held_out["test"])
    measured = suite(torch.stack(rows, dim=1), before, torch.stack(curves, dim=1), grid.spread(experts))
    scores = Scores()
    for metric, values in measured.items():
        scores.add(metric, grid.of(values, chosen))
    scores.add("released", grid.of(learner.released, chosen))
    return scores


def _experts(
    seeds: Sequence[int],
    params: Params,
    chunks: Sequence[Tensor],
    tests: list[tuple[Tensor, Tensor]],
) -> Tensor:
    """Return the learning curve of each task learnt alone, shape (S, T, n)."""
    images, labels = digits()
    curves = []
    for turn, own, test in zip(_TURNS, chunks, tests, strict=True):
        learner = _Learner(Grid(seeds, {"fine-tuning": [{"energy": 0.9}]}), params)
        held = (test[0][:, :200], test[1][:, :200])
        curves.append(learner.learn(turned(images[own], turn), labels[own], held))
    return torch.stack(curves, dim=1)
