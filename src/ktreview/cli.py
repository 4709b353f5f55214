"""The command ``ktreview``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from ktreview.corpus import wording
from ktreview.corpus.load import load_review, read_review
from ktreview.corpus.records import Fault, UserError
from ktreview.corpus.review import DATA, Review, rows
from ktreview.publish import export


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = _parser(given).parse_args(given)
        status: int = options.run(options)
    except UserError as error:
        print(f"ktreview: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read has seen enough, as `| head` has
        sys.stderr.close()
        return 1
    except OSError as error:
        print(f"ktreview: {error}. Check the path and its permissions.", file=sys.stderr)
        return 1
    return status


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
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
        "Show every fault and every gap in the records and in the book's prose; exit 1 if there is a fault.",
        "ktreview check --data my-review",
    )
    check.add_argument("--book", type=Path, metavar="DIR", help="the book's folder (default: book/, if any)")
    check.add_argument(
        "--sentences",
        action="store_true",
        help="list the sentences with words such as `every` that are neither bound nor allowed",
    )
    check.set_defaults(run=_check)

    sync = add(
        "sync",
        "Rewrite numbers and names in the prose's links that no longer fit, and the chapters' sources; where "
        "a sign, a direction or an outcome turned, name the sentence and write nothing.",
        "ktreview sync --book book",
    )
    sync.add_argument(
        "--book", type=Path, default=Path("book"), metavar="DIR", help="the book's folder (default: book/)"
    )
    sync.set_defaults(run=_sync)

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
    if "lab" in arguments:  # the experiments are a package of their own, loaded when asked for
        if find_spec("ktlabs") is None:
            raise UserError(
                "the experiments are not installed: run `make labs`, or pip install ktreview[labs]"
            )
        import_module("ktlabs.commands").add_commands(
            lab.add_subparsers(required=True, metavar="COMMAND"), add
        )
    return parser


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
    book = options.book or Path("book")
    if options.book and not book.is_dir():
        raise UserError(f"there is no folder {book}. Name the book's, or leave --book out.")
    if not book.is_dir():
        return 1 if faults else 0
    if review is None or faults:
        print("The prose was not checked: mend the records first.")
        return 1
    return _check_prose(review, book, options.sentences)


def _check_prose(review: Review, book: Path, in_full: bool) -> int:
    """Print what is at fault in the book's prose, and which sentences about whole sets are unbound."""
    checked = _book_module("prose").check(review, book)
    if checked.faults:
        print()
        _print_faults(checked.faults)
    unbound = {file: found for file, found in checked.unbound.items() if found}
    if unbound and in_full:
        for file, found in unbound.items():
            print(f"\n{file}")
            for sentence in found:
                print(f"  {', '.join(sentence.unbound)}: {sentence.text}")
    print(
        f"{wording.counted(checked.links, 'link')} in {wording.counted(checked.files, 'file')}, "
        f"{wording.counted(len(checked.faults), 'fault')}; "
        f"{wording.counted(sum(map(len, unbound.values())), 'sentence')} about a whole set neither bound nor "
        f"allowed" + ("" if in_full or not unbound else " (--sentences lists them)")
    )
    return 1 if checked.faults else 0


def _sync(options: argparse.Namespace) -> int:
    if not options.book.is_dir():
        raise UserError(f"there is no folder {options.book}. Name the book's with --book.")
    for path in _book_module("prose").sync(load_review(options.data), options.book):
        print(path)
    return 0


def _print_faults(faults: Sequence[Fault]) -> None:
    width = max(36, 2 + max(len(fault.file) for fault in faults))
    print(f"{'file':<{width}}{'field':<24}fault and remedy")
    for fault in faults:
        print(f"{fault.file:<{width}}{fault.field:<24}{fault.message}")
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


def _book_module(name: str) -> ModuleType:
    """Return a module of the book's machinery; commands on records do without its packages."""
    try:
        return import_module(f"ktreview.site.{name}")
    except ModuleNotFoundError as error:
        raise UserError(f"this needs {error.name}: run `make book`, or pip install ktreview[book]") from error


def _execute(options: argparse.Namespace) -> int:
    chapters = _book_module("chapters")
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


def _pages(options: argparse.Namespace) -> int:
    missing = _book_module("chapters").missing_pages(options.site, options.contents)
    for page in missing:
        print(f"{options.site}: the page {page}.html is missing. Build the site afresh.", file=sys.stderr)
    return 1 if missing else 0
