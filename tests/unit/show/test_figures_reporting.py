"""The figures of the audit: the counts in them, and where each of their parts stands."""

from __future__ import annotations

import dataclasses
import itertools
import re
from xml.etree import ElementTree as ET

import drawing
import pytest

from ktreview import load_review
from ktreview.analysis import reporting
from ktreview.corpus.load import read_review
from ktreview.show.figures import reporting as figures

SVG = "{http://www.w3.org/2000/svg}"


def test_counts_of_the_figure_are_those_of_the_records(review):
    data = figures.reporting_quality(review).data.set_index(["part", "group", "item"]).sort_index()
    gains = review.claims[review.claims["kind"] == "gain"]
    percent = gains[gains["unit"] == "percent"]
    every = data.loc[("Claims with a number", "All")]
    assert list(every.loc["baseline", ["stated", "asked"]]) == [
        sum(review.baseline_named[claim] for claim in gains["id"]),
        len(gains),
    ]
    assert list(every.loc["basis", ["stated", "asked"]]) == [
        (percent["basis"] != "unstated").sum(),
        len(percent),
    ]
    for part in data.index.unique("part"):
        of_part = data.loc[part]
        by_theme = of_part.drop("All").groupby("item")[["stated", "asked"]].sum()
        assert by_theme.equals(of_part.loc["All"].loc[by_theme.index, ["stated", "asked"]].astype(int))


@pytest.mark.parametrize("by", ["theme", "kind", "year"])
def test_bars_show_every_count(review, by):
    figure = figures.reporting_bars(review, by=by)
    assert (figure.data["stated"] <= figure.data["asked"]).all()
    for row in figure.data.itertuples():
        assert f"{row.group} {row.stated} of {row.asked}" in figure.alt
    metric = figure.data[figure.data["item"] == "metric"]
    quantitative = (review.claims["type"] == "quantitative").sum()
    comparisons = review.claims["claim_type"].isin(reporting.COMPARISONS).sum()
    assert metric["asked"].sum() == quantitative + (comparisons if by == "kind" else 0)


def test_bars_by_something_else_are_refused(review):
    with pytest.raises(ValueError, match="can't group by 'colour'"):
        figures.reporting_bars(review, by="colour")


MAKERS = [
    figures.reporting_quality,
    figures.reporting_bars,
    figures.before_and_after,
    figures.claimed_and_computed,
]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_drawing_twice_gives_the_same_bytes_in_colours_that_adapt(make, review):
    figure = make(review)
    assert figure.html() == make(load_review()).html()
    assert ET.fromstring(figure.svg).get("aria-label") == figure.alt
    assert not re.findall(r"#[0-9a-f]{6}", re.sub(r"var\([^)]*\)", "", figure.svg))


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_hostile_records_stay_text_in_figures(make, edit):
    hostile = "<script>alert(1)</script> & \"'"

    def change(record):
        record["system"] = hostile
        for result in record["results"]:
            result["benchmark"] = hostile

    review, faults = read_review(edit("kg-traces", change))
    assert not faults
    themes = {
        key: theme.model_copy(update={"title": f"{key} {hostile}"}) for key, theme in review.themes.items()
    }
    page = make(dataclasses.replace(review, themes=themes)).html()
    assert "<script" not in page
    assert "alert(1)" in page


def test_bands_go_where_the_verdicts_say_and_lead_to_the_words(review):
    figure = figures.before_and_after(review)
    verdicts = review.verdicts.set_index("claim")
    percent = review.claims[(review.claims["kind"] == "gain") & (review.claims["unit"] == "percent")]
    assert sorted(figure.data["claim"]) == sorted(percent["id"])
    for row in figure.data.itertuples(index=False, name=None):
        claim, makes = row[0], row[4]
        if claim not in verdicts.index:
            assert makes == "not looked up"
        elif makes == "still open":
            assert verdicts["basis"][claim] == "unresolved"
        else:
            word, strength = makes.split(", ")
            assert verdicts["basis"][claim] == {"points": "absolute", "relative": "relative"}[word]
            assert verdicts["strength"][claim] == strength
    links = ET.fromstring(figure.svg).findall(f".//{SVG}a")
    assert sorted(link.get("data-claim") for link in links) == sorted(percent["id"])
    assert all(link.get("data-claim").startswith(link.get("data-paper")) for link in links)


def test_computed_gains_are_those_of_the_results(review):
    data = figures.claimed_and_computed(review).data
    row = data[data["claim"] == "kg-traces-4"].iloc[0]
    # 62.6 to 65.6
    assert row["points"] == pytest.approx(3.0)
    assert row["percent of the baseline"] == pytest.approx(4.79, abs=0.01)
    assert not row["points fits"]
    assert row["percent of the baseline fits"]
    unresolved = data[data["claim"] == "knowledge-preference-2"]
    assert unresolved["points fits"].any()
    assert unresolved["percent of the baseline fits"].any()


@pytest.mark.parametrize(
    ("claimed", "bound", "computed", "fits"),
    [
        (2.3, "exact", 2.27, True),
        (2.3, "exact", 3.3, False),
        (23, "approx", 22.9, True),
        (16, "exact", 16.6, False),
        (8, "at-least", 8.0, True),
        (8, "at-least", 7.9, False),
        (8, "at-least", 9.0, False),
        (22, "exact", None, False),
        (22, "exact", float("nan"), False),
    ],
)
def test_a_gain_has_the_claimed_size_at_the_printed_precision(claimed, bound, computed, fits):
    assert figures.has_size(claimed, bound, computed) == fits


