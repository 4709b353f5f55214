"""Write the review as data: CSV, JSON with its schema, JSON-LD and BibTeX files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ktreview
from ktreview.analysis import dictionary
from ktreview.corpus import wording
from ktreview.corpus.records import Paper
from ktreview.corpus.review import COLUMNS, Review
from ktreview.publish import linked_data

#: The frames that `review.json` holds. Single measurements of labs are many, and stand in their CSV file.
_IN_JSON = tuple(name for name in COLUMNS if name != "lab_runs")

_SCHEMA = "review.schema.json"
_DOWNLOADS = {
    **{f"{name}.csv": "text/csv" for name in (*COLUMNS, "dictionary")},
    "review.json": "application/json",
    _SCHEMA: "application/schema+json",
    "review.jsonld": "application/ld+json",
    "references.bib": "application/x-bibtex",
}


def export(review: Review, folder: Path | str) -> list[Path]:
    """Write the frames as CSV and JSON, what they mean, the same as linked data, and the bibliography.

    Parameters
    ----------
    review : Review
    folder : path
        Made if it does not exist; files of these names are replaced.

    Returns
    -------
    list of Path
        What was written.
    """
    frames = {name: _objects(review.frame(name)) for name in _IN_JSON}
    head = {"schema": _SCHEMA, "version": ktreview.__version__, "digest": review.digest()}
    files = {f"{name}.csv": _csv(review.frame(name)) for name in COLUMNS}
    files |= {
        "dictionary.csv": _csv(dictionary.as_frame()),
        "review.json": _json(head | frames),
        _SCHEMA: _json(dictionary.schema(_IN_JSON)),
        "review.jsonld": _json(linked_data.document(review, _DOWNLOADS)),
        "references.bib": bibliography(review),
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in files.items():
        path = folder / name
        write_if_changed(path, text)
        written.append(path)
    return written


def write_if_changed(path: Path, text: str) -> None:
    """Write a file whole, and leave it untouched (its time too) if it holds the text already."""
    if path.exists() and path.read_bytes() == text.encode():
        return
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_bytes(text.encode())
    partial.replace(path)


def _csv(frame: pd.DataFrame) -> str:
    """Write a frame as CSV; unlike pandas, with quotes around lone carriage returns on every Python."""
    lines: list[tuple[Any, ...]] = [tuple(frame.columns), *frame.itertuples(index=False, name=None)]
    return "".join(",".join(map(_cell, line)) + "\n" for line in lines)


def _cell(value: Any) -> str:
    text = "" if pd.isna(value) else str(value)
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\r\n]', text) else text


def _objects(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as JSON objects."""
    return [
        {column: _plain(value) for column, value in zip(frame.columns, row, strict=True)}
        for row in frame.itertuples(index=False, name=None)
    ]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; a number that is not stated is null."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def bibliography(review: Review) -> str:
    """Return the papers as BibTeX, keyed as the records are."""
    return "\n".join(_entry(key, paper) for key, paper in review.records.items())


def _entry(key: str, paper: Paper) -> str:
    fields = {
        "author": " and ".join(map(_name, paper.authors)),
        # In braces of its own, so that no style changes its capitals.
        "title": f"{{{_latex(wording.plain(paper.title))}}}",
        "year": paper.date[:4],
    }
    if paper.arxiv:
        fields |= {
            "eprint": paper.arxiv,
            "archivePrefix": "arXiv",
            "url": f"https://arxiv.org/abs/{paper.arxiv}",
        }
    if paper.venue:
        fields["howpublished"] = _latex(paper.venue)
    lines = ",\n".join(f"    {field} = {{{value}}}" for field, value in fields.items())
    return f"@misc{{{key},\n{lines}\n}}\n"


#: Characters that mean something to LaTeX. Braces are named, since BibTeX counts escaped ones too.
_ESCAPED = {
    **{char: f"\\{char}" for char in "&%$#_"},
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\^{}",
}


def _latex(text: str) -> str:
    """Write text so that LaTeX sets it as it stands, ligatures such as ``--`` for a dash not made."""
    escaped = "".join(_ESCAPED.get(char, char) for char in text)
    return re.sub(r"([-,<>'`?!])(?=[-,<>'`])", r"\1{}", escaped)


def _name(author: str) -> str:
    """Write a name as "von Last, First"; one that BibTeX would take for several is kept whole."""
    escaped = _latex(author)
    if re.search(r",|\b(?:and|others)\b", author, re.IGNORECASE):
        return f"{{{escaped}}}"
    words = escaped.split()
    begin = next((at for at, word in enumerate(words[:-1]) if word[0].islower()), len(words) - 1)
    return ", ".join(filter(None, (" ".join(words[begin:]), " ".join(words[:begin]))))
