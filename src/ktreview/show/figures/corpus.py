"""What the corpus is made of: figures of counts."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from ktreview.corpus import wording
from ktreview.corpus.records import Kind
from ktreview.corpus.review import Review, rows
from ktreview.show.figures.svg import NARROW, PALETTE, WIDE, Figure, render


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

    def draw(narrow: bool) -> Canvas:
        canvas = Canvas(figsize=(NARROW if narrow else WIDE, 4.7 if narrow else 3.5))
        axes = canvas.add_axes((0.42, 0.02, 0.45, 0.72) if narrow else (0.37, 0.02, 0.62, 0.84))
        for (y, x), count in np.ndenumerate(counts.to_numpy()):
            if count:
                shade = 0.1 + 0.4 * count / counts.to_numpy().max()
                axes.add_patch(
                    Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, color=PALETTE["1"], alpha=shade, linewidth=0)
                )
            axes.text(
                x,
                y,
                f"{count}" if count else "·",
                ha="center",
                va="center",
                weight="bold" if count else "normal",
            )
        axes.set(xlim=(-0.5, len(kinds) - 0.5), ylim=(len(counts) - 0.5, -0.5))
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        names = [kind.replace("-or-", "\nor ").replace("-", "\n") for kind in kinds]
        turn: dict[str, Any] = {"rotation": 60, "ha": "left"} if narrow else {}
        axes.set_xticks(
            range(len(kinds)),
            [name.replace("\n", " ") if narrow else name for name in names],
            size=8.5,
            **turn,
        )
        axes.set_yticks(
            range(len(counts)),
            [_halved(title) if narrow else title for title in counts.index],
            size=8.5 if narrow else 9,
        )
        return canvas

    return render(
        "themes-by-kind",
        draw,
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


def _halved(title: str) -> str:
    words = title.split()
    half = (len(words) + 1) // 2
    return " ".join(words[:half]) + ("\n" + " ".join(words[half:]) if words[half:] else "")


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

    def draw(narrow: bool) -> Canvas:
        canvas = Canvas(figsize=(NARROW if narrow else WIDE, 2.1))
        axes = canvas.add_axes((0.02, 0.14, 0.96, 0.76))
        sns.barplot(
            x=counts.index.astype(str),
            y=counts.to_numpy(),
            ax=axes,
            color=PALETTE["1"],
            saturation=1,
            errorbar=None,
            width=0.72,
        )
        for x, count in enumerate(counts):
            axes.text(x, count, f"{count}", ha="center", va="bottom", weight="bold")
        axes.set(xlabel="", ylabel="", ylim=(0, counts.max() * 1.15), yticks=[])
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        return canvas

    return render(
        "years",
        draw,
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

    def draw(narrow: bool) -> Canvas:
        canvas = Canvas(figsize=(NARROW if narrow else WIDE, 0.5 * len(steps)))
        axes = canvas.add_axes((0.0, 0.02, 0.9, 0.96) if narrow else (0.46, 0.02, 0.48, 0.96))
        positions = np.arange(len(steps))
        bars = positions + (0.17 if narrow else 0.0)
        axes.barh(bars, steps["papers"], color=PALETTE["1"], height=0.3 if narrow else 0.5)
        axes.set(ylim=(len(steps) - 0.5, -0.5), xlim=(0, total * 1.06), xticks=[], yticks=[])
        axes.spines[["left", "bottom"]].set_visible(False)
        for position, at, (step, count) in zip(
            positions, bars, zip(steps["step"], steps["papers"], strict=True), strict=True
        ):
            axes.text(count + total * 0.015, at, f"{count}", va="center", weight="bold")
            if narrow:
                axes.text(0, position - 0.2, step, va="center", size=9)
            else:
                axes.text(-total * 0.02, at, step, va="center", ha="right")
        return canvas

    gain, clear = (int(count) for count in steps["papers"].iloc[-2:])
    return render(
        "stated",
        draw,
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


def steps_stated(review: Review) -> pd.DataFrame:
    """Count the papers that remain as more is asked of their abstract.

    Returns
    -------
    pandas.DataFrame
        Columns `step` and `papers`, each step a subset of the one before.
    """
    gains = review.claims[review.claims["kind"] == "gain"]
    clear = gains.assign(
        clear=[row.basis != "unstated" and review.baseline_named[row.id] for row in rows(gains)]
    )
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
