"""What claims state of themselves: each rule on worked examples, and the counts and figures made of it."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktreview.analysis import reporting


@pytest.fixture(scope="module")
def quality(review):
    return reporting.reporting_quality(review).set_index("id", drop=False)


def changed(review, claim, **fields):
    """The review with some fields of one claim changed."""
    claims = review.claims.copy()
    for field, value in fields.items():
        claims.loc[claims["id"] == claim, field] = value
    return dataclasses.replace(review, claims=claims)


def judged(review, claim, item):
    return reporting.reporting_quality(review).set_index("id").loc[claim, item]


def test_every_claim_has_a_row_and_every_item_a_rule(review, quality):
    assert list(quality["id"]) == list(review.claims["id"])
    assert list(quality.columns[6:]) == list(reporting.RULES)
    for item, rule in reporting.RULES.items():
        assert str(quality[item].dtype) == "boolean"
        assert rule.endswith(".")


@pytest.mark.parametrize(
    ("claim", "item", "stated"),
    [
        ("kg-traces-2", "metric_named", True),  # Hits@1
        ("knowledge-preference-2", "metric_named", False),  # "more than 18% improvement"
        ("trg-2", "metric_named", False),  # a comparison without a number
        ("capacity-laws-6", "metric_named", None),  # a negative finding compares with no metric
        ("kg-traces-3", "benchmark_named", True),  # WebQSP
        ("panda-2", "benchmark_named", False),
        ("bertnet-1", "benchmark_named", None),  # a size
        ("exssnet-4", "baseline_named", True),  # SupSup
        ("kg-traces-2", "baseline_named", False),  # "existing SOTA"
        ("vega-3", "baseline_named", None),  # a level
        ("panda-2", "basis_stated", False),
        ("neurocomparatives-4", "basis_stated", True),  # "30% more"
        ("neurocomparatives-5", "basis_stated", True),  # "32% absolute"
        ("neurocomparatives-3", "basis_stated", None),  # a factor
        ("csebenchmark-2", "basis_stated", None),  # a level
        ("panda-3", "bound_stated", True),  # "up to"
        ("exssnet-4", "bound_stated", True),  # "average improvement"
        ("gpt-cpa-4", "bound_stated", True),  # "For best prompt and parameters"
        ("kg-traces-2", "bound_stated", False),  # bare
        ("unitabe-1", "bound_stated", None),  # a size
        ("trg-2", "bound_stated", None),  # no number
        ("ideation-execution-1", "uncertainty_given", True),  # "p < 0.05" in its sentence
        ("kg-traces-1", "uncertainty_given", False),  # "significantly" alone
        ("bertnet-1", "uncertainty_given", None),
        ("kg-traces-2", "code_available", True),
        ("panda-2", "code_available", False),  # known from elsewhere
        ("vega-3", "code_available", False),
    ],
)
def test_each_rule_on_claims_that_were_read(quality, claim, item, stated):
    found = quality.loc[claim, item]
    assert (found is pd.NA) if stated is None else bool(found) == stated


def test_what_a_claim_states_follows_its_record(review):
    assert not judged(changed(review, "kg-traces-2", metric=""), "kg-traces-2", "metric_named")
    assert not judged(changed(review, "kg-traces-2", benchmark=""), "kg-traces-2", "benchmark_named")
    assert judged(changed(review, "kg-traces-2", basis="relative"), "kg-traces-2", "basis_stated")
    assert judged(changed(review, "kg-traces-2", bound="approx"), "kg-traces-2", "bound_stated")
    named = changed(review, "kg-traces-2", baseline_named=True)
    assert judged(named, "kg-traces-2", "baseline_named")


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("with a standard deviation of a point", True),
        ("95\\% confidence intervals", True),
        ("error bars over seeds", True),
        ("by 2 ± 1", True),
        ("a significant margin in all intervals", False),
        ("standard errors of grammar", True),  # the rule goes by words
    ],
)
def test_words_of_uncertainty_count_in_the_claim_s_own_sentence_only(review, words, given):
    abstract = review.papers.set_index("key")["abstract"]["vega"]
    claim = review.claims.set_index("id").loc["vega-3"]
    papers = review.papers.copy()
    inside = abstract[: claim.end] + ", " + words + abstract[claim.end :]
    papers.loc[papers["key"] == "vega", "abstract"] = inside
    assert judged(dataclasses.replace(review, papers=papers), "vega-3", "uncertainty_given") == given
    # Offsets of the claim stay right, since the words come after it.
    outside = f"{abstract} Elsewhere: {words}."
    papers.loc[papers["key"] == "vega", "abstract"] = outside
    assert not judged(dataclasses.replace(review, papers=papers), "vega-3", "uncertainty_given")


def test_a_statistic_of_the_ledger_counts_in_its_sentence_alone(quality):
    given = quality[quality["uncertainty_given"].fillna(value=False)]
    assert set(given["id"]) == {"ideation-execution-1", "ideation-execution-2"}
    assert not quality.loc["ideation-execution-3", "uncertainty_given"]


@pytest.mark.parametrize(
    ("text", "inside", "expected"),
    [
        ("One. Two holds. Three.", "holds", "Two holds."),
        ("We beat Li et al. Their gain is 2.", "beat", "We beat Li et al. Their gain is 2."),
        ("It gains 2.3 points. More.", "2.3", "It gains 2.3 points."),
        ("On Oct. 8, 2022, it led. More.", "2022", "On Oct. 8, 2022, it led."),
        ("No end", "No", "No end"),
        ("A? `B` is. C!", "is", "`B` is."),
    ],
)
def test_the_sentence_around_words(text, inside, expected):
    at = text.index(inside)
    start, end = reporting.sentence(text, at, at + len(inside))
    assert text[start:end].strip() == expected


@given(st.text(alphabet="aB .!?\n8", max_size=40), st.integers(0, 40), st.integers(0, 40))
def test_a_sentence_holds_what_it_is_around(text, one, other):
    start, end = sorted((min(one, len(text)), min(other, len(text))))
    first, last = reporting.sentence(text, start, end)
    assert 0 <= first <= start <= end <= last <= len(text)


def test_shares_count_claims_and_for_code_papers():
    quality = pd.DataFrame(
        {
            "paper": ["a", "a", "b"],
            "theme": ["x", "x", "y"],
            **{item: pd.array([pd.NA] * 3, dtype="boolean") for item in reporting.RULES},
            "metric_named": pd.array([True, False, pd.NA], dtype="boolean"),
            "code_available": pd.array([True, True, False], dtype="boolean"),
        }
    )
    assert list(reporting.shares(quality).itertuples(index=False, name=None)) == [
        ("all", "metric_named", 1, 2),
        ("all", "code_available", 1, 2),
    ]
    assert list(reporting.shares(quality, "theme").itertuples(index=False, name=None)) == [
        ("x", "metric_named", 1, 2),
        ("x", "code_available", 1, 1),
        ("y", "code_available", 0, 1),
    ]
