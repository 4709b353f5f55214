"""Write the review as data: CSV, JSON and BibTeX files."""

from __future__ import annotations

import json
from pathlib import Path

from pybtex.database import BibliographyData, Entry, Person

from ktreview.records import Paper
from ktreview.review import COLUMNS, Review

_EXPORTED = tuple(name for name in COLUMNS if name != "lab_runs")


def export(review: Review, folder: Path) -> list[Path]:
    """Write the frames as CSV, all of them as one JSON file, and the bibliography.

    Parameters
    ----------
    review : Review
    folder : Path
        Made if it does not exist; files of these names are replaced.

    Returns
    -------
    list of Path
        What was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.csv": review.frame(name).to_csv(index=False, lineterminator="\n") for name in _EXPORTED}
    frames = {name: json.loads(review.frame(name).to_json(orient="records")) for name in _EXPORTED}
    files["review.json"] = json.dumps(frames, indent=1, ensure_ascii=False) + "\n"
    files["references.bib"] = bibliography(review)
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


def bibliography(review: Review) -> str:
    """Return the papers as BibTeX, keyed as the records are."""
    entries = {key: _entry(paper) for key, paper in review.records.items()}
    return str(BibliographyData(entries).to_string("bibtex"))


def _entry(paper: Paper) -> Entry:
    fields = {"title": f"{{{paper.title}}}", "year": paper.date[:4]}
    if paper.arxiv:
        fields |= {
            "eprint": paper.arxiv,
            "archivePrefix": "arXiv",
            "url": f"https://arxiv.org/abs/{paper.arxiv}",
        }
    if paper.venue:
        fields["howpublished"] = paper.venue
    return Entry("misc", fields=fields, persons={"author": [Person(author) for author in paper.authors]})
