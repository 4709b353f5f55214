"""Checked links: what they may say, and where they stand in a Markdown text."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktreview.analysis.query import Condition
from ktreview.corpus import wording
from ktreview.corpus.outcomes import gains
from ktreview.site import links
from ktreview.site.links import Link, destination, escape, fault, parse, scan, words


def claim(mini, ident):
    return next(row for row in mini.claims.itertuples(index=False) if row.id == ident)


def result(mini, key, ident):
    return next(result for result in mini.records[key].results if result.id == ident)


@pytest.mark.parametrize(
    ("target", "true"),
    [
        ("paper:lantern", lambda r: wording.short_name(r.records["lantern"])),
        ("title:lantern", lambda r: r.records["lantern"].title),
        ("cite:lantern", lambda r: wording.citations(r.records)["lantern"]),
        ("claim:lantern-1", lambda r: f"“{wording.plain(claim(r, 'lantern-1').quote)}”"),
        ("value:lantern-2", lambda r: wording.value(claim(r, "lantern-2"))),
        ("verdict:lantern-1", lambda r: wording.verdict(r.records["lantern"].verdicts[0])),
        ("result:lantern/all-nights", lambda r: wording.result(result(r, "lantern", "all-nights"))),
        (
            "points:lantern/all-nights",
            lambda r: wording.signed(gains(result(r, "lantern", "all-nights"))[0], " points"),
        ),
        (
            "relative:lantern/all-nights",
            lambda r: wording.signed(gains(result(r, "lantern", "all-nights"))[1], "%"),
        ),
        ("lab:lantern", lambda _: "lab"),
        ("effect:lantern", lambda r: wording.effect(r.compared("lantern")[0][1])),
        ("effect:lantern/over-still-panes", lambda r: wording.effect(r.compared("lantern")[1][1])),
        ("outcome:lantern", lambda r: r.compared("lantern")[0][3]),
        ("outcome:lantern/oil", lambda r: r.compared("lantern")[3][3]),
        ("count:claims.paper/kind=gain", lambda r: str(sum(r.claims.groupby("paper")["kind"].agg(set).map(lambda kinds: "gain" in kinds)))),
        ("holds:some/claims/kind=gain", lambda _: "some"),
    ],
)  # fmt: skip
def test_without_a_form_a_link_says_all_that_the_records_say(mini, target, true):
    link = parse(target)
    assert words(mini, link) == true(mini)
    assert fault(mini, link, true(mini)) is None
    assert set(links.KINDS) >= {link.kind}


def measured(mini, baseline, method):
    """The review, with a headline of the lab LANTERN in which each arm is the same in all pairs."""
    lab = mini.declared["lantern"]
    runs = mini.lab_runs.copy()
    headline = (runs["lab"] == "lantern") & (runs["metric"] == lab.metric) & (runs["regime"] == lab.regime)
    for arm, value in ((lab.baseline, baseline), (lab.method, method)):
        runs.loc[headline & (runs["arm"] == arm), "value"] = value
    return dataclasses.replace(mini, lab_runs=runs)


@pytest.mark.parametrize(
    ("baseline", "method", "form", "true"),
    [
        (0.5, 0.69, "points", "19 points more"),
        (0.69, 0.5, "points", "19 points less"),
        (0.5, 0.509, "points", "0.9 points more"),
        (0.5, 0.51, "points", "1 point more"),
        (0.5, 0.51, "points,1", "1.0 points more"),
        (0.5, 0.69, "points,words,fewer", "nineteen points more"),
        (0.69, 0.5, "points,words,fewer", "nineteen points fewer"),
        (0.5, 0.69, "points,signed", "+19 points"),
        (0.69, 0.5, "points,signed", "−19 points"),
        (0.5, 0.69, "points,up", "19 points"),
        (0.69, 0.5, "points,down", "19 points"),
        (0.5, 0.45, "fraction", "a tenth less"),
        (0.4, 0.6, "fraction,higher", "half higher"),
        (0.5, 0.45, "percent", "10% less"),
        (0.5, 0.45, "percent,2,lower", None),
        (0.2, 0.5, "times", "2.5 times"),
        (0.2, 0.6, "times,words", "three times"),
        (0.5, 0.69, "plain", "0.19 more"),
        (0.5, 0.69, "method", "0.69"),
        (0.5, 0.69, "baseline,3", "0.500"),
        (-0.25, 0.1, "baseline", "−0.25"),
        (0.5, 0.69, "wins", "8 of 8"),
        (0.5, 0.69, "p", "0.008"),
    ],
)
def test_forms_of_an_effect(mini, baseline, method, form, true):
    if true is None:
        with pytest.raises(ValueError, match="'lower' is no form of effect: forms are plain, points"):
            parse(f"effect:lantern?{form}")
        return
    assert words(measured(mini, baseline, method), parse(f"effect:lantern?{form}")) == true


@pytest.mark.parametrize(
    ("baseline", "method", "form", "message"),
    [
        (0.69, 0.5, "points,up", "-19 does not go up: turn the sentence"),
        (0.5, 0.69, "points,down", "+19 does not go down"),
        (0.5, 0.5001, "points,0", "0.01 comes to 0 in so few digits: ask for more"),
        (0.5, 0.5, "points", "comes to 0 in so few digits"),
        (0.5, 0.57, "fraction", "14% is near no simple fraction"),
        (0.0, 0.5, "percent", "is not above 0: no share of it means anything"),
        (-0.1, 0.5, "times", "is not above 0: no multiple of it means anything"),
    ],
)
def test_a_form_that_would_mislead_is_refused(mini, baseline, method, form, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        words(measured(mini, baseline, method), parse(f"effect:lantern?{form}"))


@pytest.mark.parametrize(
    ("target", "true"),
    [
        ("value:lantern-2?plain", "31.5%"),
        ("value:lantern-2?number", "31.5"),
        ("value:lantern-2?0", "32%"),
        ("value:lantern-1?number,words", "four"),
        ("result:lantern/all-nights?method", "62.5%"),
        ("result:lantern/all-nights?baseline,0", "60%"),
        ("points:lantern/all-nights?higher", "2.5 points higher"),
        ("points:lantern/all-nights?up,words", "two points"),
        ("relative:lantern/all-nights?0,more", "4% more"),
        ("verdict:lantern-1?plain", "holds relative to the baseline"),
        ("verdict:lantern-2?plain", "is overstated"),
        ("outcome:lantern/clear?plain", "undecided"),
        ("outcome:lantern?plain", "supports the claim"),
        ("count:papers.theme?words", "three"),
        ("count:papers/date>2100?words", "none"),
    ],
)
def test_forms_of_other_kinds(mini, target, true):
    assert words(mini, parse(target)) == true


def invented(mini, *, hedged):
    """The review with as many claims as given, each hedged or not."""
    claims = mini.claims[mini.claims["type"] == "qualitative"][: len(hedged)].assign(hedged=hedged)
    return dataclasses.replace(mini, claims=claims.astype({"hedged": "boolean"}))


@pytest.mark.parametrize(
    ("hedged", "holding"),
    [
        ([False] * 10, {"none", "few"}),
        ([True] + [False] * 9, {"some", "few"}),
        ([True] * 2 + [False] * 8, {"some", "few"}),
        ([True] * 3 + [False] * 7, {"some"}),
        ([True] * 5 + [False] * 5, {"some"}),
        ([True] * 6 + [False] * 4, {"some", "most"}),
        ([True] * 9 + [False], {"some", "most", "nearly-all"}),
        ([True] * 10, {"some", "most", "nearly-all", "every", "only"}),
        ([], {"none"}),
    ],
)
def test_words_about_a_set_hold_or_fail(mini, hedged, holding):
    small = invented(mini, hedged=hedged)
    for quantifier, spoken in links.QUANTIFIERS.items():
        link = parse(f"holds:{quantifier}/claims/hedged=yes")
        for word in spoken:
            message = fault(small, link, word.capitalize())
            assert message is None if quantifier in holding else "does not hold" in message
        if quantifier in holding:
            assert "does not say so: use one of" in fault(small, link, "perhaps")


def test_only_speaks_of_the_rows_outside(mini):
    hedged = invented(mini, hedged=[True, False, False])
    one = hedged.claims["id"].iloc[0]
    assert words(hedged, parse(f"holds:only/claims/hedged=yes/id={one}")) == "only"
    assert words(hedged, parse(f"holds:every/claims/id={one}/hedged=yes")) == "every"
    with pytest.raises(ValueError, match="does not hold: 1 of 3 rows do"):
        words(hedged, parse("holds:only/claims/hedged=yes"))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("paper:two words", "has ' ', which no target can: join conditions with ;"),
        ("count:papers/a=b&c=d", "has '&', which no target can"),
        ("count:papers/a=b|c", "has '|', which no target can"),
        ("lantern", "names no kind of checked link: write one of paper, title"),
        ("papers:lantern", "names no kind of checked link"),
        ("paper:", "names nothing in the records"),
        ("paper:Panda", "names nothing in the records"),
        ("result:lantern", "names nothing in the records"),
        ("claim:lantern-1?plain", "'plain' is no form of claim: there are none"),
        ("effect:lantern?magic", "'magic' is no form of effect: forms are plain, points"),
        ("effect:lantern?up,down", "up and down can't both be asked for: keep one"),
        ("effect:lantern?1,words", "1 and words can't both be asked for"),
        ("count:papers/a=b/c=d", "has more than one slash: join conditions with ;"),
        ("count:papers/theme", "'theme' is no condition: write column=value"),
        ("holds:none", "quantifies nothing: write one of none, some, every"),
        ("holds:many/papers", "quantifies nothing"),
        ("holds:every/papers", "does not say which rows are to meet what: write every/FRAME/A/B"),
        ("holds:none/papers/a=b/c=d", "has conditions twice: `none` asks of one set"),
        ("holds:every/claims.paper/kind=gain/better=higher", "claims.paper names a column"),
    ],
)
def test_what_is_no_target_is_refused_with_a_remedy(target, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(target)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("paper:nobody", "there is no paper 'nobody' in the records"),
        ("cite:nobody", "there is no paper 'nobody' in the records"),
        ("claim:lantern-99", "there is no claim 'lantern-99' in the records"),
        ("value:lantern-5", "the claim 'lantern-5' states no number"),
        ("verdict:lantern-5", "the claim 'lantern-5' has no verdict"),
        ("result:lantern/nothing", "lantern has no result 'nothing'; its results are"),
        ("effect:nobody", "there is no lab 'nobody' that has run"),
        (
            "effect:lantern/1",
            "the lab lantern has no further comparison '1'; they are over-still-panes, clear, oil",
        ),
        ("lab:nobody", "there is no lab 'nobody'"),
        ("count:papers/theme=magic", "'magic' is not a value of papers.theme"),
        ("term:teacher", "there is no glossary yet"),
    ],
)
def test_what_does_not_exist_is_at_fault(mini, target, message):
    assert message in fault(mini, parse(target), "words")


@pytest.mark.parametrize(
    "target", ["paper:nobody", "claim:lantern-99", "result:lantern/nothing", "lab:nobody"]
)
def test_what_does_not_exist_leads_nowhere(mini, target):
    with pytest.raises(ValueError, match=r"there is no|has no"):
        destination(mini, parse(target))


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("paper:lantern", "lantern"),
        ("title:lantern", "lantern"),
        ("claim:lantern-1", "lantern#words-lantern-1"),
        ("value:lantern-1", "lantern#words-lantern-1"),
        ("verdict:lantern-1", "lantern#verdict-lantern-1"),
        ("result:lantern/all-nights", "lantern#result-all-nights"),
        ("points:lantern/all-nights?up", "lantern#result-all-nights"),
        ("lab:lantern", "lantern#lab-lantern"),
        ("effect:lantern/over-still-panes?points", "lantern#lab-lantern"),
        ("outcome:lantern", "lantern#lab-lantern"),
        ("count:papers", None),
        ("holds:some/papers", None),
        ("cite:lantern", None),
    ],
)
def test_a_link_leads_to_what_it_names(mini, target, place):
    assert destination(mini, parse(target)) == place


def test_other_words_are_at_fault_and_a_capital_is_not(mini):
    link = parse("effect:lantern?points,words")
    true = words(mini, link)
    assert fault(mini, link, true[0].upper() + true[1:]) is None
    assert "is not what the records say, “" + true in fault(mini, link, "twenty points more")
    assert "is not what the records say" in fault(mini, parse("paper:lantern"), "Lantern")
    assert fault(mini, parse("lab:lantern"), "a small experiment") is None
    assert "has no words" in fault(mini, parse("lab:lantern"), " ")


slugs = st.from_regex(r"[a-z0-9]{1,4}(-[a-z0-9]{1,4}){0,2}", fullmatch=True)
conditions = st.lists(
    st.builds(
        Condition, st.sampled_from(["theme", "paper.date"]), st.sampled_from(["=", "!=", "<", ">"]), slugs
    ),
    min_size=1,
    max_size=3,
).map(tuple)
targets = st.one_of(
    st.builds(Link, st.sampled_from(["paper", "claim", "cite"]), slugs),
    st.builds(lambda lab, name, form: Link("effect", f"{lab}/{name}", (), form), slugs, slugs, st.sampled_from(["", "points,1", "fraction"])),
    st.builds(Link, st.just("count"), st.just("claims.paper"), conditions, st.sampled_from(["", "words"])),
    st.builds(Link, st.just("holds"), st.just("none/claims"), conditions),
    st.builds(Link, st.just("holds"), st.just("every/claims"), conditions, st.just(""), conditions),
)  # fmt: skip


@settings(deadline=None)
@given(targets)
def test_a_link_is_read_as_it_is_written_also_through_markdown(link):
    assert parse(str(link)) == link
    (found,) = scan(f"a [b]({link}) c")
    assert parse(found.target) == link


HOSTILE = ("[", "]", "](paper:x)", "[a](b)", "[a]: b", "\\", "*", "**", "_", "$x$", "`", "<b>", "&amp;", "{paper}`x`", "|", "~~", "![a](b)", "“", "−", "@x", "^1", "[@a]", "x")  # fmt: skip
hostile = st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=6).map(" ".join)
contexts = st.sampled_from(
    [
        "{}", "before {} after", "- item {}\n  - {}", "> quoted\n> {} on", "# A title {}", "*emphasis {} ends*",
        "| a | b |\n|---|---|\n| {} | {} |", "a\n\nb {} c `[code](paper:no)` $[x](paper:no)$", "1. one\n\n   {}\n",
    ]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(hostile, contexts)
def test_hostile_words_are_read_back_from_where_they_stand(said, context):
    markdown = context.replace("{}", f"[{escape(said)}](paper:lantern)")
    places = list(scan(markdown))
    assert [place.words for place in places] == [said] * context.count("{}")
    assert all(markdown[place.start : place.end] == escape(said) for place in places)
    assert all(markdown[place.end :].startswith("](paper:lantern)") for place in places)


@pytest.mark.parametrize(
    ("markdown", "said"),
    [
        ("`[a](paper:x)` and\n\n```\n[a](paper:x)\n```\n\n    [a](paper:x)\n", []),
        ("$[a](paper:x)$ and\n\n$$\n[a](paper:x)\n$$\n", []),
        ("\\[a](paper:x)", []),
        ("[a](paper: x)", []),
        ("![a](paper:x)", []),
        ("<paper:x>", []),
        ("[a](https://example.org) [b](method.md)", []),
        ("[*a* `b`\nc](paper:x)", ["a b c"]),
        ("[a][1]\n\n[1]: paper:x", ["a"]),
        ("[a](<paper:x>) [b](paper:x 'title')", ["a", "b"]),
        ("a [b](paper:x)[c](paper:y)", ["b", "c"]),
        ("[outer [inner](paper:x) end](paper:y)", ["inner"]),
        ("| a |\n|---|\n| [b \\| c](paper:x) [d](paper:x) |", ["b | c", "d"]),
    ],
)
def test_what_is_and_what_is_no_link(markdown, said):
    assert [place.words for place in scan(markdown)] == said


def test_every_citation_is_read_apart(mini):
    labels = wording.citations(mini.records)
    assert len(set(labels.values())) == len(labels)
    bare = {key: re.sub(r"[a-z]$", "", label) for key, label in labels.items()}
    alike = [key for key in bare if list(bare.values()).count(bare[key]) > 1]
    assert {key for key, label in labels.items() if label[-1].isalpha()} == set(alike)
    fewer = dict(list(mini.records.items())[:-1])
    assert all(labels[key] == label or key in alike for key, label in wording.citations(fewer).items())
