"""What the review's frames hold: one class a frame gives its columns, their types and what they mean.

From these classes come the columns and types of the frames, the data dictionary, the JSON Schema of the
downloads and the labels of pages. Where a column says when it is `empty`, text is then the empty string,
a number NaN and a truth value missing; other columns are never empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar, cast, get_args, get_origin, overload

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from ktreview.corpus.numbers import Role
from ktreview.corpus.outcomes import Outcome
from ktreview.corpus.records import Basis, Bound, ClaimKind, ClaimType, Finding, Kind

Better = Literal["higher", "lower", "neutral"]
Confidence = Literal["high", "medium", "low"]
SettledBasis = Literal["absolute", "relative", "unresolved"]
Strength = Literal["shown", "consistent"]
Side = Literal["higher", "lower"]
Nothing = Literal[""]


class Row(BaseModel):
    """Base of all rows, which are as they stand in a frame: missing numbers are NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def column(meaning: str, *, unit: str = "", empty: str = "", label: str = "") -> Any:
    """Return the field of a column that is described so; `label` is what pages call it, if not its name."""
    return Field(description=meaning, title=label or None, json_schema_extra={"unit": unit, "empty": empty})


# What several columns say.
_NUMBERLESS = "a claim without a number"
_UNSAID = "the abstract does not say"
_OF_METRIC = "the unit of the metric"
_OF_ROW = "the unit of the row"
_PAPER = "The key of the paper."
_THEME = "The key of the paper's primary theme."
_TESTED = "The key of the paper whose mechanism is tested."


class PaperRow(Row):
    """One row a paper, in the order of the page dump."""

    key: str = column(
        "The paper's short name, which never changes: the name of its record, its page and its BibTeX entry."
    )
    n: int = column("The paper's place in the dump, counted from 1.")
    title: str = column("The title exactly as the dump has it, LaTeX escapes such as \\% included.")
    system: str = column("What the paper calls its system.", empty="it names none")
    kind: Kind = column("What sort of contribution the paper makes.")
    theme: str = column("The key of the paper's primary theme, by what it contributes.")
    also: str = column('The keys of secondary themes, joined by "; ".', empty="there are none")
    arxiv: str = column(
        "The arXiv id. Read it as text: as a number it loses a final zero.", empty="none was found"
    )
    authors: str = column('The authors in order, first names first, joined by "; ".')
    date: str = column(
        "The day, or only the month, when the first public version appeared.", unit="YYYY-MM-DD or YYYY-MM"
    )
    venue: str = column("Where the paper was published.", empty="none was found")
    code: str = column(
        "A web address of code or data, from the abstract or looked up elsewhere.", empty="none was found"
    )
    abstract: str = column(
        "The abstract as the dump has it, LaTeX escapes included; a blank line parts paragraphs."
    )


class ClaimRow(Row):
    """One row a claim that an abstract makes of its own work, in reading order."""

    id: str = column(
        "The claim's name, which never changes its meaning: the paper's key, a hyphen and a slug."
    )
    paper: str = column(_PAPER)
    theme: str = column(_THEME)
    type: Literal["quantitative", "qualitative"] = column("Whether the claim states a number.")
    kind: ClaimKind | Nothing = column(
        "Of a claim with a number: an improvement over something, a measured level, or a size "
        "that is itself a result.",
        empty=_NUMBERLESS,
    )
    quote: str = column("The exact words of the abstract; they occur once in it and overlap no other quote.")
    start: int = column(
        "Where the quote begins in the abstract, in Unicode code points counted from 0.", unit="characters"
    )
    end: int = column("Where the quote ends: the place after its last character.", unit="characters")
    value: float = column("The number claimed, written out in full.", unit=_OF_ROW, empty=_NUMBERLESS)
    value_high: float = column(
        "The upper end of a range; of an up-to claim the value again.",
        unit=_OF_ROW,
        empty="no range and no up-to claim",
    )
    unit: str = column(
        "percent wherever the abstract prints a percent sign; else score, points, times, count or"
        " the field's own unit.",
        empty=_NUMBERLESS,
    )
    basis: Basis | Nothing = column(
        "Whether the number is a difference or level (absolute) or a part of the baseline "
        "(relative), as far as the abstract's wording fixes it.",
        label="Basis, as stated",
        empty=_NUMBERLESS,
    )
    resolved_basis: Basis | Literal["unresolved", ""] = column(
        "The basis after the verdict, if there is one: what results beyond the abstract settle, "
        "else as basis; unresolved where a verdict could not tell.",
        empty=_NUMBERLESS,
    )
    bound: Bound | Nothing = column(
        "What the wording makes of the number: more than, less than, up to, about.", empty=_NUMBERLESS
    )
    metric: str = column(
        'What was measured, in the abstract\'s own words; several joined by "; ".', empty=_UNSAID
    )
    benchmark: str = column(
        'On what it was measured, in the abstract\'s own words; several joined by "; ".', empty=_UNSAID
    )
    baseline: str = column(
        'What it is compared with, in the abstract\'s own words, named or not; several joined by "; ".',
        empty=_UNSAID,
    )
    better: Better = column("Which direction is an improvement; neutral where neither is.")
    claim_type: ClaimType | Nothing = column(
        "What a claim without a number asserts.", empty="a claim with a number"
    )
    hedged: bool | None = column(
        "Whether a claim without a number is hedged: an epistemic marker, a conceded limit, or a "
        "prediction about something not built.",
        empty="a claim with a number",
    )
    baseline_named: bool = column("Whether the baseline has a proper name or is a fully described system.")
    finding: Finding | Nothing = column(
        "What results from beyond the abstract make of the claim; see verdicts.",
        label="Verdict",
        empty="it has no verdict",
    )
    strength: Strength | Nothing = column(
        "How surely they do; see verdicts.", empty="it has no verdict, or its finding is unresolved"
    )


