"""What labs measured: every seed of every arm, and all labs on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from ktreview.corpus import wording
from ktreview.corpus.outcomes import REPLICATION, SEEDS, Comparison, Outcome, values
from ktreview.corpus.records import Compared, Lab
from ktreview.corpus.review import Review, rows
from ktreview.show import markup
from ktreview.show.figures.svg import NARROW, PALETTE, WIDE, Figure, Link, render

#: Mark and colour of a verdict; the shape says it without colour.
_MARKS = {"supports": ("^", "3"), "contradicts": ("v", "2"), "undecided": ("o", "6")}
#: Inches of a panel's head and foot, of an arm and of a comparison.
_HEAD, _FOOT, _ARM, _DIFFERENCE = 0.36, 0.36, 0.27, 0.4
Row = tuple[Compared, Comparison, Comparison, Outcome]


@dataclass(frozen=True)
class _Panel:
    """The arms that share a metric and a regime, and the comparisons between them."""

    title: str
    regime: str
    metric: str
    arms: dict[str, pd.Series[float]]
    compared: Sequence[Row]


def lab(review: Review, name: str) -> Figure:
    """Draw every seed of every arm of a lab, and the differences that it speaks of.

    Parameters
    ----------
    review : Review
    name : str
        The lab's.

    Returns
    -------
    Figure
        Its data has one row a regime, metric and arm that it draws, and a column a seed.

    Raises
    ------
    ValueError
        If there is no such lab or it has not run.
    """
    if name not in set(review.labs["lab"]):
        raise ValueError(f"there is no lab {name!r} that has run; there are {', '.join(review.labs['lab'])}")
    declared = review.declared[name]
    runs = review.lab_runs[review.lab_runs["lab"] == name]
    compared = review.compared(name)
    panels = _panels(declared, runs, compared)
    return render(
        f"lab-{name}",
        lambda narrow: _draw_lab(panels, narrow),
        title=_title(compared[0]),
        note=(
            "Dots are seeds: filled 0 to 7, which decide; hollow 200 to 207, which must agree. The tick is "
            "the mean of the filled ones. Below, the differences of pairs of arms with their 95% intervals, "
            "and what they say about the direction claimed; the first is the one that the lab declares as "
            "its headline."
        ),
        alt=_alt(panels),
        data=_data(panels),
    )


def _title(row: Row) -> str:
    compared, first, second, outcome = row
    return (
        f"{wording.OUTCOMES[outcome]}: {compared.method} against {compared.baseline}, "
        f"{compared.metric} {wording.effect(first)}; on other seeds {wording.effect(second)}."
    )


def _panels(declared: Lab, runs: pd.DataFrame, compared: Sequence[Row]) -> list[_Panel]:
    panels = []
    places = dict.fromkeys((row[0].regime, row[0].metric) for row in compared)
    for regime, metric in places:
        own = [row for row in compared if (row[0].regime, row[0].metric) == (regime, metric)]
        arms = {arm: values(runs, own[0][0], arm) for arm in declared.arms}
        title = metric[:1].upper() + metric[1:]
        if regime != "main":
            title += f", {regime.replace('-', ' ')}"
        arms = {arm: found for arm, found in arms.items() if len(found)}
        panels.append(_Panel(title, regime, metric, arms, own))
    return panels


def _data(panels: Sequence[_Panel]) -> pd.DataFrame:
    return pd.DataFrame(
        {"regime": panel.regime, "metric": panel.metric, "arm": arm}
        | {f"seed {seed}": found.get(seed) for seed in (*SEEDS, *REPLICATION)}
        for panel in panels
        for arm, found in panel.arms.items()
    )


def _alt(panels: Sequence[_Panel]) -> str:
    parts = []
    for panel in panels:
        means = "; ".join(
            f"{arm} {found[list(SEEDS)].mean():.4g}" for arm, found in panel.arms.items() if 0 in found.index
        )
        told = " ".join(
            f"{row[0].method} minus {row[0].baseline}: {wording.effect(row[1])}, on other seeds "
            f"{wording.effect(row[2])}: {row[3]}."
            for row in panel.compared
        )
        parts.append(f"{panel.title}, means: {means}. {told}")
    return " ".join(parts)


def _draw_lab(panels: Sequence[_Panel], narrow: bool) -> Canvas:
    arm, difference = (0.42, 0.56) if narrow else (_ARM, _DIFFERENCE)
    heights = [
        2 * (_HEAD + _FOOT) + arm * len(panel.arms) + difference * len(panel.compared) for panel in panels
    ]
    total = sum(heights)
    canvas = Canvas(figsize=(NARROW if narrow else WIDE, total))
    left, right = (0.04, 0.97) if narrow else (0.42, 0.97)
    top = total
    for panel, height in zip(panels, heights, strict=True):
        canvas.text(0.01, (top - 0.18) / total, panel.title, weight="bold", va="center", size=10)
        tall = arm * len(panel.arms)
        above = canvas.add_axes((left, (top - _HEAD - tall) / total, right - left, tall / total))
        _draw_arms(above, panel.arms, panel.compared[0][0].method, narrow)
        middle = top - _HEAD - tall - _FOOT
        canvas.text(0.01, (middle - 0.2) / total, "Differences", color=PALETTE["muted"], va="center", size=9)
        tall = difference * len(panel.compared)
        below = canvas.add_axes((left, (middle - _HEAD - tall) / total, right - left, tall / total))
        _draw_differences(below, panel, narrow)
        top -= height
    return canvas


def _bare(axes: Axes, count: int, narrow: bool) -> None:
    axes.set(ylim=(count - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 6))
    axes.tick_params(length=0, labelsize=8.5)
    axes.grid(axis="x", linewidth=0.7)
    axes.set_axisbelow(True)


def _label(axes: Axes, place: int, text: str, narrow: bool, *, weight: str = "normal") -> None:
    axes.annotate(
        _cut(text, 52 if narrow else 34),
        (0, place),
        xycoords=("axes fraction", "data"),
        xytext=(0, 11) if narrow else (-8, 0),
        textcoords="offset points",
        ha="left" if narrow else "right",
        va="center",
        size=8.8,
        weight=weight,
        annotation_clip=False,
    )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip(" ,;·") + "…"


def _draw_arms(axes: Axes, arms: Mapping[str, pd.Series[float]], method: str, narrow: bool) -> None:
    _bare(axes, len(arms), narrow)
    for place, (arm, found) in enumerate(arms.items()):
        y = place + (0.2 if narrow else 0)
        colour = PALETTE["1"] if arm == method else PALETTE["rule"]
        for seeds, filled in ((REPLICATION, False), (SEEDS, True)):
            own = found[[seed for seed in seeds if seed in found.index]]
            axes.plot(
                own,
                np.full(len(own), y),
                linestyle="none",
                marker="o",
                markersize=5,
                markeredgewidth=1.1,
                markeredgecolor=colour,
                markerfacecolor=colour if filled else "none",
                clip_on=False,
            )
            if filled and len(own):
                axes.plot([own.mean()] * 2, [y - 0.24, y + 0.24], color=PALETTE["ink"], linewidth=2)
        _label(axes, place, arm, narrow, weight="bold" if arm == method else "normal")


def _draw_differences(axes: Axes, panel: _Panel, narrow: bool) -> None:
    _bare(axes, len(panel.compared), narrow)
    axes.axvline(0, color=PALETTE["ink"], linewidth=1)
    for place, (compared, first, second, outcome) in enumerate(panel.compared):
        y = place + (0.2 if narrow else 0)
        marker, colour = _MARKS[outcome]
        for found, filled, shift in ((first, True, -0.1), (second, False, 0.14)):
            axes.plot([found.low, found.high], [y + shift] * 2, color=PALETTE[colour], linewidth=1.8)
            axes.plot(
                [found.effect],
                [y + shift],
                marker=marker,
                markersize=7,
                markeredgewidth=1.5,
                markeredgecolor=PALETTE[colour],
                markerfacecolor=PALETTE[colour] if filled else PALETTE["surface"],
                linestyle="none",
                clip_on=False,
            )
        told = f"{compared.method} − {compared.baseline}"
        if narrow:
            _label(axes, place, f"{outcome}: {told}", narrow)
            continue
        _label(axes, place, told, narrow)
        axes.annotate(
            outcome,
            (0, place),
            xycoords=("axes fraction", "data"),
            xytext=(-8, -11),
            textcoords="offset points",
            ha="right",
            va="center",
            size=8.2,
            color=PALETTE["muted"],
            annotation_clip=False,
        )
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.1 * high), max(high, -0.1 * low))


def scalings(review: Review) -> Figure:
    """Draw the distillation losses that share a name: how far they differ, and what comes of it.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Figure
        Its data has one row a measure and scaling, and a column a seed.

    Raises
    ------
    ValueError
        If the lab of torchdistill has not run.
    """
    runs = review.lab_runs.query("lab == 'torchdistill' and regime == 'scalings'")
    if runs.empty:
        raise ValueError("the lab 'torchdistill' has not run")
    panels = {
        title: {
            arm: runs[(runs["metric"] == metric) & (runs["arm"] == arm)].set_index("seed")["value"]
            for arm in runs["arm"].unique()
        }
        for title, metric in (
            ("Loss at the start (logarithmic)", "loss"),
            ("Gradient at the start (logarithmic)", "gradient"),
            ("Accuracy after training", "accuracy"),
        )
    }
    means = pd.DataFrame(
        {
            title: {arm: found[list(SEEDS)].mean() for arm, found in arms.items()}
            for title, arms in panels.items()
        }
    )
    (_, smallest, lowest), (_, largest, highest) = means.min(), means.max()
    ratio, spread = largest / smallest, highest - lowest
    return render(
        "scalings",
        lambda narrow: _draw_scalings(panels, narrow),
        title=(
            f"Losses called KD, same teacher and student: gradients differ {ratio:.0f} times, "
            f"mean accuracy by {spread:.3f}."
        ),
        note=(
            "Same teacher, student, weight and temperature (4); only what is summed, averaged, masked and "
            "multiplied differs. Dots are seeds: filled 0 to 7, hollow 200 to 207. The tick is the mean of "
            "the filled ones."
        ),
        alt="Means over seeds 0 to 7. "
        + " ".join(
            f"{title}: {'; '.join(f'{arm} {value:.3g}' for arm, value in means[title].items())}."
            for title in means
        ),
        data=pd.DataFrame(
            {"measure": title, "scaling": arm} | {f"seed {seed}": found[seed] for seed in found.index}
            for title, arms in panels.items()
            for arm, found in arms.items()
        ),
    )


def _draw_scalings(panels: Mapping[str, Mapping[str, pd.Series[float]]], narrow: bool) -> Canvas:
    arm, foot = (0.42, 0.32) if narrow else (_ARM, _FOOT)
    heights = [_HEAD + foot + arm * len(arms) for arms in panels.values()]
    total = sum(heights)
    canvas = Canvas(figsize=(NARROW if narrow else WIDE, total))
    left, top = 0.04 if narrow else 0.42, total
    for (title, arms), height in zip(panels.items(), heights, strict=True):
        canvas.text(0.01, (top - 0.18) / total, title, weight="bold", va="center", size=10)
        tall = arm * len(arms)
        axes = canvas.add_axes((left, (top - _HEAD - tall) / total, 0.97 - left, tall / total))
        _draw_arms(axes, arms, next(iter(arms)), narrow)
        if "logarithmic" in title:
            axes.set_xscale("log")
        top -= height
    return canvas


def labs(review: Review) -> Figure:
    """Draw the headline effect of every lab, towards the claim, in standard deviations over seeds.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Figure
        Its data has one row a lab.

    Raises
    ------
    ValueError
        If no lab has run.
    """
    if review.labs.empty:
        raise ValueError("no lab has run")
    drawn = pd.DataFrame([_towards(review, row) for row in rows(review.labs)])
    drawn = drawn.sort_values(["verdict", "effect in sd", "lab"], ascending=[False, False, True])
    counts = review.labs["verdict"].value_counts()
    told = wording.listing(
        f"{counts.get(outcome, 0)} {words}"
        for outcome, words in (
            ("supports", "come out for the claimed direction"),
            ("contradicts", "against it"),
            ("undecided", "undecided"),
        )
    )
    links = {
        row.lab: Link(
            markup.address(review, row.paper),
            row.paper,
            f"{wording.short_name(review.records[row.paper])}: {row.verdict}. {row.question}",
        )
        for row in rows(review.labs)
    }
    return render(
        "labs",
        lambda narrow: _draw_all(drawn, narrow),
        title=f"Of {len(review.labs)} labs, {told}.",
        note=(
            "A row is a lab’s headline comparison. Its effect is divided by the standard deviation of the "
            "paired differences, so that labs with different metrics can share an axis, and turned so that "
            "right is what the paper claims. Filled: seeds 0 to 7, with the 95% interval; hollow: the "
            "replication. Triangle up: supports; down: contradicts; circle: undecided. A large value says "
            "that the effect is steady over seeds, not that it is large. Beyond 8 the axis ends."
        ),
        alt="Headline effects of the labs in standard deviations over seeds. "
        + " ".join(
            f"{row['name']}: {row['effect in sd']:.1f}, replication {row['replication in sd']:.1f}, "
            f"{row['verdict']}."
            for _, row in drawn.iterrows()
        ),
        data=drawn.drop(columns="paper"),
        links=links,
    )


def _towards(review: Review, row: Any) -> dict[str, Any]:
    side = 1 if row.better == "higher" else -1
    _, first, second, _ = review.compared(row.lab)[0]
    spreads = [abs(found.effect / found.dz) if found.dz else np.nan for found in (first, second)]
    low, high = sorted(side * end / spreads[0] for end in (first.low, first.high))
    return {
        "lab": row.lab,
        "paper": row.paper,
        "name": wording.short_name(review.records[row.paper]),
        "verdict": row.verdict,
        "effect in sd": side * first.effect / spreads[0],
        "low": low,
        "high": high,
        "replication in sd": side * second.effect / spreads[1],
    }


def _draw_all(drawn: pd.DataFrame, narrow: bool) -> Canvas:
    tall = 0.25 * len(drawn)
    canvas = Canvas(figsize=(NARROW if narrow else WIDE, tall + 0.5))
    left = 0.42 if narrow else 0.3
    axes = canvas.add_axes((left, 0.45 / (tall + 0.5), 0.96 - left, tall / (tall + 0.5)))
    _bare(axes, len(drawn), narrow)
    axes.axvline(0, color=PALETTE["ink"], linewidth=1)
    axes.set_xlim(-4, 8)
    axes.set_xlabel("against the claim  ←  sd  →  for it", size=8.5)
    for place, (_, row) in enumerate(drawn.iterrows()):
        marker, colour = _MARKS[row["verdict"]]
        axes.plot(
            np.clip([row["low"], row["high"]], -4, 8), [place] * 2, color=PALETTE[colour], linewidth=1.6
        )
        for column, filled in (("replication in sd", False), ("effect in sd", True)):
            mark = axes.plot(
                np.clip([row[column]], -4, 8),
                [place],
                marker=marker,
                markersize=7,
                markeredgewidth=1.4,
                markeredgecolor=PALETTE[colour],
                markerfacecolor=PALETTE[colour] if filled else PALETTE["surface"],
                linestyle="none",
                clip_on=False,
            )[0]
        mark.set_url(row["lab"])
        axes.annotate(
            _cut(row["name"], 18 if narrow else 26),
            (0, place),
            xycoords=("axes fraction", "data"),
            xytext=(-8, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            size=8.8,
            annotation_clip=False,
        )
    return canvas
