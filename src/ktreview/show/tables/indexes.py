"""The indexes of benchmarks, systems and metrics: who touches a name, and which numbers may be compared."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ktreview.analysis.comparability import Pairs, numbers_under
from ktreview.analysis.names import STATED_UNDER, IndexName, load_index, mentions
from ktreview.corpus import wording
from ktreview.corpus.review import Review, rows
from ktreview.show import markup
from ktreview.show.tables.table import Table

_COLUMNS = [
    *("key", "name", "papers", "numbers", "pairs", "may be compared"),
    *("pairs of two papers", "of these comparable"),
]


@dataclass(frozen=True)
class _IndexTable(Table):
    """The overview of an index, shown with a section for each name."""

    body: str = field(default="", repr=False)

    def html(self) -> str:
        return self.body


def index_page(review: Review, index: IndexName) -> Table:
    """Show the names of an index: which papers touch each, its numbers and which may be compared.

    Parameters
    ----------
    review : Review
    index : str
        ``benchmarks``, ``systems`` or ``metrics``.

    Returns
    -------
    Table
        One row a name that some paper touches, by number of papers, then name; its HTML has a section for
        each with the anchor ``<index>-<key>``.
    """
    if index not in STATED_UNDER:
        raise ValueError(f"there is no index {index!r}; there are {', '.join(STATED_UNDER)}")
    found = mentions(review)
    found = found[found["index"] == index]
    counts = found.groupby("key")["paper"].nunique()
    entries = load_index()[index]
    order = sorted(counts.index, key=lambda key: (-counts[key], entries[key].name.casefold(), key))
    sections: list[str] = []
    summary: list[dict[str, Any]] = []
    for key in order:
        numbers = list(rows(numbers_under(review, index, key)))
        pairs = Pairs(numbers)
        summary.append(
            {
                "key": key,
                "name": entries[key].name,
                "papers": int(counts[key]),
                "numbers": len(numbers),
                "pairs": pairs.total,
                "may be compared": pairs.alike,
                "pairs of two papers": pairs.across,
                "of these comparable": pairs.across_alike,
            }
        )
        sections.append(
            f'<section class="kt-card" id="{index}-{key}" aria-labelledby="{index}-{key}-name">'
            f'<h3 id="{index}-{key}-name">{html.escape(entries[key].name)}</h3>'
            f"<p>{html.escape(entries[key].what)}</p>"
            f"<p>{_touching(review, found[found['key'] == key])}</p>"
            f"{_numbers_shown(review, entries[key].name, numbers, pairs)}</section>"
        )
    data = pd.DataFrame(summary, columns=_COLUMNS)
    title = _title(index, data)
    body = (
        f'<div class="kt-index" id="index-{index}"><p>{html.escape(title)}</p>'
        f"{_contents(index, data)}<h2>By number of papers</h2>{''.join(sections)}</div>"
    )
    return _IndexTable(f"index-{index}", title, data, body=body)


def _title(index: str, data: pd.DataFrame) -> str:
    shared = int((data["papers"] > 1).sum())
    pairs, alike, across, across_alike = (int(data[name].sum()) for name in _COLUMNS[4:])
    return (
        f"{wording.counted(len(data), index[:-1])}, of which more than one paper names {shared}. "
        f"Pairs of numbers under one name that may be compared: {wording.share(alike, pairs)}. "
        f"Pairs from two papers that may be compared: {wording.share(across_alike, across)}."
    )


def _contents(index: str, data: pd.DataFrame) -> str:
    links = ", ".join(
        f'<a href="#{index}-{row.key}">{html.escape(row.name)}</a> ({row.papers})'
        for row in sorted(rows(data), key=lambda row: (row.name.casefold(), row.key))
    )
    return (
        f'<details class="kt-data"><summary>All {len(data)} names from A to Z, with the number of papers'
        f"</summary><p>{links}</p></details>"
    )


def _touching(review: Review, found: pd.DataFrame) -> str:
    """Link the papers that touch a name, with where it was seen."""
    parts = []
    for paper, own in found.groupby("paper", sort=False):
        key = str(paper)
        link = markup.paper_anchor(review, key, wording.short_name(review.records[key]))
        parts.append(f"{link} ({', '.join(own['where'])})")
    return f"{wording.counted(len(parts), 'paper')}: {'; '.join(parts)}."


def _numbers_shown(review: Review, name: str, numbers: list[Any], pairs: Pairs) -> str:
    if not numbers:
        return "<p>No number under this name.</p>"
    data = pd.DataFrame(
        {
            "paper": markup.paper_anchor(
                review,
                row.paper,
                wording.short_name(review.records[row.paper]),
                claim=row.id if row.where == "claim" else "",
            ),
            "number": _value(row, row.value),
            "is": _described(row),
            "measures": _measured(row),
            "setting": wording.plain(row.setting) or "–",
            "over": _over(row),
            "may be compared": f"with group {pairs.label[i]}"
            if i in pairs.label
            else f"no: {pairs.nearest[i]}"
            if i in pairs.nearest
            else "–",
        }
        for i, row in enumerate(numbers)
    )
    table = markup.table(
        data, f"Numbers under {name}, in the words of abstracts and results", markup=("paper",)
    )
    return (
        f"<p>{html.escape(pairs.summary())}</p>"
        # Cards break words anywhere, which would squeeze the columns instead of letting the table scroll.
        '<details class="kt-data">'
        f"<summary>{wording.counted(len(numbers), 'number')} under "
        f"{html.escape(name)}</summary>{table}</details>"
    )


def _value(row: Any, value: float) -> str:
    if value != value:  # noqa: PLR0124 - NaN
        return "not given"
    unit = "score" if row.unit == "ratio" else row.unit
    return wording.value(row._replace(value=value, unit=unit))


def _described(row: Any) -> str:
    if row.where == "result":
        return f"result of {wording.plain(row.method)}"
    if row.kind != "gain":
        return f"claimed {row.kind}"
    return f"claimed gain, {wording.basis(row)}" + (" (settled by results)" if row.settled else "")


def _measured(row: Any) -> str:
    on = f"on {wording.plain(row.benchmark)}" if row.benchmark else ""
    return f"{wording.plain(row.metric)} {on}".strip() or "–"


def _over(row: Any) -> str:
    if not row.baseline:
        return "–"
    baseline = wording.plain(row.baseline)
    if row.where == "result":
        return f"{baseline}: {_value(row, row.baseline_value)}"
    return baseline if row.baseline_named else f"{baseline} (not named)"


#: The indexes that a page can show by name.
BY_NAME: dict[str, Callable[[Review], Table]] = {
    "index-benchmarks": functools.partial(index_page, index="benchmarks"),
    "index-systems": functools.partial(index_page, index="systems"),
    "index-metrics": functools.partial(index_page, index="metrics"),
}
