"""A graph from this review's abstracts, scored against this review's records."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from ktlabs.bench.runner import Scores
from ktreview.corpus.load import load_review

#: What a paper can be related to, as the records name it.
RELATIONS = ("metric", "benchmark", "baseline")
_PARTS = {"learn": 24, "choose": 12, "test": 36}
#: How much more likely than not a phrase must seem, in natural logarithms.
_LIMITS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
#: How much the vocabulary counts beside the cues; cues alone try as many limits instead.
_WEIGHTS = (0.0, 0.5, 1.0)
_FINER = tuple(1 + 5 * place / 17 for place in range(18))
_LONGEST = 6

Odds = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Phrase:
    """A run of words without stop words or punctuation, and the words around it."""

    words: tuple[str, ...]
    around: tuple[str, ...]

    @cached_property
    def concepts(self) -> list[str]:
        """Return what its words are instances of: their stem and their shape; the last one's count twice."""
        return [concept for word in (*self.words, self.words[-1]) for concept in (stem(word), shape(word))]


def stem(word: str) -> str:
    """Return a word in lower case, without the plural's s."""
    lower = word.lower()
    return lower[:-1] if len(lower) > 3 and lower.endswith("s") and not lower.endswith("ss") else lower


def shape(word: str) -> str:
    """Return the kind of a word that its letters tell: a named thing, a number or a common word."""
    if any(letter.isdigit() for letter in word):
        return "*number" if word[0].isdigit() else "*name"
    return "*name" if sum(letter.isupper() for letter in word) > 1 else "*common"


def phrases(text: str) -> list[Phrase]:
    """Return the phrases of a text, each once, in their order."""
    tokens = re.findall(r"[A-Za-z0-9%@&/+-]+|[^\sA-Za-z0-9]", text)
    stops = [not re.match(r"[A-Za-z0-9]", t) or t.lower() in ENGLISH_STOP_WORDS for t in tokens]
    found: dict[tuple[str, ...], Phrase] = {}
    begin = 0
    for place in range(len(tokens) + 1):
        if place < len(tokens) and not stops[place]:
            continue
        words = tuple(tokens[begin:place])
        if 0 < len(words) <= _LONGEST:
            before = [f"<{t.lower()}" for t in tokens[max(begin - 2, 0) : begin]]
            after = [f">{t.lower()}" for t in tokens[place : place + 1]]
            found.setdefault(words, Phrase(words, (*before, *after)))
        begin = place + 1
    return list(found.values())


def log_odds(labelled: Iterable[tuple[int, Sequence[str]]], pseudo: float = 2.0) -> Odds:
    r"""Learn what relation a feature speaks for: cues, or a vocabulary with types.

    .. math:: w_r(f) = \log \frac{n_{r f} + m p_r}{n_{0 f} + m p_0} - \log \frac{p_r}{p_0}

    A feature that was seen seldom speaks softly: it is mixed with m observations at the base rates p.

    Parameters
    ----------
    labelled : iterable of pairs
        The relation of a phrase as a number from 1, or 0 for none, and its features.
    pseudo : float, optional
        m.

    Returns
    -------
    dict of str to tuple of float
        One value a relation; what was never seen has none.
    """
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    numbers: Counter[int] = Counter()
    for relation, own in labelled:
        numbers[relation] += 1
        for feature in own:
            counts[feature][relation] += 1
    total = sum(numbers.values())
    base = [(numbers[r] + 1) / (total + len(RELATIONS) + 1) for r in range(len(RELATIONS) + 1)]

    def weight(own: Counter[int], r: int) -> float:
        seen = (own[r] + pseudo * base[r]) / (own[0] + pseudo * base[0])
        return float(np.log(seen * base[0] / base[r]))

    return {
        feature: tuple(weight(own, r) for r in range(1, len(RELATIONS) + 1))
        for feature, own in sorted(counts.items())
    }


def extract(
    found: Sequence[Phrase], cues: Odds, types: Odds, limit: float, weight: float = 1.0
) -> list[tuple[str, Phrase]]:
    r"""Return the phrases that seem to stand in a relation to the paper, each with the likeliest.

    .. math:: s_r(x) = \sum_{f \in A(x)} w_r(f) + \alpha \sum_{c \in C(x)} v_r(c)

    A are the words around a phrase, C the concepts of its own words.

    Parameters
    ----------
    found : sequence of Phrase
    cues, types : mapping of str to tuple of float
        What the words around a phrase, and the concepts of its own words, speak for.
    limit : float
        The least sum.
    weight : float, optional
        Of the types.
    """
    none = (0.0,) * len(RELATIONS)
    kept = []
    for phrase in found:
        total = [0.0] * len(RELATIONS)
        for odds, own, factor in ((cues, phrase.around, 1.0), (types, phrase.concepts, weight)):
            for feature in own if factor else ():
                for place, value in enumerate(odds.get(feature, none)):
                    total[place] += factor * value
        if max(total) >= limit:
            kept.append((RELATIONS[total.index(max(total))], phrase))
    return kept


@cache
def same(phrase: tuple[str, ...], term: tuple[str, ...]) -> bool:
    """Say whether a phrase and a term share half of all their words or more, by stem."""
    one, other = {stem(word) for word in phrase}, {stem(word) for word in term}
    return len(one & other) * 2 >= len(one | other)


def f1(hits: float, extracted: float, recorded: float) -> float:
    """Return the harmonic mean of precision and recall; 0 where nothing is right."""
    return 2 * hits / (extracted + recorded) if hits else 0.0


