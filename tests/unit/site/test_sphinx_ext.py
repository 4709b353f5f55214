"""The book's roles and directives in a small book of their own."""

from __future__ import annotations

import dataclasses
import io

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

from ktreview.corpus import wording
from ktreview.site import sphinx_ext

# Sphinx and its extensions warn of their own future; that is not ours to test.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def build(tmp_path):
    """Build pages given as `docname=text`; return the pages as soup, the warnings and the app."""

    def make(**pages: str):
        source = tmp_path / "source"
        for name, text in pages.items():
            path = source / f"{name.replace('__', '/').replace('_', '-')}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (source / "book").mkdir(exist_ok=True)
        (source / "conf.py").write_text(
            "extensions = ['myst_parser', 'ktreview.site.sphinx_ext']\nroot_doc = 'index'\nhtml_theme = 'basic'\n"
            "exclude_patterns = ['book/papers']\n"
        )
        told = io.StringIO()
        app = Sphinx(
            source,
            source,
            tmp_path / "html",
            tmp_path / "trees",
            "html",
            status=None,
            warning=told,
            freshenv=True,
        )
        app.build()
        soups = {
            path.relative_to(tmp_path / "html").as_posix(): BeautifulSoup(
                path.read_text("utf-8"), "html.parser"
            )
            for path in (tmp_path / "html").rglob("*.html")
        }
        # Of the pages; this small book has another theme and no table of contents.
        warnings = [line for line in told.getvalue().splitlines() if ".md" in line and "toctree" not in line]
        return soups, warnings, app

    return make


def test_roles_say_what_the_records_say(build, review):
    soups, warnings, _ = build(
        index="# A\n\n{paper}`panda` says {claim}`panda-2`, that is {value}`panda-3`, "
        "in {count}`papers` papers.\n"
    )
    assert warnings == []
    text = soups["index.html"].find("p").text
    assert text == (
        "PANDA says “outperforms the vanilla PoT approach by 2.3% average score”, that is up to 24.1%, "
        f"in {len(review.papers)} papers."
    )


def test_a_link_leads_to_the_chapter_where_there_is_one_and_else_to_arxiv(build):
    soups, _, _ = build(
        index="# A\n\n{paper}`cuber` and {paper}`gdcan`\n",
        book__themes__continual_learning="# B\n\n{paper}`cuber`\n\n```{papers} continual-learning\n```\n",
    )
    first, second = soups["index.html"].select("a.kt-paper")
    assert first["href"] == "book/themes/continual-learning.html#paper-cuber"
    assert second["href"] == "https://arxiv.org/abs/2103.12339"
    chapter = soups["book/themes/continual-learning.html"]
    assert chapter.select_one("a.kt-paper")["href"] == "#paper-cuber"
    assert chapter.select_one("#paper-cuber") is not None


def test_cards_show_every_paper_of_the_theme_with_its_claims(build, review):
    soups, warnings, _ = build(index="# A\n\n```{papers} knowledge-editing\n```\n")
    assert warnings == []
    cards = soups["index.html"].select(".kt-card")
    papers = review.papers[review.papers["theme"] == "knowledge-editing"]
    assert [card["id"] for card in cards] == [f"paper-{key}" for key in papers["key"]]
    for card, row in zip(cards, papers.itertuples(), strict=True):
        assert row.title in card.text
        quotes = review.claims.loc[review.claims["paper"] == row.key, "quote"]
        assert card.select_one("a.kt-paper")["data-paper"] == row.key
        assert [q.text for q in card.select("q")] == [quote.replace("\\%", "%") for quote in quotes]


