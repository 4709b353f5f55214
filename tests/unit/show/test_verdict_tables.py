"""The tables of the audit, held against the records."""

from __future__ import annotations

import dataclasses

import pytest
from bs4 import BeautifulSoup

from ktreview import load_review
from ktreview.analysis import reporting
from ktreview.corpus import wording
from ktreview.corpus.load import read_review
from ktreview.corpus.outcomes import gains
from ktreview.show.tables import verdicts as audit


def soup(table):
    return BeautifulSoup(table.html(), "html.parser")


def every_verdict(review):
    return [(key, verdict) for key, paper in review.records.items() for verdict in paper.verdicts]


def test_every_verdict_is_a_card_with_its_words_reason_and_link(review):
    table = audit.verdicts(review)
    cards = soup(table).select("article")
    expected = every_verdict(review)
    assert len(cards) == len(expected) == len(review.verdicts)
    for card, claim, (key, verdict) in zip(cards, table.data["claim"], expected, strict=True):
        assert card.select_one("q").text == wording.plain(verdict.claim)
        assert card.select_one(".kt-badge").text == verdict.finding
        assert verdict.why in card.text
        link = card.select_one("a.kt-paper")
        assert (link["data-paper"], link["data-claim"]) == (key, claim)
        assert (verdict.strength or "") in card.text.lower()


def test_every_result_of_a_verdict_is_shown_with_its_gain_its_place_and_its_warning(review):
    cards = soup(audit.verdicts(review)).select("article")
    for card, (key, verdict) in zip(cards, every_verdict(review), strict=True):
        by_id = {result.id: result for result in review.records[key].results}
        items = card.select("li")
        assert len(items) == len(verdict.results)
        for item, ident in zip(items, verdict.results, strict=True):
            result = by_id[ident]
            for part in (result.locator, result.source, result.confidence, wording.result(result)):
                assert part in item.text
            points, relative = gains(result)
            assert points is None or wording.signed(points, " points") in item.text
            assert relative is None or wording.signed(relative, "%") in item.text
            assert result.flag is None or result.flag in item.text


def test_findings_divide_the_verdicts(review):
    findings = ("confirmed", "overstated", "differs", "unresolved")
    parts = [audit.verdicts(review, (finding,)) for finding in findings]
    assert [len(part.data) for part in parts] == [
        (review.verdicts["finding"] == finding).sum() for finding in findings
    ]
    assert len({part.name for part in parts}) == len(parts)
    assert all(set(part.data["finding"]) == {finding} for part, finding in zip(parts, findings, strict=True))


def test_what_stays_open_is_told_apart_from_what_would_settle_it(review):
    data = audit.unresolved(review).data
    expected = [v for _, v in every_verdict(review) if "unresolved" in (v.finding, v.basis)]
    assert len(data) == len(expected)
    for row, verdict in zip(data.itertuples(index=False, name=None), expected, strict=True):
        assert sum(map(len, row[3:])) > 0
        if "would settle" in verdict.why:
            assert row[4] in verdict.why
            assert row[3] in verdict.why
            assert "would settle" not in row[3]
        else:
            assert row[3:] == (verdict.why, "The record does not say.")
    kinds = dict(zip([v.claim for v in expected], data["open"], strict=True))
    assert kinds["minimal impact on benign performance (less than 1%)"] == "the basis"
    assert kinds["top two answers are correct 82.1% of the time"] == "the claim"
    assert kinds["average improvement of 8.3% over SupSup"] == "size and basis"


def cases(review):
    data = audit.same_name(review).data
    return {(row.name, row.kind): row for row in data.itertuples(index=False)}


def test_the_percent_sign_is_a_case_since_tables_settle_it_both_ways(review):
    case = cases(review)["%", "unit of a gain"]
    shown = BeautifulSoup(case[2], "html.parser")
    settled = review.claims[
        (review.claims["basis"] == "unstated")
        & review.claims["resolved_basis"].isin(["absolute", "relative"])
    ]
    assert [link["data-claim"] for link in shown.select("a")] == list(settled["id"])
    assert "22% is relative" in shown.text
    assert "16% is points" in shown.text


def test_the_percent_sign_is_no_case_where_tables_agree(review):
    claims = review.claims.copy()
    claims.loc[claims["resolved_basis"] == "relative", "resolved_basis"] = "absolute"
    assert ("%", "unit of a gain") not in cases(dataclasses.replace(review, claims=claims))


