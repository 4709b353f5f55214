"""Matching texts through what they mention and an ontology, with explanations and a swap of markers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from ktlabs.bench import facts, sentences
from ktlabs.bench.runner import Scores

_PARTS = {"train": 50, "validation": 40, "test": 60}
_STRENGTHS = (0.1, 1.0, 10.0)
_WORDS, _LISTED = 20, 5
#: What a candidate's text ends with, one or the other: a name that the ontology doesn't know, or an origin.
_MARKERS = {
    "name": ("The author is Emily.", "The author is Lakisha."),
    "origin": ("The author comes from Sweden.", "The author comes from Nigeria."),
}
_ARMS = {
    "text": ("words", "sentences"),
    "links": ("words", "sentences", "links"),
    "ontology": ("words", "sentences", "links", "concepts"),
    "shuffled ontology": ("words", "sentences", "links", "shuffled"),
}


def expand(linked: Tensor, ontology: Tensor) -> Tensor:
    r"""Return the concepts that two texts are seen under when set side by side, for every pair.

    .. math:: v_{ij} = \log\Big(1 + \sum_{e \in L_i \setminus \{j\}} o_e\Big)

    Every entity that a text is linked to brings its concepts. What a text says of the other one's own
    subject is left out, as it would give the answer away.

    Parameters
    ----------
    linked : Tensor, shape (n, E)
        1 where text i mentions entity e; the first texts are those of the first entities.
    ontology : Tensor, shape (E, K)
        1 where entity e stands under concept k.

    Returns
    -------
    Tensor, shape (n, E, K)
        Of text i, set beside the text of entity j.
    """
    whole = linked @ ontology
    return (whole[:, None] - linked[..., None] * ontology).clamp(min=0).log1p()


def contributions(one: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    r"""Return what each shared concept adds to the cosine of two profiles: the explanation of a match.

    .. math:: c_k = \frac{w_k^2\, u_k v_k}{\lVert w u \rVert\, \lVert w v \rVert}

    Parameters
    ----------
    one, other : Tensor, shape (..., K)
    weight : Tensor, shape (K,)
        How telling each concept is.

    Returns
    -------
    Tensor, shape (..., K)
        Sums to the cosine; 0 where a profile is empty.
    """
    one, other = one * weight, other * weight
    size = one.norm(dim=-1, keepdim=True) * other.norm(dim=-1, keepdim=True)
    value: Tensor = one * other / size.clamp(min=1e-12)
    return value


def average_precision(scores: Tensor, matches: Tensor) -> Tensor:
    """Return the mean, over rows that have a match, of the precision at each match.

    Parameters
    ----------
    scores, matches : Tensor, shape (n, m)
        Scores of m candidates, -inf for those that don't stand for choice, and whether they match.

    Returns
    -------
    Tensor, shape ()
    """
    order = scores.argsort(dim=-1, descending=True, stable=True)
    hits = matches.to(torch.get_default_dtype()).gather(-1, order)
    precision = hits.cumsum(dim=-1) / torch.arange(1, hits.shape[-1] + 1)
    found = hits.sum(dim=-1)
    value: Tensor = ((precision * hits).sum(dim=-1)[found > 0] / found[found > 0]).mean()
    return value


@dataclass(frozen=True)
class _World:
    """150 countries: features of all pairs, without and with markers, and which pairs share a border."""

    features: dict[str, dict[str, Tensor]]  # by version of the candidates' texts and by name, each (n, n)
    profiles: Tensor  # (n, n, K)
    linked: Tensor
    ontology: Tensor
    weight: Tensor
    border: Tensor


@cache
def _world() -> _World:
    countries = [c for c in facts.countries() if c.borders and c.name in facts.backgrounds()]
    n = len(countries)
    names = [[c.name, c.demonym, c.capital] for c in countries]
    patterns = [re.compile(rf"\b(?:{'|'.join(map(re.escape, filter(None, own)))})\b") for own in names]
    texts = [
        pattern.sub("it", facts.backgrounds()[c.name]) for pattern, c in zip(patterns, countries, strict=True)
    ]
    kinds = [{c.subregion, c.region, *c.languages, *c.currencies} for c in countries]
    concepts = sorted(set().union(*kinds))
    ontology = torch.tensor([[float(concept in own) for concept in concepts] for own in kinds])
    border = torch.tensor(
        [[a.code in b.borders or b.code in a.borders for a in countries] for b in countries]
    )
    words = TfidfVectorizer(stop_words="english", sublinear_tf=True).fit(texts)

    def linked(versions: Sequence[str]) -> Tensor:
        found = [[float(bool(p.search(text))) for p in patterns] for text in versions]
        return torch.tensor(found)

    def embedded(versions: Sequence[str], marker: str) -> Tensor:
        return sentences.embed([f"{' '.join(text.split()[:_WORDS])} {marker}".strip() for text in versions])

    def counted(versions: Sequence[str]) -> Tensor:
        return torch.tensor(words.transform(versions).toarray())

    plain = linked(texts)
    weight = (n / (plain @ ontology > 0).sum(dim=0).clamp(min=1)).log()
    rarity = (n / (plain > 0).sum(dim=0).clamp(min=1)).log()
    features, none = {}, torch.eye(n)
    markers = {"": "", **{f"{kind} {i}": own[i] for kind, own in _MARKERS.items() for i in (0, 1)}}
    for version, marker in markers.items():
        marked = [f"{text} {marker}" for text in texts]
        theirs = linked(marked)
        features[version] = {
            "words": counted(texts) @ counted(marked).T,
            "sentences": embedded(texts, "") @ embedded(texts, marker).T,
            "links": _similar(plain, theirs, none, rarity),
            "concepts": _similar(plain, theirs, ontology, weight),
        }
    return _World(features, expand(plain, ontology), plain, ontology, weight, border)


def _similar(queries: Tensor, candidates: Tensor, ontology: Tensor, weight: Tensor) -> Tensor:
    """Return the cosine of the profiles of each query and candidate, shape (n, n)."""
    return contributions(expand(queries, ontology), expand(candidates, ontology).transpose(0, 1), weight).sum(
        dim=-1
    )


def run(seeds: Sequence[int]) -> Scores:
    """Rank countries as neighbours by what is written about them; explain; swap markers."""
    world = _world()
    trials = [_Trial(world, seed) for seed in seeds]
    scores = Scores()
    found: dict[str, dict[str, list[float]]] = {}
    for arm in _ARMS:
        options = [[trial.validation(arm, strength) for trial in trials] for strength in _STRENGTHS]
        strength = _STRENGTHS[int(np.argmax(np.mean(options, axis=1)))]
        for trial in trials:
            for metric, own in trial.measured(arm, strength).items():
                for name, value in own.items():
                    found.setdefault(metric, {}).setdefault(name, []).append(value)
    for metric, arms in found.items():
        scores.add(metric, {name: torch.tensor(values) for name, values in arms.items()})
    return scores


class _Trial:
    """One split of the countries into those to fit, to choose and to test on."""

    def __init__(self, world: _World, seed: int) -> None:
        rng = np.random.default_rng((seed, 66))
        n = len(world.border)
        order = torch.tensor(rng.permutation(n))
        ends = np.cumsum([0, *_PARTS.values()])
        self.parts = {
            name: order[begin:end] for name, begin, end in zip(_PARTS, ends[:-1], ends[1:], strict=True)
        }
        self.world, self.rng = world, rng
        mixed = world.ontology[torch.tensor(rng.permutation(n))]
        weight = (n / (world.linked @ mixed > 0).sum(dim=0).clamp(min=1)).log()
        self.shuffled = _similar(world.linked, world.linked, mixed, weight)

    def pairs(self, arm: str, part: str, version: str = "") -> Tensor:
        """Return the features of the pairs of a part, shape (m, m, F)."""
        own = self.parts[part]
        chosen = [
            self.shuffled if name == "shuffled" else self.world.features[version][name] for name in _ARMS[arm]
        ]
        return torch.stack([feature[own][:, own] for feature in chosen], dim=-1)

    @cache  # noqa: B019 - trials live as long as the run
    def model(self, arm: str, strength: float) -> tuple[Tensor, Tensor]:
        """Return the weights of the features, and the means that are taken off them."""
        own = self.parts["train"]
        apart = ~torch.eye(len(own), dtype=torch.bool)
        x, y = self.pairs(arm, "train")[apart], self.world.border[own][:, own][apart]
        middle, scale = x.mean(dim=0), x.std(dim=0)
        fitted = LogisticRegression(C=strength, tol=1e-8).fit(((x - middle) / scale).numpy(), y.numpy())
        return torch.tensor(fitted.coef_[0]) / scale, middle

    def scored(self, arm: str, strength: float, features: Tensor) -> Tensor:
        """Return a fitted model's scores of pairs; a country is no candidate for itself."""
        weights, middle = self.model(arm, strength)
        scores = (features - middle) @ weights
        if scores.dim() == 2:
            scores = scores.masked_fill(torch.eye(len(scores), dtype=torch.bool), -torch.inf)
        return scores

    def validation(self, arm: str, strength: float) -> float:
        """Return the mean average precision on the part to choose on."""
        own = self.parts["validation"]
        matches = self.world.border[own][:, own]
        return float(average_precision(self.scored(arm, strength, self.pairs(arm, "validation")), matches))

    def measured(self, arm: str, strength: float) -> dict[str, dict[str, float]]:
        """Return how well the test part is ranked and, where it applies, explained and swapped."""
        own = self.parts["test"]
        matches = self.world.border[own][:, own]
        scores = self.scored(arm, strength, self.pairs(arm, "test"))
        found = {"MAP": {arm: float(average_precision(scores, matches))}}
        if arm in ("text", "ontology"):
            others = ~torch.eye(len(own), dtype=torch.bool)
            for kind in _MARKERS:
                ranks = []
                for version in (
                    f"{kind} 0",
                    f"{kind} 1",
                ):  # one candidate marked, beside all others as they are
                    marked = self.scored(arm, strength, self.pairs(arm, "test", version))
                    ranks.append(((scores[:, :, None] > marked[:, None]) & others).sum(dim=1))
                found[f"moved by {kind}"] = {arm: float((ranks[0] - ranks[1]).abs().double().mean())}
        if arm == "ontology":
            found |= self._explained(strength, scores, matches)
        return found

    def _explained(self, strength: float, scores: Tensor, matches: Tensor) -> dict[str, dict[str, float]]:
        """Return how often listed matches stay listed without one shared concept, and how many have any."""
        own, world = self.parts["test"], self.world
        features = self.pairs("ontology", "test")
        listed = scores.argsort(dim=-1, descending=True, stable=True)[:, :_LISTED]
        kept: dict[str, list[float]] = {"explaining concept deleted": [], "another concept deleted": []}
        shares = []
        for query, candidates in enumerate(listed.tolist()):
            mine, theirs = world.profiles[own[query]][own], world.profiles[own][:, own[query]]
            each = contributions(mine, theirs, world.weight)
            for candidate in (c for c in candidates if matches[query, c]):
                shared = each[candidate].nonzero()[:, 0]
                shares.append(float(len(shared) > 0))
                if len(shared) < 2:
                    continue
                first = int(each[candidate].argmax())
                rest = [k for k in shared.tolist() if k != first]
                for arm, gone in zip(kept, (first, int(self.rng.choice(rest))), strict=True):
                    less = mine.clone()
                    less[:, gone] = 0
                    row = features[query].clone()
                    row[:, -1] = contributions(less, theirs, world.weight).sum(dim=-1)
                    again = self.scored("ontology", strength, row)
                    again[query] = -torch.inf
                    kept[arm].append(float((again > again[candidate]).sum() < _LISTED))
        return {
            "kept": {arm: float(np.mean(values)) for arm, values in kept.items()},
            "explained": {"ontology": float(np.mean(shares))},
        }
