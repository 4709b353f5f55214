"""Bits of knowledge per parameter: how exposures, size and quantisation move them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from ktlabs.bench.data import batches, pick
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import GRAIN, Params, Population, fit
from ktlabs.bench.runner import Scores

#: A key has three digits of 14 sorts; a value is one of 32, five bits.
_SORTS, _VALUES, _WIDTH = 14, 32, 3
_UNITS, _SIZES = 6, (4, 10, 25)


def learned_bits(logits: Tensor, values: Tensor) -> Tensor:
    r"""Return a lower bound on the bits about the values that each network holds, shape (...).

    .. math:: B = \Bigl[\sum_{i=1}^{N} \Bigl(\log_2 V - \frac{H_i}{\ln 2}\Bigr)\Bigr]_+

    with V possible values, all equally likely, and :math:`H_i` the cross-entropy of fact i in nats. What is
    told wrongly counts against what is told rightly; clamping each fact by itself would not.

    Parameters
    ----------
    logits : Tensor, shape (..., N, V)
        For the key of each fact.
    values : Tensor, shape (..., N)

    References
    ----------
    capacity-laws, definition of learned bits, for one attribute and names that need not be learnt.
    """
    facts, possible = logits.shape[-2:]
    return (facts * (math.log2(possible) - cross_entropy(logits, values) / math.log(2))).clamp(min=0)


def quantised(weights: Tensor, bits: int, *, by_row: bool) -> Tensor:
    r"""Round weights to the nearest of evenly spaced levels, symmetric around zero.

    .. math:: \hat w = s \,\mathrm{round}(w / s), \qquad s = \frac{\max \lvert w \rvert}{2^{b-1} - 1}

    Parameters
    ----------
    weights : Tensor, shape (..., rows, columns)
        Matrices, one for each network.
    bits : int
    by_row : bool
        A scale for each row, that is for each unit or digit, rather than one for the matrix.

    Raises
    ------
    ValueError
        If there are fewer than two bits, which leave no level beside zero.
    """
    if bits < 2:
        raise ValueError(f"{bits} bits leave no level beside zero: take two or more")
    largest = weights.abs().amax(dim=-1 if by_row else (-2, -1), keepdim=True)
    scale = (largest / (2 ** (bits - 1) - 1)).clamp(min=1e-12)
    rounded: Tensor = scale * (weights / scale).round()
    return rounded


class _Table(nn.Module):
    """From a key's digits to logits of its value, over embeddings and one layer of GELU units."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(3 * _SORTS, _WIDTH))
        self.hidden, self.head = nn.Linear(3 * _WIDTH, units), nn.Linear(units, _VALUES)

    def forward(self, digits: Tensor) -> Tensor:
        embedded = nnf.embedding(digits, self.embedding).flatten(-2)
        logits: Tensor = self.head(nnf.gelu(self.hidden(embedded)))
        return logits


def run(seeds: Sequence[int]) -> Scores:
    """Store facts for 100 and for 1000 exposures, in networks of several sizes, and round the weights."""
    few, many = _facts(seeds, 256), _facts(seeds, 2560)
    net = Population(partial(_Table, _UNITS), seeds)
    short = _store(seeds, net, [few], 128, [2e-1], steps=200)
    both = _store(seeds, net, [few, many], 128, [1e-1, 6e-2], steps=2000)
    long, wide = (
        {name: value[own] for name, value in both.items()}
        for own in (slice(len(seeds)), slice(len(seeds), None))
    )
    found = {
        "100 exposures": _bits(net, short, few),
        "1000 exposures": _bits(net, long, few),
        "100 exposures of ten times the facts": _bits(net, wide, many),
    }
    kept: dict[int, dict[str, Tensor]] = {8: {}, 4: {}}
    for arm, params in (("100 exposures", short), ("1000 exposures", long)):
        for bits, shares in kept.items():
            rounded = _tempered(net, _rounded(params, bits, by_row=True), few)
            shares[arm] = rounded / _tempered(net, params, few)
            if arm == "1000 exposures":
                found[f"int{bits}"] = _bits(net, _rounded(params, bits, by_row=True), few)
                found[f"int{bits} and a temperature"] = rounded
                found[f"int{bits}, one scale, and a temperature"] = _tempered(
                    net, _rounded(params, bits, by_row=False), few
                )
    scores = Scores()
    scores.add("bits per parameter", {arm: own / _size(_UNITS) for arm, own in found.items()})
    for bits, shares in kept.items():
        scores.add(f"share kept by int{bits}", shares)
    for metric, shown in _scaling(seeds).items():
        scores.add(metric, shown, "sizes")
    return scores


