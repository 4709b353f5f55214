"""Reading one file: what YAML means here, and one sentence for each fault."""

from __future__ import annotations

import pytest

from ktreview.corpus.records import Compared, Lab, Paper, Theme, read_yaml, validate


def read(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path, "x.yaml")


def test_dates_stay_text_and_numbers_do_not(tmp_path):
    content, faults = read(tmp_path, "date: 2020-01-02\nvalue: 2.5\nyes: no\n")
    assert faults == []
    assert content == {"date": "2020-01-02", "value": 2.5, True: False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "line 2: is not well-formed YAML (the field 'a' is given twice)."),
        ("a: {b: 1, b: 2}\n", "line 1: is not well-formed YAML (the field 'b' is given twice)."),
        ("a: [1\nb: 2\n", "line 2: is not well-formed YAML"),
    ],
)
def test_what_is_not_well_formed_is_named_with_its_line(tmp_path, text, message):
    content, (fault,) = read(tmp_path, text)
    assert content is None
    assert str(fault).startswith(f"x.yaml, {message}")


def test_what_is_no_text_is_one_fault(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe")
    for name in ("x.yaml", "nosuch.yaml"):
        content, (fault,) = read_yaml(tmp_path / name, name)
        assert content is None
        assert fault.message.startswith("can't be read (")


def test_no_tag_of_yaml_runs_anything(tmp_path):
    content, (fault,) = read(tmp_path, "a: !!python/object/apply:os.getcwd []\n")
    assert content is None
    assert "could not determine a constructor" in fault.message


THEME = {"key": "a-b", "title": "A", "question": "Q?"}


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"title": 3}, "title", "3 was read as a number. Put it in quotes."),
        ({"title": ""}, "title", "at least 1 character"),
        ({"title": "a\tb"}, "title", "has stray white space: keep single spaces, none at the ends."),
        ({"title": " a"}, "title", "has stray white space"),
        ({"key": "A b"}, "key", "does not have the form"),
        ({"key": "a--b"}, "key", "does not have the form"),
        ({"colour": "red"}, "colour", "is not a field of a record. Fields here are key, title, question."),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_a_remedy(change, field, message):
    record, (fault,) = validate(Theme, THEME | change, "themes.yaml")
    assert record is None
    assert (fault.file, fault.field) == ("themes.yaml", field)
    assert message in fault.message


def test_a_record_does_not_change():
    theme, _ = validate(Theme, THEME, "themes.yaml")
    with pytest.raises(ValueError, match="frozen"):
        theme.title = "B"


PAPER = {
    "title": "T", "kind": "method", "theme": "t", "authors": ["A B"], "date": "2020-01-15", "mechanism": "m",
    "limits": "l",
}  # fmt: skip


@pytest.mark.parametrize("date", ["2020-01", "1999-12-31", "2020-02-29"])
def test_a_date_is_a_day_or_a_month(date):
    assert validate(Paper, PAPER | {"date": date}, "p")[0].date == date


@pytest.mark.parametrize(
    "date", ["2020", "2020-13", "2020-00-01", "2020-01-32", "20-01-01", "2020-1-1", "2020-01-01 "]
)
def test_what_is_no_date_is_refused(date):
    assert validate(Paper, PAPER | {"date": date}, "p")[0] is None


@pytest.mark.parametrize(
    ("date", "arxiv", "fits"),
    [
        ("2020-01-15", "2001.00001", True),
        ("2019-12-31", "2001.00001", True),  # a month apart, as time zones and holds have it
        ("2020-02-01", "2001.00001", True),
        ("2020-03-01", "2001.00001", False),
        ("2019-11-30", "2001.00001", False),
        ("2021-01-15", "2001.00001", False),
    ],
)
def test_a_date_lies_within_a_month_of_the_arxiv_id(date, arxiv, fits):
    record, faults = validate(Paper, PAPER | {"date": date, "arxiv": arxiv}, "p")
    assert (record is not None) == fits
    assert fits or "does not fit arXiv id" in faults[0].message


def test_a_record_without_fields_says_how_to_write_one():
    for content in (None, [], "text"):
        assert validate(Theme, content, "t")[1][0].message == "holds no fields. Write `field: value` lines."


def test_the_headline_is_the_first_of_a_lab_s_comparisons(mini):
    lab = mini.declared["lantern"]
    first, *further = lab.comparisons()
    assert first == Compared(
        question=lab.question, regime="mist", metric="brightness", better="higher", baseline="plain lamp",
        method="turning panes",
    )  # fmt: skip
    assert further == lab.also
    assert Lab.model_validate(lab.model_dump()) == lab
