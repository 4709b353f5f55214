"""Memories of a dialogue, ranked by recency, frequency and who said them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nnf
from torch import Tensor

from ktlabs.bench import facts
from ktlabs.bench.nets import Grid, Setting
from ktlabs.bench.runner import Scores
from ktlabs.bench.sentences import embed

Numbers = npt.NDArray[np.int64]
#: How a memory is keyed and how it is asked for.
_WORDED = {
    "The capital of {}": "Which city is the seat of government of {}?",
    "The currency of {}": "What money do people in {} pay with?",
    "The language of {}": "What do people in {} speak?",
}
_COUNTRIES, _STEPS, _WARM = 40, 1200, 200
#: A step's chance that a fact changes, that the user states one, and that the latter is one that changed.
_CHANGES, _STATED, _NEWS = 0.05, 0.08, 0.5
#: Shares of statements that are wrong: the user's, and those in replies.
_MISTAKEN, _WRONG = 0.1, 0.35
_WEIGHT = [{"weight": weight} for weight in (1.5, 2, 3, 4, 6, 8, 12, 20, 50)]
_BOTH = [{"life": life, "weight": weight} for life in (100, 400, 1600) for weight in (2, 6, 20)]
_PLAIN = ("none", "similarity", "recency", "user's last word", "frequency")


class Log(NamedTuple):
    """What can be recalled for each question, padded to M entries.

    Attributes
    ----------
    entry, values, age, user, there : Tensor, shape (..., Q, M)
        Number of each entry, what it says, how many steps ago it was noted, whether the user said it, and
        whether there is such an entry.
    truth, original : Tensor, shape (..., Q)
        What is right now, and what was right at first.
    """

    entry: Tensor
    values: Tensor
    age: Tensor
    user: Tensor
    there: Tensor
    truth: Tensor
    original: Tensor


def standing(
    values: Tensor, age: Tensor, user: Tensor, there: Tensor, *, life: Tensor, weight: Tensor
) -> Tensor:
    r"""Return the standing of what each memory says: its own weight and that of all which say the same.

    .. math:: r(v) = \sum_{m \text{ says } v} 2^{-a_m / h} \, w^{[m \text{ is the user's}]}

    The sum is frequency, the power of two recency; similarity to the question is the same for all memories
    of one key and drops out.

    Parameters
    ----------
    values : Tensor of int, shape (..., M)
    age : Tensor, shape (..., M)
        Steps since a memory was noted, :math:`a_m`.
    user, there : Tensor of bool, shape (..., M)
        Whether the user said it, and whether it counts at all.
    life : Tensor, broadcast to (..., M)
        Half-life in steps, :math:`h`; infinite for no recency.
    weight : Tensor, broadcast to (..., M)
        Weight of what the user said, :math:`w`; replies weigh 1.

    Returns
    -------
    Tensor, shape (..., M)

    References
    ----------
    mark: memories ranked by similarity, recency and frequency; user-provided facts kept apart. The paper's
    abstract and repository give no formula, this one is ours.
    """
    own = there * torch.exp2(-age / life) * torch.where(user, weight, torch.ones_like(weight))
    same = values.unsqueeze(-1) == values.unsqueeze(-2)
    return (same * own.unsqueeze(-2)).sum(dim=-1) * there


def run(seeds: Sequence[int]) -> Scores:
    """Answer from the memories of simulated dialogues; choose each ranking's knobs on other dialogues."""
    arms: dict[str, Sequence[Setting]] = {
        "frequency and source": _WEIGHT,
        "MARK": _BOTH,
        "MARK, shuffled": _BOTH,
        "MARK by recalls": _BOTH,
    }
    arms |= {arm: [{}] for arm in _PLAIN}
    grid = Grid(seeds, arms, untuned=_PLAIN)
    found, right = _found(), []
    for purpose in (60, 61):  # to choose on, to test on
        log = _stack([simulate(np.random.default_rng((seed, purpose)), found) for seed in seeds])
        given = [answer(arm, setting, log) for arm, setting in grid.settings]
        right.append(torch.cat([(own == log.truth).to(log.age.dtype).mean(dim=-1) for own in given]))
    scores = Scores()
    scores.add("accuracy", grid.of(right[1], grid.choose(right[0])))
    return scores


def answer(arm: str, setting: Setting, log: Log) -> Tensor:
    """Return the answer to every question, shape (S, Q): what was right at first if nothing is recalled."""
    weight = torch.tensor(setting.get("weight", 1.0)).expand(log.age.shape)
    life = torch.tensor(setting.get("life", torch.inf)).expand(log.age.shape)
    if arm == "none":
        return log.original
    if arm == "MARK by recalls":
        return _by_recalls(log, life, weight)
    age, user, there = log.age, log.user, log.there
    if arm == "similarity":  # all memories of one key are equally similar: any of them
        rank = torch.frac((log.entry + 1.0) * 0.6180339887498949) * there
    elif arm in ("recency", "user's last word"):
        there = there & user if arm == "user's last word" else there
        rank = there / (1 + age)
    else:
        if arm == "MARK, shuffled":  # the same weights, each at another memory of the key
            count = there.sum(dim=-1, keepdim=True).clamp(min=1)
            places = torch.arange(there.shape[-1]).expand(there.shape)
            places = torch.where(there, (places + 1 + log.truth.unsqueeze(-1) % 3) % count, places)
            age, user = age.gather(-1, places), user.gather(-1, places)
        rank = standing(log.values, age, user, there, life=life, weight=weight)
    best = log.values.gather(-1, rank.argmax(dim=-1, keepdim=True)).squeeze(-1)
    return torch.where(there.any(dim=-1), best, log.original)


def _by_recalls(log: Log, life: Tensor, weight: Tensor) -> Tensor:
    """Rank single memories by recency and source, times one more than how often each has been used."""
    own = log.there * torch.exp2(-log.age / life) * torch.where(log.user, weight, torch.ones_like(weight))
    used = torch.zeros(len(own), int(log.entry.max()) + 1)
    given = []
    for question in range(own.shape[1]):
        entry = log.entry[:, question]
        best = (own[:, question] * (1 + used.gather(1, entry))).argmax(dim=-1, keepdim=True)
        used.scatter_add_(1, entry.gather(1, best), log.there[:, question].gather(1, best).to(used.dtype))
        given.append(log.values[:, question].gather(1, best).squeeze(1))
    return torch.where(log.there.any(dim=-1), torch.stack(given, dim=1), log.original)


def _found() -> Numbers:
    """Return the key that the sentence encoder finds for each question, by its number."""
    names = [country.name for country in facts.countries()[:_COUNTRIES]]
    keys, asked = (
        embed([text.format(name) for text in texts for name in names])
        for texts in (_WORDED, _WORDED.values())
    )
    best: Numbers = (asked @ keys.mT).argmax(dim=-1).numpy()
    return best


def simulate(rng: np.random.Generator, found: Numbers) -> Log:
    """Let a dialogue run: facts change, the user states some, replies state others, right or wrong.

    Parameters
    ----------
    rng : numpy.random.Generator
    found : array of int, shape (keys,)
        The key under which memories are looked up for a question about each key.

    Returns
    -------
    Log
        Of shapes (Q,) and (Q, M), without the entries' padding in common with other logs.
    """
    keys = len(found)
    group = keys // len(_WORDED)  # a false value is another country's for the same relation
    truth, entries, asked, last = np.arange(keys), [], [], 0

    def other(value: int) -> int:
        return value // group * group + (value % group + int(rng.integers(1, group))) % group

    for step in range(_STEPS):
        if rng.random() < _CHANGES:
            last = int(rng.integers(keys))
            truth[last] = other(int(truth[last]))
        if rng.random() < _STATED:
            key = last if rng.random() < _NEWS else int(rng.integers(keys))
            value = int(truth[key])
            entries.append((key, other(value) if rng.random() < _MISTAKEN else value, step, True))
        key = int(rng.integers(keys))
        value = int(truth[key])
        if rng.random() < _WRONG:  # out of date, or made up
            value = key if value != key and rng.random() < 0.5 else other(value)
        entries.append((key, value, step, False))
        if step >= _WARM:
            key = int(rng.integers(keys))
            recalled = [n for n, entry in enumerate(entries) if entry[0] == found[key]]
            asked.append((recalled, step, int(truth[key]), key))
    size = max(len(recalled) for recalled, *_ in asked)
    places = torch.tensor([recalled + [0] * (size - len(recalled)) for recalled, *_ in asked])
    there = torch.tensor([[n < len(recalled) for n in range(size)] for recalled, *_ in asked])
    _, values, noted, user = (torch.tensor(own) for own in zip(*entries, strict=True))
    now, right, original = (torch.tensor([own[n] for own in asked]) for n in (1, 2, 3))
    age = torch.where(there, now.unsqueeze(-1) - noted[places], 0).to(torch.get_default_dtype())
    return Log(places, values[places], age, user[places], there, right, original)


def _stack(logs: Sequence[Log]) -> Log:
    """Put logs side by side, padded to as many entries, shape (S, Q, M)."""
    size = max(log.there.shape[-1] for log in logs)
    parts = zip(*logs, strict=True)
    padded = [
        [nnf.pad(own, (0, size - own.shape[-1])) if own.dim() == 2 else own for own in part] for part in parts
    ]
    return Log(*(torch.stack(own) for own in padded))
