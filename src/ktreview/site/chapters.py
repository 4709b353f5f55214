"""Execute the chapters, and tell whether their outputs still fit the records.

A chapter is a notebook under ``book/`` that is committed with its outputs. Its metadata holds a
digest of the records that the outputs were made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import yaml
from joblib import Parallel, delayed
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from ktreview.corpus.records import UserError
from ktreview.corpus.review import Review

#: All that a chapter's metadata says of the machine that ran it: nothing.
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class ChapterError(UserError):
    """A chapter failed; the message names the chapter, the cell and the error."""


def find(folder: Path) -> list[Path]:
    """Return the chapters under a folder, in a stable order."""
    return sorted(path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def digest(review: Review, path: Path) -> str:
    """Return the digest of the records that a chapter rests on.

    A chapter named after a theme rests on the papers of that theme, any other on all.
    """
    return review.digest(path.stem if path.stem in review.themes else None)


def stale(review: Review, paths: Sequence[Path]) -> list[Path]:
    """Return the chapters whose outputs were made from other records."""
    return [path for path in paths if _noted(path) != digest(review, path)]


def _noted(path: Path) -> str:
    """Return the digest that a chapter notes, empty if it has none; its outputs are not looked at."""
    metadata = json.loads(path.read_text(encoding="utf-8")).get("metadata", {})
    return str(metadata.get("ktreview", {}).get("records", ""))


def missing_pages(site: Path, contents: Path) -> list[str]:
    """Return the pages that the table of contents names and a built site lacks.

    Parameters
    ----------
    site : Path
        The folder of the built site.
    contents : Path
        The file ``_toc.yml``.
    """

    def files(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (value for key, value in node.items() if key in ("root", "file"))
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from files(child)

    named = files(yaml.safe_load(contents.read_text(encoding="utf-8")))
    return [page for page in ("index", *named) if not (site / f"{page}.html").is_file()]


def execute(review: Review, paths: Sequence[Path], jobs: int = 2) -> None:
    """Execute chapters side by side and rewrite them with normalised metadata.

    Parameters
    ----------
    review : Review
    paths : sequence of Path
    jobs : int, optional
        How many run at once.

    Raises
    ------
    ChapterError
        If a cell fails; that chapter's file is left as it was.
    """
    work = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(_execute)(path, digest(review, path)) for path in paths
    )
    failures = [
        message for message in tqdm(work, total=len(paths), desc="chapters", unit="chapter") if message
    ]
    if failures:
        raise ChapterError("\n".join(sorted(failures)))


def _execute(path: Path, records: str) -> str:
    """Execute one chapter; return what went wrong, empty if nothing did."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=40"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        return f"{path}: a cell failed; the file is left as it was.\n{error.traceback.splitlines()[-1]}"
    normalise(notebook, records)
    partial = path.with_suffix(".partial")
    nbformat.write(notebook, partial)
    partial.replace(path)
    return ""


def normalise(notebook: Any, records: str) -> None:
    """Drop what differs from run to run and machine to machine.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Changed in place.
    records : str
        The digest to note in its metadata.
    """
    notebook.metadata = nbformat.from_dict({**_METADATA, "ktreview": {"records": records}})
    notebook.nbformat_minor = 5
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place:02d}"
        cell.metadata = nbformat.from_dict(
            {k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb")}
        )
