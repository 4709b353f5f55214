"""Who touches the same benchmark, system or metric, and which of the numbers there may be compared."""

from __future__ import annotations

import functools
import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import pandas as pd
from pydantic import Field

from ktreview import markup, wording
from ktreview.records import Fault, Line, Record, Slug, read_yaml, validate
from ktreview.review import DATA, Review, ReviewError, rows
from ktreview.tables import Table

Kind = Literal["benchmarks", "systems", "metrics"]

_FILE = "index.yaml"

#: The fields of a claim and of a result that say what a number of it is under, by index.
_OWN: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "benchmarks": (("quote", "benchmark"), ("benchmark",)),
    "systems": (("quote", "baseline"), ("method", "baseline")),
    "metrics": (("quote", "metric"), ("metric",)),
}
#: The fields of a claim and of a result in which names are looked for.
_CLAIM = ("quote", "metric", "benchmark", "baseline")
_RESULT = ("benchmark", "setting", "metric", "method", "baseline")

_NUMBER = (
    "paper where id kind value value_high unit bound better benchmark metric setting basis baseline "
    "baseline_named baseline_value method settled"
).split()


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
T = TypeVar("T")


def per_review(make: Callable[[Review], T]) -> Callable[[Review], T]:
    """Make a function keep its value for the review that it was last called with."""
    held: list[tuple[Review, T]] = []

    @functools.wraps(make)
    def call(review: Review) -> T:
        if not held or held[0][0] is not review:
            held[:] = [(review, make(review))]
        return held[0][1]

    return call


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
    found: dict[str, dict[str, Entry]] = {index: {} for index in _OWN}
    content, faults = read_yaml(Path(root) / _FILE, _FILE)
    if faults:
        return found, faults
    if not isinstance(content, dict) or set(content) != set(_OWN):
        return found, [Fault(_FILE, "", f"does not hold the indexes {', '.join(_OWN)} and no other.")]
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
        for paper, _, text in _texts(review)
        for _, alias in _spans(text, entries, paper)
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
                texts = [text for key, _, text in _texts(review) if key == paper]
                if not any(_pattern(alias).search(text) for alias in entry.aliases for text in texts):
                    message = f"homonym_in names {paper!r}, where no alias stands. Correct or remove it."
                    faults.append(Fault(_FILE, place, message))
    return faults


@functools.cache
def _pattern(alias: str) -> re.Pattern[str]:
    """Match whole words: no letter or digit beside it, nor one joined on by a hyphen, a point, + or @."""
    return re.compile(rf"(?<![\w@+])(?<!\w-){re.escape(alias)}(?![\w@+])(?!-\w)(?!\.\d)")


def _spans(text: str, entries: Mapping[str, Entry], paper: str) -> Iterator[tuple[str, str]]:
    """Find names in a text as pairs of key and alias, in reading order; inside a longer one, none counts."""
    spans = [
        (*match.span(), entry.key, alias)
        for entry in entries.values()
        if paper not in entry.homonym_in
        for alias in entry.aliases
        if alias in text
        for match in _pattern(alias).finditer(text)
    ]
    for start, end, key, alias in sorted(spans):
        if not any(s <= start and end <= e and (s, e) != (start, end) for s, e, *_ in spans):
            yield key, alias


def _texts(review: Review) -> Iterator[tuple[str, str, str]]:
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
        for paper, where, text in _texts(review):
            for key, alias in _spans(text, entries, paper):
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


class NumberRow(Protocol):
    """A row of `numbers_under`, as `ktreview.review.rows` gives it."""

    kind: str
    value: float
    unit: str
    better: str
    benchmark: str
    metric: str
    setting: str
    basis: str
    baseline: str
    baseline_named: bool


@per_review
def _numbers(review: Review) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Gather the numbers of claims and results under every name."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    quantitative = review.claims[review.claims["type"] == "quantitative"]
    for which, frame, make in ((0, quantitative, _claimed), (1, review.results, _resulting)):
        for n, row in enumerate(rows(frame)):
            number = make(review, row, n)
            for index, entries in load_index().items():
                text = "\n\n".join(getattr(row, name) for name in _OWN[index][which])
                for key in dict.fromkeys(key for key, _ in _spans(text, entries, row.paper)):
                    found.setdefault((index, key), []).append(number)
    return found


def _claimed(review: Review, row: Any, _: int) -> dict[str, Any]:
    basis = row.resolved_basis if row.resolved_basis in ("absolute", "relative") else "unstated"
    return {name: getattr(row, name, "") for name in _NUMBER} | {
        "where": "claim",
        "setting": "",
        "basis": basis,
        "settled": basis != row.basis,
        "baseline_named": review.baseline_named[row.id],
        "baseline_value": float("nan"),
    }


