"""Cards, and that everything shown is had by one short call."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup

from ktreview import show
from ktreview.corpus import wording
from ktreview.show import figures


def parse(cards):
    return BeautifulSoup(cards.html(), "html.parser")


def test_every_name_is_there_and_every_figure_has_one():
    assert all(callable(getattr(show, name)) for name in show.__all__)
    assert set(figures.__all__) - {"Figure"} <= set(show.__all__)
    assert show.lab is not show.lab_figure
    assert set(show.__all__) <= set(dir(show))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        show.nothing  # noqa: B018


def test_nothing_is_drawn_before_it_is_asked_for():
    code = "import sys; from ktreview import show; sys.exit(any(m in sys.modules for m in ('matplotlib', 'jinja2')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("theme", ["lantern-making", "tide-reading", "cloud-naming"])
def test_a_theme_has_a_card_a_paper_with_its_claims(mini, theme):
    cards = parse(show.papers(mini, theme)).select("article")
    keys = mini.papers.loc[mini.papers["theme"] == theme, "key"]
    assert [card["id"] for card in cards] == [f"paper-{key}" for key in keys]
    for key, card in zip(keys, cards, strict=True):
        quotes = mini.claims.loc[mini.claims["paper"] == key, "quote"]
        assert [quote.text for quote in card.select("q")] == list(map(wording.plain, quotes))
        assert ("No claim in the abstract." in card.text) == quotes.empty
        assert mini.records[key].limits in card.text


def test_hostile_words_stay_words_in_a_paper_s_card(mini):
    paper = mini.records["hostile"]
    card = next(
        card
        for card in parse(show.papers(mini, paper.theme)).select("article")
        if card["id"] == "paper-hostile"
    )
    assert not card.select("img, script, marquee, b, i, u")
    for words in (paper.title, paper.mechanism, paper.limits, paper.venue, paper.system):
        assert words in card.text
    assert card.select_one('a[href^="https://example.org"]')["href"] == paper.code.url


def test_a_lab_s_card_says_what_was_asked_and_found_and_leads_to_the_whole(mini):
    runs = mini.lab_runs.copy()
    runs.loc[(runs["arm"] == "ferried") & (runs["seed"] >= 200), "value"] += 5  # or both effects would be one
    mini = dataclasses.replace(mini, lab_runs=runs)
    card = parse(show.lab(mini, "ferry")).section
    declared = mini.declared["ferry"]
    compared, effect, replication, outcome = mini.compared("ferry")[0]
    assert card["id"] == "lab-ferry"
    assert card.select_one(".kt-badge").text == wording.OUTCOMES[outcome]
    assert [arm.text for arm in card.select("dt")] == ["alone (baseline)", "ferried (method)"]
    assert [what.text for what in card.select("dd")] == [declared.arms["alone"], declared.arms["ferried"]]
    assert (
        f"{wording.effect(effect)} on seeds 0 to 7; {wording.effect(replication)} on seeds 200" in card.text
    )
    assert (card.a["data-paper"], card.a["data-lab"]) == ("ferry", "ferry")
    assert compared.question in card.text
    assert not card.select("b")
    assert len(card.text) < 700


def test_cards_are_html_in_jupyter_and_short_in_a_terminal(mini):
    cards = show.papers(mini, "lantern-making")
    assert set(cards._repr_mimebundle_()) == {"text/html", "text/plain"}
    assert len(repr(cards)) < 100


def test_what_is_not_there_is_refused_in_words(mini):
    with pytest.raises(KeyError, match="no theme 'magic'; themes are lantern-making"):
        show.papers(mini, "magic")
    with pytest.raises(KeyError, match="no lab 'marsh' that has run; there are"):
        show.lab(mini, "marsh")
