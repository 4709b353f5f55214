"""The chapters: nothing unrun, nothing typed that data holds, nothing that no test would compare."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from ktreview.analysis import query
from ktreview.corpus.outcomes import REPLICATION, SEEDS
from ktreview.site import chapters, links

ROOT = Path(__file__).resolve().parents[3]
BOOK = ROOT / "book"
CHAPTERS = chapters.find(BOOK)
THEMES = [path for path in CHAPTERS if path.parent.name == "themes"]
#: All but the page of data, which tells file formats and schemas.
WRITTEN = [path for path in CHAPTERS if path.stem != "data"]
#: Cells with these tags are not compared.
IGNORED = {
    "nbval-ignore-output",
    "nbval-skip",
    "nbval-raises-exception",
    "raises-exception",
    "nbval-check-output",
}


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def prose(path: Path) -> str:
    """What a page says itself: its Markdown without code, mathematics, checked links, sources and addresses."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n\n".join(
            cell.source
            for cell in read(path).cells
            if cell.cell_type == "markdown" and "sources" not in cell.metadata.get("tags", [])
        )
    for link in reversed(list(links.scan(text))):
        text = text[: link.start - 1] + text[link.end :]
    text = re.sub(r"^(`{3,}|~{3,}|:{3,}).*?^\1\s*$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)|``[^\n]*?``|`[^`\n]*`", "", text)


def named(path: Path, kind: str) -> set[str]:
    """What a chapter's checked links of a kind name, without what stands after a slash."""
    cells = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    parsed = [links.parse(found.target) for source in cells for found in links.scan(source)]
    return {link.what.partition("/")[0] for link in parsed if link.kind == kind}


def test_there_is_a_chapter_for_each_of_the_owner_s_themes_and_the_corpus():
    names = {path.stem for path in CHAPTERS}
    wanted = {"landscape", "knowledge-distillation", "continual-learning", "knowledge-editing", "kg-and-llm"}
    assert wanted <= names


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_cell_was_run_in_order_and_shows_what_its_code_shows(path):
    notebook = read(path)
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    for cell in cells:
        assert not cell.source.rstrip().endswith(";"), "nbval fails on a correct cell that ends in ;"
        shows = isinstance(ast.parse(cell.source).body[-1], ast.Expr)
        assert bool(cell.outputs) == shows, cell.source
        for output in cell.outputs:
            assert output.output_type != "error"
            bitmaps = {"image/png", "image/jpeg"} & set(output.get("data", {}))
            assert not bitmaps or "image/svg+xml" in output["data"], "nbval compares no bitmaps"
        if IGNORED & set(cell.metadata.get("tags", [])):
            assert cell.source.startswith("# Not compared: "), "an ignored cell says why in its first line"
    assert set(notebook.metadata) == {"kernelspec", "language_info", "ktreview"}


def test_no_chapter_was_made_from_other_records(review):
    assert chapters.stale(review, CHAPTERS) == []


def test_a_chapter_made_from_other_records_is_told(review, tmp_path):
    path = tmp_path / "continual-learning.ipynb"
    notebook = read(BOOK / "themes" / "continual-learning.ipynb")
    notebook.metadata["ktreview"]["records"] = "0" * 16
    nbformat.write(notebook, path)
    assert chapters.stale(review, [path]) == [path]


@pytest.mark.parametrize("path", THEMES, ids=lambda path: path.stem)
def test_every_paper_of_a_theme_is_named_linked_and_cited_in_its_chapter(review, path):
    papers = set(review.papers.loc[review.papers["theme"] == path.stem, "key"])
    assert papers <= named(path, "paper")
    assert papers <= named(path, "cite")


@pytest.mark.parametrize("path", THEMES, ids=lambda path: path.stem)
def test_every_lab_of_a_theme_stands_in_its_chapter_and_is_spoken_of(review, path):
    source = "\n".join(cell.source for cell in code(read(path)))
    spoken = named(path, "effect") | named(path, "outcome")
    for lab in review.labs.loc[review.labs["theme"] == path.stem, "lab"]:
        assert re.search(rf'^show\.lab\(review, "{lab}"\)$', source, re.MULTILINE), lab
        assert lab in spoken


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_no_number_is_typed_in_prose(path):
    text = re.sub(r"^\s*\d+\. ", "", prose(path), flags=re.MULTILINE)
    # Invented examples of the method page and the page's own date are no data of the review.
    text = re.sub(r"^\|.*\|$", "", text, flags=re.MULTILINE) if path.stem == "method" else text
    text = text.replace("“Jul 29”", "").replace("“8%”", "").replace("“30% more items”", "")
    typed = [match.group() for match in re.finditer(r"(?<![A-Za-z0-9@.-])\d[\d.,]*%?(?![A-Za-z])", text)]
    # The labs' protocol is no data; the development seeds are told and nowhere else in use.
    protocol = {str(seed) for seeds in (SEEDS, REPLICATION) for seed in (seeds[0], seeds[-1])}
    protocol |= {"100", "107.", "95%", "0.02", "0.05", "0.05,"} if path.stem in ("labs", "method") else set()
    assert not [number for number in typed if number not in {"4.0", "86"} | protocol], typed


@pytest.mark.parametrize("path", THEMES, ids=lambda path: path.stem)
def test_words_in_quotation_marks_are_words_of_an_abstract(review, path):
    corpus = " ".join(review.papers["abstract"])
    strange = [quote for quote in re.findall(r"“([^”]{3,})”", prose(path)) if quote not in corpus]
    assert not strange


def test_what_the_book_says_of_comparability_holds(review):
    """Index and landscape say that no two abstracts share benchmark, metric and basis of a gain."""
    gains = review.claims[(review.claims["kind"] == "gain") & (review.claims["metric"] != "")]
    shared = gains[gains["benchmark"] != ""].groupby(["benchmark", "metric", "basis"])["paper"].nunique()
    assert (shared == 1).all()
    assert query.count(review, "papers kind=survey") < 10


@pytest.mark.parametrize(
    ("chapter", "old", "new"),
    [("continual-learning", ">8.3%<", ">9.3%<"), ("landscape", "<strong>72</strong>", "<strong>73</strong>")],
)
def test_nbval_turns_red_when_one_stored_output_is_altered(tmp_path, chapter, old, new):
    path = next(path for path in CHAPTERS if path.stem == chapter)
    text = path.read_text(encoding="utf-8")
    assert old in text
    altered = tmp_path / path.name
    altered.write_text(text.replace(old, new, 1), encoding="utf-8")
    options = ["--nbval", "--nbval-current-env", "-q", "-p", "no:cacheprovider", "-c", "/dev/null"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(altered)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1, run.stdout
    assert re.search(r"\b1 failed", run.stdout), run.stdout


def test_a_failing_chapter_is_named_and_left_as_it_was(review, tmp_path):
    path = tmp_path / "broken.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, path)
    before = path.read_bytes()
    with pytest.raises(chapters.ChapterError, match=r"broken\.ipynb: a cell failed.*\n.*ZeroDivisionError"):
        chapters.execute(review, [path], jobs=1)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_executing_again_changes_no_byte(review, tmp_path):
    path = tmp_path / "knowledge-editing.ipynb"
    path.write_bytes((BOOK / "themes" / "knowledge-editing.ipynb").read_bytes())
    chapters.execute(review, [path], jobs=1)
    assert path.read_bytes() == (BOOK / "themes" / "knowledge-editing.ipynb").read_bytes()
