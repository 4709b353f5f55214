"""What labs measured, as drawn, listed and shown on pages."""

from __future__ import annotations

import functools
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bs4 import BeautifulSoup

from ktreview import load_review
from ktreview.corpus import wording
from ktreview.corpus.outcomes import REPLICATION, SEEDS
from ktreview.show import figures
from ktreview.show.explorer import labs_explorer
from ktreview.site import chapters, pages

REVIEW = load_review()
NAMES = list(REVIEW.labs["lab"])
#: As the book shows them; that they are what would be drawn is tested with the chapters.
STORED = chapters.lab_figures(Path(__file__).resolve().parents[3] / "book")
SVG = "{http://www.w3.org/2000/svg}"


@functools.cache
def figure_of(name: str) -> figures.Figure:
    return figures.lab(REVIEW, name)


def texts(svg: str) -> str:
    return " ".join(element.text for element in ET.fromstring(svg).iter(f"{SVG}text") if element.text)


def marks(svg: str) -> int:
    return sum(1 for _ in ET.fromstring(svg).iter(f"{SVG}use"))


@pytest.mark.parametrize("name", NAMES)
def test_every_seed_of_every_arm_is_drawn(review, name):
    figure = figure_of(name)
    declared = review.declared[name]
    places = {(c.regime, c.metric) for c in declared.comparisons()}
    runs = review.lab_runs[review.lab_runs["lab"] == name]
    shown = runs[[place in places for place in zip(runs["regime"], runs["metric"], strict=True)]]
    # Beside the seeds there are two marks a comparison, and the ticks of the axes, which are hidden.
    drawn = len(shown) + 2 * len(declared.comparisons())
    for svg in (figure.svg,):
        assert marks(svg) >= drawn
    kept = figure.data.melt(["regime", "metric", "arm"], var_name="seed").dropna()
    kept["seed"] = kept["seed"].str.removeprefix("seed ").astype(int)
    keys = ["regime", "metric", "arm", "seed"]
    both = kept.merge(shown, on=keys)
    assert len(kept) == len(both) == len(shown)
    assert (both["value_x"] == both["value_y"]).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_title_says_verdict_effect_and_replication_and_the_text_the_means(review, name):
    figure = figure_of(name)
    compared, first, second, outcome = review.compared(name)[0]
    assert figure.title.startswith(wording.OUTCOMES[outcome])
    assert wording.effect(first) in figure.title
    assert wording.effect(second) in figure.title
    assert f"{compared.baseline} {first.baseline_mean:.4g}" in figure.alt
    for _, _, _, found in review.compared(name):
        assert found in texts(figure.svg)


def test_an_unknown_lab_is_refused(review):
    with pytest.raises(ValueError, match="there is no lab 'nosuch' that has run; there are "):
        figures.lab(review, "nosuch")


def test_the_overview_counts_honestly_and_turns_every_effect_towards_the_claim(review):
    figure = figures.labs(review)
    counts = review.labs["verdict"].value_counts()
    assert f"{counts.get('supports', 0)} come out for the claimed direction" in figure.title
    assert f"{counts.get('contradicts', 0)} against it" in figure.title
    assert len(figure.data) == len(review.labs)
    drawn = figure.data.set_index("lab")
    for row in review.labs.itertuples():
        towards = row.effect if row.better == "higher" else -row.effect
        assert (drawn.loc[row.lab, "effect in sd"] > 0) == (towards > 0)
        assert drawn.loc[row.lab, "effect in sd"] == pytest.approx(
            row.dz if row.better == "higher" else -row.dz
        )
        assert drawn.loc[row.lab, "low"] <= drawn.loc[row.lab, "effect in sd"] <= drawn.loc[row.lab, "high"]


def test_the_explorer_lists_every_lab_beside_what_is_claimed(review):
    soup = BeautifulSoup(labs_explorer(review).html(), "html.parser")
    found = soup.select("tbody tr")
    assert [row.a["data-lab"] for row in found] == NAMES
    for row, lab in zip(found, review.labs.itertuples(), strict=True):
        assert row["data-verdict"] == lab.verdict
        assert lab.verdict in row.select("td")[3].text
        assert lab.question in row.text
        if lab.claim:
            quote = review.claims.set_index("id").loc[lab.claim, "quote"]
            assert row.q.text == wording.plain(quote)
    options = {option["value"] for option in soup.select("select[name=verdict] option")} - {""}
    assert options == set(review.labs["verdict"])


@pytest.mark.parametrize("name", NAMES)
def test_a_lab_stands_on_its_paper_s_page_with_code_seeds_and_limits(review, name):
    declared = review.declared[name]
    page = BeautifulSoup(pages.part(review, "labs", declared.paper, STORED), "html.parser")
    own = page.select_one(f"section#lab-{name}")
    for function in declared.mechanism:
        assert f"def {function}(" in own.pre.text or f"class {function}" in own.pre.text
    assert own.math is not None
    assert own.select_one("figure.kt-figure")["id"] == f"figure-lab-{name}"
    assert declared.shows_not in own.text
    assert {dt.text for dt in own.select(".kt-arms dt")} >= {
        f"{declared.baseline} (baseline)",
        f"{declared.method} (method)",
    }
    assert [row.select("td")[-1].text for row in own.select(".kt-lab > .kt-table tbody tr")] == [
        outcome for *_, outcome in review.compared(name)
    ]


def test_a_paper_without_a_lab_says_so(review):
    keys = [key for key in review.records if key not in set(review.labs["paper"])]
    for key in keys[:1]:
        assert "No lab runs this paper’s mechanism yet." in pages.part(review, "labs", key)


def test_seeds_that_decide_and_seeds_that_must_agree_are_apart():
    assert not set(SEEDS) & set(REPLICATION)
