"""What the articles of two built sites say, compared page by page.

    python tests/site/articles.py OLD NEW             every difference, as unified diffs; 1 if there is any
    python tests/site/articles.py --expected NEW      differences from the first edition that
                                                      first_edition_differences.yaml doesn't cover
    python tests/site/articles.py --keep FILE SITE    keep a site's articles in one small file

OLD and NEW are folders of a built site, or a file that `--keep` wrote. An article is the main content of a
page, without sidebars, navigation and footer: its words as they are read, a sentence, a row of a table or a
line of code each. Words in drawings are lines that begin with ``figure:``.

A list of expected differences has entries of these fields: `page`, a glob on the address; `kind`, one of
`lost`, `new`, `moved` (the same line elsewhere on the page), `page-lost` and `page-new`; `pattern`, a regular
expression for the line, without which any line fits; `stands_on`, a glob on the pages of the other site, one of
which has to hold the line too (`.` is the page itself), so that a lost line is one that went there, and a new
one came from there; `but_for`, a regular expression for what such two lines may differ in; and `reason`.
"""

from __future__ import annotations

import argparse
import difflib
import json
import lzma
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from multiprocessing import Pool
from pathlib import Path

import yaml
from bs4 import BeautifulSoup, Tag
from bs4.element import PreformattedString

HERE = Path(__file__).parent
FIRST_EDITION = HERE / "first_edition.json.xz"
EXPECTED = HERE / "first_edition_differences.yaml"
KINDS = ("lost", "new", "moved", "page-lost", "page-new")

Articles = Mapping[str, Sequence[str]]

#: Elements that stand within a line; any other begins a line of its own.
_INLINE = frozenset(
    "a abbr b bdi bdo br cite code del dfn em i ins kbd label mark q s samp small span strong sub sup time tt u "
    "var wbr".split()
)
_SENTENCE_ENDS = re.compile(r"(?<=[.!?]) (?=[A-Z“])")


def lines(html: str) -> list[str]:
    """Return what the article of a page says; nothing if the page has none."""
    article = BeautifulSoup(html, "html.parser").select_one("article.bd-article")
    if article is None:
        return []
    for unread in article.select("script, style, template, .headerlink"):
        unread.decompose()
    reader = _Reader()
    reader.walk(article)
    reader.end()
    return reader.lines


class _Reader:
    """Reads an element; `lines` holds what it said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._open: list[str] = []

    def end(self) -> None:
        """End the line."""
        text = _plain("".join(self._open))
        self._open.clear()
        self.lines += _SENTENCE_ENDS.split(text) if text else []

    def walk(self, parent: Tag) -> None:
        """Read all that stands in an element."""
        for child in parent.children:
            if isinstance(child, Tag):
                self._element(child)
            elif not isinstance(child, PreformattedString):  # comments and the like
                self._open.append(str(child))

    def _element(self, element: Tag) -> None:
        if element.name == "br":
            self._open.append(" ")
        elif element.name == "math":
            self._open.append(f" ${element.get('alttext') or element.get_text()}$ ")
        elif element.name in _INLINE:
            self.walk(element)
        else:
            self.end()
            if element.name in _WHOLE:
                self.lines += _WHOLE[element.name](element)
            else:
                self.walk(element)
                self.end()


def _plain(text: str) -> str:
    return " ".join(text.split())


def _drawing(svg: Tag) -> list[str]:
    words = (_plain(text.get_text()) for text in svg.select("text, title, desc"))
    return [f"figure: {text}" for text in words if text]


def _code(pre: Tag) -> list[str]:
    return [line.rstrip() for line in pre.get_text().splitlines() if line.strip()]


def _row(row: Tag) -> list[str]:
    return [" | ".join(_plain(cell.get_text()) for cell in row.find_all(["th", "td"]))]


#: Elements that are read as a whole.
_WHOLE: Mapping[str, Callable[[Tag], list[str]]] = {
    "img": lambda image: [f"image: {image.get('alt', '')}"],
    "pre": _code,
    "svg": _drawing,
    "tr": _row,
}


def read(site: Path) -> dict[str, list[str]]:
    """Return the articles of a built site, by the pages' addresses.

    Parameters
    ----------
    site : Path
        A folder, or a file that `keep` wrote.
    """
    if site.is_file():
        kept: dict[str, list[str]] = json.loads(lzma.decompress(site.read_bytes()))
        return kept
    paths = [
        path
        for path in sorted(site.rglob("*.html"))
        if not any(part.startswith("_") for part in path.relative_to(site).parts)
    ]
    with Pool() as pool:
        read_lines = pool.map(_read_page, paths, chunksize=4)
    found = {
        path.relative_to(site).as_posix(): said
        for path, said in zip(paths, read_lines, strict=True)
        if said and path.name != "search.html"
    }
    if not found:
        raise FileNotFoundError(f"{site}: no page with an article is there; build the site first (make book)")
    return found


def _read_page(path: Path) -> list[str]:
    return lines(path.read_text(encoding="utf-8"))


def keep(articles: Articles, path: Path) -> None:
    """Write articles into one small file."""
    text = json.dumps(articles, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    path.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


@dataclass(frozen=True)
class Difference:
    """A line that one site has and the other has not, or not there; or a page."""

    page: str
    kind: str
    line: str = ""


def differences(old: Articles, new: Articles) -> list[Difference]:
    """List every difference between two sites' articles."""
    found = [Difference(page, "page-lost") for page in sorted(set(old) - set(new))]
    found += [Difference(page, "page-new") for page in sorted(set(new) - set(old))]
    for page in sorted(set(old) & set(new)):
        found += [Difference(page, kind, line) for kind, line in _changes(old[page], new[page])]
    return found


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    lost: list[str] = []
    added: list[str] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            lost += old[i1:i2]
            added += new[j1:j2]
    moved = Counter(lost) & Counter(added)
    yield from (("moved", line) for line in moved.elements())
    yield from (("lost", line) for line in _without(lost, moved))
    yield from (("new", line) for line in _without(added, moved))


