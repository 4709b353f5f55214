"""One mechanism for lifelong learning: a stiffness for every weight, from free to frozen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ktlabs.bench.data import batches, digits, noise, pick, split, turned
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, accuracy, fit
from ktlabs.bench.runner import Scores
from ktlabs.continual_learning.lifelong import Watched, suite

_TASKS, _IMAGES, _WIDTH, _STEPS, _EVERY = 4, 60, 12, 60, 6
_UNITS = _TASKS * _WIDTH
_RATES = [{"lr": rate} for rate in (1e-2, 3e-2)]
_ARMS = {
    "fine-tuning": _RATES,
    "uniform stiffness": [{"lr": 1e-2, "b": b} for b in (0.03, 0.3)],
    "no links": _RATES,
    "links": _RATES,
    "untrained links": _RATES,
}
_GRACEFUL = {
    "kept": _RATES,
    "lowered": [{"lr": 1e-2, "b": b} for b in (0.003, 0.03)],
    "let go": _RATES,
    "lowered everywhere": [{"lr": 1e-2, "b": b} for b in (0.003, 0.03)],
}
Pool = tuple[Tensor, Tensor]


def consolidated(grad: Tensor, weight: Tensor, anchor: Tensor, stiffness: Tensor) -> Tensor:
    r"""Return the gradient of a loss with a penalty on moving each weight, as stiff as told.

    .. math:: L_t(w) + \sum_i b_i (w_i - w_i^*)^2

    A weight with :math:`b = 0` is free; one with :math:`b = \infty` does not move.

    Parameters
    ----------
    grad : Tensor
        Gradient of the task's loss.
    weight, anchor : Tensor
        The weights, and those to return to.
    stiffness : Tensor
        :math:`b`, from 0 to infinity. All four have one shape.

    References
    ----------
    lifelong-framework, its central mechanism.
    """
    frozen = torch.isinf(stiffness)
    pull = 2 * stiffness.masked_fill(frozen, 0.0) * (weight - anchor)
    return (grad + pull).masked_fill(frozen, 0.0)


def columns(tasks: int, width: int) -> tuple[Tensor, Tensor]:
    """Return which units feed which: those of the same column, and those of earlier columns.

    Parameters
    ----------
    tasks, width : int
        Columns, one a task, and units in each.

    Returns
    -------
    tuple of Tensor
        Two masks of shape (tasks * width, tasks * width), from columns to rows: within a column, and the
        links from earlier columns to later ones. They are disjoint.
    """
    own = torch.arange(tasks).repeat_interleave(width)
    within = (own[:, None] == own[None, :]).to(torch.get_default_dtype())
    links = (own[:, None] > own[None, :]).to(torch.get_default_dtype())
    return within, links


class _Net:
    """Two hidden layers in columns and a head a task; what feeds what is a mask for each row."""

    def __init__(self, grid: Grid, start: Params) -> None:
        within, links = columns(_TASKS, _WIDTH)
        whole = grid.on("fine-tuning", "uniform stiffness")[:, None, None]
        linked = grid.on("links", "untrained links")[:, None, None]
        self.inside = whole + (1 - whole) * within
        self.links = linked * links
        self.heads = self.inside[:, ::_WIDTH]  # (P, T, units)
        self.across = self.links[:, ::_WIDTH]
        self.first = start
        self.untrained = grid.on("untrained links").nonzero()[:, 0]

    def features(self, params: Params, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last hidden layer, and that which links of later tasks see, both (P, n, units)."""
        one = (x @ params["w1"].mT).relu()
        few, source, inside = self.untrained, one.detach(), params["w2"] * self.inside
        if len(few):
            blank = (x[few] @ self.first["w1"][few].mT).relu()
            source = source.index_copy(0, few, blank)
        two = (one @ inside.mT + source @ (params["w2"] * self.links).mT).relu()
        if not len(few):
            return two, two.detach()
        other = (blank @ (self.first["w2"] * self.inside)[few].mT).relu()
        return two, two.detach().index_copy(0, few, other)

    def logits(self, params: Params, x: Tensor, task: int) -> Tensor:
        two, source = self.features(params, x)
        head = params["heads"][:, task]
        own, across = self.heads[:, task].unsqueeze(1), self.across[:, task].unsqueeze(1)
        return two @ (head * own).mT + source @ (head * across).mT

    def score(self, params: Params, tests: list[Pool]) -> Tensor:
        return torch.stack([accuracy(self.logits(params, x, t), y) for t, (x, y) in enumerate(tests)], dim=1)


