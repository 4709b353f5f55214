"""The book's prose held against the records: every checked link, and every word about a whole set.

Prose stands in the Markdown cells of notebooks and in Markdown pages under ``book/``. `check` finds what is
at fault, `sync` rewrites the numbers and names in links that no longer fit and keeps the chapters' sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
from markdown_it.token import Token
from pydantic import Field

from ktreview.corpus import wording
from ktreview.corpus.records import Fault, Line, Record, UserError, read_yaml, validate
from ktreview.corpus.review import Review
from ktreview.site import links
from ktreview.site.links import Block, Link, Occurrence

#: The tag of the cell at a chapter's end that lists its papers with their addresses.
SOURCES = "sources"
#: The file in the book's folder that says which sentences about a whole set need no check, and why.
ALLOWED = "_universal.yaml"

#: Folders of the book that hold no prose: what a build makes, and what it makes pages with.
_NO_PROSE = ("_static", "_templates", "papers", "labs", ".ipynb_checkpoints")
#: The schemes that addresses in prose may have besides the kinds of checked links.
_SCHEMES = ("http", "https", "mailto", "project", "path", "inv", "myst", "doi")
#: The roles and directives that checked links and code cells have replaced.
_REPLACED = (*links.KINDS, "papers", "part", "show")

_UNIVERSAL = re.compile(
    r"(?<![\w-])(?:nearly all|almost all|nearly every|almost every|no one|no|none|nobody|nothing|nowhere|"
    r"never|neither|only|every|everything|everyone|everybody|everywhere|all|always|(?<!at )most|mostly|few|"
    r"rarely|first (?:to|that|which|work|method|study|paper|benchmark|survey))(?![\w-])",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|‘[^’]*’")
_SENTENCE_END = re.compile(r"(?<=[.!?])[”\")’]*\s+(?=[A-Z“\"(\[])")
_NAMES, _NUMBERS = ("paper", "title", "cite"), ("value", "result", "points", "relative", "effect", "count")
#: What in the words of a number says which way it goes or how far it holds.
_TURNS = re.compile(
    r"[+−-](?=[\d.])|[≥≤≈]|\b(?:up to|more|less|fewer|higher|lower|none|not defined|no)\b", re.IGNORECASE
)
_NUMBER_WORDS = re.compile(
    rf"\d|\b(?:{'|'.join(wording.number_words())}|half|thirds?|quarters?|[a-z]+(?:fth|nth|ths|xth|ghth|ieth))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Passage:
    """A page or a Markdown cell.

    Attributes
    ----------
    file : str
        The page or notebook, from the folder that holds the book's.
    cell : int or None
        The cell's place in the notebook, from 0; None for a page.
    text : str
        Its Markdown.
    is_sources : bool
        Whether it is the cell that `sync` keeps.
    """

    file: str
    cell: int | None
    text: str
    is_sources: bool = False

    def place(self, line: int) -> str:
        """Name a line of it."""
        return f"line {line}" if self.cell is None else f"cell {self.cell}"


class Universal(Record):
    """What `ALLOWED` holds.

    Attributes
    ----------
    strict
        Chapters, without their ending, in which each word about a whole set is bound or allowed.
    allowed
        Sentences that need no check, each with the reason.
    """

    strict: list[Line] = Field(default_factory=list)
    allowed: dict[Line, Line] = Field(default_factory=dict)


@dataclass(frozen=True)
class Sentence:
    """A sentence as plain text, with the words about a whole set that nothing in it binds."""

    text: str
    line: int
    unbound: tuple[str, ...]
    links: tuple[Occurrence, ...]


@dataclass(frozen=True)
class Checked:
    """What `check` found.

    Attributes
    ----------
    files, links : int
        How many pages and notebooks have prose, and how many checked links stand in them.
    faults : list of Fault
    unbound : dict of str to list of Sentence
        By file: sentences with a word about a whole set that is neither bound by a link nor allowed.
    """

    files: int
    links: int
    faults: list[Fault]
    unbound: dict[str, list[Sentence]]


class SyncError(UserError):
    """Something that can't be rewritten; the message names each sentence."""


