"""Which tokens are numbers, and which the rules settle: worked examples of the annotation rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktreview.corpus.numbers import ROLES, role_by_rule, tokens


def found(text):
    return [token.text for token in tokens(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4.2M pairs, 13 billion words, 11,050 items, 2.3 points", ["4.2M", "13 billion", "11,050", "2.3"]),
        ("improves by 8.8% and is 10X larger", ["8.8", "10"]),
        ("a range of 2-10% and 4/8 tasks", ["2", "10", "4", "8"]),
        ("GPT-4 has a better F1 than GPT-4o", ["4", "1", "4"]),
        (
            "two of nine datasets, thousands of models, orders of magnitude",
            ["two", "nine", "thousands", "orders of magnitude"],
        ),
        ("a few thousand examples, hundreds of TPUs", ["thousand", "hundreds"]),
        ("in the first and second, zero-shot, few-shot, single, dual, both, several, a pair", []),
        ("(i) this, (ii) that, a) these", []),
        ("one model helps another, one of the best, one-to-one, no one, one's own", ["one"]),
        ("twice the size, half the cost, zero errors", ["twice", "half", "zero"]),
        ("over 8\\% on the test", ["8"]),
        ("a three-level hierarchy in two stages", ["three", "two"]),
        ("twenty-one or two hundred thousand", ["twenty-one", "two hundred thousand"]),
        ("within 100m of it", ["100"]),
        ("some-one, no-one", []),
        ("someone, often, tension, weighted, sixth", []),
    ],
)
def test_what_counts_as_a_number(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14B", 14e9),
        ("100M", 1e8),
        ("13 billion", 13e9),
        ("11,050", 11050),
        ("2.3", 2.3),
        ("twenty-one", 21),
        ("two hundred thousand", 200_000),
        ("hundred", 100),
        ("thousands", None),
        ("orders of magnitude", None),
        ("twice", 2),
        ("half", 0.5),
        ("13K", 13_000),
        ("2T", 2e12),
        ("13 millions", 13e6),
        ("two dozen", 24),
        ("three hundred thousand two", 300_002),
    ],
)
def test_the_value_of_a_number(text, value):
    assert [token.value for token in tokens(text)] == [value]


@given(st.text("0123456789.,-%/ abKMBtwonehudrs()", max_size=60))
def test_every_digit_is_in_exactly_one_token(text):
    claimed = [place for token in tokens(text) for place in range(token.start, token.end)]
    assert len(claimed) == len(set(claimed))
    assert {place for place, char in enumerate(text) if char.isdigit()} <= set(claimed)


@given(st.text(max_size=200))
def test_tokens_are_slices_of_the_text_in_order(text):
    last = 0
    for token in tokens(text):
        assert text[token.start : token.end] == token.text
        assert token.start >= last
        last = token.end
        assert role_by_rule(text, token) in (*ROLES, None)


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("We (1) learn, (2) test and (3) write.", ["enumeration"] * 3),
        ("Aims: 1) learn; 2) test.", ["enumeration"] * 2),
        ("scales to many tasks (100) and more (7)", [None, None]),
        ("see part (part 2) of it", [None]),
        ("GPT-4, T5, CIFAR100, Hits@1, LLaVA-13B, COVID-19", ["name"] * 6),
        ("at https://example.org/v2/x3 now", ["name", "name"]),
        ("by Wortsman et al. (2020) as", ["name"]),
        ("by Pitman (1937), in (1837) and in 1937", ["name", None, None]),
        ("(as 1) say, 2) test", [None, None]),
        ("so 1) learn, (and 2) test", ["enumeration", None]),
        ("tasks (3) of many", [None]),
        ("2 bits, a 7B model, top-5 hits, two tasks", [None] * 4),
    ],
)
def test_what_the_rules_settle(text, roles):
    assert [role_by_rule(text, token) for token in tokens(text)] == roles


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("as Bell (1994) and Wick (2023) show", ["name", "name"]),
        ("as many lamps (1850) and more (2100)", [None, None]),
        ("1) a lamp 2) a bell", ["enumeration", "enumeration"]),
        ("1) a lamp (or 2) of them", ["enumeration", None]),
        ("(1) a lamp, (2) a bell, (4) none", ["enumeration", "enumeration", None]),
    ],
)
def test_years_in_brackets_and_marks_of_lists(text, roles):
    assert [role_by_rule(text, token) for token in tokens(text)] == roles
