"""Emulated fine-tuning: a large model borrows what fine-tuning changed in a small one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ktlabs.bench.data import batches, passages, pick, windows
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import CharacterModel, Grid, Params, Population, fit
from ktlabs.bench.runner import Scores

_LARGE, _SMALL, _CONTEXT = 48, 6, 6
_RATES = [{"lr": rate} for rate in (3e-3, 1e-2, 3e-2)]
_BIT = 0.6931471805599453


def emulated(large: Tensor, small_tuned: Tensor, small: Tensor) -> Tensor:
    r"""Return the log-probabilities of a large model as if it had been fine-tuned.

    .. math:: \log \tilde p(y \mid x) = \log p_L(y \mid x)
        + \log \frac{p_S^{ft}(y \mid x)}{p_S(y \mid x)} - \log Z(x)

    The ratio is what fine-tuning changed at small scale; the large model is not trained.

    Parameters
    ----------
    large, small_tuned, small : Tensor, shape (..., n, C)
        Logits or log-probabilities of the large pretrained, the small fine-tuned and the small
        pretrained model.

    Returns
    -------
    Tensor, shape (..., n, C)
        Log-probabilities, in nats.

    References
    ----------
    eft, section 3 (up-scaling), with the paper's factor of 1 on the change.
    """
    change = small_tuned.log_softmax(dim=-1) - small.log_softmax(dim=-1)
    return (large.log_softmax(dim=-1) + change).log_softmax(dim=-1)


def averaged(large: Tensor, small_tuned: Tensor) -> Tensor:
    r"""Return the plain average of two models' log-probabilities, renormalised.

    .. math:: \tfrac12 (\log p_L + \log p_S^{ft}) - \log Z

    Knows as much of both as `emulated` does and takes nothing away; shapes as there.
    """
    mean = (large.log_softmax(dim=-1) + small_tuned.log_softmax(dim=-1)) / 2
    return mean.log_softmax(dim=-1)


def run(seeds: Sequence[int]) -> Scores:
    """Pretrain two sizes, fine-tune both on a little text of a domain, and combine them."""
    sizes = {units: Population(partial(CharacterModel, units, _CONTEXT), seeds) for units in (_LARGE, _SMALL)}
    general = windows(passages("networkx", seeds, train=100)["train"], _CONTEXT)
    pretrained = {
        units: _train(net, net.params, general, seeds, lr=3e-2, steps=300) for units, net in sizes.items()
    }
    report = Scores()
    for domain in ("scikit-learn", "torch"):
        parts = passages(domain, seeds, tune=6, validation=12, test=36)
        report.add("bits per character", _domain(seeds, sizes, pretrained, parts), domain)
    return report


def _train(
    net: Population,
    start: Params,
    data: tuple[Tensor, Tensor],
    seeds: Sequence[int],
    *,
    lr: float | Tensor,
    steps: int,
) -> Params:
    """Train rows of a population, seeds within settings, on what each seed has."""
    x, y = data
    times = len(next(iter(start.values()))) // len(seeds)
    order = batches(seeds, y.shape[1], 48, steps)

    def loss(own: Params, step: int) -> Tensor:
        before, after = pick(x, order[step]), pick(y, order[step])
        return cross_entropy(net(own, before.repeat(times, 1, 1)), after.repeat(times, 1))

    return fit(start, loss, steps=steps, lr=lr)


def _domain(
    seeds: Sequence[int],
    sizes: dict[int, Population],
    pretrained: dict[int, Params],
    parts: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Return the test bits per character of every arm, each at the rate that validation prefers."""
    grid = Grid(
        seeds,
        dict.fromkeys(("small fine-tuned", "emulated", "plain average", "large fine-tuned"), _RATES)
        | {"large pretrained": [{}], "small pretrained": [{}]},
        untuned=["large pretrained", "small pretrained"],
    )
    rates = torch.tensor([setting["lr"] for setting in _RATES]).repeat_interleave(len(seeds))
    tuned = {}
    for units, net in sizes.items():
        start = {name: torch.cat([value] * len(_RATES)) for name, value in pretrained[units].items()}
        tuned[units] = _train(net, start, windows(parts["tune"], _CONTEXT), seeds, lr=rates, steps=60)

    def bits(part: str) -> Tensor:
        x, y = windows(parts[part], _CONTEXT, every=8)
        times = len(_RATES)
        before = {units: net(pretrained[units], x) for units, net in sizes.items()}
        after = {units: net(tuned[units], x.repeat(times, 1, 1)) for units, net in sizes.items()}
        large, small = (before[units].repeat(times, 1, 1) for units in (_LARGE, _SMALL))
        found = [
            after[_SMALL],
            emulated(large, after[_SMALL], small),
            averaged(large, after[_SMALL]),
            after[_LARGE],
            before[_LARGE],
            before[_SMALL],
        ]
        return torch.cat([cross_entropy(own, y.repeat(len(own) // len(y), 1)) for own in found]) / _BIT

    return grid.of(bits("test"), grid.choose(bits("validation"), better="lower"))
