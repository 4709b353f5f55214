"""What must hold of the records, however many there are: relations, never counts."""

from __future__ import annotations

import hashlib
import re

import pandas as pd
import pytest

from ktreview import COLUMNS, read_review
from ktreview.analysis.names import check_index, load_index, mentions
from ktreview.corpus import frames
from ktreview.corpus.daily_papers import parse
from ktreview.corpus.outcomes import REPLICATION, SEEDS, gains
from ktreview.corpus.wording import plain


def test_nothing_is_at_fault(root):
    _, faults = read_review(root)
    assert [str(fault) for fault in faults] == []


def test_the_dump_that_the_review_began_with_is_untouched(root):
    source = (root / "daily-papers" / "daily-papers.txt").read_bytes()
    assert hashlib.sha256(source).hexdigest() == (
        "59708f567e0b57f363299aab90223fcacf239671fc82451c0170839fb674be49"
    )
    entries = parse(source.decode())
    assert len(entries) == 72
    assert entries[0].title == "Generalized Domain Conditioned Adaptation Network"
    assert entries[0].line == 13
    assert entries[-1].abstract.endswith("cybersecurity roles for optimal performance.")
    assert r"over 8\% on the MATH" in "".join(entry.abstract for entry in entries)


def test_every_paper_of_the_dumps_is_recorded_in_their_order(root, review):
    titles = [
        entry.title.casefold()
        for path in sorted((root / "daily-papers").glob("*.txt"))
        for entry in parse(path.read_text(encoding="utf-8"))
    ]
    assert [title.casefold() for title in review.papers["title"]] == list(dict.fromkeys(titles))
    assert list(review.papers["n"]) == list(range(1, len(review.papers) + 1))
    assert review.papers["key"].is_unique
    assert set(review.papers["theme"]) <= set(review.themes)


def test_every_quote_stands_where_its_offsets_say_and_no_two_overlap(review):
    abstracts = review.papers.set_index("key")["abstract"]
    for paper, claims in review.claims.groupby("paper"):
        last = 0
        for row in claims.itertuples():
            assert abstracts[paper][row.start : row.end] == row.quote
            assert abstracts[paper].count(row.quote) == 1
            assert row.start >= last
            last = row.end


def test_every_claim_has_an_id_of_its_own_that_begins_with_its_paper(review):
    assert review.claims["id"].is_unique
    for row in review.claims.itertuples():
        assert row.id.startswith(f"{row.paper}-")


def test_every_digit_of_every_abstract_is_in_the_ledger_once(review):
    numbers = review.numbers
    assert numbers["role"].notna().all()
    for row in review.papers.itertuples():
        mine = numbers[numbers["paper"] == row.key]
        assert all(row.abstract[n.start : n.end] == n.text for n in mine.itertuples())
        held = [place for n in mine.itertuples() for place in range(n.start, n.end)]
        assert len(held) == len(set(held))
        assert {match.start() for match in re.finditer(r"\d", row.abstract)} <= set(held)


def test_each_claim_has_its_number_in_the_ledger(review):
    stated = review.numbers[review.numbers["claim"] != ""]
    numeric = review.claims[review.claims["type"] == "quantitative"]
    assert set(stated["claim"]) == set(numeric["id"])
    kinds = numeric.set_index("id")["kind"]
    assert all(kinds[row.claim] == row.role for row in stated.itertuples())


def test_claims_agree_with_the_abstract_around_them(review):
    abstracts = review.papers.set_index("key")["abstract"]
    for row in review.claims.itertuples():
        assert ("%" in plain(row.quote)) or row.unit != "percent", row.id
        for words in (row.metric, row.benchmark, row.baseline):
            assert all(part in abstracts[row.paper] for part in words.split("; ")), row.id


def test_what_a_verdict_settles_is_derived_and_the_abstract_s_basis_stays(review):
    claims = review.claims.set_index("id")
    settled = review.verdicts[review.verdicts["basis"] != ""]
    assert len(settled)
    for row in settled.itertuples():
        assert claims.loc[row.claim, "resolved_basis"] == row.basis
        assert claims.loc[row.claim, "basis"] == "unstated"
    rest = claims[~claims.index.isin(settled["claim"])]
    assert (rest["resolved_basis"] == rest["basis"]).all()


