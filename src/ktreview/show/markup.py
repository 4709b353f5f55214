"""HTML that figures, tables and pages share, made by templates that escape all text but markup made here."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

import pandas as pd
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ktreview.corpus.review import Review


@cache
def macro(template: str, name: str, room: str = "ktreview.show") -> Callable[..., Markup]:
    """Return a macro of a template; it escapes all that it is given except `Markup`.

    Parameters
    ----------
    template : str
        The file's name.
    name : str
        The macro's.
    room : str
        The package whose folder ``templates`` holds the template.
    """
    made: Callable[..., Markup] = getattr(_templates(room).get_template(template).module, name)
    return made


@cache
def _templates(room: str) -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader(room), PackageLoader("ktreview.show")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )


def table(frame: pd.DataFrame, caption: str, *, markup: Collection[str] = (), anchor: str = "") -> Markup:
    """Return a frame as a table that scrolls in a box of its own where it is too wide.

    Parameters
    ----------
    frame : pandas.DataFrame
        One cell a value; NaN is shown as a dash.
    caption : str
        Plain text.
    markup : collection of str, optional
        The columns whose cells are HTML already.
    anchor : str, optional
        An id for links to the table.
    """
    are_markup = [column in markup for column in frame.columns]
    lines = [
        [_cell(value, is_markup) for value, is_markup in zip(line, are_markup, strict=True)]
        for line in frame.itertuples(index=False, name=None)
    ]
    return macro("shared.html", "table")(frame.columns, lines, caption, anchor)


def _cell(value: Any, is_markup: bool) -> tuple[object, bool]:
    """Return what a cell shows, and whether it is a number."""
    if is_markup:
        return Markup(value), False  # noqa: S704 - markup by name
    if isinstance(value, int | float):
        return "–" if math.isnan(value) else f"{value:g}", True
    return value, False


def address(review: Review, key: str) -> str:
    """Return a paper's address outside the book, which works wherever an output is shown."""
    arxiv = review.records[key].arxiv
    return f"https://arxiv.org/abs/{arxiv}" if arxiv else "#"


def paper_anchor(review: Review, key: str, text: str, claim: str = "", lab: str = "") -> Markup:
    """Return a link to a paper, to the words of one of its claims or to a lab; the book leads it there."""
    return macro("shared.html", "paper_link")(address(review, key), key, claim, lab, text)


def quoted(words: str) -> Markup:
    """Return words of an abstract, marked as such."""
    return macro("shared.html", "quoted")(words)
