"""Real data that arrive inside pinned packages; nothing is downloaded.

===========  ==============================================  ==============================  =============
set          shape and unit                                  source                          licence
===========  ==============================================  ==============================  =============
digits       1,797 images of 8 x 8 pixels, ink from 0 to 1;  UCI optical recognition of      CC BY 4.0
             labels 0 to 9                                   handwritten digits (test part),
                                                             in scikit-learn
text         characters of technical prose and code, as      descriptions of data sets in    BSD-3-Clause
             numbers from 0 to 95; 40,000 and more a domain  scikit-learn; docstrings and
                                                             code of NumPy, SciPy, PyTorch
                                                             and NetworkX
miserables   77 persons, 254 pairs that share a chapter      Knuth's Stanford GraphBase,     public data
                                                             in networkx
===========  ==============================================  ==============================  =============

The packages are pinned, so the sets are the same everywhere.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

#: Files that each domain of text is read from: a package and a pattern inside it.
_TEXTS = {
    "scikit-learn": ("sklearn", "datasets/descr/*.rst"),
    "numpy": ("numpy", "_core/_add_newdocs.py"),
    "scipy": ("scipy", "stats/_continuous_distns.py"),
    "torch": ("torch", "_tensor_docs.py"),
    "special": ("scipy", "special/_add_newdocs.py"),
    "networkx": ("networkx", "algorithms/*.py"),
}
#: Characters a text is made of: printable ASCII and, for all else, one more.
CHARACTERS = 96


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return all images, shape (1797, 64), ink from 0 to 1, and their labels, shape (1797,)."""
    bunch = load_digits()
    return torch.tensor(bunch.data / 16, dtype=torch.float64), torch.tensor(bunch.target)


def split(labels: Tensor, seeds: Sequence[int], **sizes: int) -> dict[str, Tensor]:
    """Draw disjoint parts with equal shares of every class, afresh for each seed.

    Parameters
    ----------
    labels : Tensor, shape (n,)
    seeds : sequence of int
    **sizes : int
        How many examples each part has; they may leave some over.

    Returns
    -------
    dict of str to Tensor
        Places in `labels`, shape (S, size), shuffled.

    Raises
    ------
    ValueError
        If the parts need more examples than there are.
    """
    if sum(sizes.values()) > len(labels):
        raise ValueError(f"parts of {sizes} need more than the {len(labels)} examples there are")
    parts: dict[str, list[Tensor]] = {name: [] for name in sizes}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(labels))
        # Deal the classes out evenly along the order: any stretch of it is nearly stratified.
        ranks = np.empty(len(labels))
        for label in np.unique(labels.numpy()):
            own = order[labels.numpy()[order] == label]
            ranks[own] = (np.arange(len(own)) + rng.random()) / len(own)
        order = np.argsort(ranks, kind="stable")
        begin = 0
        for name, size in sizes.items():
            parts[name].append(torch.tensor(rng.permutation(order[begin : begin + size])))
            begin += size
    return {name: torch.stack(places) for name, places in parts.items()}


def batches(seeds: Sequence[int], count: int, size: int, steps: int) -> Tensor:
    """Return the places of each step's batch, shape (steps, S, size), each seed in an order of its own.

    Every example comes once before any comes again; all arms share the order.
    """
    orders = []
    for seed in seeds:
        rng = np.random.default_rng((seed, 1))
        passes = [rng.permutation(count) for _ in range(-(-steps * size // count))]
        orders.append(np.concatenate(passes)[: steps * size].reshape(steps, size))
    return torch.tensor(np.stack(orders, axis=1))


def pick(own: Tensor, places: Tensor) -> Tensor:
    """Pick from each row its own places: from (R, n, ...) at places (R, b) to (R, b, ...)."""
    return own[torch.arange(len(own)).unsqueeze(1), places]


def noise(seeds: Sequence[int], *shape: int, purpose: int = 2) -> Tensor:
    """Return standard normal noise of shape (S, *shape), the same for a seed whatever the others are."""
    drawn = [np.random.default_rng((seed, purpose)).standard_normal(shape) for seed in seeds]
    return torch.tensor(np.stack(drawn))


@cache
def text(domain: str) -> Tensor:
    """Return a domain's text as a row of character numbers, shape (length,).

    Parameters
    ----------
    domain : {'scikit-learn', 'numpy', 'scipy', 'torch', 'special', 'networkx'}
    """
    package, pattern = _TEXTS[domain]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed: install requirements-labs.txt")
    files = sorted(Path(found.origin).parent.glob(pattern))
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    codes = np.frombuffer(source.encode("ascii", "replace"), dtype=np.uint8).astype(np.int64) - 32
    return torch.tensor(np.where((codes >= 0) & (codes < CHARACTERS - 1), codes, CHARACTERS - 1))


def turned(images: Tensor, quarters: int) -> Tensor:
    """Turn square images, given as rows of pixels (..., side * side), by quarter turns anticlockwise."""
    side = int(images.shape[-1] ** 0.5)
    return images.reshape(*images.shape[:-1], side, side).rot90(quarters, (-2, -1)).flatten(-2)


def passages(domain: str, seeds: Sequence[int], length: int = 500, **sizes: int) -> dict[str, Tensor]:
    """Draw parts of a text that share no character, afresh for each seed.

    Parameters
    ----------
    domain : str
        As `text` takes it.
    seeds : sequence of int
    length : int, optional
        Characters of a passage.
    **sizes : int
        How many passages each part has; they may leave some over.

    Returns
    -------
    dict of str to Tensor
        Character numbers, shape (S, size, length).

    Raises
    ------
    ValueError
        If the parts need more passages than the text has.
    """
    source = text(domain)
    count = len(source) // length
    if sum(sizes.values()) > count:
        raise ValueError(f"parts of {sizes} need more than the {count} passages that {domain} has")
    cut = source[: count * length].reshape(count, length)
    orders = torch.tensor(np.stack([np.random.default_rng((seed, 3)).permutation(count) for seed in seeds]))
    ends = np.cumsum(list(sizes.values()))
    return {
        name: cut[orders[:, end - size : end]] for (name, size), end in zip(sizes.items(), ends, strict=True)
    }


def windows(parts: Tensor, context: int, every: int = 1) -> tuple[Tensor, Tensor]:
    """Return what comes before each character of passages, and the characters.

    Windows never reach across the ends of a passage.

    Parameters
    ----------
    parts : Tensor, shape (S, size, length)
    context : int
        Characters to look back at.
    every : int, optional
        Only every so many-th character is asked for, which is enough to score a model.

    Returns
    -------
    tuple of Tensor
        Shapes (S, n, context) and (S, n), of n = size (length - context) if every character is.
    """
    found = parts.unfold(-1, context + 1, every).flatten(1, 2)
    return found[..., :-1].contiguous(), found[..., -1].contiguous()


def share(seed: int, count: int) -> list[int]:
    """Return the places, of a list of facts, that belong to a seed alone.

    A deterministic model has no seeds but the facts it is asked for. Of each 24 neighbours in the list,
    which is best sorted by what makes facts hard, one goes to each of the seeds 0 to 7, 100 to 107 and
    200 to 207, so that no two seeds of these share a fact and all have equally hard ones.

    Parameters
    ----------
    seed : int
        Others than those above share the facts of one of them.
    count : int
        Length of the list; what is left over after a multiple of 24 goes to no seed.

    Returns
    -------
    list of int, of length count // 24
    """
    part = seed // 100 % 3 * 8 + seed % 8
    strata = range(count // 24)
    return [24 * own + int(np.random.default_rng((own, 4)).permutation(24)[part]) for own in strata]
