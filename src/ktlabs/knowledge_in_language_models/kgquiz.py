"""KGQuiz: one triple asked in five formats, and by likelihood where no format is to be followed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench import facts, models
from ktlabs.bench.data import share
from ktlabs.bench.runner import Scores
from ktlabs.kg_and_llm.bertnet import capitals

_LETTERS = "ABCD"
#: Chance levels of the formats that offer answers; a free answer is right by chance next to never.
CHANCE = {"true or false": 0.5, "multiple choice": 0.25, "head left out": 0.25}
#: How many of a draw's facts are asked in each domain.
_ASKED = {"capitals": 3, "symbols": 3}


@dataclass(frozen=True)
class Fact:
    """A triple, three wrong tails of the same relation, and something else that is true of its head.

    `besides` is a kind and its value, as continent and Asia; `place`, from 0 to 3, says where among the
    options the right one stands.
    """

    relation: str
    head: str
    tail: str
    wrong: tuple[str, ...]
    besides: tuple[str, str]
    place: int

    @property
    def options(self) -> list[str]:
        """The four tails in the order of the letters."""
        return [*self.wrong[: self.place], self.tail, *self.wrong[self.place :]]

    @property
    def cloze(self) -> str:
        """The statement of the triple up to its tail."""
        return f"The {self.relation} {self.head} is"


def questions(fact: Fact) -> dict[str, str]:
    """Return a triple's question in each format, as a text to be continued.

    References
    ----------
    kgquiz, its five tasks in miniature: true-or-false, multiple choice, blank filling, factual editing (one
    hop of two is wrong) and open-ended text generation.
    """
    listed = " ".join(f"{letter}. {own}" for letter, own in zip(_LETTERS, fact.options, strict=True))
    wrong, (kind, value) = f"{fact.cloze} {fact.wrong[0]}", fact.besides
    hops = f"{wrong}, and {fact.head} is in {kind.lower()} {value}"
    return {
        "true": models.chat(f"True or false? {fact.cloze} {fact.tail}."),
        "false": models.chat(f"True or false? {wrong}."),
        "multiple choice": models.chat(f"What is the {fact.relation} {fact.head}? {listed}"),
        "blank filling": fact.cloze,
        "factual editing": f"Wrong: {hops}. Corrected: {fact.cloze}",
        "open-ended": f"Facts about {fact.head}\n{kind}: {value}\n",
    }


def above_chance(accuracy: Tensor, chance: float) -> Tensor:
    r"""Return how much of the way from chance to perfection an accuracy goes.

    .. math:: \kappa = \frac{a - c}{1 - c}

    At 0 for guessing and 1 for no error, whatever the number of options; below 0 for worse than guessing.
    """
    return (accuracy - chance) / (1 - chance)


def states(text: str, tail: str, *, first: bool) -> bool:
    """Say whether an answer has the tail as a word of its own, or begins with it."""
    pattern = rf"{re.escape(tail)}(?!\w)"
    return bool(re.match(rf"\W*{pattern}", text) if first else re.search(rf"(?<!\w){pattern}", text))


def run(seeds: Sequence[int]) -> Scores:
    """Ask each seed's triples in all formats, in both domains and in each."""
    drawn = [(seed, domain, fact) for seed in seeds for domain, fact in _draw(seed)]
    right = _answers([fact for _, _, fact in drawn])
    scores = Scores()
    for regime in ("main", *_ASKED):
        own = [
            [n for n, (whose, domain, _) in enumerate(drawn) if whose == seed and regime in ("main", domain)]
            for seed in seeds
        ]
        arms = {arm: torch.stack([each[places].mean() for places in own]) for arm, each in right.items()}
        scores.add("accuracy", arms, regime)
        scores.add(
            "above chance",
            {arm: above_chance(each, CHANCE.get(arm.partition(",")[0], 0.0)) for arm, each in arms.items()},
            regime,
        )
    return scores


_Row = tuple[str, str, str, tuple[str, str]]


def _domains() -> dict[str, list[_Row]]:
    """Return relation, head, tail and what else is true, of facts whose tails differ in the first token."""
    elements = facts.elements()
    names, symbols, periods = (elements[column].astype(str) for column in ("name", "symbol", "period"))
    symbol_tokens = models.language_model().tokens([f" {own}" for own in symbols])
    return {
        "capitals": [("capital of", own.name, own.capital, ("Continent", own.region)) for own in capitals()],
        "symbols": [
            ("chemical symbol of", name.lower(), symbol, ("Period", period))
            for name, symbol, period, tokens in zip(names, symbols, periods, symbol_tokens, strict=True)
            if len(tokens) == 1
        ],
    }


def _draw(seed: int) -> list[tuple[str, Fact]]:
    """Return a seed's triples with their domain; wrong tails come from all others of the domain."""
    rng, drawn = np.random.default_rng((seed, 5)), []
    for domain, rows in _domains().items():
        for place in share(seed, len(rows))[: _ASKED[domain]]:
            relation, head, tail, besides = rows[place]
            others = [row[2] for row in rows if row[2] != tail]
            wrong = tuple(others[n] for n in rng.choice(len(others), 3, replace=False))
            drawn.append((domain, Fact(relation, head, tail, wrong, besides, int(rng.integers(4)))))
    return drawn


def _answers(own: list[Fact]) -> dict[str, Tensor]:
    """Return for each arm which answers are right, 0 to 1, shape (n,)."""
    asked = {name: [questions(fact)[name] for fact in own] for name in questions(own[0])}
    says = models.log_probs(asked["true"] + asked["false"], ["True", "False"])
    true, false = (says[:, 0] - says[:, 1]).chunk(2)
    letters = models.log_probs(asked["multiple choice"], list(_LETTERS))
    place = torch.tensor([fact.place for fact in own])
    likely, bare = (
        _likely(asked["blank filling"], own),
        _likely([f"The {f.relation} it is" for f in own], own),
    )
    rival = torch.tensor([fact.options.index(fact.wrong[0]) for fact in own])
    rows = torch.arange(len(own))
    right = {
        "true or false": ((true > 0).double() + (false < 0).double()) / 2,
        "true or false, ranked": true > false,
        "true or false, by likelihood": likely[rows, place] > likely[rows, rival],
        "multiple choice": letters.argmax(dim=-1) == place,
        "multiple choice, by likelihood": likely.argmax(dim=-1) == place,
        "head left out": bare.argmax(dim=-1) == place,
    }
    for name, count in (("blank filling", 5), ("factual editing", 5), ("open-ended", 16)):
        said = zip(models.complete(asked[name], count), own, strict=True)
        right[name] = torch.tensor([states(text, f.tail, first=name != "open-ended") for text, f in said])
    return {arm: each.double() for arm, each in right.items()}


def _likely(prompts: Sequence[str], own: Sequence[Fact]) -> Tensor:
    """Return the log-probability of each fact's four options after its prompt, shape (n, 4)."""
    tails = sorted({tail for fact in own for tail in fact.options})
    found = models.log_probs(prompts, [f" {tail}" for tail in tails])
    places = torch.tensor([[tails.index(tail) for tail in fact.options] for fact in own])
    return found.gather(1, places)
