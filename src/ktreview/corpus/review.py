"""The `Review`: all that it holds, as tidy frames of one row a thing."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from ktreview.corpus import outcomes
from ktreview.corpus.records import Compared, Fault, Lab, Paper, Theme, UserError

#: The review's own records, as installed with the package.
DATA = Path(__file__).parents[1] / "data"


#: The columns of every frame; a contract with all who read the data.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "papers": tuple("key n title system kind theme also arxiv authors date venue code abstract".split()),
    "claims": tuple(
        "id paper theme type kind quote start end value value_high unit basis resolved_basis bound "
        "metric benchmark baseline better claim_type hedged".split()
    ),
    "numbers": tuple("paper text start end role claim".split()),
    "results": tuple(
        "paper theme benchmark setting metric better baseline baseline_value method method_value "
        "unit gain_points gain_relative locator source confidence".split()
    ),
    "verdicts": tuple("paper claim finding basis strength why".split()),
    "labs": tuple(
        "lab paper theme question claim metric better baseline method control n baseline_mean "
        "method_mean effect low high p dz wins rep_effect rep_low rep_high verdict seconds".split()
    ),
    "lab_runs": tuple("lab paper regime arm seed metric value".split()),
}

T = TypeVar("T")
#: A comparison with what both seed sets say of it and what they mean for the claim.
Contrast = tuple[Compared, outcomes.Comparison, outcomes.Comparison, outcomes.Outcome]


class ReviewError(UserError, ValueError):
    """The records have faults; the message lists each with file, field and remedy."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''} in the records"
        super().__init__("\n".join([count, *map(str, faults)]))


@dataclass(frozen=True)
class Review:
    """All that the review holds, as tidy frames of one row a thing.

    Text that is not stated is the empty string, a number that is not stated is NaN.

    Attributes
    ----------
    themes : dict of str to Theme
        In the order of the book.
    records : dict of str to Paper
        By key, in the order of the dumps.
    baseline_named : dict of str to bool
        By claim id: whether the claim's baseline has a proper name or is a fully described system.
    declared : dict of str to Lab
        What each lab declares, by its name, in the order of the papers. Labs that have not run yet are
        here and not in the frames.
    papers, claims, numbers, results, verdicts, labs, lab_runs : pandas.DataFrame
        With the columns of `COLUMNS`. Offsets (`start`, `end`) count characters of the abstract;
        `also` and `authors` are joined by ``"; "``; `date` is ``YYYY-MM`` or ``YYYY-MM-DD``.
    """

    themes: dict[str, Theme]
    records: dict[str, Paper]
    baseline_named: dict[str, bool]
    papers: pd.DataFrame
    claims: pd.DataFrame
    numbers: pd.DataFrame
    results: pd.DataFrame = field(default_factory=lambda: frame_of("results", []))
    verdicts: pd.DataFrame = field(default_factory=lambda: frame_of("verdicts", []))
    declared: dict[str, Lab] = field(default_factory=dict)
    labs: pd.DataFrame = field(default_factory=lambda: frame_of("labs", []))
    lab_runs: pd.DataFrame = field(default_factory=lambda: frame_of("lab_runs", []))

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

    @cached_property
    def _paper_digests(self) -> dict[str, str]:
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
            runs = self.lab_runs[self.lab_runs["lab"] == lab]
            self._compared[lab] = [
                outcomes.contrast(runs, compared) for compared in self.declared[lab].comparisons()
            ]
        return self._compared[lab]

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
            for key, own in self._paper_digests.items()
            if theme is None or theme in (self.records[key].theme, *self.records[key].also)
        }
        return digest([list(chosen.items()), [t.model_dump() for t in self.themes.values()]])


def digest(content: Any) -> str:
    """Return sixteen hexadecimal digits that stand for content that JSON can hold."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Iterate over a frame's rows as named tuples, whose fields are the columns."""
    return iter(frame.itertuples(index=False))


def frame_of(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as the frame of that name, with all its columns."""
    return pd.DataFrame(rows, columns=list(COLUMNS[name]))


def per_review(make: Callable[[Review], T]) -> Callable[[Review], T]:
    """Make a function keep its value for the review that it was last called with."""
    held: list[tuple[Review, T]] = []

    @functools.wraps(make)
    def call(review: Review) -> T:
        if not held or held[0][0] is not review:
            held[:] = [(review, make(review))]
        return held[0][1]

    return call
