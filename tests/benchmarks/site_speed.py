"""How fast the site builds, as ratios of times taken side by side. Run it with `make benchmark`.

The measure is bare Jupyter Book on the same pages: the notebooks as stored, every other page's finished
article as one raw block, the default theme and no extension of the review's. Nothing else should run
meanwhile; times are CPU seconds of the building process and its children, so that a busy machine matters
less.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(Path(sys.executable).parent / "jupyter-book")
REPEATS = 3
#: What a build reads, of the repository.
SOURCES = ("book", "src", "_config.yml", "_toc.yml")


def build(folder: Path) -> float:
    """Build the book in a folder; return the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [PROGRAM, "build", ".", "--quiet", "--keep-going"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"the build in {folder} failed:\n{done.stdout}{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def copy(target: Path) -> None:
    """Copy what a build reads, without what builds have left."""
    for name in SOURCES:
        if (ROOT / name).is_dir():
            leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "references.bib")
            shutil.copytree(ROOT / name, target / name, ignore=leave_out)
        else:
            shutil.copy(ROOT / name, target / name)
    shutil.rmtree(target / "book" / "papers", ignore_errors=True)


def bare(ours: Path, target: Path) -> None:
    """Lay out the pages of a built book for Jupyter Book alone."""
    shutil.copy(ours / "_toc.yml", target / "_toc.yml")
    settings = {"title": "bare", "only_build_toc_files": True, "execute": {"execute_notebooks": "off"}}
    (target / "_config.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    for page in sorted((ours / "_build" / "html" / "book").rglob("*.html")):
        name = page.relative_to(ours / "_build" / "html").with_suffix("")
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        notebook = (ours / name).with_suffix(".ipynb")
        if notebook.is_file():
            shutil.copy(notebook, path.with_suffix(".ipynb"))
            continue
        article = BeautifulSoup(page.read_text("utf-8"), "html.parser").select_one("article.bd-article")
        if article is None:  # a redirect
            continue
        title = article.h1.get_text().rstrip("#").strip()
        article.h1.decompose()
        raw = str(article).replace("\n\n", "\n")
        path.with_suffix(".md").write_text(
            f"# {title}\n\n`````{{raw}} html\n{raw}\n`````\n", encoding="utf-8"
        )


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        ours, alone = Path(folder) / "ours", Path(folder) / "bare"
        ours.mkdir()
        alone.mkdir()
        copy(ours)
        build(ours)
        bare(ours, alone)
        clean, plain = [], []
        for _ in range(REPEATS):
            for place, times in ((ours, clean), (alone, plain)):
                shutil.rmtree(place / "_build", ignore_errors=True)
                times.append(build(place))
        again = statistics.median(build(ours) for _ in range(REPEATS))
        record = ours / "src" / "ktreview" / "data" / "papers" / "agentpoison.yaml"
        text, changed = record.read_text("utf-8"), []
        for n in range(REPEATS):
            record.write_text(text.replace("limits: ", f"limits: {'still ' * (n + 1)}", 1), encoding="utf-8")
            changed.append(build(ours))
    ours_takes, bare_takes = statistics.median(clean), statistics.median(plain)
    print(f"clean build: {ours_takes:.1f} CPU s, {ours_takes / bare_takes:.2f} times bare Jupyter Book's")
    print(f"nothing changed: {again / ours_takes:.2f} of a clean build")
    print(f"one record changed: {statistics.median(changed) / ours_takes:.2f} of a clean build")


if __name__ == "__main__":
    main()
