"""The indexes of benchmarks, systems and metrics: who touches a name, and which numbers may be compared."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from markupsafe import Markup

from ktreview.analysis.comparability import NamedNumber, Pairs, numbers_under
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
    touched = mentions(review)
    touched = touched[touched["index"] == index]
    counts = touched.groupby("key")["paper"].nunique()
    entries = load_index()[index]
    order = sorted(counts.index, key=lambda key: (-counts[key], entries[key].name.casefold(), key))
    sections: list[Markup] = []
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
            markup.macro("tables.html", "section")(
                index,
                key,
                entries[key],
                wording.counted(int(counts[key]), "paper"),
                _touching(review, touched[touched["key"] == key]),
                pairs.summary(),
                wording.counted(len(numbers), "number"),
                _numbers_shown(review, entries[key].name, numbers, pairs),
            )
        )
    data = pd.DataFrame(summary, columns=_COLUMNS)
    title = _title(index, data)
    names = sorted(rows(data), key=lambda row: (row.name.casefold(), row.key))
    body = markup.macro("tables.html", "index")(index, title, len(data), names, sections)
    return _IndexTable(f"index-{index}", title, data, body=str(body))


def _title(index: str, data: pd.DataFrame) -> str:
    shared = int((data["papers"] > 1).sum())
    pairs, alike, across, across_alike = (int(data[name].sum()) for name in _COLUMNS[4:])
    return (
        f"{wording.counted(len(data), index[:-1])}, of which more than one paper names {shared}. "
        f"Pairs of numbers under one name that may be compared: {wording.share(alike, pairs)}. "
        f"Pairs from two papers that may be compared: {wording.share(across_alike, across)}."
    )


def _touching(review: Review, touched: pd.DataFrame) -> list[tuple[Markup, str]]:
    """Link the papers that touch a name, with where it was seen."""
    return [
        (
            markup.paper_anchor(review, str(key), wording.short_name(review.records[str(key)])),
            ", ".join(of_paper["where"]),
        )
        for key, of_paper in touched.groupby("paper", sort=False)
    ]


def _numbers_shown(review: Review, name: str, numbers: list[NamedNumber], pairs: Pairs) -> Markup:
    if not numbers:
        return Markup()
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
    return markup.table(
        data, f"Numbers under {name}, in the words of abstracts and results", markup=("paper",)
    )


def _value(row: NamedNumber, value: float) -> str:
    if value != value:  # noqa: PLR0124 - NaN
        return "not given"
    unit = "score" if row.unit == "ratio" else row.unit
    return wording.value(row._replace(value=value, unit=unit))


def _described(row: NamedNumber) -> str:
    if row.where == "result":
        return f"result of {wording.plain(row.method)}"
    if row.kind != "gain":
        return f"claimed {row.kind}"
    return f"claimed gain, {wording.basis(row)}" + (" (settled by results)" if row.settled else "")


def _measured(row: NamedNumber) -> str:
    on = f"on {wording.plain(row.benchmark)}" if row.benchmark else ""
    return f"{wording.plain(row.metric)} {on}".strip() or "–"


def _over(row: NamedNumber) -> str:
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
