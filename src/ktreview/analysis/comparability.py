"""Which of the numbers under one name may be compared, and what stands against the others."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd

from ktreview.analysis.names import STATED_UNDER, IndexName, load_index, spans
from ktreview.corpus import wording
from ktreview.corpus.frames import ClaimRow, ResultRow, Row
from ktreview.corpus.review import Review, per_review, rows


class NamedNumber(NamedTuple):
    """A number that a claim or a result gives under a name; see `numbers_under`."""

    paper: str
    where: str
    id: str
    kind: str
    value: float
    value_high: float
    unit: str
    bound: str
    better: str
    benchmark: str
    metric: str
    setting: str
    basis: str
    baseline: str
    baseline_named: bool
    baseline_value: float
    method: str
    settled: bool


@per_review
def _numbers(review: Review) -> dict[tuple[str, str], list[NamedNumber]]:
    """Gather the numbers of claims and results under every name."""
    found: dict[tuple[str, str], list[NamedNumber]] = {}
    quantitative = review.claims[review.claims["type"] == "quantitative"]
    numbers: list[tuple[int, Row, NamedNumber]] = [
        (0, row, _claimed(row)) for row in rows(quantitative, ClaimRow)
    ]
    numbers += [(1, row, _resulting(row, n)) for n, row in enumerate(rows(review.results, ResultRow))]
    for which, row, number in numbers:
        for index, entries in load_index().items():
            text = "\n\n".join(getattr(row, name) for name in STATED_UNDER[index][which])
            for key in dict.fromkeys(key for key, _ in spans(text, entries, number.paper)):
                found.setdefault((index, key), []).append(number)
    return found


def _claimed(row: ClaimRow) -> NamedNumber:
    basis = row.resolved_basis if row.resolved_basis in ("absolute", "relative") else "unstated"
    stated: dict[str, Any] = {
        **{name: getattr(row, name, "") for name in NamedNumber._fields},
        "where": "claim",
        "setting": "",
        "basis": basis,
        "settled": basis != row.basis,
        "baseline_value": float("nan"),
    }
    return NamedNumber(**stated)


def _resulting(row: ResultRow, n: int) -> NamedNumber:
    stated: dict[str, Any] = {
        **{name: getattr(row, name, "") for name in NamedNumber._fields},
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
    return NamedNumber(**stated)


def numbers_under(review: Review, index: IndexName, key: str) -> pd.DataFrame:
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
    if index not in STATED_UNDER or key not in load_index()[index]:
        raise ValueError(
            f"there is no {key!r} in the index {index!r}; the indexes are {', '.join(STATED_UNDER)}"
        )
    return pd.DataFrame(_numbers(review).get((index, key), []), columns=NamedNumber._fields)


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
_CRITERIA: tuple[tuple[str, Callable[[NamedNumber], str], bool], ...] = (
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


def comparable(a: NamedNumber, b: NamedNumber) -> tuple[bool, str]:
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


def _obstacle(a: NamedNumber, b: NamedNumber) -> tuple[str, int] | None:
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


def _agreement(row: NamedNumber) -> str:
    names = [name for name, _, of_gains in _CRITERIA[2:] if row.kind == "gain" or not of_gains]
    return f"{wording.listing(names)} agree"


class Pairs:
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

    def __init__(self, numbers: Sequence[NamedNumber]) -> None:
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
