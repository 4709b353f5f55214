"""The tables of the audit: abstract against table, what stays open, one name for several things."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from markupsafe import Markup

from ktreview.analysis import reporting
from ktreview.corpus import wording
from ktreview.corpus.frames import ClaimRow
from ktreview.corpus.outcomes import gains
from ktreview.corpus.records import Result, Verdict
from ktreview.corpus.review import Review, rows
from ktreview.show import markup
from ktreview.show.tables.table import Table

#: Why it matters that things under one name differ in this.
REASONS = {
    "basis": "A point and a percent of the baseline are different sizes: of a baseline of 50%, a relative "
    "8% is 4 points.",
    "scale": "Some values run to 1 and others to 100 or beyond, so equal digits are not equal results.",
    "metric": "Different things are counted under the name.",
    "test set": "Test sets differ in difficulty and in what chance gives, so values do not rank across them.",
    "setting": "The value hangs on a setting that the name does not carry.",
    "baseline": "A gain counts from what it is compared with.",
}

_SCALES = {"percent": "in percent", "ratio": "of 1"}
_REMEDY = re.compile(r"\bwould (?:settle|resolve|decide|fix)\b")
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z‘“'\"])")


@dataclass(frozen=True)
class _Cards(Table):
    """A table whose rows are long texts, shown as cards by a macro of a template."""

    card: str = ""

    def html(self) -> str:
        lines = [
            {column: Markup(value) if column in self.markup else value for column, value in row.items()}  # noqa: S704
            for row in self.data.to_dict("records")
        ]
        shown = markup.macro("verdicts.html", "cards")(self, lines, markup.macro("verdicts.html", self.card))
        return str(shown)


class _Folded(Table):
    """A long table that opens."""

    def html(self) -> str:
        return str(markup.macro("shared.html", "opens")(self.title, Markup(super().html())))  # noqa: S704


def verdicts(review: Review, findings: Collection[str] | None = None) -> Table:
    """List what results settle about claims: the words, the finding, why, and the results.

    Parameters
    ----------
    review : Review
    findings : collection of str, optional
        Only verdicts of these findings.

    Returns
    -------
    Table
        One row a verdict, in the order of the corpus, shown as cards; `basis` says it and the
        strength in words.
    """
    found = [
        {
            "claim": claim.id,
            "paper": markup.paper_anchor(review, claim.paper, _name(review, claim.paper), claim.id),
            "words": markup.quoted(wording.plain(claim.quote)),
            "finding": verdict.finding,
            "basis": _basis(claim, verdict),
            "why": verdict.why,
            "results": markup.macro("verdicts.html", "results")(
                wording.counted(len(results), "result"), list(map(_result, results))
            ),
        }
        for claim, verdict, results in _judged(review)
        if findings is None or verdict.finding in findings
    ]
    columns = ["claim", "paper", "words", "finding", "basis", "why", "results"]
    what = wording.listing(findings) if findings else "what the tables make of them"
    return _Cards(
        "verdicts" + "".join(f"-{finding}" for finding in findings or ()),
        f"Claims held against results, {what}: {len(found)}",
        pd.DataFrame(found, columns=columns),
        markup=("paper", "words", "results"),
        card="verdict",
    )


def _judged(review: Review) -> Iterator[tuple[ClaimRow, Verdict, list[Result]]]:
    """Yield every claim that has a verdict, the verdict and the results that it names."""
    claims = {row.id: row for row in rows(review.claims, ClaimRow)}
    for claim in review.verdicts["claim"]:
        verdict = review.verdict_of(claim)
        if verdict and claim in claims:
            yield claims[claim], verdict, review.results_of(claim)


def _name(review: Review, key: str) -> str:
    return wording.short_name(review.records[key])


def _basis(claim: ClaimRow, verdict: Verdict) -> str:
    """Say what the tables make of the basis, and how surely."""
    said = []
    if verdict.basis:
        before = (
            "not stated in the abstract" if claim.basis == "unstated" else f"{claim.basis} in the abstract"
        )
        after = {
            "absolute": "points by the tables",
            "relative": "percent of the baseline by the tables",
            "unresolved": "still open after the tables",
        }
        said.append(f"basis {before}, {after[verdict.basis]}")
    if verdict.strength:
        said.append(verdict.strength)
    return ("; ".join(said) + ".").capitalize() if said else ""


def _result(result: Result) -> tuple[str, str]:
    """Say a result with its gain, and where it stands."""
    points, relative = gains(result)
    gain = ", ".join(
        wording.signed(amount, unit)
        for amount, unit in ((points, " points"), (relative, "%"))
        if amount is not None
    )
    setting = f" ({result.setting})" if result.setting else ""
    what = f"{result.benchmark}{setting}, {result.metric}: {result.method} {wording.result(result)}"
    careful = f" Careful: {result.flag}." if result.flag and result.method_value is not None else ""
    where = f"{result.locator}. Source: {result.source}. Confidence: {result.confidence}.{careful}"
    return f"{what}; {gain}." if gain else f"{what}.", where


def unresolved(review: Review) -> Table:
    """List what stays open and what would settle it.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Table
        One row a verdict whose finding or basis is unresolved. `why` and `remedy` divide
        the verdict's reason at the sentence that says what would settle it. Shown as cards.
    """
    found = []
    for claim, verdict, _ in _judged(review):
        if "unresolved" not in (verdict.finding, verdict.basis):
            continue
        sentences = _SENTENCES.split(verdict.why)
        remedy = [text for text in sentences if _REMEDY.search(text)]
        rest = [text for text in sentences if text not in remedy]
        found.append(
            {
                "paper": markup.paper_anchor(review, claim.paper, _name(review, claim.paper), claim.id),
                "words": markup.quoted(wording.plain(claim.quote)),
                "open": _open(verdict),
                "why": " ".join(rest),
                "remedy": " ".join(remedy) or "The record does not say.",
            }
        )  # fmt: skip
    columns = ["paper", "words", "open", "why", "remedy"]
    return _Cards(
        "unresolved",
        f"What stays open after the tables that were seen: {wording.counted(len(found), 'claim')}",
        pd.DataFrame(found, columns=columns),
        markup=("paper", "words"),
        card="open",
    )


def _open(verdict: Verdict) -> str:
    if verdict.finding != "unresolved":
        return "the basis"
    return "size and basis" if verdict.basis else "the claim"


@dataclass(frozen=True)
class _Use:
    """One thing that a name stands for somewhere."""

    paper: str
    claim: str
    text: str
    basis: str = ""
    scale: str = ""
    metric: str = ""
    test_set: str = ""
    setting: str = ""
    baseline: str = ""


def same_name(review: Review) -> Table:
    """List names that stand for different things.

    Four ways are looked for: the percent sign of gains whose basis the tables settle differently; a metric,
    and a benchmark, under which results of several papers differ; and a claim behind whose one number
    stand several rows for one test set.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Table
        One row a case: the name, what it stands for where, in what that differs, and why this matters.
        Shown as cards.
    """
    cases = [*_percent(review), *_metrics(review), *_benchmarks(review), *_rows_behind(review)]
    data = pd.DataFrame(
        [
            {
                "name": name,
                "kind": kind,
                "uses": _uses(review, uses),
                "differs": wording.listing(differs),
                "so": " ".join(REASONS[what] for what in differs),
            }
            for name, kind, uses, differs in cases
        ],
        columns=["name", "kind", "uses", "differs", "so"],
    )
    return _Cards(
        "same-name",
        f"One name, several things: {wording.counted(len(data), 'case')}",
        data,
        markup=("uses",),
        card="name",
    )


_Case = tuple[str, str, list[_Use], list[str]]


def _uses(review: Review, uses: Iterable[_Use]) -> Markup:
    texts: dict[tuple[str, str], list[str]] = {}
    for use in uses:
        texts.setdefault((use.paper, use.claim), []).append(use.text)
    return markup.macro("verdicts.html", "uses")(
        (markup.paper_anchor(review, paper, _name(review, paper), claim), "; ".join(dict.fromkeys(said)))
        for (paper, claim), said in texts.items()
    )


def _percent(review: Review) -> Iterator[_Case]:
    settled = review.claims[
        (review.claims["basis"] == "unstated")
        & review.claims["resolved_basis"].isin(["absolute", "relative"])
    ]
    uses = [
        _Use(
            row.paper,
            row.id,
            f"{wording.value(row)} is {'points' if row.resolved_basis == 'absolute' else 'relative'}",
            basis=row.resolved_basis,
        )
        for row in rows(settled, ClaimRow)
    ]
    if len({use.basis for use in uses}) > 1:
        yield "%", "unit of a gain", uses, ["basis"]


def _metrics(review: Review) -> Iterator[_Case]:
    for name, uses in _by_name(review, "metric"):
        differs = []
        if len({use.scale for use in uses}) > 1:
            differs.append("scale")
        if _apart(uses, "test_set"):
            differs.append("test set")
        if "scale" in differs:
            scaled = [replace(u, text=f"{u.text}, {_SCALES.get(u.scale, u.scale)}") for u in uses]
            yield name, "metric", scaled, differs
        elif differs:
            yield name, "metric", uses, differs


def _benchmarks(review: Review) -> Iterator[_Case]:
    for name, uses in _by_name(review, "benchmark"):
        if _apart(uses, "metric"):
            yield name, "benchmark", uses, ["metric"]
        elif _apart(uses, "setting"):
            settings = [replace(u, text=f"{u.metric}, {u.setting.partition(';')[0]}") for u in uses]
            yield name, "benchmark", settings, ["setting"]


def _by_name(review: Review, field: str) -> Iterator[tuple[str, list[_Use]]]:
    """Yield the names under which two papers or more have results."""
    found: dict[str, list[_Use]] = {}
    spelling: dict[str, str] = {}
    for row in rows(review.results):
        for name in _names(getattr(row, field)):
            spelling.setdefault(name.casefold(), name)
            other = row.benchmark if field == "metric" else row.metric
            use = _Use(
                row.paper,
                "",
                other if field == "metric" else f"{other} ({row.benchmark})",
                scale=row.unit,
                metric=row.metric,
                test_set=row.benchmark,
                setting=row.setting,
            )
            found.setdefault(name.casefold(), []).append(use)
    for name, uses in found.items():
        if len({use.paper for use in uses}) > 1:
            yield spelling[name], uses


def _names(text: str) -> list[str]:
    """Return the bare names in the name of a metric or benchmark.

    Examples
    --------
    >>> _names("KnowEdit / ZsRE"), _names("MMLU (all)"), _names("WN18RR, entity classification")
    (['KnowEdit', 'ZsRE'], ['MMLU'], ['WN18RR'])
    """
    bare = (re.sub(r"\s*[(,].*", "", part) for part in re.split(r" / |; ", text))
    return [re.sub(r" (?:validation|test set|dataset)$", "", name) for name in bare if name]


def _apart(uses: Sequence[_Use], what: str) -> bool:
    """Tell whether two papers have nothing in common in a respect."""
    of_paper: dict[str, set[str]] = {}
    for use in uses:
        of_paper.setdefault(use.paper, set()).add(getattr(use, what))
    sets = list(of_paper.values())
    return any(a.isdisjoint(b) for i, a in enumerate(sets) for b in sets[:i])


def _rows_behind(review: Review) -> Iterator[_Case]:
    for claim, _, results in _judged(review):
        if claim.kind == "scale":
            continue
        groups: dict[str, list[Result]] = {}
        for result in results:
            groups.setdefault(_names(result.benchmark)[0], []).append(result)
        for name, group in groups.items():
            values: dict[str, set[tuple[str, ...]]] = {
                "metric": {(result.metric,) for result in group},
                "setting": {(result.benchmark, result.setting) for result in group},
                "baseline": {(result.baseline,) for result in group},
            }
            differs = [what for what, different in values.items() if len(different) > 1]
            if differs:
                uses = [
                    _Use(
                        claim.paper, claim.id, f"{result.metric}: {wording.result(result)}; {_where(result)}"
                    )
                    for result in group
                ]
                yield f"“{wording.plain(claim.quote)}”", f"claim on {name}", uses, differs


def _where(result: Result) -> str:
    setting = result.setting.partition(";")[0]
    return f"{result.benchmark}, {setting}" if setting else result.benchmark


def odd_results(review: Review) -> Table:
    """List the warnings that results carry.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Table
        One row a warning, the most frequent first; a result can carry several.
    """
    carried: dict[str, list[tuple[str, str]]] = {}
    flagged = 0
    for key, paper in review.records.items():
        for result in paper.results:
            flagged += result.flag is not None
            for warning in (result.flag or "").split("; "):
                if warning:
                    carried.setdefault(warning, []).append((key, result.benchmark))
    data = pd.DataFrame(
        [
            {"warning": warning, "results": len(where), "papers": _papers(review, where)}
            for warning, where in sorted(carried.items(), key=lambda item: -len(item[1]))
        ],
        columns=["warning", "results", "papers"],
    )
    every = sum(len(paper.results) for paper in review.records.values())
    title = f"Results that carry a warning: {flagged} of {every}"
    return _Folded("odd-results", title, data, markup=("papers",))


def _papers(review: Review, flagged: Iterable[tuple[str, str]]) -> Markup:
    """Return papers, each with the benchmarks that are meant."""
    benchmarks: dict[str, list[str]] = {}
    for key, benchmark in flagged:
        benchmarks.setdefault(key, []).append(benchmark)
    return markup.macro("verdicts.html", "papers")(
        (markup.paper_anchor(review, key, _name(review, key)), "; ".join(dict.fromkeys(names)))
        for key, names in benchmarks.items()
    )


def rules(review: Review) -> Table:
    """Say by which rule each item is judged, and how many claims with a number state it.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Table
        One row an item of `ktreview.analysis.reporting.RULES`.
    """
    quality = reporting.reporting_quality(review)
    counted = {
        kind: reporting.shares(quality[quality["type"] == kind]).set_index("item")
        for kind in ("quantitative", "qualitative")
    }
    data = pd.DataFrame(
        {
            "item": item.replace("_", " "),
            "rule": rule,
            "with a number": _share(counted["quantitative"], item),
            "without": _share(counted["qualitative"], item),
        }
        for item, rule in reporting.RULES.items()
    )
    return Table(
        "reporting-rules", "The rules, and how many of the claims that they are asked of meet them", data
    )


def _share(counted: pd.DataFrame, item: str) -> str:
    if item not in counted.index:
        return "not asked"
    stated, asked = counted.loc[item, ["stated", "asked"]]
    return f"{stated} of {asked}"


#: What to write, by item.
_ADVICE = {
    "metric_named": "Name the metric, not “performance”.",
    "benchmark_named": "Name the test set and the split.",
    "baseline_named": "Name the system that is beaten, with its value.",
    "basis_stated": "Write “points” or “percent of the baseline”; best, give both values.",
    "bound_stated": "Say whether the number is exact, an average or a limit, and over what.",
    "uncertainty_given": "Give an interval or a spread, and the number of runs.",
    "code_available": "Give an address that holds what makes the number.",
}


def checklist(review: Review) -> Table:
    """Say what an abstract should state, how many do, and show one that does.

    Parameters
    ----------
    review : Review

    Returns
    -------
    Table
        One row an item, the most neglected first. The example is a claim whose own words state the item: of
        those that state most else, the shortest.
    """
    claims = review.claims[["id", "quote", "start", "end", "metric", "benchmark", "baseline"]]
    quality = reporting.reporting_quality(review).merge(claims, on="id")
    quality["count"] = quality[list(reporting.RULES)].fillna(value=False).sum(axis=1)
    quality["length"] = quality["quote"].str.len()
    quality = quality.sort_values(["count", "length", "id"], ascending=[False, True, True])
    totals = reporting.shares(quality)
    totals["share"] = totals["stated"] / totals["asked"]
    found = []
    for total in rows(totals.sort_values("share", kind="stable")):
        examples = (
            example
            for row in rows(quality[quality[total.item].fillna(value=False)])
            if (example := _example(review, row, total.item))
        )
        thing = "papers" if total.item == "code_available" else "claims"
        found.append(
            {
                "write": _ADVICE[total.item],
                "do so here": f"{total.stated} of {total.asked} {thing}",
                "for example": next(examples, "no claim does"),
            }
        )
    return Table(
        "checklist",
        "What to state, the most neglected first, with the claims of this corpus that do",
        pd.DataFrame(found, columns=["write", "do so here", "for example"]),
        markup=("for example",),
    )


def _example(review: Review, row: Any, item: str) -> str:
    """Return the words that state an item, empty where they stand outside a claim's quote."""
    words = row.quote
    if item == "code_available":
        code = review.records[row.paper].code
        words = code.url if code else ""
    elif item == "uncertainty_given":
        abstract = str(review.papers.set_index("key").loc[row.paper, "abstract"])
        start, end = reporting.sentence(abstract, row.start, row.end)
        words = abstract[start:end].strip()
    elif item in ("metric_named", "benchmark_named", "baseline_named"):
        stated = getattr(row, item.removesuffix("_named"))
        words = words if any(part in words for part in stated.split("; ")) else ""
    if not words:
        return ""
    link = markup.paper_anchor(review, str(row.paper), _name(review, str(row.paper)), str(row.id))
    return Markup("{}: {}").format(link, markup.quoted(wording.plain(str(words))))
