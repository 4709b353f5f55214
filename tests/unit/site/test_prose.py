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


def told(review, folder):
    return [str(fault) for fault in check(review, folder).faults]


def link(review, target):
    return f"[{links.escape(links.words(review, links.parse(target)))}]({target})"


def test_true_words_are_no_fault_wherever_they_stand(review, book):
    targets = ["paper:panda", "value:panda-3", "effect:cuber/no-penalty", "result:kg-traces/webqsp-hits"]
    true = [link(review, target) for target in targets]
    folder = book(
        page=f"# A page\n\n{' and '.join(true)}\n\n| a |\n|---|\n| {true[0]} |\n\n- *{true[0]}*\n  > {true[1]}\n",
        papers__made="[x](paper:nobody)\n",
    )
    checked = check(review, folder)
    assert checked.faults == []
    assert (checked.files, checked.links) == (1, len(targets) + 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n\nb [Tiger](paper:panda)", "“Tiger” (paper:panda) is not what the records say, “PANDA”. Run `ktreview"),
        ("[x](paper:nobody)", "“x” (paper:nobody): there is no paper 'nobody' in the records"),
        ("[x](effect:cuber?magic)", "“x”: 'magic' is no form of effect"),
        ("[x](value: panda-2)", "“[x](value: panda-2)” became no link: leave blanks and | out"),
        ("| a |\n|---|\n| [x](count:a|b) |", "became no link"),
        ("<div>\n[x](paper:panda)\n</div>", "became no link"),
        ("\\[x](paper:panda)", "became no link"),
        ("see [@panda]", "“[@” is no citation here. Write [words](cite:KEY)."),
        ("<paper:panda>", "'paper:panda' is not written as a link: write [words](paper:panda)"),
        ("![x](paper:panda)", "'paper:panda' is not written as a link"),
        ("[x](valeu:panda-2)", "'valeu:panda-2' has an unknown kind, 'valeu'. Is it value?"),
        ("{paper}`panda`", "{paper} is a role, which only the site reads. Write a checked link"),
        ("```{lab} cuber\n```", "{lab} is a directive, which only the site reads. Write a code cell"),
        ("[None](holds:none/papers)", "does not hold: 72 rows meet the conditions"),
    ],
)  # fmt: skip
def test_each_fault_names_file_cell_words_and_remedy(review, book, text, message):
    faults = [fault for fault in check(review, book(a=["fine", text])).faults if "sources" not in fault.field]
    assert any(message in fault.message for fault in faults)
    assert {(fault.file, fault.field) for fault in faults} == {("book/a.ipynb", "cell 2")}
    page = check(review, book(b=f"# A\n\n{text}\n"))
    assert any(message in fault.message and fault.file == "book/b.md" for fault in page.faults)
    assert all(re.fullmatch(r"line \d+", fault.field) for fault in page.faults if fault.file == "book/b.md")


def test_a_page_keeps_what_sphinx_needs_and_a_chapter_does_not(review, book):
    other = "```{toctree}\n```\n\n{ref}`x`\n\n:::{note}\nHello.\n:::\n"
    assert told(review, book(page=other)) == []
    assert [
        line.partition(" is a ")[0].rpartition(" ")[2] for line in told(review, book(chapter=[other]))
    ] == [
        "{toctree}",
        "{ref}",
        "{note}",
    ]


def test_code_formulas_and_other_addresses_are_nobodys_business(review, book):
    text = (
        "`[x](paper:nobody)` $[x](paper:nobody)$ [y](https://example.org) [z](page.md#there)\n\n"
        "```python\n[x](paper:nobody)  # {paper}`x` [@y]\n```\n\n    [@x] indented\n"
    )
    assert told(review, book(page=text, chapter=[text])) == []


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
def test_words_about_a_whole_set_are_counted_unless_bound_or_quoted(review, book, text, unbound):
    checked = check(review, book(page=text))
    assert checked.faults == []
    assert [sentence.unbound for sentence in checked.unbound.get("book/page.md", [])] == unbound


