"""Corpus-invariant tuning: a reader that may use a passage and must not learn it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import GRAIN, Grid, Params, accuracy, fit
from ktlabs.bench.reader import Cases, Mix, World
from ktlabs.bench.runner import Scores

#: What stands beside a question: the passage with the answer in seven of ten cases, else other passages.
_RETRIEVED: Mix = {("true", "none"): 0.7, ("other", "none"): 0.3}
_FOUND: Mix = {("true", "none"): 1}
_PENALISED = ("CIT", "CIT, two-sided", "CIT on other passages")
_RATES = [{"lr": rate} for rate in (1e-3, 3e-3, 1e-2)]
_ARMS = dict.fromkeys(("standard", "weight decay", *_PENALISED), _RATES)
_STRENGTH, _DECAY, _LEAST = 1.0, 1e-3, 1e-9
_FACTS, _NEW, _STEPS, _BATCH = 64, 32, 150, 16


def growth(now: Tensor, before: Tensor) -> Tensor:
    r"""Return how far passages have become likelier than they were, in nats.

    .. math:: L_{\mathrm{CIT}} = \frac1n \sum_{c} \bigl[\log p_\theta(c) - \log p_{\theta_0}(c)\bigr]_+

    What a passage loses in likelihood is not paid back: a reader may forget, and must not memorise. Growth
    below `_LEAST` counts as none: before the first step it is rounding alone.

    Parameters
    ----------
    now, before : Tensor, shape (..., n)
        Log-likelihood of each retrieved passage under the reader, and under the reader before tuning.

    Returns
    -------
    Tensor, shape (...)

    References
    ----------
    cit, corpus-invariant tuning; one-sided as notes on its text describe it.
    """
    return (now - before - _LEAST).relu().mean(dim=-1)


def run(seeds: Sequence[int]) -> Scores:
    """Tune readers that can copy on a corpus; then change its facts, or ask about a new domain."""
    world = World(seeds, _FACTS + _NEW)
    start = world.pretrain(None, {("false", "none"): 1}, _STEPS, grain=GRAIN)
    parts = world.parts(validation=20, test=44, new=_NEW)
    corpus = [np.concatenate(own) for own in zip(parts["validation"], parts["test"], strict=True)]
    grid = Grid(seeds, _ARMS)
    tuned = _tune(world, grid, start, corpus)

    def score(part: str, mix: Mix, purpose: int) -> Tensor:
        cases = world.draw(parts[part], mix, 200, purpose).spread(len(grid))
        return accuracy(world.readers(tuned, cases), cases.labels)

    asked = world.draw(parts["test"], _FOUND, 200, 52).spread(len(grid))
    held = _likelihood(world, tuned, asked)
    scored = {
        "original, found": score("test", _FOUND, 52),
        "original, missed": score("test", {("other", "none"): 1}, 52),
        "changed": score("test", {("false", "none"): 1}, 52),
        "new domain": score("new", _FOUND, 52),
        "memorised": held.exp().mean(dim=-1),
    }
    scored["original"] = 0.7 * scored["original, found"] + 0.3 * scored["original, missed"]
    report = Scores()
    for regime, mix in (("found", _FOUND), ("as-trained", _RETRIEVED)):
        chosen = grid.choose(score("validation", mix, 51))
        for metric, values in scored.items():
            report.add(metric, grid.of(values, chosen), regime)
    return report


def _tune(world: World, grid: Grid, start: Params, corpus: Sequence[np.ndarray]) -> Params:
    """Tune all arms on the same questions; some passages that are penalised are about other names."""
    order = world.draw(corpus, _RETRIEVED, _STEPS * _BATCH, 50).steps(_STEPS)
    spare = np.arange(world.subjects, world.memory.shape[1])
    others = world.draw([spare] * len(world.seeds), _FOUND, _STEPS * _BATCH, 53).steps(_STEPS)
    first = len(grid) - int(grid.on(*_PENALISED).sum())  # of the rows that are penalised, all at the end
    sides, elsewhere = (grid.on(arm)[first:] > 0 for arm in _PENALISED[1:])

    def penalty(params: Params, step: int) -> Tensor:
        own = {name: value[first:] for name, value in params.items()}
        chosen = [
            torch.where(elsewhere.reshape(-1, *[1] * (a.dim() - 1)), b, a)
            for a, b in zip(passages[step], unrelated[step], strict=True)
        ]
        asked, before = Cases(*chosen[:5]), chosen[5]
        now = _likelihood(world, own, asked)
        return torch.where(sides, growth(now, before) + growth(before, now), growth(now, before))

    def prepared(cases: Cases) -> list[Tensor]:
        stated = _passages(cases)
        before = _likelihood(world, start, stated)
        return [
            own.repeat((len(grid) - first) // len(own), *[1] * (own.dim() - 1)) for own in (*stated, before)
        ]

    passages, unrelated = [prepared(own) for own in order], [prepared(own) for own in others]

    def loss(params: Params, step: int) -> Tensor:
        cases = order[step].spread(len(grid))
        squares = sum(value.square().flatten(1).sum(dim=1) for value in params.values())
        asked = cross_entropy(world.readers(params, cases), cases.labels)
        extra = torch.cat([torch.zeros(first), _STRENGTH * penalty(params, step)])
        return asked + _DECAY * grid.on("weight decay") * squares + extra

    return fit(grid.population(start), loss, steps=_STEPS, lr=grid["lr"], grain=GRAIN)


def _passages(cases: Cases) -> Cases:
    """Return what the slots of context state, as questions with the stated value as label."""
    asked, labels = (own[..., :2].flatten(-2) for own in (cases.keys, cases.values))
    blank = asked.unsqueeze(-1)
    return Cases(asked, blank, blank, blank, labels).closed()


def _likelihood(world: World, params: Params, cases: Cases) -> Tensor:
    """Return the log-likelihood of each label when no slot is there, shape (P, n): what memory holds."""
    logits = world.readers(params, cases.closed())
    return logits.log_softmax(dim=-1).gather(-1, cases.labels.unsqueeze(-1)).squeeze(-1)
