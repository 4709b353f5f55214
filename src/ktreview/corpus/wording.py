"""Say a record's fields in words, the same words on pages, in figures and in tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from string import ascii_lowercase
from typing import Any, Protocol

from ktreview.corpus.frames import ClaimRow
from ktreview.corpus.outcomes import Comparison
from ktreview.corpus.records import Paper, Result, Verdict

_BOUND = {"exact": "", "at-least": "≥ ", "at-most": "≤ ", "up-to": "up to ", "approx": "≈ "}
#: What a lab's outcome says.
OUTCOMES = {
    "supports": "Supports the claim",
    "contradicts": "Contradicts the claim",
    "undecided": "Undecided",
}
_SIZES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


class Quantity(Protocol):
    """A number as a claim's row has it, with what the wording makes of it."""

    @property
    def value(self) -> float:
        """The number, or the lower end of a range."""

    @property
    def value_high(self) -> float:
        """The upper end of a range, else NaN."""

    @property
    def unit(self) -> str:
        """As a slug."""

    @property
    def bound(self) -> str:
        """More than, less than, up to, about; or exact."""

    @property
    def basis(self) -> str:
        """Whether of a gain it is a difference or a part of the baseline."""


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
    return paper.system or f"{_authors(paper, ' & ')} {paper.date[:4]}"


def citations(records: Mapping[str, Paper]) -> dict[str, str]:
    """Return how each paper is cited, by key; letters follow the order of the records.

    Examples
    --------
    >>> from ktreview import load_review
    >>> cited = citations(load_review().records)
    >>> cited["mixup-kd"], cited["blp"], cited["vitpose-plus"]
    ('Choi et al., 2022', 'Daza et al., 2020', 'Xu et al., 2022b')
    """
    plain_labels = {key: f"{_authors(paper, ' and ')}, {paper.date[:4]}" for key, paper in records.items()}
    alike: dict[str, list[str]] = {}
    for key, text in plain_labels.items():
        alike.setdefault(text, []).append(key)
    return {
        key: text + (ascii_lowercase[alike[text].index(key)] if len(alike[text]) > 1 else "")
        for key, text in plain_labels.items()
    }


def _authors(paper: Paper, between: str) -> str:
    """Name a paper's authors in short: one, two with a word between, or the first and others."""
    surnames = [author.split()[-1] for author in paper.authors]
    return f"{surnames[0]} et al." if len(surnames) > 2 else between.join(surnames)


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


def value(claim: Quantity) -> str:
    """Write a claim's value with bound and unit, as "up to 24.1%" or "≥ 8%"."""
    figures = number(claim.value)
    if not math.isnan(claim.value_high) and claim.value_high != claim.value:
        figures += f" to {number(claim.value_high)}"
    unit = {"percent": "%", "times": "×", "score": "", "count": "", "points": " points"}.get(
        claim.unit, " " + claim.unit.replace("-", " ")
    )
    return f"{_BOUND[claim.bound]}{figures}{unit}"


def basis(claim: Quantity) -> str:
    """Say what a gain's number is, as far as the abstract does."""
    if claim.basis == "absolute":
        return "percentage points" if claim.unit == "percent" else "absolute"
    return {"relative": "relative to the baseline", "unstated": "points or relative: not stated"}[claim.basis]


def over(claim: ClaimRow, named: bool) -> str:
    """Say over what a gain is claimed."""
    if not claim.baseline:
        return "over no stated baseline"
    return f"over {plain(claim.baseline)}" + ("" if named else " (not named)")


def label(claim: ClaimRow) -> str:
    """Say in a few words what sort of claim it is."""
    if claim.type == "qualitative":
        return claim.claim_type.replace("-", " ") + (", hedged" if claim.hedged else "")
    if claim.kind == "gain":
        return f"gain, {value(claim)}, {basis(claim)}"
    return f"{claim.kind}, {value(claim)}"


