"""Tables, counts and agreement."""

from __future__ import annotations

import dataclasses
import re

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from ktreview.analysis import agreement as annotation
from ktreview.corpus.numbers import role_by_rule, tokens
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
    assert counts["papers on the page dump"] == 72
    assert counts["gains over a named baseline"] <= counts["gains over something"]
    shown = re.findall(r"<strong>(\d+)</strong>", tables.flow(review).html())
    assert [int(count) for count in shown] == list(counts.values())


def test_agreement_is_cohens_kappa_worked_by_hand(monkeypatch):
    def paper(kind, role, claims):
        return {"kind": kind, "theme": "a", "roles": {0: role, 1: "scale"}, "claims": claims}

    def claim(basis):
        fields = dict.fromkeys(
            ("kind", "unit", "bound", "better", "value", "quote", "metric", "benchmark"), "x"
        )
        return fields | {"token": 0, "basis": basis, "baseline": "", "baseline_named": False}

    first = {
        "p": paper("method", "gain", [claim("relative")]),
        "q": paper("method", "scale", []),
        "r": paper("survey", "gain", [claim("absolute")]),
        "s": paper("survey", "gain", [claim("relative")]),
    }
    second = {
        "p": paper("method", "gain", [claim("relative")]),
        "q": paper("survey", "scale", []),
        "r": paper("survey", "gain", [claim("relative")]),
        "s": paper("survey", "scale", []),
    }
    monkeypatch.setattr(annotation, "_read", {"pass-1": first, "pass-2": second}.get)
    table = annotation.agreement().set_index("field")
    # Kinds: 3 of 4 alike; by chance (2/4)(1/4) + (2/4)(3/4) = 1/2; kappa = (3/4 - 1/2) / (1 - 1/2).
    assert table.loc["kind of a paper", ["items", "agreed"]].tolist() == [4, 3]
    assert table.loc["kind of a paper", "kappa"] == pytest.approx(0.5)
    # Themes never vary, so that kappa means nothing.
    assert pd.isna(table.loc["theme of a paper", "kappa"])
    # Of eight numbers, three and two are claims, two in common.
    assert table.loc["a number is a claim's value", ["items", "agreed"]].tolist() == [8, 7]
    # Two claims in common: one basis alike.
    assert table.loc["basis of a claim", ["items", "agreed"]].tolist() == [2, 1]
    assert pd.isna(table.loc["metric of a claim", "kappa"])


def test_the_two_passes_cover_every_paper_and_every_open_number(review):
    table = annotation.agreement().set_index("field")
    assert table.loc["theme of a paper", "items"] == 72
    open_numbers = sum(
        role_by_rule(abstract, token) is None
        for abstract in review.papers["abstract"]
        for token in tokens(abstract)
    )
    assert table.loc["role of a number", "items"] == open_numbers