def test_a_strict_chapter_binds_or_allows_each_such_word(review, book):
    folder = book(themes__a=["None is. All are $x$ and `y`."], themes__b=["None is."])
    allowed = "allowed:\n  'All are x and y.': it is so by definition\n"
    (folder / prose.ALLOWED).write_text(f"strict: [themes/a]\n{allowed}", encoding="utf-8")
    assert told(review, folder) == [
        (
            "book/themes/a.ipynb, cell 1: None in “None is.” is neither bound nor allowed. "
            "Write [None](holds:...), rephrase, or give _universal.yaml the reason."
        )
    ]
    assert list(check(review, folder).unbound) == ["book/themes/a.ipynb", "book/themes/b.ipynb"]
    (folder / prose.ALLOWED).write_text(f"{allowed}  Gone.: x\n", encoding="utf-8")
    assert told(review, folder) == ["book/_universal.yaml, allowed: “Gone.” stands in no chapter. Remove it."]
    (folder / prose.ALLOWED).write_text("strikt: []", encoding="utf-8")
    assert (
        "book/_universal.yaml, strikt: is not a field of a record. Fields here are strict, allowed."
        in told(review, folder)
    )


def changed(review):
    """The review with another name of PANDA, another value of a claim and fewer papers."""
    panda = review.records["panda"].model_copy(update={"system": "P [a](b) *N*_D"})
    claims = review.claims.copy()
    claims.loc[claims["id"] == "panda-2", "value"] = 3.75
    return dataclasses.replace(
        review, records=review.records | {"panda": panda}, claims=claims, papers=review.papers.iloc[:60]
    )


def test_sync_rewrites_numbers_and_names_and_nothing_else(review, book):
    text = (
        "Before [PANDA](paper:panda), *[2.3%](value:panda-2)*\n> and [72](count:papers) papers, \\[x] `[72](count:papers)`;  \n"
        "[Seventy-two](count:papers?words) | [method](method.md) {x}.\n"
    )
    folder = book(page=text, chapter=[text, "other"])
    new = changed(review)
    assert len(told(new, folder)) == 9  # four links twice, and sources that are not there
    assert {path.name for path in sync(new, folder)} == {"page.md", "chapter.ipynb"}
    assert told(new, folder) == []
    page = (folder / "page.md").read_text("utf-8")
    assert page == text.replace("[PANDA]", r"[P \[a\](b) \*N\*\_D]").replace("[2.3%]", "[3.75%]").replace(
        "and [72]", "and [60]"
    ).replace("[Seventy-two]", "[Sixty]")
    notebook = nbformat.read(folder / "chapter.ipynb", as_version=4)
    assert [cell.source for cell in notebook.cells[:3]] == ["1 + 1", page, "other"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert sync(new, folder) == []
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}


def test_sync_leaves_the_rest_of_a_notebook_byte_for_byte(review, book):
    folder = book(chapter=["[Tiger](paper:panda)", "ünïcode ☃ \u2028 \\n"])
    sync(review, folder)
    path = folder / "chapter.ipynb"
    before = path.read_text("utf-8")
    path.write_text(before.replace("PANDA](paper", "Lion](paper"), encoding="utf-8")
    assert sync(review, folder) == [path]
    assert path.read_text("utf-8") == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("It [supports](outcome:cuber) it. More.", "“It supports it.”: what it says turned"),
        ("It is [differs](verdict:panda-2).", "what it says turned"),
        ("They say [“better”](claim:panda-2).", "what it says turned"),
        ("[None](holds:none/papers).", "does not hold"),
        ("[3 points less](effect:cuber/no-penalty?points).", "a sign or a direction turned"),
        (
            "[−0.032 [+0.018, +0.047], p 0.008, 8 of 8](effect:cuber/no-penalty).",
            "a sign or a direction turned",
        ),
        ("[−1.4 points](points:kg-traces/webqsp-hits).", "a sign or a direction turned"),
        ("[at least 2%](value:panda-3).", "a sign or a direction turned"),
        ("[none](count:papers?words).", "a sign or a direction turned"),
        ("[many](count:papers).", "its words hold no number"),
        ("[x](paper:nobody).", "there is no paper 'nobody'"),
        ("[x](effect:cuber?up,down).", "can't both be asked for"),
    ],
)
def test_sync_stops_where_more_than_a_number_turned(review, book, text, why):
    folder = book(a=["[71](count:papers)"], page=f"{text}\n")
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    with pytest.raises(SyncError, match="nothing was rewritten; mend these first:") as stopped:
        sync(review, folder)
    assert why in str(stopped.value)
    assert "book/page.md, line 1: “" in str(stopped.value)
    assert before == {path: path.read_bytes() for path in folder.rglob("*.*")}


