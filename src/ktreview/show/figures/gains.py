"""The figure of claimed gains: one row a claim, on the axis that its basis allows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ktreview.corpus import wording
from ktreview.corpus.outcomes import gains as result_gains
from ktreview.corpus.review import Review, rows
from ktreview.show import markup
from ktreview.show.figures.rows import NAME, Sheet, arrow, beside, cut, line, mark, scale, write
from ktreview.show.figures.svg import Figure, Link, render

#: The axes, in order: kind, basis (None: any) and unit of the claims, title, mark, colour.
_AXES = (
    ("gain", "unstated", "percent", "Percent, of what is not stated", "D", "2"),
    ("gain", "relative", "percent", "Percent of the baseline (relative)", "s", "1"),
    ("gain", "absolute", "percent", "Percentage points (absolute)", "o", "3"),
    ("gain", "absolute", "points", "Points of the metric (absolute)", "o", "3"),
    ("gain", "relative", "times", "Times the baseline (relative)", "s", "6"),
    ("level", None, "percent", "No gain but a level, percent", "^", "5"),
)
#: Points to the right of an axis, for the value of the longest row.
_BESIDE = 92.0


def claimed_gains(review: Review, theme: str | None = None) -> Figure:
    """Draw the gains that abstracts claim, and within a theme the levels.

    One row a claim. Claims whose basis differs stand on axes of their own, because a point and a
    percent are different things; a filled mark means that the abstract names the baseline, a hollow
    one that it does not; a line that ends in a wall is "up to", an arrow is "at least" or "at most",
    a wave is "about". What the papers' tables make of a claim stands below its value.

    Parameters
    ----------
    review : Review
    theme : str, optional
        Only the claims of the papers whose primary theme this is.

    Returns
    -------
    Figure
        Its data has one row a claim, in drawing order, with the column `axis`.

    Raises
    ------
    ValueError
        If the theme is unknown, or no abstract of it claims a gain or a level in percent.
    """
    if theme is not None and theme not in review.themes:
        raise ValueError(f"unknown theme {theme!r}; the themes are {', '.join(review.themes)}")
    papers = review.papers if theme is None else review.papers[review.papers["theme"] == theme]
    gains = review.claims[(review.claims["kind"] == "gain") & review.claims["paper"].isin(papers["key"])]
    levels = review.claims[(review.claims["kind"] == "level") & (review.claims["unit"] == "percent")]
    # Levels have no place beside the gains of the whole corpus; in a theme they are what there is.
    levels = levels[levels["paper"].isin(papers["key"] if theme else [])]
    shown = pd.concat([gains, levels])
    if shown.empty:
        raise ValueError(f"no abstract of the theme {theme!r} claims a gain or a level in percent")
    shown = shown.assign(
        name=[wording.short_name(review.records[key]) for key in shown["paper"]],
        becomes=[_becomes(review, row) for row in rows(shown)],
    )
    panels = list(_panels(shown))
    drawn = pd.concat([_table(panel) for panel in panels], ignore_index=True)
    if len(drawn) != len(shown):
        missing = sorted(set(shown["id"]) - set(drawn["claim"]))
        raise ValueError(f"no axis fits the claims {', '.join(missing)}: their unit and basis are new")
    links = {}
    for row in (row for panel in panels for row in panel.rows):
        address = markup.address(review, row.paper)
        links[row.id] = Link(address, row.paper, wording.tooltip(row, row.name, row.baseline_named), row.id)
        links[f"{row.id}/name"] = Link(address, row.paper, review.records[row.paper].title)
    silent = [key for key in papers["key"] if key not in set(gains["paper"])]
    return render(
        f"claimed-gains-{theme or 'all'}",
        _draw,
        panels,
        title=_title(shown[shown["kind"] == "gain"], papers),
        note=_note(review, silent, theme),
        alt=_alt(panels),
        data=drawn,
        links=links,
    )


@dataclass(frozen=True)
class _Panel:
    """The claims that share an axis."""

    title: str
    marker: str
    colour: str
    rows: Sequence[Any]
    is_level: bool = False


def _panels(shown: pd.DataFrame) -> Iterator[_Panel]:
    for kind, basis, unit, title, marker, colour in _AXES:
        fits = (shown["kind"] == kind) & (shown["unit"] == unit)
        chosen = shown[fits & (shown["basis"] == basis) if basis else fits]
        if not chosen.empty:
            chosen = chosen.sort_values(["value", "id"], ascending=[False, True])
            yield _Panel(title, marker, colour, list(rows(chosen)), kind == "level")


def _becomes(review: Review, row: Any) -> str:
    """Say what the tables make of a gain; empty where there is no verdict."""
    verdict = review.verdict_of(row.id)
    if verdict is None:
        return ""
    said = wording.verdict(verdict)
    if len(verdict.results) == 1 and verdict.basis in ("absolute", "relative"):
        points, relative = result_gains(review.results_of(row.id)[0])
        other = (points, " points") if verdict.basis == "relative" else (relative, "% relative")
        if other[0] is not None:
            said += f": {wording.signed(*other)}"
    return said


def _table(panel: _Panel) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "axis": panel.title,
            "paper": row.name,
            "value": wording.value(row),
            "metric": row.metric,
            "benchmark": row.benchmark,
            "baseline": row.baseline,
            "baseline named": "yes" if row.baseline_named else "no",
            "tables say": row.becomes,
            "words": wording.plain(row.quote),
            "claim": row.id,
        }
        for row in panel.rows
    )


def _title(gains: pd.DataFrame, papers: pd.DataFrame) -> str:
    claiming = wording.share(gains["paper"].nunique(), len(papers))
    title = f"Abstracts that claim a gain with a number: {claiming}."
    if gains.empty:
        return title
    unstated = gains[gains["basis"] == "unstated"]
    open_basis = wording.share(len(unstated), len(gains))
    title += f" Gains that leave open whether they are points or relative: {open_basis}."
    if len(unstated):
        settled = int((~unstated["resolved_basis"].isin(["unstated", "unresolved"])).sum())
        title += f" Settled by the papers' tables: {wording.share(settled, len(unstated))}."
    named = wording.share(int(gains["baseline_named"].sum()), len(gains))
    return f"{title} Gains over a named baseline: {named}."


def _note(review: Review, silent: list[str], theme: str | None) -> str:
    legend = (
        "A row is a claim; pointing at its mark shows the abstract's words, which the data below give too. "
        "Axes are apart because points and relative percentages can't be compared. Filled mark: baseline "
        "named; hollow: not named. Dashed line to a wall: “up to”; arrow to the right: “at least”, to the "
        "left: “at most”; thick from mark to mark: a range; ≈: “about”. Below a value "
        "stands what the paper's own tables make of it, where they were read."
    )
    if theme is None or not silent:
        return legend
    rest = ", ".join(
        markup.paper_anchor(review, key, wording.short_name(review.records[key])) for key in silent
    )
    return f"{legend} No gain with a number in the abstract: {rest}."


def _alt(panels: Sequence[_Panel]) -> str:
    parts = (f"{panel.title}: {'; '.join(map(_alt_row, panel.rows))}." for panel in panels)
    return "Claimed gains. " + " ".join(parts)


def _alt_row(row: Any) -> str:
    metric = f" {row.metric}" if row.metric else ""
    benchmark = f" on {row.benchmark}" if row.benchmark else ""
    tables = f" (tables: {row.becomes})" if row.becomes else ""
    return (
        f"{row.name} {wording.value(row)}{metric}{benchmark} {wording.over(row, row.baseline_named)}{tables}"
    )


def _draw(panels: Sequence[_Panel]) -> Canvas:
    sheet = Sheet()
    for panel in panels:
        tops = [0.0, *itertools.accumulate(_height(row) for row in panel.rows)]
        axes = sheet.panel(tops[-1], head=26, foot=22, right=_BESIDE, title=panel.title)
        longest = max(100 if panel.is_level else 0, *(_ends(row)[1] for row in panel.rows))
        scale(axes, 0, longest * 1.04, 4, integer=True)
        for row, top in zip(panel.rows, tops, strict=False):
            _draw_row(axes, row, top, panel)
    return sheet.finished()


def _height(row: Any) -> float:
    return 64 if row.becomes else 50


def _ends(row: Any) -> tuple[float, float]:
    """Return from where to where a claim's value reaches."""
    return row.value, row.value if pd.isna(row.value_high) else row.value_high


