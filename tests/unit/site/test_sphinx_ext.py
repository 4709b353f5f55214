"""Checked links, papers' pages and downloads in a small book of their own."""

from __future__ import annotations

import io
import re
import shutil

import nbformat
import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

from ktreview import show
from ktreview.corpus.review import DATA

# Sphinx and its extensions warn of their own future; that is not ours to test.
pytestmark = pytest.mark.filterwarnings("default")


CONF = """extensions = {extensions}
root_doc = 'index'
html_theme = 'basic'
bibtex_bibfiles = ['book/references.bib']
exclude_patterns = {exclude}
"""
PAPERS = ["book/papers"]  # seventy pages, which most tests need not


class Small:
    """A small book, which can be built again and again."""

    def __init__(self, folder):
        self.source, self.html, self.trees = (folder / name for name in ("source", "html", "trees"))
        self.told = ""

    def write(self, exclude=PAPERS, extensions=("sphinxcontrib.bibtex",), **pages: str):
        for name, text in pages.items():
            path = self.source / f"{name.replace('__', '/').replace('_', '-')}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (self.source / "book").mkdir(exist_ok=True)
        every = ["myst_parser", *extensions, "ktreview.site.sphinx_ext"]
        (self.source / "conf.py").write_text(CONF.format(extensions=every, exclude=list(exclude)))

    def start(self, **options):
        told = io.StringIO()
        app = Sphinx(
            self.source, self.source, self.html, self.trees, "html", status=None, warning=told, **options
        )
        return app, told

    def build(self, **options):
        app, told = self.start(**options)
        app.build()
        self.told = told.getvalue()
        return app

    @property
    def warnings(self):
        # Of the pages; this small book has no table of contents.
        return [line for line in self.told.splitlines() if ".md" in line and "toctree" not in line]

    def page(self, name):
        return BeautifulSoup((self.html / f"{name}.html").read_text("utf-8"), "html.parser")


@pytest.fixture
def book(tmp_path):
    return Small(tmp_path)


@pytest.fixture
def build(book):
    """Build pages given as `docname=text`; return the book."""

    def make(**pages):
        book.write(**pages)
        book.build(freshenv=True)
        return book

    return make


def test_links_say_their_words_with_the_class_of_their_kind(build, review):
    papers = len(review.papers)
    book = build(
        index=f"# A [{papers}](count:papers)\n\n[PANDA](paper:panda) says "
        "[“outperforms the vanilla PoT approach by 2.3% average score”](claim:panda-2), "
        f"that is [up to 24.1%](value:panda-3), in [{papers}](count:papers) papers.\n"
    )
    assert book.warnings == []
    page = book.page("index")
    assert page.find("p").text == (
        "PANDA says “outperforms the vanilla PoT approach by 2.3% average score”, that is up to 24.1%, "
        f"in {papers} papers."
    )
    assert page.select_one("h1 .kt-count").text == str(papers)
    assert page.select_one("a.kt-paper").text == "PANDA"
    assert page.select_one("a .kt-quote").text.startswith("“outperforms")
    assert page.select_one("a .kt-value").text == "up to 24.1%"
    assert page.select_one("p .kt-count").find_parent("a") is None


@pytest.mark.slow
def test_a_link_leads_to_the_paper_s_page_to_its_chapter_or_to_arxiv(build):
    book = build(
        exclude=["book/papers/[!c]*"],
        index="# A\n\n[CUBER](paper:cuber), [ExSSNeT](paper:exssnet) and [GDCAN](paper:gdcan)\n",
        book__themes__continual_learning="# B\n\n[ExSSNeT](paper:exssnet)\n",
    )
    page, chapter, arxiv = book.page("index").select("a.kt-paper")
    assert page["href"] == "book/papers/cuber.html"
    assert chapter["href"] == "book/themes/continual-learning.html#paper-exssnet"
    assert arxiv["href"] == "https://arxiv.org/abs/2103.12339"
    here = book.page("book/themes/continual-learning").select_one("a.kt-paper")
    assert here["href"] == "#paper-exssnet"


