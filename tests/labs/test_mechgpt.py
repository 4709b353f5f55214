"""Phrases, what cues and concepts speak for, and how an extracted graph is scored."""

import math

import pytest

from ktlabs.evaluation_and_applications import mechgpt
from ktlabs.evaluation_and_applications.mechgpt import (
    Paper,
    Phrase,
    extract,
    f1,
    log_odds,
    phrases,
    same,
    score,
    shape,
    stem,
)

CUES = {"<on": (0.0, 2.0, 0.0), "<outperforms": (0.0, 0.0, 2.0)}
TYPES = {"accuracy": (1.5, 0.0, 0.0), "*name": (0.0, 1.5, 0.0)}


def test_phrases_end_at_stop_words_and_punctuation():
    found = phrases("It outperforms strong baselines on CIFAR-100, in accuracy.")
    assert [phrase.words for phrase in found] == [
        ("outperforms", "strong", "baselines"),
        ("CIFAR-100",),
        ("accuracy",),
    ]
    assert found[1].around == ("<baselines", "<on", ">,")


def test_a_word_is_an_instance_of_its_stem_and_its_shape():
    assert [stem(word) for word in ("Baselines", "loss", "gas", "F1")] == ["baseline", "loss", "gas", "f1"]
    assert [shape(word) for word in ("MedQA", "F1", "10-shot", "Accuracy")] == [
        *("*name", "*name", "*number", "*common")
    ]
    assert Phrase(("large", "MNIST"), ()).concepts == ["large", "*common", *("mnist", "*name") * 2]


def test_a_feature_speaks_for_what_it_comes_with_and_softly_if_seen_once():
    labelled = [(0, ["x"])] * 5 + [(1, ["y"]), (0, ["y"])] + [(1, ["z"])] * 3
    odds = log_odds(labelled)
    base_1, base_0 = 5 / 14, 7 / 14  # of ten phrases, one more each for four kinds
    assert odds["y"][0] == pytest.approx(
        math.log((1 + 2 * base_1) / (1 + 2 * base_0)) - math.log(base_1 / base_0)
    )
    assert odds["z"][0] > odds["y"][0] > 0 > odds["x"][0]
    assert log_odds(labelled, pseudo=1000)["z"][0] == pytest.approx(0, abs=0.02)


def test_cues_and_types_add_up_and_types_can_be_switched_off():
    found = [Phrase(("MNIST",), ("<on",)), Phrase(("accuracy",), ()), Phrase(("method",), ("<outperforms",))]
    assert [own[0] for own in extract(found, CUES, TYPES, 2.0)] == ["benchmark", "metric", "baseline"]
    assert [own[0] for own in extract(found, CUES, TYPES, 4.0)] == ["benchmark"]  # 2 + 2 x 1.5
    assert extract(found, CUES, TYPES, 3.6, weight=0.5) == []  # 2 + 3 / 2
    assert extract(found, CUES, TYPES, 2.0, weight=0) == extract(found, CUES, {}, 2.0)


def test_a_phrase_is_a_term_if_it_shares_half_of_all_words():
    assert same(("strong", "baselines"), ("baseline",))
    assert not same(("very", "strong", "baselines"), ("baseline",))
    assert not same(("accuracy",), ("recall",))


def test_a_graph_is_scored_by_triples_and_by_shared_objects():
    one = Paper((Phrase(("MNIST",), ("<on",)),), (("benchmark", ("MNIST",)), ("metric", ("accuracy",))))
    two = Paper((Phrase(("MNIST",), ("<on",)), Phrase(("accuracy",), ())), (("benchmark", ("MNIST",)),))
    found = score([one, two], CUES, TYPES, 2.0)
    assert found == pytest.approx(
        {"F1": 2 * 2 / (3 + 3), "precision": 2 / 3, "recall": 2 / 3, "links F1": 1.0}
    )
    assert f1(0, 3, 0) == 0


def test_parts_share_no_paper_and_records_are_those_of_the_review():
    parts = mechgpt._parts(0)
    assert {name: len(own) for name, own in parts.items()} == mechgpt._PARTS
    assert len({id(paper) for own in parts.values() for paper in own}) == 72
    assert sum(len(paper.recorded) for paper in mechgpt.papers()) > 150
