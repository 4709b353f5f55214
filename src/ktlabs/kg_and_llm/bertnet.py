"""BertNet: harvest the pairs of a relation from a language model with many weighted prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from ktlabs.bench import facts, models
from ktlabs.bench.data import share
from ktlabs.bench.runner import Scores

#: Wordings of one relation, as a user may give it and a paraphraser may return it.
_PROMPTS = (
    *("Capital of {}:", "The capital of {} is", "The capital city of {} is called"),
    *("{}'s capital is", "The government of {} sits in the city of"),
)
#: What a paraphraser returns that has drifted to another relation.
_DRIFTED = ("The largest neighbour of {} is", "The best-known food of {} is")
_FEW, _KEPT = 5, 3


def support(log_probs: Tensor) -> Tensor:
    r"""Return how far a prompt supports each pair of a head and a tail.

    .. math:: f_p(h, t) = \tfrac{2}{3} \operatorname{mean}(a, b) + \tfrac{1}{3} \min(a, b),
       \quad a = \log p(t \mid h), \quad b = \log p(h \mid t)

    A causal model gives :math:`a`; :math:`b` follows by Bayes' rule from equally likely heads.

    Parameters
    ----------
    log_probs : Tensor, shape (..., H, T)
        Of each tail after the prompt with each head, in nats.

    References
    ----------
    bertnet, `KnowledgeHarvester.score` of the authors' code, where a masked model gives both.
    """
    tail, head = log_probs, log_probs.log_softmax(dim=-2)
    return (tail + head) / 3 + torch.minimum(tail, head) / 3


def prompt_weights(supports: Tensor, temperature: float = 1.0, least: float = 0.05) -> Tensor:
    r"""Weigh prompts by how much more they support the seed pairs than pairs mixed from these.

    .. math:: w_p \propto \exp\Big(\frac{1}{\tau} \big(\overline{f_p(h_i, t_i)}
       - \tfrac{1}{2}\, \overline{f_p(h_i, t_j)}_{\,i \ne j}\big)\Big)

    Parameters
    ----------
    supports : Tensor, shape (P, n, n)
        Of each prompt for all heads and tails of the n seed pairs; the pairs are on the diagonal.
    temperature : float, optional
    least : float, optional
        A prompt of less weight gets none.

    Returns
    -------
    Tensor, shape (P,)
        Sums to 1.

    References
    ----------
    bertnet, `KnowledgeHarvester.update_prompts` of the authors' code.
    """
    n = supports.shape[-1]
    right = supports.diagonal(dim1=1, dim2=2).sum(dim=-1)
    mixed = (supports.sum(dim=(1, 2)) - right) / (n * (n - 1))
    weights = ((right / n - mixed / 2) / temperature).softmax(dim=0)
    weights = torch.where(weights < least, 0, weights)
    return weights / weights.sum()


def consistency(supports: Tensor, weights: Tensor) -> Tensor:
    r"""Return each pair's score :math:`\sum_p w_p f_p(h, t)`, shape (H, T), from supports (P, H, T)."""
    return torch.einsum("p,pht->ht", weights, supports)


def search(log_probs: Tensor, weights: Tensor, keep: int = _KEPT) -> Tensor:
    """Return the candidates: the tails that the prompts together find likeliest for each head.

    Needs what one pass over the heads gives, and no score of pairs.

    Parameters
    ----------
    log_probs : Tensor, shape (P, H, T)
    weights : Tensor, shape (P,)
    keep : int, optional
        Tails a head.

    Returns
    -------
    Tensor of bool, shape (H, T)
    """
    likely = consistency(log_probs, weights)
    return likely >= likely.topk(keep, dim=-1).values[:, -1:]


def run(seeds: Sequence[int]) -> Scores:
    """Harvest capitals with one prompt, the best one, all alike, and all weighted."""
    found = [_harvest(seed) for seed in seeds]
    scores = Scores()
    for metric in ("average precision", "precision"):
        scores.add(metric, {arm: torch.tensor([own[arm][metric] for own in found]) for arm in found[0]})
    return scores


def told_apart(words: Sequence[str]) -> list[int]:
    """Return the places of the words whose first token, after a space, no earlier word has."""
    firsts = models.first_tokens([f" {word}" for word in words]).tolist()
    return [place for place, first in enumerate(firsts) if firsts.index(first) == place]


def capitals() -> list[facts.Country]:
    """Return the countries to ask for: of a quarter million and more, and no two capitals begin alike."""
    known = [own for own in facts.countries() if own.population >= 250_000 and not own.tells]
    return [known[place] for place in told_apart([own.capital for own in known])]


def _read(seed: int) -> tuple[Tensor, list[int]]:
    """Return a draw's log-probabilities, shape (P, heads, all tails), and the places of its tails."""
    pairs = capitals()
    places = share(seed, len(pairs))
    prompts = [prompt.format(pairs[n].name) for prompt in _PROMPTS + _DRIFTED for n in places]
    found = models.log_probs(prompts, [f" {own.capital}" for own in pairs])
    return found.reshape(len(_PROMPTS + _DRIFTED), len(places), -1), places


def _harvest(seed: int) -> dict[str, dict[str, float]]:
    """Return each arm's scores on a draw, with seed pairs from the next draw of the same set."""
    shown, few = _read(seed + 1)
    weights = prompt_weights(support(shown[:, :_FEW][..., few[:_FEW]]))
    log_probs, places = _read(seed)
    supports, every = support(log_probs), torch.eye(len(weights))
    truth = np.zeros(supports.shape[1:], dtype=bool)
    truth[range(len(places)), places] = True
    full = consistency(supports, weights)
    kept = torch.where(search(log_probs, weights), full, full.min() - 1)
    arms = {
        "one prompt": [consistency(supports, own) for own in every[: len(_PROMPTS)]],
        "best prompt": [consistency(supports, every[int(weights.argmax())])],
        "all alike": [consistency(supports, every.mean(dim=0))],
        "all alike, none drifted": [consistency(supports, every[: len(_PROMPTS)].mean(dim=0))],
        "weighted": [full],
        "weights of others": [consistency(supports, weights.roll(shift)) for shift in range(1, len(weights))],
        "weighted, searched": [kept],
        "weighted, tails only": [consistency(log_probs, weights)],
    }
    return {arm: _score(truth, tables) for arm, tables in arms.items()}


def _score(truth: np.ndarray, tables: Sequence[Tensor]) -> dict[str, float]:
    """Return the mean over tables of what the ranking of their pairs is worth."""
    count = int(truth.sum())
    ranked = [truth.ravel()[np.argsort(-own.ravel().numpy(), kind="stable")] for own in tables]
    precise = [average_precision_score(truth.ravel(), own.ravel().numpy()) for own in tables]
    return {
        "average precision": float(np.mean(precise)),
        "precision": float(np.mean([own[:count].mean() for own in ranked])),
    }
