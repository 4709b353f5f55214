"""Break the code on purpose, one recorded change at a time, and see whether its tests turn red.

`tests/mutants.yaml` holds the changes: a file, a text that stands in it once, what is written in its place,
the tests that must notice, and why it matters. Each change is made in a copy of the checkout, never in the
checkout itself. Words on the command line choose the mutants whose file or reason holds one of them.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import multiprocessing
import os
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.util import cache_from_source
from pathlib import Path

import pytest
import yaml
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
#: What every test imports and no mutant changes: loaded once, and shared by the processes forked from here.
SHARED = "pandas numpy pydantic hypothesis.strategies sklearn.feature_extraction.text scipy.stats matplotlib.figure"
SHARED += " seaborn jinja2 pygments.lexers nbformat bs4 torch"
#: A mutant that runs longer than this many seconds is caught: it does not end.
LIMIT = 600
#: What a run ends with where all tests are green; one more where one is red. Python's own failures end with 1.
GREEN = 100
Mutant = dict[str, str]


def pytest_alone(folder: Path, tests: list[str]) -> int | None:
    """Run tests of a copy in a process of their own; return how it ended, None if it did not."""

    def run() -> None:
        os.chdir(folder)
        sys.path.insert(0, str(folder / "src"))
        sys.dont_write_bytecode = False  # what is not mutated is compiled once a copy
        os.environ |= {
            "PYTHONPATH": str(folder / "src"),
            "KTREVIEW_CACHE": str(folder / "cache"),
            "CI": "yes",
        }
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            quiet = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
            code = pytest.main([*quiet, *tests])
        os._exit(GREEN + int(code))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(LIMIT)
    if process.exitcode is None:
        process.kill()
    return process.exitcode


def try_file(task: tuple[str, list[Mutant]]) -> list[tuple[Mutant, str]]:
    """Return the mutants of one file with what became of each; empty where a test turned red."""
    name, mutants = task
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary)
        for part in ("src", "tests", "book", "pyproject.toml", "_config.yml", "_toc.yml", "README.md"):
            source = ROOT / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / part)
        path, tests = copy / name, sorted({test for mutant in mutants for test in mutant["tests"].split()})
        if pytest_alone(copy, tests) != GREEN:
            return [(mutant, f"its tests are red without it: {' '.join(tests)}") for mutant in mutants]
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for mutant in mutants:
            if (times := text.count(mutant["old"])) != 1:
                why = f"no longer applies: its text stands {times} times there. Give a text that stands there once"
                found.append((mutant, why))
                continue
            compiled = Path(cache_from_source(str(path)))
            compiled.unlink(missing_ok=True)  # it would be taken for the mutant's, written in the same second
            path.write_text(text.replace(mutant["old"], mutant["new"]), encoding="utf-8")
            code = pytest_alone(copy, mutant["tests"].split())
            ends = {GREEN: "survives", GREEN + 1: "", None: ""}
            found.append((mutant, ends.get(code, f"ran no test (exit code {code})")))
            compiled.unlink(missing_ok=True)
            path.write_text(text, encoding="utf-8")
    return found


def main(words: list[str]) -> int:
    """Try the recorded mutants and print those that no test noticed."""
    recorded = yaml.safe_load((ROOT / "tests" / "mutants.yaml").read_text(encoding="utf-8"))
    by_file: dict[str, list[Mutant]] = {}
    for mutant in recorded:
        if not words or any(word in f"{mutant['file']} {mutant['why']}" for word in words):
            by_file.setdefault(mutant["file"], []).append(mutant)
    for module in SHARED.split():
        importlib.import_module(module)
    tried = left = 0
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        files = [pool.submit(try_file, item) for item in by_file.items()]
        for file in tqdm(as_completed(files), total=len(files), desc="mutants", unit="file"):
            for mutant, what in file.result():
                tried += 1
                if what:
                    left += 1
                    change = f"{mutant['file']}: {mutant['old']!r} -> {mutant['new']!r}"
                    tqdm.write(f"{change} {what}. ({mutant['why']})")
    tqdm.write(f"{tried} mutants, {tried - left} killed, {left} left")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
