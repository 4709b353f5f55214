"""The `Review`: all that it holds, as tidy frames of one row a thing."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from ktreview.corpus import outcomes
from ktreview.corpus.frames import COLUMNS, frame_of, rows
from ktreview.corpus.records import Compared, Fault, Lab, Paper, Result, Theme, UserError, Verdict
from ktreview.corpus.settings import Settings

__all__ = ["COLUMNS", "DATA", "Contrast", "Review", "ReviewError", "digest", "frame_of", "per_review", "rows"]

#: The review's own records, as installed with the package.
DATA = Path(__file__).parents[1] / "data"

T = TypeVar("T")
#: A comparison with what both seed sets say of it and what they mean for the claim.
Contrast = tuple[Compared, outcomes.Comparison, outcomes.Comparison, outcomes.Outcome]


class ReviewError(UserError, ValueError):
    """The records have faults; the message lists each with file, field and remedy."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''} in the records"
        super().__init__("\n".join([count, *map(str, faults)]))


@dataclass(frozen=True, repr=False)
class Review:
    """All that the review holds, as tidy frames of one row a thing.

    Text that is not stated is the empty string, a number that is not stated is NaN.

    Attributes
    ----------
    themes : dict of str to Theme
        In the order of the book.
    records : dict of str to Paper
        By key, in the order of the dumps.
    declared : dict of str to Lab
        What each lab declares, by its name, in the order of the papers. Labs that have not run yet are
        here and not in the frames.
    papers, claims, numbers, results, verdicts, labs, lab_runs : pandas.DataFrame
        With the columns of `ktreview.corpus.frames`. Offsets (`start`, `end`) count characters of the
        abstract; `also` and `authors` are joined by ``"; "``; `date` is ``YYYY-MM`` or ``YYYY-MM-DD``.
    settings : Settings
        Where the review lives.
    """

    themes: dict[str, Theme]
    records: dict[str, Paper]
    papers: pd.DataFrame
    claims: pd.DataFrame
    numbers: pd.DataFrame
    results: pd.DataFrame = field(default_factory=lambda: frame_of("results", []))
    verdicts: pd.DataFrame = field(default_factory=lambda: frame_of("verdicts", []))
    declared: dict[str, Lab] = field(default_factory=dict)
    labs: pd.DataFrame = field(default_factory=lambda: frame_of("labs", []))
    lab_runs: pd.DataFrame = field(default_factory=lambda: frame_of("lab_runs", []))
    settings: Settings = field(default_factory=Settings)

    def _counts(self) -> dict[str, int]:
        return {"themes": len(self.themes), **{name: len(self.frame(name)) for name in COLUMNS}}

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self._counts().items())
        return f"<Review: {counts}>"

    def _repr_html_(self) -> str:
        # Names of frames and numbers only: nothing here needs escaping.
        cells = "".join(
            f"<tr><th>{name}</th><td>{count:,}</td></tr>" for name, count in self._counts().items()
        )
        return f"<table><caption>Review</caption>{cells}</table>"

    def frame(self, name: str) -> pd.DataFrame:
        """Return a frame by name.

        Raises
        ------
        KeyError
            If there is no such frame.
        """
        if name not in COLUMNS:
            raise KeyError(f"there is no frame {name!r}; the frames are {', '.join(COLUMNS)}")
        frame: pd.DataFrame = getattr(self, name)
        return frame

    @property
    def baseline_named(self) -> dict[str, bool]:
        """The column of `claims` by claim id; kept for one release."""
        return dict(zip(self.claims["id"], self.claims["baseline_named"], strict=True))

    @cached_property
    def _judged(self) -> dict[str, tuple[Paper, Verdict]]:
        """Every verdict with its paper, by the id of its claim."""
        judged: dict[str, tuple[Paper, Verdict]] = {}
        for paper in self.records.values():
            ids = {claim.quote: claim.id for claim in paper.claims}
            judged |= {ids[verdict.claim]: (paper, verdict) for verdict in paper.verdicts}
        return judged

    def verdict_of(self, claim: str) -> Verdict | None:
        """Return the verdict on the claim of this id, or None where there is none."""
        return self._judged[claim][1] if claim in self._judged else None

    def results_of(self, claim: str) -> list[Result]:
        """Return the results that the verdict on the claim of this id rests on, in its order."""
        if claim not in self._judged:
            return []
        paper, verdict = self._judged[claim]
        by_id = {result.id: result for result in paper.results}
        return [by_id[name] for name in verdict.results]

    @cached_property
    def paper_digests(self) -> dict[str, str]:
        """Digests of a paper's record, abstract and labs with what they measured, by the paper's key."""
        abstracts = dict(zip(self.papers["key"], self.papers["abstract"], strict=True))
        runs = {lab: own.to_csv(index=False) for lab, own in self.lab_runs.groupby("lab")}
        return {
            key: digest(
                [
                    record.model_dump(by_alias=True),
                    abstracts[key],
                    *(
                        [lab.model_dump(), runs.get(name, "")]
                        for name, lab in self.declared.items()
                        if lab.paper == key
                    ),
                ]
            )
            for key, record in self.records.items()
        }

    @cached_property
    def _compared(self) -> dict[str, list[Contrast]]:
        return {}

    def compared(self, lab: str) -> list[Contrast]:
        """Return a lab's comparisons, the headline first, each with both seed sets and what they mean.

        Parameters
        ----------
        lab : str
            The name of a lab that has run.
        """
        if lab not in self._compared:
            measured = self.measured[lab]
            self._compared[lab] = [
                outcomes.contrast(measured, compared) for compared in self.declared[lab].comparisons()
            ]
        return self._compared[lab]

    @cached_property
    def measured(self) -> dict[str, outcomes.Measured]:
        """What each lab that has run measured, by regime, metric and arm, and then by seed."""
        return {str(lab): outcomes.by_arm(runs) for lab, runs in self.lab_runs.groupby("lab")}

    def digest(self, theme: str | None = None) -> str:
        """Return a digest of the records and abstracts that a chapter rests on.

        Parameters
        ----------
        theme : str, optional
            Only the papers of this theme, primary or secondary; all papers if left out.

        Returns
        -------
        str
            Sixteen hexadecimal digits, equal if and only if the content is.
        """
        chosen = {
            key: own
            for key, own in self.paper_digests.items()
            if theme is None or theme in (self.records[key].theme, *self.records[key].also)
        }
        return digest([list(chosen.items()), [t.model_dump() for t in self.themes.values()]])


def digest(content: Any) -> str:
    """Return sixteen hexadecimal digits that stand for content that JSON can hold."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def per_review(make: Callable[[Review], T]) -> Callable[[Review], T]:
    """Make a function keep its value for the review that it was last called with."""
    held: list[tuple[Review, T]] = []

    @functools.wraps(make)
    def call(review: Review) -> T:
        if not held or held[0][0] is not review:
            held[:] = [(review, make(review))]
        return held[0][1]

    return call
