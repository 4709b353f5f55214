"""Knowledge preference: instruction before context before memory, taught by cases in which they differ."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from torch import Tensor

from ktlabs.bench import runner
from ktlabs.bench.reader import CONTEXT, INSTRUCTION, REGIMES, Case, Cases, Mix, World, said, tune
from ktlabs.bench.runner import Scores
from ktlabs.knowledge_editing.kaft import answered

#: One outside source against memory, and cases that leave memory alone.
_TWO: dict[Case, float] = {
    ("false", "none"): 1,
    ("false", "other"): 1,
    ("none", "false"): 1,
    ("other", "false"): 1,
    ("other", "other"): 1,
    ("none", "none"): 1,
}
#: What each arm is tuned on. All see as many cases.
_TUNED: dict[str, Mix] = {
    "agree": {
        ("true", "none"): 1,
        ("true", "other"): 1,
        ("none", "true"): 1,
        ("other", "true"): 1,
        ("other", "other"): 1,
        ("none", "none"): 1,
    },
    "two levels": _TWO,
    "three levels": _TWO | {("false", "false"): 3},
}
_PROBES: dict[str, Mix] = {
    "context over memory": {("false", "none"): 1},
    "instruction over memory": {("none", "false"): 1},
    "instruction over context": {("false", "false"): 1},
    "context beside another instruction": {("false", "other"): 1},
    "memory beside other sources": {("other", "other"): 1},
}
_COPYING: Mix = {("false", "none"): 1, ("none", "false"): 1}
_SUBJECTS, _STEPS = 128, 150


def preferred(cases: Cases, memory: Tensor) -> Tensor:
    r"""Return the label of each case by the three-level preference.

    .. math:: y = \begin{cases} v_I, & \text{an instruction is about } q, \\
       v_C, & \text{else a context is,} \\ M_0(q), & \text{else.} \end{cases}

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
    knowledge-preference, definition of the hierarchy: instruction, context, parametric knowledge.
    """
    return said(cases, INSTRUCTION, said(cases, CONTEXT, memory.gather(-1, cases.asked)))


@runner.settings()
def example(regime: str = "amid") -> pd.DataFrame:
    """Tune one reader on cases that agree, on two levels and on three, and ask who wins.

    As the example of `ktlabs.knowledge_editing.kaft`, with an instruction beside the context.

    Parameters
    ----------
    regime : {'amid', 'closed-book'}
        How the reader learns its facts: amid contexts and instructions of which most are about something
        else, or unaided.

    Returns
    -------
    pandas.DataFrame
        One row a kind of case. Columns: who should win; then, of 100 cases, how many get that answer before
        tuning and after tuning on each mix.

    Raises
    ------
    ValueError
        If the regime is neither of the two.

    Examples
    --------
    >>> table = example().loc["an instruction against a context"]
    >>> bool(table["three levels"] > table["two levels"])
    True
    """
    kinds: dict[str, Case] = {
        "a context against memory": ("false", "none"),
        "an instruction against memory": ("none", "false"),
        "an instruction against a context": ("false", "false"),
        "both about other names": ("other", "other"),
    }
    winners = ["the context", "the instruction", "the instruction", "memory"]
    counted = answered(regime, _COPYING, _TUNED, preferred, kinds, rate=3e-3)
    return pd.DataFrame({"should win": winners, **counted}, index=pd.Index(kinds)).rename_axis(columns="case")


def run(seeds: Sequence[int]) -> Scores:
    """Tune readers on cases that agree, that set two sources against each other, and three."""
    scores = Scores()
    for regime, facts in REGIMES.items():
        world = World(seeds, _SUBJECTS)
        start = world.pretrain(facts, _COPYING, _STEPS)
        over = {"obedience": [*_PROBES]}
        found = tune(world, start, _TUNED, preferred, probes=_PROBES, over=over)
        for metric, arms in found.items():
            scores.add(metric, arms, regime)
    return scores
