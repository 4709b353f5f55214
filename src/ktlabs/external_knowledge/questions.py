"""Facts of a few kinds, stated once and asked in two other wordings, as labs of this theme share them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from ktlabs.bench import facts, sentences

#: What opens a statement, what is asked to choose a setting, and what is asked to report.
WORDINGS = {
    "capital": (
        "The capital of {} is",
        "Which city is the seat of government of {}?",
        "What do they call the capital city in {}?",
    ),
    "currency": (
        "The currency of {} is",
        "Which money do people pay with in {}?",
        "What do shops in {} take as legal tender?",
    ),
    "language": (
        "The official language of {} is",
        "Which language is spoken in {}?",
        "What do people speak to each other in {}?",
    ),
    "symbol": (
        "The chemical symbol of {} is",
        "Which letters stand for {} in the periodic table?",
        "How is {} abbreviated in a chemical formula?",
    ),
}
#: Subjects of each kind that are embedded, the most populous countries or the lightest elements.
POOL = 56


@cache
def known(kind: str, count: int = POOL) -> tuple[tuple[str, str], ...]:
    """Return subjects and answers of one kind, as `facts` has them; the first of several answers.

    Parameters
    ----------
    kind : {'capital', 'currency', 'language', 'symbol'}
    count : int, optional
        Subjects, the most populous countries or the lightest elements.
    """
    if kind == "symbol":
        rows = facts.elements().head(count)
        return tuple((name.lower(), symbol) for name, symbol in zip(rows.name, rows.symbol, strict=True))
    own = [c for c in facts.countries() if not c.tells and c.currencies and c.languages][:count]
    answers = {
        "capital": [c.capital for c in own],
        "currency": [c.currencies[0] for c in own],
        "language": [c.languages[0] for c in own],
    }
    return tuple((c.name, answer) for c, answer in zip(own, answers[kind], strict=True))


def embedded() -> Tensor:
    """Return the sentence encoder's embeddings of every fact in every wording.

    Returns
    -------
    Tensor, shape (3, kinds, POOL, 384)
        The wordings in the order of `WORDINGS`; no sentence holds an answer.
    """
    asked = [
        wordings[w].format(subject)
        for w in range(3)
        for kind, wordings in WORDINGS.items()
        for subject, _ in known(kind)
    ]
    return sentences.embed(asked).reshape(3, len(WORDINGS), POOL, -1)


def features(width: int) -> Tensor:
    """Return the embeddings on the main axes of the statements, of length 1, shape (3, kinds, POOL, width).

    Parameters
    ----------
    width : int
        How many axes.
    """
    everything = embedded()
    axes = torch.linalg.svd(everything[0].flatten(0, 1), full_matrices=False).Vh[:width]
    return nnf.normalize(everything @ axes.T, dim=-1)


def answers() -> Tensor:
    """Return the numbers of all answers, shape (kinds, POOL); equal answers have equal numbers."""
    said = [(kind, answer) for kind in WORDINGS for _, answer in known(kind)]
    numbers = {answer: number for number, answer in enumerate(dict.fromkeys(said))}
    return torch.tensor([numbers[own] for own in said]).reshape(len(WORDINGS), POOL)


def drawn(seeds: Sequence[int], count: int, purpose: int) -> Tensor:
    """Draw some subjects of each kind afresh for each seed, shape (S, kinds, count)."""
    rows = []
    for seed in seeds:
        rng = np.random.default_rng((seed, purpose))
        rows.append(np.stack([rng.permutation(POOL)[:count] for _ in WORDINGS]))
    return torch.tensor(np.stack(rows))