class NumberRow(Row):
    """One row a number in an abstract, in digits or in words; every one is accounted for exactly once."""

    paper: str = column(_PAPER)
    text: str = column("The number as the abstract writes it, with its multiplier.")
    start: int = column(
        "Where it begins in the abstract, in Unicode code points counted from 0.", unit="characters"
    )
    end: int = column("Where it ends: the place after its last character.", unit="characters")
    role: Role = column("What the number is there for.")
    claim: str = column("The id of the claim that states it.", empty="no claim states it")


class ResultRow(Row):
    """One row a result read beyond the abstract, in a paper's full text or its official repository."""

    paper: str = column(_PAPER)
    theme: str = column(_THEME)
    benchmark: str = column("On what it was measured.")
    setting: str = column(
        "Model, data and other conditions that tell this result from its neighbours.",
        empty="nothing needs telling apart",
    )
    metric: str = column("What was measured.")
    better: Better = column("Which direction is an improvement; neutral where neither is.")
    baseline: str = column("What the method is compared with.", empty="the result has no baseline")
    baseline_value: float = column(
        "The baseline's value.", unit=_OF_ROW, empty="the source gives none or the result has no baseline"
    )
    method: str = column(
        "The method or system whose value this is; of a comparison inside a study, its other side."
    )
    method_value: float = column("The method's value.", unit=_OF_ROW, empty="the source gives none")
    unit: str = column(
        "What the two values are in, such as percent, points, ratio, rating or rank; the last two"
        " have no zero."
    )
    gain_points: float = column(
        "Computed: how much better the method's value is, positive where better.",
        unit="percentage points, or points of the scale",
        empty="a value is missing, the unit is none of percent, points and rating, or neither direction"
        " is better",
    )
    gain_relative: float = column(
        "Computed: how much better the method's value is, positive where better.",
        unit="percent of the baseline",
        empty="a value is missing, the baseline's is not above zero, the scale has no zero, the values "
        "are factors already, or neither direction is better",
    )
    locator: str = column("Where in the source it stands: table, row, file.")
    source: str = column("What was read, with version or commit.")
    confidence: Confidence = column("How sure the reading is.")


class VerdictRow(Row):
    """One row a claim that was held against results from beyond its abstract."""

    paper: str = column(_PAPER)
    claim: str = column("The id of the claim.")
    finding: Finding = column("What the results make of the claim; unresolved where they do not settle it.")
    basis: SettledBasis | Nothing = column(
        "What the results settle about a percentage whose basis the abstract leaves open.",
        empty="there was nothing of the kind to settle",
    )
    strength: Strength | Nothing = column(
        "shown: table and arithmetic match, or the authors say so; consistent: by elimination or "
        "second-hand.",
        empty="the finding is unresolved",
    )
    why: str = column("The reason in our words.")


class LabRow(Row):
    """One row a lab, a small experiment of ours that pits a paper's mechanism against its baseline."""

    lab: str = column("The lab's name.")
    paper: str = column(_TESTED)
    theme: str = column(_THEME)
    question: str = column("What the lab asks, in one sentence.")
    claim: str = column(
        "The id of the claim whose direction is tested.", empty="the abstract makes no such claim"
    )
    metric: str = column("What is measured.")
    better: Side = column("Which side of the baseline the claim expects the method on.")
    baseline: str = column("The arm without the mechanism.")
    method: str = column("The arm with the mechanism.")
    control: str = column(
        "The arm that keeps the cost but not the ingredient under test.", empty="none makes sense"
    )
    n: int = column("How many paired runs the comparison rests on.", unit="seeds")
    baseline_mean: float = column("The baseline's mean over the deciding seeds.", unit=_OF_METRIC)
    method_mean: float = column("The method's mean over the deciding seeds.", unit=_OF_METRIC)
    effect: float = column("The mean paired difference between method and baseline.", unit=_OF_METRIC)
    low: float = column("Lower end of the effect's 95 % bootstrap interval.", unit=_OF_METRIC)
    high: float = column("Upper end of the effect's 95 % bootstrap interval.", unit=_OF_METRIC)
    p: float = column("The p-value of the exact sign-flip test.")
    dz: float = column(
        "The standardised effect.",
        unit="standard deviations of the paired differences",
        empty="the differences do not vary",
    )
    wins: int = column("On how many seeds the method lies on the side that the claim says.", unit="seeds")
    rep_effect: float = column("The effect on the replication seeds.", unit=_OF_METRIC)
    rep_low: float = column("Lower end of its 95 % bootstrap interval.", unit=_OF_METRIC)
    rep_high: float = column("Upper end of its 95 % bootstrap interval.", unit=_OF_METRIC)
    verdict: Outcome = column(
        "Whether the claimed direction shows: interval, test and replication on one side, on the "
        "other, or neither."
    )
    seconds: float = column(
        "How long both seed sets took where they were last run; no part of any comparison.",
        unit="CPU seconds",
        empty="it was not recorded",
    )