def _scaling(seeds: Sequence[int]) -> dict[str, dict[str, Tensor]]:
    """Store the same facts in networks of three sizes; return the slope of bits over parameters."""
    facts = _facts(seeds, 1024)
    found: dict[str, dict[str, Tensor]] = {
        "bits per parameter": {}, "slope": {}, "distance of the slope from 1": {}
    }  # fmt: skip
    for exposures in (30, 100):
        bits = []
        for units in _SIZES:
            net = Population(partial(_Table, units), seeds)
            bits.append(_bits(net, _store(seeds, net, [facts], 512, [1.5e-1], steps=2 * exposures), facts))
            if exposures == 100:
                found["bits per parameter"][f"{_size(units)} parameters"] = bits[-1] / _size(units)
        slope = _slope(torch.stack(bits))
        found["slope"][f"{exposures} exposures"] = slope
        found["distance of the slope from 1"][f"{exposures} exposures"] = (slope - 1).abs()
    return found


def _size(units: int) -> int:
    return sum(value.numel() for value in _Table(units).parameters())


def _slope(bits: Tensor) -> Tensor:
    """Return the least-squares slope of log bits, shape (sizes, S), over log parameters, shape (S,)."""
    sizes = torch.tensor([float(_size(units)) for units in _SIZES]).log()[:, None]
    off = sizes - sizes.mean()
    return (off * bits.log()).sum(dim=0) / off.square().sum()


def _facts(seeds: Sequence[int], count: int) -> tuple[Tensor, Tensor]:
    """Draw keys without repetition, shape (S, N, 3), and a value for each, shape (S, N)."""
    keys, values = [], []
    for seed in seeds:
        rng = np.random.default_rng((seed, 43))
        numbers = rng.permutation(_SORTS**3)[:count]
        keys.append(np.stack([numbers // _SORTS**place % _SORTS + _SORTS * place for place in range(3)], -1))
        values.append(rng.integers(0, _VALUES, count))
    return torch.tensor(np.stack(keys)), torch.tensor(np.stack(values))


def _store(
    seeds: Sequence[int],
    net: Population,
    sets: list[tuple[Tensor, Tensor]],
    batch: int,
    rates: list[float],
    *,
    steps: int,
) -> Params:
    """Train a network a set and seed; each set has its own learning rate."""
    orders = [batches(seeds, values.shape[1], batch, steps) for _, values in sets]

    def loss(params: Params, step: int) -> Tensor:
        keys, values = (
            torch.cat([pick(own[part], order[step]) for own, order in zip(sets, orders, strict=True)])
            for part in (0, 1)
        )
        return cross_entropy(net(params, keys), values)

    start = {name: torch.cat([value] * len(sets)) for name, value in net.params.items()}
    return fit(start, loss, steps=steps, lr=torch.tensor(rates).repeat_interleave(len(seeds)), grain=GRAIN)


def _rounded(params: Params, bits: int, *, by_row: bool) -> Params:
    """Round the matrices and leave the biases, as is usual."""
    return {
        name: value if "bias" in name else quantised(value, bits, by_row=by_row)
        for name, value in params.items()
    }


def _bits(net: Population, params: Params, facts: tuple[Tensor, Tensor]) -> Tensor:
    return learned_bits(net(params, facts[0]), facts[1])


def _tempered(net: Population, params: Params, facts: tuple[Tensor, Tensor]) -> Tensor:
    """Return the bits at the best of 40 temperatures, which mends a network that is too sure of itself."""
    logits = net(params, facts[0])
    return torch.stack([learned_bits(logits / t, facts[1]) for t in torch.logspace(-0.3, 1.5, 40)]).amax(
        dim=0
    )
