"""What runs and results come to: arms compared over paired seeds, verdicts of labs, gains of results.

Everything here is a pure function of the values; nothing needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ktreview.corpus.records import Compared, Result

Values = npt.NDArray[np.floating[Any]]


Outcome = Literal["supports", "contradicts", "undecided"]


#: Draws of the bootstrap, and of the sign-flip test where there are too many flips to try all.
DRAWS = 10_000

#: The columns of a file of what a lab measured: one row a regime, arm, seed and metric.
MEASURED = ("regime", "arm", "seed", "metric", "value")


#: The seeds that decide about a lab's claim, and the ones that must agree.
SEEDS, REPLICATION = tuple(range(8)), tuple(range(200, 208))


#: Units of scales that have no zero, so that no value is a share of another.
WITHOUT_ZERO = ("rating", "rank")


@dataclass(frozen=True)
class Comparison:
    """A method beside its baseline over paired seeds.

    Attributes
    ----------
    n : int
        Pairs.
    baseline_mean, method_mean : float
        Unit of the metric.
    effect, low, high : float
        Mean of method minus baseline, and its 95 % bootstrap interval.
    p : float
        Two-sided p of the sign-flip test; at eight pairs it can't be below 2/256.
    dz : float
        Mean over standard deviation of the differences; NaN where they don't vary.
    wins : int
        Pairs in which the method lies on the side that the claim says.
    scatter : float
        Standard deviation of the differences.
    """

    n: int
    baseline_mean: float
    method_mean: float
    effect: float
    low: float
    high: float
    p: float
    dz: float
    wins: int
    scatter: float

    @property
    def smallest(self) -> float:
        """The effect that a two-sided t test at 5 % would show four times in five, given the scatter."""
        return float(_reach(self.n) * self.scatter / np.sqrt(self.n))


def compare(baseline: Values, method: Values, better: str) -> Comparison:
    """Compare two arms.

    Parameters
    ----------
    baseline, method : array of float, shape (n,)
        One value a seed, in the same order.
    better : {'higher', 'lower'}
        The side on which the claim expects the method.

    Raises
    ------
    ValueError
        If the arms have no pairs in common or `better` is neither side.
    """
    if baseline.shape != method.shape or baseline.ndim != 1 or len(baseline) < 2:
        raise ValueError(f"arms of shapes {baseline.shape} and {method.shape} are no pairs of seeds")
    if better not in ("higher", "lower"):
        raise ValueError(f"better is 'higher' or 'lower', not {better!r}")
    differences = method - baseline
    low, high = bootstrap(differences)
    spread = float(differences.std(ddof=1))
    still = spread <= 1e-12 * max(1.0, float(np.abs(differences).max()))
    side = differences if better == "higher" else -differences
    return Comparison(
        n=len(differences),
        baseline_mean=float(baseline.mean()),
        method_mean=float(method.mean()),
        effect=float(differences.mean()),
        low=low,
        high=high,
        p=sign_flip(differences),
        dz=float("nan") if still else float(differences.mean()) / spread,
        wins=int((side > 0).sum()),
        scatter=spread,
    )


def bootstrap(differences: Values) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean, from `DRAWS` draws with a fixed seed.

    At eight pairs it covers the truth in 85 to 89 of 100 cases, hence `outcome` asks for more.
    """
    low, high = np.percentile(_draws(len(differences)) @ differences, [2.5, 97.5])
    return float(low), float(high)


@cache
def _draws(n: int) -> Values:
    """Return how often each of `n` pairs is drawn, as a share, shape (DRAWS, n)."""
    places = np.random.default_rng(0).integers(0, n, (DRAWS, n))
    return np.stack([np.bincount(drawn, minlength=n) for drawn in places]) / n