@dataclass(frozen=True)
class Paper:
    """The phrases of an abstract, and what the records say of it: relation and words of each term."""

    phrases: tuple[Phrase, ...]
    recorded: tuple[tuple[str, tuple[str, ...]], ...]

    @cached_property
    def labelled(self) -> list[tuple[int, Phrase]]:
        """Return each phrase with the relation that the records give it, as a number, or 0."""
        found = []
        for phrase in self.phrases:
            own = [relation for relation, term in self.recorded if same(phrase.words, term)]
            found.append((RELATIONS.index(own[0]) + 1 if own else 0, phrase))
        return found


@cache
def papers() -> tuple[Paper, ...]:
    """Return this review's papers, in its order."""
    review = load_review()
    found = []
    for key, abstract in zip(review.papers["key"], review.papers["abstract"], strict=True):
        own = review.claims[review.claims["paper"] == key]
        terms = {
            (relation, term)
            for relation in RELATIONS
            for cell in own[relation]
            for term in cell.split("; ")
            if term
        }
        recorded = tuple((relation, _content(term)) for relation, term in sorted(terms))
        found.append(Paper(tuple(phrases(abstract)), recorded))
    return tuple(found)


def _content(term: str) -> tuple[str, ...]:
    """Return the words of a term that a phrase may have."""
    words = re.findall(r"[A-Za-z0-9%@&/+-]+", term)
    return tuple(word for word in words if word.lower() not in ENGLISH_STOP_WORDS) or tuple(words)


def run(seeds: Sequence[int]) -> Scores:
    """Learn cues and types from some papers, extract from others, and score against their records."""
    drawn = [_parts(seed) for seed in seeds]
    learnt = [_learn(parts["learn"], seed) for parts, seed in zip(drawn, seeds, strict=True)]
    measured: dict[str, dict[str, list[float]]] = {}
    for arm in learnt[0]:
        settings = [(limit, 1.0) for limit in _FINER]
        if arm not in ("cues", "ontology, no cues"):
            settings = [(limit, weight) for weight in _WEIGHTS for limit in _LIMITS]
        options = [
            [
                score(parts["choose"], *odds[arm], *own)["F1"]
                for parts, odds in zip(drawn, learnt, strict=True)
            ]
            for own in settings
        ]
        best = settings[int(np.argmax(np.mean(options, axis=1)))]
        for parts, odds in zip(drawn, learnt, strict=True):
            for metric, value in score(parts["test"], *odds[arm], *best).items():
                measured.setdefault(metric, {}).setdefault(arm, []).append(value)
    scores = Scores()
    for metric, arms in measured.items():
        scores.add(metric, {arm: torch.tensor(values) for arm, values in arms.items()})
    return scores


def _parts(seed: int) -> dict[str, list[Paper]]:
    """Split the papers into those to learn from, to choose the limit on, and to test on."""
    order = np.random.default_rng((seed, 67)).permutation(len(papers()))
    ends = np.cumsum([0, *_PARTS.values()])
    return {
        name: [papers()[place] for place in order[begin:end]]
        for name, begin, end in zip(_PARTS, ends[:-1], ends[1:], strict=True)
    }


def _learn(own: Sequence[Paper], seed: int) -> dict[str, tuple[Odds, Odds]]:
    """Return cues and types of each arm."""
    labelled = [each for paper in own for each in paper.labelled]
    cues = log_odds((relation, phrase.around) for relation, phrase in labelled)
    types = log_odds((relation, phrase.concepts) for relation, phrase in labelled)
    rng = np.random.default_rng((seed, 68))
    return {
        "cues": (cues, {}),
        "ontology": (cues, types),
        "types shuffled": (cues, {c: tuple(rng.permutation(own).tolist()) for c, own in types.items()}),
        "ontology, no cues": ({}, types),
    }


def score(
    own: Sequence[Paper], cues: Odds, types: Odds, limit: float, weight: float = 1.0
) -> dict[str, float]:
    """Return how well the graph of some papers' abstracts agrees with their records.

    Returns
    -------
    dict of str to float
        ``F1``, ``precision`` and ``recall`` of triples, each recorded one found at most once; ``links F1`` of
        the pairs of papers that share an object of a relation.
    """
    hits = extracted = recorded = 0
    drawn, true = [], []
    for paper in own:
        found = extract(paper.phrases, cues, types, limit, weight)
        left = list(found)
        for relation, term in paper.recorded:
            for each in left:
                if each[0] == relation and same(each[1].words, term):
                    left.remove(each)
                    hits += 1
                    break
        extracted += len(found)
        recorded += len(paper.recorded)
        drawn.append({(relation, *sorted(map(stem, phrase.words))) for relation, phrase in found})
        true.append({(relation, *sorted(map(stem, term))) for relation, term in paper.recorded})
    pairs, wanted = (_linked(objects) for objects in (drawn, true))
    return {
        "F1": f1(hits, extracted, recorded),
        "precision": hits / max(extracted, 1),
        "recall": hits / max(recorded, 1),
        "links F1": f1(len(pairs & wanted), len(pairs), len(wanted)),
    }


def _linked(objects: Sequence[set[tuple[str, ...]]]) -> set[tuple[int, int]]:
    """Return the pairs of papers that share an object."""
    return {(i, j) for j, other in enumerate(objects) for i in range(j) if objects[i] & other}
