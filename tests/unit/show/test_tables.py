"""Tables and counts."""

from __future__ import annotations

import dataclasses
import re

from bs4 import BeautifulSoup

from ktreview.show.tables import corpus as tables


def test_the_table_of_claims_quotes_every_claim_and_links_its_paper(review):
    page = BeautifulSoup(tables.claims(review).html(), "html.parser")
    rows = page.select("tbody tr")
    numeric = review.claims[review.claims["type"] == "quantitative"]
    assert len(rows) == len(numeric)
    for row, claim in zip(rows, numeric.itertuples(), strict=True):
        assert row.select_one("q").text == claim.quote.replace("\\%", "%")
        assert row.select_one("a")["data-paper"] == claim.paper


def test_a_theme_s_table_holds_that_theme_alone(review):
    table = tables.claims(review, "kg-and-llm")
    numeric = review.claims["type"] == "quantitative"
    assert len(table.data) == (numeric & (review.claims["theme"] == "kg-and-llm")).sum()
    gains = tables.claims(review, "kg-and-llm", kinds=["gain"])
    assert set(gains.data["is"].str[:4]) == {"gain"}


def test_hostile_words_stay_words_in_tables(review):
    claims = review.claims.copy()
    claims["metric"] = "<img src=x onerror=alert(1)>"
    claims["quote"] = "<b>bold</b> & `code`"
    page = tables.claims(dataclasses.replace(review, claims=claims.assign(benchmark="<i>"))).html()
    assert "<img" not in page
    assert "<b>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; `code`" in page


def test_code_availability_adds_up(review):
    data = tables.code_availability(review).data
    assert list(data.iloc[-1, 1:]) == list(data.iloc[:-1, 1:].sum())
    assert (data.iloc[:, 2:].sum(axis=1) == data["papers"]).all()


def test_the_flow_narrows_from_papers_to_comparable_gains(review):
    counts = dict(tables.flow(review).data.itertuples(index=False))
    assert counts["papers on the page dump"] == len(review.papers)
    assert counts["gains over a named baseline"] <= counts["gains over something"]
    shown = re.findall(r"<strong>(\d+)</strong>", tables.flow(review).html())
    assert [int(count) for count in shown] == list(counts.values())
