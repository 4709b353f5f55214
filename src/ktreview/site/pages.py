"""A page a paper, written as the site builds.

A page is a few headings, each with one directive that names a part and the paper's key; the parts
are made here from the records. The page's file thus never holds a word of a record, and nothing in a
record can become markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from ktreview.analysis.related import related
from ktreview.corpus import wording
from ktreview.corpus.frames import ClaimRow
from ktreview.corpus.outcomes import WITHOUT_ZERO, gains
from ktreview.corpus.records import Lab, Paper, Result, Theme, Verdict
from ktreview.corpus.review import Review, per_review, rows
from ktreview.publish import export
from ktreview.show import figures, markup
from ktreview.site import mechanism
from ktreview.site.mathml import to_mathml

#: The parts of a page and their headings, in order.
PARTS = {
    "facts": None,
    "abstract": "The abstract, with its claims",
    "claims": "Claims and what became of them",
    "results": "Results from beyond the abstract",
    "labs": "The mechanism at work",
    "cite": "How to cite",
    "related": "Related papers",
}


@dataclass(frozen=True)
class _Claim:
    """A claim as a page shows it."""

    id: str
    n: int
    sort: str
    tag: str
    label: str
    words: str
    facts: str
    verdict: Verdict | None
    verdict_words: str


@dataclass(frozen=True)
class _Piece:
    """A stretch of an abstract: plain, or the words of a claim."""

    text: str
    claim: _Claim | None = None


@dataclass(frozen=True)
class _Result:
    """A result as a page shows it."""

    record: Result
    words: str
    gain: str
    bar: tuple[float, float] | None


@dataclass(frozen=True)
class _Lab:
    """A lab as a page shows it, with or without its figure."""

    name: str
    declared: Lab
    outcome: str
    equation: Markup
    code: Markup
    comparisons: Markup
    control: str
    seconds: float


@dataclass(frozen=True)
class Page:
    """All that a paper's page shows.

    Attributes
    ----------
    paper : Paper
    authors : str
    themes : list of Theme
        The primary one first.
    abstract : list of list of pieces
        Paragraphs, cut where claims begin and end.
    claims, results : list
    result_names : dict of str to str
        What a result is called where it is referred to, by its id.
    bibtex : str
    related : list of dict
        With `link` (markup) and `reason`.
    labs : list of pairs
        Each lab and its figure (markup).
    edit, report : str
        Where to edit the record and to report a mistake; empty if the review has no repository.
    """

    paper: Paper
    authors: str
    themes: list[Theme]
    abstract: list[list[_Piece]]
    claims: list[_Claim]
    results: list[_Result]
    result_names: dict[str, str]
    bibtex: str
    related: list[dict[str, Any]]
    labs: list[tuple[_Lab, Markup]]
    edit: str
    report: str


def source(key: str) -> str:
    """Return the text of a page's file, which depends on the key alone."""
    parts = "".join(
        f"{f'## {heading}' if heading else ''}\n\n```{{ktreview:part}} {name} {key}\n```\n\n"
        for name, heading in PARTS.items()
    )
    return f"# {{ktreview:title}}`{key}`\n\n{parts}"


def part(review: Review, name: str, key: str) -> str:
    """Return a part of a paper's page as HTML.

    Parameters
    ----------
    review : Review
    name : str
        A key of `PARTS`.
    key : str
        The paper's.

    Raises
    ------
    KeyError
        If there is no such part or paper.
    """
    if name not in PARTS:
        raise KeyError(f"there is no part {name!r}; the parts are {', '.join(PARTS)}")
    if key not in review.records:
        raise KeyError(f"there is no paper {key!r} in the records")
    built = _built(review)
    if key not in built:
        built[key] = page(review, key)
    return str(_macro(name)(built[key]))


@per_review
def _built(review: Review) -> dict[str, Page]:  # noqa: ARG001 - one dict a review
    """Return the pages gathered so far, so that its parts share one."""
    return {}


def _macro(name: str) -> Callable[..., Markup]:
    return markup.macro("paper.html", name, "ktreview.site")


