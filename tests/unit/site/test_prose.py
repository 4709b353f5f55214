"""The book's prose is held against the records, and rewritten where only numbers and names changed."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ktreview.site import chapters, links, prose
from ktreview.site.prose import SyncError, check, sync


@pytest.fixture
def book(tmp_path):
    """Write a book of pages and notebooks; a notebook is given as a list of its cells' Markdown."""
    folder = tmp_path / "book"

    def make(**files):
        for name, content in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.with_suffix(".md").write_text(content, encoding="utf-8")
                continue
            notebook = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell("1 + 1"), *map(nbformat.v4.new_markdown_cell, content)]
            )
            chapters.normalise(notebook, "0" * 16)
            nbformat.write(notebook, path.with_suffix(".ipynb"))
        return folder

    return make


def told(mini, folder):
    return [str(fault) for fault in check(mini, folder).faults]


def link(mini, target):
    return f"[{links.escape(links.words(mini, links.parse(target)))}]({target})"


def test_true_words_are_no_fault_wherever_they_stand(mini, book):
    targets = [
        "paper:lantern",
        "value:lantern-2",
        "effect:lantern/over-still-panes",
        "result:lantern/all-nights",
    ]
    true = [link(mini, target) for target in targets]
    folder = book(
        page=f"# A page\n\n{' and '.join(true)}\n\n| a |\n|---|\n| {true[0]} |\n\n- *{true[0]}*\n  > {true[1]}\n",
        papers__made="[x](paper:nobody)\n",
    )
    checked = check(mini, folder)
    assert checked.faults == []
    assert (checked.files, checked.links) == (1, len(targets) + 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n\nb [Tiger](paper:lantern)", "“Tiger” (paper:lantern) is not what the records say, “LANTERN”. Run `ktreview"),
        ("[x](paper:nobody)", "“x” (paper:nobody): there is no paper 'nobody' in the records"),
        ("[x](effect:lantern?magic)", "“x”: 'magic' is no form of effect"),
        ("[x](value: lantern-1)", "“[x](value: lantern-1)” became no link: leave blanks and | out"),
        ("| a |\n|---|\n| [x](count:a|b) |", "became no link"),
        ("<div>\n[x](paper:lantern)\n</div>", "became no link"),
        ("\\[x](paper:lantern)", "became no link"),
        ("see [@lantern]", "“[@” is no citation here. Write [words](cite:KEY)."),
        ("<paper:lantern>", "'paper:lantern' is not written as a link: write [words](paper:lantern)"),
        ("![x](paper:lantern)", "'paper:lantern' is not written as a link"),
        ("[x](valeu:lantern-1)", "'valeu:lantern-1' has an unknown kind, 'valeu'. Is it value?"),
        ("{paper}`lantern`", "{paper} is a role, which only the site reads. Write a checked link"),
        ("```{lab} lantern\n```", "{lab} is a directive, which only the site reads. Write a code cell"),
        ("[None](holds:none/papers)", "does not hold: 7 rows meet the conditions"),
    ],
)  # fmt: skip
def test_each_fault_names_file_cell_words_and_remedy(mini, book, text, message):
    faults = [fault for fault in check(mini, book(a=["fine", text])).faults if "sources" not in fault.field]
    assert any(message in fault.message for fault in faults)
    assert {(fault.file, fault.field) for fault in faults} == {("book/a.ipynb", "cell 2")}
    page = check(mini, book(b=f"# A\n\n{text}\n"))
    assert any(message in fault.message and fault.file == "book/b.md" for fault in page.faults)
    assert all(re.fullmatch(r"line \d+", fault.field) for fault in page.faults if fault.file == "book/b.md")


def test_a_page_keeps_what_sphinx_needs_and_a_chapter_does_not(mini, book):
    other = "```{toctree}\n```\n\n{ref}`x`\n\n:::{note}\nHello.\n:::\n"
    assert told(mini, book(page=other)) == []
    assert [line.partition(" is a ")[0].rpartition(" ")[2] for line in told(mini, book(chapter=[other]))] == [
        "{toctree}",
        "{ref}",
        "{note}",
    ]


def test_code_formulas_and_other_addresses_are_nobodys_business(mini, book):
    text = (
        "`[x](paper:nobody)` $[x](paper:nobody)$ [y](https://example.org) [z](page.md#there)\n\n"
        "```python\n[x](paper:nobody)  # {paper}`x` [@y]\n```\n\n    [@x] indented\n"
    )
    assert told(mini, book(page=text, chapter=[text])) == []


