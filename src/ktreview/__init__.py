"""An executable literature review of knowledge transfer between models, tasks and graphs.

>>> import ktreview
>>> review = ktreview.load_review()
>>> review.papers.shape[0]
72
"""

from ktreview.records import Fault
from ktreview.review import COLUMNS, Review, ReviewError, load_review, read_review

__all__ = ["COLUMNS", "Fault", "Review", "ReviewError", "load_review", "read_review"]
__version__ = "0.1.0"
