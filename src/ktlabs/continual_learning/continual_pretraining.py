"""Continual pretraining: a language model goes from domain to domain, in an order that may matter."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ktlabs.bench.data import CHARACTERS, batches, passages, text, windows
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import CharacterModel, Params, Population, accuracy, fit
from ktlabs.bench.runner import Scores
from ktlabs.continual_learning.lifelong import suite

DOMAINS = ("scikit-learn", "numpy", "scipy", "torch", "special")
_CONTEXT, _BATCH, _BIT = 6, 40, 0.6931471805599453
_FIRST, _EACH = 250, 50
#: Units, and the rate of continual pretraining, chosen on development seeds by stand-alone adaptation.
_SIZES = {"large": (48, 1e-2), "small": (6, 3e-2)}
Data = tuple[Tensor, Tensor]


def similarity(one: Tensor, other: Tensor) -> Tensor:
    r"""Return how alike two texts are: the cosine of the square roots of their counts of trigrams.

    .. math:: \cos(u, v) = \sum_g \sqrt{p_g q_g}

    Parameters
    ----------
    one, other : Tensor, shape (length,)
        Character numbers.

    Returns
    -------
    Tensor, scalar
        From 0, no trigram in common, to 1.

    References
    ----------
    continual-pretraining, section on training order, which compares embeddings of sentences instead.
    """
    numbers = [(own[:-2] * CHARACTERS + own[1:-1]) * CHARACTERS + own[2:] for own in (one, other)]
    kinds, place = torch.unique(torch.cat(numbers), return_inverse=True)
    shares = []
    for own in place.split([len(own) for own in numbers]):
        counts = torch.bincount(own, minlength=len(kinds)).to(torch.get_default_dtype())
        shares.append((counts / counts.sum()).sqrt())
    return (shares[0] * shares[1]).sum()


def chain(alike: Tensor, *, most: bool) -> tuple[int, ...]:
    r"""Return the order in which neighbours are most alike on the whole, or least.

    .. math:: \max_\pi \sum_k a_{\pi_k \pi_{k+1}}

    Of an order and its reverse, the one that begins with the lower number.

    Parameters
    ----------
    alike : Tensor, shape (D, D)
        Symmetric similarities.
    most : bool
    """
    sign = 1 if most else -1
    orders = [order for order in itertools.permutations(range(len(alike))) if order[0] < order[-1]]
    return max(orders, key=lambda order: sign * sum(float(alike[a, b]) for a, b in itertools.pairwise(order)))


def run(seeds: Sequence[int]) -> Scores:
    """Pretrain two sizes, and lead them through five domains in two orders, or to each alone."""
    texts = [text(domain) for domain in DOMAINS]
    alike = torch.stack([torch.stack([similarity(a, b) for b in texts]) for a in texts])
    orders = {"similar order": chain(alike, most=True), "dissimilar order": chain(alike, most=False)}
    general = passages("networkx", seeds, first=100, more=100)
    parts = [passages(domain, seeds, train=30, test=30) for domain in DOMAINS]
    report, rates = Scores(), {}
    for size, (units, lr) in _SIZES.items():
        walk = _Walk(seeds, units, lr, parts)
        start = walk.learn(walk.net.params, general["first"], _FIRST, 3e-2)
        rates[size] = walk.compare(report, size, start, orders, general["more"])
    for metric in ("learnt", "forgotten"):
        report.add(metric, {size: own[metric] for size, own in rates.items()}, "sizes")
    return report


class _Walk:
    """A size of model, one a seed, and the domains it may be trained on."""

    def __init__(self, seeds: Sequence[int], units: int, lr: float, parts: list[dict[str, Tensor]]) -> None:
        self.seeds, self.lr, self.parts = seeds, lr, parts
        self.net = Population(partial(CharacterModel, units, _CONTEXT), seeds)
        self.held = [windows(own["test"], _CONTEXT, every=16) for own in parts]

    def learn(self, start: Params, own: Tensor, steps: int = _EACH, lr: float | None = None) -> Params:
        """Train on passages, shape (R, n, length); rows are seeds, within domains if there are more."""
        x, y = windows(own, _CONTEXT)
        times = len(y) // len(self.seeds)
        order = batches(self.seeds, y.shape[1], _BATCH, steps).repeat(1, times, 1)
        rows = torch.arange(len(y)).unsqueeze(1)

        def loss(now: Params, step: int) -> Tensor:
            return cross_entropy(self.net(now, x[rows, order[step]]), y[rows, order[step]])

        return fit(start, loss, steps=steps, lr=self.lr if lr is None else lr)

    def scores(self, params: Params) -> tuple[Tensor, Tensor]:
        """Return bits per character and the share of right guesses on every domain, shape (S, D)."""
        logits = [self.net(params, x) for x, _ in self.held]
        bits = [cross_entropy(own, y) / _BIT for own, (_, y) in zip(logits, self.held, strict=True)]
        right = [accuracy(own, y) for own, (_, y) in zip(logits, self.held, strict=True)]
        return torch.stack(bits, dim=-1), torch.stack(right, dim=-1)

    def alone(self, starts: list[Params]) -> Tensor:
        """Return the bits on each domain after training on it from its own start, averaged, shape (S,)."""
        start = {name: torch.cat([own[name] for own in starts]) for name in starts[0]}
        learnt = self.learn(start, torch.cat([own["train"] for own in self.parts]))
        x, y = (torch.cat(part) for part in zip(*self.held, strict=True))
        bits = cross_entropy(self.net(learnt, x), y) / _BIT
        return bits.reshape(len(self.parts), -1).mean(dim=0)

    def sequence(self, start: Params, order: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return bits and right guesses after each domain, on all in the order taken, shape (S, D, D)."""
        found, params = [], start
        for domain in order:
            params = self.learn(params, self.parts[domain]["train"])
            found.append(self.scores(params))
        bits, right = (torch.stack(own, dim=1)[..., list(order)] for own in zip(*found, strict=True))
        return bits, right

    def compare(
        self, report: Scores, size: str, start: Params, orders: dict[str, tuple[int, ...]], more: Tensor
    ) -> dict[str, Tensor]:
        """Note what each arm reaches; return what the similar order learnt and forgot, in bits."""
        zero, guessed = self.scores(start)
        after = {"stand-alone": self.alone([start] * len(DOMAINS)), "no adaptation": zero.mean(dim=-1)}
        longer, chained = [start], start
        for step in range(len(DOMAINS) - 1):  # as many updates as come before a domain, on general text
            share = more[:, step * 25 : (step + 1) * 25]
            chained = self.learn(chained, share)
            longer.append(chained)
        similar = orders["similar order"]
        after["more general text"] = self.alone([longer[similar.index(d)] for d in range(len(DOMAINS))])
        rates = {}
        for arm, order in orders.items():
            bits, right = self.sequence(start, order)
            learnt = bits.diagonal(dim1=-2, dim2=-1)
            after[arm] = learnt.mean(dim=-1)
            rates[arm] = {
                "learnt": (zero[:, list(order)] - learnt).mean(dim=-1),
                "forgotten": (bits[:, -1, :-1] - learnt[:, :-1]).mean(dim=-1),
            }
            measures = suite(right, guessed[:, list(order)]) | {"bits in the end": bits[:, -1].mean(dim=-1)}
            for metric, values in measures.items():
                report.add(metric, {arm: values}, size)
        report.add("bits per character", after, size)
        return rates["similar order"]