def _stiffness(grid: Grid, task: int) -> Params:
    """Return b of every weight while a task is learnt: its own column is free."""
    whole = grid.on("fine-tuning", "uniform stiffness")[:, None, None] > 0
    own = (torch.arange(_UNITS) // _WIDTH == task)[None, :, None]
    b = grid["b"][:, None, None] * float(task > 0)
    stiff = torch.where(whole, b, torch.where(own, 0.0, torch.inf))
    return {
        "w1": stiff.expand(-1, -1, 64),
        "w2": stiff.expand(-1, -1, _UNITS),
        "heads": torch.zeros(len(grid), _TASKS, 10, _UNITS),
    }


def _start(seeds: Sequence[int]) -> Params:
    return {
        "w1": noise(seeds, _UNITS, 64, purpose=3) / 8,
        "w2": noise(seeds, _UNITS, _UNITS, purpose=4) / (2 * _WIDTH) ** 0.5,
        "heads": noise(seeds, _TASKS, 10, _UNITS, purpose=5) / (2 * _WIDTH) ** 0.5,
    }


def _learn(
    net: _Net, grid: Grid, params: Params, task: int, pools: tuple[Pool, Pool]
) -> tuple[Params, Tensor]:
    """Learn one task in every row; return the weights and the learning curve (P, n)."""
    pool, test = pools
    stiffness, now = _stiffness(grid, task), params
    order = batches(grid.seeds, _IMAGES, 30, _STEPS)
    held = (test[0][:, :200], test[1][:, :200])

    def loss(own: Params, step: int) -> Tensor:
        nonlocal now
        now = own
        at = grid.spread(order[step])
        return cross_entropy(net.logits(own, pick(pool[0], at), task), pick(pool[1], at))

    def constrain(grads: Params, _: int) -> Params:
        return {
            name: consolidated(grad, now[name].detach(), params[name], stiffness[name])
            for name, grad in grads.items()
        }

    watched = Watched(loss, lambda own: accuracy(net.logits(own, held[0], task), held[1]), _EVERY)
    trained = fit(params, watched, steps=_STEPS, lr=grid["lr"], decay=0, constrain=constrain)
    return trained, watched.curve(trained)


def run(seeds: Sequence[int]) -> Scores:
    """Learn four rotations in turn, then let later columns help earlier tasks, then let one task go."""
    images, labels = digits()
    parts = split(labels, seeds, train=(_TASKS + 1) * _IMAGES, validation=250, test=500)
    chunks = torch.split(parts["train"], _IMAGES, dim=1)

    def task(places: Tensor, turns: int) -> Pool:
        x = turned(images[places], turns % _TASKS)
        if turns == _TASKS:  # the fifth task is mirrored
            x = x.reshape(*x.shape[:-1], 8, 8).flip(-1).flatten(-2)
        return x, labels[places]

    data = [task(own, turns) for turns, own in enumerate(chunks)]
    held = {part: [task(parts[part], t) for t in range(_TASKS + 1)] for part in ("validation", "test")}
    report, grid = Scores(), Grid(seeds, _ARMS)
    tests = [(grid.spread(x), grid.spread(y)) for x, y in held["test"][:_TASKS]]
    params = grid.population(_start(seeds))
    net = _Net(grid, params)
    before, rows, curves = net.score(params, tests), [], []
    for t, (x, y) in enumerate(data[:_TASKS]):
        params, curve = _learn(net, grid, params, t, ((grid.spread(x), grid.spread(y)), tests[t]))
        rows.append(net.score(params, tests))
        curves.append(curve)
    tuning = [(grid.spread(x), grid.spread(y)) for x, y in held["validation"][:_TASKS]]
    chosen = grid.choose(net.score(params, tuning).mean(dim=1))
    curve = torch.stack(curves, dim=1)
    alone = grid.of(curve, chosen)["no links"]
    for metric, values in suite(torch.stack(rows, dim=1), before, curve, grid.spread(alone)).items():
        report.add(metric, grid.of(values, chosen), "sequence")
    linked = {name: grid.of(value, chosen)["links"] for name, value in params.items()}
    _backward(report, seeds, linked, data, held)
    _graceful(report, seeds, linked, data, held)
    return report


def _backward(
    report: Scores, seeds: Sequence[int], params: Params, data: list[Pool], held: dict[str, list[Pool]]
) -> None:
    """Review the old tasks' images with free links from later columns to their heads, all else frozen."""
    grid = Grid(seeds, dict.fromkeys(("head alone", "links back", "untrained links back"), _RATES))
    net = _Net(Grid(seeds, {"links": [{}]}), params)
    start = _start(seeds)
    blank = _Net(Grid(seeds, {"links": [{}]}), start)
    untrained, alone = grid.on("untrained links back")[:, None, None], grid.on("head alone")[:, None]
    found: dict[str, list[Tensor]] = {"validation": [], "test": []}
    for task in range(_TASKS - 1):
        later = (torch.arange(_UNITS) // _WIDTH > task).to(alone.dtype)[None, :]

        def seen(x: Tensor, later: Tensor = later) -> Tensor:
            """Return what the head reads: its own and earlier columns, and later ones, if they may help."""
            trained, other = (grid.spread(own.features(own.first, x)[0]) for own in (net, blank))
            reach = untrained * other + (1 - untrained) * trained
            return torch.where(later > 0, reach * (1 - alone * later).unsqueeze(1), trained)

        features, y = seen(data[task][0]), grid.spread(data[task][1])
        head = grid.spread(params["heads"][:, task] * (1 - later))

        def loss(own: Params, _: int, features: Tensor = features, y: Tensor = y) -> Tensor:
            return cross_entropy(features @ own["head"].mT, y)

        trained = fit({"head": head}, loss, steps=_STEPS, lr=grid["lr"], decay=0)["head"]
        for part, scored in found.items():
            x, labels = held[part][task]
            scored.append(accuracy(seen(x) @ trained.mT, grid.spread(labels)))
    chosen = grid.choose(torch.stack(found["validation"]).mean(dim=0))
    report.add("old tasks", grid.of(torch.stack(found["test"]).mean(dim=0), chosen), "backward")


def _graceful(
    report: Scores, seeds: Sequence[int], params: Params, data: list[Pool], held: dict[str, list[Pool]]
) -> None:
    """Learn a fifth task without a new column, the last column being held less or not at all."""
    grid = Grid(seeds, _GRACEFUL)
    net = _Net(Grid(seeds, {"links": [{}] * len(grid.settings)}), grid.population(_start(seeds)))
    begin = grid.population(params) | {"fifth": torch.zeros(len(grid), 10, _UNITS)}
    last = (torch.arange(_UNITS) // _WIDTH == _TASKS - 1)[None, :, None]
    everywhere = grid.on("lowered everywhere")[:, None, None] > 0
    b = torch.where(grid.on("kept")[:, None, None] > 0, torch.inf, grid["b"][:, None, None])
    stiff = torch.where(everywhere | last, b, torch.inf)
    stiffness = {
        "w1": stiff.expand(-1, -1, 64),
        "w2": stiff.expand(-1, -1, _UNITS),
        "heads": torch.full_like(begin["heads"], torch.inf),
        "fifth": torch.zeros_like(begin["fifth"]),
    }
    x, y = (grid.spread(part) for part in data[_TASKS])
    now = begin

    def loss(own: Params, _: int) -> Tensor:
        nonlocal now
        now = own
        return cross_entropy(net.features(own, x)[0] @ own["fifth"].mT, y)

    def constrain(grads: Params, _: int) -> Params:
        return {
            name: consolidated(grad, now[name].detach(), begin[name], stiffness[name])
            for name, grad in grads.items()
        }

    trained = fit(begin, loss, steps=_STEPS, lr=grid["lr"], decay=0, constrain=constrain)

    def score(part: str) -> Tensor:
        pools = [(grid.spread(a), grid.spread(b)) for a, b in held[part]]
        fifth = accuracy(net.features(trained, pools[-1][0])[0] @ trained["fifth"].mT, pools[-1][1])
        return torch.cat([net.score(trained, pools[:_TASKS]), fifth.unsqueeze(1)], dim=1)

    chosen = grid.choose(score("validation").mean(dim=1))
    found = score("test")
    measured = {
        "new task": found[:, -1],
        "task let go": found[:, -2],
        "other tasks": found[:, :-2].mean(dim=1),
        "all tasks": found.mean(dim=1),
    }
    for metric, values in measured.items():
        report.add(metric, grid.of(values, chosen), "graceful")