def check(review: Review, folder: Path) -> Checked:
    """Hold the prose of a book against the records.

    Parameters
    ----------
    review : Review
    folder : Path
        The book's folder.
    """
    universal, faults = _allowed(folder)
    unbound: dict[str, list[Sentence]] = {}
    seen: set[str] = set()
    number = 0
    passages = list(_passages(folder))
    for passage in passages:
        if passage.is_sources:
            continue
        try:
            blocks = _blocks(passage.text)
        except ValueError as error:
            faults.append(Fault(passage.file, passage.place(1), f"{error}."))
            continue
        for block in blocks:
            number += len(block.links)
            faults += (
                Fault(passage.file, passage.place(block.line), message)
                for message in _block_faults(review, passage, block)
            )
            for sentence in sentences(block):
                seen.add(sentence.text)
                if sentence.unbound and sentence.text not in universal.allowed:
                    unbound.setdefault(passage.file, []).append(sentence)
                    if _name(passage.file, folder) in universal.strict:
                        message = (
                            f"{', '.join(sentence.unbound)} in “{sentence.text}” is neither bound nor "
                            f"allowed. Write [{sentence.unbound[0]}](holds:...), rephrase, or give "
                            f"{ALLOWED} the reason."
                        )
                        faults.append(Fault(passage.file, passage.place(block.line), message))
    faults += (
        Fault(f"{folder.name}/{ALLOWED}", "allowed", f"“{text}” stands in no chapter. Remove it.")
        for text in universal.allowed
        if text not in seen
    )
    faults += (
        Fault(file, f"cell tagged {SOURCES}", "does not list the chapter's papers. Run `ktreview sync`.")
        for file, cells in _notebooks(passages).items()
        if _sources_text(review, cells) != next((cell.text for cell in cells if cell.is_sources), "")
    )
    return Checked(len({passage.file for passage in passages}), number, faults, unbound)


def _name(file: str, folder: Path) -> str:
    return file.removeprefix(f"{folder.name}/").rpartition(".")[0]


def _allowed(folder: Path) -> tuple[Universal, list[Fault]]:
    path = folder / ALLOWED
    if not path.is_file():
        return Universal(), []
    name = f"{folder.name}/{ALLOWED}"
    content, faults = read_yaml(path, name)
    universal, more = validate(Universal, content, name) if not faults else (None, [])
    return universal or Universal(), [*faults, *more]


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in (".md", ".ipynb")
        and not any(part in _NO_PROSE for part in path.relative_to(folder).parts[:-1])
    )


def _passages(folder: Path) -> Iterator[Passage]:
    for path in _files(folder):
        file = f"{folder.name}/{path.relative_to(folder).as_posix()}"
        if path.suffix == ".md":
            yield Passage(file, None, _read(path))
            continue
        for place, cell in enumerate(_notebook(path).cells):
            if cell.cell_type == "markdown":
                yield Passage(file, place, cell.source, SOURCES in cell.metadata.get("tags", ()))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text ({error.reason}). Save it as UTF-8.") from None


def _notebook(path: Path) -> Any:
    try:
        return nbformat.reads(_read(path), as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError, KeyError) as error:
        raise UserError(f"{path}: is no notebook ({type(error).__name__}). Restore it.") from None


def _notebooks(passages: Sequence[Passage]) -> dict[str, list[Passage]]:
    found: dict[str, list[Passage]] = {}
    for passage in passages:
        if passage.cell is not None:
            found.setdefault(passage.file, []).append(passage)
    return found


@lru_cache(maxsize=2048)
def _blocks(text: str) -> tuple[Block, ...]:
    """Read a passage; its links are asked for twice, for their words and for the chapter's sources."""
    return tuple(links.blocks(text))


def _block_faults(review: Review, passage: Passage, block: Block) -> Iterator[str]:
    """Say what is wrong in a piece of Markdown."""
    for link in block.links:
        try:
            message = links.fault(review, links.parse(link.target), link.words)
        except ValueError as error:
            message = f"“{link.words}”: {error}."
        if message:
            yield message
    yield from _markup_faults(passage, block)


def _markup_faults(passage: Passage, block: Block) -> Iterator[str]:
    """Say what became no checked link, and what prose no longer has."""
    kinds = "|".join(links.KINDS)
    if block.kind not in ("inline", "html_block"):
        if match := re.match(r"\{([\w:-]+)\}", block.info):
            yield from _replaced(passage, match[1], "directive")
        return
    read = "".join(child.content for child in block.children if child.type in ("text", "html_inline"))
    for match in re.finditer(
        rf"\[?[^\[\]]*\]\((?:{kinds}):[^)]*\)?", read or block.text * (not block.children)
    ):
        yield f"“{match[0]}” became no link: leave blanks and | out of the address, and HTML from around it."
    if "[@" in read:
        yield "“[@” is no citation here. Write [words](cite:KEY)."
    if match := re.match(r":{3,}\s*\{([\w:-]+)\}", block.text):
        yield from _replaced(passage, match[1], "directive")
    for child in block.children:
        if child.type == "myst_role":
            yield from _replaced(passage, str(child.meta.get("name", "")), "role")
        yield from _address_faults(child)


