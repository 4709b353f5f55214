"""What labs measured, as drawn, listed and shown on pages."""

from __future__ import annotations

import functools
import re
from xml.etree import ElementTree as ET

import drawing
import pytest
from bs4 import BeautifulSoup

from ktreview import load_review
from ktreview.corpus import wording
from ktreview.corpus.outcomes import REPLICATION, SEEDS
from ktreview.show import figures
from ktreview.show.explorer import labs_explorer
from ktreview.site import pages

REVIEW = load_review()
NAMES = list(REVIEW.labs["lab"])
SVG = "{http://www.w3.org/2000/svg}"


@functools.cache
def figure_of(name: str) -> figures.Figure:
    return figures.lab(REVIEW, name)


def texts(svg: str) -> str:
    return " ".join(element.text for element in ET.fromstring(svg).iter(f"{SVG}text") if element.text)


SHAPES = {"supports": "up", "contradicts": "down", "undecided": "circle"}


@pytest.mark.parametrize("name", NAMES)
def test_every_seed_stands_at_its_value_and_every_difference_at_its_interval(review, name):
    figure = figure_of(name)
    runs = review.lab_runs[review.lab_runs["lab"] == name]
    compared = {}
    for row in review.compared(name):
        compared.setdefault((row[0].regime, row[0].metric), []).append(row)
    panels = drawing.panels(figure.svg)
    assert len(panels) == 2 * len(compared)
    for n, ((regime, metric), rows) in enumerate(compared.items()):
        shown = runs[(runs["regime"] == regime) & (runs["metric"] == metric)]
        check_seeds(panels[2 * n], dict(list(shown.groupby("arm"))))
        check_differences(panels[2 * n + 1], rows)
    kept = figure.data.melt(["regime", "metric", "arm"], var_name="seed").dropna()
    assert len(kept) == sum(len(runs[(runs["regime"] == r) & (runs["metric"] == m)]) for r, m in compared)


def check_seeds(panel, arms, *, log=False):
    value = functools.partial(panel.value, log=log)
    lines = [line for line in panel.lines if line.colour == "ink"]
    heights = sorted({mark.y for mark in panel.marks})
    assert len(heights) == len(arms)
    close = {"rel": 2e-3} if log else {"abs": panel.step()}
    for y in heights:
        row = panel.below(y - 14, y + 9)
        (label,) = [words.text for words in row.words if words.anchor == "start"]
        runs = next(runs for arm, runs in arms.items() if arm == label or arm.startswith(label.rstrip("…")))
        for filled, seeds in ((True, SEEDS), (False, REPLICATION)):
            wanted = sorted(runs.loc[runs["seed"].isin(seeds), "value"])
            at = sorted(value(mark.x) for mark in row.marks if mark.filled == filled)
            assert at == pytest.approx(wanted, **close)
        decides = runs.loc[runs["seed"].isin(SEEDS), "value"]
        ticks = [line for line in lines if min(line.ys) < y < max(line.ys)]
        assert [value(line.xs[0]) for line in ticks] == pytest.approx(
            [decides.mean()] if len(decides) else [], **close
        )


def check_differences(panel, rows):
    intervals = [line for line in panel.lines if line.ys[0] == line.ys[1]]
    zeros = [line for line in panel.lines if line.colour == "ink"]
    assert len(zeros) == len(rows)
    assert [panel.value(line.xs[0]) for line in zeros] == pytest.approx([0] * len(rows), abs=panel.step())
    drawn = iter(zip(intervals, panel.marks, strict=True))
    for _, first, second, outcome in rows:
        for tested, filled in ((first, True), (second, False)):
            line, mark = next(drawn)
            ends = [panel.value(x) for x in line.xs]
            assert ends == pytest.approx([tested.low, tested.high], abs=panel.step())
            assert panel.value(mark.x) == pytest.approx(tested.effect, abs=panel.step())
            assert (mark.shape, mark.filled) == (SHAPES[outcome], filled)
            assert mark.y == line.ys[0]
    assert next(drawn, None) is None
    told = " ".join(panel.said())
    assert re.findall("supports|contradicts|undecided", told) == [row[3] for row in rows]


def test_losses_of_one_name_stand_at_their_values(review):
    runs = review.lab_runs.query("lab == 'torchdistill' and regime == 'scalings'")
    panels = drawing.panels(figures.scalings(review).svg)
    for panel, metric in zip(panels, ("loss", "gradient", "accuracy"), strict=True):
        arms = dict(list(runs[runs["metric"] == metric].groupby("arm")))
        check_seeds(panel, arms, log=metric != "accuracy")


