"""The review grows: a further paper in a second dump, a ninth theme and a paper that moves break nothing.

The tests of this folder run on such a copy of the data. All that they may ask for is that the book mentions
what is new.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ktreview import load_review
from ktreview.cli import main
from ktreview.corpus.review import DATA

HERE = Path(__file__).parent
NEW = "zz-lamplight"
TITLE = "LAMPLIGHT: What a Large Lamp Tells a Small Lamp at Night"
DUMP = f"""Daily Papers

Aug 2

{TITLE}

A small lamp can learn from a large lamp. On CIFAR-100 LAMPLIGHT improves accuracy by 3 to 5% over LwF, reaches \
71.5 points and is the first lamp of its size, after (1) 200 nights and (2) two winters.
"""
RECORD = {
    "title": TITLE,
    "kind": "method",
    "theme": "knowledge-distillation",
    "also": ["night-work"],
    "system": "LAMPLIGHT",
    "authors": ["Ida Wick", "Ole Flamme"],
    "date": "2026-08",
    "mechanism": "The small lamp is trimmed until its shadow is that of the large lamp.",
    "limits": "Lamps of one maker only.",
    "numbers": [
        {"quote": "200 nights", "role": "scale"},
        {"quote": "two winters", "role": "scale"},
    ],
    "claims": [
        {
            "id": f"{NEW}-gain",
            "quote": "improves accuracy by 3 to 5% over LwF",
            "type": "quantitative",
            "kind": "gain",
            "value": 3,
            "value_high": 5,
            "unit": "percent",
            "basis": "unstated",
            "bound": "exact",
            "metric": "accuracy",
            "benchmark": "CIFAR-100",
            "baseline": "LwF",
            "baseline_named": True,
            "better": "higher",
        },
        {
            "id": f"{NEW}-level",
            "quote": "reaches 71.5 points",
            "type": "quantitative",
            "kind": "level",
            "value": 71.5,
            "unit": "points",
            "basis": "absolute",
            "bound": "exact",
            "better": "higher",
        },
        {
            "id": f"{NEW}-first",
            "quote": "is the first lamp of its size",
            "type": "qualitative",
            "claim_type": "first-to",
            "hedged": False,
            "better": "neutral",
        },
    ],
    "results": [
        {
            "id": "nights",
            "benchmark": "CIFAR-100",
            "metric": "accuracy",
            "better": "higher",
            "baseline": "LwF",
            "baseline_value": 60,
            "method": "LAMPLIGHT",
            "method_value": 62.4,
            "unit": "percent",
            "locator": "Table 1",
            "source": "an invented table",
            "confidence": "low",
            "flag": "invented",
        }
    ],
    "verdicts": [
        {
            "claim": "improves accuracy by 3 to 5% over LwF",
            "finding": "confirmed",
            "basis": "relative",
            "strength": "consistent",
            "why": "2.4 points are 4% of the baseline.",
            "results": ["nights"],
        }
    ],
}


@pytest.fixture
def grown(tmp_path):
    """A copy of the data with the further paper, the ninth theme and a paper that has a lab moved."""
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    (folder / "daily-papers" / "zz-later.txt").write_text(DUMP, encoding="utf-8")
    (folder / "papers" / f"{NEW}.yaml").write_text(yaml.safe_dump(RECORD, sort_keys=False), encoding="utf-8")
    with (folder / "themes.yaml").open("a", encoding="utf-8") as file:
        file.write("- {key: night-work, title: Night work, question: What is learnt when nobody looks?}\n")
    moved = folder / "papers" / "cuber.yaml"
    text = moved.read_text(encoding="utf-8")
    assert "theme: continual-learning\n" in text
    moved.write_text(text.replace("theme: continual-learning\n", "theme: night-work\n"), encoding="utf-8")
    return folder


def test_a_grown_review_loads_with_all_that_it_had(grown, review, capsys, monkeypatch, tmp_path):
    now = load_review(grown)
    assert set(now.papers["key"]) == {*review.papers["key"], NEW}
    assert list(now.papers["key"])[:-1] == list(review.papers["key"])
    kept = now.claims[now.claims["paper"] != NEW].drop(columns="theme").reset_index(drop=True)
    assert kept.equals(review.claims.drop(columns="theme"))
    assert set(now.labs["lab"]) == set(review.labs["lab"])
    assert now.labs.set_index("lab").loc["cuber", "theme"] == "night-work"
    monkeypatch.chdir(tmp_path)  # where there is no book, whose prose `sync` brings up to date
    assert main(["check", "--data", str(grown)]) == 0
    capsys.readouterr()


def test_a_grown_review_asks_for_nothing_but_to_be_mentioned(grown):
    command = [sys.executable, "-m", "pytest", str(HERE), "--ignore", __file__, "--tb=line", "-q"]
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        env=os.environ | {"KTREVIEW_DATA": str(grown), "COLUMNS": "2000"},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    failed = re.findall(r"^(?:FAILED|ERROR) .*", run.stdout, re.MULTILINE)
    assert [line for line in failed if "mention it" not in line] == [], run.stdout
    told = "\n".join(failed)
    for asked in (NEW, "cuber", "night-work"):
        assert asked in told, run.stdout
    assert re.search(r"\b\d\d+ passed", run.stdout), run.stdout
