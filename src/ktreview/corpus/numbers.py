"""Find every number that an abstract states, digits and words, and settle the safe ones by rule.

What counts as one number token, and the roles, are laid down in the annotation rules (the method
page of the book). Everything that needs a reader's judgement is left to the records.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["gain", "level", "scale", "statistic", "enumeration", "name", "other"]
ROLES: tuple[str, ...] = get_args(Role)

_MULTIPLIER = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_WORDS: dict[str, float] = {
    "zero": 0, "half": 0.5, "one": 1, "two": 2, "twice": 2, "three": 3, "thrice": 3, "four": 4,
    "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
    "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18,
    "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60,
    "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_POWERS: dict[str, float] = {
    "dozen": 12, "hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12,
}  # fmt: skip

_POWER = rf"(?:{'|'.join(_POWERS)})s?"
_WORD = rf"(?:{'|'.join(_WORDS)})"
_DIGITS = r"\d+(?:,\d{3})*(?:\.\d+)?"
_TOKEN = re.compile(
    rf"""
    (?P<digits>{_DIGITS})
      (?: (?P<letter>[KMBT])(?![A-Za-z0-9]) | (?P<power>[ -]{_POWER})\b )?
    | \b (?P<words> {_WORD}(?:[ -](?:{_WORD}|{_POWER}))* | {_POWER}(?:[ -]{_POWER})*
                  | orders?\ of\ magnitude | magnitudes ) \b
    """,
    re.VERBOSE | re.IGNORECASE,
)
#: "one" where it counts nothing, and "zero" and "half" where they are part of another word.
_NO_COUNT_AFTER = re.compile(r"(?:-to-|\s+of\b|'s\b|’s\b|\s+another\b|-shot|\s+shot\b|self\b)", re.IGNORECASE)
_NO_COUNT_BEFORE = re.compile(r"(?:-to-|\b(?:no|any|every|each|this|that|the|which) )$", re.IGNORECASE)

_ADDRESS = re.compile(r"(?:https?://|www\.)\S+")


@dataclass(frozen=True)
class Token:
    """A number as it stands in an abstract.

    Attributes
    ----------
    text : str
        The numeral with its multiplier, or the number word; no ``%``, ``X`` or noun.
    start, end : int
        Character offsets into the abstract, ``abstract[start:end] == text``.
    value : float or None
        The number meant; None where the word is vague ("thousands", "orders of magnitude").
    """

    text: str
    start: int
    end: int
    value: float | None


def tokens(abstract: str) -> list[Token]:
    """Return every number token of an abstract, in order, none overlapping.

    Parameters
    ----------
    abstract : str
        The abstract as the dump has it.

    Returns
    -------
    list of Token

    Examples
    --------
    >>> [token.text for token in tokens("GPT-4 gains 2-10% on two of 11,050 tasks with 4.2M pairs")]
    ['4', '2', '10', 'two', '11,050', '4.2M']
    """
    found = []
    for match in _TOKEN.finditer(abstract):
        start, end = match.span()
        if match["words"]:
            word = match["words"].casefold()
            if word in {"one", "zero", "half"} and _counts_nothing(abstract, start, end):
                continue
            if abstract[start - 1 : start] == "-" and word in {"one", "ones"}:
                continue
        elif match["letter"] and match["letter"].islower() and not match["letter"].isupper():
            # "100m" may be metres; only capitals multiply.
            end = match.start("letter")
        found.append(Token(abstract[start:end], start, end, _value(abstract[start:end])))
    return found


def _counts_nothing(abstract: str, start: int, end: int) -> bool:
    return bool(
        _NO_COUNT_AFTER.match(abstract, end) or _NO_COUNT_BEFORE.search(abstract, max(0, start - 12), start)
    )


def _value(text: str) -> float | None:
    """Return the number that a token's text stands for, None where it is vague."""
    digits = re.match(_DIGITS, text)
    if digits:
        value = float(digits.group().replace(",", ""))
        rest = text[digits.end() :].strip(" -").casefold()
        if rest in _MULTIPLIER:
            return value * _MULTIPLIER[rest]
        return value * _POWERS.get(rest.removesuffix("s"), 1)
    total, current = 0.0, 0.0
    for word in re.split(r"[ -]", text.casefold()):
        if word in _WORDS:
            current += _WORDS[word]
        elif word in _POWERS:
            current = (current or 1) * _POWERS[word]
            if _POWERS[word] >= 1e3:
                total, current = total + current, 0.0
        else:
            return None  # plural powers and orders of magnitude name no number
    return total + current


def role_by_rule(abstract: str, token: Token) -> Role | None:
    """Settle the role of a token that its surroundings alone decide.

    Three rules, none of which needs to know what the sentence says: a small whole number before a
    closing bracket, counting up from 1, is an *enumeration* mark; digits inside an address, and
    digits joined to a word that has a capital (``GPT-4``, ``T5``, ``CIFAR100``, ``Hits@1``), are
    part of a *name*; a year in brackets is part of a *name*.

    Parameters
    ----------
    abstract : str
    token : Token

    Returns
    -------
    str or None
        The role, or None where a reader has to say.

    Examples
    --------
    >>> text = "(1) GPT-4 improves Hits@1 by 3.1%"
    >>> [role_by_rule(text, token) for token in tokens(text)]
    ['enumeration', 'name', 'name', None]
    """
    if not token.text[0].isdigit():
        return None
    before, after = abstract[: token.start], abstract[token.end :]
    if any(m.start() <= token.start < m.end() for m in _ADDRESS.finditer(abstract)):
        return "name"
    if _marks_item(abstract, token):
        return "enumeration"
    if re.fullmatch(r"(?:19|20)\d\d", token.text) and before.endswith("(") and after.startswith(")"):
        return "name"
    joined = re.search(r"[A-Za-z][\w@-]*$", before)
    if joined and any(char.isupper() for char in joined.group()):
        return "name"
    return None


def _marks_item(abstract: str, token: Token) -> bool:
    """Whether a token is the ``2`` of ``(1) ... (2) ...`` or ``1) ... 2) ...``."""
    before, after = abstract[: token.start], abstract[token.end :]
    if not (re.fullmatch(r"[1-9]\d?", token.text) and after.startswith(")")):
        return False
    bracketed = before.endswith("(")
    if not bracketed and (
        not re.search(r"(?:^|\s)$", before) or before.count("(") > before.count(")") - _bare_marks(before)
    ):
        return False
    previous = int(token.text) - 1
    return previous == 0 or re.search(rf"(?<!\d){previous}\)", before) is not None


def _bare_marks(text: str) -> int:
    """Count the closing brackets of list marks that have no opening one."""
    return len(re.findall(r"(?:^|\s)\d{1,2}\)", text))
