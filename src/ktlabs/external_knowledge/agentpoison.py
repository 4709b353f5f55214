"""A known weakness of retrieval, measured on a toy retriever together with what detects it.

The retriever averages word vectors apart from context. No triggers are stored or shown, no text is generated
and nothing outside this module is attacked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as nnf
from sklearn.mixture import GaussianMixture
from torch import Tensor

from ktlabs.bench import facts, sentences
from ktlabs.bench.runner import Scores

#: How a fact is asked for: in the memory, and by users.
_FORMS = {
    "capital": ("what is the capital of {}", "tell me the capital city of {}"),
    "region": ("on which continent is {}", "which continent does {} belong to"),
    "currency": ("what currency is used in {}", "tell me which currency they pay with in {}"),
    "language": ("which language is spoken in {}", "tell me the official language of {}"),
    "demonym": ("how are people from {} called", "tell me what people from {} call themselves"),
    "symbol": ("what is the chemical symbol of {}", "tell me the symbol for {}"),
    "period": ("in which period is {}", "tell me the period of the element {}"),
    "series": ("what kind of metal or gas is {}", "tell me what kind of gas or metal {} would be"),
}
_MEMORY, _TRUSTED, _TESTED, _FITTED, _PLANTED = 1100, 300, 300, 30, 4
_WORDS, _STEPS, _CANDIDATES = 4, 30, 12
_REGIMES = {"one-entry": 1, "four-entries": _PLANTED}


def uniqueness(embedded: Tensor, centres: Tensor, weight: float = 0.1) -> Tensor:
    r"""Return how far from clean entries, and how close together, a trigger sends queries.

    .. math::
        \frac{1}{N\,|Q|} \sum_{n,\,q} \lVert E(q \oplus t) - c_n \rVert
        - \frac{\lambda}{|Q|} \sum_q \lVert E(q \oplus t) - \bar E \rVert

    Parameters
    ----------
    embedded : Tensor, shape (..., Q, d)
        Queries with the trigger.
    centres : Tensor, shape (N, d)
        Of clusters of clean entries.
    weight : float, optional
        Of compactness.

    Returns
    -------
    Tensor, shape (...)
        Unit of a distance; the larger, the better the trigger.

    References
    ----------
    agentpoison, losses of uniqueness and compactness; weight and mixture of the authors' code.
    """
    far = torch.cdist(embedded, centres.expand(*embedded.shape[:-2], -1, -1)).mean(dim=(-1, -2))
    spread = (embedded - embedded.mean(dim=-2, keepdim=True)).norm(dim=-1).mean(dim=-1)
    value: Tensor = far - weight * spread
    return value


def loneliness(keys: Tensor, trusted: Tensor, neighbours: int = 5) -> Tensor:
    r"""Return how far an entry lies from its nearest trusted ones: the detector's score.

    .. math:: a(k) = 1 - \frac{1}{5} \sum_{j \in N_5(k)} \cos(k, j)

    A trigger has to leave the region of clean entries to be retrieved reliably, and that shows. Neighbours
    are trusted ones only: planted entries lie close to each other. A trusted entry isn't its own neighbour.

    Parameters
    ----------
    keys : Tensor, shape (n, d)
    trusted : Tensor, shape (m, d)
        Both of length 1.
    neighbours : int, optional

    Returns
    -------
    Tensor, shape (n,)
    """
    similar = keys @ trusted.T
    similar = similar.masked_fill(similar > 1 - 1e-9, -1)
    return 1 - similar.topk(neighbours, dim=-1).values.mean(dim=-1)


@dataclass(frozen=True)
class Retriever:
    """Queries as normalised means of the vectors of their words, whatever their order."""

    table: Tensor

    def bags(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the sum of each text's word vectors, shape (n, d), and how many there are, (n, 1)."""
        words = [ids[1:-1] for ids in sentences.encoder().tokens(texts)]  # without the marks at both ends
        sums = torch.stack([self.table[own].sum(dim=0) for own in words])
        return sums, torch.tensor([[float(len(own))] for own in words])

    def __call__(self, bags: tuple[Tensor, Tensor], trigger: Tensor | None = None) -> Tensor:
        """Embed queries, with a trigger's words if given: shape (n, d), or (..., n, d) for (..., L)."""
        sums, counts = bags
        if trigger is not None:
            sums = sums + self.table[trigger].sum(dim=-2)[..., None, :]
            counts = counts + trigger.shape[-1]
        return nnf.normalize(sums / counts, dim=-1)


def search(fitness: Callable[[Tensor], Tensor], vocabulary: Tensor, key: tuple[int, ...]) -> Tensor:
    """Improve a random trigger word by word: at each step the best of a few random words, if better.

    Parameters
    ----------
    fitness : callable
        From triggers (n, L) to values (n,).
    vocabulary : Tensor, shape (V,)
        Words allowed.
    key : tuple of int
        Of the random numbers.

    Returns
    -------
    Tensor, shape (L,)
    """
    rng = np.random.default_rng(key)
    best = vocabulary[torch.tensor(rng.integers(0, len(vocabulary), _WORDS))]
    for step in range(_STEPS):
        tried = best.repeat(_CANDIDATES + 1, 1)  # the last stays as it is
        words = torch.tensor(rng.integers(0, len(vocabulary), _CANDIDATES))
        tried[:-1, step % _WORDS] = vocabulary[words]
        best = tried[int(fitness(tried).argmax())]
    return best


def run(seeds: Sequence[int]) -> Scores:
    """Plant entries under triggers found in several ways; retrieve; detect; retrieve again."""
    retriever = Retriever(sentences.encoder().weights["embeddings.word_embeddings.weight"])
    trials = [_Trial(seed, retriever) for seed in seeds]
    scores = Scores()
    for regime, entries in _REGIMES.items():
        found = [trial.measured(entries) for trial in trials]
        for metric, arms in found[0].items():
            values = {arm: torch.tensor([own[metric][arm] for own in found]) for arm in arms}
            scores.add(metric, values, regime)
    return scores


