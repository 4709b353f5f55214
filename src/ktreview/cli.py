"""The command ``ktreview``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from ktreview import chapters, export, wording
from ktreview.labs import lab as labs
from ktreview.records import Fault, Lab
from ktreview.review import DATA, Review, ReviewError, compare, load_review, read_review, rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except (ReviewError, labs.LabError) as error:
        print(f"ktreview: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read has seen enough, as `| head` has
        sys.stderr.close()
        return 1
    except OSError as error:
        print(f"ktreview: {error}. Check the path and its permissions.", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ktreview", description="An executable literature review: its records, chapters and data."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, summary: str, example: str, where: Any = commands) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = where.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument(
            "--data",
            type=Path,
            default=DATA,
            metavar="DIR",
            help="folder of dumps, records and themes (default: the review's own)",
        )
        return command

    check = add(
        "check",
        "Show every fault and every gap in the records; exit 1 if there is a fault.",
        "ktreview check --data my-review",
    )
    check.set_defaults(run=_check)

    data = add("export", "Write the records as CSV, JSON and BibTeX.", "ktreview export build/data")
    data.add_argument("folder", type=Path, help="where to write; made if it does not exist")
    data.set_defaults(run=_export)

    execute = add(
        "execute",
        "Re-execute the chapters, or tell which no longer fit the records.",
        "ktreview execute book/themes/continual-learning.ipynb",
    )
    execute.add_argument("chapters", nargs="*", type=Path, help="notebooks (default: all under book/)")
    execute.add_argument("--jobs", type=int, default=2, help="how many run at once (default: 2)")
    execute.add_argument(
        "--check",
        action="store_true",
        help="execute nothing; name the stale chapters and exit 1 if there are any",
    )
    execute.set_defaults(run=_execute)
    pages = add(
        "pages",
        "Check that a built site has every page of the table of contents.",
        "ktreview pages _build/html",
    )
    pages.add_argument("site", type=Path, help="the folder of the built site")
    pages.add_argument("--contents", type=Path, default=Path("_toc.yml"), help="default: _toc.yml")
    pages.set_defaults(run=_pages)

    summary = "List, show or run the labs."
    lab = commands.add_parser("lab", help=summary, description=summary)
    _add_labs(lab.add_subparsers(required=True, metavar="COMMAND"), add)
    return parser


def _add_labs(commands: Any, add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands on labs."""
    names = add("list", "List the labs with their verdicts.", "ktreview lab list", commands)
    names.set_defaults(run=_lab_list)
    show = add("show", "Show what a lab declares and what it found.", "ktreview lab show cuber", commands)
    show.add_argument("lab", help="its name, from `ktreview lab list`")
    show.set_defaults(run=_lab_show)
    run = add(
        "run",
        "Run labs and hold what they measure against what is committed; exit 1 if it differs.",
        "ktreview lab run cuber exssnet --jobs 2",
        commands,
    )
    run.add_argument("labs", nargs="*", metavar="LAB", help="names from `ktreview lab list`")
    run.add_argument("--all", action="store_true", help="run all labs")
    run.add_argument(
        "--seeds",
        type=_seeds,
        help="other seeds, as 100-107 or 1,5,9; nothing is compared (default: 0-7 and 200-207)",
    )
    run.add_argument("--jobs", type=int, default=2, help="processes side by side (default: 2)")
    run.add_argument(
        "--engine",
        choices=["joblib", "dask"],
        default="joblib",
        help="who hands out the work; dask uses the cluster at DASK_SCHEDULER_ADDRESS, or starts one here",
    )
    run.add_argument("--fresh", action="store_true", help="neither read nor write the cache")
    run.add_argument("--save", action="store_true", help="write what was measured where it is committed")
    run.set_defaults(run=_lab_run)


