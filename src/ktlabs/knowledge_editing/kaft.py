"""Knowledge-aware fine-tuning: relevant context before memory, memory before irrelevant context."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ktlabs.bench.reader import CONTEXT, REGIMES, Cases, Mix, World, said, tune
from ktlabs.bench.runner import Scores

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
_OVER = {"both": ("controllability", "robustness")}
_SUBJECTS, _STEPS = 128, 150


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
        start = world.pretrain(facts, {("false", "none"): 1}, _STEPS)
        for metric, arms in tune(world, start, _TUNED, target, probes=_PROBES, over=_OVER).items():
            scores.add(metric, arms, regime)
    return scores
