"""Pairs of numbers under one name, on the invented review and on numbers made for the purpose."""

from __future__ import annotations

import pandas as pd
import pytest

from ktreview.analysis import names
from ktreview.analysis.comparability import Pairs, comparable, numbers_under
from ktreview.analysis.names import read_index
from ktreview.corpus.review import rows

LEVEL = {
    "paper": "a", "where": "result", "id": "1", "kind": "level", "value": 80.0, "value_high": float("nan"),
    "unit": "percent", "bound": "exact", "better": "higher", "benchmark": "Harbour-10", "metric": "brightness",
    "setting": "all nights", "basis": "absolute", "baseline": "B", "baseline_named": True, "baseline_value": 70.0,
    "method": "M", "settled": False,
}  # fmt: skip


def numbers(*changes):
    return list(rows(pd.DataFrame([LEVEL | change for change in changes])))


@pytest.fixture
def own_index(monkeypatch, mini_data):
    """The names of the invented review in the place of the review's."""
    entries, faults = read_index(mini_data)
    assert not faults
    for module in ("ktreview.analysis.names", "ktreview.analysis.comparability"):
        monkeypatch.setattr(f"{module}.load_index", lambda: entries)
    return names


@pytest.mark.usefixtures("own_index")
def test_numbers_stand_under_a_name_with_the_basis_that_a_verdict_settled(mini):
    found = numbers_under(mini, "benchmarks", "harbour-10").set_index("id")
    assert found.loc["lantern-1", ["basis", "settled"]].tolist() == ["relative", True]
    assert found.loc["lantern-2", ["basis", "settled"]].tolist() == ["absolute", True]
    assert found.loc["ferry-absolute", ["basis", "settled"]].tolist() == ["absolute", False]
    assert (
        numbers_under(mini, "systems", "beacon-2").set_index("id").loc["ferry-beacon", "basis"] == "unstated"
    )
    results = found[found["where"] == "result"]
    assert results["value"].tolist() == [62.5, 79.0, 62.4]
    assert results["baseline_value"].tolist() == [60.0, 50.0, 60.0]


@pytest.mark.usefixtures("own_index")
def test_results_of_two_papers_in_one_setting_may_be_compared(mini):
    found = {
        (row.paper, row.setting): row
        for row in rows(numbers_under(mini, "benchmarks", "harbour-10"))
        if row.where == "result"
    }
    ours, theirs = found["lantern", "all nights"], found["ferry", "all nights"]
    assert comparable(ours, theirs) == (True, "benchmark, metric, setting, unit and direction agree")
    assert not comparable(ours, found["lantern", "nights with mist"])[0]


def test_one_measurement_against_two_baselines_is_no_pair_and_two_methods_of_one_value_are():
    twice = Pairs(numbers({}, {"id": "2", "baseline": "C", "baseline_value": 60.0}))
    assert (twice.total, twice.alike) == (0, 0)
    assert twice.summary() == "One number: there is nothing here to compare it with."
    tie = Pairs(numbers({}, {"id": "2", "method": "N"}))
    assert (tie.total, tie.alike, tie.across) == (1, 1, 0)
    assert tie.label == {0: "1", 1: "1"}


def test_pairs_of_two_papers_are_counted_apart_and_obstacles_told_in_order():
    pairs = Pairs(
        numbers(
            {}, {"id": "2", "paper": "b", "value": 81.0}, {"id": "3", "value": 9.0, "metric": "oil"}, {"id": "4", "value": 7.0, "benchmark": ""}
        )
    )  # fmt: skip
    assert (pairs.total, pairs.alike, pairs.across, pairs.across_alike) == (6, 1, 3, 1)
    assert pairs.obstacles == {"metric differs": 2, "benchmark not stated": 3}
    assert pairs.nearest[2] == "metric differs"
    assert pairs.summary() == (
        "Pairs that may be compared: 1 of 6, in 1 group. First thing against the others: benchmark not stated: "
        "3 pairs; metric differs: 2 pairs."
    )
