"""What the corpus is made of: figures of counts."""

from __future__ import annotations

from typing import get_args

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure as Canvas

from ktreview.corpus import wording
from ktreview.corpus.records import Kind
from ktreview.corpus.review import Review, rows
from ktreview.show.figures.rows import NAME, SMALL, Sheet, band, beside, halved, write
from ktreview.show.figures.svg import PALETTE, Figure, render

#: Points that a theme and a step take.
_TILE, _STEP = 30, 36


def themes_by_kind(review: Review) -> Figure:
    """Draw how many papers of each theme are of each kind.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Figure
        A matrix of counts; its data has one row a theme and one column a kind.
    """
    kinds = list(get_args(Kind))
    counts = (
        pd.crosstab(review.papers["theme"], review.papers["kind"])
        .reindex(index=list(review.themes), columns=kinds, fill_value=0)
        .rename(index={key: theme.title for key, theme in review.themes.items()})
    )
    total = int(counts.to_numpy().sum())
    methods = int(counts["method"].sum())
    leading = int((counts["method"] == counts.max(axis=1)).sum())

    return render(
        "themes-by-kind",
        _draw_counts,
        counts,
        title=(
            f"{methods} of {total} papers propose a method; no other kind is more frequent in {leading} of "
            f"{len(counts)} themes."
        ),
        note="Papers by primary theme and kind; the darker the tile, the more papers.",
        alt="Papers by theme and kind. "
        + " ".join(
            f"{theme}: " + ", ".join(f"{count} {kind}" for kind, count in row.items() if count) + "."
            for theme, row in counts.iterrows()
        ),
        data=counts.reset_index(names="theme"),
    )


def _draw_counts(counts: pd.DataFrame) -> Canvas:
    sheet = Sheet()
    axes = sheet.panel(_TILE * len(counts), head=114, left=136, right=50)
    axes.set(xlim=(0, len(counts.columns)), xticks=[])
    for x, kind in enumerate(counts.columns):
        name = str(kind).replace("-", " ")
        write(axes, x + 0.5, -8, name, rotation=60, rotation_mode="anchor")
    for y, (title, row) in enumerate(counts.iterrows()):
        middle = _TILE * (y + 0.5)
        beside(axes, 130, middle, halved(str(title)), ha="right")
        for x, count in enumerate(row):
            if count:
                shade = 0.1 + 0.4 * count / counts.to_numpy().max()
                band(axes, (x + 0.03, x + 0.97), (middle - _TILE / 2 + 1, middle + _TILE / 2 - 1), "1", shade)
            write(
                axes, x + 0.5, middle, f"{count}" if count else "·", ha="center", size=NAME,
                weight="bold" if count else "normal",
            )  # fmt: skip
    return sheet.finished()


def years(review: Review) -> Figure:
    """Draw how many papers first appeared in each year.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Figure
        Bars of counts; its data has one row a year.
    """
    first = review.papers["date"].str[:4].astype(int)
    counts = first.value_counts().reindex(range(first.min(), first.max() + 1), fill_value=0).sort_index()

    return render(
        "years",
        _draw_years,
        counts,
        title=(
            f"The papers span {first.min()} to {first.max()}; {counts.max()} of {len(first)} first "
            f"appeared in {counts.idxmax()}."
        ),
        note="Papers by the year of their first public version.",
        alt="Papers by year of first version. "
        + ", ".join(f"{year}: {count}" for year, count in counts.items())
        + ".",
        data=counts.rename_axis("year").reset_index(name="papers"),
    )


def _draw_years(counts: pd.Series[int]) -> Canvas:
    sheet = Sheet()
    axes = sheet.panel(130, head=18, foot=24)
    sns.barplot(
        x=counts.index.astype(str),
        y=counts.to_numpy(),
        ax=axes,
        color=PALETTE["1"],
        saturation=1,
        errorbar=None,
        width=0.72,
        clip_on=False,
    )
    for x, count in enumerate(counts):
        axes.text(x, count, f"{count}", ha="center", va="bottom", size=NAME, weight="bold")
    axes.set(xlabel="", ylabel="", ylim=(0, counts.max()), yticks=[])
    axes.tick_params(length=0, labelsize=SMALL)
    return sheet.finished()


def stated(review: Review) -> Figure:
    """Draw how many abstracts state what a reader needs to compare gains.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Figure
        Bars from all papers down to those whose every gain says over what and of what; its data has
        one row a step.
    """
    steps = steps_stated(review)
    total = steps["papers"].iloc[0]

    gain, clear = (int(count) for count in steps["papers"].iloc[-2:])
    return render(
        "stated",
        _draw_steps,
        steps,
        title=(
            f"{gain} of {total} abstracts claim a gain with a number; those that say of every gain over "
            f"which baseline it is and whether it is points or relative: {wording.share(clear, gain)}."
        ),
        note="Each bar counts the abstracts that meet its condition and all conditions above it.",
        alt="Abstracts that state what a reader needs. "
        + "; ".join(f"{row.step}: {row.papers}" for row in rows(steps))
        + ".",
        data=steps,
    )


def _draw_steps(steps: pd.DataFrame) -> Canvas:
    sheet = Sheet()
    axes = sheet.panel(_STEP * len(steps), left=0, right=40)
    axes.set(xlim=(0, steps["papers"].iloc[0]), xticks=[])
    for n, row in enumerate(rows(steps)):
        y = _STEP * n + 24
        beside(axes, 0, y - 15, row.step)
        band(axes, (0, row.papers), (y - 6, y + 6), "1")
        write(axes, row.papers, y, f" {row.papers}", size=NAME, weight="bold")
    return sheet.finished()


def steps_stated(review: Review) -> pd.DataFrame:
    """Count the papers that remain as more is asked of their abstract.

    Returns
    -------
    pandas.DataFrame
        Columns `step` and `papers`, each step a subset of the one before.
    """
    gains = review.claims[review.claims["kind"] == "gain"]
    clear = gains.assign(clear=(gains["basis"] != "unstated") & gains["baseline_named"])
    numeric = review.claims["type"] == "quantitative"
    all_clear = clear.groupby("paper")["clear"].all()
    counted = [
        ("abstracts in the corpus", len(review.papers)),
        ("hold a number, digits or words", review.numbers["paper"].nunique()),
        ("claim a result with a number", review.claims.loc[numeric, "paper"].nunique()),
        ("claim a gain with a number", gains["paper"].nunique()),
        ("say of every gain over what and of what", int(all_clear.sum())),
    ]
    return pd.DataFrame(counted, columns=["step", "papers"])