def test_sources_name_each_paper_once_with_its_address(review, book):
    lab = next(name for name, lab in review.declared.items() if lab.paper == "cuber")
    texts = [
        f"[x](lab:{lab})",
        link(review, "cite:panda"),
        link(review, "value:panda-2"),
        link(review, "count:papers"),
    ]
    folder = book(chapter=texts, none=["No paper here."], page=texts[1])
    assert sync(review, folder) == [folder / "chapter.ipynb"]
    cells = nbformat.read(folder / "chapter.ipynb", as_version=4).cells
    assert cells[-1].metadata.tags == ["sources"]
    heading, blank, *lines = cells[-1].source.split("\n")
    assert (heading, blank) == ("## Sources", "")
    assert [re.search(r"<(.*)>\)$", line)[1] for line in lines] == [
        f"https://arxiv.org/abs/{review.records[key].arxiv}" for key in ("cuber", "panda")
    ]
    assert [f"[{links.escape(review.records[key].title)}]" in line for key, line in zip(("cuber", "panda"), lines, strict=True)] == [True, True]  # fmt: skip
    moved = nbformat.read(folder / "chapter.ipynb", as_version=4)
    moved.cells[-1].source = "stale"
    nbformat.write(moved, folder / "chapter.ipynb")
    assert told(review, folder) == [
        "book/chapter.ipynb, cell tagged sources: does not list the chapter's papers. Run `ktreview sync`."
    ]
    sync(review, folder)
    assert nbformat.read(folder / "chapter.ipynb", as_version=4).cells == cells


def test_what_is_no_notebook_is_named(review, book):
    folder = book(page="x")
    (folder / "bad.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(prose.UserError, match=r"bad\.ipynb: is no notebook"):
        check(review, folder)


pieces = st.sampled_from(
    [
        "[PANDA](paper:panda)", "[Tiger](paper:panda)", "[71](count:papers)", "[Seven](count:papers?words)",
        "[9.1%](value:panda-2)", "[2.3%](value:panda-2)", "*[Seventy](count:papers?words)*", "`[1](count:papers)`",
        "$[1](count:papers)$", "\n\n", "\n- ", "\n> ", " text ", "\\[", "[1](page.md)", "\n\n| a |\n|---|\n| ",
        " |\n", "**", "<b>", "&amp;", "~~", "☃", "\t", "    ",
    ]
)  # fmt: skip
OTHERS = re.compile(r"\[[^\[\]]*\](?=\((?:paper|count|value):)")


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=12).map("".join))
def test_after_sync_check_is_green_and_nothing_but_words_of_links_has_changed(review, tmp_path, text):
    folder = tmp_path / "book"
    folder.mkdir(exist_ok=True)
    page = Path(folder / "page.md")
    page.write_text(text, encoding="utf-8")
    try:
        sync(review, folder)
    except SyncError:
        assert page.read_text("utf-8") == text
        return
    after = page.read_text("utf-8")
    assert not [line for line in told(review, folder) if "is not what the records say" in line]
    assert OTHERS.sub("[]", after) == OTHERS.sub("[]", text)
    assert sync(review, folder) == []
