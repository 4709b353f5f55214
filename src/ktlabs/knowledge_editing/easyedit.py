"""Many edits kept in place, by editors and by fine-tuning, one after another and all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from ktlabs.bench import runner
from ktlabs.bench.data import split
from ktlabs.bench.nets import Grid, Setting
from ktlabs.bench.runner import Scores
from ktlabs.knowledge_editing import editable
from ktlabs.knowledge_editing.editable import Edits, Language, counterfactuals, harmonic, judge, train
from ktlabs.knowledge_editing.editors import (
    Editor,
    FineTuning,
    ManyEdits,
    RankOne,
    Rule,
    Values,
    at_once,
    inverse_moment,
    memory,
    one_by_one,
)
from ktlabs.knowledge_editing.knowedit import BLOCK, knobs_of

_COUNTS = {"few": 3, "many": 12}
#: What each arm chooses among, in the associative network and for each number of edits.
SETTINGS: dict[str, list[Setting]] = {
    "fine-tuning, one by one": [
        {"plain": 1, "lr": rate, "stop": stop} for rate in (0.003, 0.005, 0.01) for stop in (0.3, 0.5)
    ],
    "fine-tuning, at once": [
        {"plain": 1, "lr": rate, "stop": stop} for rate in (0.01, 0.02, 0.04) for stop in (0.3, 0.5)
    ],
    "fine-tuning with replay, at once": [
        {"replay": replay, "lr": 4e-3, "stop": stop} for replay in (30, 100, 300) for stop in (0.6, 0.95)
    ],
    "rank one, one by one": [
        {"ridge": ridge, "stop": stop} for ridge in (1e-3, 1e-2, 1e-1) for stop in (0.4, 0.8)
    ],
    "rank one, one by one, C = I": [{"stop": stop} for stop in (0.2, 0.3, 0.4, 0.5, 0.6, 0.8)],
    "many edits, at once": [
        {"ridge": 1e-2, "strength": strength, "stop": stop}
        for strength in (1, 10, 100)
        for stop in (0.4, 0.8)
    ],
    "memory": [{"threshold": least} for least in (0.65, 0.7, 0.75, 0.8, 0.85, 0.9)],
}


def kept_in_place(arm: str, knobs: Mapping[str, Tensor], ordinary: Tensor) -> Editor:
    r"""Return the editor of an arm for many edits that all stay.

    .. math:: \Delta = (V - W K) K^\top (\lambda C + K K^\top)^{-1}, \qquad
        W_T k_1 = v_1 + \sum_{i=2}^{T} (v_i - W_{i-1} k_i)
        \frac{k_i^\top C^{-1} k_1}{k_i^\top C^{-1} k_i}

    At once, one change is the solution for all edits. One by one, each edit is stored exactly and moves the
    earlier ones as far as its key resembles theirs under the inverse of C; fine-tuning one by one does the
    same with the plain product of keys.

    Parameters
    ----------
    arm : str
        One of `SETTINGS`.
    knobs : mapping of str to Tensor of shape (P,)
        The settings of each row.
    ordinary : Tensor, shape (P, m, k)
        Keys of prompts whose answers shall stay.

    References
    ----------
    easyedit, one interface for editors (its Editor, and its sequential editing); MEMIT, equation 14.
    """
    if arm == "memory":
        return memory(knobs["threshold"])
    rule: Rule
    if arm.startswith("fine-tuning"):
        kept = ordinary if "replay" in arm else None
        rule = FineTuning(60, knobs["lr"], knobs["stop"], knobs["plain"], kept, knobs["replay"])
    else:
        values = Values(40, 0.1, knobs["stop"], 0.05)
        if "C = I" in arm:
            rule = RankOne(values, torch.eye(ordinary.shape[-1]))
        elif "rank one" in arm:
            rule = RankOne(values, inverse_moment(ordinary, knobs["ridge"]))
        else:
            rule = ManyEdits(values, inverse_moment(ordinary, knobs["ridge"]), knobs["strength"])
    return one_by_one(rule) if "one by one" in arm else at_once(rule)


#: What `example` gives each arm: settings from within the ranges above, not chosen in a run.
_EXAMPLE: dict[str, Setting] = {
    "fine-tuning, one by one": {"plain": 1, "lr": 0.005, "stop": 0.3},
    "rank one, one by one, C = I": {"stop": 0.4},
    "rank one, one by one": {"ridge": 1e-2, "stop": 0.4},
    "many edits, at once": {"ridge": 1e-2, "strength": 10, "stop": 0.4},
    "fine-tuning, at once": {"plain": 1, "lr": 0.02, "stop": 0.3},
}


@runner.settings()
def example(counts: Sequence[int] = (1, 2, 4, 8, 12)) -> pd.DataFrame:
    """Give elements, one after another, their neighbour's symbol, and count the edits that still hold.

    The network is that of the example of `ktlabs.knowledge_editing.knowedit`; helium becomes Li, beryllium
    B, carbon N, and so on, every second element. One by one, an edit changes what the earlier ones left;
    at once, all edits of a row are made together in a fresh copy.

    Parameters
    ----------
    counts : sequence of int
        How many edits are made, from 1 to 15.

    Returns
    -------
    pandas.DataFrame
        One row a number of edits, one column an editor: edits whose own prompt gets the new answer after
        the last.

    Raises
    ------
    ValueError
        If fewer than one or more than fifteen edits are asked for.

    Examples
    --------
    >>> example([12])[["fine-tuning, one by one", "many edits, at once"]].loc[12].tolist()
    [3, 12]
    """
    if not all(1 <= count <= 15 for count in counts):
        raise ValueError(f"the network has room for 1 to 15 edits, not for {', '.join(map(str, counts))}")
    known, net, numbers, ordinary = editable.small(range(1, 2 * max(counts), 2))
    rows: dict[str, list[int]] = {}
    for arm, setting in _EXAMPLE.items():
        edit = kept_in_place(arm, knobs_of(setting), ordinary)
        for count in counts:
            places = torch.arange(1, 2 * count, 2)
            prompts = known.asked["edit"][places, 0][None]
            targets = numbers[(places + 1) % len(numbers)][None]
            held = edit(net, prompts, targets)(prompts) == targets
            rows.setdefault(arm, []).append(int(held.sum()))
    return pd.DataFrame(rows, index=pd.Index(counts)).rename_axis(columns="edits")


def run(seeds: Sequence[int]) -> Scores:
    """Edit few and many facts in an associative network, and two in SmolLM2; all edits stay."""
    scores = Scores()
    for regime, measured in (_associative(seeds) | {"language": _language(seeds)}).items():
        for metric, by_arm in measured.items():
            scores.add(metric, by_arm, regime)
    return scores


def _summary(judged: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add the harmonic means of what editors are asked for."""
    three = [judged[name] for name in ("reliability", "generality", "locality")]
    return {**judged, "success": harmonic(*three[:2]), "harmonic mean": harmonic(*three)}


