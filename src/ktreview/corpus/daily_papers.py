"""Read a Daily Papers page dump: page furniture, then title, abstract, title, abstract, ...

A dump is what a browser gives when a listing page is copied as text. A line is a paragraph; blank
lines separate nothing but the eye. The reader needs four kinds of line, and where a line could be
two of them it stops with a `DumpError` that names the line: nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

#: What listing pages show around and between the entries; compared with case folded.
_FURNITURE = re.compile(
    r"""(?: new | subscribe | daily\ papers | trending\ papers | papers | previous | next | today
    | get\ trending\ papers\ in\ your\ email\ inbox!? | by\ ?\S+\ and\ the\ research\ community
    | hugging\ face | models | datasets | spaces | buckets | posts | docs | enterprise | pricing
    | log\ in | sign\ up | search | load\ more | view\ all | show\ more | system\ theme | community
    | company | (?:©|\(c\)).* | tos | terms(?:\ of\ (?:use|service))? | privacy(?:\ policy)? | about
    | jobs | careers | website | blog | forum | github | upvote | submitted\ by\b.* | published\ on\b.*
    | [·•\s]*\d+\ authors? | [\W\d]+
    | (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\ \d{1,2}(?:,?\ \d{4})?
    )""",
    re.VERBOSE,
)
_SENTENCE_END = re.compile(r"""[.!?…。]["'”’)\]}*]*$""")
_FULL_STOP_END = re.compile(r"""[.…。]["'”’)\]}*]*$""")
_ADDRESS = re.compile(r"https?://\S+")
_ADDRESS_END = re.compile(r"""https?://\S+["'”’)\]}*]*$""")
#: No title seen is longer; no abstract paragraph without a final full stop is shorter.
_LONGEST_TITLE = 250


class DumpError(ValueError):
    """A page dump that can't be read; the message names the line and the remedy."""


#: A line of the dump with its number, counted from 1.
_Line = tuple[int, str]


@dataclass(frozen=True)
class Entry:
    r"""One paper of a dump.

    Attributes
    ----------
    title : str
        The title, white space collapsed.
    abstract : str
        The abstract; paragraphs are joined by a blank line. Escapes such as ``40\%`` are kept.
    line : int
        The line of the title in the dump, counted from 1.
    """

    title: str
    abstract: str
    line: int


def parse(text: str) -> list[Entry]:
    r"""Read the titles and abstracts of a page dump, in order.

    Parameters
    ----------
    text : str
        The dump. A byte-order mark, Windows or old Macintosh line ends, control characters and
        stray white space are cleaned away; everything else is kept as it is.

    Returns
    -------
    list of Entry
        One entry a paper, each with ``title``, ``abstract`` and ``line``.

    Raises
    ------
    DumpError
        If there is no entry, a title has no abstract, an abstract has no title, the text breaks off
        inside an abstract, a paper is repeated with another abstract, or a line could as well be a
        title as a paragraph.

    Warns
    -----
    UserWarning
        If a paper is an exact repeat of an earlier one; it is dropped.

    Examples
    --------
    >>> parse("Daily Papers\n\nJul 29\n\nA title\n\nWe show a thing.\n")
    [Entry(title='A title', abstract='We show a thing.', line=5)]
    """
    entries = []
    for number, title, paragraphs in _blocks(_body(_lines(text))):
        if not paragraphs:
            raise DumpError(
                f"line {number}: the title {_short(title)} has no abstract. Add the abstract below it, or "
                "remove the line."
            )
        entries.append(Entry(title, "\n\n".join(line for _, line in paragraphs), number))
        last_line, last = paragraphs[-1]
    if not entries:
        raise DumpError("line 1: no title with an abstract was found; this is not a page dump.")
    if not (_SENTENCE_END.search(last) or _ADDRESS_END.search(last)):
        raise DumpError(
            f"line {last_line}: the dump breaks off inside the abstract of {_short(entries[-1].title)} "
            f"(it ends in {_short(last[-40:])}). Copy the page again, to its end."
        )
    return _without_repeats(entries)


def _blocks(lines: list[_Line]) -> Iterator[tuple[int, str, list[_Line]]]:
    """Yield each title's line and text with the paragraphs below it."""
    title: _Line | None = None
    paragraphs: list[_Line] = []
    for number, line in lines:
        if _is_furniture(line):
            continue
        if not _is_prose(line) or (title is None and len(line) <= _LONGEST_TITLE):
            if title:
                yield *title, paragraphs
            title, paragraphs = (number, line), []
            continue
        if title is None:
            raise DumpError(
                f"line {number}: the paragraph {_short(line)} has no title above it. Put the title on a "
                "line of its own before it."
            )
        if paragraphs and _reads_as_title(line):
            raise DumpError(
                f"line {number}: {_short(line)} could be a title that ends in a full stop or a paragraph "
                "of the abstract above. Remove the full stop, or join the paragraphs."
            )
        paragraphs.append((number, line))
    if title:
        yield *title, paragraphs


#: The byte order mark and all control characters that are no space.
_INVISIBLE = dict.fromkeys(
    [
        0xFEFF,
        *(
            code
            for code in range(0xA0)
            if unicodedata.category(chr(code)) == "Cc" and not chr(code).isspace()
        ),
    ]
)


def _lines(text: str) -> list[_Line]:
    """Return the cleaned lines with their numbers from 1, without the empty ones."""
    cleaned = []
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        line = " ".join(raw.translate(_INVISIBLE).split())
        if line:
            cleaned.append((number, line))
    return cleaned


def _body(lines: list[_Line]) -> list[_Line]:
    """Cut what stands before the page's own heading and after its last abstract."""
    start = next((i + 1 for i, (_, line) in enumerate(lines) if line.casefold() == "daily papers"), 0)
    if any(_is_prose(line) for _, line in lines[:start]):
        start = 0
    body = lines[start:]
    end = max((i + 1 for i, (_, line) in enumerate(body) if _is_prose(line)), default=len(body))
    if end < len(body) and _is_furniture(body[end][1]):
        return body[:end]
    return body


def _is_furniture(line: str) -> bool:
    return _FURNITURE.fullmatch(line.casefold()) is not None


def _is_prose(line: str) -> bool:
    """Whether a line can be a paragraph of an abstract rather than a title."""
    return bool(_FULL_STOP_END.search(line) or _ADDRESS.search(line) or len(line) > _LONGEST_TITLE)


def _reads_as_title(line: str) -> bool:
    words = [word for word in re.findall(r"[^\W\d_][\w'-]*", line) if len(word) > 3]
    capitals = sum(word[0].isupper() for word in words)
    return (
        len(line) <= _LONGEST_TITLE
        and len(words) > 2
        and capitals > 0.7 * len(words)
        and not _ADDRESS.search(line)
    )


def _without_repeats(entries: list[Entry]) -> list[Entry]:
    seen: dict[str, Entry] = {}
    for entry in entries:
        first = seen.setdefault(entry.title.casefold(), entry)
        if first is entry:
            continue
        if first.abstract != entry.abstract:
            raise DumpError(
                f"line {entry.line}: {_short(entry.title)} stands at line {first.line} already, with "
                "another abstract. Keep one of the two."
            )
        warnings.warn(
            f"line {entry.line}: {_short(entry.title)} repeats line {first.line} and is dropped.",
            stacklevel=3,
        )
    return list(seen.values())


def _short(text: str, length: int = 60) -> str:
    return repr(text if len(text) <= length else text[: length - 1] + "…")
