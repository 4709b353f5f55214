"""Every claim, and every lab, in one table with native controls that `book/_static/explorer.js` makes work.

The rows carry what the controls ask for as data attributes. Without the script the controls stay
hidden and the table shows everything.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import pandas as pd

from ktreview.corpus import wording
from ktreview.corpus.outcomes import Outcome
from ktreview.corpus.records import Basis, Bound, ClaimKind, ClaimType, Finding
from ktreview.corpus.review import Review, rows
from ktreview.show import markup

#: The filters in the order of the page, with their labels. The names stand in addresses: keep them, and
#: take neither ``q`` nor ``highlight``, which are the site's search's.
FILTERS: Mapping[str, str] = {
    "theme": "Theme",
    "type": "Type",
    "kind": "Kind",
    "basis": "Basis, as stated",
    "bound": "Bound",
    "metric": "Metric",
    "benchmark": "Benchmark",
    "baseline": "Baseline",
    "verdict": "Verdict",
    "hedged": "Hedged",
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
    body : list of str
        The rows' cells as HTML.
    headings : sequence of str
    filters : mapping of str to str
        The columns of `data` that can be filtered by, with their labels.
    noun, caption : str
        What a row is, and what the rows are.
    """

    data: pd.DataFrame = field(repr=False)
    options: dict[str, dict[str, str]] = field(repr=False)
    body: list[str] = field(repr=False)
    headings: Sequence[str] = field(default=_HEADINGS, repr=False)
    filters: Mapping[str, str] = field(default_factory=lambda: FILTERS, repr=False)
    noun: str = "claim"
    caption: str = "Claims, in the order of the corpus"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": f"The {wording.counted(len(self.data), self.noun)}"}

    def html(self) -> str:
        """Return controls and table as an HTML fragment."""
        head = "".join(f'<th scope="col">{heading}</th>' for heading in self.headings)
        body = "".join(
            f"<tr {self._attributes(found)}>{cells}</tr>"
            for found, cells in zip(rows(self.data), self.body, strict=True)
        )
        return (
            f'<div class="kt-explorer" data-noun="{self.noun}s">{self._form()}<p role="status"></p>'
            f"<table><caption>{self.caption}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            "</div>"
        )

    def _form(self) -> str:
        selects = "".join(
            f'<label>{label} <select name="{name}"><option value="">any</option>'
            f"{self._option_list(name)}</select></label>"
            for name, label in self.filters.items()
        )
        return (
            f'<form hidden autocomplete="off" aria-label="Filter the {self.noun}s">'
            '<label class="kt-search">Search words '
            '<input type="search" name="words" spellcheck="false"></label>'
            f'{selects}<button type="reset">Reset all filters</button></form>'
        )

    def _option_list(self, name: str) -> str:
        counts = self.data[name].str.split(_JOINT).explode().value_counts()
        return "".join(
            f'<option value="{html.escape(value)}">{html.escape(words)} ({counts[value]})</option>'
            for value, words in self.options[name].items()
        )

    def _attributes(self, found: Any) -> str:
        return " ".join(f'data-{name}="{html.escape(getattr(found, name))}"' for name in self.filters)


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
    verdicts = {
        (key, verdict.claim): verdict for key, record in review.records.items() for verdict in record.verdicts
    }
    found, body = [], []
    for row in rows(review.claims):
        verdict = verdicts.get((row.paper, row.quote))
        named = review.baseline_named[row.id]
        found.append(
            {
                "id": row.id,
                "theme": row.theme,
                "type": row.type,
                "kind": row.kind or row.claim_type,
                "basis": row.basis,
                "bound": row.bound,
                "metric": wording.plain(row.metric) or "not-stated",
                "benchmark": wording.plain(row.benchmark) or "not-stated",
                "baseline": "not-stated" if not row.baseline else "named" if named else "not-named",
                "verdict": verdict.finding if verdict else "none",
                "hedged": "" if row.type == "quantitative" else "yes" if row.hedged else "no",
            }
        )
        body.append(
            f'<th scope="row">{_claim(review, row)}</th>'
            f'<td><q class="kt-quote">{html.escape(wording.plain(row.quote))}</q></td>'
            f"<td>{_sort(row)}</td><td>{_measured(row, named)}</td>"
            f"<td>{_verdict(wording.verdict(verdict), verdict.why) if verdict else 'none'}</td>"
        )
    data = pd.DataFrame(found, columns=["id", *FILTERS])
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
    found, body = [], []
    for row in rows(review.labs):
        _, first, second, outcome = review.compared(row.lab)[0]
        found.append(
            {
                "id": row.lab,
                "theme": row.theme,
                "verdict": row.verdict,
                "replication": "excludes-zero" if second.low * second.high > 0 else "covers-zero",
                "control": "yes" if row.control else "no",
                "claim": "quoted" if row.claim else "not-quoted",
            }
        )
        quote = review.declared[row.lab].claim
        words = f'<q class="kt-quote">{html.escape(wording.plain(quote))}</q> ' if quote else ""
        asked = f"{html.escape(row.metric)} {row.better}: {html.escape(row.method)} against "
        body.append(
            f'<th scope="row">{_lab(review, row)}</th>'
            f"<td>{words}{html.escape(row.question)} <span>{asked}{html.escape(row.baseline)}</span></td>"
            f"<td>{wording.effect(first)}</td><td>{wording.effect(second)}</td>"
            f"<td>{_OUTCOME_SIGNS[outcome]} {outcome}</td>"
            f"<td>{first.smallest:.3g}</td>"
        )
    data = pd.DataFrame(found, columns=["id", *_LAB_FILTERS])
    options = {name: _options(review, name, data[name]) for name in _LAB_FILTERS}
    return Explorer(
        data, options, body, _LAB_HEADINGS, _LAB_FILTERS, "lab", "Labs, in the order of the corpus"
    )


def _lab(review: Review, row: Any) -> str:
    name = markup.paper_anchor(review, row.paper, wording.short_name(review.records[row.paper]), lab=row.lab)
    return f"{name} <span>{html.escape(review.themes[row.theme].title)}</span>"


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


def _claim(review: Review, row: Any) -> str:
    name = f"{wording.short_name(review.records[row.paper])}, claim {row.id.rpartition('-')[2]}"
    theme = html.escape(review.themes[row.theme].title)
    return f"{markup.paper_anchor(review, row.paper, name, claim=row.id)} <span>{theme}</span>"


def _sort(row: Any) -> str:
    if row.type == "qualitative":
        return html.escape(wording.label(row))
    stated = wording.basis(row) if row.kind == "gain" else row.basis
    basis = "basis not stated" if row.basis == "unstated" else f"basis: {stated}"
    return f"<strong>{html.escape(wording.value(row))}</strong> {row.kind}; {html.escape(basis)}"


def _measured(row: Any, named: bool) -> str:
    """Say what of metric, benchmark and baseline the abstract states."""
    facts = {"metric": row.metric, "on": row.benchmark, "over": row.baseline}
    lines = [
        f"<span><i>{label}:</i> {html.escape(wording.plain(words))}"
        + ("" if label != "over" else " (named)" if named else " (not named)")
        + "</span>"
        for label, words in facts.items()
        if words
    ]
    return " ".join(lines) or "no metric, benchmark or baseline"


def _verdict(words: str, why: str) -> str:
    return f"<details><summary>{html.escape(words)}</summary> {html.escape(why)}</details>"
