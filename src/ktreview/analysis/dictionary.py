"""The data dictionary: what every frame and every column of the review means, as table and as JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from ktreview.corpus.records import Line, Record, Slug, Words, read_yaml
from ktreview.corpus.review import DATA


class Column(Record):
    """A column: its meaning, the type and unit of its values, and what an empty one means.

    A column without `empty` is never empty; one without `vocabulary` takes any value of its type.
    """

    type: Literal["string", "integer", "number", "boolean"]
    meaning: Line
    unit: Words = ""
    vocabulary: list[Slug] = Field(default_factory=list)
    empty: Words = ""


class Frame(Record):
    """A frame: what its rows are, and its columns in order."""

    meaning: Line
    columns: dict[str, Column]


class Dictionary(Record):
    """The data dictionary: what holds for all data, and the frames in order."""

    meaning: Line
    frames: dict[str, Frame]


@cache
def read_dictionary() -> Dictionary:
    """Read the data dictionary that comes with the package.

    Examples
    --------
    >>> read_dictionary().frames["claims"].columns["basis"].vocabulary
    ['absolute', 'relative', 'unstated']
    """
    content, _ = read_yaml(DATA / "dictionary.yaml", "dictionary.yaml")
    return Dictionary.model_validate(content)


def as_frame() -> pd.DataFrame:
    """Return the dictionary as a frame, one row a column of the data.

    What holds for a whole frame stands in a row without a column, what holds for all in one without
    a frame.
    """
    dictionary = read_dictionary()
    rows = [{"meaning": dictionary.meaning}]
    for name, frame in dictionary.frames.items():
        rows.append({"frame": name, "meaning": frame.meaning})
        rows += (
            {
                "frame": name,
                "column": column_name,
                "type": column.type,
                "unit": column.unit,
                "vocabulary": "; ".join(column.vocabulary),
                "meaning": column.meaning,
                "empty": column.empty or "never",
            }
            for column_name, column in frame.columns.items()
        )
    columns = "frame column type unit vocabulary meaning empty".split()
    return pd.DataFrame(rows, columns=columns).fillna("")


def schema(frames: Iterable[str]) -> dict[str, Any]:
    """Return the JSON Schema of a file that holds these frames.

    Parameters
    ----------
    frames : iterable of str
        The frames that the file holds.

    Returns
    -------
    dict
        A schema of draft 2020-12.
    """
    dictionary = read_dictionary()
    properties: dict[str, Any] = {
        "schema": {"type": "string", "description": "The file that holds this schema."},
        "version": {"type": "string", "description": "The version of ktreview that wrote the file."},
        "digest": {
            "type": "string",
            "pattern": "^[0-9a-f]{16}$",
            "description": "Equal if and only if the records, themes and abstracts are.",
        },
    }
    properties |= {
        name: {
            "type": "array",
            "description": dictionary.frames[name].meaning,
            "items": _object(
                {column: _values(facts) for column, facts in dictionary.frames[name].columns.items()}
            ),
        }
        for name in frames
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A literature review as data",
        "description": dictionary.meaning,
        **_object(properties),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }


def _values(column: Column) -> dict[str, Any]:
    """Return the schema of a column's values."""
    allowed: dict[str, Any] = {"description": _description(column), "type": column.type}
    if column.vocabulary:
        allowed["enum"] = column.vocabulary + [""] * bool(column.empty)
    elif column.type == "string" and not column.empty:
        allowed["minLength"] = 1
    elif column.type != "string" and column.empty:
        allowed["type"] = [column.type, "null"]
    return allowed


def _description(column: Column) -> str:
    unit = f" Unit: {column.unit}." if column.unit else ""
    empty = f" Empty: {column.empty}." if column.empty else ""
    return f"{column.meaning}{unit}{empty}"
