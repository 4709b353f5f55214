"""Say the review in the terms of schema.org: a graph of papers, claims, results and verdicts as JSON-LD."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import ktreview
from ktreview.corpus.frames import MEANING, ClaimRow, PaperRow, VerdictRow
from ktreview.corpus.outcomes import gains
from ktreview.corpus.records import Paper, Result
from ktreview.corpus.review import Review, rows

#: Everything is said in the file: no context is fetched. Names are addresses under the book's pages,
#: as seen from the folder `_static/data` of the site.
_CONTEXT = {
    "@vocab": "https://schema.org/",
    "@base": "../../book/",
    **{term: {"@type": "@id"} for term in ("url", "contentUrl")},
}
_LIMITS = {"at-least": "minValue", "at-most": "maxValue", "up-to": "maxValue"}


def document(review: Review, downloads: Mapping[str, str]) -> dict[str, Any]:
    """Return the review as JSON-LD.

    Parameters
    ----------
    review : Review
    downloads : mapping of str to str
        The files that the review is offered as, each with its media type.

    Returns
    -------
    dict
        A document with one graph. Text is data, exactly as the records and abstracts have it.
    """
    graph = [_dataset(review, downloads), *_themes(review)]
    graph += (_article(row, review.records[row.key]) for row in rows(review.papers, PaperRow))
    graph += map(_claim, rows(review.claims, ClaimRow))
    graph += (_result(key, result) for key, paper in review.records.items() for result in paper.results)
    quotes = dict(zip(review.claims["id"], review.claims["quote"], strict=True))
    graph += (
        _verdict(row, review.results_of(row.claim), quotes[row.claim])
        for row in rows(review.verdicts, VerdictRow)
    )
    return {"@context": _CONTEXT, "@graph": graph}


def _node(kind: str, address: str = "", **facts: Any) -> dict[str, Any]:
    """Return a node of a kind, with an address or without, and without facts that are not stated."""
    name = {"@id": address} if address else {}
    return name | {"@type": kind} | {term: fact for term, fact in facts.items() if fact not in (None, "", [])}


def _at(*addresses: str) -> list[dict[str, str]]:
    return [{"@id": address} for address in addresses]


def _page(key: str, place: str = "") -> str:
    return f"papers/{key}.html" + (f"#{place}" if place else "")


def _theme(key: str) -> str:
    return f"themes/{key}.html"


def _properties(**facts: Any) -> list[dict[str, Any]]:
    return [
        _node("PropertyValue", name=name, value=fact)
        for name, fact in facts.items()
        if fact not in (None, "")
    ]


def _dataset(review: Review, downloads: Mapping[str, str]) -> dict[str, Any]:
    return _node(
        "Dataset",
        "data.html",
        name=f"A literature review of {len(review.papers)} papers: claims, results and verdicts",
        description=MEANING,
        version=ktreview.__version__,
        identifier=review.digest(),
        about=_at(*map(_theme, review.themes)),
        hasPart=_at(*map(_page, review.papers["key"])),
        distribution=[
            _node("DataDownload", name=name, contentUrl=f"../_static/data/{name}", encodingFormat=kind)
            for name, kind in downloads.items()
        ],
    )


def _themes(review: Review) -> Iterator[dict[str, Any]]:
    for key, theme in review.themes.items():
        yield _node("DefinedTerm", _theme(key), name=theme.title, description=theme.question, termCode=key)


def _article(row: PaperRow, paper: Paper) -> dict[str, Any]:
    return _node(
        "ScholarlyArticle",
        _page(row.key),
        name=row.title,
        author=[_node("Person", name=author) for author in paper.authors],
        datePublished=row.date,
        identifier=_node("PropertyValue", propertyID="arXiv", value=row.arxiv) if row.arxiv else None,
        url=f"https://arxiv.org/abs/{row.arxiv}" if row.arxiv else None,
        isPartOf=_node("CreativeWork", name=row.venue) if row.venue else None,
        genre=row.kind,
        abstract=row.abstract,
        about=_at(_theme(row.theme)),
        mentions=_at(*map(_theme, paper.also)),
    )


def _claim(row: ClaimRow) -> dict[str, Any]:
    """Say a claim; what it is about is a property with its value, or with no value if none is stated."""
    measured: dict[str, Any] = {}
    if row.value_high > row.value:
        measured = {"minValue": row.value, "maxValue": row.value_high}
    elif row.type == "quantitative":
        measured = {_LIMITS.get(row.bound, "value"): row.value}
    return _node(
        "Claim",
        _page(row.paper, f"claim-{row.id}"),
        text=row.quote,
        appearance=_at(_page(row.paper)),
        genre=row.type,
        about=_node(
            "PropertyValue",
            propertyID=row.kind or row.claim_type,
            name=row.metric,
            **measured,
            unitText=row.unit,
            valueReference=_properties(
                basis=row.basis,
                resolved_basis=row.resolved_basis,
                bound=row.bound,
                benchmark=row.benchmark,
                baseline=row.baseline,
                better=row.better,
                hedged=bool(row.hedged) if row.type == "qualitative" else None,
            ),
        ),
    )


def _result(key: str, result: Result) -> dict[str, Any]:
    points, relative = gains(result)
    baseline = _node(
        "PropertyValue",
        propertyID="baseline",
        name=result.baseline,
        value=result.baseline_value,
        unitText=result.unit,
    )
    return _node(
        "Observation",
        _page(key, f"result-{result.id}"),
        name=result.method,
        description=result.flag,
        observationAbout=_at(_page(key)),
        variableMeasured=result.metric,
        measurementTechnique=result.benchmark,
        measurementMethod=result.setting,
        value=result.method_value,
        unitText=result.unit,
        valueReference=[
            *([baseline] if result.baseline else []),
            *_properties(
                better=result.better,
                gain_points=points,
                gain_relative=relative,
                confidence=result.confidence,
            ),
        ],
        citation=_node("CreativeWork", name=result.source, description=result.locator),
    )


def _verdict(row: VerdictRow, rests_on: Iterable[Result], quote: str) -> dict[str, Any]:
    return _node(
        "ClaimReview",
        _page(row.paper, f"verdict-{row.claim}"),
        itemReviewed=_at(_page(row.paper, f"claim-{row.claim}")),
        claimReviewed=quote,
        reviewRating=_node("Rating", alternateName=row.finding, ratingExplanation=row.why),
        about=_properties(basis=row.basis, strength=row.strength),
        isBasedOn=_at(*(_page(row.paper, f"result-{result.id}") for result in rests_on)),
    )
