"""The claims explorer as an object: rows equal claims, options occur, and nothing in a record runs."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from ktreview import load_review
from ktreview.corpus import wording
from ktreview.show.explorer import FILTERS, claims_explorer, labs_explorer

STATIC = Path(__file__).resolve().parents[3] / "book" / "_static"
HOSTILE = (
    '"><img src=x onerror=alert(1)></option></select><script>alert(1)</script>&amp;\' data-paper="panda"'
)


load_review_once = functools.cache(load_review)


def parse(review):
    return BeautifulSoup(claims_explorer(review).html(), "html.parser")


def claim_of(row):
    return row.a["data-claim"]


def options(soup, name):
    """The options of a filter without the one that stands for any: value to words."""
    found = soup.find("select", attrs={"name": name}).find_all("option")
    assert found[0]["value"] == ""
    return {option["value"]: option.text for option in found[1:]}


@pytest.fixture(scope="module")
def soup(review):
    return parse(review)


@pytest.fixture(scope="module")
def body(soup):
    return {claim_of(row): row for row in soup.select("tbody tr")}


def test_every_claim_is_one_row_in_the_order_of_the_corpus(review, soup):
    assert [claim_of(row) for row in soup.select("tbody tr")] == list(review.claims["id"])


def test_a_row_gives_the_words_the_value_and_the_way_to_the_paper(review, body):
    for claim in review.claims.itertuples():
        row = body[claim.id]
        assert row.q.text == wording.plain(claim.quote)
        assert row.a["data-paper"] == claim.paper
        if claim.type == "quantitative":
            assert row.strong.text == wording.value(claim)
        for words in (claim.metric, claim.benchmark, claim.baseline):
            assert wording.plain(words) in row.find_all("td")[2].text


def test_a_row_says_whether_the_baseline_is_named(review, body):
    for claim in review.claims.itertuples():
        measured = body[claim.id].find_all("td")[2].text
        if not claim.baseline:
            assert "over:" not in measured
        else:
            assert measured.endswith("(named)" if review.baseline_named[claim.id] else "(not named)")


def test_a_row_says_the_basis_and_what_a_verdict_makes_of_it(review, body):
    unstated = review.claims[review.claims["basis"] == "unstated"]
    assert all("basis not stated" in body[claim].text for claim in unstated["id"])
    settled = unstated[unstated["resolved_basis"].isin(["absolute", "relative"])]
    assert len(settled) > 1
    for claim in settled.itertuples():
        assert claim.resolved_basis in body[claim.id].summary.text


def test_exactly_the_claims_with_a_verdict_open_to_its_reason(review, body):
    verdicts = review.verdicts.set_index("claim")
    for claim, row in body.items():
        last = row.find_all("td")[-1]
        if claim in verdicts.index:
            assert last.summary.text.startswith(verdicts["finding"][claim])
            assert verdicts["why"][claim] in last.details.text
        else:
            assert last.text == "none"


@pytest.mark.parametrize("name", FILTERS)
def test_every_option_occurs_and_counts_right_and_none_is_missing(soup, body, name):
    carried = [row[f"data-{name}"].split("; ") for row in body.values()]
    found = options(soup, name)
    assert set(found) == {value for values in carried for value in values} - {""}
    for value, words in found.items():
        assert words.endswith(f" ({sum(value in values for values in carried)})")


@pytest.mark.parametrize("name", ["theme", "type", "basis", "bound"])
def test_a_row_carries_what_the_record_says(review, body, name):
    said = dict(zip(review.claims["id"], review.claims[name], strict=True))
    assert {claim: row[f"data-{name}"] for claim, row in body.items()} == said


def test_a_row_carries_what_is_derived_from_the_record(review, body):
    finding = dict(zip(review.verdicts["claim"], review.verdicts["finding"], strict=True))
    for claim in review.claims.itertuples():
        row = body[claim.id]
        assert row["data-kind"] == (claim.kind if claim.type == "quantitative" else claim.claim_type)
        assert row["data-verdict"] == finding.get(claim.id, "none")
        hedged = None if claim.type == "quantitative" else bool(claim.hedged)
        assert row["data-hedged"] == {None: "", True: "yes", False: "no"}[hedged]
        assert (row["data-baseline"] == "not-stated") == (not claim.baseline)
        assert (row["data-baseline"] == "named") == review.baseline_named[claim.id]
        assert (row["data-metric"] == "not-stated") == (not claim.metric)


def test_a_claim_on_several_benchmarks_is_found_under_each(soup, body):
    several = [row for row in body.values() if "; " in row["data-benchmark"]]
    assert several
    for row in several:
        assert set(row["data-benchmark"].split("; ")) <= set(options(soup, "benchmark"))


def test_every_control_has_a_label_and_the_form_waits_for_the_script(soup):
    form = soup.form
    assert form.has_attr("hidden")
    for control in form.select("input, select"):
        assert control.find_parent("label").find(string=True).strip()
    assert soup.select_one("[role=status]").text == ""


def test_the_script_and_the_rows_agree_on_what_joins_values():
    assert 'split("; ")' in (STATIC / "explorer.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("column", ["quote", "metric", "benchmark", "baseline"])
def test_hostile_words_of_a_claim_stay_words(review, column):
    hostile = dataclasses.replace(review, claims=review.claims.assign(**{column: HOSTILE}))
    soup = parse(hostile)
    assert not soup.select("script, img, [onerror]")
    assert len(soup.select("tbody tr")) == len(soup.select("tbody a")) == len(review.claims)
    if column == "quote":
        assert {quote.text for quote in soup.select("tbody q")} == {HOSTILE}
    else:
        assert HOSTILE in soup.tbody.text
    if column in ("metric", "benchmark"):
        assert {row[f"data-{column}"] for row in soup.select("tbody tr")} == {HOSTILE}
        assert list(options(soup, column)) == [HOSTILE]


def test_hostile_words_of_a_record_stay_words(review):
    paper = review.records["panda"]
    verdicts = [verdict.model_copy(update={"why": HOSTILE}) for verdict in paper.verdicts]
    assert verdicts
    paper = paper.model_copy(update={"system": HOSTILE, "verdicts": verdicts})
    themes = {
        key: theme.model_copy(update={"title": HOSTILE}) if key == paper.theme else theme
        for key, theme in review.themes.items()
    }
    soup = parse(dataclasses.replace(review, records=review.records | {"panda": paper}, themes=themes))
    assert not soup.select("script, img, [onerror]")
    rows = soup.select('tbody tr:has(a[data-claim^="panda-"])')
    assert len(rows) == len(paper.claims)
    assert all(row.a.text.startswith(HOSTILE) and row.th.span.text == HOSTILE for row in rows)
    assert sum(HOSTILE in details.text for details in soup.select("details")) == len(verdicts)
    assert HOSTILE in options(soup, "theme")[paper.theme]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
@settings(deadline=None)
def test_any_words_come_back_as_they_went_in(words):
    review = load_review_once()
    claims = review.claims[:2].assign(quote=words, metric=words)
    soup = parse(dataclasses.replace(review, claims=claims))
    assert [quote.text for quote in soup.select("tbody q")] == 2 * [wording.plain(words)]
    for row in soup.select("tbody tr"):
        assert row["data-metric"] == wording.plain(words)
        assert set(row["data-metric"].split("; ")) - {""} == set(options(soup, "metric"))


def test_a_review_without_claims_shows_an_empty_table(review):
    soup = parse(dataclasses.replace(review, claims=review.claims[:0]))
    assert not soup.select("tbody tr")
    assert all(options(soup, name) == {} for name in FILTERS)


def test_the_same_records_give_the_same_bytes(review):
    assert claims_explorer(load_review()).html() == claims_explorer(review).html()


def test_jupyter_is_given_html_and_text_and_no_bitmap(review):
    shown = claims_explorer(review)._repr_mimebundle_()
    assert set(shown) == {"text/html", "text/plain"}
    assert str(len(review.claims)) in shown["text/plain"]


def replicated(mini, lab, shift):
    """The review with the method of a lab shifted on the replication seeds alone."""
    runs = mini.lab_runs.copy()
    arm = mini.declared[lab].method
    runs.loc[(runs["lab"] == lab) & (runs["arm"] == arm) & (runs["seed"] >= 200), "value"] += shift
    return dataclasses.replace(mini, lab_runs=runs)


def lab_rows(review):
    soup = BeautifulSoup(labs_explorer(review).html(), "html.parser")
    return {row.a["data-lab"]: row for row in soup.select("tbody tr")}


def test_a_lab_s_row_gives_the_deciding_effect_before_the_replication(mini):
    row = lab_rows(replicated(mini, "ferry", 5))["ferry"]
    effect, replication = (cell.text.split()[0] for cell in row.select("td")[1:3])
    assert (effect, replication) == ("+0.400", "+5.40")
    assert row.select("td")[3].text == "▼ contradicts"
    assert mini.declared["ferry"].question in row.td.text


def test_labs_are_filtered_by_whether_the_replication_excludes_zero(mini):
    assert lab_rows(mini)["echo"]["data-replication"] == "covers-zero"
    for shift in (-5, 5):
        assert lab_rows(replicated(mini, "echo", shift))["echo"]["data-replication"] == "excludes-zero"
    # The other way round: the deciding seeds exclude zero and the replication covers it.
    assert lab_rows(replicated(mini, "ferry", -0.4))["ferry"]["data-replication"] == "covers-zero"
    rows = lab_rows(mini)
    assert {name: row["data-control"] for name, row in rows.items()} == {
        "lantern": "yes",
        "echo": "yes",
        "ferry": "no",
    }
    assert rows["ferry"]["data-claim"] == "not-quoted"
