"""Quotes tied to abstracts, and the ledger of numbers, on records made for the purpose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktreview.corpus import evidence
from ktreview.corpus.numbers import tokens
from ktreview.corpus.records import Number, Paper, QualitativeClaim, QuantitativeClaim

ABSTRACT = "On GPT-4 we gain 2 to 4% over A, and 4.5 points on B in 30 tasks (1) with and (2) without it."


def paper(**fields):
    required = {"title": "T", "kind": "method", "theme": "t", "authors": ["A B"], "date": "2020-01"}
    return Paper(**required, mechanism="m", limits="l", **fields)


def number(quote, value, **fields):
    given = {"id": "p-1", "kind": "gain", "unit": "percent", "basis": "unstated", "bound": "exact"}
    given |= {"better": "higher", "quote": quote, "value": value} | fields
    return QuantitativeClaim(type="quantitative", **given)


RANGE = number("gain 2 to 4% over A", 2.0, value_high=4.0, baseline="A")
POINTS = number("4.5 points on B", 4.5, unit="points", basis="absolute", id="p-2")
ENTRIES = [Number(quote="30 tasks", role="scale")]


def examine(claims=(RANGE, POINTS), numbers=ENTRIES, abstract=ABSTRACT):
    return evidence.examine(paper(claims=list(claims), numbers=list(numbers)), abstract, "p.yaml")


def test_every_number_is_accounted_for_by_rule_claim_or_entry():
    checked = examine()
    assert checked.faults == []
    assert [(line.token.text, line.role, line.claim) for line in checked.ledger] == [
        ("4", "name", None),
        ("2", "gain", 0),
        ("4", "gain", 0),
        ("4.5", "gain", 1),
        ("30", "scale", None),
        ("1", "enumeration", None),
        ("2", "enumeration", None),
    ]
    assert [ABSTRACT[span.start : span.end] for span in checked.spans] == [RANGE.quote, POINTS.quote]


def test_what_nothing_accounts_for_is_named_with_the_words_around_it():
    checked = examine(numbers=[])
    (fault,) = checked.faults
    assert (fault.file, fault.field) == ("p.yaml", "numbers")
    assert "the number '30' in '…" in fault.message
    assert " points on B in 30 tasks (1) with" in fault.message
    assert [line.role for line in checked.ledger].count(None) == 1


@pytest.mark.parametrize(
    ("claim", "field", "message"),
    [
        (number("gain 2 to 4% over A", 3.0), "value", "no number of the quote is 3."),
        (number("On GPT-4 we gain", 4.0), "value", "no number of the quote is 4."),  # a name's number states nothing
        (number("(1) with and (2)", 1.0), "value", "no number of the quote is 1."),
        (number("we gain 2 to 4% over A", 2.0, unit="points", basis="absolute"), "unit", None),
        (number("to 4% over A", 4.0, unit="points", basis="absolute"), "unit", "the abstract has % after '4': unit is percent."),
        (number("4.5 points", 4.5), "unit", "the abstract has no % after '4.5'"),
        (number("to 4% over A", 4.0, metric="accuracy; gain"), "metric", "'accuracy' is not in the abstract."),
        (number("to 4% over A", 4.0, baseline="a"), "baseline", None),
        (number("to 4% over A", 4.0, baseline="GPT-5"), "baseline", "'GPT-5' is not in the abstract."),
        (number("to 4% over A", 4.0, baseline="on gpt-4"), "baseline", "'on gpt-4' is not in the abstract."),
        (number("nothing of it", 4.0), "quote", "'nothing of it' is not in the abstract. Copy the words"),
        (number("it", 4.0), "quote", None),
    ],
)  # fmt: skip
def test_a_claim_that_does_not_fit_is_told(claim, field, message):
    told = [fault for fault in examine([claim], []).faults if fault.field == f"claims[0].{field}"]
    if message is None:
        assert not [fault for fault in told if "is not in the abstract" in fault.message]
    else:
        assert any(message in fault.message for fault in told), told


def test_a_value_that_stands_twice_in_the_quote_is_refused():
    claim = number("3% here and 3% there", 3.0)
    (fault,) = examine([claim], [], "We see 3% here and 3% there.").faults[:1]
    assert fault.message == "3 stands more than once in the quote. Narrow the quote to one of them."


def test_latex_s_percent_is_a_percent():
    assert examine([number(r"over 8\% more", 8.0)], [], r"We see over 8\% more.").faults == []


def test_a_quote_is_found_once_or_not_at_all():
    assert evidence.locate("b c", "a b c d") == evidence.Span(2, 5)
    with pytest.raises(ValueError, match="occurs more than once"):
        evidence.locate("aa", "aaa")  # overlapping places are two
    with pytest.raises(ValueError, match=r"\(it agrees up to 'the quick brown '\)"):
        evidence.locate("the quick brown cat", "see the quick brown dog")


@given(st.text("ab ", min_size=1, max_size=12), st.integers(0, 11), st.integers(1, 12))
def test_whatever_is_located_is_the_only_place(abstract, start, length):
    quote = abstract[start : start + length]
    if not quote:
        return
    places = [at for at in range(len(abstract)) if abstract.startswith(quote, at)]
    try:
        span = evidence.locate(quote, abstract)
    except ValueError:
        assert len(places) > 1
    else:
        assert places == [span.start]
        assert abstract[span.start : span.end] == quote


def test_quotes_may_touch_and_not_overlap():
    words = {"type": "qualitative", "claim_type": "other", "hedged": False, "better": "higher"}
    first, second = (
        QualitativeClaim(id=f"p-{n}", quote=quote, **words) for n, quote in enumerate(["we can", " do it"])
    )
    assert examine([first, second], [], "Here we can do it.").faults == []
    longer = second.model_copy(update={"quote": "can do it"})
    (fault,) = examine([first, longer], [], "Here we can do it.").faults
    assert fault.message.startswith("'can do it' overlaps the quote of claims[0].")


def test_an_entry_leaves_the_number_of_a_claim_to_it():
    checked = examine(numbers=[Number(quote="4.5 points on B in 30 tasks", role="scale")])
    assert checked.faults == []
    assert [(line.role, line.claim) for line in checked.ledger if line.token.text in ("4.5", "30")] == [
        ("gain", 1),
        ("scale", None),
    ]


def test_a_span_holds_a_token_that_is_wholly_inside():
    (token,) = tokens("of 25 tasks")
    assert evidence.Span(3, 5).holds(token)
    assert not evidence.Span(4, 9).holds(token)
    assert not evidence.Span(0, 4).holds(token)