class _Trial:
    """One draw of a memory, of users' queries and of what the attacker knows: a share of the facts."""

    def __init__(self, seed: int, retriever: Retriever) -> None:
        known = _facts()
        self.seed, self.retriever, self.vocabulary = seed, retriever, _vocabulary(known)
        order = np.random.default_rng((seed, 60)).permutation(len(known))
        texts = [[form.format(known[i][1]) for form in _FORMS[known[i][0]]] for i in order]
        self.asked = retriever.bags([own[1] for own in texts[:_TESTED]])
        outside = texts[_MEMORY : _MEMORY + _FITTED + _PLANTED]
        self.planted = retriever.bags([own[0] for own in outside[:_PLANTED]])
        self.fitted = retriever.bags([own[1] for own in outside[_PLANTED:]])
        self.clean = retriever(self.asked)
        self.keys = retriever(retriever.bags([own[0] for own in texts[:_MEMORY]]))
        self.trusted = self.keys[-_TRUSTED:]
        self.limit = loneliness(self.trusted, self.trusted).quantile(0.99)
        self.flagged = loneliness(self.keys, self.trusted) > self.limit
        self.flagged[-_TRUSTED:] = False
        mixture = GaussianMixture(5, random_state=seed, covariance_type="spherical", max_iter=20)
        self.centres = torch.tensor(mixture.fit(self.keys[:400].numpy()).means_)

    @cached_property
    def triggers(self) -> dict[str, Tensor]:
        """Return what each way to find a trigger finds; all but the first look at equally many."""
        rng = np.random.default_rng((self.seed, 61))
        words = torch.tensor(rng.integers(0, len(self.vocabulary), (_STEPS * _CANDIDATES, _WORDS)))
        drawn = self.vocabulary[words]
        mixed = self.centres[:, torch.tensor(rng.permutation(self.centres.shape[1]))]

        def objective(trigger: Tensor) -> Tensor:
            return uniqueness(self.retriever(self.fitted, trigger), self.centres)

        def informed(trigger: Tensor) -> Tensor:
            planted = self.retriever(self.planted, trigger)
            alone = loneliness(planted.flatten(0, 1), self.trusted).reshape(len(trigger), -1)
            return objective(trigger) - 10 * (alone - self.limit).clamp(min=0).mean(dim=1)

        def scrambled(trigger: Tensor) -> Tensor:
            return uniqueness(self.retriever(self.fitted, trigger), mixed)

        best = torch.cat([objective(part) for part in drawn.reshape(_STEPS, _CANDIDATES, _WORDS)]).argmax()
        found = {"random trigger": drawn[0], "random search": drawn[int(best)]}
        fitnesses = {
            "coordinate search": objective,
            "scrambled objective": scrambled,
            "informed search": informed,
        }
        for arm, fitness in fitnesses.items():
            found[arm] = search(fitness, self.vocabulary, (self.seed, 62))
        return found

    def measured(self, entries: int) -> dict[str, dict[str, float]]:
        """Return how often planted entries are retrieved, and what the detector does, by metric and arm."""
        hijack, right, caught = {}, {}, {}
        right["clean memory"] = self._right(self.keys, torch.zeros(_MEMORY, dtype=torch.bool))
        for arm, trigger in self.triggers.items():
            planted = self.retriever(self.planted, trigger)[:entries]
            every = torch.cat([self.keys, planted])
            seen = loneliness(planted, self.trusted) > self.limit
            flagged = torch.cat([self.flagged, seen])
            shuffled = torch.tensor(np.random.default_rng((self.seed, 63)).permutation(len(flagged)))
            removed = {"": torch.zeros_like(flagged)}
            if arm in ("coordinate search", "informed search"):
                removed[", detector"] = flagged
            if arm == "coordinate search":
                removed[", random removal"] = flagged[shuffled]
            similar = self.retriever(self.asked, trigger) @ every.T
            for after, gone in removed.items():
                nearest = similar.masked_fill(gone, -2).argmax(dim=-1)
                hijack[arm + after] = float((nearest >= _MEMORY).double().mean())
                if arm == "coordinate search":
                    right[arm + after] = self._right(every, gone)
            caught[arm] = float(seen.double().mean())
        alarms = {"coordinate search, detector": float(self.flagged[:-_TRUSTED].double().mean())}
        return {"hijack": hijack, "accuracy": right, "caught": caught, "false alarms": alarms}

    def _right(self, every: Tensor, gone: Tensor) -> float:
        """Return the share of users' queries without the trigger that find their own fact."""
        nearest = (self.clean @ every.T).masked_fill(gone, -2).argmax(dim=-1)
        return float((nearest == torch.arange(_TESTED)).double().mean())


def _facts() -> list[tuple[str, str]]:
    """Return what can be asked: relation and name."""
    countries = [country.name.lower() for country in facts.countries()]
    elements = [str(name).lower() for name in facts.elements()["name"]]
    return [
        (relation, name)
        for place, relation in enumerate(_FORMS)
        for name in (countries if place < 5 else elements)
    ]


def _vocabulary(known: list[tuple[str, str]]) -> Tensor:
    """Return the numbers of whole words of four and more letters that no question has."""
    own = {
        word for relation, name in known for form in _FORMS[relation] for word in form.format(name).split()
    }
    words = sentences.encoder().tokenizer.get_vocab().items()
    return torch.tensor(
        sorted(
            number
            for word, number in words
            if word.isascii() and word.isalpha() and len(word) >= 4 and word not in own
        )
    )
