"""Continual knowledge learning: keep what still holds, revise what does not, learn what is new."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ktlabs.bench.data import batches, digits, pick, split, turned
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores
from ktlabs.continual_learning.lifelong import backward_transfer, performance_maintenance

_FACTS, _WIDTH, _STEPS = 120, 16, 80
_RATES = [{"lr": rate} for rate in (3e-3, 1e-2, 3e-2)]
_HIGHER = [{"lr": rate} for rate in (1e-2, 3e-2, 1e-1)]
_ARMS = {
    "vanilla": _RATES,
    "pull to start": [{"lr": 1e-2, "pull": pull} for pull in (0.01, 0.03, 0.1)],
    "replay": _RATES,
    "expansion": _HIGHER,
    "as few weights": _HIGHER,
}
Facts = tuple[Tensor, Tensor]


def fuar(before: dict[str, Tensor], after: dict[str, Tensor]) -> Tensor:
    r"""Return what is forgotten for each unit of knowledge that is updated or acquired; less is better.

    .. math:: \mathrm{FUAR} = \frac{\max(0, R_0 - R_1)}{\max(0, U_1 - U_0) + \max(0, A_1 - A_0)}

    Infinite if nothing is gained, even if nothing is lost, where the paper says "no gain". A ratio of 0
    says that nothing is lost, and not how much is gained.

    Parameters
    ----------
    before, after : dict of str to Tensor
        Scores on ``retained``, ``updated`` and ``acquired`` knowledge before and after continued training,
        from 0 to 1, each of shape (...).

    References
    ----------
    ckl (FUAR), for one phase of continued training.
    """
    gains = [(after[part] - before[part]).clamp(min=0) for part in ("updated", "acquired")]
    gained, lost = gains[0] + gains[1], (before["retained"] - after["retained"]).clamp(min=0)
    return torch.where(gained > 0, lost / gained.clamp(min=1e-30), torch.inf)


def expanded(core: Tensor, x: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
    r"""Return the logits of a frozen core and of an adapter beside it, :math:`f(x) + B\,\mathrm{relu}(A x)`.

    Parameters
    ----------
    core : Tensor, shape (P, n, C)
        Logits of the core.
    x : Tensor, shape (P, n, d)
    inner : Tensor, shape (P, h, d)
    outer : Tensor, shape (P, C, h)
        From 0, so that nothing changes at first.

    References
    ----------
    ckl (parameter expansion); the adapter stands for its K-Adapter and LoRA.
    """
    return core + (x @ inner.mT).relu() @ outer.mT


def run(seeds: Sequence[int]) -> Scores:
    """Train on facts, go on with revised and new ones, and see what became of each kind."""
    report = Scores()
    for regime, world in (("shared", _shared), ("absent", _absent)):
        base, news, held = world(seeds)
        _continue(report, regime, _Trained(seeds, base), (base, news, held))
    return report


class _Trained:
    """A network that knows some facts, one a seed."""

    def __init__(self, seeds: Sequence[int], base: Facts) -> None:
        outputs = 13  # of which facts that share answers use ten
        self.seeds, self.net = seeds, Population(lambda: mlp(64, 32, outputs), seeds)
        order = batches(seeds, base[1].shape[1], 60, 150)

        def loss(own: Params, step: int) -> Tensor:
            return cross_entropy(self.net(own, pick(base[0], order[step])), pick(base[1], order[step]))

        self.core = fit(self.net.params, loss, steps=150, lr=1e-2)


def _shared(seeds: Sequence[int]) -> tuple[Facts, Facts, dict[str, dict[str, Facts]]]:
    """Facts that all use the same ten answers: what is asked is told by how the digit is turned."""
    images, labels = digits()
    sizes = {"lasting": _FACTS, "outdated": _FACTS, "revised": _FACTS, "fresh": _FACTS}
    parts = split(labels, seeds, **sizes, validation=300, test=797)

    def facts(places: Tensor, turns: int, shift: int = 0) -> Facts:
        return turned(images[places], turns), (labels[places] + shift) % 10

    base = _join(facts(parts["lasting"], 0), facts(parts["outdated"], 1))
    news = _join(facts(parts["revised"], 1, 5), facts(parts["fresh"], 2))
    kinds = {"retained": (0, 0), "updated": (1, 5), "acquired": (2, 0)}
    held = {
        part: {kind: facts(parts[part], *how) for kind, how in kinds.items()}
        for part in ("validation", "test")
    }
    return base, news, held


def _absent(seeds: Sequence[int]) -> tuple[Facts, Facts, dict[str, dict[str, Facts]]]:
    """Facts whose answers tell their kind: 0 to 3 last, 4 to 6 become 10 to 12, 7 to 9 are new."""
    images, labels = digits()
    parts = split(labels, seeds, base=400, news=200, validation=300, test=797)

    def facts(places: Tensor, low: int, high: int, shift: int = 0) -> Facts:
        chosen = [own[(labels[own] >= low) & (labels[own] <= high)] for own in places]
        fewest = min(len(own) for own in chosen)
        kept = torch.stack([own[:fewest] for own in chosen])
        return images[kept], labels[kept] + shift

    base = facts(parts["base"], 0, 6)
    news = _join(facts(parts["news"], 4, 6, 6), facts(parts["news"], 7, 9))
    kinds = {"retained": (0, 3), "updated": (4, 6, 6), "acquired": (7, 9)}
    held = {
        part: {kind: facts(parts[part], *how) for kind, how in kinds.items()}
        for part in ("validation", "test")
    }
    return base, news, held


def _join(one: Facts, other: Facts) -> Facts:
    return torch.cat([one[0], other[0]], dim=1), torch.cat([one[1], other[1]], dim=1)


def _continue(
    report: Scores,
    regime: str,
    trained: _Trained,
    data: tuple[Facts, Facts, dict[str, dict[str, Facts]]],
) -> None:
    """Continue training in every arm and note FUAR, its parts and what the suite of 33 says."""
    base, (x, y), held = data
    seeds, net, grid = trained.seeds, trained.net, Grid(trained.seeds, _ARMS)
    start = grid.population(trained.core)
    outputs = start["2.weight"].shape[1]
    inner = torch.stack(
        [torch.randn(_WIDTH, 64, generator=torch.Generator().manual_seed(s)) / 8 for s in seeds]
    )
    params = start | {"inner": grid.spread(inner), "outer": torch.zeros(len(grid), outputs, _WIDTH)}
    moves = _moves(grid, start, _WIDTH * (64 + outputs))
    order = batches(seeds, y.shape[1], 60, _STEPS)
    again = batches([seed + 1000 for seed in seeds], base[1].shape[1], 60, _STEPS)

    reviews = grid.on("replay").nonzero()[:, 0]

    def logits(own: Params, inputs: Tensor) -> Tensor:
        core = {name: own[name] for name in start}
        return expanded(net(core, inputs), inputs, own["inner"], own["outer"])

    def loss(own: Params, step: int) -> Tensor:
        now, then = grid.spread(order[step]), grid.spread(again[step])[reviews]
        fitted = cross_entropy(logits(own, pick(grid.spread(x), now)), pick(grid.spread(y), now))
        some = {name: value[reviews] for name, value in own.items()}
        known, answers = (grid.spread(part)[reviews] for part in base)
        review = cross_entropy(logits(some, pick(known, then)), pick(answers, then))
        strays = torch.stack([((own[name] - start[name]) ** 2).flatten(1).sum(dim=1) for name in start])
        return (fitted + grid["pull"] * strays.sum(dim=0)).index_add(0, reviews, review)

    def constrain(grads: Params, _: int) -> Params:
        return {name: grad * moves[name] for name, grad in grads.items()}

    went_on = fit(params, loss, steps=_STEPS, lr=grid["lr"], decay=0, constrain=constrain)

    def score(own: Params, part: str) -> dict[str, Tensor]:
        return {
            kind: accuracy(logits(own, grid.spread(a)), grid.spread(b)) for kind, (a, b) in held[part].items()
        }

    chosen = grid.choose(torch.stack(list(score(went_on, "validation").values())).mean(dim=0))
    before, after = score(params, "test"), score(went_on, "test")
    matrix = torch.stack(
        [
            torch.stack([own["retained"], (own["updated"] + own["acquired"]) / 2], dim=-1)
            for own in (before, after)
        ],
        dim=-2,
    )
    measured = {
        "FUAR": fuar(before, after),
        **after,
        "forgotten": before["retained"] - after["retained"],
        "gained": after["updated"] - before["updated"] + after["acquired"] - before["acquired"],
        "performance maintenance": performance_maintenance(matrix),
        "backward transfer": backward_transfer(matrix),
    }
    for metric, values in measured.items():
        report.add(metric, grid.of(values, chosen), regime)


def _moves(grid: Grid, start: Params, count: int) -> Params:
    """Return which weights each row may change: all of the core, the adapter, or as many of the core."""
    core = grid.on("vanilla", "pull to start", "replay")
    few = []
    for seed in grid.seeds:
        size = sum(value[0].numel() for value in start.values())
        order = torch.randperm(size, generator=torch.Generator().manual_seed(seed + 7))
        few.append(torch.zeros(size).scatter(0, order[: min(count, size)], 1.0))
    chosen = grid.spread(torch.stack(few)) * grid.on("as few weights").unsqueeze(1) + core.unsqueeze(1)
    moves, begin = {}, 0
    for name, value in start.items():
        size = value[0].numel()
        moves[name] = chosen[:, begin : begin + size].reshape(value.shape)
        begin += size
    adapter = grid.on("expansion")[:, None, None]
    return moves | {"inner": adapter, "outer": adapter}
