"""Checked links: words in prose that the records must bear out, ``[2.3%](value:panda-2)``.

A target is ``kind:what``, with conditions after a slash where rows are counted, and a form after a question
mark where the words are not the whole of what the records say:

==========================================  =========================================================
``paper:panda``, ``title:panda``            the paper's short name; its title
``cite:panda``                              the paper as a citation, "Zhong et al., 2022a"
``claim:panda-2``                           the claim's exact words in quotation marks
``value:panda-2``                           its value with bound and unit
``verdict:panda-2``                         what results settle about it
``result:kg-traces/webqsp-hits``            a result beside its baseline
``points:..``, ``relative:..``              the same result's gain, in points or in percent of the baseline
``effect:cuber``, ``outcome:cuber``         a lab's headline effect; what its outcome says
``effect:cuber/no-penalty``, ``outcome:..`` the same of a further comparison, by its name
``lab:cuber``                               the lab, in the writer's words
``count:claims.paper/kind=gain;theme=x``    how many rows, or values of a column, meet conditions
``holds:none/claims/theme=x;hedged=yes``    a word about a set, "None", as long as it holds
``holds:every/claims/theme=x/kind=gain``    the same, where the rows of a set are to meet conditions
==========================================  =========================================================

Forms, several of them joined by commas, say what of it the words are; without one they are all of it:

- of an amount (``points``, ``relative``, ``effect``): ``more``, ``fewer``, ``higher`` ("19 points more", "19
  points fewer", "19 points lower"), ``signed`` ("−19 points"), ``up`` and ``down`` ("19 points" in a sentence
  that says the direction itself, and a fault where it turned);
- of an effect: ``points`` (of a share), ``percent`` (of the baseline), ``plain`` (in the metric's unit),
  ``times`` ("2.5 times"), ``fraction`` ("a tenth less"), ``method``, ``baseline``, ``p``, ``wins``;
- of a value: ``plain`` (without its bound), ``number`` (without unit too);
- of a result: ``method``, ``baseline``;
- of numbers: a digit for so many decimals, or ``words`` ("thirteen"; a count of zero is "none");
- of a verdict or an outcome: ``plain`` ("holds as points", "supports the claim").

Nothing here knows Sphinx or notebooks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.link import link as parse_link
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from ktreview.analysis.query import Condition, counted, select
from ktreview.corpus import wording
from ktreview.corpus.outcomes import Comparison, gains
from ktreview.corpus.records import Paper, Result, Verdict
from ktreview.corpus.review import Contrast, Review, per_review, rows

#: The kinds of checked links, which are the schemes of their targets.
KINDS = (
    "paper", "title", "claim", "value", "verdict", "result", "points", "relative", "lab", "effect",
    "outcome", "count", "holds", "cite", "term",
)  # fmt: skip

#: What quantifiers of ``holds`` are called in prose; the first is the one that the records would use.
QUANTIFIERS = {
    "none": ("none", "no", "not one", "nothing", "nobody", "never", "neither", "nowhere"),
    "some": ("some", "at least one", "there is", "there are", "sometimes"),
    "every": ("every", "all", "each", "both", "always", "everywhere", "everything"),
    "only": ("only", "alone"),
    "most": ("most", "mostly", "the majority", "more than half"),
    "nearly-all": ("nearly all", "almost all", "nearly every", "almost every", "nearly always"),
    "few": ("few", "rarely", "hardly any", "seldom"),
}

_DIGITS = tuple("0123456789")
_DIRECTIONS = ("signed", "more", "fewer", "higher", "up", "down")
#: What each kind may be asked for after the question mark, several joined by commas.
FORMS: dict[str, tuple[str, ...]] = {
    "value": ("plain", "number", "words", *_DIGITS),
    "result": ("method", "baseline", *_DIGITS),
    "points": ("words", *_DIRECTIONS, *_DIGITS),
    "relative": ("words", "fraction", *_DIRECTIONS, *_DIGITS),
    "effect": (
        "plain", "points", "percent", "times", "method", "baseline", "p", "wins", "words", "fraction",
        *_DIRECTIONS, *_DIGITS,
    ),
    "count": ("words",),
    "verdict": ("plain",),
    "outcome": ("plain",),
}  # fmt: skip
#: Forms of which a target has one at most.
_EXCLUSIVE = (
    ("plain", "points", "percent", "times", "method", "baseline", "p", "wins", "number", "fraction"),
    _DIRECTIONS,
    (*_DIGITS, "words", "fraction"),
)
_PAIRS = {"more": ("more", "less"), "fewer": ("more", "fewer"), "higher": ("higher", "lower")}
_FRACTIONS = {
    0.05: "a twentieth", 0.1: "a tenth", 0.125: "an eighth", 1 / 6: "a sixth", 0.2: "a fifth",
    0.25: "a quarter", 0.3: "three tenths", 1 / 3: "a third", 0.4: "two fifths", 0.5: "half",
    0.6: "three fifths", 2 / 3: "two thirds", 0.75: "three quarters", 0.8: "four fifths", 0.9: "nine tenths",
}  # fmt: skip
_FINDINGS = {
    "confirmed": "holds",
    "overstated": "is overstated",
    "differs": "differs",
    "unresolved": "is unresolved",
}
_BASES = {"absolute": " as points", "relative": " relative to the baseline"}
_SLUG = "[a-z0-9]+(?:-[a-z0-9]+)*"
_WHAT = {"result": f"{_SLUG}/{_SLUG}", "effect": f"{_SLUG}(?:/{_SLUG})?"}
_WHAT |= {"points": _WHAT["result"], "relative": _WHAT["result"], "outcome": _WHAT["effect"]}
#: Kinds whose words may begin with a capital letter where a sentence does.
_COMMON = ("value", "verdict", "points", "relative", "effect", "outcome", "count")


@dataclass(frozen=True)
class Link:
    """A checked link's target.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    what : str
        What it names: a key, an id, a lab with a comparison's name, or a frame with a column; for
        ``holds`` the quantifier, a slash and the frame.
    conditions : tuple of Condition
        What counted rows meet, or those of the set that is spoken of.
    form : str
        What of the words is asked for; empty for all.
    expected : tuple of Condition
        For ``holds``: what rows of the set are said to meet.
    """

    kind: str
    what: str
    conditions: tuple[Condition, ...] = ()
    form: str = ""
    expected: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        groups = [";".join(map(str, group)) for group in (self.conditions, self.expected)]
        if self.expected and not self.conditions:
            groups = groups[1:]
        tail = "".join(f"/{group}" for group in groups if group)
        return f"{self.kind}:{self.what}{tail}" + (f"?{self.form}" if self.form else "")


def parse(target: str) -> Link:
    """Read a target.

    Raises
    ------
    ValueError
        If it is none; the message says what to write.

    Examples
    --------
    >>> parse("effect:cuber/no-penalty?points")
    Link(kind='effect', what='cuber/no-penalty', conditions=(), form='points', expected=())
    >>> str(parse("count:claims.paper/kind=gain;theme=kg-and-llm"))
    'count:claims.paper/kind=gain;theme=kg-and-llm'
    """
    if bad := re.search(r"[\s&|]", target):
        raise ValueError(f"{target!r} has {bad[0]!r}, which no target can: join conditions with ; instead")
    kind, colon, rest = target.partition(":")
    if not colon or kind not in KINDS:
        raise ValueError(f"{target!r} names no kind of checked link: write one of {', '.join(KINDS)}")
    rest, _, form = rest.partition("?")
    _refuse_form(kind, form)
    if kind not in ("count", "holds"):
        if not re.fullmatch(_WHAT.get(kind, _SLUG), rest):
            raise ValueError(
                f"{target!r} names nothing in the records: see what stands after {kind}: elsewhere"
            )
        return Link(kind, rest, (), form)
    name, *groups = rest.split("/")
    if kind == "holds":
        return _parse_holds(target, name, groups, form)
    if len(groups) > 1:
        raise ValueError(f"{target!r} has more than one slash: join conditions with ;")
    return Link(kind, name, _conditions(groups), form)


def _parse_holds(target: str, quantifier: str, parts: list[str], form: str) -> Link:
    frame, *groups = parts or [""]
    if quantifier not in QUANTIFIERS or not frame:
        raise ValueError(
            f"{target!r} quantifies nothing: write one of {', '.join(QUANTIFIERS)}, a slash and a frame"
        )
    what = f"{quantifier}/{frame}"
    if quantifier in ("none", "some"):
        if len(groups) > 1:
            raise ValueError(
                f"{target!r} has conditions twice: `{quantifier}` asks of one set whether it is empty"
            )
        return Link("holds", what, _conditions(groups), form)
    if not 1 <= len(groups) <= 2:
        raise ValueError(
            f"{target!r} does not say which rows are to meet what: write {quantifier}/FRAME/A/B, or "
            f"{quantifier}/FRAME/B for all rows"
        )
    if "." in frame:
        raise ValueError(f"{frame} names a column, and `{quantifier}` speaks of rows: leave the column out")
    return Link("holds", what, _conditions(groups[:-1]), form, _conditions(groups[-1:]))


def _conditions(groups: list[str]) -> tuple[Condition, ...]:
    return tuple(Condition.parse(unquote(text)) for group in groups for text in group.split(";"))


def _refuse_form(kind: str, form: str) -> None:
    allowed = FORMS.get(kind, ())
    tokens = form.split(",") if form else []
    for token in tokens:
        if token not in allowed:
            known = f"forms are {', '.join(allowed)}" if allowed else "there are none"
            raise ValueError(f"{token!r} is no form of {kind}: {known}")
    for group in _EXCLUSIVE:
        if len(chosen := [token for token in tokens if token in group]) > 1:
            raise ValueError(f"{' and '.join(chosen)} can't both be asked for: keep one")


def words(review: Review, link: Link) -> str:
    """Return the words that the records bear out, without Markdown's escapes.

    Raises
    ------
    ValueError
        If what the link names does not exist, or what it says does not hold.

    Examples
    --------
    >>> from ktreview import load_review
    >>> review = load_review()
    >>> [words(review, parse(target)) for target in ("value:panda-3", "effect:fantastic-gains?points")]
    ['up to 24.1%', '19 points more']
    """
    return _WORDS[link.kind](review, link)


def fault(review: Review, link: Link, said: str) -> str | None:
    """Say what is wrong with the words of a link, and what to do; None if nothing is."""
    try:
        true = words(review, link)
    except ValueError as error:
        return f"“{said}” ({link}): {error}."
    if link.kind == "holds":
        known = QUANTIFIERS[link.what.partition("/")[0]]
        spoken = " ".join(said.casefold().split())
        if any(re.search(rf"\b{word}\b", spoken) for word in known):
            return None
        return f"“{said}” ({link}) does not say so: use one of {', '.join(known)}."
    if link.kind in ("lab", "term"):
        return None if said.strip() else f"({link}) has no words: write some."
    if said == true or (link.kind in _COMMON and said == capitalised(true)):
        return None
    return (
        f"“{said}” ({link}) is not what the records say, “{true}”. Run `ktreview sync`, or mend the sentence."
    )


def capitalised(text: str) -> str:
    """Return a text with its first letter large."""
    return text[:1].upper() + text[1:]


def destination(review: Review, link: Link) -> str | None:
    """Return where a link leads: a paper's key, with the place on its page after a ``#``; None if nowhere.

    Raises
    ------
    ValueError
        If what the link names does not exist.
    """
    if link.kind in ("paper", "title"):
        _paper(review, link.what)
        return link.what
    if link.kind in ("claim", "value", "verdict"):
        paper = _claim(review, link.what).paper
        return f"{paper}#{'verdict' if link.kind == 'verdict' else 'words'}-{link.what}"
    if link.kind in ("result", "points", "relative"):
        key, result = _result(review, link.what)
        return f"{key}#result-{result.id}"
    if link.kind in ("lab", "effect", "outcome"):
        lab = _lab(review, link.what.partition("/")[0])
        return f"{review.declared[lab].paper}#lab-{lab}"
    return None


def _paper(review: Review, key: str) -> Paper:
    if key not in review.records:
        raise ValueError(f"there is no paper {key!r} in the records; name a file of papers/")
    return review.records[key]


def _claim(review: Review, claim: str) -> Any:
    by_id = _claims(review)
    if claim not in by_id:
        raise ValueError(f"there is no claim {claim!r} in the records; ids stand in papers/*.yaml")
    return by_id[claim]


@per_review
def _claims(review: Review) -> dict[str, Any]:
    return {row.id: row for row in rows(review.claims)}


def _verdict(review: Review, claim: str) -> Verdict:
    row = _claim(review, claim)
    verdict = review.verdict_of(row.id)
    if verdict is None:
        raise ValueError(f"the claim {claim!r} has no verdict")
    return verdict


def _result(review: Review, name: str) -> tuple[str, Result]:
    key, _, ident = name.partition("/")
    results = _paper(review, key).results
    result = next((result for result in results if result.id == ident), None)
    if result is None:
        known = ", ".join(result.id for result in results) or "none"
        raise ValueError(f"{key} has no result {ident!r}; its results are {known}")
    return key, result


def _lab(review: Review, name: str) -> str:
    if name not in set(review.labs["lab"]):
        raise ValueError(f"there is no lab {name!r} that has run; there are {', '.join(review.labs['lab'])}")
    return name


def _comparison(review: Review, what: str) -> Contrast:
    lab, _, name = what.partition("/")
    contrasts = review.compared(_lab(review, lab))
    contrast = next((contrast for contrast in contrasts if contrast[0].name == name), None)
    if contrast is None:
        known = ", ".join(contrast[0].name for contrast in contrasts[1:]) or "none"
        raise ValueError(f"the lab {lab} has no further comparison {name!r}; they are {known}")
    return contrast


def _value(review: Review, link: Link) -> str:
    claim = _claim(review, link.what)
    if claim.type != "quantitative":
        raise ValueError(f"the claim {link.what!r} states no number")
    if not link.form:
        return wording.value(claim)
    tokens = link.form.split(",")
    ends = [claim.value]
    if not math.isnan(claim.value_high) and claim.value_high != claim.value:
        ends.append(claim.value_high)
    figures = " to ".join(_figures(end, tokens, wording.number) for end in ends)
    if "number" in tokens or not {"plain", *_DIGITS, "words"} & set(tokens):
        return figures
    return figures + wording.value(claim._replace(bound="exact")).removeprefix(
        wording.value(claim._replace(bound="exact", unit="score"))
    )


def _said_result(review: Review, link: Link) -> str:
    result = _result(review, link.what)[1]
    tokens = link.form.split(",") if link.form else []
    digits = _digits(tokens)
    if digits is not None:
        rounded = {
            field: None if amount is None else round(amount, digits)
            for field, amount in (
                ("method_value", result.method_value),
                ("baseline_value", result.baseline_value),
            )
        }
        result = result.model_copy(update=rounded)
    for token, amount in (("method", result.method_value), ("baseline", result.baseline_value)):
        if token in tokens:
            if amount is None:
                raise ValueError(f"the result {link.what} has no value of the {token}")
            return wording.scaled(amount, result.unit)
    return wording.result(result)


def _said_gain(place: int, unit: str) -> Callable[[Review, Link], str]:
    def say(review: Review, link: Link) -> str:
        amount = gains(_result(review, link.what)[1])[place]
        if not link.form:
            return wording.signed(amount, unit)
        if amount is None:
            raise ValueError(f"the gain of {link.what} is not defined")
        return _amount(amount, unit, link.form.split(","), "signed")

    return say


def _said_effect(review: Review, link: Link) -> str:
    comparison = _comparison(review, link.what)[1]
    if not link.form:
        return wording.effect(comparison)
    tokens = link.form.split(",")
    if "p" in tokens:
        return f"{comparison.p:.3f}"
    if "wins" in tokens:
        return f"{comparison.wins} of {comparison.n}"
    if "method" in tokens or "baseline" in tokens:
        mean = comparison.method_mean if "method" in tokens else comparison.baseline_mean
        return _figures(mean, tokens, _short)
    if "times" in tokens:
        return _times(comparison, tokens)
    amount, unit = comparison.effect, ""
    if "points" in tokens:
        amount, unit = 100 * amount, " points"
    if "percent" in tokens or "fraction" in tokens:
        if comparison.baseline_mean <= 0:
            raise ValueError(f"the baseline of {link.what} is not above 0: no share of it means anything")
        amount, unit = 100 * amount / comparison.baseline_mean, "%"
    return _amount(amount, unit, tokens, "more")


def _times(comparison: Comparison, tokens: list[str]) -> str:
    if comparison.baseline_mean <= 0:
        raise ValueError("the baseline is not above 0: no multiple of it means anything")
    return _figures(comparison.method_mean / comparison.baseline_mean, tokens, _short) + " times"


def _amount(amount: float, unit: str, tokens: list[str], default: str) -> str:
    """Write an amount with its direction, as "19 points more", "a tenth less" or "−0.25%"."""
    size = abs(amount)
    if "fraction" in tokens:
        share = min(_FRACTIONS, key=lambda fraction: abs(fraction - size / 100))
        if abs(share - size / 100) > 0.1 * share:
            raise ValueError(f"{size:.3g}% is near no simple fraction: leave the form `fraction` out")
        text = _FRACTIONS[share]
    else:
        figures = _figures(size, tokens, _short)
        if not re.search("[1-9a-y]", figures):
            raise ValueError(f"{amount:.3g} comes to 0 in so few digits: ask for more")
        text = figures + (" point" if unit == " points" and figures in ("1", "one") else unit)
    direction = next((token for token in tokens if token in _DIRECTIONS), default)
    if direction in _PAIRS:
        return f"{text} {_PAIRS[direction][amount < 0]}"
    if direction == "signed":
        return f"{'−' if amount < 0 else '+'}{text}"
    if (direction == "up") != (amount > 0):
        raise ValueError(f"{amount:+.3g} does not go {direction}: turn the sentence")
    return text


def _digits(tokens: list[str]) -> int | None:
    return next((int(token) for token in tokens if token in _DIGITS), None)


def _figures(amount: float, tokens: list[str], default: Callable[[float], str]) -> str:
    """Write a number with the digits that are asked for, or in words."""
    if "words" in tokens:
        return wording.in_words(round(amount))
    digits = _digits(tokens)
    text = default(amount) if digits is None else f"{amount:,.{digits}f}"
    return text.replace("-", "−", 1)


def _short(amount: float) -> str:
    """Write a number with about two digits that count."""
    size = abs(amount)
    return wording.number(round(amount, 0 if size >= 10 else 1 if size >= 1 else 2 if size >= 0.1 else 3))


def _said_verdict(review: Review, link: Link) -> str:
    verdict = _verdict(review, link.what)
    if not link.form:
        return wording.verdict(verdict)
    basis = _BASES.get(verdict.basis or "", "") if verdict.finding == "confirmed" else ""
    return _FINDINGS[verdict.finding] + basis


def _said_outcome(review: Review, link: Link) -> str:
    outcome = _comparison(review, link.what)[3]
    return outcome if not link.form else wording.OUTCOMES[outcome].lower()


def _said_count(review: Review, link: Link) -> str:
    count = counted(review, link.what, link.conditions)
    if not link.form:
        return str(count)
    return "none" if count == 0 else wording.in_words(count)


def _said_of_set(review: Review, link: Link) -> str:
    """Return the quantifier if it holds."""
    quantifier, _, frame = link.what.partition("/")
    if quantifier in ("none", "some"):
        rows = counted(review, frame, link.conditions)
        if (rows == 0) != (quantifier == "none"):
            raise ValueError(f"does not hold: {rows or 'no'} rows meet the conditions")
        return quantifier
    among = select(review, frame, link.conditions)
    meeting = select(review, frame, (*link.conditions, *link.expected))
    total, number = len(among), len(meeting)
    share = number / total if total else 0.0
    holds = {
        "every": total > 0 and number == total,
        "only": total > 0 and number == total,
        "most": share > 0.5,
        "nearly-all": share >= 0.9,
        "few": total > 0 and share <= 0.2,
    }[quantifier]
    if not holds:
        raise ValueError(f"does not hold: {number} of {total} rows do")
    return QUANTIFIERS[quantifier][0]


def _said_citation(review: Review, link: Link) -> str:
    _paper(review, link.what)
    return citations(review)[link.what]


@per_review
def citations(review: Review) -> dict[str, str]:
    """Return how each paper is cited, by key."""
    return wording.citations(review.records)


def _said_lab(review: Review, link: Link) -> str:
    _lab(review, link.what)
    return "lab"


def _said_term(_review: Review, link: Link) -> str:
    raise ValueError(f"there is no glossary yet, and so no term {link.what!r}: write plain words")


_WORDS: dict[str, Callable[[Review, Link], str]] = {
    "paper": lambda review, link: wording.short_name(_paper(review, link.what)),
    "title": lambda review, link: _paper(review, link.what).title,
    "claim": lambda review, link: f"“{wording.plain(_claim(review, link.what).quote)}”",
    "value": _value,
    "verdict": _said_verdict,
    "result": _said_result,
    "points": _said_gain(0, " points"),
    "relative": _said_gain(1, "%"),
    "lab": _said_lab,
    "effect": _said_effect,
    "outcome": _said_outcome,
    "count": _said_count,
    "holds": _said_of_set,
    "cite": _said_citation,
    "term": _said_term,
}


def escape(text: str) -> str:
    r"""Return words as Markdown that reads as them.

    Examples
    --------
    >>> print(escape("p < 0.05 for A*_b"))
    p \< 0.05 for A\*\_b
    """
    escaped = re.sub(r"([\\`*_<&$|~{}])", r"\\\1", text)
    without_pairs = re.sub(r"\[(?![@^])[^\[\]]*\](?![\[(:])", "", text)
    return re.sub(r"([\[\]])", r"\\\1", escaped) if re.search(r"[\[\]]", without_pairs) else escaped


@dataclass(frozen=True)
class Occurrence:
    """A link of a Markdown text.

    Attributes
    ----------
    target : str
        The address, as Markdown reads it.
    words : str
        The plain words.
    start, end : int
        Where the words stand in the text, without their brackets.
    """

    target: str
    words: str
    start: int
    end: int


def scan(markdown: str) -> Iterator[Occurrence]:
    """Yield the checked links of a Markdown text, in order.

    Examples
    --------
    >>> list(scan("See [PANDA](paper:panda)."))
    [Occurrence(target='paper:panda', words='PANDA', start=5, end=10)]
    """
    for block in blocks(markdown):
        yield from block.links


@dataclass(frozen=True)
class Block:
    """A piece of a Markdown text whose inline markup is read by itself, such as a paragraph or a cell.

    Attributes
    ----------
    kind : str
        ``inline``, or what markdown-it calls a piece without inline markup: ``fence``, ``html_block``, ...
    text : str
        Its Markdown, without the marks of lists and quotations around it.
    info : str
        What stands behind the opening fence.
    line : int
        Of the text, from 1.
    children : tuple of Token
        What it consists of.
    links : tuple of Occurrence
        Its checked links.
    """

    kind: str
    text: str
    info: str
    line: int
    children: tuple[Token, ...] = ()
    links: tuple[Occurrence, ...] = ()


def blocks(markdown: str) -> Iterator[Block]:
    """Yield the pieces of a Markdown text, in order.

    Raises
    ------
    ValueError
        If a piece with checked links can't be found again in the text.
    """
    lines = markdown.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    cursor = 0
    for token in _MARKDOWN.parse(markdown):
        first, last = token.map or (0, 0)
        if token.type != "inline":
            if token.nesting == 0 and token.map:
                yield Block(token.type, token.content, token.info, first + 1)
            continue
        cursor = max(cursor, starts[first])
        offsets = _offsets(token.content, markdown, cursor, starts[last])
        children = token.children or []
        openings = [n for n, child in enumerate(children) if is_checked(child)]
        if offsets is None:
            if openings:
                raise ValueError(
                    f"line {first + 1}: its links can't be located; use no tabs and no lone returns"
                )
            offsets = [cursor]
        cursor = offsets[-1]
        links = tuple(
            Occurrence(
                str(children[n].attrs["href"]),
                _plain(children[n + 1 :]),
                *(offsets[place] for place in children[n].meta["label"]),
            )
            for n in openings
        )
        yield Block("inline", token.content, "", first + 1, tuple(children), links)


def is_checked(token: Token) -> bool:
    """Tell whether a token opens a checked link that is written as one."""
    kind = str(token.attrs.get("href", "")).partition(":")[0]
    return token.type == "link_open" and "label" in token.meta and kind in KINDS


def _plain(tokens: list[Token]) -> str:
    """Return the plain text up to the end of a link."""
    text = ""
    for token in tokens:
        if token.type == "link_close":
            break
        text += " " if token.type in ("softbreak", "hardbreak") else token.content
    return text


def _offsets(content: str, text: str, begin: int, end: int) -> list[int] | None:
    """Return where each character of a piece, and its end, stand in the whole text; None if unknown.

    The piece is a part of the text between two places, without what stands before each of its lines,
    and without the backslash before a bar in a table.
    """
    offsets: list[int] = []
    at = begin
    for line in content.split("\n"):
        if offsets:
            offsets.append(at)  # the end of the line before
        while at <= end:
            placed = _aligned(line, text, at)
            if placed and placed[-1] <= end:
                break
            at += 1
        else:
            return None
        offsets += placed[:-1]
        at = placed[-1]
    return [*offsets, at]


def _aligned(line: str, text: str, at: int) -> list[int]:
    """Return where each character of a line stands if it begins at a place, and its end; else nothing."""
    offsets = []
    for char in line:
        source = "\\|" if char == "|" and text.startswith("\\|", at) else char
        if not text.startswith(source, at):
            return []
        offsets.append(at)
        at += len(source)
    return [*offsets, at]


def _noting_labels(state: StateInline, silent: bool) -> bool:
    """Read a link as Markdown does, and note on its token where its words stand."""
    if state.src[state.pos] != "[":
        return False
    label = (state.pos + 1, state.md.helpers.parseLinkLabel(state, state.pos, True))
    before = len(state.tokens)
    if not parse_link(state, silent):
        return False
    if not silent:
        opening = next(token for token in state.tokens[before:] if token.type == "link_open")
        opening.meta["label"] = label
    return True


def _reader() -> MarkdownIt:
    """Return a reader of Markdown as the book is written in it."""
    reader = MarkdownIt("commonmark").enable("table")
    reader.use(front_matter_plugin)
    reader.use(dollarmath_plugin, allow_labels=True, allow_space=True, allow_digits=True, double_inline=True)
    reader.use(myst_role_plugin)
    reader.inline.ruler.at("link", _noting_labels)
    return reader


_MARKDOWN = _reader()
