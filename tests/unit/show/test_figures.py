"""The figures as objects: right rows, right axis, right links, and nothing that runs."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from ktreview import load_review
from ktreview.show import figures
from ktreview.show.figures import corpus, gains
from ktreview.show.figures.svg import PALETTE

SVG = "{http://www.w3.org/2000/svg}"
GAINS_BY_THEME = [*load_review().themes, None]


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
    for svg in (figure.svg,):
        found = links(svg)
        # A mark and a name for each claim.
        assert len(found) == 2 * len(expected)
        for link in found:
            key = link.get("data-paper")
            assert link.get("href") == f"https://arxiv.org/abs/{review.records[key].arxiv}"
            title = link.find(f"{SVG}title")
            # A mark has no text to be named by; a name has, and its title is the paper's.
            assert title.text == link.get("aria-label", review.records[key].title)
        told = " ".join(link.get("aria-label", "") for link in found)
        for row in expected.itertuples():
            assert row.quote.replace("\\%", "%") in told


def test_text_is_text_and_says_value_and_bound(figure, expected):
    for svg in (figure.svg,):
        shown = texts(svg)
        for value in figure.data["value"]:
            assert value in shown
    up_to = expected.set_index("id")["bound"] == "up-to"
    for row in figure.data.itertuples():
        assert row.value.startswith("up to") == up_to[row.claim]
        assert row.value in figure.alt


def test_a_mark_stands_at_its_value_and_is_hollow_where_no_baseline_is_named(review):
    chosen = review.claims[review.claims["id"].isin(["panda-2", "panda-3", "kg-traces-2"])]
    rows = chosen.assign(
        name="x", becomes="", baseline_named=[review.baseline_named[claim] for claim in chosen["id"]]
    )
    panel = gains._Panel("Percent", "D", PALETTE["2"], list(rows.itertuples(index=False)))
    canvas = gains._draw([panel], narrow=False)
    marks = {line.get_url(): line for line in canvas.axes[0].lines if line.get_url()}
    assert {claim: list(mark.get_xdata()) for claim, mark in marks.items()} == {
        "panda-2": [2.3],
        "panda-3": [24.1],
        "kg-traces-2": [1.6],
    }
    hollow = {claim for claim, mark in marks.items() if mark.get_markerfacecolor() == PALETTE["surface"]}
    assert hollow == {"kg-traces-2"}


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
    for svg in (figure.svg,):
        assert "confirmed, relative (shown): +1.4 points" in texts(svg)
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
    for svg in (figure.svg,):
        root = ET.fromstring(svg)
        assert root.get("aria-label") == figure.alt
        loose = set(re.findall(r"#[0-9a-f]{6}", re.sub(r"var\([^)]*\)", "", svg)))
        assert not loose, f"colours that don't follow the page: {loose}"
        assert "DejaVu" not in svg
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
    both = set(re.findall(r'\bid="([^"]+)"', figure.svg)) & set(re.findall(r'\bid="([^"]+)"', figure.narrow))
    assert not both
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