@pytest.mark.parametrize(
    ("text", "unbound"),
    [
        ("No editor spares all facts. Some do.", [("No", "all")]),
        ("Nearly all do, and never more.", [("Nearly all", "never")]),
        ("“All of it” is quoted, `every` is code, $\\text{only}$ is a formula.", []),
        ("[None](holds:none/papers/date>2100) is newer.", []),
        ("[None](holds:none/papers/date>2100) is newer, and none is older.", [("none",)]),
        ("A few-shot, first-order, all-or-nothing no-op at most.", []),
        ("[Every](https://example.org) address.", []),
        ("It is the first to say so, and first of two.", [("first to",)]),
        ("Wang et al. All agree.", [("All",)]),
        ("# Only a title\n\n| Every | b |\n|---|---|\n| c | always |", [("Only",), ("Every",), ("always",)]),
    ],
)
def test_words_about_a_whole_set_are_counted_unless_bound_or_quoted(mini, book, text, unbound):
    checked = check(mini, book(page=text))
    assert checked.faults == []
    assert [sentence.unbound for sentence in checked.unbound.get("book/page.md", [])] == unbound


def test_a_strict_chapter_binds_or_allows_each_such_word(mini, book):
    folder = book(themes__a=["None is. All are $x$ and `y`."], themes__b=["None is."])
    allowed = "allowed:\n  'All are x and y.': it is so by definition\n"
    (folder / prose.ALLOWED).write_text(f"strict: [themes/a]\n{allowed}", encoding="utf-8")
    assert told(mini, folder) == [
        (
            "book/themes/a.ipynb, cell 1: None in “None is.” is neither bound nor allowed. "
            "Write [None](holds:...), rephrase, or give _universal.yaml the reason."
        )
    ]
    assert list(check(mini, folder).unbound) == ["book/themes/a.ipynb", "book/themes/b.ipynb"]
    (folder / prose.ALLOWED).write_text(f"{allowed}  Gone.: x\n", encoding="utf-8")
    assert told(mini, folder) == ["book/_universal.yaml, allowed: “Gone.” stands in no chapter. Remove it."]
    (folder / prose.ALLOWED).write_text("strikt: []", encoding="utf-8")
    assert (
        "book/_universal.yaml, strikt: is not a field of a record. Fields here are strict, allowed."
        in told(mini, folder)
    )


def changed(mini):
    """The review with another name of LANTERN, another value of a claim and fewer papers."""
    lantern = mini.records["lantern"].model_copy(update={"system": "P [a](b) *N*_D"})
    claims = mini.claims.copy()
    claims.loc[claims["id"] == "lantern-1", "value"] = 3.75
    return dataclasses.replace(
        mini, records=mini.records | {"lantern": lantern}, claims=claims, papers=mini.papers.iloc[:6]
    )


def test_sync_rewrites_numbers_and_names_and_nothing_else(mini, book):
    text = (
        "Before [LANTERN](paper:lantern), *[4.2%](value:lantern-1)*\n> and [7](count:papers) papers, \\[x] `[7](count:papers)`;  \n"
        "[Seven](count:papers?words) | [method](method.md) {x}.\n"
    )
    folder = book(page=text, chapter=[text, "other"])
    new = changed(mini)
    assert len(told(new, folder)) == 9  # four links twice, and sources that are not there
    assert {path.name for path in sync(new, folder)} == {"page.md", "chapter.ipynb"}
    assert told(new, folder) == []
    page = (folder / "page.md").read_text("utf-8")
    assert page == text.replace("[LANTERN]", r"[P \[a\](b) \*N\*\_D]").replace("[4.2%]", "[3.75%]").replace(
        "and [7]", "and [6]"
    ).replace("[Seven]", "[Six]")
    notebook = nbformat.read(folder / "chapter.ipynb", as_version=4)
    assert [cell.source for cell in notebook.cells[:3]] == ["1 + 1", page, "other"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert sync(new, folder) == []
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}


