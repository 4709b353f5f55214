"""Knowledge-aware fine-tuning: relevant context before memory, memory before irrelevant context."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ktreview.labs.lab import Scores
from ktreview.labs.losses import cross_entropy
from ktreview.labs.nets import Grid, Params, accuracy, fit
from ktreview.labs.reader import CONTEXT, REGIMES, Cases, Mix, World, join, said

#: What each arm is tuned on. All see as many cases.
_TUNED: dict[str, Mix] = {
    "standard": {("true", "none"): 1},
    "noisy": {("true", "none"): 1, ("other", "none"): 1},
    "KAFT, none counterfactual": {("true", "none"): 2, ("other", "none"): 1, ("none", "none"): 1},
    "KAFT": {("true", "none"): 1, ("false", "none"): 1, ("other", "none"): 1, ("none", "none"): 1},
}
_PROBES: dict[str, Mix] = {
    "controllability": {("false", "none"): 1},
    "robustness": {("other", "none"): 1},
    "unaided": {("none", "none"): 1},
}
_RATES = [{"lr": rate} for rate in (1e-3, 3e-3, 1e-2)]
_SUBJECTS, _PRE, _STEPS, _BATCH = 128, 150, 60, 32


def target(cases: Cases, memory: Tensor) -> Tensor:
    r"""Return the label of each case: what a relevant context says, else what the model itself answers.

    .. math:: y(q, c) = \begin{cases} a(c), & c \text{ is about } q, \\ M_0(q), & \text{otherwise.}
       \end{cases}

    A relevant context is followed even where it is counterfactual. An irrelevant or empty one is labelled
    with the answer of the model before tuning, right or wrong, so that tuning teaches a preference and no
    new fact.

    Parameters
    ----------
    cases : Cases
    memory : Tensor, shape (..., names)
        The unaided answer of the model before tuning to each name, :math:`M_0`.

    Returns
    -------
    Tensor, shape (..., n)

    References
    ----------
    kaft, section on knowledge-aware fine-tuning: four kinds of context and their labels.
    """
    return said(cases, CONTEXT, memory.gather(-1, cases.asked))


def run(seeds: Sequence[int]) -> Scores:
    """Tune readers that learnt their facts unaided, and readers that learnt them amid other contexts."""
    scores = Scores()
    for regime, facts in REGIMES.items():
        world = World(seeds, _SUBJECTS)
        start = world.pretrain(facts, {("false", "none"): 1}, _PRE)
        for metric, arms in _tune(world, start).items():
            scores.add(metric, arms, regime)
    return scores


def _tune(world: World, start: Params) -> dict[str, dict[str, Tensor]]:
    """Tune every arm on half of the subjects; return each measure on the last third by arm."""
    grid = Grid(world.seeds, dict.fromkeys(_TUNED, _RATES))
    parts = world.parts(tune=64, validation=24, test=40)
    memory = torch.tensor(world.memory)
    drawn = [world.draw(parts["tune"], mix, _STEPS * _BATCH, 40) for mix in _TUNED.values()]
    order = [own._replace(labels=target(own, memory)).steps(_STEPS) for own in drawn]

    def loss(params: Params, step: int) -> Tensor:
        cases = join([own[step] for own in order for _ in _RATES])
        return cross_entropy(world.readers(params, cases), cases.labels)

    def score(params: Params, part: str, purpose: int) -> dict[str, Tensor]:
        found = {}
        for probe, mix in _PROBES.items():
            cases = world.draw(parts[part], mix, 200, purpose).spread(len(params["lean"]))
            found[probe] = accuracy(world.readers(params, cases), cases.labels)
        return found | {"both": (found["controllability"] + found["robustness"]) / 2}

    tuned = fit(grid.population(start), loss, steps=_STEPS, lr=grid["lr"])
    chosen = grid.choose(score(tuned, "validation", 41)["both"])
    before = score(start, "test", 42)
    return {
        metric: grid.of(values, chosen) | {"untuned": before[metric]}
        for metric, values in score(tuned, "test", 42).items()
    }
