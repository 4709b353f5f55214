"""Every claim, and every lab, in one table with native controls that `book/_static/explorer.js` makes work.

The rows carry what the controls ask for as data attributes. Without the script the controls stay
hidden and the table shows everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

import pandas as pd
from markupsafe import Markup

from ktreview.corpus import wording
from ktreview.corpus.frames import ClaimRow, LabRow, columns
from ktreview.corpus.outcomes import Outcome
from ktreview.corpus.records import Basis, Bound, ClaimKind, ClaimType, Finding
from ktreview.corpus.review import Review, rows
from ktreview.show import markup

#: The filters in the order of the page, with their labels. The names stand in addresses: keep them, and
#: take neither ``q`` nor ``highlight``, which are the site's search's.
FILTERS: Mapping[str, str] = {
    "verdict" if name == "finding" else name: columns("claims")[name].label
    for name in "theme type kind basis bound metric benchmark baseline finding hedged".split()
}

#: What joins the values of a field that has several; the script splits there.
_JOINT = "; "

_ORDER: Mapping[str, Sequence[str]] = {
    "type": ("quantitative", "qualitative"),
    "kind": (*get_args(ClaimKind), *get_args(ClaimType)),
    "basis": get_args(Basis),
    "bound": get_args(Bound),
    "baseline": ("named", "not-named", "not-stated"),
    "verdict": (*get_args(Finding), "none", *get_args(Outcome)),
    "hedged": ("yes", "no"),
}
_WORDS: Mapping[tuple[str, str], str] = {
    ("type", "quantitative"): "with a number",
    ("type", "qualitative"): "without a number",
    ("basis", "unstated"): "not stated",
    ("bound", "approx"): "about",
    ("baseline", "not-named"): "stated, not named",
    ("verdict", "none"): "no verdict",
}
_HEADINGS = ("Claim", "Its words", "What it claims", "Measured", "Verdict")
#: Signs beside the words of an outcome.
_OUTCOME_SIGNS = {"supports": "▲", "contradicts": "▼", "undecided": "○"}
_LAB_FILTERS: Mapping[str, str] = {
    "theme": "Theme",
    "verdict": "Verdict",
    "replication": "Replication",
    "control": "Control",
    "claim": "Claim in the abstract",
}
_LAB_HEADINGS = (
    "Lab",
    "What is claimed, and asked",
    "Effect",
    "Replication",
    "Verdict",
    "Smallest effect that eight seeds could show",
)


@dataclass(frozen=True)
class Explorer:
    """A table with its controls, shown by Jupyter and by the book as HTML.

    Attributes
    ----------
    data : pandas.DataFrame
        One row a thing: its id and, for each of `filters`, the value that it is found by. Several
        values of one field are joined by ``"; "``; the empty string is found by no option.
    options : dict of str to dict of str to str
        For each filter, its values and the words that stand for them.
    body : list of Markup
        The rows' cells.
    headings : sequence of str
    filters : mapping of str to str
        The columns of `data` that can be filtered by, with their labels.
    noun, caption : str
        What a row is, and what the rows are.
    """

    data: pd.DataFrame = field(repr=False)
    options: dict[str, dict[str, str]] = field(repr=False)
    body: list[Markup] = field(repr=False)
    headings: Sequence[str] = field(default=_HEADINGS, repr=False)
    filters: Mapping[str, str] = field(default_factory=lambda: FILTERS, repr=False)
    noun: str = "claim"
    caption: str = "Claims, in the order of the corpus"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": f"The {wording.counted(len(self.data), self.noun)}"}

    def html(self) -> str:
        """Return controls and table as an HTML fragment."""
        filters = [
            (name, label, [(value, words, counts[value]) for value, words in self.options[name].items()])
            for name, label in self.filters.items()
            for counts in [self.data[name].str.split(_JOINT).explode().value_counts()]
        ]
        lines = [
            (list(zip(self.filters, values, strict=True)), cells)
            for values, cells in zip(
                self.data[list(self.filters)].itertuples(index=False, name=None), self.body, strict=True
            )
        ]
        return str(markup.macro("explorer.html", "explorer")(self, filters, lines))


def claims_explorer(review: Review) -> Explorer:
    """List every claim, to be searched and filtered on the page.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Explorer
        One row a claim, in the order of the corpus.
    """
    values, body = [], []
    for row in rows(review.claims, ClaimRow):
        values.append(
            {
                "id": row.id,
                "theme": row.theme,
                "type": row.type,
                "kind": row.kind or row.claim_type,
                "basis": row.basis,
                "bound": row.bound,
                "metric": wording.plain(row.metric) or "not-stated",
                "benchmark": wording.plain(row.benchmark) or "not-stated",
                "baseline": "not-stated"
                if not row.baseline
                else "named"
                if row.baseline_named
                else "not-named",
                "verdict": row.finding or "none",
                "hedged": "" if row.type == "quantitative" else "yes" if row.hedged else "no",
            }
        )
        body.append(_claim(review, row))
    data = pd.DataFrame(values, columns=["id", *FILTERS])
    return Explorer(data, {name: _options(review, name, data[name]) for name in FILTERS}, body)


def labs_explorer(review: Review) -> Explorer:
    """List every lab that has run: what is claimed beside what was measured.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Explorer
        One row a lab, in the order of the corpus.
    """
    values, body = [], []
    for row in rows(review.labs, LabRow):
        replication = review.compared(row.lab)[0][2]
        values.append(
            {
                "id": row.lab,
                "theme": row.theme,
                "verdict": row.verdict,
                "replication": "excludes-zero" if replication.low * replication.high > 0 else "covers-zero",
                "control": "yes" if row.control else "no",
                "claim": "quoted" if row.claim else "not-quoted",
            }
        )
        body.append(_lab(review, row))
    data = pd.DataFrame(values, columns=["id", *_LAB_FILTERS])
    options = {name: _options(review, name, data[name]) for name in _LAB_FILTERS}
    return Explorer(
        data, options, body, _LAB_HEADINGS, _LAB_FILTERS, "lab", "Labs, in the order of the corpus"
    )


def _lab(review: Review, row: LabRow) -> Markup:
    """Return a lab's cells."""
    _, effect, replication, outcome = review.compared(row.lab)[0]
    name = wording.short_name(review.records[row.paper])
    return markup.macro("explorer.html", "lab")(
        markup.paper_anchor(review, row.paper, name, lab=row.lab),
        review.themes[row.theme].title,
        row,
        wording.plain(review.declared[row.lab].claim or ""),
        wording.effect(effect),
        wording.effect(replication),
        f"{_OUTCOME_SIGNS[outcome]} {outcome}",
        f"{effect.smallest:.3g}",
    )


