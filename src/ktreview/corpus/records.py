"""What a record may say: one YAML file a paper, one a lab, one file of themes.

The models are the only place where a field, a vocabulary or a rule about one record stands. Rules
that need the abstract as well are in `ktreview.corpus.evidence`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ktreview.corpus.numbers import Role

Kind = Literal[
    "method", "benchmark", "empirical-study", "survey", "framework-or-platform", "position-or-proposal"
]
ClaimKind = Literal["gain", "level", "scale"]
Basis = Literal["absolute", "relative", "unstated"]
Bound = Literal["exact", "at-least", "at-most", "up-to", "approx"]
ClaimType = Literal[
    "state-of-the-art", "outperforms-baselines", "reduces-forgetting", "positive-backward-transfer",
    "generalises", "negative-finding", "first-to", "efficiency", "other",
]  # fmt: skip
Finding = Literal["confirmed", "overstated", "differs", "unresolved"]


def _one_line(text: str) -> str:
    if text != " ".join(text.split()):
        raise ValueError("has stray white space: keep single spaces, none at the ends")
    return text


def _web_address(text: str) -> str:
    if any(char.isspace() or char in "{}<>\"'`" for char in text):
        raise ValueError("is no clean web address: remove stray characters")
    return text


Line = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Words = Annotated[str, AfterValidator(_one_line)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$")]


class Record(BaseModel):
    """Base of all records: unknown fields are refused, types are not bent, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Theme(Record):
    """A theme of the review: a chapter and the question it answers."""

    key: Slug
    title: Line
    question: Line


class Code(Record):
    """Where a paper's code stands, and whether its abstract says so."""

    url: Annotated[str, Field(pattern=r"^https?://"), AfterValidator(_web_address)]
    source: Literal["abstract", "elsewhere"] = Field(alias="from")


class Number(Record):
    """A ledger entry: all numbers inside the quote that no claim states have this role."""

    quote: Annotated[str, Field(min_length=1)]
    role: Role


class _Claim(Record):
    """What all claims have: an id, exact words, and what they say of metric, benchmark and baseline.

    `id` is the paper's key, a hyphen and a slug; once published it never changes its meaning.
    `metric`, `benchmark` and `baseline` hold words of the abstract, several joined by ``"; "``, and
    are empty where it states none.
    """

    id: Slug
    quote: Annotated[str, Field(min_length=1)]
    metric: Words = ""
    benchmark: Words = ""
    baseline: Words = ""
    baseline_named: bool = False
    better: Literal["higher", "lower", "neutral"]

    @model_validator(mode="after")
    def _baseline_is_quoted(self) -> Self:
        if self.baseline_named and not self.baseline:
            raise ValueError("baseline_named is true but baseline is empty: quote the baseline")
        return self


class QuantitativeClaim(_Claim):
    """A result that a paper asserts of its own work with a number."""

    type: Literal["quantitative"]
    kind: ClaimKind
    value: float
    value_high: float | None = None
    unit: Slug
    basis: Basis
    bound: Bound

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.bound == "up-to" and self.value_high != self.value:
            raise ValueError("an up-to claim has value_high equal to value: write both")
        if self.bound != "up-to" and self.value_high is not None and not self.value < self.value_high:
            raise ValueError("value_high must exceed value in a range: correct or remove it")
        if self.kind != "gain" and self.basis == "relative":
            raise ValueError("only a gain can be relative: basis of a level or size is absolute or unstated")
        if self.kind == "gain" and self.basis == "unstated" and self.unit != "percent":
            raise ValueError("only a percentage leaves its basis open: say absolute or relative")
        if self.unit == "times" and self.basis != "relative":
            raise ValueError("a factor is relative: set basis to relative")
        return self


class QualitativeClaim(_Claim):
    """A finding, outcome, proof or priority claim of a paper's own work, without a number."""

    type: Literal["qualitative"]
    claim_type: ClaimType
    hedged: bool


Claim = Annotated[QuantitativeClaim | QualitativeClaim, Field(discriminator="type")]


class Result(Record):
    """A number from beyond the abstract: from the full text or the official repository."""

    id: Slug
    benchmark: Line
    setting: Words = ""
    metric: Line
    better: Literal["higher", "lower", "neutral"]
    baseline: Words = ""
    baseline_value: float | None = None
    method: Line
    method_value: float | None = None
    unit: Slug
    locator: Line
    source: Line
    confidence: Literal["high", "medium", "low"]
    flag: Line | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.baseline_value is not None and not self.baseline:
            raise ValueError("baseline_value has no baseline: name what it is the value of")
        if self.method_value is None and self.flag is None:
            raise ValueError("method_value is missing: add it, or say in flag what the source gives")
        return self


