"""The commands ``ktreview lab ...``: list, show and run the labs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from tqdm import tqdm

from ktlabs.bench import runner
from ktreview.corpus import wording
from ktreview.corpus.load import load_review, read_review
from ktreview.corpus.outcomes import contrast
from ktreview.corpus.records import Lab
from ktreview.corpus.review import Review, ReviewError, rows


def add_commands(commands: Any, add: Callable[..., argparse.ArgumentParser]) -> None:
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
        "--part",
        type=_part,
        metavar="K/N",
        help="run the K-th of N parts of all labs, alike in CPU seconds; week/N is this week's",
    )
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


def _part(text: str) -> tuple[int | None, int]:
    """Read a part, as ``2/5`` or ``week/5``; the part of the week is None until it is asked for."""
    which, _, count = text.partition("/")
    if not count.isdecimal() or not (which == "week" or which.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no part: write 2/5 or week/5")
    if int(count) < 1 or (which != "week" and not 1 <= int(which) <= int(count)):
        raise argparse.ArgumentTypeError(f"there is no part {text}: parts of {count} are 1 to {count}")
    return None if which == "week" else int(which), int(count)


def _labs_of_part(review: Review, which: int | None, count: int) -> list[str]:
    """Return the labs of a part, and say which they are and why."""
    recorded = review.labs.set_index("lab")["seconds"]
    seconds = {name: float(recorded.get(name, 0.0)) for name in review.declared}
    today = datetime.now(UTC).date()
    part = runner.part_of_week(today, count) if which is None else which
    names = runner.part(seconds, part, count)
    week = f"the week of {today - timedelta(days=today.weekday())} takes " if which is None else ""
    print(
        f"{week}part {part} of {count}: {len(names)} of {len(seconds)} labs, about "
        f"{sum(seconds[name] for name in names):.0f} CPU seconds when they were recorded: {', '.join(names)}"
    )
    return names


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
        compared, first, second, outcome = contrast(runs, pair)
        print(f"{outcome}: {compared.question}")
        print(
            f"  {compared.metric}, {compared.regime}: {compared.baseline} {first.baseline_mean:.4g}, "
            f"{compared.method} {first.method_mean:.4g}, {wording.effect(first)}; "
            f"again {wording.effect(second)}"
        )


def _chosen(review: Review, options: argparse.Namespace) -> list[str]:
    if options.part:
        return _labs_of_part(review, *options.part)
    return list(review.declared) if options.all else _known(review, options.labs)


def _lab_run(options: argparse.Namespace) -> int:
    review, faults = read_review(options.data)
    # What is committed may be what the run is to mend.
    if review is None or [fault for fault in faults if not fault.file.endswith(".csv")]:
        raise ReviewError(faults)
    names = _chosen(review, options)
    if not names:
        print("ktreview: name a lab, or say --all or --part; `ktreview lab list` lists them", file=sys.stderr)
        return 1
    measured = runner.measure_all(
        review,
        names,
        jobs=options.jobs,
        engine=options.engine,
        seeds=options.seeds,
        cache=None if options.fresh else runner.cache_folder(),
    )
    differ = []
    for name, frame in measured:
        if isinstance(frame, runner.MissingError):
            if not (options.all or options.part):
                raise frame
            tqdm.write(f"{name}: skipped, as {frame}")
            continue
        path = options.data / "labs" / f"{name}.csv"
        told = runner.difference(path, frame) if options.seeds is None else ""
        if options.save and options.seeds is None:
            runner.save(path, frame)
        elif told:
            differ.append(f"{path.name}: {told}")
        seconds = frame.loc[frame["metric"] == "seconds", "value"].sum()
        slow = _over_budget(review.declared[name], frame)
        tqdm.write("; ".join(filter(None, [f"{name}: {seconds:.1f} CPU seconds", slow, told])))
        if len(names) == 1:
            _print_run(review.declared[name], frame, options.seeds)
    for line in sorted(differ):
        print(f"ktreview: {line}. Run it again with --save if the change is meant.", file=sys.stderr)
    return 1 if differ else 0


def _over_budget(declared: Lab, frame: pd.DataFrame) -> str:
    """Say that a seed set took more than twice its budget; empty if none did."""
    longest = frame.loc[frame["metric"] == "seconds", "value"].max()
    if longest <= 2 * declared.budget:
        return ""
    return f"a seed set took {longest:.0f}, its budget is {declared.budget:g}: make it quicker or raise it"


def _print_run(declared: Lab, frame: pd.DataFrame, seeds: tuple[int, ...] | None) -> None:
    measured = frame[frame["arm"] != ""]
    means = measured.groupby(["regime", "metric", "arm"], sort=False)["value"].agg(["mean", "std"])
    print(means.round(4).to_string(), "\n")
    if seeds is None:
        _print_comparisons(declared, measured)


def _known(review: Review, names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in review.declared:
            raise runner.LabError(f"there is no lab {name!r}; the labs are {', '.join(review.declared)}")
    return list(names)
