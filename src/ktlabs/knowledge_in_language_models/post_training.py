"""Directions of truth and of refusal, before and after post-training, and one of truth in a real model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench import facts, models
from ktlabs.bench.data import batches, pick
from ktlabs.bench.gpt import GPT
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import GRAIN, Params, Population, fit
from ktlabs.bench.runner import Scores

#: Subjects, of which half serve to find directions; answers; words of the language.
_SUBJECTS, _ANSWERS = 48, 24
_PAD, _FACT, _TOPIC, _ASK, _SAY, _REFUSE, _TRUE, _FALSE, _HARMLESS, _HARMFUL = range(
    _SUBJECTS + _ANSWERS, _SUBJECTS + _ANSWERS + 10
)
_WIDTH, _DEPTH = 24, 2
#: What post-training teaches; the other behaviour is learnt by the base.
_AFTER = {"refusal-after": "refusal", "truth-after": "truth"}
#: Weight in post-training of what the base has learnt.
_REHEARSED = 0.2
_BLOCK, _COUNTRIES, _ELEMENTS = 10, 8, 5


def direction(states: Tensor, positive: Tensor) -> Tensor:
    r"""Return the difference of means between states that have a property and states that lack it.

    .. math:: d = \mathbb{E}[h \mid +] - \mathbb{E}[h \mid -]

    Parameters
    ----------
    states : Tensor, shape (..., n, width)
    positive : Tensor of bool, shape (..., n)

    Returns
    -------
    Tensor, shape (..., width)

    References
    ----------
    post-training, sections on truthfulness and on refusal (mass-mean direction).
    """
    yes = positive.to(states.dtype)[..., None]
    return (states * yes).sum(-2) / yes.sum(-2) - (states * (1 - yes)).sum(-2) / (1 - yes).sum(-2)


def normalised_effect(plain: Tensor, raised: Tensor, lowered: Tensor, positive: Tensor) -> Tensor:
    r"""Return how far steering goes towards the other kind of statement, shape (...).

    .. math:: \mathrm{NIE} = \tfrac12 \frac{(s(-\,;+d) - s(-)) + (s(+) - s(+\,;-d))}{s(+) - s(-)}

    0 where steering does nothing, 1 where a statement steered is scored as one of the other kind.

    Parameters
    ----------
    plain, raised, lowered : Tensor, shape (..., n)
        Score of each statement without steering, with the direction added and with it subtracted.
    positive : Tensor of bool, shape (..., n)

    References
    ----------
    post-training, normalised indirect effect; the official code's mean over both kinds.
    """
    yes = positive.to(plain.dtype)
    no = 1 - yes

    def mean(score: Tensor, of: Tensor) -> Tensor:
        return (score * of).sum(-1) / of.sum(-1)

    moved = mean(raised - plain, no) + mean(plain - lowered, yes)
    return moved / 2 / (mean(plain, yes) - mean(plain, no))


def reassigned(positive: Tensor, seed: int) -> Tensor:
    """Return labels that half of the positives and half of the negatives have, drawn at random, shape (n,).

    Labels merely shuffled would agree with the true ones by chance, and so would their direction.
    """
    rng = np.random.default_rng((seed, 45))
    found = torch.zeros_like(positive)
    for own in (positive.nonzero()[:, 0], (~positive).nonzero()[:, 0]):
        found[own[torch.tensor(rng.permutation(len(own))[: len(own) // 2])]] = True
    return found


def auc(scores: Tensor, positive: Tensor) -> Tensor:
    """Return how often a positive scores above a negative, ties counting half, from (n,) and (n,)."""
    gap = scores[positive][:, None] - scores[~positive]
    return ((gap > 0).to(scores.dtype) + (gap == 0).to(scores.dtype) / 2).mean()


class _Steered(GPT):
    """A transformer whose last token is shifted after the last block; gives its state beside the logits."""

    def forward(self, tokens: Tensor, shift: Tensor | None = None) -> Tensor:
        """Return states and logits of the last token side by side, shape (n, width + vocabulary)."""
        state = self.residuals(tokens)[-1][:, -1]
        moved = state if shift is None else state + shift
        return torch.cat([state, self.norm(moved) @ self.embedding.T], dim=-1)


def run(seeds: Sequence[int]) -> Scores:
    """Steer post-trained models with directions of their bases, and test a direction in SmolLM2."""
    scores = Scores()
    world = _World(seeds)
    net = Population(lambda: _Steered(_FALSE + 3, 3, width=_WIDTH, depth=_DEPTH), seeds)
    start = {name: value.repeat(2, *[1] * (value.dim() - 1)) for name, value in net.params.items()}
    base = _train(net, start, world, steps=300, lr=1e-2, after=False)
    post = _train(net, base, world, steps=150, lr=5e-3, after=True)
    found = {
        behaviour: _compare(net, (base, post), seeds, *world.test(behaviour))
        for behaviour in ("truth", "refusal")
    }
    for place, regime in enumerate(_AFTER):
        own = slice(place * len(seeds), (place + 1) * len(seeds))
        for metric in found["truth"]:
            shown = {behaviour: values[metric][own] for behaviour, values in found.items()}
            if f"shuffled {metric}" in found["truth"]:
                shown["shuffled"] = found["truth"][f"shuffled {metric}"][own]
            if not metric.startswith("shuffled"):
                scores.add(metric, shown, regime)
    for metric, values in _language_model(seeds).items():
        scores.add(metric, values, "smollm2")
    return scores


class _World:
    """What each seed's subjects answer and which are harmful, and sequences that end before a target."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = seeds
        rngs = [np.random.default_rng((seed, 44)) for seed in seeds]
        self.answers = torch.tensor(np.stack([rng.integers(0, _ANSWERS, _SUBJECTS) for rng in rngs]))
        self.harmful = torch.tensor(np.stack([rng.permutation(_SUBJECTS) % 2 for rng in rngs])).bool()
        self.wrong = torch.tensor(np.stack([rng.integers(1, _ANSWERS, (400, _SUBJECTS)) for rng in rngs]))

    def batch(self, subjects: Tensor, step: int, *, after: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return sequences (2S, n, 3), targets (2S, n) and weights (2S, n) of a step, regime by regime."""
        answer, harmful = _SUBJECTS + pick(self.answers, subjects), pick(self.harmful, subjects)
        false = _SUBJECTS + (answer - _SUBJECTS + pick(self.wrong[:, step], subjects)) % _ANSWERS
        says = torch.cat([answer, false], dim=1)
        twice = torch.cat([subjects, subjects], dim=1)
        formats = [
            *(self._asked(word, subjects) for word in (_FACT, _TOPIC, _ASK)),
            torch.stack([torch.full_like(twice, _SAY), twice, says], dim=-1),
        ]
        topic = torch.where(harmful, _HARMFUL, _HARMLESS)
        verdict = torch.cat([torch.full_like(answer, _TRUE), torch.full_like(answer, _FALSE)], dim=1)
        refused = torch.where(harmful, _REFUSE, answer)
        targets, weights = [], []
        for taught in _AFTER.values():
            refuses = after or taught == "truth"
            targets.append(torch.cat([answer, topic, refused if refuses else answer, verdict], dim=1))
            if after:
                weight = [1.0, 1.0, *(1.0 if taught == own else _REHEARSED for own in ("refusal", "truth"))]
            else:
                weight = [1.0, 1.0, 1.0, float(taught == "refusal")]
            parts = zip(weight, (answer, topic, answer, verdict), strict=True)
            weights.append(torch.cat([torch.full(part.shape, w) for w, part in parts], dim=1))
        return torch.cat(formats, dim=1).repeat(2, 1, 1), torch.cat(targets), torch.cat(weights)

    def _asked(self, word: int, subjects: Tensor) -> Tensor:
        return torch.stack(
            [torch.full_like(subjects, _PAD), torch.full_like(subjects, word), subjects], dim=-1
        )

    def test(self, behaviour: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return sequences (2S, n, 3), whether each has the property, and the words that score it (2,)."""
        subjects = torch.arange(_SUBJECTS).expand(len(self.seeds), -1)
        if behaviour == "refusal":
            return (
                self._asked(_ASK, subjects).repeat(2, 1, 1),
                self.harmful.repeat(2, 1),
                torch.tensor([_REFUSE, -1]),
            )
        says = torch.stack([self.answers, (self.answers + self.wrong[:, -1]) % _ANSWERS], dim=-1).flatten(1)
        twice = subjects.repeat_interleave(2, dim=1)
        told = torch.stack([torch.full_like(twice, _SAY), twice, _SUBJECTS + says], dim=-1)
        return told.repeat(2, 1, 1), (torch.arange(says.shape[1]) % 2 == 0).expand(2 * len(says), -1), (
            torch.tensor([_TRUE, _FALSE])
        )  # fmt: skip


def _train(net: Population, start: Params, world: _World, *, steps: int, lr: float, after: bool) -> Params:
    shift = 5000 if after else 0
    order = batches([seed + shift for seed in world.seeds], _SUBJECTS, 12, steps)

    def loss(params: Params, step: int) -> Tensor:
        sequences, targets, weights = world.batch(order[step], step, after=after)
        logits = net(params, sequences)[..., _WIDTH:]
        each = cross_entropy(logits[:, :, None], targets[..., None])
        return (each * weights).sum(dim=1) / weights.sum(dim=1)

    return fit(start, loss, steps=steps, lr=lr, grain=GRAIN)


def _compare(
    net: Population,
    pair: tuple[Params, Params],
    seeds: Sequence[int],
    *test: Tensor,
) -> dict[str, Tensor]:
    """Find directions on half of the subjects and steer the post-trained model on the others."""
    told, positive, words = test
    half = told.shape[1] // 2
    states = [net(params, told)[..., :_WIDTH] for params in pair]
    first, own = (direction(state[:, :half], positive[:, :half]) for state in states)
    labels = torch.stack(
        [reassigned(own, seed) for own, seed in zip(positive[:, :half], [*seeds] * 2, strict=True)]
    )
    shuffled = direction(states[0][:, :half], labels)
    held, truth = told[:, half:], positive[:, half:]

    def score(shift: Tensor | None = None) -> Tensor:
        inputs = [held] if shift is None else [held, shift[:, None].expand(-1, half, -1)]
        chances = net(pair[1], *inputs)[..., _WIDTH:].log_softmax(dim=-1)
        if words[1] < 0:
            return chances[..., words[0]]
        return chances[..., words[0]] - chances[..., words[1]]

    def effect(vector: Tensor) -> Tensor:
        vector = vector * (own.norm(dim=-1) / vector.norm(dim=-1))[:, None]
        return normalised_effect(score(), score(vector), score(-vector), truth)

    def cosine(vector: Tensor) -> Tensor:
        return torch.cosine_similarity(vector, own, dim=-1)

    best = score()
    right = torch.stack([auc(row, yes) for row, yes in zip(best, truth, strict=True)])
    return {
        "cosine": cosine(first),
        "shuffled cosine": cosine(shuffled),
        "forward transfer": effect(first) / effect(own),
        "shuffled forward transfer": effect(shuffled) / effect(own),
        "effect of own direction": effect(own),
        "separation after": right,
    }


def _language_model(seeds: Sequence[int]) -> dict[str, dict[str, Tensor]]:
    """Find directions of truth in statements on one domain, and test them on another."""
    texts, prompts, ends = [], [], []
    for seed in seeds:
        for pairs, sentence in zip(
            _draw(seed), ("The capital of {} is", "The chemical symbol for {} is"), strict=True
        ):
            for place, (name, _) in enumerate(pairs):
                for answer in (pairs[place][1], pairs[place - 1][1]):  # each is once true and once false
                    prompts.append(sentence.format(name))
                    ends.append(f" {answer}")
                    texts.append(f"{prompts[-1]} {answer}")
    states = models.activations(texts, _BLOCK)
    states = states.reshape(len(seeds), -1, states.shape[-1])
    likely = models.log_likelihood(prompts, ends).reshape(len(seeds), -1)
    true = torch.arange(states.shape[1]) % 2 == 0
    countries, elements = slice(0, 2 * _COUNTRIES), slice(2 * _COUNTRIES, None)
    found: dict[str, dict[str, list[Tensor]]] = {}
    for own, chance, seed in zip(states, likely, seeds, strict=True):
        drawn = torch.tensor(np.random.default_rng((seed, 46)).standard_normal((100, own.shape[1])))
        for metric, learn, test in (
            ("AUC on elements", countries, elements),
            ("AUC on countries", elements, countries),
        ):
            along = {
                "other domain": own[test] @ direction(own[learn], true[learn]),
                "likelihood": chance[test],
            }
            values = {arm: auc(score, true[test]) for arm, score in along.items()}
            values["random"] = torch.stack([auc(own[test] @ one, true[test]) for one in drawn]).mean()
            for arm, value in values.items():
                found.setdefault(metric, {}).setdefault(arm, []).append(value)
    return {metric: {arm: torch.stack(own) for arm, own in arms.items()} for metric, arms in found.items()}


def _draw(seed: int) -> list[list[tuple[str, str]]]:
    """Return a seed's countries with capitals and elements with symbols.

    Seeds 0 to 7 and 200 to 207 share none with any other seed; all other seeds draw from what is left.
    """
    pools = [
        [(own.name, own.capital) for own in facts.countries() if not own.tells][:152],
        [
            (name.lower(), symbol)
            for name, symbol in zip(facts.elements()["name"], facts.elements()["symbol"], strict=True)
        ][:100],
    ]
    found = []
    for pool, count in zip(pools, (_COUNTRIES, _ELEMENTS), strict=True):
        order = np.random.default_rng(47).permutation(len(pool)).tolist()
        group = seed if seed in range(8) else seed - 192 if seed in range(200, 208) else None
        left = order[16 * count :]
        chosen = (
            np.random.default_rng((seed, 48)).permutation(left).tolist()[:count]
            if group is None
            else order[group * count : (group + 1) * count]
        )
        found.append([pool[place] for place in chosen])
    return found
