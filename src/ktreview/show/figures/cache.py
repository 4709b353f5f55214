"""Drawings of earlier calls, as plain files by what was drawn and what drew it.

The folder is `$KTREVIEW_CACHE`, else `ktreview` in `$XDG_CACHE_HOME` or `~/.cache`. It can be deleted at
any time; where it can't be written, every drawing is made anew.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ktreview.corpus import wording
from ktreview.show.figures.allowed import fault

#: The code whose change makes a drawing another.
SOURCES = (*sorted(Path(__file__).parent.glob("*.py")), Path(wording.__file__))


def folder() -> Path:
    """Return the folder that drawings are kept in, which need not exist."""
    named = os.environ.get("KTREVIEW_CACHE")
    if named:
        return Path(named) / "figures"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ktreview" / "figures"


def kept(name: str, drawn: Any, make: Callable[[], str]) -> str:
    """Return a drawing from the cache, or make and keep it.

    Parameters
    ----------
    name : str
        The figure's, a slug.
    drawn : object
        All that the drawing is made from: values, records, frames, and collections of these.
    make : callable
        Makes the drawing, as SVG.

    Returns
    -------
    str
    """
    path = folder() / f"{name}-{key(drawn)}.svg"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    # A file is there whole or not at all, but others may write here too.
    if text and fault(text) is None:
        return text
    text = make()
    _keep(path, text, name)
    return text


def key(drawn: Any) -> str:
    """Return what a drawing is known by: a digest of its content and of what draws."""
    content = json.dumps([_made_with(), drawn], default=_plain, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


@functools.cache
def _made_with() -> list[str]:
    """Return digests of the code and the versions of the packages that drawings are made with."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in SOURCES]
    return [*digests, *(f"{package} {version(package)}" for package in ("matplotlib", "seaborn", "numpy"))]


def _plain(value: Any) -> Any:
    """Return what JSON can't hold as what it can."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, pd.DataFrame):
        return value.to_dict("split")
    if isinstance(value, pd.Series):
        return [list(value.index), list(value)]
    if isinstance(value, np.generic):
        return value.item()
    if value is pd.NA:
        return None
    if hasattr(value, "model_dump"):
        return value.model_dump()
    raise TypeError(f"a drawing can't be known by a {type(value).__name__}")


def _keep(path: Path, text: str, name: str) -> None:
    """Write a drawing in place of the figure's last one; whole, or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
        Path(file.name).replace(path)
        for other in path.parent.glob(f"{name}-{'[0-9a-f]' * 32}.svg"):
            if other != path:
                other.unlink(missing_ok=True)
    except OSError:
        return
