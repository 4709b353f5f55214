"""How far two independent annotation passes agree.

Both passes annotated every abstract of the first dump under the same rules, without sight of each other;
the records hold what was settled afterwards. What both handed in, and what recomputes this table from it,
is in ``tests/corpus``: it is about the passes, and nothing of it is asked of a paper that is added later.
"""

from __future__ import annotations

import pandas as pd

from ktreview.corpus.review import DATA


def agreement() -> pd.DataFrame:
    """Return how far the two passes agree, field by field.

    Returns
    -------
    pandas.DataFrame
        Columns `field`, `items` (how many were annotated by both), `agreed` (how many alike),
        `share` (of 1) and `kappa` (Cohen's; NaN for free text, and where only one value was used).

    Examples
    --------
    >>> agreement().set_index("field").loc["basis of a claim", "share"]
    np.float64(1.0)
    """
    table = pd.read_csv(DATA / "agreement.csv")
    table.insert(3, "share", table["agreed"] / table["items"])
    return table