class LabRunRow(Row):
    """One row a single measurement of a lab."""

    lab: str = column("The lab's name.")
    paper: str = column(_TESTED)
    regime: str = column("Which condition of the lab the run belongs to; `main` where there is only one.")
    arm: str = column("Which arm was run: the baseline, the method, the control or another.")
    seed: int = column("The random seed; runs of one seed are paired.")
    metric: str = column("What was measured.")
    value: float = column("The value measured, to eight digits.", unit=_OF_METRIC)


#: The class of each frame's rows. Its docstring says what a row is.
ROWS: Mapping[str, type[Row]] = {
    "papers": PaperRow,
    "claims": ClaimRow,
    "numbers": NumberRow,
    "results": ResultRow,
    "verdicts": VerdictRow,
    "labs": LabRow,
    "lab_runs": LabRunRow,
}

#: The columns of every frame; a contract with all who read the data.
COLUMNS: Mapping[str, tuple[str, ...]] = {name: tuple(row.model_fields) for name, row in ROWS.items()}

#: What holds for all frames.
MEANING = (
    "Text is data, written as it stands and never changed on the way. Abstracts, quotes and names are the "
    "words of others; a cell may hold line breaks, markup or direction marks, and may begin with =, +, - or "
    "@, which some spreadsheets take for a formula, so import the CSV files with all columns as text. CSV "
    "files are UTF-8 with a comma, LF line ends and quotes only where needed. Text that is not stated is "
    "empty; a number that is not stated is empty in CSV and null in JSON."
)


class Column(NamedTuple):
    """What a column means.

    Attributes
    ----------
    type : type
        Of its values.
    vocabulary : tuple of str
        All values that text may have; none if it is free.
    meaning, unit : str
    empty : str
        When a value is missing; the empty string for a column without gaps.
    label : str
        What pages call it.
    """

    type: type[str | int | float | bool]
    vocabulary: tuple[str, ...]
    meaning: str
    unit: str
    empty: str
    label: str


@cache
def columns(name: str) -> dict[str, Column]:
    """Return what is known of the columns of a frame, in order.

    Parameters
    ----------
    name : str
        A key of `ROWS`.

    Examples
    --------
    >>> columns("claims")["basis"].vocabulary
    ('absolute', 'relative', 'unstated')
    """
    known = {}
    for field, described in ROWS[name].model_fields.items():
        said = cast("dict[str, str]", described.json_schema_extra)
        hint = described.annotation
        words = tuple(word for word in _literals(hint) if word)
        kind = str if words else next(t for t in (str, int, float, bool) if t in (hint, *get_args(hint)))
        label = described.title or field.replace("_", " ").capitalize()
        known[field] = Column(kind, words, described.description or "", said["unit"], said["empty"], label)
    return known


def _literals(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from _literals(part)


def frame_of(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as the frame of that name, with all its columns and their types."""
    known = columns(name)
    frame = pd.DataFrame(rows, columns=list(COLUMNS[name]))
    frame = frame.fillna({name: "" for name, column in known.items() if column.type is str})
    types = {
        name: "boolean" if column.type is bool and column.empty else column.type
        for name, column in known.items()
        if column.type is not str
    }
    return frame.astype(types)


R = TypeVar("R", bound=Row)


@overload
def rows(frame: pd.DataFrame) -> Iterator[Any]: ...
@overload
def rows(frame: pd.DataFrame, row: type[R]) -> Iterator[R]: ...
def rows(frame: pd.DataFrame, row: type[Any] | None = None) -> Iterator[Any]:
    """Iterate over a frame's rows.

    Parameters
    ----------
    frame : pandas.DataFrame
    row : type, optional
        The class of the rows, such as `ClaimRow`; further columns are left out. Without it, rows are named
        tuples of all columns.
    """
    if row is None:
        return iter(frame.itertuples(index=False))
    names = list(row.model_fields)
    return (
        row.model_construct(**dict(zip(names, values, strict=True)))
        for values in frame[names].itertuples(index=False, name=None)
    )
