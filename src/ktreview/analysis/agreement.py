"""How far two independent annotation passes agree.

Both passes annotated every abstract under the same rules, without sight of each other; the records
hold what was settled afterwards. The passes are kept as they were handed in, in
``data/annotation``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import pandas as pd
import yaml
from sklearn.metrics import cohen_kappa_score

from ktreview.corpus.review import DATA

#: Fields with a closed vocabulary, where chance agreement is defined, and fields of free text.
_CLOSED = ("kind", "unit", "basis", "bound", "baseline_named", "better")
_FREE = ("value", "quote", "metric", "benchmark", "baseline")
_CLOSED_QUALITATIVE = ("claim_type", "hedged", "baseline_named", "better")
_FREE_QUALITATIVE = ("quote", "metric", "benchmark", "baseline")


def agreement() -> pd.DataFrame:
    """Compare the two passes over numbers and quantitative claims, field by field.

    Returns
    -------
    pandas.DataFrame
        Columns `field`, `items` (how many were annotated by both), `agreed` (how many alike),
        `share` (of 1) and `kappa` (Cohen's; NaN for free text, and where only one value was used).

    References
    ----------
    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20 (1960), equation 1.
    """
    return _compare(_comparisons(_read("pass-1"), _read("pass-2")))


def qualitative_agreement(abstracts: Mapping[str, str]) -> pd.DataFrame:
    """Compare the two passes over qualitative claims, field by field.

    Claims of the two passes are the same where their quotes share words; whether a claim was found
    at all is compared sentence by sentence.

    Parameters
    ----------
    abstracts : mapping of str to str
        By key.

    Returns
    -------
    pandas.DataFrame
        As `agreement` gives it.
    """
    first, second = _read("qualitative-1"), _read("qualitative-2")
    return _compare(_qualitative_comparisons(first, second, abstracts))


def _compare(comparisons: Iterator[tuple[str, bool, list[tuple[Any, Any]]]]) -> pd.DataFrame:
    rows = []
    for field, closed, pairs in comparisons:
        agreed = sum(a == b for a, b in pairs)
        first, second = ([str(value) for value in values] for values in zip(*pairs, strict=True))
        varied = len({*first, *second}) > 1
        kappa = cohen_kappa_score(first, second) if closed and varied else float("nan")
        rows.append((field, len(pairs), agreed, agreed / len(pairs), kappa))
    return pd.DataFrame(rows, columns=["field", "items", "agreed", "share", "kappa"])


def _read(name: str) -> dict[str, Any]:
    text = (DATA / "annotation" / f"{name}.yaml").read_text(encoding="utf-8")
    annotated: dict[str, Any] = yaml.safe_load(text)
    return annotated


def _comparisons(
    first: dict[str, Any], second: dict[str, Any]
) -> Iterator[tuple[str, bool, list[tuple[Any, Any]]]]:
    """Yield each field, whether its vocabulary is closed, and the pairs of answers."""
    for field in ("kind", "theme"):
        yield f"{field} of a paper", True, [(first[key][field], second[key][field]) for key in first]
    roles = [
        (role, second[key]["roles"][token]) for key in first for token, role in first[key]["roles"].items()
    ]
    yield "role of a number", True, roles
    claims = [(_claims(first[key]), _claims(second[key]), first[key]["roles"]) for key in first]
    yield (
        "a number is a claim's value",
        True,
        [(token in a, token in b) for a, b, roles in claims for token in roles],
    )
    shared = [(a[token], b[token]) for a, b, _ in claims for token in a if token in b]
    for field in (*_CLOSED, *_FREE):
        yield (
            f"{field.replace('_', ' ')} of a claim",
            field in _CLOSED,
            [(a[field], b[field]) for a, b in shared],
        )


def _claims(paper: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Index a paper's claims by the number token that carries the value."""
    return {
        token[0] if isinstance(token := claim["token"], list) else token: claim for claim in paper["claims"]
    }


def _qualitative_comparisons(
    first: dict[str, Any], second: dict[str, Any], abstracts: Mapping[str, str]
) -> Iterator[tuple[str, bool, list[tuple[Any, Any]]]]:
    """Yield each field of qualitative claims, whether its vocabulary is closed, and the pairs."""
    found: list[tuple[Any, Any]] = []
    shared: list[tuple[Any, Any]] = []
    for key, abstract in abstracts.items():
        mine, theirs = (
            [
                ((at := abstract.index(claim["quote"])), at + len(claim["quote"]), claim)
                for claim in claims[key]
            ]
            for claims in (first, second)
        )
        sentences = re.finditer(r"\S.*?(?:[.!?](?=\s)|$)", abstract, re.DOTALL)
        found += [
            (
                _any_in(sentence.start(), sentence.end(), mine),
                _any_in(sentence.start(), sentence.end(), theirs),
            )
            for sentence in sentences
        ]
        for start, end, claim in mine:
            same = (other for s, e, other in theirs if s < end and start < e)
            shared += [(claim, other) for other in islice(same, 1)]
    yield "a sentence holds a qualitative claim", True, found
    for field in (*_CLOSED_QUALITATIVE, *_FREE_QUALITATIVE):
        pairs = [(a[field], b[field]) for a, b in shared]
        yield f"{field.replace('_', ' ')} of a qualitative claim", field in _CLOSED_QUALITATIVE, pairs


def _any_in(start: int, end: int, spans: list[tuple[int, int, Any]]) -> bool:
    return any(s < end and start < e for s, e, _ in spans)