@pytest.mark.slow
def test_a_link_leads_to_the_very_words_table_row_or_lab_and_tells_what_is_there(build, review):
    book = build(
        exclude=["book/papers/[!p]*"],
        index="# A\n\n[2.3%](value:panda-2) [confirmed, absolute (shown)](verdict:panda-2) "
        "[+0.91 points](points:panda/bert-large-prompt-tuning) [undecided](outcome:panda)\n",
    )
    assert book.warnings == []
    links = book.page("index").select("p a")
    assert [link["href"].partition("#")[2] for link in links] == [
        "words-panda-2",
        "verdict-panda-2",
        "result-bert-large-prompt-tuning",
        "lab-panda",
    ]
    value, verdict, points, outcome = (link["title"] for link in links)
    assert value == "“outperforms the vanilla PoT approach by 2.3% average score”"
    assert verdict == review.verdicts.set_index("claim").loc["panda-2", "why"]
    result = next(r for r in review.records["panda"].results if r.id == "bert-large-prompt-tuning")
    assert result.locator in points
    assert outcome == review.declared["panda"].question
    paper = book.page("book/papers/panda")
    assert all(paper.select_one(f"#{link['href'].partition('#')[2]}") for link in links)


@pytest.mark.slow
def test_a_citation_leads_to_its_entry_in_the_list_of_all_papers(build, review):
    book = build(
        index="# A\n\nOne ([Jang et al., 2021](cite:ckl)) and ([Zhong et al., 2022a](cite:panda)).\n"
    )
    assert book.warnings == []
    links = book.page("index").select("a.kt-cite")
    assert [link.text for link in links] == ["Jang et al., 2021", "Zhong et al., 2022a"]
    assert [link["href"] for link in links] == [
        "book/references.html#ref-ckl",
        "book/references.html#ref-panda",
    ]
    assert "Towards Continual Knowledge Learning" in links[0]["title"]
    entries = [entry["id"] for entry in book.page("book/references").select(".citation")]
    assert {"ref-ckl", "ref-panda"} <= set(entries)
    assert len(entries) == len(set(entries)) == len(review.papers)


@pytest.mark.slow
def test_a_book_without_a_bibliography_keeps_a_citation_s_words(build):
    book = build(extensions=(), index="# A\n\nSee [Jang et al., 2021](cite:ckl).\n")
    assert book.warnings == []
    assert book.page("index").select_one("p .kt-cite").text == "Jang et al., 2021"
    assert not (book.html / "book" / "references.html").exists()


#: Links that do not hold, and what is said of each.
FAULTS = [
    ("[Nobody](paper:nobody)", "there is no paper 'nobody' in the records"),
    ("[“x”](claim:panda-9)", "there is no claim 'panda-9' in the records"),
    ("[1%](value:nobody-1)", "there is no claim 'nobody-1' in the records"),
    ("[13](count:papers/theme=magic)", "'magic' is not a value of papers.theme"),
    ("[2.4%](value:panda-2)", "“2.4%” (value:panda-2) is not what the records say, “2.3%”"),
    ("[x](effect:fantastic-gains/nosuch)", "has no further comparison 'nosuch'"),
    ("[x](outcome:nosuch)", "there is no lab 'nosuch' that has run"),
    ("[Jang, 2021](cite:ckl)", "“Jang, 2021” (cite:ckl) is not what the records say"),
    ("[x](points:panda)", "names nothing in the records"),
]


@pytest.mark.slow
def test_what_does_not_hold_is_a_warning_that_names_page_line_and_words(build):
    book = build(index="# A\n\n" + "\n\n".join(text for text, _ in FAULTS) + "\n")
    assert len(book.warnings) == len(FAULTS)
    for n, ((text, message), warning) in enumerate(zip(FAULTS, book.warnings, strict=True)):
        assert message in warning
        assert text[1 : text.index("]")] in warning
        assert f"index.md:{3 + 2 * n}:" in warning


@pytest.mark.slow
def test_other_links_and_escaped_words_stay_as_they_are(build):
    book = build(
        index="# A\n\n[paper](https://example.org/paper:panda) [B](other.md) "
        "[“rising from 30% for \\`text-davinci-001\\`”](claim:gpt-cpa-9)\n",
        other="# B\n",
    )
    assert book.warnings == []
    first, second, third = book.page("index").select("p a")
    assert first["href"] == "https://example.org/paper:panda"
    assert second["href"] == "other.html"
    assert third.text == "“rising from 30% for `text-davinci-001`”"


