"""An executable literature review of knowledge transfer between models, tasks and graphs.

>>> import ktreview
>>> review = ktreview.load_review()
>>> list(review.papers["key"]) == list(review.records)
True
"""

from ktreview.corpus.load import load_review, read_review
from ktreview.corpus.records import Fault
from ktreview.corpus.review import COLUMNS, Review, ReviewError

__all__ = ["COLUMNS", "Fault", "Review", "ReviewError", "load_review", "read_review"]
__version__ = "0.1.0"
