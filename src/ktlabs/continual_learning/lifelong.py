"""Measure lifelong learning from a matrix of scores and from learning curves.

Tasks are learnt one after another, and all are scored after each:

==========  =================  ====================================================================
input       shape              what it is
==========  =================  ====================================================================
`scores`    (..., T, T)        ``scores[..., i, j]``: score on task j after training up to task i
`before`    (..., T)           score on each task before any training
`curves`    (..., T, n)        score on each task at n evenly spaced times while it is being learnt
`experts`   (..., T, n)        the same for a model of the same make that learns that task alone
==========  =================  ====================================================================

Scores are shares from 0 to 1, of which more is better. Leading dimensions, such as the rows of a
population, stay. Every function is pure and gives one value a row; `suite` gives them all.

What is followed is the package l2metrics, version of June 2022, with which the paper's systems were
measured: `performance_maintenance` with "most recent learning evaluation" as its reference, `transfer`
with the contrast, means over tasks and over pairs of tasks. ACC, BWT and forgetting are the older
measures, which most papers on continual learning report. Two departures: scores are not rescaled by
the range seen over the lifetime, and tasks come once each, so the first evaluation after training on
a task is also the most recent one.

References
----------
lifelong-metrics (the definitions were read from the package, not from the paper); A. New, M. Baker,
E. Nguyen and G. Vallabha, Lifelong Learning Metrics (2022); l2metrics,
https://github.com/lifelong-learning-systems/l2metrics.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ktlabs.bench.nets import Params


def average_accuracy(scores: Tensor) -> Tensor:
    """Return ACC, the mean score over all tasks in the end, from 0 to 1.

    References
    ----------
    D. Lopez-Paz and M. Ranzato, Gradient Episodic Memory for Continual Learning (2017), equation 2.
    """
    return scores[..., -1, :].mean(dim=-1)


def plasticity(scores: Tensor) -> Tensor:
    """Return the mean score on each task just after it was learnt, from 0 to 1."""
    return scores.diagonal(dim1=-2, dim2=-1).mean(dim=-1)


def backward_accuracy(scores: Tensor) -> Tensor:
    """Return BWT, how much the score on a task changed from when it was learnt to the end.

    From -1, all forgotten, to 1; the last task does not count.

    References
    ----------
    D. Lopez-Paz and M. Ranzato, Gradient Episodic Memory for Continual Learning (2017), equation 3.
    """
    learnt = scores.diagonal(dim1=-2, dim2=-1)
    return (scores[..., -1, :-1] - learnt[..., :-1]).mean(dim=-1)


def forgetting(scores: Tensor) -> Tensor:
    """Return how far the score on a task fell from its best to the end; the last task does not count.

    From -1 to 1, where less is better; negative where the end is better than any time before.

    References
    ----------
    A. Chaudhry, P. K. Dokania, T. Ajanthan and P. H. S. Torr, Riemannian Walk for Incremental Learning
    (2018), section 3.2.
    """
    best = scores[..., :-1, :-1].amax(dim=-2)
    return (best - scores[..., -1, :-1]).mean(dim=-1)


def performance_maintenance(scores: Tensor) -> Tensor:
    r"""Return how well tasks keep their score while others are learnt.

    .. math:: \mathrm{PM} = \frac{1}{T - 1} \sum_{j < T} \frac{1}{T - j} \sum_{i > j} (R_{ij} - R_{jj})

    The mean over all later evaluations of a task, then over tasks. From -1 to 1; 0 is no change. Unlike
    BWT it sees what happens on the way.

    References
    ----------
    lifelong-metrics (performance maintenance); l2metrics, ``performance_maintenance.py``.
    """
    tasks = scores.shape[-1]
    kept = [(scores[..., j + 1 :, j] - scores[..., j, j, None]).mean(dim=-1) for j in range(tasks - 1)]
    return torch.stack(kept, dim=-1).mean(dim=-1)


def contrast(earlier: Tensor, later: Tensor) -> Tensor:
    r"""Return :math:`(b - a) / (a + b)` of two scores, from -1 to 1; 0 where both are 0."""
    total = earlier + later
    return torch.where(total == 0, 0.0, (later - earlier) / torch.where(total == 0, 1.0, total))


def backward_transfer(scores: Tensor) -> Tensor:
    r"""Return how learning a task changes the score on those learnt earlier.

    .. math:: \mathrm{BT} = \operatorname{mean}_{j < i} \frac{R_{ij} - R_{i-1,j}}{R_{ij} + R_{i-1,j}}

    From -1 to 1; 0 is no change.

    References
    ----------
    lifelong-metrics (backward transfer, contrast); l2metrics, ``transfer.py``.
    """
    tasks = scores.shape[-1]
    pairs = [contrast(scores[..., i - 1, j], scores[..., i, j]) for i in range(1, tasks) for j in range(i)]
    return torch.stack(pairs, dim=-1).mean(dim=-1)


def forward_transfer(scores: Tensor, before: Tensor) -> Tensor:
    r"""Return how learning a task changes the score on those that have yet to be learnt.

    .. math:: \mathrm{FT} = \operatorname{mean}_{i < j} \frac{R_{ij} - R_{i-1,j}}{R_{ij} + R_{i-1,j}}

    The row before the first is `before`. From -1 to 1; 0 is no change.

    References
    ----------
    lifelong-metrics (forward transfer, contrast); l2metrics, ``transfer.py``.
    """
    tasks = scores.shape[-1]
    rows = torch.cat([before.unsqueeze(-2), scores], dim=-2)
    pairs = [
        contrast(rows[..., i, j], rows[..., i + 1, j]) for i in range(tasks - 1) for j in range(i + 1, tasks)
    ]
    return torch.stack(pairs, dim=-1).mean(dim=-1)


def relative_performance(curves: Tensor, experts: Tensor) -> Tensor:
    r"""Return the area under a task's learning curve as a share of the single-task expert's.

    .. math:: \mathrm{RP} = \operatorname{mean}_j \frac{\sum_k c_{jk}}{\sum_k e_{jk}}

    From 0; above 1 where what came before helps to learn.

    References
    ----------
    lifelong-metrics (performance relative to a single-task expert); l2metrics,
    ``ste_relative_performance.py``.
    """
    return (curves.sum(dim=-1) / experts.sum(dim=-1)).mean(dim=-1)


def saturation(curve: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best value of a smoothed learning curve and when it is first reached.

    Parameters
    ----------
    curve : Tensor, shape (..., n)

    Returns
    -------
    tuple of Tensor
        The value, and its place counted from 1, both of shape (...).

    References
    ----------
    l2metrics, ``get_block_saturation_perf``: a moving average over a fifth of the points, at most 100
    of them, with the ends mirrored, and none at all if that is fewer than 3.
    """
    n = curve.shape[-1]
    window = min(n // 5, 100)
    smooth = curve
    if window >= 3:
        before, after = (window - 1) // 2, window // 2
        ends = (curve[..., 1 : before + 1].flip(-1), curve, curve[..., n - 1 - after : n - 1].flip(-1))
        smooth = torch.cat(ends, dim=-1).unfold(-1, window, 1).mean(dim=-1)
    best = smooth.amax(dim=-1, keepdim=True)
    first = (smooth == best).to(torch.get_default_dtype()).argmax(dim=-1) + 1
    return best.squeeze(-1), first.to(curve.dtype)


def sample_efficiency(curves: Tensor, experts: Tensor) -> Tensor:
    r"""Return how high and how fast tasks are learnt compared with a single-task expert.

    .. math:: \mathrm{SE} = \operatorname{mean}_j
        \frac{\mathrm{sat}(c_j)}{\mathrm{sat}(e_j)} \cdot \frac{\mathrm{time}(e_j)}{\mathrm{time}(c_j)}

    From 0; above 1 where a task is learnt better or sooner than alone. A task counts as 0 if its curve
    falls on the whole, or stays below a fifth of what the expert reaches, and is left out if its curve or
    the expert's is best at the first point; 0 if all are left out. Since the time is that of the maximum,
    a curve that creeps up to its end is called slow, and a network that does not learn at all can score 1
    for tasks that it learnt before: this is the noisiest measure here and the easiest to fool.

    References
    ----------
    lifelong-metrics (sample efficiency); l2metrics, ``sample_efficiency.py``.
    """
    (own, when), (best, soon) = saturation(curves), saturation(experts)
    n = curves.shape[-1]
    times = torch.arange(n, dtype=curves.dtype) - (n - 1) / 2
    learns = ((curves * times).sum(dim=-1) >= 0) & (own >= 0.2 * best)
    values = torch.where(learns, own / best * (soon / when), 0.0)
    counts = ((when > 1) & (soon > 1)).to(values.dtype)
    return (values * counts).sum(dim=-1) / counts.sum(dim=-1).clamp(min=1)


def suite(
    scores: Tensor,
    before: Tensor | None = None,
    curves: Tensor | None = None,
    experts: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return all measures that the inputs allow, by the name under which labs report them.

    Parameters
    ----------
    scores : Tensor, shape (..., T, T)
    before : Tensor, shape (..., T), optional
        For forward transfer.
    curves, experts : Tensor, shape (..., T, n), optional
        Both, for what needs a single-task expert.

    Returns
    -------
    dict of str to Tensor
        Each of shape (...).

    Raises
    ------
    ValueError
        If the matrix is not square, or has fewer than two tasks.
    """
    tasks = scores.shape[-1]
    if scores.shape[-2] != tasks or tasks < 2:
        raise ValueError(f"scores of shape {tuple(scores.shape)}: as many rows as tasks, two at least")
    found = {
        "accuracy": average_accuracy(scores),
        "plasticity": plasticity(scores),
        "BWT": backward_accuracy(scores),
        "forgetting": forgetting(scores),
        "performance maintenance": performance_maintenance(scores),
        "backward transfer": backward_transfer(scores),
    }
    if before is not None:
        found["forward transfer"] = forward_transfer(scores, before)
    if curves is not None and experts is not None:
        found["relative performance"] = relative_performance(curves, experts)
        found["sample efficiency"] = sample_efficiency(curves, experts)
    return found


class Watched:
    """A loss that also notes a score as training goes on, to draw a learning curve.

    Parameters
    ----------
    loss : callable
        As `fit` takes it.
    score : callable
        From the parameters to one value a row, shape (P,).
    every : int
        The score is noted before each `every`-th step, the first excepted.
    """

    def __init__(
        self, loss: Callable[[Params, int], Tensor], score: Callable[[Params], Tensor], every: int
    ) -> None:
        self._loss, self._score, self._every = loss, score, every
        self._noted: list[Tensor] = []

    def __call__(self, params: Params, step: int) -> Tensor:
        """Return the loss."""
        if step and step % self._every == 0:
            self._noted.append(self._now(params))
        return self._loss(params, step)

    def _now(self, params: Params) -> Tensor:
        with torch.no_grad():
            return self._score(params).clone()

    def curve(self, trained: Params) -> Tensor:
        """Return what was noted and the score in the end, shape (P, n)."""
        return torch.stack([*self._noted, self._now(trained)], dim=-1)
