"""A language model that answers from its weights or from a store, or abstains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.models import first_tokens, log_probs
from ktlabs.bench.runner import Scores
from ktlabs.bench.sentences import embed
from ktlabs.external_knowledge.questions import WORDINGS, known

#: Facts a seed has of each kind, and made-up countries; how many of each kind choose the settings.
_COUNTS, _MADE_UP, _CHOOSING = {"capital": 8, "symbol": 4}, 6, 2
#: Disjoint parts of the facts: eight for each hundred of seeds.
_PARTS = 24
#: The least probability at which an answer is given, and the least cosine at which an entry is read.
_LEAST = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
_GATED = tuple(product((0.6, 0.75), (0.0, 0.1, 0.2, 0.4, 0.6)))
#: Which regimes a setting is chosen for: whoever keeps a store does not expect it to lie.
_EXPECTED = ("held", "lacking", "unknown")


class Fact(NamedTuple):
    """A subject of a kind, and its answer, or nothing if nobody could know."""

    kind: str
    subject: str
    answer: str


def nearest(asked: Tensor, keys: Tensor, barred: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return the entry of a store that is nearest to each question, and its cosine.

    .. math:: z(x) = \arg\max_{z \in S \setminus B(x)} \cos(x, \kappa_z)

    Parameters
    ----------
    asked : Tensor, shape (q, e)
    keys : Tensor, shape (n, e)
        Both of length 1.
    barred : Tensor of bool, shape (q, n)
        Entries that the store lacks for a question.

    Returns
    -------
    tuple of Tensor
        Places and cosines, each of shape (q,).
    """
    found = (asked @ keys.mT).masked_fill(barred, -torch.inf).max(dim=-1)
    return found.indices, found.values


def consult(alone: Tensor, reading: Tensor, cosine: Tensor, gate: float) -> Tensor:
    """Take what the model says with an entry in view where it is near enough, else what it says alone.

    Parameters
    ----------
    alone, reading : Tensor, shape (q, m)
        Log-probabilities of the candidates.
    cosine : Tensor, shape (q,)
        Of question and entry.
    gate : float
        The least cosine at which an entry is read.
    """
    return torch.where((cosine >= gate)[:, None], reading, alone)


def decide(scores: Tensor, least: float) -> Tensor:
    """Return the place of the likeliest candidate, shape (q,), or -1 for no answer.

    Parameters
    ----------
    scores : Tensor, shape (q, m)
        Log-probabilities in nats.
    least : float
        The least probability at which an answer is given.
    """
    best = scores.max(dim=-1)
    return torch.where(best.values.exp() >= least, best.indices, -1)


