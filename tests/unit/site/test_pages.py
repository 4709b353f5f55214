"""The papers' pages: what they show comes from the records, and nothing in a record becomes markup."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from ktreview import load_review
from ktreview.corpus.wording import plain
from ktreview.site import pages

REVIEW = load_review()
MINI = load_review(Path(__file__).parents[2] / "mini")
KEYS = list(REVIEW.records)


def shown(review, name, key):
    return BeautifulSoup(pages.part(review, name, key), "html.parser")


@pytest.mark.parametrize("key", KEYS)
def test_an_abstract_is_whole_and_its_claims_are_marked_in_place(review, key):
    page = shown(review, "abstract", key)
    claims = review.claims[review.claims["paper"] == key]
    marks = page.select("mark")
    assert [mark["id"] for mark in marks] == [f"words-{claim}" for claim in claims["id"]]
    assert [mark.a.text for mark in marks] == [plain(quote) for quote in claims["quote"]]
    assert [mark.a["href"] for mark in marks] == [f"#claim-{claim}" for claim in claims["id"]]
    for tag in page.select(".kt-tag"):
        tag.extract()
    abstract = review.papers.set_index("key").loc[key, "abstract"]
    assert "\n\n".join(p.text for p in page.select("blockquote p")) == plain(abstract)


def test_a_mark_says_sort_basis_and_verdict_in_words(review):
    tags = [tag.text for tag in shown(review, "abstract", "kg-traces").select(".kt-tag")]
    assert " [2: gain, 1.6%, points or relative: not stated; confirmed, relative (shown)]" in tags
    tags = [tag.text for tag in shown(review, "abstract", "agentpoison").select(".kt-tag")]
    assert any(tag.endswith("level, ≥ 80%; overstated (shown)]") for tag in tags)


def test_claims_lead_to_words_results_and_back(review):
    page = shown(review, "claims", "kg-traces")
    item = page.select_one("#claim-kg-traces-2")
    assert item.select_one('a[href="#words-kg-traces-2"]')
    verdict = item.select_one("#verdict-kg-traces-2")
    assert "confirmed, relative (shown)" in verdict.text
    leads = {a["href"] for a in verdict.select("a")}
    assert leads == {"#result-webqsp-hits"}
    result = shown(review, "results", "kg-traces").select_one("#result-webqsp-hits")
    assert "87.1% against 85.7% (RoG), +1.4 points, +1.63%" in result.text
    assert "Table 1" in result.text
    assert "Confidence: high" in result.text


def test_every_result_and_every_verdict_has_its_place(review):
    for key, record in review.records.items():
        results = shown(review, "results", key)
        assert [r["id"] for r in results.select(".kt-result")] == [f"result-{r.id}" for r in record.results]
        verdicts = shown(review, "claims", key).select("p[id^=verdict-]")
        assert len(verdicts) == len(record.verdicts)


def test_links_to_the_results_of_one_verdict_can_be_told_apart(review):
    for key in review.records:
        for verdict in shown(review, "claims", key).select("p[id^=verdict-]"):
            links = [a.text for a in verdict.select('a[href^="#result-"]')]
            assert len(set(links)) == len(links)
    words = shown(review, "claims", "panda").select_one('a[href="#result-bert-large-prompt-tuning"]').text
    assert (
        words == "9 target tasks, average, average score: 78.41 against 77.5 (prompt tuning without transfer)"
    )


def test_a_paper_with_nothing_says_so(review):
    assert "no claim about its own results" in shown(review, "claims", "jd-resume").text
    assert "No result from beyond the abstract" in shown(review, "results", "jd-resume").text


def test_a_scale_without_a_zero_has_no_bar_from_zero(review):
    page = shown(review, "results", "openmedlab")
    bars = {own["id"]: len(own.select("svg")) for own in page.select(".kt-result")}
    assert bars == {"result-medqa-elo": 0, "result-average-rank": 0, "result-medtriage-f1": 1}
    assert "Hollow mark" in page.text
    assert "Hollow mark" not in shown(review, "results", "ideation-execution").text


def test_the_bar_of_a_result_is_to_scale(review):
    bar = shown(review, "results", "kg-traces").select_one("#result-webqsp-hits svg")
    before, after = (float(circle["cx"]) for circle in bar.select("circle"))
    assert after == pytest.approx(396)
    assert (before - 4) / (after - 4) == pytest.approx(85.7 / 87.1, abs=0.001)


def test_no_mark_of_a_bar_is_cut_off(review):
    for bar in shown(review, "results", "kg-traces").select("svg.kt-bar"):
        left, _, width, _ = map(float, bar["viewbox"].split())
        for circle in bar.select("circle"):
            reach = float(circle["r"]) + float(circle["stroke-width"]) / 2
            assert left <= float(circle["cx"]) - reach
            assert float(circle["cx"]) + reach <= left + width


def test_the_source_of_a_page_holds_no_word_of_a_record(review):
    for key, record in review.records.items():
        text = pages.source(key)
        assert record.title not in text
        assert all(text.count(f"{{ktreview:part}} {name} {key}\n") == 1 for name in pages.PARTS)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=80))
@settings(max_examples=settings.default.max_examples // 2)
def test_any_words_stay_words(hostile):
    paper = MINI.records["moor"]
    words = f"<img src=x onerror=alert(1)> {hostile}"
    changed = paper.model_copy(
        update={"title": words, "mechanism": words, "authors": [words], "venue": words}
    )
    changed = dataclasses.replace(MINI, records=MINI.records | {"moor": changed})
    page = shown(changed, "facts", "moor")
    assert not page.select("img, script")
    assert page.select("dd")[0].text == words


def test_an_unknown_part_or_paper_is_refused(review):
    with pytest.raises(KeyError, match="no part 'nothing'"):
        pages.part(review, "nothing", "panda")
    with pytest.raises(KeyError, match="no paper 'nobody'"):
        pages.part(review, "facts", "nobody")


def test_a_lab_s_table_gives_the_deciding_effect_before_the_replication(mini, monkeypatch):
    monkeypatch.setattr(pages.mechanism, "source", lambda *_: "def carry(): ...")
    runs = mini.lab_runs.copy()
    runs.loc[(runs["lab"] == "ferry") & (runs["arm"] == "ferried") & (runs["seed"] >= 200), "value"] += 5
    page = BeautifulSoup(pages.lab(dataclasses.replace(mini, lab_runs=runs), "ferry"), "html.parser")
    headings = [heading.text for heading in page.select("th")]
    first = dict(zip(headings, (cell.text for cell in page.select("tbody tr")[0].select("td")), strict=True))
    assert first["effect, seeds 0 to 7"].startswith("+0.400 [")
    assert first["replication, 200 to 207"].startswith("+5.41 [")
    assert not page.select("b, script")
