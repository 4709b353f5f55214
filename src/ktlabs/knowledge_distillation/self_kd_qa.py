"""Self-distillation whose weight is how well the teacher ranks the right answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.losses import cross_entropy, distillation
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores

_LANGUAGES, _ITEMS, _GENERATIONS, _STEPS, _BATCH, _TOP = 4, 60, 3, 35, 20, 3
_PLAIN = [{"lr": rate} for rate in (1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2)]
_KNOBS = [{"lr": rate, "tau": tau} for rate in (2e-3, 5e-3, 1e-2) for tau in (1.0, 2.0)]
_ARMS = {
    "cross-entropy": _PLAIN, "fixed coefficient": _KNOBS, "mAP@k": _KNOBS, "mAP@k, held out": _KNOBS
}  # fmt: skip


def map_at_k(logits: Tensor, labels: Tensor, k: int) -> Tensor:
    r"""Return the mean average precision among the first k answers, one value a network.

    .. math:: c = \frac{1}{n} \sum_x \frac{[r(x) \le k]}{r(x)}

    An item has one right answer, so its average precision is one over that answer's rank r.

    Parameters
    ----------
    logits : Tensor, shape (..., n, C)
        Of the teacher.
    labels : Tensor, shape (..., n)
    k : int

    Returns
    -------
    Tensor, shape (...)
        From 0 to 1.

    References
    ----------
    self-kd-qa, and its official code, ``src/utils.py`` (there also positions next to the right one count).
    """
    right = logits.gather(-1, labels.unsqueeze(-1))
    rank = 1 + (logits > right).sum(dim=-1)
    return ((rank <= k) / rank).to(logits.dtype).mean(dim=-1)


def self_distillation(
    student: Tensor, labels: Tensor, teacher: Tensor, coefficient: Tensor, temperature: Tensor
) -> Tensor:
    r"""Return the loss of a generation, one value a network.

    .. math:: L = \mathrm{CE}(z, y) + c \, \tau^2 \, \mathrm{KL}(p_T^\tau \,\|\, p^\tau)

    Parameters
    ----------
    student, teacher : Tensor, shape (P, n, C)
        Logits; the teacher is the student as it was when the generation began.
    labels : Tensor, shape (P, n)
    coefficient : Tensor, shape (P,)
        As `map_at_k` gives it for the teacher.
    temperature : Tensor, shape (P,)

    References
    ----------
    self-kd-qa, and its official code, ``src/run_squad_w_distillation.py`` (the sum, not a weighted mean).
    """
    return cross_entropy(student, labels) + coefficient * distillation(teacher, student, temperature)


def run(seeds: Sequence[int]) -> Scores:
    """Learn one language from many items, then all pairs of languages from 60 items that are aligned."""
    images, labels = digits()
    parts = split(labels, seeds, pretrain=600, train=_ITEMS, held=_ITEMS, validation=200, test=800)
    pools = {name: (images[places], labels[places]) for name, places in parts.items()}
    codes = _codes(seeds)
    net = Population(lambda: mlp(64, 32, 10), seeds)
    x, y = pools["pretrain"]
    order = batches(seeds, 600, 50, 150)
    pretrained = fit(
        net.params,
        lambda p, step: cross_entropy(net(p, pick(x, order[step])), pick(y, order[step])),
        steps=150,
        lr=1e-2,
    )
    grid = Grid(seeds, _ARMS)
    trained, coefficients = _adapt(grid, net, pretrained, pools, codes)
    found = {}
    for part in ("validation", "test"):
        x, y = pools[part]
        by_pair = [
            accuracy(net(trained, grid.spread(_encode(x, codes, *_pair(pair, x)))), grid.spread(y))
            for pair in range(_LANGUAGES**2)
        ]
        found[part] = torch.stack(by_pair).mean(dim=0)
    chosen, scores = grid.choose(found["validation"]), Scores()
    scores.add("accuracy", grid.of(found["test"], chosen))
    last = grid.of(coefficients, chosen)
    scores.add("coefficient", {arm: last[arm] for arm in ("mAP@k", "mAP@k, held out")})
    return scores


def _adapt(
    grid: Grid,
    net: Population,
    pretrained: Params,
    pools: dict[str, tuple[Tensor, Tensor]],
    codes: Tensor,
) -> tuple[Params, Tensor]:
    """Train over the generations; return the students and the mean coefficient in the last one, (P,)."""
    params = grid.population(pretrained)
    order = batches(grid.seeds, _ITEMS, _BATCH, _GENERATIONS * _STEPS)
    fixed, by_rank, held = (grid.on(arm) for arm in ("fixed coefficient", "mAP@k", "mAP@k, held out"))
    tau = torch.where(grid["tau"] > 0, grid["tau"], torch.ones(len(grid)))
    pairs = _pairs(grid.seeds, len(order))
    coefficients = torch.zeros(len(grid))

    def batch(part: str, step: int) -> tuple[Tensor, Tensor]:
        (x, y), at = pools[part], order[step]
        return grid.spread(_encode(pick(x, at), codes, *pairs[step])), grid.spread(pick(y, at))

    for generation in range(_GENERATIONS):
        teacher, begin, used = params, generation * _STEPS, []

        def loss(own: Params, step: int, begin: int = begin, teacher: Params = teacher) -> Tensor:
            (x, y), (other, truth) = batch("train", begin + step), batch("held", begin + step)
            with torch.no_grad():
                wanted = net(teacher, x)
                ranked = map_at_k(wanted, y, _TOP)
                outside = map_at_k(net(teacher, other), truth, _TOP)
            coefficient = fixed + by_rank * ranked + held * outside
            used.append(coefficient)  # noqa: B023 - read before the next generation
            return self_distillation(net(own, x), y, wanted, coefficient, tau)

        params = fit(params, loss, steps=_STEPS, lr=grid["lr"])
        coefficients = torch.stack(used).mean(dim=0)
    return params, coefficients


def _codes(seeds: Sequence[int]) -> Tensor:
    """Return the order of pixels in each language, shape (S, L, 64); later ones move more of each half."""
    columns = np.arange(64) % 8
    drawn = []
    for seed in seeds:
        rng, own = np.random.default_rng((seed, 9)), []
        for language in range(_LANGUAGES):
            order = np.arange(64)
            for half in (np.flatnonzero(columns < 4), np.flatnonzero(columns >= 4)):
                some = rng.permutation(half)[: 8 * language]
                order[some] = rng.permutation(some)
            own.append(order)
        drawn.append(own)
    return torch.tensor(np.array(drawn))


def _encode(x: Tensor, codes: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Put images' left halves in one language and their right halves in another, item by item."""
    seed = torch.arange(len(x))[:, None]
    west = (torch.arange(64) % 8 < 4).expand(x.shape)
    return x.gather(-1, torch.where(west, codes[seed, left], codes[seed, right]))


def _pair(pair: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return one pair of languages for all items."""
    left, right = divmod(pair, _LANGUAGES)
    return torch.full(x.shape[:2], left), torch.full(x.shape[:2], right)


def _pairs(seeds: Sequence[int], steps: int) -> list[tuple[Tensor, Tensor]]:
    """Return a random pair of languages for every item of every step's batch."""
    drawn = [
        np.random.default_rng((seed, 10)).integers(_LANGUAGES, size=(steps, 2, _BATCH)) for seed in seeds
    ]
    both = torch.tensor(np.stack(drawn, axis=2))
    return [(own[0], own[1]) for own in both]
