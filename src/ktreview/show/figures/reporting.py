"""The figures of the audit: what claims state, and what the papers' tables make of their gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Polygon

from ktreview.analysis import reporting
from ktreview.corpus import wording
from ktreview.corpus.outcomes import gains
from ktreview.corpus.review import Review, rows
from ktreview.show import markup
from ktreview.show.figures.rows import NAME, Sheet, band, beside, halved, line, mark, write
from ktreview.show.figures.svg import PALETTE, WIDTH, Figure, Link, render

#: Items in a word, as columns and panels are headed.
ITEMS: Mapping[str, str] = {
    "metric_named": "metric",
    "benchmark_named": "benchmark",
    "baseline_named": "baseline",
    "basis_stated": "basis",
    "bound_stated": "bound",
    "uncertainty_given": "uncertainty",
    "code_available": "code",
}
_BROKEN = {"benchmark": "bench-\nmark", "baseline": "base-\nline", "uncertainty": "uncer-\ntainty"}

#: Symbol and colour of a word; shares of fewer than `_FEWEST` claims get none.
_LIGHTS = {"most": ("✓", "3"), "some": ("~", "5"), "few": ("✗", "2"), "too few to say": ("", "surface")}
_FEWEST = 3

#: What the tables make of a gain, from settled to open.
_OUTCOMES = (
    "points, shown",
    "points, consistent",
    "relative, shown",
    "relative, consistent",
    "still open",
    "not looked up",
)
_SAYS = {"unstated": "not stated", "absolute": "points", "relative": "relative"}
_READINGS = {"points": ("o", "3"), "percent of the baseline": ("s", "1")}
#: Points that a group of cells, a bar and a claim take.
_ROW, _BAR, _CLAIM = 50, 29, 74
#: Computed gains are drawn as multiples of the claimed number, up to here.
_LOW, _HIGH = -0.6, 4.0


def light(stated: int, asked: int) -> str:
    """Say in a word how often something is stated.

    Examples
    --------
    >>> light(2, 3), light(1, 3), light(1, 4), light(1, 1)
    ('most', 'some', 'few', 'too few to say')
    """
    if asked < _FEWEST:
        return "too few to say"
    return "most" if 3 * stated >= 2 * asked else "some" if 3 * stated >= asked else "few"


def reporting_quality(review: Review) -> Figure:
    """Draw what claims state, theme by theme, as a table of coloured cells.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Figure
        Claims with a number, and comparisons and negative findings without one, apart. Its data has one row
        a part, theme and item: `stated` of `asked`, and the word for it.
    """
    quality = reporting.reporting_quality(review)
    parts = {
        "Claims with a number": quality[quality["type"] == "quantitative"],
        "Claims without a number": quality[
            quality["kind"].isin([*reporting.COMPARISONS, "negative-finding"])
        ],
    }
    order = {name: place for place, name in enumerate(review.themes)}
    counted = []
    for part, chosen in parts.items():
        for by in ("theme", None):
            found = reporting.shares(chosen, by)
            found = found.sort_values("group", key=lambda names: names.map(order), kind="stable")
            counted.append(found.assign(part=part))
    data = pd.concat(counted, ignore_index=True)
    data["says"] = [light(row.stated, row.asked) for row in rows(data)]
    titles = {key: theme.title for key, theme in review.themes.items()} | {"all": "All"}
    data["group"] = data["group"].map(titles)
    data["item"] = data["item"].map(ITEMS)
    data = data[["part", "group", "item", "stated", "asked", "says"]]
    total = data[(data["group"] == "All") & (data["part"] == "Claims with a number")].set_index("item")
    said = {item: _of(total.loc[item]) for item in total.index}
    return render(
        "reporting",
        _draw_cells,
        data,
        title=(
            f"Metric named: {said['metric']} claims with a number. Benchmark named: {said['benchmark']} "
            f"gains and levels. Baseline named: {said['baseline']} gains. Basis fixed: {said['basis']} gains "
            f"in percent. Any uncertainty: {said['uncertainty']} gains and levels."
        ),
        note=(
            "A cell says how many of the claims that the item is asked of state it (for code: how many "
            "papers): ✓ two thirds or more, ~ a third or more, ✗ fewer. An outlined cell has fewer than "
            f"{_FEWEST} claims, too few for a share; a dot: no claim of this theme is asked. Of the claims "
            "without a number, comparisons and negative findings are asked."
        ),
        alt=_alt_cells(data),
        data=data,
    )


def _of(row: Any) -> str:
    return f"{row.stated} of {row.asked}" if row.stated else f"none of {row.asked}"


def _alt_cells(data: pd.DataFrame) -> str:
    parts = []
    for (part, group), found in data.groupby(["part", "group"], sort=False):
        cells = ", ".join(f"{row.item} {row.stated} of {row.asked} ({row.says})" for row in rows(found))
        parts.append(f"{part}, {group}: {cells}.")
    return "What claims state, by theme. " + " ".join(parts)


def _draw_cells(data: pd.DataFrame) -> Canvas:
    sheet = Sheet()
    cell = WIDTH / len(ITEMS)
    for part, of_part in data.groupby("part", sort=False):
        items = [item for item in ITEMS.values() if item in set(of_part["item"])]
        names = list(of_part["group"].unique())
        counts = of_part.set_index(["group", "item"])
        axes = sheet.panel(_ROW * len(names), head=52, foot=10, left=0, right=0, title=str(part))
        axes.set(xlim=(0, WIDTH), xticks=[])
        for x, item in enumerate(items):
            name = _BROKEN.get(item, item)
            write(axes, (x + 0.5) * cell, -4, name, colour="muted", ha="center", block="bottom")
        for y, name in enumerate(names):
            top = _ROW * y
            beside(axes, 0, top + 8, name, weight="bold" if name == "All" else "normal")
            for x, item in enumerate(items):
                asked = (name, item) in counts.index
                _draw_cell(axes, counts.loc[(name, item)] if asked else None, x * cell, top + 16, cell)
    return sheet.finished()


def _draw_cell(axes: Axes, row: Any, x: float, y: float, width: float) -> None:
    height = 32
    if row is None:
        write(axes, x + width / 2, y + height / 2, "·", colour="muted", ha="center")
        return
    symbol, colour = _LIGHTS[row.says]
    xs, ys = (x + 1.5, x + width - 1.5), (y + 1.5, y + height - 1.5)
    if symbol:
        band(axes, xs, ys, colour, 0.28)
    else:
        line(axes, [*xs, *xs[::-1], xs[0]], [ys[0], ys[0], ys[1], ys[1], ys[0]], "rule", 0.8)
    write(
        axes, x + width / 2, y + height / 2, f"{symbol}\n{row.stated}/{row.asked}".strip(), ha="center",
    )  # fmt: skip


def reporting_bars(review: Review, by: Literal["theme", "kind", "year"] = "theme") -> Figure:
    """Draw the share of claims that state an item: long where many do, thick where there are many.

    Parameters
    ----------
    review : Review
    by : {"theme", "kind", "year"}, optional
        Themes and years count the claims with a number; kinds also comparisons and negative findings
        without one.

    Returns
    -------
    Figure
        A panel an item, a bar a group. Its data has one row a bar: `stated` of `asked`.

    Raises
    ------
    ValueError
        If there is nothing to group by under that name.
    """
    quality = reporting.reporting_quality(review)
    if by not in ("theme", "kind", "year"):
        raise ValueError(f"can't group by {by!r}; group by theme, kind or year")
    kinds = ["gain", "level", "scale", *reporting.COMPARISONS, "negative-finding"]
    chosen = quality[quality["kind"].isin(kinds) if by == "kind" else quality["type"] == "quantitative"]
    names: dict[str, str] = {
        "theme": {key: theme.title for key, theme in review.themes.items()},
        "kind": {kind: _KINDS.get(kind, kind.replace("-", " ")) for kind in kinds},
        "year": {year: year for year in sorted(set(quality["year"]))},
    }[by]
    data = reporting.shares(chosen, by)
    if by == "kind":  # a paper has claims of several kinds
        data = data[data["item"] != "code_available"]
    groups = [name for name in names if name in set(data["group"])]
    place = {name: y for y, name in enumerate(groups)}
    item = {name: x for x, name in enumerate(ITEMS)}
    data = data.assign(y=data["group"].map(place), x=data["item"].map(item)).sort_values(["x", "y"])
    drawn = data.assign(item=data["item"].map(ITEMS), group=data["group"].map(names))
    drawn = drawn[["item", "group", "stated", "asked"]].reset_index(drop=True)
    shown = [names[name] for name in groups]
    everything = "claims" if by == "kind" else "claims with a number"
    return render(
        f"reporting-by-{by}",
        _draw_bars,
        (drawn, shown),
        title=f"{_never_stated(drawn)} What {everything} state, by {by}.",
        note=(
            "The length of a bar is the share of claims that state the item, from none to all; its thickness "
            "grows with the number of claims asked, and the numbers beside it say how many of how many "
            "(for code: papers). Where nothing stands, no claim of the group is asked. Most groups are small."
        ),
        alt=f"What {everything} state, by {by}. "
        + " ".join(
            f"{name}: " + ", ".join(f"{row.group} {row.stated} of {row.asked}" for row in rows(found)) + "."
            for name, found in drawn.groupby("item", sort=False)
        ),
        data=drawn,
    )


_KINDS = {"scale": "size", "state-of-the-art": "state of the art", "outperforms-baselines": "beats baselines"}


def _never_stated(drawn: pd.DataFrame) -> str:
    """Say which items more than half of the claims leave out."""
    totals = drawn.groupby("item", sort=False)[["stated", "asked"]].sum()
    missing = [f"{item} ({_of(row)})" for item, row in totals.iterrows() if 2 * row["stated"] < row["asked"]]
    return (
        f"Stated by fewer than half: {wording.listing(missing)}." if missing else "Half or more state each."
    )


def _draw_bars(shown: tuple[pd.DataFrame, Sequence[str]]) -> Canvas:
    drawn, groups = shown
    sheet = Sheet()
    left, head, columns = 118.0, 24.0, 2
    items = list(dict.fromkeys(drawn["item"]))
    height = head + _BAR * len(groups)
    length = (WIDTH - left) / columns - 42
    most = drawn["asked"].max()
    for n, item in enumerate(items):
        x = left + n % columns * (length + 42)
        if n % columns == 0:
            axes = sheet.blank(height + 12)
            for place, name in enumerate(groups):
                write(axes, 0, head + (place + 0.5) * _BAR, halved(name))
        write(axes, x, head / 2, item, weight="bold", size=NAME)
        line(axes, [x, x], [head, height], "rule", 0.8)
        line(axes, [x + length] * 2, [head, height], "grid", 0.8)
        for row in rows(drawn[drawn["item"] == item]):
            y, share = head + (groups.index(row.group) + 0.5) * _BAR, row.stated / row.asked
            thickness = _BAR * (0.14 + 0.66 * row.asked / most)
            if share:
                band(axes, (x, x + share * length), (y - thickness / 2, y + thickness / 2), "1")
            write(axes, x + share * length + 4, y, f"{row.stated}/{row.asked}")
    return sheet.finished()


def before_and_after(review: Review) -> Figure:
    """Draw what abstracts say their percentage gains are, and what the papers' tables make of them.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Figure
        One band a gain in percent, from what the abstract says to what the tables settle. Its data has one
        row a band.
    """
    flows = _flows(review)
    makes = flows.loc[flows["says"] == _SAYS["unstated"], "makes"]
    reading = makes.str.partition(",")[0]
    points, relative = int((reading == "points").sum()), int((reading == "relative").sum())
    links = {
        row.claim: Link(
            markup.address(review, row.key),
            row.key,
            f"{row.paper}: “{row.words}” Basis in the abstract: {row.says}. Tables: {row.makes}.",
            row.claim,
        )
        for row in rows(flows)
    }
    pairs = flows.groupby(["says", "makes"], sort=False).size().reset_index(name="n")
    return render(
        "before-and-after",
        _draw_flows,
        flows,
        title=(
            f"{len(makes)} of {len(flows)} gains in percent do not say of what. Tables settle "
            f"{points + relative} of them, {points} as points and {relative} as relative, "
            f"{int(makes.str.endswith('shown').sum())} of these by direct arithmetic; "
            f"{len(makes) - points - relative} stay open."
        ),
        note=(
            "A band is a claim and leads to its words. “Shown”: the table and the arithmetic match, or the "
            "authors say so; “consistent”: by elimination, or from second-hand values. Where the abstract "
            "itself fixes the basis, no table was needed for it."
        ),
        alt="From abstract to table. "
        + " ".join(
            f"Basis {row.says} in the abstract, {row.makes} by the tables: {row.n}." for row in rows(pairs)
        ),
        data=flows.drop(columns="key").rename(
            columns={"says": "abstract says", "makes": "tables make of it"}
        ),
        links=links,
    )


def _flows(review: Review) -> pd.DataFrame:
    """Return one row a gain in percent: what its abstract says and what the tables make of it."""
    verdicts = review.verdicts.set_index("claim")
    chosen = review.claims[(review.claims["kind"] == "gain") & (review.claims["unit"] == "percent")]
    found = []
    for row in rows(chosen):
        outcome = _OUTCOMES[-1]
        if row.id in verdicts.index:
            basis, strength = verdicts.loc[row.id, ["basis", "strength"]]
            word = {"absolute": "points", "relative": "relative"}.get(basis)
            outcome = f"{word}, {strength}" if word else _OUTCOMES[-2]
        name = wording.short_name(review.records[row.paper])
        found.append((row.id, row.paper, name, wording.plain(row.quote), _SAYS[row.basis], outcome))
    flows = pd.DataFrame(found, columns=["claim", "key", "paper", "words", "says", "makes"])
    order = {name: place for place, name in enumerate([*_SAYS.values(), *_OUTCOMES])}
    return flows.sort_values(["says", "makes"], key=lambda c: c.map(order), kind="stable", ignore_index=True)


def _draw_flows(flows: pd.DataFrame) -> Canvas:
    thick, gap, head, left, right = 11.0, 14.0, 30.0, 96.0, 226.0
    sheet = Sheet()
    sides = [
        {name: int((flows[side] == name).sum()) for name in names if (flows[side] == name).any()}
        for side, names in (("says", _SAYS.values()), ("makes", _OUTCOMES))
    ]
    tall = max(sum(side.values()) * thick + (len(side) - 1) * gap for side in sides)
    axes = sheet.blank(head + tall + 12)
    tops: list[dict[str, float]] = []
    for side, x, ha, heading in zip(
        sides, (left - 5, right + 5), ("right", "left"), ("Abstract", "Tables"), strict=True
    ):
        write(axes, x, 11, heading, weight="bold", size=NAME, ha=ha)
        top, starts = head, {}
        for name, count in side.items():
            starts[name] = top
            write(
                axes, x, top + count * thick / 2, f"{_broken(name)}: {count}", ha=ha, size=NAME,
            )  # fmt: skip
            top += count * thick + gap
        tops.append(starts)
    curve = np.linspace(0, 1, 25)
    bend = curve * curve * (3 - 2 * curve)
    for row in rows(flows):
        y0, y1 = tops[0][row.says], tops[1][row.makes]
        tops[0][row.says] += thick
        tops[1][row.makes] += thick
        across = left + (right - left) * curve
        upper = y0 + (y1 - y0) * bend + 0.8
        lower = upper + thick - 1.6
        colour = {"points": "3", "relative": "1"}.get(row.makes.split(",")[0], "rule")
        flow = Polygon(
            [*zip(across, upper, strict=True), *zip(across[::-1], lower[::-1], strict=True)],
            facecolor=PALETTE[colour],
            edgecolor="none",
            alpha=0.75 if row.makes.endswith("shown") else 0.4,
            clip_on=False,
        )
        flow.set_url(row.claim)
        axes.add_patch(flow)
    return sheet.finished()


def _broken(name: str) -> str:
    """Break a name in two at a comma or colon, else as `halved` does."""
    for pause in (", ", ": "):
        if pause in name:
            first, _, rest = name.partition(pause)
            return f"{first}{pause.strip()}\n{rest}"
    return halved(name)


def claimed_and_computed(review: Review) -> Figure:
    """Draw, for each percentage gain with results, the number claimed beside the gains computed.

    Both readings of a result, points and percent of the baseline, are drawn as multiples of the claimed
    number, so that a reading that has the claimed size stands at 1, whatever its unit.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Figure
        Its data has one row a claim and result.
    """
    data = _computed(review)
    fitting = pd.Series(
        [
            " and ".join(reading for reading in _READINGS if bool(found[f"{reading} fits"].any()))
            for _, found in data.groupby("claim", sort=False)
        ]
    )
    both = " and ".join(_READINGS)
    count = {name: int((fitting == name).sum()) for name in (*_READINGS, both, "")}
    links = {
        row.claim: Link(
            markup.address(review, row.key),
            row.key,
            f"{row.paper}: “{row.words}” By the tables: {row.verdict}.",
            row.claim,
        )
        for row in rows(data)
    }
    points, relative = _READINGS
    drawn = data.drop(columns=["key", "value"])
    return render(
        "claimed-and-computed",
        _draw_computed,
        data,
        title=(
            f"Of {len(fitting)} percentage gains with results at hand, {count[points]} have the size of a "
            f"result in points, {count[relative]} that of a result in percent of its baseline, {count[both]} "
            f"both; for {count['']}, no single result has the claimed size."
        ),
        note=(
            "The line at 1 is the number that the abstract states. ● A result's gain in points, ■ the same "
            "gain in percent of its baseline, both divided by that number; the larger marks have the "
            f"claimed size at the precision it is printed with. An arrow: beyond {_HIGH:g} times. A result "
            "given as a ratio has no points. Where a claim is an average, its results lie on both sides of "
            "the line; some results are context. The table below gives each with the arithmetic."
        ),
        alt="Claimed and computed gains. "
        + " ".join(
            f"{row.paper}, {row.claimed} claimed; {row.benchmark}: "
            f"{wording.signed(_defined(row.points), ' points')}, "
            f"{wording.signed(_defined(row.relative), '% of the baseline')}."
            for row in rows(data)
        ),
        data=drawn.rename(columns={"relative": "percent of the baseline"}),
        links=links,
    )


def _defined(amount: float) -> float | None:
    return None if np.isnan(amount) else amount


def has_size(claimed: float, bound: str, computed: float | None) -> bool:
    """Tell whether a computed gain has the size of a claimed one, as precisely as that is printed.

    Examples
    --------
    >>> has_size(2.3, "exact", 2.27), has_size(8, "at-least", 8.4), has_size(8, "at-least", 7.9)
    (True, True, False)
    """
    if computed is None or np.isnan(computed):
        return False
    digits = len(f"{claimed:g}".partition(".")[2])
    if bound == "at-least":
        return bool(claimed <= computed < claimed + 10**-digits)
    return bool(abs(computed - claimed) <= 0.5 * 10**-digits + 1e-9)


def _computed(review: Review) -> pd.DataFrame:
    """Return one row for each gain in percent and each result that its verdict names."""
    claims = {row.id: row for row in rows(review.claims)}
    found = []
    for claim in (claims[claim] for claim in review.verdicts["claim"]):
        verdict = review.verdict_of(claim.id)
        if verdict is None or claim.kind != "gain" or claim.unit != "percent":
            continue
        for result in review.results_of(claim.id):
            points, relative = gains(result)
            found.append(
                {
                    "claim": claim.id,
                    "key": claim.paper,
                    "paper": wording.short_name(review.records[claim.paper]),
                    "words": wording.plain(claim.quote),
                    "value": claim.value,
                    "claimed": wording.value(claim),
                    "benchmark": result.benchmark,
                    "points": points,
                    "relative": relative,
                    "points fits": has_size(claim.value, claim.bound, points),
                    "percent of the baseline fits": has_size(claim.value, claim.bound, relative),
                    "verdict": wording.verdict(verdict),
                }
            )
    columns = [
        "claim", "key", "paper", "words", "value", "claimed", "benchmark", "points", "relative",
        "points fits", "percent of the baseline fits", "verdict",
    ]  # fmt: skip
    return pd.DataFrame(found, columns=columns).astype({"points": float, "relative": float})


def _spans(found: pd.DataFrame) -> str:
    """Say from where to where the computed gains of a claim reach."""
    parts = []
    for column, unit in (("points", " points"), ("relative", "%")):
        computed = found[column].dropna().round(1)
        if len(computed):
            ends = dict.fromkeys(f"{end:+g}".replace("-", "−") for end in (computed.min(), computed.max()))
            parts.append(" to ".join(ends) + unit)
    return ", ".join(parts)


def _draw_computed(data: pd.DataFrame) -> Canvas:
    sheet = Sheet()
    claims = list(dict.fromkeys(data["claim"]))
    axes = sheet.panel(_CLAIM * len(claims), head=46, title="Computed gain ÷ claimed number")
    axes.set(xlim=(_LOW, _HIGH + 0.1), xticks=[])
    for times in range(5):
        write(axes, times, -10, "claimed" if times == 1 else f"{times}×", colour="muted", ha="center")
    for n, claim in enumerate(claims):
        of_claim = data[data["claim"] == claim]
        row, top = of_claim.iloc[0], _CLAIM * n
        name = f"{row['paper']}, {row['claimed']}"
        beside(axes, 0, top + 9, name, claim, weight="bold", size=NAME)
        beside(axes, 0, top + 23, row["verdict"], colour="muted")
        beside(axes, 0, top + 36, _spans(of_claim), colour="muted")
        y = top + 55
        for times in range(5):
            line(
                axes, [times] * 2, [y - 12, y + 12], "ink" if times == 1 else "grid",
                1.4 if times == 1 else 0.7, zorder=1,
            )  # fmt: skip
        line(axes, [_LOW, _HIGH], [y, y], "grid", 0.7, zorder=1)
        for (reading, (shape, colour)), column, shift in zip(
            _READINGS.items(), ("points", "relative"), (-4.5, 4.5), strict=True
        ):
            for computed, fits in zip(of_claim[column], of_claim[f"{reading} fits"], strict=True):
                times = computed / row["value"]
                if not np.isnan(times):
                    mark(
                        axes, min(times, _HIGH), y + shift, ">" if times > _HIGH else shape, colour,
                        size=8 if fits else 5,
                    )  # fmt: skip
    return sheet.finished()