def _draw_row(axes: Axes, row: Any, top: float, panel: _Panel) -> None:
    what = " · ".join(filter(None, [wording.plain(row.metric), wording.plain(row.benchmark)]))
    over = f"over {wording.plain(row.baseline)}" if row.baseline else "baseline not stated"
    beside(axes, 0, top + 9, cut(row.name, 44), f"{row.id}/name", weight="bold", size=NAME)
    beside(axes, 0, top + 22, cut(f"{what or 'metric not named'}, {over}", 57), colour="muted")
    y, (low, high) = top + 37, _ends(row)
    line(axes, [0, low], [y, y], panel.colour, linestyle=(0, (2, 1.5)) if row.bound == "up-to" else "-")
    if high > low:
        line(axes, [low, high], [y, y], panel.colour, 5)
    if row.bound == "up-to":
        line(axes, [high, high], [y - 8, y + 8], panel.colour, 2.4)
    if row.bound in ("at-least", "at-most"):
        arrow(axes, high, y, "right" if row.bound == "at-least" else "left", panel.colour)
    for n, end in enumerate(dict.fromkeys((low, high))):
        mark(
            axes,
            end,
            y,
            panel.marker,
            panel.colour,
            filled=row.baseline_named,
            size=8,
            url="" if n else row.id,
        )
    longest = axes.get_xlim()[1]
    gap = longest * (0.1 if row.bound == "at-least" else 0.03)
    write(axes, high + gap, y, wording.value(row), size=NAME, weight="bold")
    if row.becomes:
        beside(axes, 0, top + 52, row.becomes, colour="muted")