def test_every_lab_stands_at_its_effect_with_the_mark_of_its_outcome(review):
    figure = figures.labs(review)
    (panel,) = drawing.panels(figure.svg)
    intervals = [line for line in panel.lines if line.ys[0] == line.ys[1]]
    labs = review.labs.set_index("lab")
    assert len(intervals) == len(figure.data)
    for (_, row), line in zip(figure.data.iterrows(), intervals, strict=True):
        near = panel.below(line.ys[0] - 6, line.ys[0] + 6)
        wanted = [row[column] for column in ("replication in sd", "effect in sd")]
        at = [panel.value(mark.x) for mark in near.marks]
        assert at == pytest.approx([min(max(sd, -4), 8) for sd in wanted], abs=panel.step())
        assert [mark.filled for mark in near.marks] == [False, True]
        assert {mark.shape for mark in near.marks} == {SHAPES[labs.loc[row["lab"], "verdict"]]}
        ends = [panel.value(x) for x in line.xs]
        assert ends == pytest.approx([min(max(row[end], -4), 8) for end in ("low", "high")], abs=panel.step())


@pytest.mark.parametrize("name", NAMES)
def test_the_title_says_verdict_effect_and_replication_and_the_text_the_means(review, name):
    figure = figure_of(name)
    compared, first, second, outcome = review.compared(name)[0]
    assert figure.title.startswith(wording.OUTCOMES[outcome])
    assert wording.effect(first) in figure.title
    assert wording.effect(second) in figure.title
    assert f"{compared.baseline} {first.baseline_mean:.4g}" in figure.alt
    for _, _, _, found in review.compared(name):
        assert found in texts(figure.svg)


def test_an_unknown_lab_is_refused(review):
    with pytest.raises(ValueError, match="there is no lab 'nosuch' that has run; there are "):
        figures.lab(review, "nosuch")


def test_the_overview_counts_honestly_and_turns_every_effect_towards_the_claim(review):
    figure = figures.labs(review)
    counts = review.labs["verdict"].value_counts()
    assert f"{counts.get('supports', 0)} come out for the claimed direction" in figure.title
    assert f"{counts.get('contradicts', 0)} against it" in figure.title
    assert len(figure.data) == len(review.labs)
    drawn = figure.data.set_index("lab")
    for row in review.labs.itertuples():
        towards = row.effect if row.better == "higher" else -row.effect
        assert (drawn.loc[row.lab, "effect in sd"] > 0) == (towards > 0)
        assert drawn.loc[row.lab, "effect in sd"] == pytest.approx(
            row.dz if row.better == "higher" else -row.dz
        )
        assert drawn.loc[row.lab, "low"] <= drawn.loc[row.lab, "effect in sd"] <= drawn.loc[row.lab, "high"]


def test_the_explorer_lists_every_lab_beside_what_is_claimed(review):
    soup = BeautifulSoup(labs_explorer(review).html(), "html.parser")
    found = soup.select("tbody tr")
    assert [row.a["data-lab"] for row in found] == NAMES
    for row, lab in zip(found, review.labs.itertuples(), strict=True):
        assert row["data-verdict"] == lab.verdict
        assert lab.verdict in row.select("td")[3].text
        assert lab.question in row.text
        if lab.claim:
            quote = review.claims.set_index("id").loc[lab.claim, "quote"]
            assert row.q.text == wording.plain(quote)
    options = {option["value"] for option in soup.select("select[name=verdict] option")} - {""}
    assert options == set(review.labs["verdict"])


@pytest.mark.parametrize("name", NAMES)
def test_a_lab_stands_on_its_paper_s_page_with_code_seeds_and_limits(review, name):
    declared = review.declared[name]
    page = BeautifulSoup(pages.part(review, "labs", declared.paper), "html.parser")
    own = page.select_one(f"section#lab-{name}")
    for function in declared.mechanism:
        assert f"def {function}(" in own.pre.text or f"class {function}" in own.pre.text
    assert own.math is not None
    assert own.select_one(f".kt-figure#figure-lab-{name}, .kt-figure > #figure-lab-{name}")
    assert declared.shows_not in own.text
    assert {dt.text for dt in own.select(".kt-arms dt")} >= {
        f"{declared.baseline} (baseline)",
        f"{declared.method} (method)",
    }
    assert [row.select("td")[-1].text for row in own.select(".kt-lab > .kt-table tbody tr")] == [
        outcome for *_, outcome in review.compared(name)
    ]


def test_a_paper_without_a_lab_says_so(review):
    keys = [key for key in review.records if key not in set(review.labs["paper"])]
    for key in keys[:1]:
        assert "No lab runs this paper’s mechanism yet." in pages.part(review, "labs", key)


def test_seeds_that_decide_and_seeds_that_must_agree_are_apart():
    assert not set(SEEDS) & set(REPLICATION)
