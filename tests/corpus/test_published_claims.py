"""Claim ids are cited by others: none goes away, and none comes to mean another claim."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

PUBLISHED = Path(__file__).with_name("published_claims.csv")


def test_no_published_claim_id_changes_its_meaning(review):
    published = pd.read_csv(PUBLISHED, keep_default_na=False).set_index("id")["quote"]
    recorded = review.claims.set_index("id")["quote"]
    assert published.index.is_unique
    gone = [claim for claim in published.index if claim not in recorded.index]
    changed = [
        claim for claim in published.index.intersection(recorded.index) if published[claim] != recorded[claim]
    ]
    assert not gone, f"published ids without a claim: {gone}. Keep the claim and its id in papers/*.yaml."
    assert not changed, (
        f"published ids with other words: {changed}. Give new words a new id; where the quote was only "
        f"mended, write it in {PUBLISHED.name} too."
    )


def test_every_claim_is_on_the_list_of_published_ids(review):
    published = pd.read_csv(PUBLISHED, keep_default_na=False)["id"]
    new = sorted(set(review.claims["id"]) - set(published))
    assert not new, (
        f"mention it: claims that are not on the list: {new}. Add their ids and quotes to {PUBLISHED.name}."
    )