def details(claim: ClaimRow) -> str:
    """Say what a claim states of metric, benchmark and baseline, and what it leaves out."""
    parts = [
        f"Metric: {plain(claim.metric) or 'not named'}",
        f"benchmark: {plain(claim.benchmark) or 'not named'}",
        f"baseline: {plain(claim.baseline) or 'not stated'}"
        + (" (not by name)" if claim.baseline and not claim.baseline_named else ""),
    ]
    return "; ".join(parts) + "."


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


def scaled(amount: float, unit: str) -> str:
    """Write a result's value with its unit, which is never converted.

    Examples
    --------
    >>> scaled(87.1, "percent"), scaled(0.285, "ratio"), scaled(2.0, "bits-per-parameter")
    ('87.1%', '0.285', '2 bits per parameter')
    """
    suffix = {"percent": "%", "ratio": "", "points": "", "times": "×", "rank": "", "rating": ""}.get(
        unit, " " + unit.replace("-", " ")
    )
    return f"{number(amount)}{suffix}".replace("-", "−", 1) if amount < 0 else f"{number(amount)}{suffix}"


def result(found: Result) -> str:
    """Say a result beside its baseline, as "87.1% against 85.7% (RoG)"."""
    if found.method_value is None:
        return found.flag or "no value given"
    method = scaled(found.method_value, found.unit)
    if found.baseline_value is None:
        return f"{method} (no baseline given)"
    return f"{method} against {scaled(found.baseline_value, found.unit)} ({found.baseline})"


def signed(amount: float | None, unit: str) -> str:
    """Write a gain with its sign, or say that it has no meaning.

    Examples
    --------
    >>> signed(1.4, " points"), signed(-0.25, "%"), signed(None, "%")
    ('+1.4 points', '−0.25%', 'not defined')
    """
    if amount is None:
        return "not defined"
    return f"{'−' if amount < 0 else '+'}{number(round(abs(amount), 2))}{unit}"


def verdict(found: Verdict) -> str:
    """Say a verdict in a few words, as "confirmed, relative (shown)"."""
    basis = f", {found.basis}" if found.basis and found.basis != "unresolved" else ""
    open_basis = ", basis open" if found.basis == "unresolved" and found.finding != "unresolved" else ""
    return f"{found.finding}{basis}{open_basis}" + (f" ({found.strength})" if found.strength else "")


def effect(found: Comparison) -> str:
    """Say an effect with its interval, its p and the pairs that agree with the claim.

    Examples
    --------
    >>> from ktreview.corpus.outcomes import Comparison
    >>> effect(Comparison(8, 0.5, 0.625, 0.125, -0.0125, 0.25, 0.0625, 1.0, 7, 0.1))
    '+0.125 [−0.013, +0.250], p 0.062, 7 of 8'
    """
    digits = 2 if max(abs(found.low), abs(found.high)) >= 1 else 3
    mean, low, high = (
        f"{amount:+.{digits}f}".replace("-", "−") for amount in (found.effect, found.low, found.high)
    )
    return f"{mean} [{low}, {high}], p {found.p:.3f}, {found.wins} of {found.n}"


def listing(words: Iterable[Any]) -> str:
    """Join words as a sentence does.

    Examples
    --------
    >>> listing(["a", "b", "c"]), listing(["a"])
    ('a, b and c', 'a')
    """
    items = [str(word) for word in words]
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def in_words(count: int) -> str:
    """Write a whole number below a thousand in words.

    Examples
    --------
    >>> in_words(0), in_words(13), in_words(72), in_words(100), in_words(215)
    ('zero', 'thirteen', 'seventy-two', 'one hundred', 'two hundred and fifteen')

    Raises
    ------
    ValueError
        If the number is negative or larger.
    """
    if not 0 <= count < 1000:
        raise ValueError(f"{count} is not written in words: leave the form `words` out")
    if count < 20:
        return _ONES[count]
    if count < 100:
        tens, ones = divmod(count, 10)
        return _TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else "")
    hundreds, rest = divmod(count, 100)
    return f"{_ONES[hundreds]} hundred" + (f" and {in_words(rest)}" if rest else "")


def number_words() -> tuple[str, ...]:
    """Return the words that `in_words` writes numbers with."""
    return (*_ONES, *_TENS, "hundred")


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