@cache
def _signs(n: int) -> Values:
    """Return the flips to try, shape (flips, n)."""
    if n <= 16:
        return np.array(list(product((1.0, -1.0), repeat=n)))
    signs = np.random.default_rng(0).choice((1.0, -1.0), (DRAWS, n))
    signs[0] = 1.0  # what was seen is one of the flips
    return signs


def sign_flip(differences: Values) -> float:
    """Return the two-sided p of the sign-flip test: exact up to 16 pairs, else from `DRAWS` flips.

    References
    ----------
    E. J. G. Pitman, Significance tests which may be applied to samples from any populations (1937).
    """
    means = np.abs(_signs(len(differences)) @ differences)
    return float((means >= abs(differences.sum()) - 1e-12 * np.abs(differences).sum()).mean())


@cache
def _reach(n: int) -> float:
    """Return the effect that `n` pairs show four times in five, in standard errors."""
    from scipy import stats  # noqa: PLC0415 - only pages that show it need scipy; the frames do without

    return float(stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1))


def outcome(decides: Comparison, replication: Comparison, better: str) -> Outcome:
    """Say what two seed sets mean for the claim.

    Parameters
    ----------
    decides : Comparison
        On the seeds that decide: its interval must exclude 0 and its p be at most 0.05.
    replication : Comparison
        On other seeds: its interval must exclude 0 on the same side.
    better : {'higher', 'lower'}
        The side that the claim says.

    Returns
    -------
    str
        ``supports``, ``contradicts`` or ``undecided``.
    """
    if decides.p > 0.05:
        return "undecided"
    for side in (1, -1):
        if all(min(side * found.low, side * found.high) > 0 for found in (decides, replication)):
            return "supports" if (side == 1) == (better == "higher") else "contradicts"
    return "undecided"


#: What a lab measured, by regime, metric and arm, and then by seed.
Measured = dict[tuple[str, str, str], dict[int, float]]


def by_arm(runs: pd.DataFrame) -> Measured:
    """Gather what a lab measured, a frame with the columns `MEASURED`, by arm."""
    measured: Measured = {}
    columns = (runs[name].tolist() for name in ("regime", "metric", "arm", "seed", "value"))
    for regime, metric, arm, seed, value in zip(*columns, strict=True):
        measured.setdefault((regime, metric, arm), {})[seed] = value
    return measured


def contrast(measured: Measured, compared: Compared) -> tuple[Compared, Comparison, Comparison, Outcome]:
    """Compare two arms of a lab on both seed sets, and say what that means for the claim.

    Parameters
    ----------
    measured : dict
        What the lab measured, as `by_arm` gathers it.
    compared : Compared
    """
    baseline, method = (
        measured[compared.regime, compared.metric, arm] for arm in (compared.baseline, compared.method)
    )
    first, second = (
        compare(
            np.array([baseline[seed] for seed in seeds]),
            np.array([method[seed] for seed in seeds]),
            compared.better,
        )
        for seeds in (SEEDS, REPLICATION)
    )
    return compared, first, second, outcome(first, second, compared.better)


def gains(result: Result) -> tuple[float | None, float | None]:
    """Compute what a result gains over its baseline, positive where it is better.

    Parameters
    ----------
    result : Result

    Returns
    -------
    tuple of float or None
        The difference in points, only where the unit is ``percent``, ``points`` or ``rating`` (a
        difference of ratios is no number of points); and the difference in percent of the baseline. None
        where a value is missing, the direction is neutral or the values are factors already; no
        percentage of a baseline that is zero or below, as a change may be, nor of a ``rating`` or a
        ``rank``, whose scale has no zero.
    """
    before, after = result.baseline_value, result.method_value
    if before is None or after is None or result.better == "neutral" or result.unit == "times":
        return None, None
    gain = after - before if result.better == "higher" else before - after
    points = round(gain, 6) if result.unit in ("percent", "points", "rating") else None
    percent = before > 0 and result.unit not in WITHOUT_ZERO
    return points, round(100 * gain / before, 6) if percent else None