def test_a_shown_basis_is_shown_by_the_arithmetic(review):
    """A gain that tables show to be relative (absolute) has its value among their relative (absolute) gains."""
    for key, record in review.records.items():
        for verdict in record.verdicts:
            if verdict.strength != "shown" or verdict.basis not in ("absolute", "relative"):
                continue
            claim = next(claim for claim in record.claims if claim.quote == verdict.claim)
            which = 1 if verdict.basis == "relative" else 0
            amounts = [gains(result)[which] for result in record.results if result.id in verdict.results]
            digits = len(f"{claim.value:g}".partition(".")[2])
            assert any(
                round(gain, digits) == claim.value or (gain >= claim.value and claim.bound == "at-least")
                for gain in amounts
            ), (key, amounts)


def test_gains_are_computed_where_they_mean_something(review):
    ratios = review.results[review.results["unit"] == "ratio"]
    assert ratios["gain_points"].isna().all()
    changes = review.results[review.results["baseline_value"] <= 0]
    assert changes["gain_relative"].isna().all()
    alone = review.results[review.results["baseline_value"].isna()]
    assert alone[["gain_points", "gain_relative"]].isna().all(axis=None)
    without_zero = review.results[review.results["unit"].isin(["rating", "rank"])]
    assert without_zero["gain_relative"].isna().all()


@pytest.mark.parametrize("name", COLUMNS)
def test_the_data_are_as_the_dictionary_says(review, name):
    data = review.frame(name)
    for column, said in frames.columns(name).items():
        empty = data[column].isna() | (data[column].astype(object) == "")
        assert said.empty or not empty.any(), f"{name}.{column} is empty somewhere"
        kinds = {type(value).__name__.rstrip("_") for value in data[column][~empty].tolist()}
        assert kinds <= {said.type.__name__}, f"{name}.{column} is no {said.type.__name__}"
        if said.vocabulary:
            assert set(data[column][~empty].astype(str)) <= set(said.vocabulary), f"{name}.{column}"


def test_every_name_of_the_index_stands_where_it_says(root, review):
    assert check_index(review, root) == []
    for index, key, alias in mentions(review)[["index", "key", "alias"]].itertuples(index=False):
        assert alias in load_index()[index][key].aliases


def words(text):
    return {re.sub(r"\W", "", word).casefold() for word in text.split()}


def test_every_name_of_the_index_has_words_of_its_aliases():
    for index, entries in load_index().items():
        for entry in entries.values():
            name, aliases = "".join(words(entry.name)), [*map(words, entry.aliases)]
            shared = any(alias & words(entry.name) for alias in aliases)
            assert shared or any("".join(alias) in name or name in "".join(alias) for alias in aliases), (
                f"index.yaml, {index}, {entry.key}: nothing of {entry.name!r} stands in its aliases"
            )


def test_the_time_that_a_page_says_a_lab_took_is_near_its_budget(review):
    for row in review.labs.itertuples():
        assert 0 < row.seconds <= 4 * review.declared[row.lab].budget, row.lab  # two seed sets


def test_every_lab_is_of_a_recorded_paper_and_measured_both_seed_sets(review):
    for name, declared in review.declared.items():
        assert declared.paper in review.records
        runs = review.lab_runs[review.lab_runs["lab"] == name]
        assert set(runs["arm"]) <= set(declared.arms)
        assert set(runs["regime"]) <= set(declared.regimes or {"main": ""})
        assert not runs.duplicated(["regime", "arm", "seed", "metric"]).any(), name
        for compared in declared.comparisons():
            chosen = runs[(runs["regime"] == compared.regime) & (runs["metric"] == compared.metric)]
            for arm in (compared.baseline, compared.method):
                assert sorted(chosen.loc[chosen["arm"] == arm, "seed"]) == [*SEEDS, *REPLICATION]
    assert pd.Series(review.lab_runs["value"]).notna().all()
