"""What is seen of a `Review`: figures, tables, cards and explorers, each a call of one line.

>>> from ktreview import load_review, show
>>> print(show.code_availability(load_review()).title)
Where an address of code or data is known from.
"""

from importlib import import_module
from typing import Any

#: Where each name is defined, as ``module`` or ``module:name there``; nothing is imported before it is asked.
_HOMES = {
    "Cards": "cards",
    "papers": "cards",
    "lab": "cards",
    **dict.fromkeys(
        (
            "before_and_after",
            "claimed_and_computed",
            "claimed_gains",
            "lab_figure",
            "labs",
            "reporting_bars",
            "reporting_quality",
            "scalings",
            "stated",
            "themes_by_kind",
            "years",
        ),
        "figures",
    ),
    "claims": "tables.corpus",
    "paper_table": "tables.corpus:papers",
    "agreement": "tables.corpus",
    "code_availability": "tables.corpus",
    "flow": "tables.corpus",
    "dictionary": "tables.corpus",
    "index": "tables.indexes:index_page",
    "verdicts": "tables.verdicts",
    "unresolved": "tables.verdicts",
    "same_name": "tables.verdicts",
    "odd_results": "tables.verdicts",
    "rules": "tables.verdicts",
    "checklist": "tables.verdicts",
    "claims_explorer": "explorer",
    "labs_explorer": "explorer",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, there = _HOMES[name].partition(":")
    shown = getattr(import_module(f"{__name__}.{module}"), there or name)
    globals()[name] = shown
    return shown


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
