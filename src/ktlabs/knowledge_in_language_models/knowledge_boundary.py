"""The knowledge boundary: what a model answers, says it can answer, and says of its answer, by passage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench import facts, models
from ktlabs.bench.data import share
from ktlabs.bench.runner import Scores
from ktlabs.kg_and_llm.bertnet import capitals

#: What may be retrieved, and how often an imperfect retriever gives it.
PASSAGES = {"gold": 0.5, "irrelevant": 0.25, "counterfactual": 0.25}
_ASKED = 4


def awareness(said: Tensor, right: Tensor, weights: Tensor) -> Tensor:
    r"""Return how much more often judgement and truth agree than they would by their rates alone.

    .. math:: A - \big(\bar{j}\,\bar{c} + (1 - \bar{j})(1 - \bar{c})\big) = 2\,\mathrm{Cov}(j, c)

    At 0 for a model that always says yes, or whose yes has nothing to do with being right, however often it
    is right; at most 1/2.

    Parameters
    ----------
    said, right : Tensor, shape (n,)
        Whether the model says that its answer is right, and whether it is; 0 or 1.
    weights : Tensor, shape (n,)
        Sum to 1.

    References
    ----------
    knowledge-boundary, whose share of right judgements is :math:`A`; the correction is that of J. Cohen, A
    Coefficient of Agreement for Nominal Scales (1960), not divided by its largest value, which may be 0.
    """
    return 2 * ((weights * said * right).sum() - (weights * said).sum() * (weights * right).sum())


def agreement(said: Tensor, right: Tensor, weights: Tensor) -> Tensor:
    r"""Return the share of right judgements, :math:`A = \Pr[j = c]`; that of always yes is the accuracy."""
    return (weights * (said == right)).sum()


def ranking(margin: Tensor, right: Tensor, weights: Tensor) -> Tensor:
    r"""Return how much surer the model is of right answers than of wrong ones, whatever it takes to say yes.

    .. math:: \sum_{i \text{ right}} \sum_{j \text{ wrong}} w_i w_j \operatorname{sign}(m_i - m_j)

    Between the same two in size as there are pairs of a right and a wrong answer; 0 where there are none.

    Parameters
    ----------
    margin, right, weights : Tensor, shape (n,)
        Log-probability of yes less that of no, in nats; 0 or 1; summing to 1.
    """
    pairs = (weights * right)[:, None] * (weights * (1 - right))
    return (pairs * (margin[:, None] - margin).sign()).sum()


def run(seeds: Sequence[int]) -> Scores:
    """Ask each seed's capitals with each passage; an imperfect retriever is their weighted mixture."""
    pairs = capitals()
    drawn = [place for seed in seeds for place in share(seed, len(pairs))[:_ASKED]]
    others = [place for seed in seeds for place in _others(seed, len(pairs))]
    found = {name: _ask(pairs, drawn, texts) for name, texts in _passages(pairs, drawn, others).items()}
    mixtures = {"retrieved": PASSAGES} | {name: {name: 1.0} for name in found}
    scores = Scores()
    for metric in ("accuracy", "says it can", "says it is right", "follows the passage"):
        arms = {arm: _mean(found, metric, of, len(seeds)) for arm, of in mixtures.items()}
        if metric == "accuracy":
            arms["none, as claimed"] = _mean(found, "says it can", {"none": 1.0}, len(seeds))
        scores.add(metric, arms)
    for metric, (measure, judged) in _JUDGED.items():
        arms = {arm: _judge(found, measure, judged, of, len(seeds)) for arm, of in mixtures.items()}
        if metric == "agreement":
            arms["retrieved, always yes"] = _mean(found, "accuracy", PASSAGES, len(seeds))
        if metric == "ranking":
            for arm in ("none", "retrieved"):
                own = _judge(found, ranking, "probability", mixtures[arm], len(seeds))
                arms[f"{arm}, by its probability"] = own
        scores.add(metric, arms)
    return scores