@pytest.mark.slow
def test_marks_in_outputs_lead_to_the_same_places(build, review):
    table = show.claims(review).html()
    book = build(index=f"# A\n\n{table}\n", book__themes__continual_learning="# B\n")
    marks = book.page("index").select("a[data-paper=exssnet]")
    assert marks
    assert {mark["href"] for mark in marks} == {"book/themes/continual-learning.html#paper-exssnet"}


def read_anew(app):
    """The pages that a build reads."""
    names = []
    app.connect("source-read", lambda _app, docname, _source: names.append(docname))
    app.build()
    return sorted(names)


@pytest.mark.slow
def test_a_changed_record_outdates_the_pages_that_show_it_and_no_others(book, tmp_path):
    book.write(
        exclude=["book/papers/[!ce]*"],
        index="# A\n\n[PANDA](paper:panda) [11](count:claims.paper/kind=gain)\n",
        other="# B\n\n[CUBER](paper:cuber)\n",
    )
    copy = tmp_path / "copy"
    shutil.copytree(DATA, copy)
    told = {"ktreview_data": str(copy)}
    book.build(confoverrides=told)
    assert read_anew(book.start(confoverrides=told)[0]) == []
    record = copy / "papers" / "cuber.yaml"
    text = record.read_text("utf-8")
    record.write_text(re.sub(r"(?m)^limits:.*(?:\n  .*)*", "limits: Something else.", text), "utf-8")
    assert read_anew(book.start(confoverrides=told)[0]) == ["book/papers/cuber"]
    record.write_text(record.read_text("utf-8").replace("system: CUBER", "system: CUBE"), "utf-8")
    app, warned = book.start(confoverrides=told)
    assert {"book/papers/cuber", "other"} <= set(read_anew(app))
    assert "“CUBER” (paper:cuber) is not what the records say, “CUBE”" in warned.getvalue()
    assert "index" not in read_anew(book.start(confoverrides=told)[0])


@pytest.mark.slow
def test_two_builds_in_one_process_share_nothing(tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(DATA, copy)
    record = copy / "papers" / "cuber.yaml"
    record.write_text(record.read_text("utf-8").replace("system: CUBER", "system: CUBE"), "utf-8")
    first, second = Small(tmp_path / "first"), Small(tmp_path / "second")
    first.write(index="# A\n\n[CUBER](paper:cuber)\n")
    second.write(index="# A\n\n[CUBE](paper:cuber)\n")
    started, told = first.start()
    changed, told_of_change = second.start(confoverrides={"ktreview_data": str(copy)})
    started.build()
    changed.build()
    for output in (told, told_of_change):
        assert "is not what the records say" not in output.getvalue()


def test_outputs_made_from_other_records_are_a_warning_which_stops_a_strict_build(book):
    notebook = nbformat.v4.new_notebook(metadata={"ktreview": {"records": "0" * 16}})
    book.write(index="# A\n")
    nbformat.write(notebook, book.source / "book" / "old.ipynb")
    _, told = book.start()
    assert "book/old.ipynb: outputs made from other records. Run `make execute`." in told.getvalue()


def test_a_part_that_does_not_exist_is_a_warning(build):
    book = build(index="# A\n\n```{ktreview:part} nosuch panda\n```\n")
    assert len(book.warnings) == 1
    assert "there is no part 'nosuch'" in book.warnings[0]


@pytest.mark.slow
def test_a_build_leaves_the_downloads_beside_the_pages(build, tmp_path):
    build(index="# A\n")
    folder = tmp_path / "html" / "_static" / "data"
    assert (folder / "claims.csv").read_text("utf-8").startswith("id,paper,theme,type,kind,quote,start,end,")
    assert "@misc{panda," in (folder / "references.bib").read_text("utf-8")


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_paper_s_page_has_its_title_as_heading_and_its_lab_with_code(build, review):
    book = build(exclude=["book/papers/[!f]*"], index="# A\n")
    assert not book.warnings
    page = book.page("book/papers/fantastic-gains")
    assert page.h1.find(string=True) == review.records["fantastic-gains"].title
    lab = page.select_one("section#lab-fantastic-gains")
    assert "def partition(" in lab.pre.text
    assert review.declared["fantastic-gains"].shows_not in lab.text
