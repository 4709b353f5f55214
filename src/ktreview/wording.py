"""Say a record's fields in words, the same words on pages, in figures and in tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, Protocol

from ktreview.records import Paper

_BOUND = {"exact": "", "at-least": "≥ ", "at-most": "≤ ", "up-to": "up to ", "approx": "≈ "}
_SIZES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


class ClaimRow(Protocol):
    """A row of `Review.claims`, as `ktreview.review.rows` gives it."""

    id: str
    paper: str
    quote: str
    kind: str
    value: float
    value_high: float
    unit: str
    basis: str
    bound: str
    metric: str
    benchmark: str
    baseline: str


def plain(text: str) -> str:
    r"""Resolve the LaTeX escapes that a dump keeps, for display.

    Examples
    --------
    >>> plain(r"by over 8\% on R\&D")
    'by over 8% on R&D'
    """
    return re.sub(r"\\([%&_#$])", r"\1", text)


def short_name(paper: Paper) -> str:
    """Return the system's name, else first author and year.

    Examples
    --------
    >>> from ktreview import load_review
    >>> records = load_review().records
    >>> short_name(records["panda"]), short_name(records["mixup-kd"])
    ('PANDA', 'Choi et al. 2022')
    """
    if paper.system:
        return paper.system
    surname = paper.authors[0].split()[-1]
    others = (
        " et al."
        if len(paper.authors) > 2
        else f" & {paper.authors[1].split()[-1]}"
        if len(paper.authors) > 1
        else ""
    )
    return f"{surname}{others} {paper.date[:4]}"


def number(value: float) -> str:
    """Write a number for people.

    Examples
    --------
    >>> number(14e9), number(2.3), number(11050.0), number(1740000)
    ('14 billion', '2.3', '11,050', '1.74 million')
    """
    for size, word in _SIZES:
        if abs(value) >= size:
            return f"{value / size:g} {word}"
    return f"{value:,.10g}"


def value(claim: ClaimRow) -> str:
    """Write a claim's value with bound and unit, as "up to 24.1%" or "≥ 8%"."""
    figures = number(claim.value)
    if not math.isnan(claim.value_high) and claim.value_high != claim.value:
        figures += f" to {number(claim.value_high)}"
    unit = {"percent": "%", "times": "×", "score": "", "count": "", "points": " points"}.get(
        claim.unit, " " + claim.unit.replace("-", " ")
    )
    return f"{_BOUND[claim.bound]}{figures}{unit}"


def basis(claim: ClaimRow) -> str:
    """Say what a gain's number is, as far as the abstract does."""
    if claim.basis == "absolute":
        return "percentage points" if claim.unit == "percent" else "absolute"
    return {"relative": "relative to the baseline", "unstated": "points or relative: not stated"}[claim.basis]


def over(claim: ClaimRow, named: bool) -> str:
    """Say over what a gain is claimed."""
    if not claim.baseline:
        return "over no stated baseline"
    return f"over {plain(claim.baseline)}" + ("" if named else " (not named)")


def tooltip(claim: ClaimRow, name: str, named: bool) -> str:
    """Say a whole claim in one line of text."""
    parts = [f"{name}: {value(claim)}"]
    if claim.metric:
        parts.append(plain(claim.metric))
    if claim.benchmark:
        parts.append(f"on {plain(claim.benchmark)}")
    if claim.kind == "gain":
        parts += [over(claim, named), basis(claim)]
    return ", ".join(parts) + f". “{plain(claim.quote)}”"


def counted(count: int, noun: str) -> str:
    """Write a count with its noun.

    Examples
    --------
    >>> counted(1, "claim"), counted(3, "row")
    ('1 claim', '3 rows')
    """
    return f"{count} {noun}" + ("" if count == 1 else "s")


def listing(words: Iterable[Any]) -> str:
    """Join words as a sentence does.

    Examples
    --------
    >>> listing(["a", "b", "c"]), listing(["a"])
    ('a, b and c', 'a')
    """
    items = [str(word) for word in words]
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def share(count: int, total: int) -> str:
    """Say how many of how many.

    Examples
    --------
    >>> share(0, 3), share(1, 3), share(2, 2), share(5, 5), share(1, 1)
    ('none of 3', '1 of 3', 'both', 'all 5', 'the only one')
    """
    if count == 0:
        return f"none of {total}"
    if count < total:
        return f"{count} of {total}"
    return {1: "the only one", 2: "both"}.get(total, f"all {total}")
