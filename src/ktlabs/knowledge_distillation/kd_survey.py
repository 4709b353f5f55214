"""What a survey sorts by divergence: the same small language model distilled in six ways."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ktlabs.bench.data import batches, passages, pick, windows
from ktlabs.bench.losses import cross_entropy, kl
from ktlabs.bench.nets import CharacterModel, Grid, Params, Population, fit
from ktlabs.bench.runner import Scores

_CONTEXT, _BIT, _SHARPER = 6, 0.6931471805599453, 1.25
_RATES = [{"lr": rate} for rate in (1e-2, 3e-2)]
_ARMS = ("text alone", "samples", "forward KL", "reverse KL", "Jensen-Shannon", "sharpened forward KL")


def reverse_kl(teacher: Tensor, student: Tensor) -> Tensor:
    r"""Return the mean over examples of the reverse divergence of teacher and student, in nats.

    .. math:: \mathrm{KL}(p_S \,\|\, p_T) = \sum_y p_S(y) \log \frac{p_S(y)}{p_T(y)}

    Costs nothing where the student gives no probability, so it may leave out what the teacher does.

    Parameters
    ----------
    teacher, student : Tensor, shape (..., n, C)
        Logits.

    References
    ----------
    kd-survey, section on divergence and similarity.
    """
    return kl(student.softmax(dim=-1), teacher)


def jensen_shannon(teacher: Tensor, student: Tensor) -> Tensor:
    r"""Return the mean over examples of the Jensen-Shannon divergence, in nats; shapes as `reverse_kl`.

    .. math:: \tfrac12 \mathrm{KL}(p_T \,\|\, m) + \tfrac12 \mathrm{KL}(p_S \,\|\, m),
        \quad m = \tfrac12 (p_T + p_S)
    """
    theirs, own = teacher.softmax(dim=-1), student.softmax(dim=-1)
    middle = ((theirs + own) / 2).clamp(min=1e-300).log()
    return (kl(theirs, middle) + kl(own, middle)) / 2


def coverage(teacher: Tensor, student: Tensor, least: float = 0.01) -> Tensor:
    """Return the share of what the teacher thinks possible that the student thinks possible too.

    Parameters
    ----------
    teacher, student : Tensor, shape (..., n, C)
        Logits.
    least : float, optional
        Probability from which an answer counts as possible.

    Returns
    -------
    Tensor, shape (...)
        From 0 to 1, over all answers of all examples.
    """
    theirs, own = teacher.softmax(dim=-1) > least, student.softmax(dim=-1) > least
    both = (theirs & own).sum(dim=(-2, -1)).to(teacher.dtype)
    return both / theirs.sum(dim=(-2, -1)).clamp(min=1)


def run(seeds: Sequence[int]) -> Scores:
    """Distil a teacher of 48 units into students of 6, on text of which the teacher saw other parts."""
    parts = passages("numpy", seeds, teacher=160, train=30, validation=12, test=36)
    seen = {
        name: windows(own, _CONTEXT, 1 if name in ("teacher", "train") else 8) for name, own in parts.items()
    }
    net = Population(partial(CharacterModel, 48, _CONTEXT), seeds)
    order = batches(seeds, seen["teacher"][1].shape[1], 48, 250)

    def loss(own: Params, step: int) -> Tensor:
        x, y = (pick(part, order[step]) for part in seen["teacher"])
        return cross_entropy(net(own, x), y)

    teacher = fit(net.params, loss, steps=250, lr=3e-2)
    theirs = {name: net(teacher, seen[name][0]) for name in ("train", "validation", "test")}
    return _distil(seeds, seen, theirs)


def _distil(
    seeds: Sequence[int], seen: dict[str, tuple[Tensor, Tensor]], theirs: dict[str, Tensor]
) -> Scores:
    """Train the students of every arm on the same windows, and score each at its best rate."""
    grid, net = (
        Grid(seeds, dict.fromkeys(_ARMS, _RATES)),
        Population(partial(CharacterModel, 6, _CONTEXT), seeds),
    )
    x, y = seen["train"]
    drawn = torch.stack([_sampled(own, seed) for own, seed in zip(theirs["train"], seeds, strict=True)])
    order = batches([seed + 1000 for seed in seeds], y.shape[1], 48, 160)
    each = len(_RATES)

    def loss(own: Params, step: int) -> Tensor:
        now = order[step]
        answers, sampled = (pick(part, now).repeat(each, 1) for part in (y, drawn))
        teacher = pick(theirs["train"], now).repeat(each, 1, 1)
        students = net(own, grid.spread(pick(x, now))).chunk(len(_ARMS))
        soft = teacher.softmax(dim=-1)
        found = [
            cross_entropy(students[0], answers),
            cross_entropy(students[1], sampled),
            kl(soft, students[2]),
            reverse_kl(teacher, students[3]),
            jensen_shannon(teacher, students[4]),
            kl((teacher * _SHARPER).softmax(dim=-1), students[5]),
        ]
        return torch.cat(found)

    trained = fit(grid.population(net.params), loss, steps=160, lr=grid["lr"])

    def scored(part: str) -> dict[str, Tensor]:
        before, after = seen[part]
        logits, teacher = net(trained, grid.spread(before)), grid.spread(theirs[part])
        spread = logits.log_softmax(dim=-1)
        return {
            "coverage": coverage(teacher, logits),
            "bits per character": cross_entropy(logits, grid.spread(after)) / _BIT,
            "entropy": -(spread.exp() * spread).sum(dim=-1).mean(dim=-1) / _BIT,
        }

    chosen = grid.choose(scored("validation")["bits per character"], better="lower")
    report = Scores()
    for metric, values in scored("test").items():
        report.add(metric, grid.of(values, chosen))
    return report


def _sampled(teacher: Tensor, seed: int) -> Tensor:
    """Draw one answer an example from a teacher's logits of shape (n, C), the same for a seed."""
    coins = torch.rand(len(teacher), 1, generator=torch.Generator().manual_seed(seed))
    return (teacher.softmax(dim=-1).cumsum(dim=-1) < coins).sum(dim=-1).clamp(max=teacher.shape[-1] - 1)