def _address_faults(token: Token) -> Iterator[str]:
    """Say what is wrong with the address of a link or an image."""
    address = unquote(str(token.attrs.get("href", token.attrs.get("src", ""))))
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", address)
    if scheme is None or scheme[1] in _SCHEMES:
        return
    if scheme[1] not in links.KINDS:
        near = get_close_matches(scheme[1], [*links.KINDS, *_SCHEMES], 1)
        yield f"{address!r} has an unknown kind, {scheme[1]!r}." + (f" Is it {near[0]}?" if near else "")
    elif not links.is_checked(token):
        yield f"{address!r} is not written as a link: write [words]({address})."


def _replaced(passage: Passage, name: str, what: str) -> Iterator[str]:
    if passage.cell is not None or name in _REPLACED:
        remedy = "a checked link" if what == "role" else "a code cell that calls show"
        yield f"{{{name}}} is a {what}, which only the site reads. Write {remedy}, or plain Markdown."


def sentences(block: Block) -> Iterator[Sentence]:
    """Cut a piece of prose into sentences."""
    text, free, at = _plain_text(block)
    for quoted in _QUOTED.finditer(text):
        free[quoted.start() : quoted.end()] = [False] * (quoted.end() - quoted.start())
    begin = 0
    ends = [
        match.end()
        for match in _SENTENCE_END.finditer(text)
        if not re.search(r"\b(?:al|cf|e\.g|i\.e|vs)\.\s*$", text[: match.end()])
    ]
    for end in [*ends, len(text)]:
        words = tuple(
            match[0]
            for match in _UNIVERSAL.finditer(text, begin, end)
            if all(free[match.start() : match.end()])
        )
        inside = tuple(link for link, place in zip(block.links, at, strict=True) if begin <= place < end)
        if sentence := " ".join(text[begin:end].split()):
            yield Sentence(sentence, block.line, words, inside)
        begin = end


def _plain_text(block: Block) -> tuple[str, list[bool], list[int]]:
    """Return a piece's plain text, which of its characters are prose, and where its checked links begin."""
    text, free, at, depth = "", [], [], 0
    for child in block.children:
        if child.type in ("link_open", "link_close"):
            depth += child.nesting
            if child.nesting > 0 and links.is_checked(child):
                at.append(len(text))
        piece = " " if child.type in ("softbreak", "hardbreak") else child.content
        if child.type == "html_inline":
            piece = ""
        text += piece
        free += [child.type == "text" and not depth] * len(piece)
    return text, free, at


def sync(review: Review, folder: Path) -> list[Path]:
    """Rewrite the numbers and names of links that no longer fit, and the chapters' sources.

    Returns
    -------
    list of Path
        The files that were rewritten.

    Raises
    ------
    SyncError
        If a link names nothing, or a sign, a direction, an outcome or exact words turned. No file is
        touched then.
    """
    stopped: list[str] = []
    written: dict[Path, str] = {}
    for path in _files(folder):
        file = f"{folder.name}/{path.relative_to(folder).as_posix()}"
        if path.suffix == ".md":
            text = _read(path)
            after = _synced(review, Passage(file, None, text), stopped)
            rewritten = after if after != text else None
        else:
            rewritten = _synced_notebook(review, file, _notebook(path), stopped)
        if rewritten is not None:
            written[path] = rewritten
    if stopped:
        raise SyncError("\n".join(["nothing was rewritten; mend these first:", *stopped]))
    _replace(written)
    return list(written)


def _replace(written: Mapping[Path, str]) -> None:
    """Write all files whole, or none of them."""
    partials = {path: path.with_name(f".{path.name}.partial") for path in written}
    try:
        for path, partial in partials.items():
            partial.write_bytes(written[path].encode())
        for path, partial in partials.items():
            partial.replace(path)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)


def _synced_notebook(review: Review, file: str, notebook: Any, stopped: list[str]) -> str | None:
    """Return a notebook's file as it should be; None if nothing in it changes."""
    changed = False
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and SOURCES not in cell.metadata.get("tags", ()):
            after = _synced(review, Passage(file, place, cell.source), stopped)
            changed |= after != cell.source
            cell.source = after
    changed |= _keep_sources(review, file, notebook)
    return f"{nbformat.writes(notebook)}\n" if changed else None


