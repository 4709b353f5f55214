"""The published agreement, recomputed from what the two annotation passes handed in.

The passes are long tables, one row an item, reader, field and value: `panda` is a paper, `panda/number-3`
its fourth number, `panda/claim-5` in the quantitative passes the claim whose value is its sixth number, and
in the qualitative ones a reader's fifth claim.

References
----------
J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20
(1960), equation 1.
"""

from __future__ import annotations

import csv
import re
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from ktreview.corpus.review import DATA

PASSES = Path(__file__).parent / "agreement"
#: Fields with a closed vocabulary, where chance agreement is defined, and fields of free text.
CLOSED = ("kind", "unit", "basis", "bound", "baseline_named", "better")
FREE = ("value", "quote", "metric", "benchmark", "baseline")
CLOSED_QUALITATIVE = ("claim_type", "hedged", "baseline_named", "better")
FREE_QUALITATIVE = ("quote", "metric", "benchmark", "baseline")


def read(name):
    """Read a table as `annotated[reader][item][field]`, a pass each."""
    annotated = {"1": {}, "2": {}}
    with (PASSES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            annotated[row["reader"]].setdefault(row["item"], {})[row["field"]] = row["value"]
    return annotated["1"], annotated["2"]


def quantitative(first, second):
    """Yield each field, whether its vocabulary is closed, and the pairs of answers."""
    papers = [item for item in first if "/" not in item]
    for field in ("kind", "theme"):
        yield f"{field} of a paper", True, [(first[item][field], second[item][field]) for item in papers]
    numbers = [item for item in first if "/number-" in item]
    yield "role of a number", True, [(first[item]["role"], second[item]["role"]) for item in numbers]
    claims = [item.replace("/number-", "/claim-") for item in numbers]
    yield "a number is a claim's value", True, [(item in first, item in second) for item in claims]
    shared = [item for item in first if "/claim-" in item and item in second]
    for field in (*CLOSED, *FREE):
        name = f"{field.replace('_', ' ')} of a claim"
        yield name, field in CLOSED, [(first[item][field], second[item][field]) for item in shared]


def spans(annotated, paper, abstract):
    """Return where a pass found qualitative claims in an abstract, with what it says of them."""
    claims = [fields for item, fields in annotated.items() if item.startswith(f"{paper}/claim-")]
    starts = [abstract.index(claim["quote"]) for claim in claims]
    return [(at, at + len(claim["quote"]), claim) for at, claim in zip(starts, claims, strict=True)]


def qualitative(first, second, abstracts):
    """Yield the same for qualitative claims, which are the same where their quotes share words.

    Whether a claim was found at all is compared sentence by sentence.
    """
    sentences, shared = [], []
    for paper, abstract in abstracts.items():
        one, other = spans(first, paper, abstract), spans(second, paper, abstract)
        for sentence in re.finditer(r"\S.*?(?:[.!?](?=\s)|$)", abstract, re.DOTALL):
            start, end = sentence.span()
            sentences.append(tuple(any(s < end and start < e for s, e, _ in had) for had in (one, other)))
        for start, end, claim in one:
            shared += [(claim, same) for same in islice((c for s, e, c in other if s < end and start < e), 1)]
    yield "a sentence holds a qualitative claim", True, sentences
    for field in (*CLOSED_QUALITATIVE, *FREE_QUALITATIVE):
        name = f"{field.replace('_', ' ')} of a qualitative claim"
        yield name, field in CLOSED_QUALITATIVE, [(a[field], b[field]) for a, b in shared]


def compare(comparisons):
    rows = []
    for field, closed, pairs in comparisons:
        first, second = ([str(value) for value in values] for values in zip(*pairs, strict=True))
        varied = len({*first, *second}) > 1
        kappa = round(float(cohen_kappa_score(first, second)), 6) if closed and varied else None
        rows.append((field, len(pairs), sum(a == b for a, b in pairs), kappa))
    return pd.DataFrame(rows, columns=["field", "items", "agreed", "kappa"])


@pytest.fixture(scope="module")
def abstracts(review):
    """The abstracts that the passes annotated, in the order of the dump."""
    annotated = {item for item in read("quantitative")[0] if "/" not in item}
    assert annotated <= set(review.papers["key"])
    return {row.key: row.abstract for row in review.papers.itertuples() if row.key in annotated}


def test_the_published_agreement_is_that_of_the_passes(abstracts):
    table = pd.concat(
        [
            compare(quantitative(*read("quantitative"))),
            compare(qualitative(*read("qualitative"), abstracts)),
        ],
        ignore_index=True,
    )
    assert (DATA / "agreement.csv").read_text(encoding="utf-8") == table.to_csv(index=False)


def test_both_passes_annotated_the_same_papers_and_numbers():
    first, second = read("quantitative")
    assert {item for item in first if "/claim-" not in item} == {
        item for item in second if "/claim-" not in item
    }


def test_kappa_worked_by_hand():
    def annotated(*papers):
        return {
            item: fields
            for paper, kind, role, basis in papers
            for item, fields in {
                paper: {"kind": kind, "theme": "a"},
                f"{paper}/number-0": {"role": role},
                f"{paper}/number-1": {"role": "scale"},
                f"{paper}/claim-0": basis and dict.fromkeys((*CLOSED, *FREE), "x") | {"basis": basis},
            }.items()
            if fields
        }

    first = annotated(
        ("p", "method", "gain", "relative"),
        ("q", "method", "scale", ""),
        ("r", "survey", "gain", "absolute"),
        ("s", "survey", "gain", "relative"),
    )
    second = annotated(
        ("p", "method", "gain", "relative"),
        ("q", "survey", "scale", ""),
        ("r", "survey", "gain", "relative"),
        ("s", "survey", "scale", ""),
    )
    table = compare(quantitative(first, second)).set_index("field")
    # Kinds: 3 of 4 alike; by chance (2/4)(1/4) + (2/4)(3/4) = 1/2; kappa = (3/4 - 1/2) / (1 - 1/2).
    assert table.loc["kind of a paper", ["items", "agreed", "kappa"]].tolist() == [4, 3, 0.5]
    # Themes never vary, so that kappa means nothing.
    assert pd.isna(table.loc["theme of a paper", "kappa"])
    # Of eight numbers, three and two are claims, two in common.
    assert table.loc["a number is a claim's value", ["items", "agreed"]].tolist() == [8, 7]
    # Two claims in common: one basis alike.
    assert table.loc["basis of a claim", ["items", "agreed"]].tolist() == [2, 1]
    assert pd.isna(table.loc["metric of a claim", "kappa"])