def _options(review: Review, name: str, column: Iterable[str]) -> dict[str, str]:
    """Return the values that occur, in the order of the vocabulary, else of the alphabet."""
    values = {value for joined in column for value in joined.split(_JOINT)} - {""}
    order = list(review.themes) if name == "theme" else list(_ORDER.get(name, ["not-stated"]))

    def place(value: str) -> tuple[int, str, str]:
        return order.index(value) if value in order else len(order), value.casefold(), value

    def words(value: str) -> str:
        if name == "theme":
            return review.themes[value].title
        if name in _ORDER or value == "not-stated":
            return _WORDS.get((name, value), value.replace("-", " "))
        return value

    return {value: words(value) for value in sorted(values, key=place)}


def _claim(review: Review, row: ClaimRow) -> Markup:
    """Return a claim's cells."""
    name = f"{wording.short_name(review.records[row.paper])}, claim {row.id.rpartition('-')[2]}"
    quantitative = row.type == "quantitative"
    stated = wording.basis(row) if row.kind == "gain" else row.basis
    facts = (
        ("metric", row.metric, ""),
        ("on", row.benchmark, ""),
        ("over", row.baseline, " (named)" if row.baseline_named else " (not named)"),
    )
    verdict = review.verdict_of(row.id)
    return markup.macro("explorer.html", "claim")(
        markup.paper_anchor(review, row.paper, name, claim=row.id),
        review.themes[row.theme].title,
        row,
        wording.plain(row.quote),
        wording.value(row) if quantitative else "",
        "basis not stated" if row.basis == "unstated" else f"basis: {stated}",
        "" if quantitative else wording.label(row),
        [(label, wording.plain(words), note) for label, words, note in facts if words],
        wording.verdict(verdict) if verdict else "",
        verdict.why if verdict else "",
    )
