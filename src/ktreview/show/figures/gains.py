"""The figure of claimed gains: one row a claim, on the axis that its basis allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from ktreview.corpus import wording
from ktreview.corpus.outcomes import gains as result_gains
from ktreview.corpus.review import Review, rows
from ktreview.show import markup
from ktreview.show.figures.svg import NARROW, PALETTE, WIDE, Figure, Link, render

#: The axes, in order: kind, basis (None: any) and unit of the claims, title, mark, colour.
_AXES = (
    ("gain", "unstated", "percent", "Percent, of what is not stated", "D", "2"),
    ("gain", "relative", "percent", "Percent of the baseline (relative)", "s", "1"),
    ("gain", "absolute", "percent", "Percentage points (absolute)", "o", "3"),
    ("gain", "absolute", "points", "Points of the metric (absolute)", "o", "3"),
    ("gain", "relative", "times", "Times the baseline (relative)", "s", "6"),
    ("level", None, "percent", "No gain but a level, percent", "^", "5"),
)
#: Inches above and below the rows of an axis.
_HEAD, _FOOT = 0.34, 0.44


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
        baseline_named=[review.baseline_named[claim] for claim in shown["id"]],
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
        lambda narrow: _draw(panels, narrow),
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
            yield _Panel(title, marker, PALETTE[colour], list(rows(chosen)), kind == "level")


def _becomes(review: Review, row: Any) -> str:
    """Say what the tables make of a gain; empty where there is no verdict."""
    paper = review.records[row.paper]
    verdict = next((verdict for verdict in paper.verdicts if verdict.claim == row.quote), None)
    if verdict is None:
        return ""
    said = wording.verdict(verdict)
    if len(verdict.results) == 1 and verdict.basis in ("absolute", "relative"):
        points, relative = result_gains(next(r for r in paper.results if r.id == verdict.results[0]))
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
        "left: “at most”; ≈: “about”. Below a value "
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


def _draw(panels: Sequence[_Panel], narrow: bool) -> Canvas:
    row_height = 0.66 if narrow else 0.42
    heights = [_HEAD + row_height * len(panel.rows) + _FOOT for panel in panels]
    total = sum(heights)
    canvas = Canvas(figsize=(NARROW if narrow else WIDE, total))
    left, right = (0.03, 0.8) if narrow else (0.46, 0.87)
    top = total
    for panel, height in zip(panels, heights, strict=True):
        axes = canvas.add_axes(
            (left, (top - height + _FOOT) / total, right - left, row_height * len(panel.rows) / total)
        )
        _draw_panel(axes, panel, narrow)
        canvas.text(0.01, (top - _HEAD * 0.6) / total, panel.title, weight="bold", va="center", size=10)
        top -= height
    return canvas


def _draw_panel(axes: Axes, panel: _Panel, narrow: bool) -> None:
    longest = max(100 if panel.is_level else 0, *(row.value for row in panel.rows))
    axes.set(xlim=(0, longest * 1.08), ylim=(len(panel.rows) - 0.42, -0.5), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 5, integer=True))
    axes.tick_params(length=0, labelsize=8.5)
    axes.grid(axis="x", linewidth=0.7)
    axes.set_axisbelow(True)
    for place, row in enumerate(panel.rows):
        y = place + (0.27 if narrow else 0)
        _draw_bound(axes, row, y, longest, panel.colour)
        mark = axes.plot(
            [row.value],
            [y],
            marker=panel.marker,
            markersize=8,
            markeredgewidth=1.8,
            markeredgecolor=panel.colour,
            markerfacecolor=panel.colour if row.baseline_named else PALETTE["surface"],
            linestyle="none",
            zorder=4,
            clip_on=False,
        )[0]
        mark.set_url(row.id)
        gap = longest * (0.12 if row.bound == "at-least" else 0.05)
        axes.text(row.value + gap, y, wording.value(row), va="center", size=9, weight="bold")
        if row.becomes:
            axes.annotate(
                row.becomes,
                (row.value + gap, y),
                xytext=(0, -10),
                textcoords="offset points",
                va="center",
                size=8,
                color=PALETTE["muted"],
                ha="left" if row.value < 0.45 * longest else "right" if row.value > 0.7 * longest else "left",
                annotation_clip=False,
            )
        _draw_label(axes, row, place, narrow)


def _draw_bound(axes: Axes, row: Any, y: float, longest: float, colour: str) -> None:
    dashes = (0, (2, 1.5)) if row.bound == "up-to" else "-"
    axes.plot([0, row.value], [y, y], color=colour, linewidth=1.6, linestyle=dashes, zorder=2)
    if row.bound == "up-to":
        axes.plot([row.value] * 2, [y - 0.2, y + 0.2], color=colour, linewidth=2.4, zorder=3)
    if row.bound in ("at-least", "at-most"):
        axes.annotate(
            "",
            (row.value + longest * (0.09 if row.bound == "at-least" else -0.09), y),
            (row.value, y),
            arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 1.6},
            annotation_clip=False,
        )


def _draw_label(axes: Axes, row: Any, place: int, narrow: bool) -> None:
    what = " · ".join(filter(None, [wording.plain(row.metric), wording.plain(row.benchmark)]))
    over = f"over {wording.plain(row.baseline)}" if row.baseline else "baseline not stated"
    lines = (
        (row.name, 15, "bold", 9.5, "ink"),
        (_cut(f"{what or 'metric not named'}, {over}", 44), 4.5, "normal", 8.2, "muted"),
    )
    for text, above, weight, size, colour in lines:
        label = axes.annotate(
            text,
            (0, place),
            xytext=(0, above) if narrow else (-207, above - 9.5),
            textcoords="offset points",
            va="center",
            weight=weight,
            size=size,
            color=PALETTE[colour],
            annotation_clip=False,
        )
        if weight == "bold":
            label.set_url(f"{row.id}/name")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip(" ,;·") + "…"
