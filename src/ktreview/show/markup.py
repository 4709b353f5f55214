"""HTML fragments that figures, tables and pages share. All text is escaped unless it is markup by name."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Collection
from functools import cache

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ktreview.corpus.review import Review


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("ktreview.show"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


@cache
def macro(template: str, name: str) -> Callable[..., Markup]:
    """Return a macro of a template in `show/templates`; it escapes all that it is given but `Markup`."""
    made: Callable[..., Markup] = getattr(_templates().get_template(template).module, name)
    return made


def table(frame: pd.DataFrame, caption: str, *, markup: Collection[str] = (), anchor: str = "") -> str:
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
    head = "".join(f'<th scope="col">{html.escape(str(column))}</th>' for column in frame.columns)
    body = "".join(
        "<tr>" + "".join(_cell(value, column in markup) for column, value in row.items()) + "</tr>"
        for _, row in frame.iterrows()
    )
    title = html.escape(caption)
    place = f' id="{anchor}"' if anchor else ""
    return (
        f'<div class="kt-table"{place} tabindex="0" role="region" '
        f'aria-label="{title}"><table><caption>{title}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: object, is_markup: bool) -> str:
    if is_markup:
        return f"<td>{value}</td>"
    if isinstance(value, int | float):
        return f'<td class="kt-number">{"–" if math.isnan(value) else f"{value:g}"}</td>'
    return f"<td>{html.escape(str(value))}</td>"


def address(review: Review, key: str) -> str:
    """Return a paper's address outside the book, which works wherever an output is shown."""
    arxiv = review.records[key].arxiv
    return f"https://arxiv.org/abs/{arxiv}" if arxiv else "#"


def paper_anchor(review: Review, key: str, text: str, claim: str = "", lab: str = "") -> Markup:
    """Return a link to a paper, to the words of one of its claims or to a lab; the book leads it there."""
    place = f' data-claim="{claim}"' if claim else f' data-lab="{lab}"' if lab else ""
    return Markup(f'<a class="kt-paper" href="{address(review, key)}" data-paper="{key}"{place}>') + Markup(  # noqa: S704
        "{}</a>"
    ).format(text)
