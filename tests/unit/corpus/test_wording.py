"""The words for what the records hold, by hand, on the invented review."""

from __future__ import annotations

import dataclasses
import html

import pytest
from bs4 import BeautifulSoup

from ktreview.corpus import wording
from ktreview.corpus.outcomes import Comparison
from ktreview.corpus.records import Verdict
from ktreview.corpus.review import rows
from ktreview.show import figures
from ktreview.site import pages


@pytest.fixture
def claims(mini):
    return {row.id: row for row in rows(mini.claims)}


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("lantern-1", "4.2%"),
        ("lantern-2", "up to 31.5%"),
        ("lantern-3", "≥ 8 points"),
        ("lantern-4", "≈ 1.5×"),
        ("marsh-late", "40 to 60%"),
        ("marsh-delay", "5.5 minutes"),
        ("echo-size", "1,200"),
        ("echo-best", "≤ 38.5%"),
        ("ferry-beacon", "3 to 5%"),
        ("ferry-haze", "≤ 2 points"),
    ],
)
def test_a_value_says_bound_range_and_unit(claims, claim, words):
    assert wording.value(claims[claim]) == words


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("lantern-1", "gain, 4.2%, points or relative: not stated"),
        ("lantern-3", "gain, ≥ 8 points, absolute"),
        ("lantern-4", "gain, ≈ 1.5×, relative to the baseline"),
        ("ferry-absolute", "gain, 6%, percentage points"),
        ("echo-size", "scale, 1,200"),
        ("marsh-longer", "negative finding, hedged"),
        ("echo-record", "state of the art"),
    ],
)
def test_a_label_says_what_sort_of_claim_it_is(claims, claim, words):
    assert wording.label(claims[claim]) == words


def test_details_say_what_is_left_out(mini):
    without_labs = dataclasses.replace(mini, labs=mini.labs[:0])
    page = BeautifulSoup(pages.part(without_labs, "claims", "ferry"), "html.parser").text
    assert "Metric: brightness; benchmark: Harbour-10; Open Sea; baseline: a lone lamp (not by name)." in page
    assert "Metric: not named; benchmark: not named; baseline: not stated." in page
    assert "Metric: not named; benchmark: not named; baseline: Beacon-2." in page


def test_a_mark_of_a_figure_says_a_whole_claim(mini):
    svg = html.unescape(figures.claimed_gains(mini, "lantern-making").svg)
    assert (
        "FERRY: 12%, brightness, on Harbour-10; Open Sea, over a lone lamp (not named), relative to the "
        "baseline. “12% relative to a lone lamp”"
    ) in svg
    assert (
        "LANTERN: up to 31.5%, brightness, on Harbour-10, over Beacon-2, points or relative: not stated. "
        "“up to 31.5% in mist”"
    ) in svg


def test_escapes_are_resolved_and_nothing_else():
    assert wording.plain(r"8\% of A\&B, x\_i, \#1, \$5 and \alpha") == r"8% of A&B, x_i, #1, $5 and \alpha"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("lantern", "LANTERN"),
        ("marsh", "Marsh & Reed 2021"),
        ("moor", "Moor et al. 2020"),
        ("echo-keeper", "Hall 2023"),
    ],
)
def test_a_short_name_is_the_system_s_or_authors_and_year(mini, key, name):
    assert wording.short_name(mini.records[key]) == name


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0.25, "0.25"),
        (999_999, "999,999"),
        (1e6, "1 million"),
        (-2.5e9, "-2.5 billion"),
        (1e12, "1 trillion"),
        (1 / 3, "0.3333333333"),
    ],
)
def test_a_number_is_written_for_people(amount, words):
    assert wording.number(amount) == words


@pytest.mark.parametrize(
    ("amount", "unit", "words"),
    [
        (-1.5, "points", "−1.5"),
        (2.0, "times", "2×"),
        (0.3, "seconds-per-image", "0.3 seconds per image"),
        (-4.0, "percent", "−4%"),
        (3.0, "rank", "3"),
    ],
)
def test_a_result_s_value_keeps_its_unit(amount, unit, words):
    assert wording.scaled(amount, unit) == words


def test_a_result_is_said_beside_its_baseline(mini):
    results = {result.id: result for record in mini.records.values() for result in record.results}
    assert wording.result(results["all-nights"]) == "62.5% against 60% (Beacon-2)"
    assert wording.result(results["steady"]) == "1.48× (no baseline given)"
    assert wording.result(results["caves"]) == "six caves in the text, seven in the appendix"
    assert wording.result(results["clear"]) == "2 against −1.5 (before)"


@pytest.mark.parametrize(
    ("finding", "basis", "strength", "words"),
    [
        ("confirmed", "relative", "shown", "confirmed, relative (shown)"),
        ("confirmed", "unresolved", "consistent", "confirmed, basis open (consistent)"),
        ("differs", None, "consistent", "differs (consistent)"),
        ("unresolved", "unresolved", None, "unresolved"),
    ],
)
def test_a_verdict_in_a_few_words(finding, basis, strength, words):
    results = [] if finding == "unresolved" else ["a"]
    verdict = Verdict(claim="q", finding=finding, basis=basis, strength=strength, why="w", results=results)
    assert wording.verdict(verdict) == words


COMPARISON = Comparison(8, 0.5, 0.25, -0.25, -0.5, -0.0125, 0.0078, 1.0, 7, 0.1)


def test_an_effect_has_three_decimals_below_one_and_two_from_there():
    assert wording.effect(COMPARISON) == "−0.250 [−0.500, −0.013], p 0.008, 7 of 8"
    large = dataclasses.replace(COMPARISON, effect=-0.75, low=-1.25, high=-0.25, wins=0, n=3)
    assert wording.effect(large) == "−0.75 [−1.25, −0.25], p 0.008, 0 of 3"


@pytest.mark.parametrize(
    ("amount", "words"), [(0.0, "+0%"), (-0.256, "−0.26%"), (12.345, "+12.35%"), (None, "not defined")]
)
def test_a_gain_has_its_sign(amount, words):
    assert wording.signed(amount, "%") == words