def test_marks_in_figures_and_tables_lead_to_the_same_places(build):
    soups, warnings, _ = build(
        index="# A\n\n```{show} figure claimed-gains\n:theme: continual-learning\n```\n\n```{show} table claims\n```\n",
        book__themes__continual_learning="# B\n",
    )
    assert warnings == []
    marks = soups["index.html"].select("a[data-paper=exssnet]")
    assert marks
    assert {mark["href"] for mark in marks} == {"book/themes/continual-learning.html#paper-exssnet"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{paper}`nobody`", "there is no paper 'nobody' in the records"),
        ("{claim}`panda-9`", "there is no claim 'panda-9' in the records"),
        ("{value}`nobody-1`", "there is no claim 'nobody-1' in the records"),
        ("{count}`papers theme=magic`", "'magic' is not a value of papers.theme"),
        ("```{papers} magic\n```", "there is no theme 'magic'; themes are knowledge-distillation"),
        ("```{show} figure magic\n```", "there is no figure 'magic'"),
    ],
)
def test_what_does_not_exist_is_a_warning_that_names_the_page(build, text, message):
    _, warnings, _ = build(index=f"# A\n\n{text}\n")
    assert any(message in line and "index.md" in line for line in warnings), warnings


def test_a_changed_record_outdates_the_pages_that_show_it_and_no_others(build, review, monkeypatch):
    _, _, app = build(
        index="# A\n\n{paper}`cuber`\n\n{count}`claims kind=gain`\n",
        other="# B\n\n{claim}`panda-2`\n",
        cards="# C\n\n```{papers} continual-learning\n```\n",
        rest="# D\n\nNothing of the records.\n",
    )

    def outdated(changed):
        monkeypatch.setattr(sphinx_ext, "_review", changed)
        return sorted(sphinx_ext._outdated(app, app.env, set(), set(), set()))

    assert outdated(review) == []
    claims = review.claims.assign(quote=review.claims["quote"].str.replace("vanilla", "plain"))
    assert outdated(dataclasses.replace(review, claims=claims)) == ["other"]
    careful = review.records["cuber"].model_copy(update={"limits": "Something else."})
    assert outdated(dataclasses.replace(review, records=review.records | {"cuber": careful})) == ["cards"]
    fewer = review.claims[review.claims["id"] != "panda-2"]
    assert outdated(dataclasses.replace(review, claims=fewer)) == ["index", "other"]


def test_a_build_leaves_the_downloads_beside_the_pages(build, tmp_path):
    build(index="# A\n")
    folder = tmp_path / "html" / "_static" / "data"
    assert (folder / "claims.csv").read_text("utf-8").startswith("id,paper,theme,type,kind,quote,start,end,")
    assert "@misc{panda," in (folder / "references.bib").read_text("utf-8")


def test_a_changed_style_sheet_reaches_the_site_though_no_page_changed(build, tmp_path):
    pages = {"index": "# A\n", "conf_extra": "# B\n"}
    build(**pages)
    style = tmp_path / "source" / "book" / "_static" / "own.css"
    style.parent.mkdir()
    for text in ("a {}", "b {}"):
        style.write_text(text)
        options = {"html_static_path": ["book/_static"], "html_css_files": ["own.css"]}
        where = (tmp_path / "source", tmp_path / "source", tmp_path / "html", tmp_path / "trees")
        Sphinx(*where, "html", confoverrides=options, status=None, warning=io.StringIO()).build()
        assert (tmp_path / "html" / "_static" / "own.css").read_text() == text


def test_labs_are_told_and_shown_with_their_code(build, review):
    soups, warnings, _ = build(
        index="# A\n\n{effect}`fantastic-gains` and {outcome}`fantastic-gains/1`\n\n```{lab} fantastic-gains\n```\n",
        book__papers__fantastic_gains="# B\n\n```{part} labs fantastic-gains\n```\n",
    )
    assert not warnings
    page = soups["index.html"]
    _, first, _, _ = review.compared("fantastic-gains")[0]
    assert f"{wording.effect(first)} and supports" in page.text
    own = page.select_one("section#lab-fantastic-gains")
    assert "def partition(" in own.pre.text
    assert review.declared["fantastic-gains"].shows_not in own.text


@pytest.mark.parametrize("text", ["{effect}`fantastic-gains/9`", "{outcome}`nosuch`", "```{lab} nosuch\n```"])
def test_a_lab_that_does_not_exist_is_a_warning(build, text):
    _, warnings, _ = build(index=f"# A\n\n{text}\n")
    assert len(warnings) == 1
    assert "index.md" in warnings[0]
