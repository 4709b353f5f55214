"""Editors of three families on the same facts, each fact edited alone, in two networks."""

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
    RankOne,
    Values,
    at_once,
    inverse_moment,
    memory,
)

#: The block of SmolLM2 that is edited.
BLOCK = 8
#: What each arm chooses among, in the associative network.
SETTINGS: dict[str, list[Setting]] = {
    "fine-tuning": [
        {"plain": plain, "lr": rate, "stop": stop}
        for plain, rate in ((0, 4e-4), (1, 0.01))
        for stop in (0.3, 0.4, 0.5)
    ],
    "fine-tuning with replay": [
        {"replay": replay, "lr": 4e-3, "stop": stop} for replay in (300, 1000, 3000) for stop in (0.6, 0.95)
    ],
    "rank one": [{"ridge": ridge, "stop": stop} for ridge in (1e-3, 1e-2, 1e-1) for stop in (0.4, 0.6)],
    "rank one, C = I": [{"stop": stop} for stop in (0.2, 0.3, 0.35, 0.4, 0.5, 0.6)],
    "memory": [{"threshold": least} for least in (0.65, 0.7, 0.75, 0.8, 0.85, 0.9)],
}


def editor(arm: str, knobs: Mapping[str, Tensor], ordinary: Tensor) -> Editor:
    r"""Return the editor of an arm; they differ in what they change, and see the same prompt.

    .. math:: \Delta_{\text{FT}} = -\eta \sum_t \nabla_W \ell, \qquad
        \Delta_{\text{rank one}} = (v_* - W k_*) \frac{(C^{-1} k_*)^\top}{k_*^\top C^{-1} k_*}

    On one prompt the gradient is an outer product with its key, so that plain fine-tuning is the rank-one
    edit with C = I, for the value at which it stops. What the covariance adds is what ordinary prompts
    look like; fine-tuning with replay is given the same prompts.

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
    knowedit, the survey's families (external knowledge, intrinsic knowledge);
    `ktlabs.knowledge_editing.editors` names the editors' own papers.
    """
    if arm == "memory":
        return memory(knobs["threshold"])
    if arm.startswith("fine-tuning"):
        kept = ordinary if "replay" in arm else None
        return at_once(FineTuning(40, knobs["lr"], knobs["stop"], knobs["plain"], kept, knobs["replay"]))
    values = Values(40, 0.1, knobs["stop"], 0.05)
    if arm == "rank one":
        return at_once(RankOne(values, inverse_moment(ordinary, knobs["ridge"])))
    return at_once(RankOne(values, torch.eye(ordinary.shape[-1])))


#: What `example` gives each arm: settings from within the ranges above, not chosen in a run.
_EXAMPLE: dict[str, Setting] = {
    "fine-tuning": {"plain": 1, "lr": 0.01, "stop": 0.4},
    "fine-tuning with replay": {"replay": 1000, "lr": 4e-3, "stop": 0.6},
    "rank one": {"ridge": 1e-2, "stop": 0.4},
    "memory": {"threshold": 0.75},
}


def knobs_of(setting: Setting) -> dict[str, Tensor]:
    """Return a setting as `editor` takes it, for one row; what it leaves out is 0."""
    names = ("plain", "lr", "stop", "replay", "ridge", "strength", "threshold")
    return {name: torch.tensor([float(setting.get(name, 0.0))]) for name in names}


@runner.settings()
def example(element: str = "lithium", symbol: str = "Ca") -> pd.DataFrame:
    """Give an element another one's symbol, with each editor, and ask what else has changed.

    A small network has learnt the symbols and series of the thirty lightest elements from sentences. Every
    other element from hydrogen on gives the ordinary prompts, and none of them is among the neighbours.

    Parameters
    ----------
    element : str
        One of the thirty, in English, in small letters.
    symbol : str
        The false answer it shall get: the symbol of another one.

    Returns
    -------
    pandas.DataFrame
        One row a prompt: the edit's, two rephrasings, another question about the element, and the four
        elements whose prompts are nearest. Columns: what it should answer after the edit; what it answers
        by editor; and the overlap g of its key with the edited one, without and with the covariance C.

    Raises
    ------
    ValueError
        If the network knows no such element, or no such symbol.

    Examples
    --------
    >>> example().loc["The chemical symbol for magnesium is", ["fine-tuning", "rank one"]].tolist()
    ['Ca', 'Mg']
    """
    known = editable.country_and_element_facts(0, 30)
    prompt = f"The chemical symbol for {element} is"
    if prompt not in known.texts:
        raise ValueError(f"the network knows no element {element!r}: take one of the thirty lightest")
    if symbol not in known.answers:
        raise ValueError(f"the network knows no symbol {symbol!r}; it knows {', '.join(known.answers)}")
    place = known.asked["edit"][:, 0].tolist().index(known.texts.index(prompt))
    known, net, numbers, ordinary = editable.small([place])
    target = numbers[known.answers.index(symbol)].reshape(1, 1)
    odd = torch.arange(len(known.kind))[None] % 2 == 1
    near = known.neighbours(torch.tensor([[place]]), odd, count=4)[0, 0]
    told, other = known.asked["edit"][place], known.asked["other"][place]
    asked = torch.cat([told, known.asked["paraphrase"][place], other, known.asked["edit"][near, 0]])
    words = [*dict.fromkeys((*known.answers, *known.others))]
    found: dict[str, list[str] | list[float]] = {
        "should answer": [*[symbol] * 3, known.others[place], *(known.answers[n] for n in near.tolist())]
    }
    for arm, setting in _EXAMPLE.items():
        edited = editor(arm, knobs_of(setting), ordinary)(net, told[None], target)
        found[arm] = [words[number] for number in edited(asked[None])[0].tolist()]
    keys = net.keys(asked[None])[0]
    for name, precision in (
        ("g, C = I", torch.eye(keys.shape[1])),
        ("g", inverse_moment(ordinary, _EXAMPLE["rank one"]["ridge"])[0]),
    ):
        turned = keys @ precision @ keys[0]
        found[name] = (turned / turned[0]).round(decimals=2).tolist()
    return pd.DataFrame(found, index=[known.texts[n] for n in asked.tolist()]).rename_axis(columns="prompt")


