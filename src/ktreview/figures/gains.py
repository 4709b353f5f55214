"""The figure of claimed gains: one row a claim, on the axis that its basis allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from ktreview import markup, wording
from ktreview.figures.svg import NARROW, PALETTE, WIDE, Figure, Link, render
from ktreview.review import Review, rows

#: The axes, in order: basis and unit of the claims, title, mark, colour.
_AXES = (
    ("unstated", "percent", "Percent, of what is not stated", "D", "2"),
    ("relative", "percent", "Percent of the baseline (relative)", "s", "1"),
    ("absolute", "percent", "Percentage points (absolute)", "o", "3"),
    ("absolute", "points", "Points of the metric (absolute)", "o", "3"),
    ("relative", "times", "Times the baseline (relative)", "s", "6"),
)
#: Inches above and below the rows of an axis.
_HEAD, _FOOT = 0.34, 0.44


def claimed_gains(review: Review, theme: str | None = None) -> Figure:
    """Draw the gains that abstracts claim.

    One row a claim. Claims whose basis differs stand on axes of their own, because a point and a
    percent are different things; a filled mark means that the abstract names the baseline, a hollow
    one that it does not; a bar that ends in a wall is "up to", an arrow is "at least", a wave is
    "about".

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
        If the theme is unknown, or no abstract of it claims a gain.
    """
    if theme is not None and theme not in review.themes:
        raise ValueError(f"unknown theme {theme!r}; the themes are {', '.join(review.themes)}")
    papers = review.papers if theme is None else review.papers[review.papers["theme"] == theme]
    gains = review.claims[(review.claims["kind"] == "gain") & review.claims["paper"].isin(papers["key"])]
    if gains.empty:
        raise ValueError(f"no abstract of the theme {theme!r} claims a gain with a number")
    gains = gains.assign(
        name=[wording.short_name(review.records[key]) for key in gains["paper"]],
        baseline_named=[review.baseline_named[claim] for claim in gains["id"]],
    )
    panels = []
    for basis, unit, title, marker, colour in _AXES:
        chosen = gains[(gains["basis"] == basis) & (gains["unit"] == unit)]
        if not chosen.empty:
            chosen = chosen.sort_values(["value", "id"], ascending=[False, True])
            panels.append(_Panel(title, marker, PALETTE[colour], list(rows(chosen))))
    drawn = pd.concat([_table(panel) for panel in panels], ignore_index=True)
    if len(drawn) != len(gains):
        missing = sorted(set(gains["id"]) - set(drawn["claim"]))
        raise ValueError(f"no axis fits the claims {', '.join(missing)}: their unit and basis are new")
    links = {}
    for row in (row for panel in panels for row in panel.rows):
        address = markup.address(review, row.paper)
        links[row.id] = Link(address, row.paper, wording.tooltip(row, row.name, row.baseline_named))
        links[f"{row.id}/name"] = Link(address, row.paper, review.records[row.paper].title)
    silent = [key for key in papers["key"] if key not in set(gains["paper"])]
    return render(
        f"claimed-gains-{theme or 'all'}",
        lambda narrow: _draw(panels, narrow),
        title=_title(gains, papers),
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
            "words": wording.plain(row.quote),
            "claim": row.id,
        }
        for row in panel.rows
    )


def _title(gains: pd.DataFrame, papers: pd.DataFrame) -> str:
    claiming = wording.share(gains["paper"].nunique(), len(papers))
    open_basis = wording.share(int((gains["basis"] == "unstated").sum()), len(gains))
    named = wording.share(int(gains["baseline_named"].sum()), len(gains))
    return (
        f"Abstracts that claim a gain with a number: {claiming}. Gains that leave open whether they are "
        f"points or relative: {open_basis}. Gains over a named baseline: {named}."
    )


def _note(review: Review, silent: list[str], theme: str | None) -> str:
    legend = (
        "A row is a claim; pointing at its mark shows the abstract's words, which the data below give too. "
        "Axes are apart because points and relative percentages can't be compared. Filled mark: baseline "
        "named; hollow: not named. Dashed line to a wall: “up to”; arrow: “at least”; ≈: “about”."
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
    return f"{row.name} {wording.value(row)}{metric}{benchmark} {wording.over(row, row.baseline_named)}"


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
    longest = max(row.value for row in panel.rows)
    axes.set(xlim=(0, longest * 1.08), ylim=(len(panel.rows) - 0.5, -0.5), yticks=[])
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
        _draw_label(axes, row, place, narrow)


def _draw_bound(axes: Axes, row: Any, y: float, longest: float, colour: str) -> None:
    dashes = (0, (2, 1.5)) if row.bound == "up-to" else "-"
    axes.plot([0, row.value], [y, y], color=colour, linewidth=1.6, linestyle=dashes, zorder=2)
    if row.bound == "up-to":
        axes.plot([row.value] * 2, [y - 0.2, y + 0.2], color=colour, linewidth=2.4, zorder=3)
    if row.bound == "at-least":
        axes.annotate(
            "",
            (row.value + longest * 0.09, y),
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
