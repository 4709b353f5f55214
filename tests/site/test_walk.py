"""A reader follows a number from a figure to its words, to the table and back; hostile records do nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from sphinx.application import Sphinx

from ktreview import load_review, show
from ktreview.corpus.review import DATA
from ktreview.site import links

HOSTILE = "<script>window.bad=true</script> <img src=x onerror='window.bad=true'> {claim}`x` {{x}} ```{raw} html``` "
HOSTILE += "`code` **bold** $x$ \\(y\\) [a](javascript:window.bad=yes) \"'&amp; a\u202eb | # %"


@pytest.fixture
def page(browser):
    context = browser.new_context()
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def test_from_a_mark_to_the_words_to_the_result_and_back(site, page):
    page.goto((site / "book" / "themes" / "kg-and-llm.html").as_uri())
    mark = page.locator('.kt-figure svg a[data-claim="kg-traces-2"][aria-label]')
    mark.click()
    page.wait_for_url("**/book/papers/kg-traces.html#words-kg-traces-2")
    words = page.locator("#words-kg-traces-2")
    words.wait_for(state="visible")
    assert "improves Hits@1 by 1.6%" in words.inner_text()
    words.locator("a").click()
    page.wait_for_url("**#claim-kg-traces-2")
    page.locator("#verdict-kg-traces-2 a").first.click()
    page.wait_for_url("**#result-webqsp-hits")
    assert "87.1% against 85.7% (RoG)" in page.locator("#result-webqsp-hits").inner_text()
    page.go_back()
    page.locator("#claim-kg-traces-2").get_by_text("in the abstract").click()
    page.wait_for_url("**#words-kg-traces-2")
    page.get_by_role("link", name="Knowledge graphs and language models").last.click()
    page.wait_for_url("**/book/themes/kg-and-llm.html")


def test_from_a_difference_in_the_prose_to_its_lab_by_keyboard(site, page):
    page.goto((site / "book" / "themes" / "knowledge-editing.html").as_uri())
    difference = page.locator("#what-to-use-when td a:has(.kt-effect)").first
    assert (difference.get_attribute("title") or "").endswith("?"), "what the lab asks"
    difference.focus()
    assert difference.evaluate("(link) => getComputedStyle(link).outlineStyle") != "none"
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/papers/easyedit.html#lab-easyedit")
    page.locator("#lab-easyedit .kt-figure svg").wait_for(state="visible")


def test_a_bibtex_entry_can_be_copied(site, browser):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto((site / "book" / "papers" / "panda.html").as_uri())
    page.locator(".highlight-bibtex button.copybtn").click()
    page.wait_for_timeout(200)
    assert page.evaluate("navigator.clipboard.readText()").startswith("@misc{panda,")
    context.close()


# One process makes and opens the site of hostile records.
hostile = pytest.mark.xdist_group("hostile records")


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory):
    """A book of one paper whose every free text is hostile."""
    root = tmp_path_factory.mktemp("hostile")
    data = root / "data"
    (data / "papers").mkdir(parents=True)
    (data / "daily-papers").mkdir()
    shutil.copy(DATA / "themes.yaml", data)
    shutil.copy(DATA / "index.yaml", data)
    title = f"A title {HOSTILE}"
    abstract = f"We report {HOSTILE}. It improves <b>accuracy</b> by 3.1% over {HOSTILE}. We find <i>nothing</i> else."
    (data / "daily-papers" / "dump.txt").write_text(f"{title}\n\n{abstract}\n", encoding="utf-8")
    quote = "improves <b>accuracy</b> by 3.1%"
    record = {
        "title": title, "kind": "method", "theme": "continual-learning", "system": HOSTILE, "arxiv": "2401.00001",
        "authors": [HOSTILE, "B C"], "date": "2024-01-01", "venue": HOSTILE, "mechanism": HOSTILE, "limits": HOSTILE,
        "claims": [
            {"id": "bad-1", "quote": quote, "type": "quantitative", "kind": "gain", "value": 3.1, "unit": "percent",
             "basis": "unstated", "bound": "exact", "metric": "<b>accuracy</b>", "baseline": "<script>window.bad=true</script>",
             "better": "higher"},
            {"id": "bad-2", "quote": "We find <i>nothing</i> else", "type": "qualitative", "claim_type": "other", "hedged": False,
             "better": "neutral"},
        ],
        "results": [
            {"id": "r", "benchmark": HOSTILE, "setting": HOSTILE, "metric": HOSTILE, "better": "higher", "baseline": HOSTILE,
             "baseline_value": 1, "method": HOSTILE, "method_value": 2, "unit": "percent", "locator": HOSTILE,
             "source": HOSTILE, "confidence": "high", "flag": HOSTILE}
        ],
        "verdicts": [
            {"claim": quote, "finding": "confirmed", "basis": "relative", "strength": "shown", "why": HOSTILE, "results": ["r"]}
        ],
    }  # fmt: skip
    (data / "papers" / "bad.yaml").write_text(yaml.safe_dump(record, allow_unicode=True), encoding="utf-8")
    source = root / "source"
    source.mkdir()
    (source / "conf.py").write_text(
        "extensions = ['myst_parser', 'ktreview.site.sphinx_ext']\nroot_doc = 'index'\nhtml_theme = 'basic'\n"
        f"smartquotes = False\nktreview_data = {str(data)!r}\n"
    )
    review = load_review(str(data))
    named = ("paper:bad", "title:bad", "claim:bad-1", "value:bad-1", "result:bad/r", "verdict:bad-1")
    written = [f"[{links.escape(links.words(review, links.parse(what)))}]({what})" for what in named]
    made = (
        show.papers(review, "continual-learning"),
        show.claims(review),
        show.paper_table(review),
        show.claimed_gains(review),
    )
    shown = [f"~~~~~~{{raw}} html\n{thing.html()}\n~~~~~~" for thing in made]
    (source / "index.md").write_text(
        f"# Index\n\n{' '.join(written)}\n\n"
        + "\n\n".join(shown)
        + "\n\n```{toctree}\nbook/papers/bad\n```\n"
    )
    Sphinx(source, source, root / "html", root / "trees", "html", status=None, warning=None).build()
    return root / "html"


@hostile
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("shown", ["index.html", "book/papers/bad.html"])
def test_hostile_records_are_inert_and_come_out_as_the_characters_they_are(hostile_site, browser, shown):
    context = browser.new_context()
    page = context.new_page()
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto((hostile_site / shown).as_uri())
    page.wait_for_timeout(300)
    assert page.evaluate("window.bad") is None
    assert not dialogs
    assert page.locator("img[src=x]").count() == 0
    assert page.locator('a[href^="javascript"]').count() == 0
    text = " ".join(page.locator("body").text_content().split())
    assert " ".join(HOSTILE.split()) in text
    if shown == "index.html":
        page.locator(".kt-figure svg a[data-claim]").first.hover()
        titles = page.evaluate("[...document.querySelectorAll('svg title')].map(t => t.textContent)")
        assert any("<script>window.bad=true</script>" in title for title in titles)
    assert page.evaluate("window.bad") is None
    context.close()


@hostile
def test_hostile_records_are_inert_in_downloads(hostile_site):
    folder = Path(hostile_site) / "_static" / "data"
    papers = pd.read_csv(folder / "papers.csv", dtype=str, keep_default_na=False)
    assert papers["title"][0] == " ".join(f"A title {HOSTILE}".split())