def _synced(review: Review, passage: Passage, stopped: list[str]) -> str:
    """Return a passage with the words of its links as the records have them."""
    try:
        blocks = _blocks(passage.text)
    except ValueError as error:
        stopped.append(f"{passage.file}, {passage.place(1)}: {error}.")
        return passage.text
    text, expected = passage.text, []
    for block in reversed(blocks):
        for occurrence in reversed(block.links):
            true, why = _true_words(review, occurrence)
            if why:
                spoken = next(s.text for s in sentences(block) if occurrence in s.links)
                stopped.append(f"{passage.file}, {passage.place(block.line)}: “{spoken}”: {why}")
            expected.append((occurrence.target, true))
            if true != occurrence.words:
                text = text[: occurrence.start] + links.escape(true) + text[occurrence.end :]
    if [(found.target, found.words) for found in links.scan(text)] != expected[::-1]:
        stopped.append(
            f"{passage.file}, {passage.place(1)}: new words would change its markup; mend it by hand."
        )
        return passage.text
    return text


def _true_words(review: Review, occurrence: Occurrence) -> tuple[str, str]:
    """Return the words that an occurrence should have, and why they can't be written if so."""
    said = occurrence.words
    try:
        link = links.parse(occurrence.target)
        why = links.fault(review, link, said)
        if why is None:
            return said, ""
        true = links.words(review, link)
    except ValueError as error:
        return said, f"{error}."
    if turned := _turned(link, said, true):
        return said, f"{turned}: {why}"
    return (links.capitalised(true) if said[:1].isupper() and link.kind not in _NAMES else true), ""


def _turned(link: Link, said: str, true: str) -> str:
    """Say in what way new words mean something else than other numbers or names; empty if they don't."""
    if link.kind in _NAMES:
        return ""
    if link.kind not in _NUMBERS:
        return "what it says turned"
    if not _NUMBER_WORDS.search(said) and "none" not in said.casefold():
        return "its words hold no number"
    before, after = (
        [turn.casefold() for turn in _TURNS.findall(re.sub(r"\([^()]*\)", "", text))] for text in (said, true)
    )
    return "a sign or a direction turned" if before != after else ""


def _keep_sources(review: Review, file: str, notebook: Any) -> bool:
    """Put the chapter's sources where they belong, and tell whether that changed anything."""
    cells = [
        Passage(file, place, cell.source, SOURCES in cell.metadata.get("tags", ()))
        for place, cell in enumerate(notebook.cells)
        if cell.cell_type == "markdown"
    ]
    text = _sources_text(review, cells)
    present = next((cell for cell in notebook.cells if SOURCES in cell.metadata.get("tags", ())), None)
    if present is not None:
        changed = bool(present.source != text)
        present.source = text
        return changed
    if not text:
        return False
    cell = nbformat.v4.new_markdown_cell(text, metadata={"tags": [SOURCES]})
    cell.id = f"cell-{len(notebook.cells):02d}"
    notebook.cells.append(cell)
    return True


def _sources_text(review: Review, cells: Sequence[Passage]) -> str:
    """Return the Markdown of a chapter's sources: each paper that a checked link names, with its address."""
    keys = set()
    for cell in cells:
        if not cell.is_sources:
            keys |= set(_named(review, cell.text))
    if not keys:
        return ""
    cited = links.citations(review)
    lines = []
    for key in sorted(keys, key=lambda key: (cited[key].casefold(), key)):
        paper = review.records[key]
        address = (
            f"https://arxiv.org/abs/{paper.arxiv}" if paper.arxiv else paper.code.url if paper.code else ""
        )
        title = links.escape(paper.title)
        lines.append(f"- {cited[key]}: " + (f"[{title}](<{address}>)" if address else title))
    return "\n".join(["## Sources", "", *lines])


def _named(review: Review, text: str) -> Iterator[str]:
    """Yield the keys of the papers that a passage's checked links name."""
    try:
        occurrences = [link for block in _blocks(text) for link in block.links]
    except ValueError:
        return
    for occurrence in occurrences:
        try:
            link = links.parse(occurrence.target)
            target = links.destination(review, link)
        except ValueError:
            continue
        if link.kind == "cite" and link.what in review.records:
            yield link.what
        elif target:
            yield target.partition("#")[0]
