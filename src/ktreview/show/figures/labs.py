"""What labs measured: every seed of every arm, and all labs on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ktreview.corpus import wording
from ktreview.corpus.outcomes import REPLICATION, SEEDS, Comparison, Outcome, values
from ktreview.corpus.records import Compared, Lab
from ktreview.corpus.review import Review, rows
from ktreview.show import markup
from ktreview.show.figures.rows import SMALL, Sheet, beside, cut, grid, interval, line, mark, scale, wrapped
from ktreview.show.figures.svg import PALETTE, Figure, Link, render

#: Mark and colour of a verdict; the shape says it without colour.
_MARKS = {"supports": ("^", "3"), "contradicts": ("v", "2"), "undecided": ("o", "6")}
#: Points that an arm and a lab take; the ends of the overview's axis, in standard deviations.
_ARM, _LAB, _ENDS = 32, 18, (-4, 8)
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
        _draw_lab,
        panels,
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


def _draw_lab(panels: Sequence[_Panel]) -> Canvas:
    sheet = Sheet()
    for panel in panels:
        axes = sheet.panel(_ARM * len(panel.arms), head=24, foot=22, title=panel.title)
        _draw_arms(axes, panel.arms, panel.compared[0][0].method)
        _draw_differences(sheet, panel.compared)
    return sheet.finished()


def _draw_arms(axes: Axes, arms: Mapping[str, pd.Series[float]], method: str, *, log: bool = False) -> None:
    for place, (arm, measured) in enumerate(arms.items()):
        y = _ARM * place + 21
        bold = arm == method
        beside(axes, 0, y - 13, cut(arm, 54), weight="bold" if bold else "normal")
        for seeds, filled in ((REPLICATION, False), (SEEDS, True)):
            shown = measured[[seed for seed in seeds if seed in measured.index]]
            _draw_seeds(axes, shown, y, PALETTE["1" if bold else "rule"], filled=filled)
            if filled and len(shown):
                line(axes, [shown.mean()] * 2, [y - 7, y + 7], "ink", 2, zorder=5)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        grid(axes)
    else:
        scale(axes, *axes.get_xlim())


def _draw_seeds(axes: Axes, values: pd.Series[float], y: float, colour: str, *, filled: bool) -> None:
    if values.empty:
        return
    sns.stripplot(
        x=values.to_numpy(),
        y=np.full(len(values), y),
        ax=axes,
        orient="h",
        native_scale=True,
        jitter=False,
        color=colour,
        edgecolor=colour,
        size=5.5,
        linewidth=1.1,
        clip_on=False,
        zorder=3,
    )
    if not filled:
        axes.collections[-1].set_facecolor("none")


def _draw_differences(sheet: Sheet, compared: Sequence[Row]) -> None:
    labels = [wrapped(f"{row[3]}: {row[0].method} − {row[0].baseline}", 57) for row in compared]
    heights = [36 + 13 * label.count("\n") for label in labels]
    axes = sheet.panel(sum(heights), head=20, foot=26)
    beside(axes, 0, -12, "Differences", colour="muted")
    ends = [0.0, *(end for row in compared for tested in row[1:3] for end in (tested.low, tested.high))]
    spare = 0.05 * (max(ends) - min(ends) or 1)
    scale(axes, min(ends) - spare, max(ends) + spare)
    top = 0.0
    for (_, first, second, outcome), label, height in zip(compared, labels, heights, strict=True):
        beside(axes, 0, top + 1, label, block="top")
        line(axes, [0, 0], [top + height - 26, top + height - 2], "ink", 1)
        shape, colour = _MARKS[outcome]
        for tested, filled, y in ((first, True, top + height - 19), (second, False, top + height - 9)):
            interval(axes, tested.low, tested.high, y, colour)
            mark(axes, tested.effect, y, shape, colour, filled=filled)
        top += height


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
        _draw_scalings,
        panels,
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


def _draw_scalings(panels: Mapping[str, Mapping[str, pd.Series[float]]]) -> Canvas:
    sheet = Sheet()
    for title, arms in panels.items():
        axes = sheet.panel(_ARM * len(arms), head=24, foot=24, title=title)
        _draw_arms(axes, arms, next(iter(arms)), log="logarithmic" in title)
    return sheet.finished()


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
        _draw_all,
        drawn,
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


def _draw_all(drawn: pd.DataFrame) -> Canvas:
    sheet = Sheet()
    axes = sheet.panel(_LAB * len(drawn), head=4, foot=38, left=150)
    scale(axes, *_ENDS)
    axes.set_xlabel("against the claim  ←  sd  →  for it", size=SMALL)
    axes.axvline(0, color=PALETTE["ink"], linewidth=1, clip_on=False)
    for place, (_, row) in enumerate(drawn.iterrows()):
        y = _LAB * (place + 0.5)
        shape, colour = _MARKS[row["verdict"]]
        low, high, effect, replication = np.clip(
            [row[column] for column in ("low", "high", "effect in sd", "replication in sd")], *_ENDS
        )
        interval(axes, low, high, y, colour)
        mark(axes, replication, y, shape, colour, filled=False)
        mark(axes, effect, y, shape, colour, url=row["lab"])
        beside(axes, 141, y, cut(row["name"], 21), ha="right")
    return sheet.finished()
