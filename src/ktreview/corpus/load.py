"""Join the records to the abstracts of the dumps: one `Review`, or every fault."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ktreview.corpus import daily_papers, evidence
from ktreview.corpus.outcomes import MEASURED, REPLICATION, SEEDS, by_arm, contrast, gains
from ktreview.corpus.records import Fault, Lab, Paper, QuantitativeClaim, Result, Theme, read_yaml, validate
from ktreview.corpus.review import DATA, Review, ReviewError, frame_of
from ktreview.corpus.settings import Settings


@dataclass(frozen=True)
class _Joined:
    """A record with its abstract, its number in the dumps and what it was found to say."""

    n: int
    entry: daily_papers.Entry
    paper: Paper
    checked: evidence.Evidence


def load_review(root: Path | str = DATA) -> Review:
    """Load and validate every record.

    Parameters
    ----------
    root : path, optional
        A folder with ``daily-papers/*.txt``, ``papers/*.yaml`` and ``themes.yaml``; the review's
        own data if left out.

    Returns
    -------
    Review

    Raises
    ------
    ReviewError
        If anything is at fault; every fault is listed.

    Examples
    --------
    >>> review = load_review()
    >>> len(review.papers) == len(review.records)
    True
    """
    review, faults = read_review(root)
    if review is None or faults:
        raise ReviewError(faults)
    return review


def read_review(root: Path | str = DATA) -> tuple[Review | None, list[Fault]]:
    """Read every record and collect all faults instead of stopping at the first.

    Returns
    -------
    tuple
        The review, of the papers without a fault (None if themes or dumps can't be read), and the
        faults.
    """
    root = Path(root)
    entries, faults = _read_dumps(root)
    themes, theme_faults = _read_themes(root)
    settings, setting_faults = _read_settings(root)
    faults += theme_faults + setting_faults
    if not entries or not themes:
        return None, faults
    places = {entry.title.casefold(): (n, entry) for n, entry in enumerate(entries, start=1)}
    joined: dict[str, _Joined] = {}
    owners: dict[str, str] = {}
    for path in sorted((root / "papers").glob("*.yaml")):
        faults += _read_record(path, places, themes, joined, owners)
    for title, (_, entry) in places.items():
        if title not in owners:
            faults.append(
                Fault(
                    "papers",
                    "",
                    f"{entry.title!r} (line {entry.line} of the dump) has no record. "
                    "Write one file papers/<key>.yaml.",
                )
            )
    labs, measured, lab_faults = _read_labs(root, joined)
    faults += lab_faults
    review = _assemble(themes, dict(sorted(joined.items(), key=lambda item: item[1].n)), labs, measured)
    return replace(review, settings=settings), faults


def _read_settings(root: Path) -> tuple[Settings, list[Fault]]:
    if not (root / "review.yaml").is_file():
        return Settings(), []
    content, faults = read_yaml(root / "review.yaml", "review.yaml")
    settings, more = validate(Settings, content, "review.yaml") if not faults else (None, [])
    return settings or Settings(), faults + more


def _read_labs(
    root: Path, joined: Mapping[str, _Joined]
) -> tuple[dict[str, Lab], dict[str, pd.DataFrame], list[Fault]]:
    """Read what labs declare and, where they have run, what they measured."""
    labs: dict[str, Lab] = {}
    measured: dict[str, pd.DataFrame] = {}
    faults: list[Fault] = []
    for path in sorted((root / "labs").glob("*.yaml")):
        name = f"labs/{path.name}"
        content, problems = read_yaml(path, name)
        lab, more = validate(Lab, content, name) if not problems else (None, [])
        faults += problems + more
        if lab is None:
            continue
        if not (root / "papers" / f"{lab.paper}.yaml").is_file():
            faults.append(Fault(name, "paper", f"{lab.paper!r} is no record. Name a file of papers/."))
        if lab.paper not in joined:
            continue
        if lab.claim and lab.claim not in {claim.quote for claim in joined[lab.paper].paper.claims}:
            message = f"{lab.claim!r} is no claim's quote in papers/{lab.paper}.yaml. Copy one exactly."
            faults.append(Fault(name, "claim", message))
            continue
        labs[path.stem] = lab
        if (runs := path.with_suffix(".csv")).is_file():
            frame, problems = _read_runs(runs, lab)
            faults += problems
            if not problems:
                measured[path.stem] = frame
    for path in sorted((root / "labs").glob("*.csv")):
        if not path.with_suffix(".yaml").is_file():
            message = "belongs to no lab. Declare it in a .yaml file beside it, or remove the file."
            faults.append(Fault(f"labs/{path.name}", "", message))
    order = {lab: joined[own.paper].n for lab, own in labs.items()}
    return dict(sorted(labs.items(), key=lambda item: order[item[0]])), measured, faults


def _read_runs(path: Path, lab: Lab) -> tuple[pd.DataFrame, list[Fault]]:
    name = f"labs/{path.name}"
    again = f"Run `ktreview lab run {path.stem} --save`."
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values={"value": [""]})
    except (OSError, ValueError) as error:
        return pd.DataFrame(), [Fault(name, "", f"can't be read ({error}). {again}")]
    if tuple(frame.columns) != MEASURED:
        return frame, [Fault(name, "", f"has other columns than {', '.join(MEASURED)}. {again}")]
    measured = by_arm(frame)
    for compared in lab.comparisons():
        for arm in (compared.baseline, compared.method):
            own = measured.get((compared.regime, compared.metric, arm), {})
            if not {*SEEDS, *REPLICATION} <= own.keys():
                what = f"{compared.metric} of {arm} in the regime {compared.regime}"
                return frame, [Fault(name, "", f"lacks {what} for some seeds. {again}")]
    return frame, []


def _read_record(
    path: Path,
    places: Mapping[str, tuple[int, daily_papers.Entry]],
    themes: Mapping[str, Theme],
    joined: dict[str, _Joined],
    owners: dict[str, str],
) -> list[Fault]:
    """Read one record into `joined`, note whose title it has in `owners`, and return its faults."""
    name = f"papers/{path.name}"
    content, faults = read_yaml(path, name)
    if faults:
        return faults
    paper, faults = validate(Paper, content, name)
    title = str(content.get("title", "")).casefold() if isinstance(content, dict) else ""
    place = places.get(title)
    if title in owners:
        return [
            *faults,
            Fault(name, "title", f"{owners[title]} has this title already. Remove one of the two."),
        ]
    if place:
        owners[title] = name
    if paper is None:
        return faults
    faults = _misfits(paper, path.stem, name, themes, joined)
    if place is None:
        message = f"{paper.title!r} is not in any dump. Copy the title exactly as the dump has it."
        return [*faults, Fault(name, "title", message)]
    checked = evidence.examine(paper, place[1].abstract, name)
    faults += checked.faults
    if paper.code and paper.code.source == "abstract" and paper.code.url not in place[1].abstract:
        message = f"{paper.code.url} is not in the abstract. Correct it, or set `from: elsewhere`."
        faults.append(Fault(name, "code.url", message))
    if not faults:
        joined[path.stem] = _Joined(*place, paper, checked)
    return faults


def _read_dumps(root: Path) -> tuple[list[daily_papers.Entry], list[Fault]]:
    entries: list[daily_papers.Entry] = []
    faults: list[Fault] = []
    paths = sorted((root / "daily-papers").glob("*.txt"))
    if not paths:
        faults.append(Fault("daily-papers", "", "holds no page dump. Put one there as a .txt file."))
    for path in paths:
        name = f"daily-papers/{path.name}"
        try:
            new = daily_papers.parse(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            faults.append(Fault(name, "", f"is not UTF-8 text ({error.reason}). Save it as UTF-8."))
            continue
        except daily_papers.DumpError as error:
            faults.append(Fault(name, "", str(error)))
            continue
        known = {entry.title.casefold(): entry for entry in entries}
        for entry in new:
            first = known.get(entry.title.casefold())
            if first is None:
                entries.append(entry)
            elif first.abstract != entry.abstract:
                faults.append(
                    Fault(
                        name,
                        f"line {entry.line}",
                        f"{entry.title!r} stands in an earlier dump with another abstract.",
                    )
                )
    return entries, faults


def _read_themes(root: Path) -> tuple[dict[str, Theme], list[Fault]]:
    content, faults = read_yaml(root / "themes.yaml", "themes.yaml")
    if faults:
        return {}, faults
    if not isinstance(content, list):
        return {}, [Fault("themes.yaml", "", "is not a list. Write one `- key: ...` item a theme.")]
    themes: dict[str, Theme] = {}
    for i, item in enumerate(content):
        theme, problems = validate(Theme, item, "themes.yaml")
        faults += (Fault(f.file, f"[{i}].{f.field}" if f.field else f"[{i}]", f.message) for f in problems)
        if theme and theme.key in themes:
            faults.append(Fault("themes.yaml", f"[{i}].key", f"{theme.key!r} is given twice. Keep one."))
        elif theme:
            themes[theme.key] = theme
    return themes, faults


def _misfits(
    paper: Paper, key: str, name: str, themes: Mapping[str, Theme], found: Mapping[str, _Joined]
) -> list[Fault]:
    """Collect what is at fault between a record and the rest of the review."""
    faults = []
    if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", key):
        faults.append(
            Fault(name, "", f"{key!r} is no key. Name the file in small letters, digits and hyphens.")
        )
    for field_name, theme in [("theme", paper.theme), *((f"also[{i}]", t) for i, t in enumerate(paper.also))]:
        if theme not in themes:
            faults.append(
                Fault(name, field_name, f"{theme!r} is not a theme. Choose one of {', '.join(themes)}.")
            )
    for other, joined in found.items():
        if paper.arxiv and joined.paper.arxiv == paper.arxiv:
            faults.append(
                Fault(
                    name, "arxiv", f"{paper.arxiv} is the id of papers/{other}.yaml too. Correct one of them."
                )
            )
    return [*faults, *_id_faults(paper, key, name, found)]


def _id_faults(paper: Paper, key: str, name: str, found: Mapping[str, _Joined]) -> Iterator[Fault]:
    """Yield what is wrong with the ids of a record's claims."""
    owners = {claim.id: other for other, joined in found.items() for claim in joined.paper.claims}
    for i, claim in enumerate(paper.claims):
        if not claim.id.startswith(f"{key}-"):
            message = f"{claim.id!r} is no id of a claim here. Write the paper's key, a hyphen and a slug."
            yield Fault(name, f"claims[{i}].id", message)
        elif claim.id in owners:
            message = f"{claim.id!r} is a claim of papers/{owners[claim.id]}.yaml too. Rename the newer one."
            yield Fault(name, f"claims[{i}].id", message)


def _assemble(
    themes: dict[str, Theme],
    found: dict[str, _Joined],
    declared: dict[str, Lab],
    measured: dict[str, pd.DataFrame],
) -> Review:
    papers: list[dict[str, Any]] = []
    claims: list[dict[str, Any]] = []
    numbers: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    verdicts: list[dict[str, Any]] = []
    quotes: dict[tuple[str, str], str] = {}
    for key, joined in found.items():
        papers.append(_paper_row(key, joined))
        spans = joined.checked.spans
        order = sorted(range(len(spans)), key=lambda i: spans[i].start)
        ids = {i: claim.id for i, claim in enumerate(joined.paper.claims)}
        claims += (_claim_row(key, joined.paper, i, spans[i]) for i in order)
        quoted = {joined.paper.claims[i].quote: ids[i] for i in order}
        quotes |= {(key, quote): claim for quote, claim in quoted.items()}
        results += (_result_row(key, joined.paper, result) for result in joined.paper.results)
        verdicts += (
            verdict.model_dump(exclude={"results"}) | {"paper": key, "claim": quoted[verdict.claim]}
            for verdict in joined.paper.verdicts
        )
        numbers += (
            {
                "paper": key,
                "text": line.token.text,
                "start": line.token.start,
                "end": line.token.end,
                "role": line.role,
                "claim": "" if line.claim is None else ids[line.claim],
            }
            for line in joined.checked.ledger
        )
    return Review(
        themes,
        {key: joined.paper for key, joined in found.items()},
        frame_of("papers", papers),
        frame_of("claims", claims),
        frame_of("numbers", numbers),
        frame_of("results", results),
        frame_of("verdicts", verdicts),
        declared,
        frame_of(
            "labs",
            [
                _lab_row(name, lab, found[lab.paper].paper.theme, quotes, measured[name])
                for name, lab in declared.items()
                if name in measured
            ],
        ),
        _lab_runs(declared, measured),
    )


def _paper_row(key: str, joined: _Joined) -> dict[str, Any]:
    paper = joined.paper
    return {
        "key": key,
        "n": joined.n,
        "title": joined.entry.title,
        "system": paper.system or "",
        "kind": paper.kind,
        "theme": paper.theme,
        "also": "; ".join(paper.also),
        "arxiv": paper.arxiv or "",
        "authors": "; ".join(paper.authors),
        "date": paper.date,
        "venue": paper.venue or "",
        "code": paper.code.url if paper.code else "",
        "abstract": joined.entry.abstract,
    }


def _claim_row(key: str, paper: Paper, index: int, span: evidence.Span) -> dict[str, Any]:
    claim = paper.claims[index]
    verdict = next((verdict for verdict in paper.verdicts if verdict.claim == claim.quote), None)
    row = claim.model_dump() | {
        "paper": key,
        "theme": paper.theme,
        "start": span.start,
        "end": span.end,
        "finding": verdict.finding if verdict else "",
        "strength": verdict.strength if verdict else "",
    }
    if isinstance(claim, QuantitativeClaim):
        row["resolved_basis"] = (verdict.basis if verdict else None) or claim.basis
    return row


def _result_row(key: str, paper: Paper, result: Result) -> dict[str, Any]:
    points, relative = gains(result)
    return result.model_dump(exclude={"id", "flag"}) | {
        "paper": key,
        "theme": paper.theme,
        "gain_points": points,
        "gain_relative": relative,
    }


def _lab_row(
    name: str, lab: Lab, theme: str, quotes: Mapping[tuple[str, str], str], runs: pd.DataFrame
) -> dict[str, Any]:
    _, first, second, outcome = contrast(by_arm(runs), lab.comparisons()[0])
    return asdict(first) | {
        "lab": name,
        "paper": lab.paper,
        "theme": theme,
        "question": lab.question,
        "claim": quotes[lab.paper, lab.claim] if lab.claim else "",
        "metric": lab.metric,
        "better": lab.better,
        "baseline": lab.baseline,
        "method": lab.method,
        "control": lab.control or "",
        "rep_effect": second.effect,
        "rep_low": second.low,
        "rep_high": second.high,
        "verdict": outcome,
        "seconds": float(runs.loc[runs["metric"] == "seconds", "value"].sum()),
    }


def _lab_runs(declared: Mapping[str, Lab], measured: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put the measurements of all labs below each other; times are no measurements of an arm."""
    frames = [
        measured[name][measured[name]["arm"] != ""].assign(lab=name, paper=lab.paper)
        for name, lab in declared.items()
        if name in measured
    ]
    empty = frame_of("lab_runs", [])
    return pd.concat(frames, ignore_index=True)[list(empty.columns)] if frames else empty
