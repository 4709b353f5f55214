"""The invented review holds all that a review can hold, so that tests on it leave nothing out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest

from ktreview.analysis.names import check_index
from ktreview.corpus import records
from ktreview.corpus.outcomes import Outcome
from ktreview.corpus.records import Basis, Record

MINI = Path(__file__).parents[1] / "mini"
MODELS = [
    model
    for model in vars(records).values()
    if isinstance(model, type) and issubclass(model, Record) and not model.__name__.startswith("_")
]


def closed(annotation: Any) -> list[Any]:
    """List the values of a closed vocabulary, optional or not; none for any other type."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if annotation is bool:
        return [False, True]
    return [value for part in get_args(annotation) if part is not NoneType for value in closed(part)]


def vocabularies() -> set[tuple[str, str, Any]]:
    return {
        (model.__name__, name, value)
        for model in MODELS
        for name, field in model.model_fields.items()
        if not any(isinstance(part, type) and issubclass(part, Record) for part in get_args(field.annotation))
        for value in closed(field.annotation)
    }


def parts(record: Record) -> Iterator[Record]:
    """Iterate over a record and all records in it."""
    yield record
    for name in type(record).model_fields:
        content = getattr(record, name)
        for item in content if isinstance(content, list) else [content]:
            if isinstance(item, Record):
                yield from parts(item)


def everything(review) -> Iterator[Record]:
    for record in [*review.themes.values(), *review.records.values(), *review.declared.values()]:
        yield from parts(record)


def test_every_value_of_every_vocabulary_is_used(mini):
    used = {
        (type(part).__name__, name, getattr(part, name))
        for part in everything(mini)
        for name, field in type(part).model_fields.items()
        if closed(field.annotation) and not isinstance(getattr(part, name), list | Record)
    }
    assert vocabularies() <= used
    assert len(vocabularies()) > 60


def test_every_optional_field_is_given_somewhere_and_left_out_elsewhere(mini):
    given, left_out = set(), set()
    for part in everything(mini):
        for name, field in type(part).model_fields.items():
            if not field.is_required():
                (given if name in part.model_fields_set else left_out).add((type(part).__name__, name))
    optional = {
        (model.__name__, name)
        for model in MODELS
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    assert optional == given
    # Only the comparison that is a lab's headline has no name.
    assert optional - {("Compared", "name")} == left_out


def test_what_is_computed_takes_every_value_too(mini):
    assert set(mini.claims["resolved_basis"]) == {*get_args(Basis), "unresolved", ""}
    assert set(mini.labs["verdict"]) == set(get_args(Outcome))
    assert {outcome for lab in mini.labs["lab"] for *_, outcome in mini.compared(lab)} == set(
        get_args(Outcome)
    )


def test_it_has_a_range_a_second_dump_an_empty_theme_and_a_lab_that_has_not_run(mini):
    ranges = mini.claims[mini.claims["value_high"] > mini.claims["value"]]
    assert set(ranges["kind"]) >= {"gain", "level"}
    assert len(list((MINI / "daily-papers").glob("*.txt"))) > 1
    assert set(mini.papers["theme"]) < set(mini.themes)
    assert set(mini.labs["lab"]) < set(mini.declared)
    assert set(mini.papers["key"]) - set(mini.claims["paper"])


@pytest.mark.parametrize(
    "hostile", ["<script>", "$x_i$", "{claim}`", "\u202e", r"8\%", "&lt;", "=HYPERLINK(", "| bars", "http"]
)
def test_its_texts_hold_what_could_be_taken_for_code(mini, hostile):
    record = mini.records["hostile"]
    assert hostile in " ".join([record.model_dump_json(), *mini.papers["abstract"]])


def test_one_word_is_longer_than_a_line(mini):
    assert max(len(word) for text in mini.papers["abstract"] for word in text.split()) > 90


def test_its_index_names_what_stands_in_it(mini):
    assert check_index(mini, MINI) == []
