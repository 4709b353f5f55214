"""The figures as objects: right rows, right axis, right links, and nothing that runs."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from typing import get_args
from xml.etree import ElementTree as ET

import drawing
import pandas as pd
import pytest

from ktreview import load_review
from ktreview.corpus.records import Kind
from ktreview.show import figures
from ktreview.show.figures import corpus

SVG = "{http://www.w3.org/2000/svg}"
REVIEW = load_review()
CLAIMED = REVIEW.claims[
    (REVIEW.claims["kind"] == "gain")
    | ((REVIEW.claims["kind"] == "level") & (REVIEW.claims["unit"] == "percent"))
]
GAINS_BY_THEME = [*(theme for theme in REVIEW.themes if theme in set(CLAIMED["theme"])), None]


def links(svg: str) -> list[ET.Element]:
    return ET.fromstring(svg).findall(f".//{SVG}a")


def texts(svg: str) -> list[str]:
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text") if element.text]


@pytest.fixture(scope="module", params=GAINS_BY_THEME, ids=str)
def theme(request):
    return request.param


@pytest.fixture(scope="module")
def figure(review, theme):
    return figures.claimed_gains(review, theme)


@pytest.fixture(scope="module")
def expected(review, theme):
    gains = review.claims["kind"] == "gain"
    if theme is None:
        return review.claims[gains]
    levels = (review.claims["kind"] == "level") & (review.claims["unit"] == "percent")
    return review.claims[(gains | levels) & (review.claims["theme"] == theme)]


def test_every_gain_of_the_theme_is_a_row_and_nothing_else_is(figure, expected):
    assert sorted(figure.data["claim"]) == sorted(expected["id"])


def test_claims_of_different_bases_never_share_an_axis(figure, expected):
    indexed = expected.set_index("id")
    bases = (indexed["basis"] + indexed["unit"]).where(indexed["kind"] == "gain", "level")
    for _, rows in figure.data.groupby("axis"):
        assert len(set(bases[rows["claim"]])) == 1
    for title, word in {"not stated": "unstated", "(absolute)": "absolute", "(relative)": "relative"}.items():
        drawn = figure.data[figure.data["axis"].str.contains(title, regex=False)]
        assert all(bases[claim].startswith(word) for claim in drawn["claim"])


def test_every_mark_leads_to_its_paper_and_tells_the_words(review, figure, expected):
    found = links(figure.svg)
    # A mark and a name for each claim.
    assert len(found) == 2 * len(expected)
    for link in found:
        key = link.get("data-paper")
        arxiv = review.records[key].arxiv
        assert link.get("href") == (f"https://arxiv.org/abs/{arxiv}" if arxiv else "#")
        title = link.find(f"{SVG}title")
        # A mark has no text to be named by; a name has, and its title is the paper's.
        assert title.text == link.get("aria-label", review.records[key].title)
    told = {link.get("data-claim"): link.get("aria-label", "") for link in found if link.get("aria-label")}
    for row in expected.itertuples():
        assert row.quote.replace("\\%", "%") in told[row.id]


def test_text_is_text_and_says_value_and_bound(figure, expected):
    shown = texts(figure.svg)
    for value in figure.data["value"]:
        assert value in shown
    up_to = expected.set_index("id")["bound"] == "up-to"
    for row in figure.data.itertuples():
        assert row.value.startswith("up to") == up_to[row.claim]
        assert row.value in figure.alt


#: The mark and colour of an axis, by words of its title.
LOOKS = {
    "not stated": ("diamond", "2"),
    "Percent of the baseline": ("square", "1"),
    "Percentage points": ("circle", "3"),
    "Points of the metric": ("circle", "3"),
    "Times the baseline": ("square", "6"),
    "No gain but a level": ("up", "5"),
}


def check_claims(review, figure):
    """What is drawn of each claim, and where, against the claim."""
    claims = review.claims.set_index("id")
    found = drawing.panels(figure.svg)
    axes = list(figure.data.groupby("axis", sort=False))
    assert len(found) == len(axes)
    for panel, (title, rows) in zip(found, axes, strict=True):
        assert title in panel.said()
        shape, colour = next(look for words, look in LOOKS.items() if words in title)
        places = [mark for mark in panel.marks if mark.claim]
        assert [mark.claim for mark in places] == list(rows["claim"])
        for place in places:
            claim = claims.loc[place.claim]
            ends = sorted({claim.value, claim.value if pd.isna(claim.value_high) else claim.value_high})
            row = panel.below(place.y - 9, place.y + 9)
            marks = [mark for mark in row.marks if mark.shape == shape and mark.size > 5]
            assert [panel.value(mark.x) for mark in marks] == pytest.approx(ends, abs=panel.step())
            assert {(mark.colour, mark.filled) for mark in marks} == {
                (colour, review.baseline_named[place.claim])
            }
            lines = [line for line in row.lines if line.colour == colour]
            wall = [line for line in lines if line.ys[0] != line.ys[1]]
            along = [line for line in lines if line not in wall]
            assert panel.value(along[0].xs[0]) == pytest.approx(0, abs=panel.step())
            assert panel.value(along[0].xs[1]) == pytest.approx(claim.value, abs=panel.step())
            # A line to a wall: up to; an arrow beyond the mark, or before it: at least, at most.
            assert along[0].dashed == bool(wall) == (claim.bound == "up-to")
            assert all(line.xs[0] == pytest.approx(marks[-1].x, abs=0.02) for line in wall)
            heads = {mark.shape: mark.x for mark in row.marks if mark not in marks}
            assert set(heads) == {"at-least": {"right"}, "at-most": {"left"}}.get(claim.bound, set())
            if heads:
                (direction, end), arrow = heads.popitem(), along.pop()
                assert arrow.xs == pytest.approx([marks[-1].x, end], abs=0.02)
                assert (end > marks[-1].x) == (direction == "right")
            if len(ends) > 1:
                whole = along.pop()
                assert whole.width > along[0].width
                assert whole.xs == pytest.approx([mark.x for mark in marks], abs=0.02)
            assert len(along) == 1


def test_a_mark_stands_at_its_value_as_the_claim_is(review, figure):
    check_claims(review, figure)


@pytest.mark.parametrize("bound", ["exact", "up-to", "at-least", "at-most", "approx"])
def test_every_bound_and_every_range_is_drawn(review, bound):
    claims = review.claims.copy()
    gains = claims["kind"] == "gain"
    claims.loc[gains, "bound"] = bound
    ranged = gains & (claims["unit"] == "percent")
    claims.loc[ranged, "value_high"] = claims.loc[ranged, "value"] * 1.5
    changed = dataclasses.replace(review, claims=claims)
    check_claims(changed, figures.claimed_gains(changed))


def test_the_theme_figure_names_the_papers_that_claim_nothing(review):
    note = figures.claimed_gains(review, "continual-learning").note
    silent = re.findall(r'data-paper="([a-z-]+)"', note)
    papers = review.papers.loc[review.papers["theme"] == "continual-learning", "key"]
    assert sorted(silent) == sorted(set(papers) - {"exssnet"})


def test_what_the_tables_make_of_a_gain_stands_below_it(review):
    figure = figures.claimed_gains(review, "kg-and-llm")
    said = figure.data.set_index("claim")["tables say"]
    assert said["kg-traces-2"] == "confirmed, relative (shown): +1.4 points"
    assert said["blp-6"] == "unresolved"
    assert said["neurocomparatives-4"] == ""
    assert "confirmed, relative (shown): +1.4 points" in texts(figure.svg)
    assert "(tables: confirmed, relative (shown): +1.4 points)" in figure.alt


def test_an_unknown_theme_is_refused(review):
    with pytest.raises(ValueError, match="unknown theme 'magic'; the themes are knowledge-distillation"):
        figures.claimed_gains(review, "magic")


def test_a_claim_that_fits_no_axis_is_named(review):
    claims = review.claims.copy()
    claims.loc[claims["id"] == "panda-2", "unit"] = "furlongs"
    with pytest.raises(ValueError, match="no axis fits the claims panda-2"):
        figures.claimed_gains(dataclasses.replace(review, claims=claims))


FIGURES = [figures.claimed_gains, figures.themes_by_kind, figures.years, figures.stated]


@pytest.mark.parametrize("make", FIGURES, ids=lambda make: make.__name__)
def test_drawing_twice_gives_the_same_bytes(make, review):
    assert make(review).html() == make(load_review()).html()


@pytest.mark.parametrize("make", FIGURES, ids=lambda make: make.__name__)
def test_every_figure_offers_its_data_its_numbers_in_words_and_colours_that_adapt(make, review):
    figure = make(review)
    encoded = re.search(r'href="data:text/csv;base64,([^"]+)"', figure.html())
    offered = pd.read_csv(io.BytesIO(base64.b64decode(encoded[1])), keep_default_na=False)
    assert len(offered) == len(figure.data)
    assert list(offered.columns) == list(figure.data.columns)
    root = ET.fromstring(figure.svg)
    assert root.get("aria-label") == figure.alt
    loose = set(re.findall(r"#[0-9a-f]{6}", re.sub(r"var\([^)]*\)", "", figure.svg)))
    assert not loose, f"colours that don't follow the page: {loose}"
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all(figure.name in ident for ident in ids), "ids that another drawing on the page may have"
    numbers = {str(value) for value in figure.data.select_dtypes("number").to_numpy().ravel() if value}
    assert all(re.search(rf"\b{number}\b", figure.alt) for number in numbers)


def test_counts_are_those_of_the_records(review):
    matrix = figures.themes_by_kind(review).data.set_index("theme")
    assert matrix.to_numpy().sum() == len(review.papers)
    assert matrix.loc["Continual learning", "method"] == sum(
        record.theme == "continual-learning" and record.kind == "method" for record in review.records.values()
    )
    years = figures.years(review).data.set_index("year")["papers"]
    assert years[2023] == sum(record.date.startswith("2023") for record in review.records.values())
    steps = list(corpus.steps_stated(review)["papers"])
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == len(review.papers)


def test_tiles_hold_their_counts_and_are_darker_for_more(review):
    (panel,) = drawing.panels(figures.themes_by_kind(review).svg)
    papers = review.papers
    kinds = [kind for kind in get_args(Kind) if kind.replace("-", " ") in panel.said()]
    assert len(kinds) == len(get_args(Kind))
    counts = [words for words in panel.words if words.anchor == "middle"]
    columns, lines = sorted({words.x for words in counts}), sorted({words.y for words in counts})
    shades = {}
    for words in counts:
        theme, kind = list(review.themes)[lines.index(words.y)], kinds[columns.index(words.x)]
        count = int(((papers["theme"] == theme) & (papers["kind"] == kind)).sum())
        assert words.text == (str(count) if count else "·")
        boxes = [b for b in panel.boxes if b.left < words.x < b.right and b.top < words.y < b.bottom]
        assert len(boxes) == bool(count)
        shades |= {count: boxes[0].opacity} if boxes else {}
    assert [shades[count] for count in sorted(shades)] == sorted(shades.values())
    assert len(set(shades.values())) == len(shades)


def test_bars_are_as_long_as_their_counts(review):
    figure = figures.years(review)
    (panel,) = drawing.panels(figure.svg)
    tall = [box.bottom - box.top for box in panel.boxes]
    assert [height / max(tall) for height in tall] == pytest.approx(
        list(figure.data["papers"] / figure.data["papers"].max()), abs=0.001
    )
    for row, box in zip(figure.data.itertuples(), panel.boxes, strict=True):
        beside = [words.text for words in panel.words if box.left < words.x < box.right]
        assert sorted(beside) == sorted([str(row.papers), str(row.year)])
    figure = figures.stated(review)
    (panel,) = drawing.panels(figure.svg)
    long = [box.right - box.left for box in panel.boxes]
    assert [length / max(long) for length in long] == pytest.approx(
        list(figure.data["papers"] / figure.data["papers"].max()), abs=0.001
    )
    assert panel.said() == [
        words for row in figure.data.itertuples() for words in (row.step, f"{row.papers}")
    ]


HOSTILE = "<script>alert(1)</script> {claim}`x` $x$ \"'&amp; \u202eevil"


def test_hostile_words_stay_words(review):
    claims = review.claims.copy()
    first = claims["id"] == "panda-2"
    claims.loc[first, ["metric", "benchmark", "baseline"]] = HOSTILE
    figure = figures.claimed_gains(dataclasses.replace(review, claims=claims), "knowledge-distillation")
    page = figure.html()
    assert "<script>" not in page
    assert "alert(1)" in page
    told = [link.get("aria-label", "") for link in links(figure.svg)]
    assert any(HOSTILE in label for label in told)
    assert figure.data.set_index("claim").loc["panda-2", "metric"] == HOSTILE
