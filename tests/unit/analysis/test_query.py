"""Rows are chosen and counted by conditions."""

from __future__ import annotations

import dataclasses
import re

import pytest

from ktreview.analysis import query
from ktreview.analysis.query import Condition


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("papers", lambda r: len(r.papers)),
        ("papers.theme", lambda r: r.papers["theme"].nunique()),
        (
            "papers/theme=continual-learning;kind!=method",
            lambda r: sum((r.papers["theme"] == "continual-learning") & (r.papers["kind"] != "method")),
        ),
        ("claims.paper/kind=gain", lambda r: r.claims.loc[r.claims["kind"] == "gain", "paper"].nunique()),
        ("claims/baseline_named=yes", lambda r: sum(r.baseline_named.values())),
        ("claims/hedged=yes", lambda r: int(r.claims["hedged"].sum())),
        ("claims/hedged=True", lambda r: int(r.claims["hedged"].sum())),
        ("claims/hedged=no", lambda r: int((~r.claims["hedged"].dropna().astype(bool)).sum())),
        ("claims/hedged=", lambda r: int(r.claims["hedged"].isna().sum())),
        (
            "claims/kind=gain;metric=",
            lambda r: sum((r.claims["kind"] == "gain") & (r.claims["metric"] == "")),
        ),
        ("claims/kind=gain;value>10", lambda r: sum((r.claims["kind"] == "gain") & (r.claims["value"] > 10))),
        ("results/gain_points<0", lambda r: int((r.results["gain_points"] < 0).sum())),
        ("results/gain_points=", lambda r: int(r.results["gain_points"].isna().sum())),
        ("papers/date>2023", lambda r: sum(date[:4] > "2023" for date in r.papers["date"])),
        ("papers/date<2022-08", lambda r: sum(date[:7] < "2022-08" for date in r.papers["date"])),
        (
            "verdicts/claim.hedged=yes",
            lambda r: (
                r.verdicts["claim"].isin(r.claims.loc[r.claims["hedged"].fillna(value=False), "id"]).sum()
            ),
        ),
        (
            "claims/paper.kind=survey;paper.date>2022",
            lambda r: (
                r.claims["paper"]
                .isin(
                    r.papers.loc[(r.papers["kind"] == "survey") & (r.papers["date"].str[:4] > "2022"), "key"]
                )
                .sum()
            ),
        ),
    ],
)
def test_a_count_is_what_pandas_counts(review, text, expression):
    assert query.count(review, text) == expression(review)
    assert query.count(review, " ".join(re.split("[/;]", text))) == expression(review)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the count is empty"),
        ("paper", "there is no frame 'paper' to count; the frames are papers, claims"),
        ("papers/colour=red", "'colour' is no column of papers; its columns are key, n"),
        ("papers/kind", "'kind' is no condition: write column=value, or !=, < or > between them"),
        ("papers/kind=", None),
        ("papers/theme=magic", "'magic' is not a value of papers.theme"),
        ("papers.colour", "'colour' is no column of papers"),
        ("claims/paper.colour=red", "'paper.colour' is no column of claims"),
        ("claims/kind.paper=red", "'kind.paper' is no column of claims"),
        ("claims/paper.kind=magic", "'magic' is not a value of claims.paper.kind"),
        ("papers/title<b", "title has no order: ask for numbers or dates"),
        ("claims/hedged>no", "hedged has no order"),
        ("claims/value>many", "'many' is no number to compare value with"),
        ("papers/date>May", "'May' is no date: write YYYY, YYYY-MM or YYYY-MM-DD"),
    ],
)
def test_a_count_that_means_nothing_is_refused(review, text, message):
    if message is None:  # a column that is never empty has no empty value, and no row is counted
        assert query.count(review, text) == 0
        return
    with pytest.raises(ValueError, match=re.escape(message)):
        query.count(review, text)


def test_a_value_of_the_vocabulary_that_no_row_has_counts_nothing(review):
    fewer = dataclasses.replace(review, verdicts=review.verdicts[review.verdicts["finding"] != "differs"])
    assert query.count(fewer, "verdicts/finding=differs") == 0
    assert query.count(fewer, "verdicts/finding!=differs") == len(fewer.verdicts)


def test_what_is_unequal_and_what_is_equal_make_the_whole(review):
    for condition in ("hedged=yes", "metric=", "paper.kind=survey"):
        read = Condition.parse(condition)
        other = Condition(read.column, "!=", read.value)
        assert len(query.select(review, "claims", [read])) + len(
            query.select(review, "claims", [other])
        ) == len(review.claims)
