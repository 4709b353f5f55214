"""What claims state of themselves: each rule on worked examples, and the counts and figures made of it."""

from __future__ import annotations

import dataclasses
import re
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktreview import load_review
from ktreview.analysis import reporting
from ktreview.corpus.load import read_review
from ktreview.show.figures import reporting as figures

SVG = "{http://www.w3.org/2000/svg}"


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


def test_counts_of_the_figure_are_those_of_the_records(review):
    data = figures.reporting_quality(review).data.set_index(["part", "group", "item"]).sort_index()
    gains = review.claims[review.claims["kind"] == "gain"]
    percent = gains[gains["unit"] == "percent"]
    every = data.loc[("Claims with a number", "All")]
    assert list(every.loc["baseline", ["stated", "asked"]]) == [
        sum(review.baseline_named[claim] for claim in gains["id"]),
        len(gains),
    ]
    assert list(every.loc["basis", ["stated", "asked"]]) == [
        (percent["basis"] != "unstated").sum(),
        len(percent),
    ]
    for part in data.index.unique("part"):
        of_part = data.loc[part]
        by_theme = of_part.drop("All").groupby("item")[["stated", "asked"]].sum()
        assert by_theme.equals(of_part.loc["All"].loc[by_theme.index, ["stated", "asked"]].astype(int))


def test_a_share_of_too_few_claims_gets_no_light_and_every_cell_shows_its_counts(review):
    figure = figures.reporting_quality(review)
    few = figure.data[figure.data["asked"] < 3]
    assert len(few)
    assert set(few["says"]) == {"too few to say"}
    for svg in (figure.svg,):
        shown = " ".join(element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text"))
        shown += " ".join(element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}tspan"))
        for row in figure.data.itertuples():
            assert f"{row.stated}/{row.asked}" in shown
    for row in figure.data.itertuples():
        assert f"{row.item} {row.stated} of {row.asked}" in figure.alt


@pytest.mark.parametrize("by", ["theme", "kind", "year"])
def test_bars_show_every_count(review, by):
    figure = figures.reporting_bars(review, by=by)
    assert (figure.data["stated"] <= figure.data["asked"]).all()
    for row in figure.data.itertuples():
        assert f"{row.group} {row.stated} of {row.asked}" in figure.alt
        assert f">{row.stated}/{row.asked}<" in figure.svg
    metric = figure.data[figure.data["item"] == "metric"]
    quantitative = (review.claims["type"] == "quantitative").sum()
    comparisons = review.claims["claim_type"].isin(reporting.COMPARISONS).sum()
    assert metric["asked"].sum() == quantitative + (comparisons if by == "kind" else 0)


def test_a_bar_is_as_long_as_its_share_and_as_thick_as_its_claims_are_many():
    drawn = pd.DataFrame(
        [("metric", "a", 1, 2), ("metric", "b", 8, 8)], columns=["item", "group", "stated", "asked"]
    )
    axes = figures._draw_bars(drawn, ["a", "b"], narrow=False).axes[0]
    half, full = axes.patches
    assert half.get_width() * 2 == pytest.approx(full.get_width())
    assert half.get_height() < full.get_height()


def test_bars_by_something_else_are_refused(review):
    with pytest.raises(ValueError, match="can't group by 'colour'"):
        figures.reporting_bars(review, by="colour")


MAKERS = [
    figures.reporting_quality,
    figures.reporting_bars,
    figures.before_and_after,
    figures.claimed_and_computed,
]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_drawing_twice_gives_the_same_bytes_in_colours_that_adapt(make, review):
    figure = make(review)
    assert figure.html() == make(load_review()).html()
    for svg in (figure.svg,):
        assert ET.fromstring(svg).get("aria-label") == figure.alt
        assert not re.findall(r"#[0-9a-f]{6}", re.sub(r"var\([^)]*\)", "", svg))


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_hostile_records_stay_text_in_figures(make, edit):
    hostile = "<script>alert(1)</script> & \"'"

    def change(record):
        record["system"] = hostile
        for result in record["results"]:
            result["benchmark"] = hostile

    review, faults = read_review(edit("kg-traces", change))
    assert not faults
    themes = {
        key: theme.model_copy(update={"title": f"{key} {hostile}"}) for key, theme in review.themes.items()
    }
    page = make(dataclasses.replace(review, themes=themes)).html()
    assert "<script" not in page
    assert "alert(1)" in page


def test_bands_go_where_the_verdicts_say_and_lead_to_the_words(review):
    figure = figures.before_and_after(review)
    verdicts = review.verdicts.set_index("claim")
    percent = review.claims[(review.claims["kind"] == "gain") & (review.claims["unit"] == "percent")]
    assert sorted(figure.data["claim"]) == sorted(percent["id"])
    for row in figure.data.itertuples(index=False, name=None):
        claim, makes = row[0], row[4]
        if claim not in verdicts.index:
            assert makes == "not looked up"
        elif makes == "still open":
            assert verdicts["basis"][claim] == "unresolved"
        else:
            word, strength = makes.split(", ")
            assert verdicts["basis"][claim] == {"points": "absolute", "relative": "relative"}[word]
            assert verdicts["strength"][claim] == strength
    for svg in (figure.svg,):
        links = ET.fromstring(svg).findall(f".//{SVG}a")
        assert sorted(link.get("data-claim") for link in links) == sorted(percent["id"])
        assert all(link.get("data-claim").startswith(link.get("data-paper")) for link in links)


def test_computed_gains_are_those_of_the_results(review):
    data = figures.claimed_and_computed(review).data
    row = data[data["claim"] == "kg-traces-4"].iloc[0]
    # 62.6 to 65.6
    assert row["points"] == pytest.approx(3.0)
    assert row["percent of the baseline"] == pytest.approx(4.79, abs=0.01)
    assert not row["points fits"]
    assert row["percent of the baseline fits"]
    unresolved = data[data["claim"] == "knowledge-preference-2"]
    assert unresolved["points fits"].any()
    assert unresolved["percent of the baseline fits"].any()


@pytest.mark.parametrize(
    ("claimed", "bound", "computed", "fits"),
    [
        (2.3, "exact", 2.27, True),
        (2.3, "exact", 3.3, False),
        (23, "approx", 22.9, True),
        (16, "exact", 16.6, False),
        (8, "at-least", 8.0, True),
        (8, "at-least", 7.9, False),
        (8, "at-least", 9.0, False),
        (22, "exact", None, False),
        (22, "exact", float("nan"), False),
    ],
)
def test_a_gain_has_the_claimed_size_at_the_printed_precision(claimed, bound, computed, fits):
    assert figures.has_size(claimed, bound, computed) == fits


def test_a_mark_stands_at_the_multiple_of_the_claim(review):
    data = figures._computed(review)
    one = data[data["claim"] == "kg-traces-4"]
    canvas = figures._draw_computed(one, narrow=False)
    points, relative = (line for line in canvas.axes[0].lines if line.get_marker() in ("o", "s"))
    labels = {text.get_text(): text.get_position()[0] for text in canvas.axes[0].texts}
    unit = labels["claimed"] - labels["0×"]
    assert (points.get_xdata()[0] - labels["0×"]) / unit == pytest.approx(3.0 / 4.8, abs=0.01)
    assert (relative.get_xdata()[0] - labels["0×"]) / unit == pytest.approx(1.0, abs=0.01)