@pytest.fixture(scope="module")
def cells(review):
    """The figure of cells: its data, and of each cell its words and the boxes and lines around it."""
    figure = figures.reporting_quality(review)
    found = []
    for panel, (_, rows) in zip(
        drawing.panels(figure.svg), figure.data.groupby("part", sort=False), strict=True
    ):
        names = list(dict.fromkeys(rows["group"]))
        tops = {
            words.text: words.y for words in panel.words if words.anchor == "start" and words.text in names
        }
        counts = [words for words in panel.words if re.fullmatch(r"\d+/\d+", words.text)]
        assert len(counts) == len(rows)
        columns = sorted({words.x for words in counts})
        items = [item for item in figures.ITEMS.values() if item in set(rows["item"])]
        for row in rows.itertuples():
            top, x = tops[row.group], columns[items.index(row.item)]
            inside = panel.below(top, top + 46)
            said = [words.text for words in inside.words if words.x == x]
            boxes = [box for box in inside.boxes if box.left < x < box.right]
            found.append(
                (row, said, boxes, [line for line in inside.lines if min(line.xs) < x < max(line.xs)])
            )
    return found


def test_a_cell_shows_its_counts_and_the_sign_and_colour_of_its_share(cells):
    for row, said, boxes, lines in cells:
        share = row.stated / row.asked
        if row.asked < 3:
            assert said == [f"{row.stated}/{row.asked}"]
            assert not boxes
            assert [line.colour for line in lines] == ["rule"]
            continue
        sign, colour = ("✓", "3") if share >= 2 / 3 else ("~", "5") if share >= 1 / 3 else ("✗", "2")
        assert said == [sign, f"{row.stated}/{row.asked}"], row
        assert [box.colour for box in boxes] == [colour]
        assert not lines
    assert {said[0] for _, said, _, _ in cells} >= {"✓", "~", "✗"}


@pytest.mark.parametrize("by", ["theme", "kind", "year"])
def test_a_bar_is_as_long_as_its_share_and_as_thick_as_its_claims_are_many(review, by):
    figure = figures.reporting_bars(review, by=by)
    most = figure.data["asked"].max()
    rows = list(figure.data.itertuples())
    for panel in drawing.panels(figure.svg):
        of_panel = [row for row in rows if row.item in panel.said()]
        ends = sorted({line.xs[0] for line in panel.lines if line.colour == "grid"})
        starts = sorted({line.xs[0] for line in panel.lines if line.colour == "rule"})
        counts = [words for words in panel.words if re.fullmatch(r"\d+/\d+", words.text)]
        assert [words.text for words in counts] == [f"{row.stated}/{row.asked}" for row in of_panel]
        boxes = iter(panel.boxes)
        for row, words in zip(of_panel, counts, strict=True):
            start, end = next(
                (start, end) for start, end in zip(starts, ends, strict=True) if start < words.x < end + 40
            )
            if row.stated:
                box = next(boxes)
                assert box.left == pytest.approx(start, abs=0.02)
                assert (box.right - start) / (end - start) == pytest.approx(row.stated / row.asked, abs=0.001)
                assert box.bottom - box.top == pytest.approx(
                    figures._BAR * (0.14 + 0.66 * row.asked / most), abs=0.02
                )
                assert box.top < words.y - 3 < box.bottom + 3
        assert next(boxes, None) is None


def test_a_band_leads_from_what_the_abstract_says_to_what_the_tables_make_of_it(review):
    figure = figures.before_and_after(review)
    (panel,) = drawing.panels(figure.svg)
    rows = figure.data.set_index("claim")
    colours = {"points": "3", "relative": "1"}
    for box in panel.boxes:
        makes = rows.loc[box.claim, "tables make of it"]
        assert box.colour == colours.get(makes.split(",")[0], "rule")
        assert box.opacity == (0.75 if makes.endswith("shown") else 0.4)
    for side, at, column in (("end", min, "abstract says"), ("start", max, "tables make of it")):
        heights = {}
        for box in panel.boxes:
            x = at(point[0] for point in box.points)
            ys = [y for place, y in box.points if place == x]
            heights.setdefault(rows.loc[box.claim, column], []).append((min(ys), max(ys)))
        # Bands of one outcome lie together, beside its name, and in no other's place.
        spans = sorted((min(a for a, _ in ys), max(b for _, b in ys), name) for name, ys in heights.items())
        assert all(one[1] < other[0] for one, other in itertools.pairwise(spans))
        for top, bottom, name in spans:
            said = " ".join(
                words.text
                for words in panel.words
                if words.anchor == side and top - 14 < words.y < bottom + 14
            )
            assert f"{name}: {len(heights[name])}" in said


def test_a_mark_stands_at_the_multiple_of_the_claim_and_is_large_where_it_fits(review):
    figure = figures.claimed_and_computed(review)
    (panel,) = drawing.panels(figure.svg)
    claims = review.claims.set_index("id")
    tops = sorted({line.ys[0] for line in panel.lines if line.ys[0] == line.ys[1]})
    groups = list(figure.data.groupby("claim", sort=False))
    assert len(tops) == len(groups)
    for middle, (claim, rows) in zip(tops, groups, strict=True):
        found = panel.below(middle - 12, middle + 12).marks
        wanted = [
            (row[column] / claims.loc[claim, "value"], shape, bool(row[f"{reading} fits"]))
            for column, reading, shape in (
                ("points", "points", "circle"),
                ("percent of the baseline", "percent of the baseline", "square"),
            )
            for _, row in rows.iterrows()
            if row[column] == row[column]
        ]
        assert len(found) == len(wanted)
        for mark, (times, shape, fits) in zip(found, wanted, strict=True):
            assert panel.value(mark.x) == pytest.approx(min(times, 4), abs=panel.step())
            assert mark.shape == ("right" if times > 4 else shape)
            assert mark.size == (8 if fits else 5)
