"""The figures: one function a figure, each from a `Review` to an accessible inline SVG."""

from ktreview.show.figures.corpus import stated, themes_by_kind, years
from ktreview.show.figures.gains import claimed_gains
from ktreview.show.figures.labs import lab, labs, scalings
from ktreview.show.figures.svg import Figure

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
    "BY_NAME",
    "Figure",
    "claimed_gains",
    "lab",
    "labs",
    "scalings",
    "stated",
    "themes_by_kind",
    "years",
]
