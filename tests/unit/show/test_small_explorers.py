"""The explorers on the invented review, where every value of every filter occurs."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from ktreview.corpus import wording
from ktreview.show.explorer import claims_explorer, labs_explorer


@pytest.fixture
def labs(mini):
    soup = BeautifulSoup(labs_explorer(mini).html(), "html.parser")
    return {row.a["data-lab"]: row for row in soup.select("tbody tr")}


@pytest.fixture
def claims(mini):
    soup = BeautifulSoup(claims_explorer(mini).html(), "html.parser")
    return {row.a["data-claim"]: row for row in soup.select("tbody tr")}


def test_a_lab_shows_its_effect_before_its_replication(mini, labs):
    for lab, row in labs.items():
        _, effect, replication, outcome = mini.compared(lab)[0]
        shown = [cell.text.strip() for cell in row.select("td")]
        assert wording.effect(effect) != wording.effect(replication)
        assert shown[1] == wording.effect(effect)
        assert shown[2] == wording.effect(replication)
        assert shown[3].endswith(outcome)


def test_labs_are_found_by_replication_control_and_claim(labs):
    filters = ("data-verdict", "data-replication", "data-control", "data-claim")
    told = {lab: [row[name] for name in filters] for lab, row in labs.items()}
    assert told == {
        "lantern": ["supports", "excludes-zero", "yes", "quoted"],
        "echo": ["undecided", "covers-zero", "yes", "quoted"],
        "ferry": ["contradicts", "excludes-zero", "no", "not-quoted"],
    }


def test_claims_are_found_by_verdict_and_baseline(claims):
    told = {claim: (row["data-verdict"], row["data-baseline"]) for claim, row in claims.items()}
    assert told["lantern-1"] == ("confirmed", "named")
    assert told["lantern-2"] == ("overstated", "named")
    assert told["lantern-3"] == ("unresolved", "named")
    assert told["lantern-4"] == ("none", "not-stated")
    assert told["ferry-relative"] == ("none", "not-named")
    assert told["marsh-late"] == ("differs", "not-stated")