class Verdict(Record):
    """What results settle about a claim."""

    claim: Annotated[str, Field(min_length=1)]
    finding: Finding
    basis: Literal["absolute", "relative", "unresolved"] | None = None
    strength: Literal["shown", "consistent"] | None = None
    why: Line
    results: list[Slug] = []

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.finding != "unresolved" and not self.results:
            raise ValueError("no result is named: a verdict rests on results, or its finding is unresolved")
        if (self.strength is None) != (self.finding == "unresolved"):
            raise ValueError("strength is shown or consistent, and left out exactly where unresolved")
        return self


class Paper(Record):
    """One paper of the review: `data/papers/<key>.yaml`."""

    title: Line
    kind: Kind
    theme: Slug
    also: list[Slug] = []
    system: Line | None = None
    arxiv: Annotated[str, Field(pattern=r"^\d{4}\.\d{4,5}$")] | None = None
    authors: list[Line] = Field(min_length=1)
    date: Annotated[str, Field(pattern=r"^(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?$")]
    venue: Line | None = None
    code: Code | None = None
    mechanism: Line
    limits: Line
    numbers: list[Number] = []
    claims: list[Claim] = []
    results: list[Result] = []
    verdicts: list[Verdict] = []

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.theme in self.also:
            raise ValueError(f"also repeats the theme {self.theme!r}: remove it there")
        if len(set(self.also)) < len(self.also):
            raise ValueError("also names a theme twice: remove one")
        for field, names in {
            "claims": [claim.id for claim in self.claims],
            "results": [result.id for result in self.results],
            "verdicts": [verdict.claim for verdict in self.verdicts],
        }.items():
            if repeated := _repeated(names):
                raise ValueError(f"{field}: {repeated!r} is given twice; keep one")
        if (
            self.arxiv
            and abs(_months(self.date[2:4], self.date[5:7]) - _months(self.arxiv[:2], self.arxiv[2:4])) > 1
        ):
            raise ValueError(
                f"date {self.date} does not fit arXiv id {self.arxiv}, whose first four digits are year "
                "and month: date is the day the first version appeared; correct one of them"
            )
        return self


class Compared(Record):
    """Two arms that a lab sets side by side, and on which side the claim expects the method.

    `better` is the direction that the claim says, which for a claim such as "covers fewer modes" is
    ``lower``. `name` says in a slug what is compared, and is the comparison's own in its lab; a headline
    has none.
    """

    name: Annotated[str, Field(pattern=r"^(?:[a-z0-9]+(?:-[a-z0-9]+)*)?$")] = ""
    question: Line
    regime: Slug = "main"
    metric: Line
    better: Literal["higher", "lower"]
    baseline: Line
    method: Line


class Lab(Record):
    """What a lab declares before it runs: `data/labs/<lab>.yaml`.

    Attributes
    ----------
    paper, claim
        Whose mechanism it is, and the exact words of the claim it bears on, where there is one.
    question, regime, metric, better, baseline, method
        The headline comparison, the one that the verdict speaks of; as in `Compared`.
    control
        The arm that drops the ingredient under test and keeps its cost; `no_control` says why there is
        none.
    arms, regimes
        What each is, by name. The only regime of a lab that names none is ``main``.
    data
        What it runs on, in words; synthetic data say so and why.
    mechanism
        The functions of the lab's module that readers should see.
    equation, source
        The mechanism in LaTeX; what was followed and where the lab departs from it.
    also
        Further comparisons. They inform, and the verdict doesn't rest on them.
    shows_not
        What the lab does not show: scale, data, simplifications.
    budget
        CPU seconds for one seed set.
    """

    paper: Slug
    question: Line
    claim: Annotated[str, Field(min_length=1)] | None = None
    regime: Slug = "main"
    metric: Line
    better: Literal["higher", "lower"]
    baseline: Line
    method: Line
    control: Line | None = None
    no_control: Line | None = None
    arms: dict[str, Line] = Field(min_length=2)
    regimes: dict[Slug, Line] = {}
    data: Line
    mechanism: list[str] = Field(min_length=1)
    equation: Line
    source: Line
    also: list[Compared] = []
    shows_not: Line
    budget: float = 15

    def comparisons(self) -> list[Compared]:
        """Return all comparisons, the headline first."""
        headline = Compared(
            question=self.question,
            regime=self.regime,
            metric=self.metric,
            better=self.better,
            baseline=self.baseline,
            method=self.method,
        )
        return [headline, *self.also]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if (self.control is None) == (self.no_control is None):
            raise ValueError("name a control arm, or say in no_control why there is none: one of the two")
        named = [arm for compared in self.comparisons() for arm in (compared.baseline, compared.method)]
        named.append(self.control or self.method)
        if unknown := [arm for arm in named if arm not in self.arms]:
            raise ValueError(f"{unknown[0]!r} is not among the arms: describe it there")
        known = self.regimes or {"main": ""}
        if unknown := [c.regime for c in self.comparisons() if c.regime not in known]:
            raise ValueError(f"{unknown[0]!r} is not among the regimes: describe it there")
        if not all(further.name for further in self.also):
            raise ValueError("a comparison of also has no name: give it a slug that says what is compared")
        if repeated := _repeated([further.name for further in self.also]):
            raise ValueError(f"also: the name {repeated!r} is given twice; keep one")
        if any(compared.baseline == compared.method for compared in self.comparisons()):
            raise ValueError("a comparison has one arm twice: name two")
        return self


