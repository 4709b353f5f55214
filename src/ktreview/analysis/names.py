"""The names under which papers, claims and results are gathered, and where they stand."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from ktreview.corpus.records import Fault, Line, Record, Slug, read_yaml, validate
from ktreview.corpus.review import DATA, Review, ReviewError, per_review, rows

IndexName = Literal["benchmarks", "systems", "metrics"]


_FILE = "index.yaml"


#: The fields of a claim and of a result that say what a number of it is under, by index.
STATED_UNDER: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "benchmarks": (("quote", "benchmark"), ("benchmark",)),
    "systems": (("quote", "baseline"), ("method", "baseline")),
    "metrics": (("quote", "metric"), ("metric",)),
}


#: The fields of a claim and of a result in which names are looked for.
_CLAIM = ("quote", "metric", "benchmark", "baseline")


_RESULT = ("benchmark", "setting", "metric", "method", "baseline")


class Entry(Record):
    """A name under which papers, claims and results are gathered.

    Attributes
    ----------
    key : str
        A slug, unique in its index.
    name : str
        How the review writes it.
    aliases : list of str
        Exact strings of abstracts and results, whole words, in this case.
    homonym_in : list of str
        Papers in which the aliases mean something else.
    what : str
        What it is, in the review's words.
    """

    key: Slug
    name: Line
    aliases: list[Line] = Field(min_length=1)
    homonym_in: list[Slug] = Field(default=[])
    what: Line


Index = Mapping[str, Mapping[str, Entry]]


def read_index(root: Path | str = DATA) -> tuple[Index, list[Fault]]:
    """Read the names and collect all faults of the file itself.

    Parameters
    ----------
    root : path, optional
        The folder of ``index.yaml``; the review's own data if left out.

    Returns
    -------
    tuple
        By index and key the entries without a fault, and the faults.
    """
    found: dict[str, dict[str, Entry]] = {index: {} for index in STATED_UNDER}
    content, faults = read_yaml(Path(root) / _FILE, _FILE)
    if faults:
        return found, faults
    if not isinstance(content, dict) or set(content) != set(STATED_UNDER):
        return found, [Fault(_FILE, "", f"does not hold the indexes {', '.join(STATED_UNDER)} and no other.")]
    owners: dict[str, str] = {}
    for index, items in content.items():
        for i, item in enumerate(items if isinstance(items, list) else [items]):
            place = f"{index}[{i}]"
            entry, problems = validate(Entry, item, _FILE)
            faults += (Fault(_FILE, f"{place}.{f.field}".rstrip("."), f.message) for f in problems)
            if entry is None:
                continue
            if entry.key in found[index]:
                faults.append(Fault(_FILE, f"{place}.key", f"{entry.key!r} is given twice. Keep one."))
                continue
            found[index][entry.key] = entry
            for j, alias in enumerate(entry.aliases):
                if alias in owners:
                    message = f"{alias!r} is an alias in {owners[alias]} already. Keep one."
                    faults.append(Fault(_FILE, f"{place}.aliases[{j}]", message))
                owners.setdefault(alias, place)
    return found, faults


@functools.cache
def load_index() -> Index:
    """Return the names of the review's own data by index and key.

    Raises
    ------
    ReviewError
        If the file has faults.

    Examples
    --------
    >>> load_index()["benchmarks"]["webqsp"].name
    'WebQSP'
    """
    found, faults = read_index()
    if faults:
        raise ReviewError(faults)
    return found


def check_index(review: Review, root: Path | str = DATA) -> list[Fault]:
    """Collect what is at fault in the names: an alias that occurs nowhere or twice, an unknown paper.

    Parameters
    ----------
    review : Review
    root : path, optional
        The folder of ``index.yaml``; the review's own data if left out.

    Returns
    -------
    list of Fault
    """
    found, faults = read_index(root)
    seen = {
        (index, alias)
        for index, entries in found.items()
        for paper, _, text in texts(review)
        for _, alias in spans(text, entries, paper)
    }
    for index, entries in found.items():
        for entry in entries.values():
            place = f"{index}, {entry.key}"
            faults += (
                Fault(
                    _FILE, place, f"{alias!r} stands in no abstract, claim or result. Correct or remove it."
                )
                for alias in entry.aliases
                if (index, alias) not in seen
            )
            for paper in entry.homonym_in:
                its_texts = [text for key, _, text in texts(review) if key == paper]
                if not any(_pattern(alias).search(text) for alias in entry.aliases for text in its_texts):
                    message = f"homonym_in names {paper!r}, where no alias stands. Correct or remove it."
                    faults.append(Fault(_FILE, place, message))
    return faults


@functools.cache
def _pattern(alias: str) -> re.Pattern[str]:
    """Match whole words: no letter or digit beside it, nor one joined on by a hyphen, a point, + or @."""
    return re.compile(rf"(?<![\w@+])(?<!\w-){re.escape(alias)}(?![\w@+])(?!-\w)(?!\.\d)")


def spans(text: str, entries: Mapping[str, Entry], paper: str) -> Iterator[tuple[str, str]]:
    """Find names in a text as pairs of key and alias, in reading order; inside a longer one, none counts."""
    candidates = [
        (*match.span(), entry.key, alias)
        for entry in entries.values()
        if paper not in entry.homonym_in
        for alias in entry.aliases
        if alias in text
        for match in _pattern(alias).finditer(text)
    ]
    for start, end, key, alias in sorted(candidates):
        if not any(s <= start and end <= e and (s, e) != (start, end) for s, e, *_ in candidates):
            yield key, alias


def texts(review: Review) -> Iterator[tuple[str, str, str]]:
    """Iterate over the texts in which names are looked for, with paper and kind of place."""
    for row in rows(review.papers):
        yield row.key, "abstract", row.abstract
    for where, frame, fields in (("claim", review.claims, _CLAIM), ("result", review.results, _RESULT)):
        for row in rows(frame):
            # Two line breaks: no name goes on from one field to the next.
            yield row.paper, where, "\n\n".join(getattr(row, name) for name in fields)


@per_review
def mentions(review: Review) -> pd.DataFrame:
    """Find where the names of the indexes stand.

    Parameters
    ----------
    review : Review

    Returns
    -------
    pandas.DataFrame
        One row an index, name, paper and kind of place, with the columns `index`, `key`, `name`,
        `paper`, `where` (``abstract``, ``claim`` or ``result``) and `alias` (the string first seen
        there); in the order of the names and, within one, of the corpus. Not to be changed.
    """
    order = {key: n for n, key in enumerate(review.papers["key"])}
    found: dict[tuple[int, int, int, str], dict[str, str]] = {}
    for i, (index, entries) in enumerate(load_index().items()):
        place = {key: n for n, key in enumerate(entries)}
        for paper, where, text in texts(review):
            for key, alias in spans(text, entries, paper):
                found.setdefault(
                    (i, place[key], order[paper], where),
                    {
                        "index": index,
                        "key": key,
                        "name": entries[key].name,
                        "paper": paper,
                        "where": where,
                        "alias": alias,
                    },
                )
    return pd.DataFrame(
        [found[at] for at in sorted(found)], columns=["index", "key", "name", "paper", "where", "alias"]
    )
