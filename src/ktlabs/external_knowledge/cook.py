"""Knowledge cards: small models of one domain each, whose documents pass filters before they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nnf
from torch import Tensor

from ktlabs.bench.data import noise
from ktlabs.bench.nets import Grid, Params, fit
from ktlabs.bench.runner import Scores
from ktlabs.external_knowledge.questions import WORDINGS, answers, drawn, features

Answers = npt.NDArray[np.int64]
#: Facts of a domain, those of them that choose the setting, writers of text, length of embeddings; the
#: shares of false documents, of facts with evidence, and of false evidence.
_FACTS, _CHOOSING, _WRITERS, _WIDTH = 20, 8, 2, 96
_FALSE, _COVERED, _STALE = 0.25, 0.5, 0.05
_STEPS, _RATE = 40, 0.05
_SETTINGS = [{"temperature": own} for own in (0.03, 0.1, 0.3)]
#: Documents given for a question by all cards together, that pass as relevant, and as checked.
_GIVEN, _RELEVANT, _CHECKED = 16, 2, 1
#: What is measured of each model: all documents it gives, those that are relevant, and of these the one
#: that is checked best, or best under somebody else's check.
_FILTERS = {
    "retrieval": ("unfiltered", "screened"),
    "cards": ("unfiltered", "relevant", "screened", "random check"),
    "mixed cards": ("screened",),
    "joint monolith": ("screened",),
    "sequential monolith": ("screened",),
}


def card_log_probs(logits: Tensor, card: Tensor) -> Tensor:
    r"""Return each document's log-probability within the card that holds it.

    .. math:: \log p_c(d \mid x) = z_d - \log \sum_{d' \in c} e^{z_{d'}}, \qquad d \in c

    With all documents on one card it is a monolith's; parameters are the same in number.

    Parameters
    ----------
    logits : Tensor, shape (P, q, n)
        Of every document for every question.
    card : Tensor, shape (P, n)
        The number of each document's card; all cards hold equally many.

    Returns
    -------
    Tensor, shape (P, q, n)
        In nats.
    """
    order = card.argsort(dim=-1, stable=True)
    size = int((card[0] == card[0, 0]).sum())
    places = order[:, None].expand_as(logits)
    by_card = logits.gather(-1, places).view(*logits.shape[:-1], -1, size).log_softmax(dim=-1).flatten(-2)
    return torch.empty_like(logits).scatter(-1, places, by_card)


def check(said: Tensor, evidence: Tensor) -> Tensor:
    """Return 1 where evidence confirms a document, -1 where it contradicts it, 0 where there is none.

    Parameters
    ----------
    said, evidence : Tensor, shape (..., n)
        Number of the answer that a document gives, and that the evidence on its subject gives, or -1.
    """
    return torch.where(evidence < 0, 0, torch.where(said == evidence, 1, -1))


def screen(weight: Tensor, relevance: Tensor, factuality: Tensor, relevant: int, checked: int) -> Tensor:
    r"""Keep the documents nearest to the question and, of these, those that are best checked.

    .. math:: K = \operatorname{Top}_k\big[f(d)\big], \quad d \in \operatorname{Top}_m\big[\cos(x, d)\big]

    Parameters
    ----------
    weight : Tensor, shape (..., n)
        Probability with which each document was given; 0 if it was not.
    relevance : Tensor, shape (..., n)
        Cosine of question and document.
    factuality : Tensor, shape (..., n)
        As `check` returns it; equal ones are kept in the order of their weight.
    relevant, checked : int
        m and k.

    Returns
    -------
    Tensor, shape (..., n)
        The weight, 0 for what is dropped.

    References
    ----------
    cook, the knowledge filters in the order of the paper, without summaries and without sampling.
    """
    near = _top(torch.where(weight > 0, relevance, -torch.inf), relevant) * weight
    return _top(torch.where(near > 0, factuality + near / 2, -torch.inf), checked) * near


def _top(score: Tensor, count: int) -> Tensor:
    places = score.topk(count, dim=-1).indices
    return torch.zeros_like(score).scatter(-1, places, 1.0)


@dataclass(frozen=True)
class _World:
    """What each seed's models are trained on and asked: q facts, n = 2 q documents, width e."""

    asked: Tensor  # (3, S, q, e), by wording; documents are known by the first
    truth: Tensor  # (S, q)
    said: Tensor  # (S, n), first all documents of one writer, then of the other
    evidence: Tensor  # (S, n)
    card: Tensor  # (S, n), of a writer and domain
    mixed: Tensor  # (S, n), the same cards with text of all domains