def _resulting(_: Review, row: Any, n: int) -> dict[str, Any]:
    return {name: getattr(row, name, "") for name in _NUMBER} | {
        "where": "result",
        "id": f"result-{n}",
        "kind": "level",
        "value": row.method_value,
        "value_high": float("nan"),
        "bound": "exact",
        "basis": "absolute",
        "settled": False,
        "baseline_named": bool(row.baseline),
    }


def numbers_under(review: Review, index: Kind, key: str) -> pd.DataFrame:
    """Return the numbers that claims and results give under a name.

    A claim's number stands under the benchmark, metric or baseline that the claim states, and under
    names in its quote; a result's under its benchmark, its metric, and its method and baseline. What
    a setting only mentions in passing is a mention, not a number.

    Parameters
    ----------
    review : Review
    index : str
        ``benchmarks``, ``systems`` or ``metrics``.
    key : str
        The name's key.

    Returns
    -------
    pandas.DataFrame
        One row a number, claims first. `where` is ``claim`` or ``result``; a result is a level (the
        method's value), with the baseline's in `baseline_value`; a claim has no `setting`, since
        abstracts state none field by field; `basis` is ``unstated`` unless the abstract or a verdict
        settles it, and `settled` says that it was a verdict.

    Raises
    ------
    ValueError
        If there is no such name.
    """
    if index not in _OWN or key not in load_index()[index]:
        raise ValueError(f"there is no {key!r} in the index {index!r}; the indexes are {', '.join(_OWN)}")
    return pd.DataFrame(_numbers(review).get((index, key), []), columns=_NUMBER)


@functools.cache
def _folded(text: str) -> str:
    """Fold spellings of one string: case, the order of a list, and a hyphen or space beside a letter.

    Examples
    --------
    >>> _folded("CIFAR-100") == _folded("CIFAR100"), _folded("PCFG; SCAN") == _folded("SCAN; PCFG")
    (True, True)
    >>> _folded("beta 1 2") == _folded("beta 12")
    False
    """
    parts = (" ".join(part.split()).casefold() for part in text.split(";"))
    return "; ".join(sorted(re.sub(r"(?<=[^\W\d])[- ](?=\w)|(?<=\d)[- ](?=[^\W\d])", "", p) for p in parts))


@functools.cache
def _conditions(setting: str) -> str:
    """Fold a setting and leave out its remarks: later parts that rank, or report further values.

    Examples
    --------
    >>> _conditions("CLIP ViT-B/16; zero-shot CLIP 53.8") == _conditions("CLIP ViT-B/16")
    True
    >>> _conditions("S backbone; joint training") == _conditions("S backbone")
    False
    """
    first, *later = setting.split(";")
    remark = re.compile(r"\s*(?:best|strongest|lowest|highest|higher)\b|.*\d\.\d")
    return _folded(";".join([first, *(part for part in later if not remark.match(part))]))


#: What must agree, in this order: how it is called, its value for comparing, whether only gains need it.
_CRITERIA: tuple[tuple[str, Callable[[NumberRow], str], bool], ...] = (
    ("value", lambda row: "" if row.value != row.value else "given", False),
    ("kind of number", lambda row: row.kind, False),
    ("benchmark", lambda row: _folded(row.benchmark), False),
    ("metric", lambda row: _folded(row.metric), False),
    ("setting", lambda row: _conditions(row.setting), False),
    ("unit", lambda row: row.unit, False),
    ("direction", lambda row: row.better, False),
    ("basis", lambda row: "" if row.basis == "unstated" else row.basis, True),
    ("baseline", lambda row: _folded(row.baseline) if row.baseline_named else "", True),
)
_SHOWN = {"kind of number": "kind", "direction": "better"}


def comparable(a: NumberRow, b: NumberRow) -> tuple[bool, str]:
    """Say whether two numbers may be compared, and why or why not.

    They may only if both are given and are the same kind of number (a gain, a level, a size), and
    benchmark, metric, setting, unit and direction agree; for gains basis and a named baseline, too.
    Spellings that differ in case, hyphen or space agree; so do settings that differ in remarks only:
    parts after the first that begin with "best" or the like, or report a value with a decimal point.

    Parameters
    ----------
    a, b : row of `numbers_under`

    Returns
    -------
    tuple of bool and str
        The reason names the first thing that is not stated or differs, and is the same for (b, a).
    """
    obstacle = _obstacle(a, b)
    if obstacle is None:
        return True, _agreement(a)
    criterion, silent = obstacle
    if silent:
        named = " named" if criterion == "baseline" else " stated"
        return False, f"the {criterion} is not{named} for {'both' if silent > 1 else 'one'}"
    shown = sorted(wording.plain(getattr(row, _SHOWN.get(criterion, criterion))) for row in (a, b))
    return False, f"the {criterion} differs: {shown[0]} against {shown[1]}"


