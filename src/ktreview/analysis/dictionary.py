"""The data dictionary: what every frame and every column of the review means, as table and as JSON Schema."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import pandas as pd

from ktreview.corpus.frames import MEANING, ROWS, Column, columns

#: What JSON calls the types of columns.
_TYPES: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def meaning(name: str) -> str:
    """Say what the rows of a frame are.

    Examples
    --------
    >>> meaning("papers")
    'One row a paper, in the order of the page dump.'
    """
    return inspect.cleandoc(ROWS[name].__doc__ or "")


def as_frame() -> pd.DataFrame:
    """Return the dictionary as a frame, one row a column of the data.

    What holds for a whole frame stands in a row without a column, what holds for all in one without
    a frame.
    """
    rows = [{"meaning": MEANING}]
    for name in ROWS:
        rows.append({"frame": name, "meaning": meaning(name)})
        rows += (
            {
                "frame": name,
                "column": field,
                "type": _TYPES[column.type],
                "unit": column.unit,
                "vocabulary": "; ".join(column.vocabulary),
                "meaning": column.meaning,
                "empty": column.empty or "never",
            }
            for field, column in columns(name).items()
        )
    return pd.DataFrame(rows, columns="frame column type unit vocabulary meaning empty".split()).fillna("")


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
            "description": meaning(name),
            "items": _object({field: _values(column) for field, column in columns(name).items()}),
        }
        for name in frames
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A literature review as data",
        "description": MEANING,
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
    unit = f" Unit: {column.unit}." if column.unit else ""
    empty = f" Empty: {column.empty}." if column.empty else ""
    kind = _TYPES[column.type]
    allowed: dict[str, Any] = {"description": f"{column.meaning}{unit}{empty}", "type": kind}
    if column.vocabulary:
        allowed["enum"] = list(column.vocabulary) + [""] * bool(column.empty)
    elif column.type is str and not column.empty:
        allowed["minLength"] = 1
    elif column.type is not str and column.empty:
        allowed["type"] = [kind, "null"]
    return allowed
