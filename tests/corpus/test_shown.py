"""What must hold of figures, tables, pages and downloads of the review: a mark a claim, a row a lab."""

from __future__ import annotations

import dataclasses
import json

import jsonschema
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from ktreview import COLUMNS
from ktreview.analysis import query
from ktreview.analysis.related import related
from ktreview.cli import main
from ktreview.corpus import wording
from ktreview.publish import export
from ktreview.show import figures
from ktreview.show.explorer import claims_explorer, labs_explorer
from ktreview.show.tables import corpus as tables
from ktreview.site import pages


def test_the_claims_explorer_has_a_row_a_claim(review):
    soup = BeautifulSoup(claims_explorer(review).html(), "html.parser")
    assert [row.a["data-claim"] for row in soup.select("tbody tr")] == list(review.claims["id"])


def test_the_labs_explorer_has_a_row_a_lab(review):
    soup = BeautifulSoup(labs_explorer(review).html(), "html.parser")
    assert [row.a["data-lab"] for row in soup.select("tbody tr")] == list(review.labs["lab"])


def test_every_gain_is_a_row_of_the_figure_of_gains(review):
    drawn = figures.claimed_gains(review).data["claim"]
    assert sorted(drawn) == sorted(review.claims.loc[review.claims["kind"] == "gain", "id"])


def test_counts_of_papers_agree_wherever_they_are_told(review):
    total = len(review.papers)
    assert query.count(review, "papers") == total
    assert dict(tables.flow(review).data.itertuples(index=False))["papers on the page dump"] == total
    assert figures.themes_by_kind(review).data.set_index("theme").to_numpy().sum() == total
    assert figures.years(review).data["papers"].sum() == total


def test_every_theme_s_table_holds_its_claims(review):
    numeric = review.claims[review.claims["type"] == "quantitative"]
    for theme in review.themes:
        assert len(tables.claims(review, theme).data) == (numeric["theme"] == theme).sum()


def test_every_paper_has_a_page_with_all_its_parts(review):
    # Without labs, whose figures take most of a minute: tests/unit/show draws them.
    review = dataclasses.replace(review, labs=review.labs[:0])
    for key in review.records:
        abstract = BeautifulSoup(pages.part(review, "abstract", key), "html.parser")
        claims = review.claims[review.claims["paper"] == key]
        assert [mark["id"] for mark in abstract.select("mark")] == [
            f"words-{claim}" for claim in claims["id"]
        ]
        for name in pages.PARTS:
            assert pages.part(review, name, key)


def test_no_paper_is_related_to_itself_and_each_score_holds_both_ways(review):
    scores = {
        key: {other: score for other, score, _ in related(review, key, 10_000)} for key in review.records
    }
    for key, near in scores.items():
        assert key not in near
        assert all(scores[other][key] == score for other, score in near.items())


def test_the_downloads_hold_every_row_and_fit_their_schema(review, root, tmp_path, capsys):
    assert main(["export", "--data", str(root), str(tmp_path)]) == 0
    capsys.readouterr()
    for name in COLUMNS:
        frame = pd.read_csv(tmp_path / f"{name}.csv", dtype=str, keep_default_na=False)
        assert len(frame) == len(review.frame(name))
    whole = json.loads((tmp_path / "review.json").read_text(encoding="utf-8"))
    jsonschema.validate(whole, json.loads((tmp_path / "review.schema.json").read_text(encoding="utf-8")))
    assert whole["digest"] == review.digest()
    assert export.bibliography(review).count("\n@") == len(review.records) - 1


def test_check_ends_with_what_it_read(review, root, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where there is no book, whose prose `sync` brings up to date
    assert main(["check", "--data", str(root)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{wording.counted(len(review.papers), 'paper')}, ")
    assert last.endswith(f" {len(review.numbers)} numbers, 0 unaccounted, 0 faults")


@pytest.mark.parametrize("column", ["theme", "kind"])
def test_the_parts_of_a_count_add_up(review, column):
    values = review.papers[column].unique()
    assert sum(query.count(review, f"papers {column}={value}") for value in values) == len(review.papers)