def outcomes(decided: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether each question was answered right, and whether wrongly: a hallucination.

    Parameters
    ----------
    decided, truth : Tensor, shape (q,)
        Places of candidates; -1 for no answer given, and for none that exists.
    """
    given = decided >= 0
    return given & (decided == truth), given & (decided != truth)


class _Case(NamedTuple):
    """Questions of one regime, the entries read beside them, and what the model then says."""

    facts: list[Fact]
    alone: Tensor  # (q, m)
    reading: Tensor  # (q, m)
    cosine: Tensor  # (q,)


def run(seeds: Sequence[int]) -> Scores:
    """Ask a language model what a store holds, lacks or has wrong, and what nobody knows."""
    store = [Fact(kind, *own) for kind, n in _COUNTS.items() for own in known(kind, n * _PARTS)]
    words = _words(store)
    real = [fact for seed in seeds for fact in _dealt(store, seed)]
    made = [Fact("capital", name, "") for seed in seeds for name in _made_up(seed, store)]
    false = [own for seed in seeds for own in _lies(_dealt(store, seed), store, seed)]
    keys, asked, unheard = (_embedded(own, w) for own, w in ((store, 0), (real, 1), (made, 1)))
    own = torch.tensor([[fact == entry for entry in store] for fact in real])
    nothing = torch.zeros(len(made), len(store), dtype=torch.bool)
    (hit, near), (other, beside) = nearest(asked, keys, own & False), nearest(asked, keys, own)
    far, away = nearest(unheard, keys, nothing)
    entries = {
        "held": [store[n] for n in hit],
        "lacking": [store[n] for n in other],
        "wrong": [
            lie if store[n] == fact else store[n] for n, fact, lie in zip(hit, real, false, strict=True)
        ],
        "unknown": [store[n] for n in far],
    }
    cosines = {"held": near, "lacking": beside, "wrong": near, "unknown": away}
    without = {"real": _says(real, None, words), "made": _says(made, None, words)}
    cases = {}
    for regime, shown in entries.items():
        facts, alone = (made, without["made"]) if regime == "unknown" else (real, without["real"])
        cases[regime] = _Case(facts, alone, _says(facts, shown, words), cosines[regime])
    scores = _scored(seeds, cases, words)
    right = torch.tensor([store[n] == fact for n, fact in zip(hit, real, strict=True)]).to(near.dtype)
    scores.add("entries found", {"retrieval, always answers": right.view(len(seeds), -1).mean(-1)}, "held")
    return scores


def _scored(seeds: Sequence[int], cases: Mapping[str, _Case], words: Sequence[tuple[str, str]]) -> Scores:
    """Choose each arm's setting on the first facts of every kind and score it on the others."""
    right: dict[str, dict[str, Tensor]] = {}
    wrong: dict[str, dict[str, Tensor]] = {}
    for regime, case in cases.items():
        sources = {"weights": case.alone, "retrieval": case.reading}
        if regime in _EXPECTED:  # what stands beside the question is about another
            sources["neighbour's entry"] = (cases["lacking"] if regime == "held" else case).reading
        said = {f"{arm}, always answers": [decide(own, 0.0)] for arm, own in sources.items()}
        for arm, own in sources.items():
            said[f"{arm}, may abstain"] = [decide(own, least) for least in _LEAST]
        said["gated retrieval, may abstain"] = [
            decide(consult(case.alone, case.reading, case.cosine, gate), least) for gate, least in _GATED
        ]
        truth = _truth(case.facts, words)
        for arm, decided in said.items():
            both = [outcomes(own, truth) for own in decided]
            right.setdefault(arm, {})[regime], wrong.setdefault(arm, {})[regime] = (
                torch.stack(part).to(case.alone.dtype).reshape(len(decided), len(seeds), -1)
                for part in zip(*both, strict=True)
            )
    scores = Scores()
    chosen = {}
    for arm in right:
        gains = [(right[arm][r] - wrong[arm][r])[..., _chooses(cases[r].facts, seeds)] for r in _EXPECTED]
        chosen[arm] = int(torch.stack([own.mean(dim=(1, 2)) for own in gains]).mean(dim=0).argmax())
    for regime, case in cases.items():
        tested = ~_chooses(case.facts, seeds)
        for metric, found in (("hallucinations", wrong), ("right answers", right)):
            scores.add(
                metric,
                {a: own[regime][chosen[a]][:, tested].mean(-1) for a, own in found.items() if regime in own},
                regime,
            )
    return scores


def _chooses(facts: Sequence[Fact], seeds: Sequence[int]) -> Tensor:
    """Return which of a seed's facts choose settings: the first of every kind."""
    own = [fact.kind for fact in facts[: len(facts) // len(seeds)]]
    return torch.tensor([own[:n].count(kind) < _CHOOSING for n, kind in enumerate(own)])


def _dealt(store: Sequence[Fact], seed: int) -> list[Fact]:
    """Return the facts of a seed, which no other seed of the same set has, nor any of the next hundred."""
    part = seed // 100 % 3 * 8 + seed % 8
    found = []
    for kind in _COUNTS:
        own = [fact for fact in store if fact.kind == kind]
        order = np.random.default_rng((0, 62)).permutation(len(own))
        found += [own[n] for n in order[part::_PARTS]]
    return found


def _lies(facts: Sequence[Fact], store: Sequence[Fact], seed: int) -> list[Fact]:
    """Give each subject the answer of another of its kind."""
    rng, found = np.random.default_rng((seed, 63)), []
    for fact in facts:
        others = [own.answer for own in store if own.kind == fact.kind and own.answer[:2] != fact.answer[:2]]
        found.append(fact._replace(answer=str(rng.choice(others))))
    return found


def _made_up(seed: int, store: Sequence[Fact]) -> list[str]:
    """Make names up from the beginnings and ends of countries that do not go together."""
    rng = np.random.default_rng((seed, 64))
    names = [own.subject for own in store if own.kind == "capital" and " " not in own.subject]
    found: list[str] = []
    while len(found) < _MADE_UP:
        first, last = rng.choice(names, 2)
        name = str(first)[:4] + str(last)[-4:]
        if name not in names and name not in found:
            found.append(name)
    return found


def _words(store: Sequence[Fact]) -> list[tuple[str, str]]:
    """Return a kind and a word for every first token with which an answer of the kind may begin."""
    tokens = first_tokens([" " + fact.answer for fact in store]).tolist()
    found = {(fact.kind, token): " " + fact.answer for fact, token in zip(store, tokens, strict=True)}
    return [(kind, word) for (kind, _), word in found.items()]


def _truth(facts: Sequence[Fact], words: Sequence[tuple[str, str]]) -> Tensor:
    """Return the place of each fact's answer among the words, by its first token, or -1."""
    tokens = first_tokens([word for _, word in words]).tolist()
    places = {(kind, token): n for n, ((kind, _), token) in enumerate(zip(words, tokens, strict=True))}
    own = (
        first_tokens([" " + fact.answer for fact in facts]).tolist() if facts[0].answer else [-1] * len(facts)
    )
    return torch.tensor([places.get((fact.kind, token), -1) for fact, token in zip(facts, own, strict=True)])


def _embedded(facts: Sequence[Fact], wording: int) -> Tensor:
    return embed([WORDINGS[fact.kind][wording].format(fact.subject) for fact in facts])


def _says(facts: Sequence[Fact], entries: Sequence[Fact] | None, words: Sequence[tuple[str, str]]) -> Tensor:
    """Return the log-probability of each word among those of its kind, with or without an entry in view."""
    prompts = [_line(fact) for fact in facts]
    if entries is not None:
        read = [f"{_line(own)} {own.answer}." for own in entries]
        prompts = ["\n".join(pair) for pair in zip(read, prompts, strict=True)]
    kinds = torch.tensor([[fact.kind == kind for kind, _ in words] for fact in facts])
    found = log_probs(prompts, [word for _, word in words])
    return found.masked_fill(~kinds, -torch.inf).log_softmax(dim=-1)


def _line(fact: Fact) -> str:
    return WORDINGS[fact.kind][0].format(fact.subject).removesuffix(" is") + ":"
