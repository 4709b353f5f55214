"""The figures: one function a figure, each from a `Review` to a drawing with its caption and data."""

from ktreview.show.figures.corpus import stated, themes_by_kind, years
from ktreview.show.figures.gains import claimed_gains
from ktreview.show.figures.labs import lab, labs, scalings
from ktreview.show.figures.reporting import (
    before_and_after,
    claimed_and_computed,
    reporting_bars,
    reporting_quality,
)
from ktreview.show.figures.svg import Figure

#: The figure of one lab, by a name that says so beside the cards of `ktreview.show`.
lab_figure = lab

#: The figures that a page can show by name.
BY_NAME = {
    "claimed-gains": claimed_gains,
    "labs": labs,
    "scalings": scalings,
    "stated": stated,
    "themes-by-kind": themes_by_kind,
    "years": years,
}

__all__ = [
    "Figure",
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
]
