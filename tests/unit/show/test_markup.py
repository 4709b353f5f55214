"""Tables as HTML."""

from __future__ import annotations

import pandas as pd
from bs4 import BeautifulSoup

from ktreview.show import markup

HOSTILE = '<b onclick="x">&amp;\'</b>'


def test_a_table_shows_dashes_for_what_is_missing_and_escapes_all_but_markup():
    frame = pd.DataFrame(
        {HOSTILE: [HOSTILE], "number": [1.5], "none": [float("nan")], "whole": [2], "made here": ["<i>x</i>"]}
    )
    page = BeautifulSoup(markup.table(frame, HOSTILE, markup=("made here",), anchor="it"), "html.parser")
    assert [cell.text for cell in page.select("td")] == [HOSTILE, "1.5", "–", "2", "x"]
    assert [cell.text for cell in page.select("td.kt-number")] == ["1.5", "–", "2"]
    assert page.select_one("th").text == page.caption.text == page.div["aria-label"] == HOSTILE
    assert not page.select("b")
    assert page.td.find_next("i").text == "x"
    assert page.div["id"] == "it"


def test_a_link_leads_to_a_paper_a_claim_or_a_lab(mini):
    plain, claim, lab = (
        BeautifulSoup(markup.paper_anchor(mini, "hostile", HOSTILE, **place), "html.parser").a
        for place in ({}, {"claim": "hostile-ring"}, {"lab": "ferry"})
    )
    assert plain.text == HOSTILE
    assert plain["href"] == "https://arxiv.org/abs/2212.00003"
    assert plain["data-paper"] == "hostile"
    assert not plain.has_attr("data-claim")
    assert claim["data-claim"] == "hostile-ring"
    assert lab["data-lab"] == "ferry"
