"""The agreement of the annotation passes, as tables show it; tests/corpus recomputes it."""

import pytest

from ktreview.analysis.agreement import agreement
from ktreview.show.tables import corpus as tables


def test_shares_are_of_the_items_and_kappa_is_at_most_one():
    table = agreement()
    assert list(table.columns) == ["field", "items", "agreed", "share", "kappa"]
    assert table["field"].is_unique
    assert (table["agreed"] <= table["items"]).all()
    assert table["share"].tolist() == pytest.approx((table["agreed"] / table["items"]).tolist())
    assert (table["kappa"].dropna() <= 1).all()
    assert table.set_index("field").loc["quote of a claim", "kappa"] != 1  # free text has none


def test_the_table_shows_percent_and_says_where_kappa_is_not_given(mini):
    shown = tables.agreement(mini)
    assert len(shown.data) == len(agreement())
    assert shown.data["share, %"].between(0, 100).all()
    assert shown.data["share, %"].max() == 100
    assert "κ is not given for free text" in shown.html()
