"""Related papers: the right ones, for reasons that are true."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest

from ktreview import load_review
from ktreview.analysis.names import load_index, mentions
from ktreview.analysis.related import NAME_WEIGHT, related


@pytest.mark.parametrize(
    ("key", "first"),
    [
        ("vitpose", "vitpose-plus"),
        ("knowedit", "easyedit"),
        ("storage-extraction", "capacity-laws"),
        ("ideation-execution", "scipip"),
        ("plm-kgc", "blp"),
        ("exssnet", "cuber"),
    ],
)
def test_the_closest_paper_is_the_one_a_reader_would_name(review, key, first):
    assert related(review, key, 1)[0][0] == first


def test_reasons_in_words_by_hand(review):
    assert related(review, "storage-extraction", 1)[0][2].startswith(
        "both report on bioS; both name GPT-2; close in wording: "
    )
    assert related(review, "knowedit", 1)[0][2].startswith("both report on ZsRE; both name FT-L, ")
    assert related(review, "plm-kgc", 1)[0][2].startswith(
        "both name ComplEx, DistMult and TransE; close in wording: "
    )
    reason = {other: reason for other, _, reason in related(review, "trg", 5)}["talking-models"]
    assert set(reason.removeprefix("close in wording: ").split(", ")) == {
        "teacher",
        "student",
        "distillation",
    }


def test_every_reason_is_true_of_both(review):
    found = mentions(review)
    names = {index: {e.name: e.key for e in entries.values()} for index, entries in load_index().items()}
    touched = set(zip(found["index"], found["key"], found["paper"], strict=True))
    texts = {row.key: f"{row.title} {row.abstract}".lower() for row in review.papers.itertuples()}
    kinds = {
        "both report on": ["benchmarks"],
        "both name": ["systems", "benchmarks"],
        "both report": ["metrics"],
        "both speak of": ["metrics"],
    }
    for key in review.records:
        for other, score, reason in related(review, key):
            assert score > 0
            for part in reason.split("; "):
                kind, _, rest = re.match(
                    r"(both report on|both name|both report|both speak of|close in wording):?( )(.*)", part
                ).groups()
                for name in re.split(r", | and ", rest):
                    if kind == "close in wording":
                        assert name in texts[key]
                        assert name in texts[other]
                    elif not re.fullmatch(r"\d+ more", name):
                        assert any(
                            (index, names[index].get(name), paper) in touched
                            for index in kinds[kind]
                            for paper in [key]
                        ), (key, other, reason)
                        assert any((index, names[index].get(name), other) in touched for index in kinds[kind])


def test_scores_are_symmetric_ordered_and_the_same_for_another_load(review):
    again = load_review()
    everything = {key: related(review, key, 99) for key in review.records}
    scores = {key: {other: score for other, score, _ in found} for key, found in everything.items()}
    place = {key: n for n, key in enumerate(review.records)}
    for key, found in everything.items():
        assert found == related(again, key, 99)
        assert [(-score, place[other]) for other, score, _ in found] == sorted(
            (-score, place[other]) for other, score, _ in found
        )
        assert key not in scores[key]
        for other, score in scores[key].items():
            assert scores[other][key] == score


def test_a_shared_name_adds_what_the_weight_says(review):
    base = {other: score for other, score, _ in related(review, "kg-traces", 99)}
    results = review.results.copy()
    other = results["paper"] == "diffkg"
    results.loc[other, "setting"] = "WebQSP"
    changed = {
        key: score for key, score, _ in related(dataclasses.replace(review, results=results), "kg-traces", 99)
    }
    total = len(review.papers)
    expected = NAME_WEIGHT["benchmarks"] * math.log(total / 2) / math.log(total)
    assert changed["diffkg"] - base.get("diffkg", 0) == pytest.approx(expected, abs=2e-6)


def test_a_rare_name_counts_for_more_than_a_common_one(review):
    counts = mentions(review).groupby(["index", "key"])["paper"].nunique()
    assert counts["systems", "gpt-4"] > counts["systems", "t5"]
    only = review.papers.assign(abstract="", title="")
    bare = dataclasses.replace(
        review, papers=only, claims=review.claims.iloc[:0], results=review.results.iloc[:0]
    )
    texts = {"panda": "GPT-4 T5", "vega": "T5", "cuber": "GPT-4", "mark": "GPT-4", "kaft": "GPT-4"}
    papers = only.assign(abstract=[texts.get(key, "nothing alike") for key in only["key"]])
    near = related(dataclasses.replace(bare, papers=papers), "panda", 4)
    assert near[0][0] == "vega"
    # The other three tie, in the order of the corpus.
    assert [key for key, _, _ in near[1:]] == ["cuber", "kaft", "mark"]


def test_hostile_texts_and_few_papers_in_common(review):
    papers = review.papers.copy()
    papers["abstract"] = [f"<script>alert({n})</script> only{n}words" for n in range(len(papers))]
    near = related(dataclasses.replace(review, papers=papers), "panda", 99)
    assert all(reason and score > 0 for _, score, reason in near)


def test_n_limits_and_an_unknown_paper_is_refused(review):
    assert len(related(review, "panda", 2)) == 2
    assert related(review, "panda", 0) == []
    with pytest.raises(KeyError, match="there is no paper 'nobody'"):
        related(review, "nobody")


def test_speaking_of_a_metric_is_told_from_reporting_it(review):
    reasons = {other: reason for other, _, reason in related(review, "cuber", 99)}
    # One abstract names forward transfer in passing; both claim something of forgetting or backward transfer.
    assert "both report Backward transfer" in reasons["continual-pretraining"]
    assert "both speak of Forward transfer" in reasons["continual-pretraining"]


def test_a_word_said_nine_times_counts_for_about_three(mini):
    papers = mini.papers[:2].assign(title="", abstract=["lantern harbour", "lantern " * 9 + "harbour"])
    two = dataclasses.replace(mini, papers=papers, claims=mini.claims[:0], results=mini.results[:0])
    first, second = papers["key"]
    ((other, score, reason),) = related(two, first)
    # Both words stand in both papers, so that they weigh alike: (1, 1) beside (1 + ln 9, 1).
    assert other == second
    assert score == pytest.approx((2 + math.log(9)) / math.sqrt(2 * ((1 + math.log(9)) ** 2 + 1)), abs=1e-6)
    assert reason == "close in wording: lantern, harbour"


def test_a_review_of_one_paper_relates_it_to_none(review):
    (key, record) = next(iter(review.records.items()))
    alone = dataclasses.replace(
        review,
        records={key: record},
        papers=review.papers[review.papers["key"] == key],
        claims=review.claims[review.claims["paper"] == key],
        results=review.results[review.results["paper"] == key],
    )
    assert related(alone, key) == []
