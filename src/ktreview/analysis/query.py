"""Choose and count rows of the review's frames by conditions, so that prose never types a number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ktreview.corpus.frames import COLUMNS, columns
from ktreview.corpus.review import Review

#: A column that names a row of another frame, and the column by which that row is known.
_JOINS = {"paper": ("papers", "key"), "claim": ("claims", "id"), "lab": ("labs", "lab")}
_YES_NO = {"True": "yes", "False": "no"}


@dataclass(frozen=True)
class Condition:
    """What a row must meet: ``column=value``, ``!=``, ``<`` or ``>``.

    An empty value stands for "not stated". ``paper.date`` is the date of the row's paper, and so on for
    claims and labs. Numbers and dates have an order, and a date is compared as far as the value goes.
    """

    column: str
    operator: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition.

        Raises
        ------
        ValueError
            If it is none.
        """
        match = re.fullmatch(r"([a-z_]+(?:\.[a-z_]+)?)(!=|=|<|>)(.*)", text)
        if match is None:
            raise ValueError(f"{text!r} is no condition: write column=value, or !=, < or > between them")
        return cls(*match.groups())

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{self.value}"


def select(review: Review, frame: str, conditions: Iterable[Condition] = ()) -> pd.DataFrame:
    """Return the rows of a frame that meet all conditions.

    Raises
    ------
    ValueError
        If the frame, a column or a value does not exist, or the column's values have no order.
    """
    kept = _frame(review, frame)
    for condition in conditions:
        kept = kept[_meets(review, frame, kept, condition)]
    return kept


def count(review: Review, query: str) -> int:
    """Count the rows, or the different values of a column, that meet all conditions.

    Parameters
    ----------
    review : Review
    query : str
        ``frame[.column][/condition;condition ...]``, or the same with blanks between the parts.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the frame, a column or a value does not exist, or the column's values have no order.

    Examples
    --------
    >>> from ktreview import load_review
    >>> review = load_review()
    >>> count(review, "claims.paper/kind=gain") <= count(review, "claims/kind=gain")
    True
    >>> count(review, "papers/date<2022") + count(review, "papers/date>2021") == len(review.papers)
    True
    """
    if query != query.strip() or not query:
        raise ValueError("the count is empty: write a frame, as in `papers/theme=continual-learning`")
    name, *rest = query.split() if " " in query else query.split("/", 1)
    texts = rest if " " in query else [text for group in rest for text in group.split(";")]
    return counted(review, name, [Condition.parse(text) for text in texts])


def counted(review: Review, name: str, conditions: Iterable[Condition]) -> int:
    """Count as `count` does, with conditions that have been read; `name` is ``frame[.column]``."""
    frame, _, column = name.partition(".")
    kept = select(review, frame, conditions)
    return int(_column(review, frame, kept, column).nunique()) if column else len(kept)


def _frame(review: Review, name: str) -> pd.DataFrame:
    if name not in COLUMNS:
        raise ValueError(f"there is no frame {name!r} to count; the frames are {', '.join(COLUMNS)}")
    return review.frame(name)


def _column(review: Review, name: str, rows: pd.DataFrame, column: str) -> pd.Series[Any]:
    """Return a column of the rows, or of the rows that they name in another frame."""
    by, _, further = column.partition(".")
    if not further and column in rows:
        return rows[column]
    if by in rows and by in _JOINS and further:
        other, key = _JOINS[by]
        lookup = _frame(review, other).set_index(key, drop=False)
        if further in lookup:
            return rows[by].map(lookup[further])
    raise ValueError(f"{column!r} is no column of {name}; its columns are {', '.join(rows.columns)}")


def _meets(review: Review, name: str, rows: pd.DataFrame, condition: Condition) -> pd.Series[bool]:
    column, value = condition.column, condition.value
    values = _column(review, name, rows, column)
    if condition.operator in "<>":
        return _ordered(values, condition)
    whole = _column(review, name, _frame(review, name), column)
    known = set(_words(whole)) | _vocabulary(name, column)
    if pd.api.types.is_bool_dtype(whole):
        value, known = _YES_NO.get(value, value), {*_YES_NO.values()}
    if value and value not in known:
        raise ValueError(f"{value!r} is not a value of {name}.{column}")
    same = _words(values) == value
    return same if condition.operator == "=" else ~same


def _words(values: pd.Series[Any]) -> pd.Series[str]:
    """Return values as conditions write them; what is not stated is empty."""
    text = values.astype(str).where(values.notna(), "")
    return text.replace(_YES_NO) if pd.api.types.is_bool_dtype(values) else text


def _ordered(values: pd.Series[Any], condition: Condition) -> pd.Series[bool]:
    value = condition.value
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        try:
            bound: float | str = float(value)
        except ValueError:
            raise ValueError(f"{value!r} is no number to compare {condition.column} with") from None
        return values.lt(bound) if condition.operator == "<" else values.gt(bound)
    if condition.column.rpartition(".")[2] != "date":
        raise ValueError(f"{condition.column} has no order: ask for numbers or dates with < and >")
    if not re.fullmatch(r"\d{4}(-\d\d){0,2}", value):
        raise ValueError(f"{value!r} is no date: write YYYY, YYYY-MM or YYYY-MM-DD")
    dates = values.astype(str).where(values.notna(), "").str[: len(value)]
    return (dates < value) & (dates != "") if condition.operator == "<" else dates > value


def _vocabulary(frame: str, column: str) -> set[str]:
    """Return the values that a column may have, though no row has them; empty if it is free."""
    if "." in column:
        by, _, column = column.partition(".")
        frame = _JOINS[by][0]
    return set(columns(frame)[column].vocabulary)
