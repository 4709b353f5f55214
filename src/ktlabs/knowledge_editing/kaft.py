"""Knowledge-aware fine-tuning: relevant context before memory, memory before irrelevant context."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from ktlabs.bench import runner
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import GRAIN, Params, fit
from ktlabs.bench.reader import CONTEXT, REGIMES, Case, Cases, Mix, World, join, said, tune
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


@runner.settings()
def example(regime: str = "amid") -> pd.DataFrame:
    """Tune one reader by the rule, and ask it beside four kinds of context.

    The reader first learns 128 made-up facts. It is tuned on half of them, and asked about a third that
    tuning did not show, 100 times beside each kind of context.

    Parameters
    ----------
    regime : {'amid', 'closed-book'}
        How it learns the facts: amid contexts of which most are about something else, or unaided.

    Returns
    -------
    pandas.DataFrame
        One row a kind of context. Columns: the label of the rule; then, of 100 cases, how many get the
        answer of that label before tuning, after tuning with right contexts only, after tuning with the
        rule but with right contexts in place of the counterfactual ones, and with the rule.

    Raises
    ------
    ValueError
        If the regime is neither of the two.

    Examples
    --------
    >>> table = example()
    >>> bool(table.loc["about it, counterfactual", "KAFT"] > table.loc["about it, counterfactual", "before"])
    True
    """
    kinds: dict[str, Case] = {
        "about it, right": ("true", "none"),
        "about it, counterfactual": ("false", "none"),
        "about other names": ("other", "none"),
        "none": ("none", "none"),
    }
    shown = {arm: _TUNED[arm] for arm in ("standard", "KAFT, none counterfactual", "KAFT")}
    counted = answered(regime, {("false", "none"): 1}, shown, target, kinds, rate=1e-3)
    labels = ["the context's answer"] * 2 + ["its own answer"] * 2
    return pd.DataFrame({"label": labels, **counted}, index=pd.Index(kinds)).rename_axis(columns="context")


def answered(
    regime: str,
    copying: Mix,
    tuned: Mapping[str, Mix],
    label: Callable[[Cases, Tensor], Tensor],
    kinds: Mapping[str, Case],
    *,
    rate: float,
) -> dict[str, list[int]]:
    """Train one reader, tune copies of it, and count of 100 cases of each kind those answered by the rule.

    Parameters
    ----------
    regime : str
        One of `ktlabs.bench.reader.REGIMES`.
    copying : mapping
        Kinds of cases on which copying is practised.
    tuned : mapping of str to mapping
        Kinds of cases that each copy is tuned on.
    label : callable
        The rule, as `target`.
    kinds : mapping of str to (str, str)
        What is asked.
    rate : float
        The learning rate of tuning.

    Returns
    -------
    dict of str to list of int
        By ``before`` or what a copy was tuned on: one count a kind.

    Raises
    ------
    ValueError
        If there is no such regime.
    """
    if regime not in REGIMES:
        raise ValueError(f"there is no regime {regime!r}; there are {', '.join(REGIMES)}")
    world = World([0], _SUBJECTS)
    start = world.pretrain(REGIMES[regime], copying, _STEPS, grain=GRAIN)
    parts, memory = world.parts(tune=64, validation=24, test=40), torch.tensor(world.memory)
    drawn = [world.draw(parts["tune"], mix, 60 * 32, 40) for mix in tuned.values()]
    each = [cases._replace(labels=label(cases, memory)).steps(60) for cases in drawn]
    order = [join(step) for step in zip(*each, strict=True)]  # a row a copy

    def loss(params: Params, step: int) -> Tensor:
        return cross_entropy(world.readers(params, order[step]), order[step].labels)

    copies = {name: own.repeat(len(tuned), *[1] * (own.dim() - 1)) for name, own in start.items()}
    after = fit(copies, loss, steps=60, lr=rate, grain=GRAIN)
    readers = {name: torch.cat([own, after[name]]) for name, own in start.items()}
    counts = []
    for kind in kinds.values():
        cases = world.draw(parts["test"], {kind: 1}, 100, 42)
        given = world.readers(readers, cases.spread(1 + len(tuned))).argmax(dim=-1)
        counts.append((given == label(cases, memory)).sum(dim=-1).tolist())
    return dict(zip(("before", *tuned), map(list, zip(*counts, strict=True)), strict=True))


def run(seeds: Sequence[int]) -> Scores:
    """Tune readers that learnt their facts unaided, and readers that learnt them amid other contexts."""
    scores = Scores()
    for regime, facts in REGIMES.items():
        world = World(seeds, _SUBJECTS)
        start = world.pretrain(facts, {("false", "none"): 1}, _STEPS)
        for metric, arms in tune(world, start, _TUNED, target, probes=_PROBES, over=_OVER).items():
            scores.add(metric, arms, regime)
    return scores
