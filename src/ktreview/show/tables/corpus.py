"""Tables of the corpus: papers, claims, agreement, columns."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import pandas as pd

from ktreview.analysis import agreement as annotation
from ktreview.analysis.dictionary import as_frame, meaning
from ktreview.corpus import wording
from ktreview.corpus.frames import COLUMNS, ClaimRow
from ktreview.corpus.review import Review, rows
from ktreview.show import markup
from ktreview.show.tables.table import Table


def claims(
    review: Review, theme: str | None = None, kinds: Collection[str] = ("gain", "level", "scale")
) -> Table:
    """List quantitative claims in the abstracts' own words.

    Parameters
    ----------
    review : Review
    theme : str, optional
        Only papers whose primary theme this is.
    kinds : collection of str, optional
        Which kinds of claim to list.

    Returns
    -------
    Table
        One row a claim, in the order of the corpus.
    """
    chosen = review.claims[review.claims["kind"].isin(list(kinds))]
    if theme is not None:
        chosen = chosen[chosen["theme"] == theme]
    data = pd.DataFrame(
        {
            "paper": markup.paper_anchor(review, row.paper, wording.short_name(review.records[row.paper])),
            "its words": markup.quoted(wording.plain(row.quote)),
            "value": wording.value(row),
            "is": row.kind if row.kind != "gain" else f"gain, {wording.basis(row)}",
            "metric": row.metric or "–",
            "on": row.benchmark or "–",
            "over": row.baseline + ("" if row.baseline_named else " (not named)") if row.baseline else "–",
        }
        for row in rows(chosen, ClaimRow)
    )
    return Table(
        f"claims-{theme or 'all'}",
        f"Results claimed with a number: {wording.counted(len(chosen), 'claim')} of "
        f"{wording.counted(chosen['paper'].nunique(), 'abstract')}. A dash: the abstract does not say.",
        data,
        markup=("paper", "its words"),
    )


def papers(review: Review) -> Table:
    """List all papers with theme, kind, year, claims, results and verdicts.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Table
        One row a paper, in the order of the corpus.
    """
    counts = {name: review.frame(name)["paper"].value_counts() for name in ("claims", "results", "verdicts")}
    data = pd.DataFrame(
        {
            "paper": markup.paper_anchor(review, key, wording.short_name(record)),
            "title": record.title,
            "theme": review.themes[record.theme].title,
            "kind": record.kind.replace("-", " "),
            "year": record.date[:4],
            **{name: int(count.get(key, 0)) for name, count in counts.items()},
        }
        for key, record in review.records.items()
    )
    return Table("papers", "All papers", data, markup=("paper",))


def agreement(_: Review) -> Table:
    """Show how far the two annotation passes agree.

    Returns
    -------
    Table
        One row a field: items, agreed, share in percent and Cohen's kappa.
    """
    data = annotation.agreement()
    shown = pd.DataFrame(
        {
            "field": data["field"],
            "items": data["items"],
            "alike": data["agreed"],
            "share, %": (100 * data["share"]).round(1),
            "Cohen’s κ": data["kappa"].round(3),
        }
    )
    return Table(
        "agreement",
        "Agreement of the two annotation passes. κ is not given for free text, nor where both passes used "
        "one value only.",
        shown,
    )


def code_availability(review: Review) -> Table:
    """Count the papers of each theme by where an address of their code is known from.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Table
        One row a theme and one for all.
    """
    source = pd.Series(
        [record.code.source if record.code else "none" for record in review.records.values()],
        index=review.papers["theme"],
    )
    data = pd.DataFrame(
        {
            "theme": theme.title,
            "papers": len(source[[key]]),
            "address in the abstract": int((source[[key]] == "abstract").sum()),
            "address known from elsewhere": int((source[[key]] == "elsewhere").sum()),
            "no address known": int((source[[key]] == "none").sum()),
        }
        for key, theme in review.themes.items()
    )
    data.loc[len(data)] = ["all", *data.iloc[:, 1:].sum()]
    return Table("code-availability", "Where an address of code or data is known from.", data)


def flow(review: Review) -> Table:
    """Show how the corpus comes about and what its abstracts yield, with counts.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Table
        One row a step of the way from the page dump to the claims, shown as a flow of boxes.
    """
    gains = review.claims[review.claims["kind"] == "gain"]
    steps = [
        ("papers on the page dump", len(review.papers)),
        ("recorded, with bibliography and theme", len(review.records)),
        ("number tokens in their abstracts, each accounted for", len(review.numbers)),
        ("results claimed with a number", int((review.claims["type"] == "quantitative").sum())),
        ("gains over something", len(gains)),
        ("gains over a named baseline", int(gains["baseline_named"].sum())),
        ("gains whose basis the abstract fixes", int((gains["basis"] != "unstated").sum())),
    ]
    return _Flow(
        "flow", "From the page dump to comparable gains", pd.DataFrame(steps, columns=["step", "number"])
    )


class _Flow(Table):
    """A table of counts, shown as boxes in a row."""

    def html(self) -> str:
        return str(markup.macro("tables.html", "flow")(self, self.data.itertuples(index=False)))


def dictionary(review: Review, frame: str | None = None) -> Table:  # noqa: ARG001 - called like all tables
    """Say what the columns of the data mean.

    Parameters
    ----------
    review : Review
    frame : str, optional
        Only the columns of this frame.

    Returns
    -------
    Table
        One row a column, in the order of the data.
    """
    facts = as_frame().query("column != ''")
    title = "Every column of the data"
    if frame is not None:
        facts = facts[facts["frame"] == frame]
        title = f"{frame}: {meaning(frame)}"
    data = pd.DataFrame(
        {
            "frame": row.frame,
            "column": row.column,
            "values": row.type
            + (f", {row.unit}" if row.unit else "")
            + (f": {row.vocabulary}" if row.vocabulary else ""),
            "meaning": row.meaning,
            "empty if": row.empty,
        }
        for row in rows(facts)
    )
    if frame is not None:
        data = data.drop(columns="frame")
    return Table(f"dictionary-{frame or 'all'}", title, data)


#: The tables that a page can show by name.
BY_NAME: dict[str, Callable[..., Table]] = {
    "agreement": agreement,
    "claims": claims,
    "code-availability": code_availability,
    "dictionary": dictionary,
    **{f"dictionary-{name}": partial(dictionary, frame=name) for name in COLUMNS},
    "flow": flow,
    "papers": papers,
}