def _obstacle(a: NumberRow, b: NumberRow) -> tuple[str, int] | None:
    """Return the first criterion that fails and how many of the two do not state it."""
    for criterion, value, of_gains in _CRITERIA:
        if of_gains and a.kind != "gain":
            continue
        ours, theirs = value(a), value(b)
        if not (ours and theirs):
            return criterion, (not ours) + (not theirs)
        if ours != theirs:
            return criterion, 0
    return None


def _agreement(row: NumberRow) -> str:
    names = [name for name, _, of_gains in _CRITERIA[2:] if row.kind == "gain" or not of_gains]
    return f"{wording.listing(names)} agree"


_COLUMNS = [
    *("key", "name", "papers", "numbers", "pairs", "may be compared"),
    *("pairs of two papers", "of these comparable"),
]


@dataclass(frozen=True)
class _IndexTable(Table):
    """The overview of an index, shown with a section for each name."""

    body: str = field(default="", repr=False)

    def html(self) -> str:
        return self.body


def index_page(review: Review, index: Kind) -> Table:
    """Show the names of an index: which papers touch each, its numbers and which may be compared.

    Parameters
    ----------
    review : Review
    index : str
        ``benchmarks``, ``systems`` or ``metrics``.

    Returns
    -------
    Table
        One row a name that some paper touches, by number of papers, then name; its HTML has a section for
        each with the anchor ``<index>-<key>``.
    """
    if index not in _OWN:
        raise ValueError(f"there is no index {index!r}; there are {', '.join(_OWN)}")
    found = mentions(review)
    found = found[found["index"] == index]
    counts = found.groupby("key")["paper"].nunique()
    entries = load_index()[index]
    order = sorted(counts.index, key=lambda key: (-counts[key], entries[key].name.casefold(), key))
    sections: list[str] = []
    summary: list[dict[str, Any]] = []
    for key in order:
        numbers = list(rows(numbers_under(review, index, key)))
        pairs = _Pairs(numbers)
        summary.append(
            {
                "key": key,
                "name": entries[key].name,
                "papers": int(counts[key]),
                "numbers": len(numbers),
                "pairs": pairs.total,
                "may be compared": pairs.alike,
                "pairs of two papers": pairs.across,
                "of these comparable": pairs.across_alike,
            }
        )
        sections.append(
            f'<section class="kt-card" id="{index}-{key}" aria-labelledby="{index}-{key}-name">'
            f'<h3 id="{index}-{key}-name">{html.escape(entries[key].name)}</h3>'
            f"<p>{html.escape(entries[key].what)}</p>"
            f"<p>{_touching(review, found[found['key'] == key])}</p>"
            f"{_numbers_shown(review, entries[key].name, numbers, pairs)}</section>"
        )
    data = pd.DataFrame(summary, columns=_COLUMNS)
    title = _title(index, data)
    body = (
        f'<div class="kt-index" id="index-{index}"><p>{html.escape(title)}</p>'
        f"{_contents(index, data)}<h2>By number of papers</h2>{''.join(sections)}</div>"
    )
    return _IndexTable(f"index-{index}", title, data, body=body)


def _title(index: str, data: pd.DataFrame) -> str:
    shared = int((data["papers"] > 1).sum())
    pairs, alike, across, across_alike = (int(data[name].sum()) for name in _COLUMNS[4:])
    return (
        f"{wording.counted(len(data), index[:-1])}, of which more than one paper names {shared}. "
        f"Pairs of numbers under one name that may be compared: {wording.share(alike, pairs)}. "
        f"Pairs from two papers that may be compared: {wording.share(across_alike, across)}."
    )


def _contents(index: str, data: pd.DataFrame) -> str:
    links = ", ".join(
        f'<a href="#{index}-{row.key}">{html.escape(row.name)}</a> ({row.papers})'
        for row in sorted(rows(data), key=lambda row: (row.name.casefold(), row.key))
    )
    return (
        f'<details class="kt-data"><summary>All {len(data)} names from A to Z, with the number of papers'
        f"</summary><p>{links}</p></details>"
    )


def _touching(review: Review, found: pd.DataFrame) -> str:
    """Link the papers that touch a name, with where it was seen."""
    parts = []
    for paper, own in found.groupby("paper", sort=False):
        key = str(paper)
        link = markup.paper_anchor(review, key, wording.short_name(review.records[key]))
        parts.append(f"{link} ({', '.join(own['where'])})")
    return f"{wording.counted(len(parts), 'paper')}: {'; '.join(parts)}."


