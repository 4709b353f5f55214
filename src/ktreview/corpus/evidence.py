"""Tie records to abstracts: where each quote stands, and what each number is there for.

The ledger accounts for every number token of an abstract exactly once: by a rule
(`ktreview.corpus.numbers.role_by_rule`), by the claim that states it, or by a ledger entry of the record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ktreview.corpus import numbers
from ktreview.corpus.numbers import Role, Token
from ktreview.corpus.records import Claim, Fault, Number, Paper, QuantitativeClaim, Verdict


@dataclass(frozen=True)
class Span:
    """Character offsets into an abstract, ``abstract[start:end]``."""

    start: int
    end: int

    def holds(self, token: Token) -> bool:
        """Whether the token stands inside the span."""
        return self.start <= token.start and token.end <= self.end


@dataclass(frozen=True)
class LedgerLine:
    """A number token and what it is there for.

    Attributes
    ----------
    token : Token
    role : str or None
        One of `ktreview.corpus.numbers.ROLES`; None where nothing accounts for the number.
    claim : int or None
        Index into the record's claims, where a claim states the number.
    """

    token: Token
    role: Role | None
    claim: int | None = None


@dataclass(frozen=True)
class Evidence:
    """A record held against its abstract.

    Attributes
    ----------
    spans : list of Span
        The place of each claim's quote, in the record's order; a quote that is at fault has none.
    ledger : list of LedgerLine
        Every number token of the abstract, in order.
    faults : list of Fault
    """

    spans: list[Span]
    ledger: list[LedgerLine]
    faults: list[Fault]


def locate(quote: str, abstract: str) -> Span:
    """Find the one place of a quote.

    Raises
    ------
    ValueError
        If the quote is not in the abstract, or occurs more than once.
    """
    start = abstract.find(quote)
    if start < 0:
        raise ValueError(
            f"{quote!r} is not in the abstract{_nearest(quote, abstract)}. Copy the words exactly."
        )
    if abstract.find(quote, start + 1) >= 0:
        raise ValueError(f"{quote!r} occurs more than once in the abstract. Quote more words around it.")
    return Span(start, start + len(quote))


def _nearest(quote: str, abstract: str) -> str:
    """Say up to where a quote agrees with the abstract, to find the slip."""
    for length in range(len(quote) - 1, 11, -1):
        if quote[:length] in abstract:
            return f" (it agrees up to {quote[max(0, length - 20) : length]!r})"
    return ""


def examine(paper: Paper, abstract: str, file: str) -> Evidence:
    """Hold a record against its abstract.

    Parameters
    ----------
    paper : Paper
    abstract : str
    file : str
        The record's file, for the faults.

    Returns
    -------
    Evidence
        All faults at once; the ledger is complete, with roles missing where the record has gaps.
    """
    work = _Examination(abstract, file)
    for i, claim in enumerate(paper.claims):
        work.claim(i, claim)
    for i, entry in enumerate(paper.numbers):
        work.entry(i, entry)
    for i, verdict in enumerate(paper.verdicts):
        work.verdict(i, verdict, paper)
    return Evidence(list(work.spans.values()), work.ledger(), work.faults)


class _Examination:
    """The ledger of one abstract while claims and entries are put into it."""

    def __init__(self, abstract: str, file: str) -> None:
        self.abstract, self.file = abstract, file
        self.tokens = numbers.tokens(abstract)
        self.lines: dict[Token, LedgerLine] = {}
        self.spans: dict[int, Span] = {}
        self.faults: list[Fault] = []

    def claim(self, i: int, claim: Claim) -> None:
        for field, message in _words_missing(claim, self.abstract):
            self._fault(f"claims[{i}].{field}", message)
        span = self._place(claim.quote, f"claims[{i}].quote")
        if span is None:
            return
        for j, other in self.spans.items():
            if other.start < span.end and span.start < other.end:
                self._fault(
                    f"claims[{i}].quote",
                    f"{claim.quote!r} overlaps the quote of claims[{j}]. Cut the quotes apart.",
                )
        self.spans[i] = span
        if isinstance(claim, QuantitativeClaim):
            self._number(i, claim, span)

    def _number(self, i: int, claim: QuantitativeClaim, span: Span) -> None:
        """Put the number that a claim states into the ledger."""
        stated = _stated(claim, [token for token in self.tokens if span.holds(token)], self.abstract)
        if isinstance(stated, str):
            self._fault(f"claims[{i}].value", stated)
            return
        for token in stated:
            if token in self.lines:
                self._fault(
                    f"claims[{i}].value",
                    f"the number {token.text!r} is claimed by claims[{self.lines[token].claim}] already. "
                    "Keep one claim a number.",
                )
            self.lines[token] = LedgerLine(token, claim.kind, i)
        for message in _unit_doubts(claim, stated[-1], self.abstract):
            self._fault(f"claims[{i}].unit", message)

    def entry(self, i: int, entry: Number) -> None:
        field = f"numbers[{i}].quote"
        span = self._place(entry.quote, field)
        if span is None:
            return
        inside = [token for token in self.tokens if span.holds(token)]
        free = [token for token in inside if token not in self.lines or self.lines[token].claim is None]
        for token in free:
            if token in self.lines:
                self._fault(
                    field, f"the number {token.text!r} has an entry already. Keep one entry a number."
                )
            self.lines[token] = LedgerLine(token, entry.role)
        if not free:
            why = "its numbers are stated by a claim" if inside else "it holds no number"
            self._fault(field, f"{entry.quote!r} settles nothing: {why}. Remove the entry.")

    def verdict(self, i: int, verdict: Verdict, paper: Paper) -> None:
        claim = next((claim for claim in paper.claims if claim.quote == verdict.claim), None)
        known = {result.id for result in paper.results}
        for name in sorted(set(verdict.results) - known):
            self._fault(f"verdicts[{i}].results", f"there is no result {name!r}. Name ids of results.")
        if claim is None:
            self._fault(
                f"verdicts[{i}].claim", f"{verdict.claim!r} is no claim's quote. Copy the quote exactly."
            )
            return
        stated = claim.basis if isinstance(claim, QuantitativeClaim) else None
        if verdict.basis and stated not in ("unstated", verdict.basis):
            self._fault(
                f"verdicts[{i}].basis",
                f"{verdict.basis!r} does not fit the claim, whose basis is {stated or 'none'}. A verdict "
                "settles only what the claim leaves open.",
            )

    def ledger(self) -> list[LedgerLine]:
        ledger = []
        for token in self.tokens:
            line = self.lines.get(token) or LedgerLine(token, numbers.role_by_rule(self.abstract, token))
            ledger.append(line)
            if line.role is None:
                near = self.abstract[max(0, token.start - 30) : token.end + 30]
                self._fault(
                    "numbers",
                    f"the number {token.text!r} in '…{near}…' is unaccounted for. Add a claim, or an entry "
                    f"with one of the roles {', '.join(numbers.ROLES)}.",
                )
        return ledger

    def _place(self, quote: str, field: str) -> Span | None:
        try:
            return locate(quote, self.abstract)
        except ValueError as error:
            self._fault(field, str(error))
            return None

    def _fault(self, field: str, message: str) -> None:
        self.faults.append(Fault(self.file, field, message))


def _words_missing(claim: Claim, abstract: str) -> Iterator[tuple[str, str]]:
    """Yield the fields whose words the abstract does not have."""
    for field in ("metric", "benchmark", "baseline"):
        for words in filter(None, getattr(claim, field).split("; ")):
            if words not in abstract:
                yield field, f"{words!r} is not in the abstract. Use its own words, or leave the field out."


def _stated(claim: QuantitativeClaim, inside: list[Token], abstract: str) -> list[Token] | str:
    """Return the tokens that state a claim's value, or what is wrong."""
    values = [claim.value]
    if claim.value_high is not None and claim.value_high != claim.value:
        values.append(claim.value_high)
    found = []
    for value in values:
        same = [
            token
            for token in inside
            if token.value == value and numbers.role_by_rule(abstract, token) is None
        ]
        if not same:
            return f"no number of the quote is {value:g}. Correct the value, or widen the quote to hold it."
        if len(same) > 1:
            return f"{value:g} stands more than once in the quote. Narrow the quote to one of them."
        found += same
    return found


def _unit_doubts(claim: QuantitativeClaim, token: Token, abstract: str) -> Iterator[str]:
    """Yield what the text after a claim's number says against its unit."""
    after = abstract[token.end :]
    percent = after.lstrip("\\ ").startswith("%")
    if percent and claim.unit != "percent":
        yield f"the abstract has % after {token.text!r}: unit is percent."
    if not percent and claim.unit == "percent":
        yield (
            f"the abstract has no % after {token.text!r}: unit is score, points, times, count or the "
            "field's own."
        )