def run(seeds: Sequence[int]) -> Scores:
    """Train cards and monoliths on text of two writers, a quarter false; ask in a wording not seen."""
    world = _world(seeds)
    one, facts = torch.zeros_like(world.card), torch.arange(world.truth.shape[1])
    arms = {"cards": world.card, "mixed cards": world.mixed, "joint monolith": one}
    order = facts.reshape(len(WORDINGS), -1)  # one domain after another
    models = _trained(seeds, world, arms, facts[None])
    models |= _trained(seeds, world, {"sequential monolith": one}, order)
    cards = arms | {"sequential monolith": one, "retrieval": one}
    choosing = (facts % _FACTS) < _CHOOSING
    found: dict[str, list[Tensor]] = {}
    for wording, places in ((1, choosing), (2, ~choosing)):
        x, truth = world.asked[wording][:, places], world.truth[:, places]
        cosine = x @ world.asked[0].repeat(1, _WRITERS, 1).mT + 1e-7 * noise(seeds, 1, world.said.shape[1])
        given = {"retrieval": torch.stack([(cosine / t["temperature"]).softmax(-1) for t in _SETTINGS])}
        for arm, weight in models.items():
            logits = torch.stack(
                [x @ w.mT / t["temperature"] for w, t in zip(weight, _SETTINGS, strict=True)]
            )
            held = cards[arm].expand(len(_SETTINGS), -1, -1)
            given[arm] = card_log_probs(logits.flatten(0, 1), held.flatten(0, 1)).exp().view_as(logits)
        for arm, filters in _FILTERS.items():
            own = _likeliest(given[arm], cards[arm])
            for name in filters:
                votes = _filtered(seeds, world, own, cosine, name) @ nnf.one_hot(world.said).to(x.dtype)
                found.setdefault(f"{arm}, {name}", []).append((votes.argmax(dim=-1) == truth).to(x.dtype))
    best = {arm: int(valid.mean(dim=(1, 2)).argmax()) for arm, (valid, _) in found.items()}
    right = {arm: test[best[arm]] for arm, (_, test) in found.items()}
    scores = Scores()
    scores.add("accuracy", {arm: own.mean(dim=-1) for arm, own in right.items()})
    first = slice(_FACTS - _CHOOSING)
    scores.add("first domain", {arm: own[:, first].mean(dim=-1) for arm, own in right.items()})
    return scores


def _filtered(seeds: Sequence[int], world: _World, given: Tensor, cosine: Tensor, name: str) -> Tensor:
    """Return what is left of the documents that a model gives, (settings, S, q, n), under a treatment."""
    if name == "unfiltered":
        return given
    near, fact = cosine.expand_as(given), check(world.said, world.evidence).to(given.dtype)
    if name == "relevant":
        return screen(given, near, torch.zeros_like(given), _RELEVANT, _RELEVANT)
    if name == "random check":
        orders = [np.random.default_rng((seed, 42)).permutation(fact.shape[1]) for seed in seeds]
        fact = fact.gather(1, torch.tensor(np.stack(orders)))
    return screen(given, near, fact[:, None].expand_as(given), _RELEVANT, _CHECKED)


def _likeliest(given: Tensor, card: Tensor) -> Tensor:
    """Keep the likeliest documents of each card, as many from all cards together."""
    cards = int(card.max()) + 1
    held = [torch.where(card[:, None] == c, given, 0.0) for c in range(cards)]
    return torch.stack([own * _top(own, _GIVEN // cards) for own in held]).sum(dim=0)


def _trained(
    seeds: Sequence[int], world: _World, arms: dict[str, Tensor], phases: Tensor
) -> dict[str, Tensor]:
    """Train linear models from statements to documents, on the facts of each phase in turn.

    Every fact is seen equally often whatever the phases.

    Returns
    -------
    dict of str to Tensor
        By arm, shape (settings, S, n, e).
    """
    grid = Grid(seeds, dict.fromkeys(arms, _SETTINGS))
    card = torch.cat([own.repeat(len(_SETTINGS), 1) for own in arms.values()])
    begin = 0.01 * noise(seeds, world.said.shape[1], _WIDTH)
    params, facts = {"weight": grid.spread(begin)}, world.truth.shape[1]
    for phase in phases:
        x = grid.spread(world.asked[0][:, phase])

        def loss(p: Params, _: int, x: Tensor = x, phase: Tensor = phase) -> Tensor:
            logits = x @ p["weight"].mT / grid["temperature"][:, None, None]
            said = card_log_probs(logits, card)
            own = [said[:, torch.arange(len(phase)), phase + facts * writer] for writer in range(_WRITERS)]
            return -torch.stack(own).mean(dim=(0, 2))

        params = fit(params, loss, steps=_STEPS, lr=_RATE)
    weights = params["weight"].view(len(arms), len(_SETTINGS), *begin.shape)
    return dict(zip(arms, weights, strict=True))


def _world(seeds: Sequence[int]) -> _World:
    """Draw facts, what two writers and the evidence say of them, and which card holds what."""
    places = drawn(seeds, _FACTS, purpose=40)
    kinds = torch.arange(len(WORDINGS))[:, None]
    truth, asked = answers()[kinds, places], features(_WIDTH)[:, kinds, places].flatten(2, 3)
    written = [_written(seed, own.numpy()) for seed, own in zip(seeds, truth, strict=True)]
    said, evidence, mixed = (torch.tensor(np.stack(own)) for own in zip(*written, strict=True))
    card = torch.arange(_WRITERS * len(WORDINGS)).repeat_interleave(_FACTS).expand(len(seeds), -1)
    return _World(asked, truth.flatten(1), said, evidence, card, mixed)


def _written(seed: int, truth: Answers) -> tuple[Answers, Answers, Answers]:
    """Return what two writers say, what the evidence says of it, and the cards of mixed text, each (n,)."""
    rng = np.random.default_rng((seed, 41))

    def false(share: float) -> Answers:
        other = np.array([[rng.choice(own[own != answer]) for answer in own] for own in truth])
        return np.where(rng.random(truth.shape) < share, other, truth).ravel()

    said = np.concatenate([false(_FALSE) for _ in range(_WRITERS)])
    seen = np.where(rng.random(truth.size) < _COVERED, false(_STALE), -1)
    mixed = [rng.permutation(truth.size) // _FACTS + w * len(WORDINGS) for w in range(_WRITERS)]
    return said, np.tile(seen, _WRITERS), np.concatenate(mixed)