class _Pairs:
    """What comparing all numbers under a name with one another comes to.

    Attributes
    ----------
    total, alike, across, across_alike : int
        Pairs; those that may be compared; and both of pairs from two papers. One measurement set
        against two baselines is no pair.
    label : dict of int to str
        By place, the group of numbers that may be compared with one another; no entry for a number on
        its own.
    obstacles : Counter
        How many of the other pairs fail first at which criterion and way.
    nearest : dict of int to str
        By place of a number on its own, at what the number closest to it fails.
    """

    def __init__(self, numbers: list[Any]) -> None:
        self.total = self.alike = self.across = self.across_alike = 0
        self.obstacles: Counter[str] = Counter()
        self.label: dict[int, str] = {}
        self.nearest: dict[int, str] = {}
        order = [criterion for criterion, *_ in _CRITERIA]
        reached: dict[int, int] = {}
        groups = 0
        for (i, a), (j, b) in combinations(enumerate(numbers), 2):
            obstacle = _obstacle(a, b)
            if obstacle is None and (a.paper, a.method, a.value) == (b.paper, b.method, b.value):
                continue
            self.total += 1
            self.across += a.paper != b.paper
            if obstacle is None:
                self.alike += 1
                self.across_alike += a.paper != b.paper
                if i not in self.label:
                    groups += 1
                    self.label[i] = str(groups)
                self.label[j] = self.label[i]
                continue
            criterion, silent = obstacle
            how = f"{criterion} {'not named' if criterion == 'baseline' else 'not stated'}"
            how = how if silent else f"{criterion} differs"
            self.obstacles[how] += 1
            for place in (i, j):
                if order.index(criterion) > reached.get(place, -1):
                    reached[place] = order.index(criterion)
                    self.nearest[place] = how

    def summary(self) -> str:
        """Say in a sentence or two how many pairs may be compared and what stands against the others."""
        if not self.total:
            return "One number: there is nothing here to compare it with."
        order = [criterion for criterion, *_ in _CRITERIA]
        listed = sorted(
            self.obstacles.items(),
            key=lambda item: next(i for i, c in enumerate(order) if item[0].startswith(c)),
        )
        against = "; ".join(f"{how}: {wording.counted(count, 'pair')}" for how, count in listed)
        groups = len(set(self.label.values()))
        said = f"Pairs that may be compared: {wording.share(self.alike, self.total)}"
        said += f", in {wording.counted(groups, 'group')}." if groups else "."
        return f"{said} First thing against the others: {against}." if against else said


def _numbers_shown(review: Review, name: str, numbers: list[Any], pairs: _Pairs) -> str:
    if not numbers:
        return "<p>No number under this name.</p>"
    data = pd.DataFrame(
        {
            "paper": markup.paper_anchor(
                review,
                row.paper,
                wording.short_name(review.records[row.paper]),
                claim=row.id if row.where == "claim" else "",
            ),
            "number": _value(row, row.value),
            "is": _described(row),
            "measures": _measured(row),
            "setting": wording.plain(row.setting) or "–",
            "over": _over(row),
            "may be compared": f"with group {pairs.label[i]}"
            if i in pairs.label
            else f"no: {pairs.nearest[i]}"
            if i in pairs.nearest
            else "–",
        }
        for i, row in enumerate(numbers)
    )
    table = markup.table(
        data, f"Numbers under {name}, in the words of abstracts and results", markup=("paper",)
    )
    return (
        f"<p>{html.escape(pairs.summary())}</p>"
        # Cards break words anywhere, which would squeeze the columns instead of letting the table scroll.
        '<details class="kt-data">'
        f"<summary>{wording.counted(len(numbers), 'number')} under "
        f"{html.escape(name)}</summary>{table}</details>"
    )


def _value(row: Any, value: float) -> str:
    if value != value:  # noqa: PLR0124 - NaN
        return "not given"
    unit = "score" if row.unit == "ratio" else row.unit
    return wording.value(row._replace(value=value, unit=unit))


def _described(row: Any) -> str:
    if row.where == "result":
        return f"result of {wording.plain(row.method)}"
    if row.kind != "gain":
        return f"claimed {row.kind}"
    return f"claimed gain, {wording.basis(row)}" + (" (settled by results)" if row.settled else "")


def _measured(row: Any) -> str:
    on = f"on {wording.plain(row.benchmark)}" if row.benchmark else ""
    return f"{wording.plain(row.metric)} {on}".strip() or "–"


def _over(row: Any) -> str:
    if not row.baseline:
        return "–"
    baseline = wording.plain(row.baseline)
    if row.where == "result":
        return f"{baseline}: {_value(row, row.baseline_value)}"
    return baseline if row.baseline_named else f"{baseline} (not named)"


#: The indexes that a page can show by name.
BY_NAME: dict[str, Callable[[Review], Table]] = {
    "index-benchmarks": functools.partial(index_page, index="benchmarks"),
    "index-systems": functools.partial(index_page, index="systems"),
    "index-metrics": functools.partial(index_page, index="metrics"),
}