def _seeds(text: str) -> tuple[int, ...]:
    """Read seeds, as ``0-7`` or ``1,5,9``."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            found += range(int(first), int(last or first) + 1)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no list of seeds: write 0-7 or 1,5,9") from None
    if len(found) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is fewer than two seeds: a comparison needs pairs")
    return tuple(found)


def _check(options: argparse.Namespace) -> int:
    review, faults = read_review(options.data)
    if faults:
        _print_faults(faults)
    if review is not None:
        _print_gaps(review)
        _print_unresolved(review)
        unaccounted = sum("is unaccounted for" in fault.message for fault in faults)
        print(
            f"{len(review.papers)} papers, {len(review.claims)} claims, {len(review.results)} results, "
            f"{len(review.verdicts)} verdicts, {len(review.labs)} labs, {len(review.numbers)} numbers, "
            f"{unaccounted} unaccounted, {wording.counted(len(faults), 'fault')}"
        )
    return 1 if faults else 0


def _print_faults(faults: Sequence[Fault]) -> None:
    print(f"{'file':<36}{'field':<24}fault and remedy")
    for fault in faults:
        print(f"{fault.file:<36}{fault.field:<24}{fault.message}")
    print()


def _print_gaps(review: Review) -> None:
    """Print what is not wrong but missing."""
    papers = review.papers
    gaps = {
        "no arXiv id": papers.loc[papers["arxiv"] == "", "key"],
        "no venue known": papers.loc[papers["venue"] == "", "key"],
        "no code known": papers.loc[papers["code"] == "", "key"],
        "date without a day": papers.loc[papers["date"].str.len() < 10, "key"],
        "lab has not run": pd.Series([lab for lab in review.declared if lab not in set(review.labs["lab"])]),
    }
    print(f"{'gap':<20}{'papers':<8}which")
    for gap, keys in gaps.items():
        if len(keys):
            print(f"{gap:<20}{len(keys):<8}{', '.join(keys)}")
    print()


def _print_unresolved(review: Review) -> None:
    """Print the claims whose verdict is still open."""
    still = review.verdicts[
        (review.verdicts["finding"] == "unresolved") | (review.verdicts["basis"] == "unresolved")
    ]
    if len(still):
        print(f"{'unresolved':<26}why, and what would resolve it")
        for row in rows(still):
            print(f"{row.claim:<26}{row.why}")
        print()


def _export(options: argparse.Namespace) -> int:
    for path in export.export(load_review(options.data), options.folder):
        print(path)
    return 0


def _execute(options: argparse.Namespace) -> int:
    review = load_review(options.data)
    paths = options.chapters or chapters.find(Path("book"))
    if not paths:
        print(
            "ktreview: there are no chapters under book/. Run this in the repository's root.", file=sys.stderr
        )
        return 1
    if options.check:
        stale = chapters.stale(review, paths)
        for path in stale:
            print(f"{path}: its outputs were made from other records. Run `make execute`.", file=sys.stderr)
        return 1 if stale else 0
    try:
        chapters.execute(review, paths, options.jobs)
    except chapters.ChapterError as error:
        print(f"ktreview: {error}", file=sys.stderr)
        return 1
    return 0


def _lab_list(options: argparse.Namespace) -> int:
    review = load_review(options.data)
    found = {row.lab: row for row in rows(review.labs)}
    print(f"{'lab':<24}{'theme':<30}{'effect':>10}  verdict")
    for name, declared in review.declared.items():
        row = found.get(name)
        told = f"{row.effect:+10.3f}  {row.verdict}" if row else f"{'':10}  has not run"
        print(f"{name:<24}{review.records[declared.paper].theme:<30}{told}")
    return 0


def _lab_show(options: argparse.Namespace) -> int:
    review = load_review(options.data)
    declared = review.declared[_known(review, [options.lab])[0]]
    print(f"{options.lab}: {declared.question}\n")
    for label, text in {
        "paper": review.records[declared.paper].title,
        "claim": declared.claim or "none in the abstract",
        "data": declared.data,
        "source": declared.source,
        "not shown": declared.shows_not,
    }.items():
        print(f"{label + ':':<11}{text}")
    print("arms:")
    for arm, text in declared.arms.items():
        role = {declared.baseline: "baseline", declared.method: "method", declared.control: "control"}.get(
            arm
        )
        print(f"  {arm}{f' ({role})' if role else ''}: {text}")
    runs = review.lab_runs[review.lab_runs["lab"] == options.lab]
    if len(runs):
        print()
        _print_comparisons(declared, runs)
    return 0


def _print_comparisons(declared: Lab, runs: pd.DataFrame) -> None:
    for pair in declared.comparisons():
        compared, first, second, outcome = compare(runs, pair)
        print(f"{outcome}: {compared.question}")
        print(
            f"  {compared.metric}, {compared.regime}: {compared.baseline} {first.baseline_mean:.4g}, "
            f"{compared.method} {first.method_mean:.4g}, {wording.effect(first)}; "
            f"again {wording.effect(second)}"
        )


def _lab_run(options: argparse.Namespace) -> int:
    review, faults = read_review(options.data)
    # What is committed may be what the run is to mend.
    if review is None or [fault for fault in faults if not fault.file.endswith(".csv")]:
        raise ReviewError(faults)
    names = list(review.declared) if options.all else _known(review, options.labs)
    if not names:
        print("ktreview: name a lab, or say --all; `ktreview lab list` lists them", file=sys.stderr)
        return 1
    measured = labs.measure_all(
        review,
        names,
        jobs=options.jobs,
        engine=options.engine,
        seeds=options.seeds,
        cache=None if options.fresh else labs.cache_folder(),
    )
    differ = []
    for name, frame in measured:
        if isinstance(frame, labs.MissingError):
            if not options.all:
                raise frame
            tqdm.write(f"{name}: skipped, as {frame}")
            continue
        path = options.data / "labs" / f"{name}.csv"
        told = labs.difference(path, frame) if options.seeds is None else ""
        if options.save and options.seeds is None:
            labs.save(path, frame)
        elif told:
            differ.append(f"{path.name}: {told}")
        seconds = frame.loc[frame["metric"] == "seconds", "value"].sum()
        tqdm.write(f"{name}: {seconds:.1f} CPU seconds" + (f"; {told}" if told else ""))
        if len(names) == 1:
            _print_run(review.declared[name], frame, options.seeds)
    for line in sorted(differ):
        print(f"ktreview: {line}. Run it again with --save if the change is meant.", file=sys.stderr)
    return 1 if differ else 0


def _print_run(declared: Lab, frame: pd.DataFrame, seeds: tuple[int, ...] | None) -> None:
    measured = frame[frame["arm"] != ""]
    means = measured.groupby(["regime", "metric", "arm"], sort=False)["value"].agg(["mean", "std"])
    print(means.round(4).to_string(), "\n")
    if seeds is None:
        _print_comparisons(declared, measured)


def _known(review: Review, names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in review.declared:
            raise labs.LabError(f"there is no lab {name!r}; the labs are {', '.join(review.declared)}")
    return list(names)


def _pages(options: argparse.Namespace) -> int:
    missing = chapters.missing_pages(options.site, options.contents)
    for page in missing:
        print(f"{options.site}: the page {page}.html is missing. Build the site afresh.", file=sys.stderr)
    return 1 if missing else 0
