"""Count rows of the review's frames by a line of text, so that prose never types a number."""

from __future__ import annotations

from ktreview.corpus.frames import COLUMNS, columns
from ktreview.corpus.review import Review


def count(review: Review, query: str) -> int:
    """Count the rows, or the different values of a column, that meet all conditions.

    Parameters
    ----------
    review : Review
    query : str
        ``frame[.column] [name=value | name!=value ...]``; a value is everything up to the next
        white space. An empty value stands for "not stated". ``baseline_named`` of claims
        is asked with ``yes`` or ``no``.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the frame, a column or a value does not exist.

    Examples
    --------
    >>> from ktreview import load_review
    >>> review = load_review()
    >>> count(review, "papers") == len(review.papers)
    True
    >>> count(review, "claims.paper kind=gain") <= count(review, "claims kind=gain")
    True
    """
    words = query.split()
    if not words:
        raise ValueError("the count is empty: write a frame, as in `papers theme=continual-learning`")
    name, _, column = words[0].partition(".")
    if name not in COLUMNS:
        raise ValueError(f"there is no frame {name!r} to count; the frames are {', '.join(COLUMNS)}")
    frame = review.frame(name)
    if name == "claims":
        frame = frame.assign(baseline_named=frame["baseline_named"].map({True: "yes", False: "no"}))
    kept = frame
    for condition in words[1:]:
        field, equals, value = condition.partition("=")
        field, negated = field.removesuffix("!"), field.endswith("!")
        if not equals or field not in frame:
            raise ValueError(
                f"{condition!r} is no condition on {name}; its columns are {', '.join(frame.columns)}"
            )
        if value and value not in set(frame[field].astype(str)) | _vocabulary(name, field):
            raise ValueError(f"{value!r} is not a value of {name}.{field}")
        same = kept[field].astype(str) == value
        kept = kept[~same if negated else same]
    if not column:
        return len(kept)
    if column not in frame:
        raise ValueError(f"{column!r} is no column of {name}; its columns are {', '.join(frame.columns)}")
    return int(kept[column].nunique())


def _vocabulary(frame: str, column: str) -> set[str]:
    """Return the values that a column may have, though no row has them; empty if it is free."""
    return set(columns(frame)[column].vocabulary)