def _without(lines_: Sequence[str], taken: Counter[str]) -> Iterator[str]:
    left = Counter(taken)
    for line in lines_:
        if left[line]:
            left[line] -= 1
        else:
            yield line


@dataclass(frozen=True)
class Expected:
    """A difference that is meant."""

    page: str
    kind: str
    reason: str
    pattern: str = ""
    stands_on: str = ""
    but_for: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} of {self.page}: write one of {', '.join(KINDS)}")
        if not self.reason.strip():
            raise ValueError(f"{self.kind} on {self.page} has no reason: give one")
        if self.but_for and not self.stands_on:
            raise ValueError(
                f"{self.kind} on {self.page} has but_for: say with stands_on where the line stands"
            )
        for pattern in (self.pattern, self.but_for):
            re.compile(pattern)

    def covers(self, difference: Difference, sites: Sites) -> bool:
        """Say whether a difference between two sites is this one."""
        return (
            self.kind == difference.kind
            and fnmatchcase(difference.page, self.page)
            and re.search(self.pattern, difference.line) is not None
            and (not self.stands_on or self._stands(difference, sites))
        )

    def _stands(self, difference: Difference, sites: Sites) -> bool:
        """Say whether the other site has the line where the entry says."""
        pages = difference.page if self.stands_on == "." else self.stands_on
        return _but_for(difference.line, self.but_for) in sites.lines(difference.kind, pages, self.but_for)


class Sites:
    """Two sites, whose lines are looked up."""

    def __init__(self, old: Articles, new: Articles) -> None:
        self._others = {"lost": new, "new": old}
        self._found: dict[tuple[str, str, str], frozenset[str]] = {}

    def lines(self, kind: str, pages: str, but_for: str) -> frozenset[str]:
        """Return the lines of the site that differs, on the pages that fit a glob, without what may differ."""
        key = (kind, pages, but_for)
        if key not in self._found:
            articles = self._others.get(kind, {})
            self._found[key] = frozenset(
                _but_for(line, but_for)
                for page, said in articles.items()
                if fnmatchcase(page, pages)
                for line in said
            )
        return self._found[key]


def _but_for(line: str, pattern: str) -> str:
    return _plain(re.sub(pattern, "", line)) if pattern else line


def expected(path: Path = EXPECTED) -> list[Expected]:
    """Read a list of expected differences."""
    return [Expected(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or []]


def unexpected(
    old: Articles, new: Articles, entries: Sequence[Expected]
) -> tuple[list[Difference], list[Expected]]:
    """Return the differences that no entry covers, and the entries that cover nothing."""
    sites = Sites(old, new)
    left = []
    used: set[Expected] = set()
    for difference in differences(old, new):
        covering = [entry for entry in entries if entry.covers(difference, sites)]
        used.update(covering)
        if not covering:
            left.append(difference)
    return left, [entry for entry in entries if entry not in used]


def diff(old: Articles, new: Articles) -> Iterator[str]:
    """Yield a unified diff of every page that is not the same in both."""
    for page in sorted(set(old) | set(new)):
        if old.get(page) != new.get(page):
            before, after = old.get(page, ()), new.get(page, ())
            yield from difflib.unified_diff(before, after, f"old/{page}", f"new/{page}", lineterm="", n=1)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sites", nargs="+", type=Path, metavar="SITE")
    parser.add_argument("--expected", action="store_true", help="compare with the first edition")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the articles of the site")
    options = parser.parse_args()
    if len(options.sites) != (1 if options.expected or options.keep else 2):
        parser.error("name two sites; with --expected or --keep, one")
    sites = [read(path) for path in options.sites]
    if options.keep:
        keep(sites[0], options.keep)
        return 0
    report = list(_against_first_edition(sites[0]) if options.expected else _compared(*sites))
    print("\n".join(report))  # noqa: T201 - a command prints
    return int(len(report) > 1)


def _compared(old: Articles, new: Articles) -> Iterator[str]:
    yield from diff(old, new)
    equal = sum(old[page] == new.get(page) for page in old)
    yield f"{equal} of {len(set(old) | set(new))} articles are equal"


def _against_first_edition(new: Articles) -> Iterator[str]:
    old = read(FIRST_EDITION)
    left, idle = unexpected(old, new, expected())
    yield from (f"{difference.page}: {difference.kind}: {difference.line}" for difference in left)
    for entry in idle:
        yield f"{EXPECTED.name}: {entry.kind} on {entry.page} ({entry.pattern}) covers nothing: take it out"
    found = differences(old, new)
    yield f"{len(found)} differences from the first edition, {len(left)} of them not expected"


if __name__ == "__main__":
    sys.exit(main())
