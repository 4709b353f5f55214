"""The dump reader, on dumps that hypothesis writes and on broken ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktreview.corpus.daily_papers import DumpError, Entry, parse

WORD = st.text("abcdefghijklmnopqrstuvwxyzéß-&%$\\{}'", min_size=2, max_size=9).filter(
    lambda w: w.strip("-'")
)
TITLE = st.lists(WORD, min_size=2, max_size=12).map(lambda words: "On " + " ".join(words) + " models")
SENTENCE = st.lists(WORD, min_size=3, max_size=25).map(lambda words: "We " + " ".join(words) + ".")
PARAGRAPH = st.lists(SENTENCE, min_size=1, max_size=6).map(" ".join)
PAPER = st.tuples(TITLE, st.lists(PARAGRAPH, min_size=1, max_size=3))
PAPERS = st.lists(PAPER, min_size=1, max_size=6, unique_by=lambda paper: paper[0].casefold())
BEFORE = st.lists(
    st.sampled_from(
        ["new", "Get trending papers in your email inbox!", "Subscribe", "byAK and the research community"]
    ),
    max_size=4,
)
AFTER = st.lists(
    st.sampled_from(["Previous", "Next", "Company", "© Hugging Face", "TOS", "System theme"]), max_size=4
)
BETWEEN = st.lists(st.sampled_from(["Upvote", "12", "· 7 authors", "Submitted by someone"]), max_size=2)
NEWLINE = st.sampled_from(["\n", "\r\n", "\r"])
NOISE = st.sampled_from(["", " ", "\t", "\u00a0 ", "\x00", "\x0b", "\ufeff", "\x1f  "])


@given(PAPERS, BEFORE, AFTER, BETWEEN, NEWLINE, st.integers(0, 3), NOISE, st.data())
def test_titles_and_abstracts_come_back_whatever_the_layout(
    papers, before, after, between, newline, blanks, noise, data
):
    gap = (newline + data.draw(st.sampled_from(["", " ", "\t"]))) * blanks + newline
    lines = [*before, "Daily Papers", "Jul 29"]
    for title, paragraphs in papers:
        lines += [*between, title, *paragraphs]
    text = data.draw(st.sampled_from(["", "\ufeff"])) + gap.join(
        noise + line + noise for line in [*lines, *after]
    )
    entries = parse(text)
    assert [(entry.title, entry.abstract) for entry in entries] == [
        (title, "\n\n".join(paragraphs)) for title, paragraphs in papers
    ]
    numbered = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert all(entry.title in numbered[entry.line - 1] for entry in entries)


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused_with_a_line(text):
    try:
        assert parse(text)
    except DumpError as error:
        assert str(error).startswith("line ")


DUMP = "Daily Papers\n\nJul 29\n\nA first title\n\nWe show one thing.\n\nA second title\n\nWe show another.\n"


def test_an_exact_repeat_is_dropped_with_a_warning():
    repeated = DUMP + "\nA FIRST title\n\nWe show one thing.\n"
    with pytest.warns(UserWarning, match=r"line 13: 'A FIRST title' repeats line 5 and is dropped"):
        entries = parse(repeated)
    assert entries == parse(DUMP)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no title with an abstract"),
        (
            "<html><body>Not found</body></html>",
            "line 1: the title '<html><body>Not found</body></html>' has no",
        ),
        ("Daily Papers\n\nJul 29\n", "line 1: no title with an abstract"),
        (DUMP + "\nA third title\n", "line 13: the title 'A third title' has no abstract"),
        (DUMP.replace("We show one thing.\n\n", ""), "line 5: the title 'A first title' has no abstract"),
        (
            DUMP + "\nA third title\n\n" + "We show that words " * 20,
            "line 15: the dump breaks off inside the",
        ),
        (DUMP + "\nA first title\n\nWe show a third thing.\n", "line 13: 'A first title' stands at line 5"),
        ("Daily Papers\n\n" + "We show that words do. " * 20 + "\n", "line 3: the paragraph"),
        (
            DUMP + "\nDeep Graph Models Revisited.\n\nWe show more.\n",
            "line 13: 'Deep Graph Models Revisited.' could",
        ),
    ],
)
def test_what_cannot_be_read_is_one_error_that_names_the_line(text, message):
    with pytest.raises(DumpError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_dump_that_breaks_off_within_an_abstract_never_yields_a_shortened_one(mini):
    whole = "Daily Papers\n\n" + "".join(
        f"{row.title}\n\n{row.abstract}\n\n" for row in mini.papers.itertuples()
    )
    known = {(entry.title, entry.abstract) for entry in parse(whole)}
    assert len(known) == len(mini.papers)
    for cut in range(len("Daily Papers\n\n"), len(whole), 7):
        try:
            entries = parse(whole[:cut])
        except DumpError:
            continue
        # What is read has ended: a sentence, an address, or a paragraph of several.
        assert all(
            entry.abstract[-1] in ".!?" or "https://" in entry.abstract.split()[-1] for entry in entries
        )
        assert {(entry.title, entry.abstract) for entry in entries[:-1]} <= known


def test_a_title_may_ask_and_an_abstract_may_end_in_an_address():
    text = (
        "How far have we come?\n\nWe do not know. Code: https://example.org/x\n\nIs it so?\n\nYes, it is.\n"
    )
    assert parse(text) == [
        Entry("How far have we come?", "We do not know. Code: https://example.org/x", 1),
        Entry("Is it so?", "Yes, it is.", 5),
    ]


@pytest.mark.parametrize(("line", "is_title"), [
    ("Large Models learn Tables quickly.", False),  # three capitals of five
    ("Large Models learn Tables Quickly.", True),  # four of five
    ("Large Models Learn.", True),
    ("A Lamp.", False),  # too few words to tell
])  # fmt: skip
def test_a_line_of_mostly_capitals_that_ends_in_a_stop_could_be_a_title(line, is_title):
    dump = f"Daily Papers\n\nA title\n\nWe show a thing.\n\n{line}\n"
    if is_title:
        with pytest.raises(DumpError, match="could be a title"):
            parse(dump)
    else:
        assert parse(dump)[0].abstract.endswith(line)
