"""The figures: one function a figure, each from a `Review` to an accessible inline SVG."""

from ktreview.figures.corpus import stated, themes_by_kind, years
from ktreview.figures.gains import claimed_gains
from ktreview.figures.svg import Figure

__all__ = ["Figure", "claimed_gains", "stated", "themes_by_kind", "years"]