#: Each measure of self-judgement: how it is computed, and from which judgement.
_JUDGED = {
    "agreement": (agreement, "says it is right"),
    "awareness": (awareness, "says it is right"),
    "awareness beforehand": (awareness, "says it can"),
    "ranking": (ranking, "margin after"),
    "ranking beforehand": (ranking, "margin before"),
}


def _others(seed: int, count: int) -> list[int]:
    """Return for each of a seed's facts the place of another, whose country or capital a passage names."""
    rng = np.random.default_rng((seed, 6))
    return [int((own + 1 + rng.integers(count - 1)) % count) for own in share(seed, count)[:_ASKED]]


def _passages(
    pairs: Sequence[facts.Country], drawn: Sequence[int], others: Sequence[int]
) -> dict[str, list[str]]:
    """Return the passages of each kind; all say the same of a country and a capital."""

    def say(countries: Sequence[int], capitals: Sequence[int]) -> list[str]:
        named = zip(countries, capitals, strict=True)
        return [f"Passage: {pairs[c].capital} is the capital of {pairs[n].name}.\n" for n, c in named]

    return {
        "none": [""] * len(drawn),
        "gold": say(drawn, drawn),
        "irrelevant": say(others, others),
        "counterfactual": say(drawn, others),
    }


def _ask(pairs: Sequence[facts.Country], drawn: Sequence[int], passages: Sequence[str]) -> dict[str, Tensor]:
    """Return what the model answers and says of it, one value a fact."""
    tails = [f" {own.capital}" for own in pairs]
    asked = list(zip(passages, [pairs[n].name for n in drawn], strict=True))
    questions = [
        f"{text}Question: What is the capital of {name}?\nAnswer: The capital of {name} is"
        for text, name in asked
    ]
    likely = models.log_probs(questions, tails)
    answer = likely.argmax(dim=-1)
    before = [f"{text}Do you know the capital of {name}?" for text, name in asked]
    after = [
        f"{text}Is{tails[n]} the capital of {name}?"
        for (text, name), n in zip(asked, answer.tolist(), strict=True)
    ]
    says = models.log_probs([models.chat(own) for own in before + after], ["Yes", "No"])
    can, right = (says[:, 0] - says[:, 1]).chunk(2)
    top = likely.topk(2, dim=-1).values
    named = torch.tensor(
        [
            float(bool(text) and text.startswith(f"Passage: {pairs[n].capital} is"))
            for text, n in zip(passages, answer.tolist(), strict=True)
        ]
    )
    return {
        "accuracy": (answer == torch.tensor(drawn)).double(),
        "says it can": (can > 0).double(),
        "says it is right": (right > 0).double(),
        "follows the passage": named,
        "margin before": can,
        "margin after": right,
        "probability": top[:, 0] - top[:, 1],
    }


def _mean(found: dict[str, dict[str, Tensor]], metric: str, of: Mapping[str, float], draws: int) -> Tensor:
    """Return the weighted mean over passages and a draw's facts, shape (draws,)."""
    parts = [weight * found[name][metric].reshape(draws, -1).mean(dim=1) for name, weight in of.items()]
    return torch.stack(parts).sum(dim=0)


def _judge(
    found: dict[str, dict[str, Tensor]],
    measure: Callable[[Tensor, Tensor, Tensor], Tensor],
    judged: str,
    of: Mapping[str, float],
    draws: int,
) -> Tensor:
    """Return a measure of self-judgement over all facts and passages of each draw, shape (draws,)."""

    def rows(metric: str) -> Tensor:
        return torch.stack([found[name][metric].reshape(draws, -1) for name in of], dim=1).flatten(1)

    said, right = rows(judged), rows("accuracy")
    each = said.shape[1] // len(of)
    weights = (torch.tensor(list(of.values())) / each).repeat_interleave(each)
    return torch.stack([measure(a, b, weights) for a, b in zip(said, right, strict=True)])