def test_sync_leaves_the_rest_of_a_notebook_byte_for_byte(mini, book):
    folder = book(chapter=["[Tiger](paper:lantern)", "ünïcode ☃ \u2028 \\n"])
    sync(mini, folder)
    path = folder / "chapter.ipynb"
    before = path.read_text("utf-8")
    path.write_text(before.replace("LANTERN](paper", "Lion](paper"), encoding="utf-8")
    assert sync(mini, folder) == [path]
    assert path.read_text("utf-8") == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("It [contradicts](outcome:lantern) it. More.", "“It contradicts it.”: what it says turned"),
        ("It is [differs](verdict:lantern-1).", "what it says turned"),
        ("They say [“better”](claim:lantern-1).", "what it says turned"),
        ("[None](holds:none/papers).", "does not hold"),
        ("[3 points less](effect:lantern/over-still-panes?points).", "a sign or a direction turned"),
        (
            "[−0.150 [+0.128, +0.172], p 0.008, 8 of 8](effect:lantern/over-still-panes).",
            "a sign or a direction turned",
        ),
        ("[−2.5 points](points:lantern/all-nights).", "a sign or a direction turned"),
        ("[at least 2%](value:lantern-2).", "a sign or a direction turned"),
        ("[none](count:papers?words).", "a sign or a direction turned"),
        ("[many](count:papers).", "its words hold no number"),
        ("[x](paper:nobody).", "there is no paper 'nobody'"),
        ("[x](effect:lantern?up,down).", "can't both be asked for"),
    ],
)
def test_sync_stops_where_more_than_a_number_turned(mini, book, text, why):
    folder = book(a=["[5](count:papers)"], page=f"{text}\n")
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    with pytest.raises(SyncError, match="nothing was rewritten; mend these first:") as stopped:
        sync(mini, folder)
    assert why in str(stopped.value)
    assert "book/page.md, line 1: “" in str(stopped.value)
    assert before == {path: path.read_bytes() for path in folder.rglob("*.*")}


def test_a_full_disk_leaves_every_file_as_it_was(mini, book, monkeypatch):
    folder = book(a="[5](count:papers)", b="[5](count:papers)")
    write = Path.write_bytes

    def fill_up(path, content):
        if path.name == ".b.md.partial":
            write(path, content[:3])
            raise OSError("no space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(OSError, match="no space left"):
        sync(mini, folder)
    assert {path.name: path.read_text("utf-8") for path in folder.iterdir()} == dict.fromkeys(
        ("a.md", "b.md"), "[5](count:papers)"
    )


def test_sources_name_each_paper_once_with_its_address(mini, book):
    texts = [
        "[x](lab:ferry)",
        link(mini, "cite:lantern"),
        link(mini, "value:lantern-1"),
        link(mini, "count:papers"),
    ]
    folder = book(chapter=texts, none=["No paper here."], page=texts[1])
    assert sync(mini, folder) == [folder / "chapter.ipynb"]
    cells = nbformat.read(folder / "chapter.ipynb", as_version=4).cells
    assert cells[-1].metadata.tags == ["sources"]
    heading, blank, *lines = cells[-1].source.split("\n")
    assert (heading, blank) == ("## Sources", "")
    assert [re.search(r"<(.*)>\)$", line)[1] for line in lines] == [
        f"https://arxiv.org/abs/{mini.records[key].arxiv}" for key in ("ferry", "lantern")
    ]
    assert [f"[{links.escape(mini.records[key].title)}]" in line for key, line in zip(("ferry", "lantern"), lines, strict=True)] == [True, True]  # fmt: skip
    moved = nbformat.read(folder / "chapter.ipynb", as_version=4)
    moved.cells[-1].source = "stale"
    nbformat.write(moved, folder / "chapter.ipynb")
    assert told(mini, folder) == [
        "book/chapter.ipynb, cell tagged sources: does not list the chapter's papers. Run `ktreview sync`."
    ]
    sync(mini, folder)
    assert nbformat.read(folder / "chapter.ipynb", as_version=4).cells == cells


def test_what_is_no_notebook_is_named(mini, book):
    folder = book(page="x")
    (folder / "bad.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(prose.UserError, match=r"bad\.ipynb: is no notebook"):
        check(mini, folder)


pieces = st.sampled_from(
    [
        "[LANTERN](paper:lantern)", "[Tiger](paper:lantern)", "[5](count:papers)", "[Seven](count:papers?words)",
        "[9.1%](value:lantern-1)", "[4.2%](value:lantern-1)", "*[Six](count:papers?words)*", "`[1](count:papers)`",
        "$[1](count:papers)$", "\n\n", "\n- ", "\n> ", " text ", "\\[", "[1](page.md)", "\n\n| a |\n|---|\n| ",
        " |\n", "**", "<b>", "&amp;", "~~", "☃", "\t", "    ",
    ]
)  # fmt: skip
OTHERS = re.compile(r"\[[^\[\]]*\](?=\((?:paper|count|value):)")


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=12).map("".join))
def test_after_sync_check_is_green_and_nothing_but_words_of_links_has_changed(mini, tmp_path, text):
    folder = tmp_path / "book"
    folder.mkdir(exist_ok=True)
    page = Path(folder / "page.md")
    page.write_text(text, encoding="utf-8")
    try:
        sync(mini, folder)
    except SyncError:
        assert page.read_text("utf-8") == text
        return
    after = page.read_text("utf-8")
    assert not [line for line in told(mini, folder) if "is not what the records say" in line]
    assert OTHERS.sub("[]", after) == OTHERS.sub("[]", text)
    assert sync(mini, folder) == []