def run(seeds: Sequence[int]) -> Scores:
    """Edit facts one at a time, each in a fresh copy of the network."""
    scores = Scores()
    for regime, measured in (("associative", _associative(seeds)), ("language", _language(seeds))):
        for metric, by_arm in measured.items():
            scores.add(metric, by_arm, regime)
    return scores


def _associative(seeds: Sequence[int]) -> dict[str, dict[str, Tensor]]:
    """Return each metric's values by arm, shape (S,)."""
    known = editable.country_and_element_facts(60, 50)
    net, numbers = train(known, seeds)
    parts = split(known.kind, seeds, ordinary=36, validation=4, test=8)
    allowed = torch.ones(len(seeds), len(known.kind), dtype=torch.bool).scatter(1, parts["ordinary"], False)
    prompts = torch.stack([known.asked[name][:, 0] for name in ("edit", "trained", "other")], dim=1)
    ordinary = net.keys(prompts[parts["ordinary"]].flatten(1))
    found: dict[str, dict[str, Tensor]] = {}
    for arm, settings in SETTINGS.items():
        chosen = settings
        for part in ("validation", "test"):
            edits = counterfactuals(known, numbers, parts[part], allowed, seeds)
            single = Edits(*(own.flatten(0, 1)[:, None] for own in (edits.places, edits.targets, edits.near)))
            n = parts[part].shape[1]
            grid = Grid(range(len(seeds) * n), {arm: chosen})
            rows = grid.spread(torch.arange(len(seeds)).repeat_interleave(n))
            knobs = {
                knob: grid[knob] for knob in ("plain", "lr", "stop", "replay", "ridge", "pull", "threshold")
            }
            judged = judge(
                editor(arm, knobs, ordinary[rows]), net.on(rows), known, single.repeat(len(chosen))
            )
            means = {
                metric: own.reshape(len(chosen), len(seeds), n).nanmean(dim=2)
                for metric, own in judged.items()
            }
            quality = harmonic(*(means[metric] for metric in ("reliability", "generality", "locality")))
            if part == "validation":
                chosen = [settings[int(quality.mean(dim=1).argmax())]]
        for metric, own in (means | {"harmonic mean": quality}).items():
            found.setdefault(metric, {})[arm] = own[0]
    return found


def _language(seeds: Sequence[int]) -> dict[str, dict[str, Tensor]]:
    """Return the same of a capital and a symbol a seed, edited in SmolLM2."""
    known = editable.country_and_element_facts(110, 98)
    places = editable.draws(known, seeds, 1, 1).reshape(-1, 1)
    rows, numbers = len(places), editable.answer_tokens(known)
    everything = torch.ones(rows, len(known.kind), dtype=torch.bool)
    twice = [seed + 1000 * kind for seed in seeds for kind in (0, 1)]  # a stream of its own for each fact
    edits = counterfactuals(known, numbers, places, everything, twice)
    edits = Edits(edits.places, edits.targets, edits.near[..., :3])
    net = Language(known, edits, BLOCK)
    precision = inverse_moment(editable.ordinary_keys(BLOCK), 0.01)
    values = Values(15, 0.3, 0.7, 0.05)(net, known.asked["edit"][edits.places, 0], edits.targets, None)
    arms = {
        "fine-tuning": at_once(FineTuning(20, 1e-3, 0.5)),
        "rank one": at_once(RankOne(lambda *_: values, precision)),
        "rank one, C = I": at_once(RankOne(lambda *_: values, torch.eye(precision.shape[0]))),
        "memory": memory(0.75),
    }
    found: dict[str, dict[str, Tensor]] = {}
    for arm, own in arms.items():
        judged = judge(own, net, known, edits)
        means = {metric: part.reshape(len(seeds), -1).nanmean(dim=1) for metric, part in judged.items()}
        means["harmonic mean"] = harmonic(
            *(means[metric] for metric in ("reliability", "generality", "locality"))
        )
        for metric, part in means.items():
            found.setdefault(metric, {})[arm] = part
    return found