def _associative(seeds: Sequence[int]) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Return by regime each metric's values by arm, shape (S,)."""
    known = editable.country_and_element_facts(60, 50)
    net, numbers = train(known, seeds)
    parts = split(known.kind, seeds, ordinary=36, validation=12, test=12)
    everything = torch.ones(len(seeds), len(known.kind), dtype=torch.bool)
    allowed = everything.scatter(1, parts["ordinary"], False)
    prompts = torch.stack([known.asked[name][:, 0] for name in ("edit", "trained", "other")], dim=1)
    ordinary = net.keys(prompts[parts["ordinary"]].flatten(1))
    found: dict[str, dict[str, dict[str, Tensor]]] = {}
    for regime, count in _COUNTS.items():
        for arm, settings in SETTINGS.items():
            chosen = settings
            for part in ("validation", "test"):
                edits = counterfactuals(known, numbers, parts[part][:, :count], allowed, seeds)
                grid = Grid(seeds, {arm: chosen})
                rows = grid.spread(torch.arange(len(seeds)))
                names = ("plain", "lr", "stop", "replay", "ridge", "strength", "threshold")
                own = kept_in_place(arm, {name: grid[name] for name in names}, ordinary[rows])
                judged = judge(own, net.on(rows), known, edits.repeat(len(chosen)))
                summary = _summary(judged)
                if part == "validation":
                    chosen = [settings[grid.choose(summary["harmonic mean"])[arm]]]
            for metric, values in summary.items():
                if count == max(_COUNTS.values()) or metric not in (
                    "alias",
                    "two-hop",
                ):  # few may have no country
                    found.setdefault(regime, {}).setdefault(metric, {})[arm] = values
    return found


def _language(seeds: Sequence[int]) -> dict[str, dict[str, Tensor]]:
    """Return the same of a capital and a symbol a seed, both edited in one copy of SmolLM2."""
    known = editable.country_and_element_facts(110, 98)
    places = editable.draws(known, seeds, 1, 1)
    rows, n = places.shape
    everything = torch.ones(rows, len(known.kind), dtype=torch.bool)
    edits = counterfactuals(known, editable.answer_tokens(known), places, everything, seeds)
    edits = Edits(edits.places, edits.targets, edits.near[..., :2])
    net, asked = Language(known, edits, BLOCK), known.asked["edit"][edits.places, 0]
    precision = inverse_moment(editable.ordinary_keys(BLOCK), 0.01)
    single = net.on(torch.arange(rows * n))
    values = Values(15, 0.3, 0.7, 0.05)(
        single, asked.reshape(-1, 1), edits.targets.reshape(-1, 1), None
    ).reshape(rows, n, -1)

    def found_before(_: object, prompts: Tensor, *__: object) -> Tensor:
        mine = (asked[:, None] == prompts[..., None]).to(values.dtype)
        return mine @ values

    arms = {
        "fine-tuning, one by one": one_by_one(FineTuning(20, 1e-3, 0.5)),
        "rank one, one by one": one_by_one(RankOne(found_before, precision)),
        "many edits, at once": at_once(ManyEdits(found_before, precision, 10.0)),
        "memory": memory(0.75),
    }
    measured: dict[str, dict[str, Tensor]] = {}
    for arm, own in arms.items():
        for metric, part in _summary(judge(own, net, known, edits)).items():
            measured.setdefault(metric, {})[arm] = part
    return measured
