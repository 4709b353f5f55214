"""A finished table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pandas as pd

from ktreview.show import markup


@dataclass(frozen=True)
class Table:
    """A finished table, shown by Jupyter and by the book as HTML.

    Attributes
    ----------
    name : str
        A slug: the table's anchor.
    title : str
        Plain text.
    data : pandas.DataFrame
        What the table shows, cell by cell.
    markup : collection of str
        The columns whose cells are HTML already; all others are escaped.
    """

    name: str
    title: str
    data: pd.DataFrame = field(repr=False)
    markup: Collection[str] = ()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.title}

    def html(self) -> str:
        """Return the table as an HTML fragment."""
        return str(markup.table(self.data, self.title, markup=self.markup, anchor=f"table-{self.name}"))
