"""The dump reader, on dumps that hypothesis writes and on broken ones."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ktreview.corpus.daily_papers import DumpError, Entry, parse
from ktreview.corpus.review import DATA

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


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault
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


def test_the_review_s_own_dump_is_untouched_and_holds_72_papers():
    source = (DATA / "daily-papers" / "daily-papers.txt").read_bytes()
    assert hashlib.sha256(source).hexdigest() == (
        "59708f567e0b57f363299aab90223fcacf239671fc82451c0170839fb674be49"
    )
    entries = parse(source.decode())
    assert len(entries) == 72
    assert entries[0].title == "Generalized Domain Conditioned Adaptation Network"
    assert entries[0].line == 13
    assert entries[-1].abstract.endswith("cybersecurity roles for optimal performance.")
    assert r"over 8\% on the MATH" in "".join(entry.abstract for entry in entries)


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


@pytest.mark.parametrize("share", [0.15, 0.3, 0.5, 0.9])
def test_a_truncated_dump_never_yields_a_shortened_abstract(share):
    whole = (DATA / "daily-papers" / "daily-papers.txt").read_text(encoding="utf-8")
    known = {(entry.title, entry.abstract) for entry in parse(whole)}
    cut = int(len(whole) * share)
    while not whole[cut].isalpha():
        cut += 1
    with pytest.raises(DumpError):
        parse(whole[: cut + 1])
    assert known


def test_a_title_may_ask_and_an_abstract_may_end_in_an_address():
    text = (
        "How far have we come?\n\nWe do not know. Code: https://example.org/x\n\nIs it so?\n\nYes, it is.\n"
    )
    assert parse(text) == [
        Entry("How far have we come?", "We do not know. Code: https://example.org/x", 1),
        Entry("Is it so?", "Yes, it is.", 5),
    ]
