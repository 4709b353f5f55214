"""Which papers stand close to a paper, and in what."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from ktreview.analysis.names import load_index, mentions
from ktreview.corpus import wording
from ktreview.corpus.review import Review, per_review, rows

#: What a name that two papers share adds, at most, to a cosine between 0 and 1. A metric says less of what a
#: paper is about than what it is measured on and with.
NAME_WEIGHT: Mapping[str, float] = {"benchmarks": 0.2, "systems": 0.2, "metrics": 0.1}

#: What is shared, in words: by index, where both have a claim or result with the name, and otherwise.
_SHARED = {
    "benchmarks": ("both report on", "both name"),
    "systems": ("both name", "both name"),
    "metrics": ("both report", "both speak of"),
}
_TERMS, _NAMES = 3, 4

#: Words that abstracts use whatever they are about.
_USUAL = frozenset(
    "approach approaches available based code demonstrate different existing experimental experiments "
    "furthermore including like method methods model models new novel paper performance propose "
    "proposed recent recently results significantly study task tasks various work works".split()
)

Name = tuple[str, str]


@dataclass(frozen=True)
class _Nearness:
    """All that comparing papers needs, with papers in the order of the corpus.

    Attributes
    ----------
    place : dict of str to int
        A paper's row and column.
    scores : array
        A row and a column a paper.
    weights : array
        A row a paper, a column a word.
    words : list of str
        The columns of `weights`.
    names : list of dict
        By paper the names it touches, by index and key, and whether in a claim or result.
    rarity : dict
        What sharing a name adds to a score.
    """

    place: dict[str, int]
    scores: NDArray[np.float64]
    weights: NDArray[np.float64]
    words: list[str]
    names: list[dict[Name, bool]]
    rarity: dict[Name, float]


def related(review: Review, key: str, n: int = 5) -> list[tuple[str, float, str]]:
    """Return the papers closest to a paper.

    The score is the cosine of title and abstract (TF-IDF over words that more than one paper uses),
    plus for every benchmark, system or metric that both papers name its `NAME_WEIGHT` times
    log(N / papers that name it) / log(N), so that a rare name counts for more than a common one. It
    ranks; it measures nothing else.

    Parameters
    ----------
    review : Review
    key : str
        The paper.
    n : int, optional
        How many papers to return; fewer where fewer have anything in common with it.

    Returns
    -------
    list of tuple
        Key, score to six digits and reason in plain words, closest first; ties in the order of the corpus.

    Raises
    ------
    KeyError
        If there is no such paper.

    Examples
    --------
    >>> from ktreview import load_review
    >>> related(load_review(), "easyedit", 1)[0][0]
    'knowedit'
    """
    near = _nearness(review)
    if key not in near.place:
        raise KeyError(f"there is no paper {key!r} in the records")
    here = near.place[key]
    found = [
        (other, float(near.scores[here, there]), there)
        for other, there in near.place.items()
        if there != here
    ]
    # Sorting is stable: papers of one score stay in the order of the corpus.
    ranked = sorted((item for item in found if item[1] > 0), key=lambda item: -item[1])
    return [(other, score, _reason(near, here, there)) for other, score, there in ranked[:n]]


@per_review
def _nearness(review: Review) -> _Nearness:
    place = {key: i for i, key in enumerate(review.papers["key"])}
    texts = [
        re.sub(r"https?://\S+", " ", f"{row.title} {wording.plain(row.abstract)}")
        for row in rows(review.papers)
    ]
    vectorizer = TfidfVectorizer(
        stop_words=sorted(ENGLISH_STOP_WORDS | _USUAL),
        token_pattern=r"(?u)\b[^\W\d_][\w-]*[^\W_]\b",  # noqa: S106 - a word: from letter to letter or digit
        min_df=2,
        sublinear_tf=True,
    )
    try:
        weights = vectorizer.fit_transform(texts).toarray()
        words = list(vectorizer.get_feature_names_out())
    except ValueError:  # no word is in two papers, as in a review of one
        weights, words = np.zeros((len(texts), 0)), []
    found = mentions(review)
    names: list[dict[Name, bool]] = [{} for _ in place]
    for row in rows(found):
        own = names[place[row.paper]]
        own[row.index, row.key] = own.get((row.index, row.key), False) or row.where != "abstract"
    counts = Counter(name for own in names for name in own)
    scale = math.log(max(2, len(place)))
    rarity = {
        name: NAME_WEIGHT[name[0]] * math.log(len(place) / counts[name]) / scale for name in sorted(counts)
    }
    columns = list(rarity)
    touched = np.array([[math.sqrt(rarity[name]) * (name in own) for name in columns] for own in names])
    touched = touched.reshape(len(place), len(columns))
    scores = (weights @ weights.T + touched @ touched.T).round(6)
    return _Nearness(place, scores, weights, words, names, rarity)


def _reason(near: _Nearness, here: int, there: int) -> str:
    """Say in words what two papers have in common, rarest names and weightiest words first."""
    ours, theirs = near.names[here], near.names[there]
    shared = sorted((name for name in ours if name in theirs), key=lambda name: (-near.rarity[name], name))
    found: dict[str, list[str]] = {}
    for index, (reported, named) in _SHARED.items():
        for name in shared:
            if name[0] == index:
                how = reported if ours[name] and theirs[name] else named
                found.setdefault(f"{index}: {how}", []).append(load_index()[index][name[1]].name)
    parts = []
    for label, entries in found.items():
        more = len(entries) - _NAMES
        shown = [*entries[:_NAMES], f"{more} more"] if more > 0 else entries
        parts.append(f"{label.partition(': ')[2]} {wording.listing(shown)}")
    product = (near.weights[here] * near.weights[there]).round(9)
    words = [near.words[i] for i in np.argsort(-product, kind="stable")[:_TERMS] if product[i] > 0]
    if words:
        parts.append(f"close in wording: {', '.join(words)}")
    return "; ".join(parts)
