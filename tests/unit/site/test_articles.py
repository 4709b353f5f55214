"""What two sites' articles say is compared; only differences that are meant pass."""

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "site" / "articles.py"
spec = importlib.util.spec_from_file_location("articles", PATH)
articles = importlib.util.module_from_spec(spec)
sys.modules["articles"] = articles
spec.loader.exec_module(articles)


def page(body):
    return f"<nav>Not this</nav><article class='bd-article'>{body}</article><footer>nor this</footer>"


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("<h1>Title<a class='headerlink'>#</a></h1>", ["Title"]),
        ("<p>One <b>bold</b>\n word. Then another.</p>", ["One bold word.", "Then another."]),
        ("<p>in <em>it</em>alics</p><p>more</p>", ["in italics", "more"]),
        ("<pre>a = 1\n\n<span>b</span>  = 2</pre>", ["a = 1", "b  = 2"]),
        ("<table><tr><th>a</th><td>b c</td></tr><tr><td>1</td><td>2</td></tr></table>", ["a | b c", "1 | 2"]),
        ("<svg><title>t</title><text>1<tspan> x</tspan></text></svg>", ["figure: t", "figure: 1 x"]),
        ("<p>let <math alttext='x^2'><mi>x</mi></math>.</p>", ["let $x^2$ ."]),
        ("<img alt='a dog'/><script>no</script><style>no</style><!-- no -->", ["image: a dog"]),
        ("<details><summary>Data</summary>x<br>y</details>", ["Data", "x y"]),
    ],
)
def test_an_article_is_read_as_its_reader_reads_it(body, lines):
    assert articles.lines(page(body)) == lines


def test_a_page_without_an_article_says_nothing():
    assert articles.lines("<main><p>moved</p></main>") == []


def site(folder, **pages):
    for name, body in pages.items():
        path = folder / "book" / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(body), encoding="utf-8")
    return folder


def test_a_kept_site_is_the_site(tmp_path):
    said = articles.read(site(tmp_path, one="<p>ä</p>", two="<p>b</p>"))
    assert said == {"book/one.html": ["ä"], "book/two.html": ["b"]}
    articles.keep(said, tmp_path / "kept.xz")
    assert articles.read(tmp_path / "kept.xz") == said


def test_a_folder_without_pages_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="build the site first"):
        articles.read(tmp_path)


OLD = {"a": ["one", "two", "three"], "gone": ["x"], "same": ["s"]}
NEW = {"a": ["two", "three", "one", "four"], "came": ["x"], "same": ["s"]}


def test_every_difference_is_found():
    found = {(d.page, d.kind, d.line) for d in articles.differences(OLD, NEW)}
    assert found == {
        ("gone", "page-lost", ""),
        ("came", "page-new", ""),
        ("a", "moved", "one"),
        ("a", "new", "four"),
    }
    assert articles.differences(OLD, OLD) == []
    assert [d.kind for d in articles.differences({"a": ["x", "x"]}, {"a": ["x"]})] == ["lost"]


def test_a_unified_diff_names_the_page():
    text = "\n".join(articles.diff(OLD, NEW))
    assert "--- old/a\n+++ new/a" in text
    assert "\n+four" in text
    assert "same" not in text


def test_what_no_entry_covers_and_what_covers_nothing_is_told():
    entries = [
        articles.Expected("*", "moved", "order"),
        articles.Expected("a", "new", "a fourth", pattern="^fou"),
        articles.Expected("a", "lost", "never"),
        articles.Expected("gone", "page-lost", "merged"),
    ]
    left, idle = articles.unexpected(OLD, NEW, entries)
    assert [(d.page, d.kind) for d in left] == [("came", "page-new")]
    assert idle == [entries[2]]


@pytest.mark.parametrize(
    ("page", "kind", "fields", "left"),
    [
        ("chapter", "lost", {"stands_on": "papers/*"}, ["gone", "said [A, 2022]"]),
        ("chapter", "lost", {"stands_on": "."}, ["a lab", "gone", "said [A, 2022]"]),
        ("chapter", "lost", {"stands_on": ".", "but_for": r"[\[(].*, 2022a?[\])]"}, ["a lab", "gone"]),
        ("chapter", "new", {"stands_on": ".", "but_for": r"[\[(].*, 2022a?[\])]"}, []),
        ("chapter", "new", {"stands_on": "papers/*"}, ["said (A, 2022a)"]),
    ],
)
def test_a_line_may_be_bound_to_where_it_stands(page, kind, fields, left):
    old = {"chapter": ["a lab", "gone", "said [A, 2022]"], "papers/a": ["b"]}
    new = {"chapter": ["said (A, 2022a)"], "papers/a": ["b", "a lab"]}
    entries = [articles.Expected(page, kind, "reason", **fields)]
    found, _ = articles.unexpected(old, new, entries)
    assert [d.line for d in found if (d.page, d.kind) == (page, kind)] == left


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "gone", "reason": "r"},
        {"kind": "new", "reason": " "},
        {"kind": "new", "reason": "r", "but_for": "x"},
    ],
)
def test_an_entry_has_a_known_kind_and_a_reason(fields):
    with pytest.raises(ValueError, match=r"reason|kind|stands_on"):
        articles.Expected(page="*", **fields)


def test_the_first_edition_is_there_whole():
    first = articles.read(articles.FIRST_EDITION)
    assert len(first) == 93
    assert sum("/papers/" in page for page in first) == 72
    assert all(first.values())
    assert articles.expected() is not None