def test_names_that_stand_for_several_things(review):
    found = cases(review)
    assert found["AUC", "metric"][3] == "scale and test set"
    assert found["ZsRE", "benchmark"][3] == "metric"
    assert found["HumanEval", "benchmark"][3] == "setting"
    attack = found[
        "“achieves an average attack success rate higher than 80%”", "claim on three agents: driving"
    ]
    assert attack[3] == "metric and setting"
    for row in found.values():
        assert row[4] == " ".join(audit.REASONS[what] for what in row[3].replace(" and ", ", ").split(", "))


def test_a_metric_of_one_paper_or_of_one_scale_and_test_set_is_no_case(review):
    found = cases(review)
    assert ("edit success", "metric") not in {(name.casefold(), kind) for name, kind in found}
    assert ("average score", "metric") in found
    results = review.results.copy()
    results.loc[results["metric"] == "AUC", ["unit", "benchmark"]] = ["percent", "one set"]
    assert ("AUC", "metric") not in cases(dataclasses.replace(review, results=results))


def test_every_warning_of_a_result_is_listed_and_counted(review):
    data = audit.odd_results(review).data
    flags = [result.flag for paper in review.records.values() for result in paper.results if result.flag]
    assert data["results"].sum() == sum(len(flag.split("; ")) for flag in flags)
    assert set(data["warning"]) == {warning for flag in flags for warning in flag.split("; ")}
    assert audit.odd_results(review).title.endswith(f"{len(flags)} of {len(review.results)}")
    assert data["results"].is_monotonic_decreasing


def test_the_rules_and_the_checklist_give_the_counts_of_the_claims(review):
    quality = reporting.reporting_quality(review)
    with_number = quality[quality["type"] == "quantitative"]
    rules = audit.rules(review).data.set_index("item")
    basis = with_number["basis_stated"].dropna()
    assert rules.loc["basis stated", "with a number"] == f"{basis.sum()} of {len(basis)}"
    assert rules.loc["basis stated", "without"] == "not asked"
    assert list(rules["rule"]) == list(reporting.RULES.values())
    checklist = audit.checklist(review).data
    shares = [int(a) / int(b) for a, b in checklist["do so here"].str.findall(r"\d+")]
    assert shares == sorted(shares)
    assert len(checklist) == len(reporting.RULES)


def test_an_example_states_what_it_is_an_example_of(review):
    checklist = audit.checklist(review).data.set_index("write")["for example"]
    abstracts = review.papers.set_index("key")["abstract"]
    quality = reporting.reporting_quality(review).set_index("id")
    for advice, item in zip(audit._ADVICE.values(), audit._ADVICE, strict=True):
        example = BeautifulSoup(checklist[advice], "html.parser")
        link = example.select_one("a")
        assert quality.loc[link["data-claim"], item]
        assert example.q.text in wording.plain(abstracts[link["data-paper"]])
    assert "p < 0.05" in BeautifulSoup(checklist[audit._ADVICE["uncertainty_given"]], "html.parser").text


TABLES = [
    audit.verdicts,
    audit.unresolved,
    audit.same_name,
    audit.odd_results,
    audit.rules,
    audit.checklist,
]


@pytest.mark.parametrize("make", TABLES, ids=lambda make: make.__name__)
@pytest.mark.slow
def test_making_a_table_twice_gives_the_same_bytes(make, review):
    assert make(review).html() == make(load_review()).html()


@pytest.mark.parametrize("make", TABLES, ids=lambda make: make.__name__)
def test_links_lead_to_claims_and_papers_that_exist(make, review):
    for link in soup(make(review)).select("a"):
        assert link["data-paper"] in review.records
        claim = link.get("data-claim")
        assert claim is None or claim in set(review.claims["id"])


def test_hostile_records_stay_text(edit):
    hostile = "<img src=x onerror=alert(1)> & \"'"

    def change(record):
        record["system"] = hostile
        for result in record["results"]:
            texts = ("benchmark", "setting", "metric", "baseline", "method", "locator", "source", "flag")
            result.update(dict.fromkeys(texts, hostile))
        for verdict in record["verdicts"]:
            verdict["why"] = f"{hostile} It would settle it."

    review, faults = read_review(edit("kg-traces", change))
    assert not faults
    claims = review.claims.assign(quote=hostile, metric=hostile)
    own = [audit.rules, audit.checklist]
    pages = [make(review).html() for make in TABLES]
    pages += [make(dataclasses.replace(review, claims=claims)).html() for make in own]
    for page in pages:
        assert "<img" not in page
    assert sum("onerror" in page for page in pages) >= 4