def page(review: Review, key: str) -> Page:
    """Gather all that a paper's page shows."""
    paper = review.records[key]
    claims = list(_claims(review, key))
    abstract = review.papers.set_index("key").loc[key, "abstract"]
    return Page(
        paper,
        wording.listing(paper.authors),
        [review.themes[theme] for theme in (paper.theme, *paper.also)],
        list(_paragraphs(str(abstract), claims, list(_rows(review, key)))),
        claims,
        [_result(result) for result in paper.results],
        {result.id: f"{result.benchmark}, {result.metric}" for result in paper.results},
        export.bibliography(replace(review, records={key: paper})),
        [
            {"link": markup.paper_anchor(review, other, _title(review, other)), "reason": reason}
            for other, _, reason in related(review, key)
        ],
        [
            (_lab(review, name), Markup(figures.lab_figure(review, name).html()))  # noqa: S704
            for name in review.labs.loc[review.labs["paper"] == key, "lab"]
        ],
        review.settings.record_address(key),
        review.settings.issue_address(f"{key}: ", "wrong-quote.yml"),
    )


def lab(review: Review, name: str) -> str:
    """Return a lab as HTML, without its figure, which chapters draw in a cell of their own.

    Parameters
    ----------
    review : Review
    name : str
        The name of a lab that has run.
    """
    return str(_macro("lab")(_lab(review, name), ""))


def _lab(review: Review, name: str) -> _Lab:
    declared = review.declared[name]
    compared = review.compared(name)
    told = pd.DataFrame(
        {
            "question": row[0].question,
            "measured": f"{row[0].metric}"
            + (f", {row[0].regime.replace('-', ' ')}" if row[0].regime != "main" else "")
            + f": {row[0].method} against {row[0].baseline}, expected {row[0].better}",
            "effect, seeds 0 to 7": wording.effect(row[1]),
            "replication, 200 to 207": wording.effect(row[2]),
            "says": row[3],
        }
        for row in compared
    )
    code = mechanism.source(name, declared.mechanism)
    return _Lab(
        name,
        declared,
        wording.OUTCOMES[compared[0][3]],
        Markup(to_mathml(declared.equation, block=True)),  # noqa: S704
        Markup(highlight(code, PythonLexer(), HtmlFormatter(nowrap=True))),  # noqa: S704
        markup.table(told, f"What the lab of {declared.paper} measured, the headline first"),
        declared.control or declared.no_control or "",
        float(review.labs.loc[review.labs["lab"] == name, "seconds"].iloc[0]),
    )


def _title(review: Review, key: str) -> str:
    paper = review.records[key]
    name = wording.short_name(paper)
    return paper.title if paper.title.lower().startswith(name.lower()) else f"{name}: {paper.title}"


def _rows(review: Review, key: str) -> Iterator[ClaimRow]:
    return rows(review.claims[review.claims["paper"] == key], ClaimRow)


def _claims(review: Review, key: str) -> Iterator[_Claim]:
    for n, row in enumerate(_rows(review, key), start=1):
        verdict = review.verdict_of(row.id)
        said = wording.verdict(verdict) if verdict else ""
        label = wording.label(row)
        yield _Claim(
            row.id,
            n,
            row.kind or row.type,
            label + (f"; {said}" if said else ""),
            label,
            wording.plain(row.quote),
            wording.details(row),
            verdict,
            said,
        )


def _paragraphs(abstract: str, claims: Sequence[_Claim], spans: Sequence[ClaimRow]) -> Iterator[list[_Piece]]:
    """Cut an abstract into paragraphs and these where claims begin and end."""
    begin = 0
    for paragraph in abstract.split("\n\n"):
        end = begin + len(paragraph)
        pieces, at = [], begin
        for claim, span in zip(claims, spans, strict=True):
            if begin <= span.start and span.end <= end:
                pieces += [_Piece(wording.plain(abstract[at : span.start])), _Piece(claim.words, claim)]
                at = span.end
        yield [*pieces, _Piece(wording.plain(abstract[at:end]))]
        begin = end + 2


def _result(result: Result) -> _Result:
    points, relative = gains(result)
    gain = ", ".join(
        wording.signed(amount, unit)
        for amount, unit in ((points, " points"), (relative, "% of the baseline"))
        if amount is not None
    )
    before, after = result.baseline_value, result.method_value
    bar, drawn = None, result.unit not in WITHOUT_ZERO
    if drawn and before is not None and after is not None and min(before, after) >= 0 < max(before, after):
        longest = max(before, after)
        bar = (round(4 + 392 * before / longest, 1), round(4 + 392 * after / longest, 1))
    return _Result(result, wording.result(result), gain, bar)