def _repeated(names: list[str]) -> str:
    return next((name for name in names if names.count(name) > 1), "")


def _months(year: str, month: str) -> int:
    return 12 * int(year) + int(month)


R = TypeVar("R", bound=Record)


class UserError(Exception):
    """Something that the user can mend; the message is one line that says what and how."""


@dataclass(frozen=True)
class Fault:
    """Something wrong in the data, said for the person who mends it.

    Attributes
    ----------
    file : str
        The file, relative to the data folder.
    field : str
        The field, as a path such as ``claims[0].quote``; empty if the whole file is meant.
    message : str
        What is wrong and what to do.
    """

    file: str
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}, {self.field}" if self.field else self.file
        return f"{place}: {self.message}"


class _Loader(yaml.CSafeLoader):
    """YAML as a curator means it: dates stay text, and a field given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the field {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path, name: str) -> tuple[Any, list[Fault]]:
    """Read one YAML file.

    Returns
    -------
    tuple
        The content (None if it can't be read) and the faults.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return None, [Fault(name, "", f"can't be read ({error}). Save it as UTF-8 text.")]
    try:
        return yaml.load(text, Loader=_Loader), []  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        return None, [Fault(name, where, f"is not well-formed YAML ({problem}). Correct the syntax there.")]


def validate(model: type[R], content: Any, name: str) -> tuple[R | None, list[Fault]]:
    """Check the content of one file against a model.

    Returns
    -------
    tuple
        The record (None if it has faults) and the faults.
    """
    if not isinstance(content, dict):
        return None, [Fault(name, "", "holds no fields. Write `field: value` lines.")]
    try:
        return model.model_validate(content), []
    except ValidationError as error:
        return None, [Fault(name, _path(e["loc"]), _remedy(e, model)) for e in error.errors()]


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        if part in ("quantitative", "qualitative"):  # which of the two a claim is, no field
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _remedy(error: Any, model: type[Record]) -> str:
    """Turn a validation error into a sentence with a remedy."""
    kind, found, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "string_type" and isinstance(found, int | float):
        return f"{found!r} was read as a number. Put it in quotes."
    if kind == "extra_forbidden":
        known = ", ".join(_field_names(model, error["loc"][:-1]))
        return f"is not a field of a record. Fields here are {known}."
    return {
        "missing": "is missing. Add it.",
        "union_tag_not_found": "has no type. Add `type: quantitative` or `type: qualitative`.",
        "union_tag_invalid": "has an unknown type. Write `type: quantitative` or `type: qualitative`.",
        "literal_error": f"{found!r} is not one of {context.get('expected')}. Choose one of them.",
        "value_error": f"{context.get('error')}.",
        "string_pattern_mismatch": (
            f"{found!r} does not have the form {context.get('pattern')}. Correct it."
        ),
    }.get(kind, f"{error['msg']} (found {found!r}). Correct it.")


def _field_names(model: type[Record], loc: tuple[int | str, ...]) -> Iterator[str]:
    """List the fields that may stand at a place."""
    parts: dict[int | str, type[Record]] = {
        "quantitative": QuantitativeClaim,
        "qualitative": QualitativeClaim,
        "results": Result,
        "verdicts": Verdict,
        "numbers": Number,
        "code": Code,
        "also": Compared,
    }
    owner = next((parts[part] for part in loc if part in parts), model)
    for name, field in owner.model_fields.items():
        yield field.alias or name
