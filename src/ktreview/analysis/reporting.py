"""What claims state of themselves and what they leave out, claim by claim, by rules."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from ktreview.corpus.frames import ClaimRow
from ktreview.corpus.review import Review, rows

#: The rule of each item, in a sentence. An item that a claim is not asked for is NA.
RULES: Mapping[str, str] = {
    "metric_named": (
        "The abstract says what is measured: asked of every claim with a number and of every comparison "
        "without one; words that name no measure, such as “performance”, do not count."
    ),
    "benchmark_named": (
        "The abstract says on what it is measured, by name or by description: asked of gains, levels and "
        "comparisons, since a size is not measured on anything."
    ),
    "baseline_named": (
        "The abstract names what is beaten, by a proper name or a full description; “existing methods” and "
        "“the state of the art” are no names: asked of gains and comparisons."
    ),
    "basis_stated": (
        "The wording fixes whether a percentage is percentage points or percent of the baseline: asked of "
        "gains in percent only."
    ),
    "bound_stated": (
        "The claim says what its number stands for: a limit (up to, at least, less than, about), or words in "
        "its sentence such as average, overall or best; a bare number may be one run, a mean or the best of "
        "many: asked of gains and levels, since a bare size is a count."
    ),
    "uncertainty_given": (
        "The claim's sentence gives a test or an interval, or speaks of a standard deviation, standard "
        "error, confidence interval or error bars; the word “significant” alone does not count: asked of "
        "gains, levels, comparisons and negative findings."
    ),
    "code_available": "The abstract gives an address of code or data: asked of papers, not of claims.",
}

#: The qualitative claims that, by their type, put one thing above another.
COMPARISONS = ("state-of-the-art", "outperforms-baselines")

_WORDS_OF_STANDING = re.compile(
    r"\b(?:on average|averag(?:e|es|ed|ing)|mean|median|overall|best(?!-)|worst(?!-)|maximum|minimum)\b",
    re.IGNORECASE,
)
_WORDS_OF_UNCERTAINTY = re.compile(
    r"\bstandard (?:deviation|error)s?\b|\b(?:confidence|credible) intervals?\b|\berror bars?\b"
    r"|\binterquartile\b|±|\\pm\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\bet al\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<!\bcf\.)\s+(?=[\"“‘(\[*]?\s?[A-Z`])"
)


def reporting_quality(review: Review) -> pd.DataFrame:
    """Judge every claim by every item of `RULES`.

    Parameters
    ----------
    review : Review

    Returns
    -------
    pandas.DataFrame
        One row a claim: `id`, `paper`, `theme`, `type`, `kind` (the claim type of a claim without a number),
        `year` (of the paper's first version) and a column of nullable booleans for each item of `RULES`.
    """
    abstracts = dict(zip(review.papers["key"], review.papers["abstract"], strict=True))
    years = dict(zip(review.papers["key"], review.papers["date"].str[:4], strict=True))
    statistics = review.numbers[review.numbers["role"] == "statistic"]
    found = []
    for claim in rows(review.claims, ClaimRow):
        start, end = sentence(abstracts[claim.paper], claim.start, claim.end)
        own = statistics[statistics["paper"] == claim.paper]
        has_statistic = bool(((own["start"] >= start) & (own["end"] <= end)).any())
        found.append(
            {
                "id": claim.id,
                "paper": claim.paper,
                "theme": claim.theme,
                "type": claim.type,
                "kind": claim.kind or claim.claim_type,
                "year": years[claim.paper],
            }
            | _judged(review, claim, abstracts[claim.paper][start:end], has_statistic)
        )
    columns = ["id", "paper", "theme", "type", "kind", "year", *RULES]
    return pd.DataFrame(found, columns=columns).astype(dict.fromkeys(RULES, "boolean"))


def _judged(review: Review, claim: ClaimRow, words: str, has_statistic: bool) -> dict[str, bool | None]:
    """Return what a claim states, None where it is not asked."""
    comparison = claim.claim_type in COMPARISONS
    measured = claim.kind in ("gain", "level")
    stated = {
        "metric_named": (claim.type == "quantitative" or comparison, claim.metric != ""),
        "benchmark_named": (measured or comparison, claim.benchmark != ""),
        "baseline_named": (claim.kind == "gain" or comparison, claim.baseline_named),
        "basis_stated": (claim.kind == "gain" and claim.unit == "percent", claim.basis != "unstated"),
        "bound_stated": (
            measured,
            claim.bound not in ("", "exact") or bool(_WORDS_OF_STANDING.search(words)),
        ),
        "uncertainty_given": (
            measured or comparison or claim.claim_type == "negative-finding",
            has_statistic or bool(_WORDS_OF_UNCERTAINTY.search(words)),
        ),
        "code_available": (True, _gives_address(review, claim.paper)),
    }
    return {item: answer if asked else None for item, (asked, answer) in stated.items()}


def _gives_address(review: Review, key: str) -> bool:
    code = review.records[key].code
    return code is not None and code.source == "abstract"


def sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """Find the sentence, or the sentences, around a stretch of a text.

    Parameters
    ----------
    text : str
    start, end : int
        Character offsets of the stretch.

    Returns
    -------
    tuple of int
        Offsets of what lies between the sentence ends around it.

    Examples
    --------
    >>> text = "We test. It gains 2% (vs. Adam) on A. More follows."
    >>> start, end = sentence(text, 17, 19)
    >>> text[start:end].strip()
    'It gains 2% (vs. Adam) on A.'
    """
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    return max(cut for cut in cuts if cut <= start), min(cut for cut in cuts if cut >= end)


def shares(quality: pd.DataFrame, by: str | None = None) -> pd.DataFrame:
    """Count what claims state, item by item.

    Parameters
    ----------
    quality : pandas.DataFrame
        Rows of `reporting_quality`.
    by : str, optional
        A column to count by; all rows together if left out.

    Returns
    -------
    pandas.DataFrame
        Columns `group` (``"all"`` if `by` is left out), `item`, `stated` and `asked`, counts of claims, or of
        papers for `code_available`. Items that no claim of a group is asked for have no row.
    """
    groups = [("all", quality)] if by is None else list(quality.groupby(by, sort=True))
    counted = []
    for name, group in groups:
        for item in RULES:
            chosen = group.drop_duplicates("paper") if item == "code_available" else group
            answers = chosen[item].dropna()
            if len(answers):
                counted.append((str(name), item, int(answers.sum()), len(answers)))
    return pd.DataFrame(counted, columns=["group", "item", "stated", "asked"])
