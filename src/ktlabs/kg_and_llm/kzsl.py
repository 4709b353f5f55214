"""Zero-shot by graph: tell two classes without any image of them, from what a graph or a text says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.data import digits, pick, split
from ktlabs.bench.nets import Grid
from ktlabs.bench.runner import Scores
from ktlabs.bench.sentences import embed
from ktlabs.kg_and_llm.links import square
from ktlabs.kg_and_llm.plm_kgc import virtual_world

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
#: Written by hand: the bars of a seven-segment display that each digit lights.
SEGMENTS = {
    "zero": ("top", "upper right", "lower right", "bottom", "lower left", "upper left"),
    "one": ("upper right", "lower right"),
    "two": ("top", "upper right", "middle", "lower left", "bottom"),
    "three": ("top", "upper right", "middle", "lower right", "bottom"),
    "four": ("upper left", "middle", "upper right", "lower right"),
    "five": ("top", "upper left", "middle", "lower right", "bottom"),
    "six": ("top", "upper left", "middle", "lower left", "lower right", "bottom"),
    "seven": ("top", "upper right", "lower right"),
    "eight": ("top", "upper right", "lower right", "bottom", "lower left", "upper left", "middle"),
    "nine": ("top", "upper right", "lower right", "bottom", "upper left", "middle"),
}
#: Written by hand: where the pen encloses a hole, and where its stroke ends; the four is an open one.
HOLES = {"zero": ("centre",), "six": ("lower half",), "eight": ("upper half", "lower half")}
HOLES |= {"nine": ("upper half",)}
ENDS = {
    "one": ("top", "bottom"),
    "two": ("upper left", "lower right"),
    "three": ("upper left", "lower left"),
    "four": ("upper left", "upper right", "bottom"),
    "five": ("upper right", "lower left"),
    "six": ("top",),
    "seven": ("upper left", "bottom"),
    "nine": ("bottom",),
}
#: Written by hand, before any run: what each digit looks like.
DESCRIPTIONS = (
    "a round ring with an empty middle",
    "a single upright straight line",
    "a curve open to the left on top, running down to a flat line at the bottom",
    "two half circles open to the left, one above the other",
    "an upright line on the right crossed by an angle from the left",
    "a flat line on top, a short line down on the left, and a bowl open to the left below",
    "a long curve from the top that closes into a ring at the bottom",
    "a flat line on top with a slanted line down from its right end",
    "two rings, one above the other",
    "a ring on top with a line down from its right side",
)
_PAIRS = list(itertools.combinations(range(10), 2))
_BASIC = ("name", "description", "segments", "topology", "graph", "graph in words")
_ARMS = (*_BASIC, "graph, permuted", "random vectors")
_GAMMAS, _LAMBDAS = (1.0, 10.0, 100.0), (0.01, 0.1, 1.0)
#: Images of a class that are scored.
_SCORED = {"validation": 30, "test": 80}


def triples() -> list[tuple[str, str, str]]:
    """Return the graph of the classes, made of the tables above: digit, relation, place."""
    tables = {"has bar": SEGMENTS, "has hole": HOLES, "has stroke end": ENDS}
    return [
        (name, relation, place)
        for relation, table in tables.items()
        for name in NAMES
        for place in table.get(name, ())
    ]


def incidence(graph: Sequence[tuple[str, str, str]], names: Sequence[str]) -> Tensor:
    """Return which relation and object each class has in a graph, as 0 or 1, shape (classes, pairs)."""
    pairs = sorted({(relation, place) for _, relation, place in graph})
    known = set(graph)
    return torch.tensor([[float((name, *pair) in known) for pair in pairs] for name in names])


def eszsl(images: Tensor, targets: Tensor, signatures: Tensor, gamma: Tensor, ridge: Tensor) -> Tensor:
    r"""Return the map from images to what is known of classes, fitted on seen classes in closed form.

    .. math:: V = (X^\top X + \gamma I)^{-1} X^\top Y S (S^\top S + \lambda I)^{-1}

    An image x is given to the class, seen or not, with the largest :math:`x V s_c`. Only inner products of
    signatures matter.

    Parameters
    ----------
    images : Tensor, shape (..., n, d)
    targets : Tensor, shape (..., n, C)
        1 for an image's own class, -1 for the other seen ones, 0 throughout for images left out.
    signatures : Tensor, shape (..., C, k)
        Of the seen classes.
    gamma, ridge : Tensor, shape (..., 1, 1)
        More than 0.

    Returns
    -------
    Tensor, shape (..., d, k)

    References
    ----------
    B. Romera-Paredes and P. Torr, An embarrassingly simple approach to zero-shot learning (2015),
    equation 9.
    """
    kept = images * targets.abs().amax(dim=-1, keepdim=True)
    turned = kept.transpose(-1, -2)
    first = torch.linalg.solve(turned @ kept + gamma * torch.eye(kept.shape[-1]), turned @ targets)
    across = signatures.transpose(-1, -2) @ signatures
    second = torch.linalg.solve(
        across + ridge * torch.eye(across.shape[-1]), signatures.transpose(-1, -2), left=True
    )
    found: Tensor = first @ second.transpose(-1, -2)
    return found


def run(seeds: Sequence[int]) -> Scores:
    """Leave each pair of digits out in turn; tell its images apart from each kind of side information."""
    images, labels = digits()
    parts = split(labels, seeds, train=600, validation=350, test=847)
    train, own = images[parts["train"]], labels[parts["train"]]
    known = [_signatures(seed) for seed in seeds]
    signatures = torch.stack([torch.stack([each[arm] for each in known]) for arm in _ARMS])  # (A, S, 10, 10)
    gamma = torch.tensor(_GAMMAS).reshape(-1, 1, 1, 1, 1, 1)
    ridge = torch.tensor(_LAMBDAS).reshape(-1, 1, 1, 1, 1)
    scored = {part: _of_classes(images[parts[part]], labels[parts[part]], n) for part, n in _SCORED.items()}
    right: dict[str, list[Tensor]] = {"validation": [], "test": []}
    for place, pair in enumerate(_PAIRS):
        part = "validation" if place % 4 == 0 else "test"
        seen = [c for c in range(10) if c not in pair]
        targets = torch.stack([(own == c).to(images.dtype) for c in seen], dim=-1)
        targets = (2 * targets - 1) * targets.amax(dim=-1, keepdim=True)
        found = eszsl(train, targets, signatures[:, :, seen], gamma, ridge)  # (G, L, A, S, 64, 10)
        weights = found @ signatures[:, :, list(pair)].transpose(-1, -2)  # (G, L, A, S, 64, 2)
        gap = [scored[part][:, c] @ (weights[..., 0] - weights[..., 1]).unsqueeze(-1) for c in pair]
        right[part].append(((gap[0] > 0).double() + (gap[1] < 0).double()).mean(dim=(-2, -1)) / 2)
    settings = [{"gamma": g, "ridge": r} for g in _GAMMAS for r in _LAMBDAS]
    grid = Grid(seeds, dict.fromkeys(_ARMS, settings))

    def rows(part: str) -> Tensor:
        """Return the mean over pairs of each arm, setting and seed."""
        return torch.stack(right[part]).mean(dim=0).permute(2, 0, 1, 3).flatten()

    scores = Scores()
    scores.add("accuracy", grid.of(rows("test"), grid.choose(rows("validation"))))
    return scores


def _signatures(seed: int) -> dict[str, Tensor]:
    """Return what each arm knows of the ten classes, as rows of length 1 with ten columns."""
    rng = np.random.default_rng((seed, 36))
    graph = triples()
    said = [
        ", ".join(f"{relation} {place}" for own, relation, place in graph if own == name) for name in NAMES
    ]
    whole = square(incidence(graph, NAMES))
    return {
        "name": square(embed([f"the digit {name}" for name in NAMES])),
        "description": square(embed(DESCRIPTIONS)),
        "segments": square(incidence([own for own in graph if own[1] == "has bar"], NAMES)),
        "topology": square(incidence([own for own in graph if own[1] != "has bar"], NAMES)),
        "graph": whole,
        "graph in words": square(embed(said)),
        "graph, permuted": virtual_world(whole, rng),
        "random vectors": square(torch.tensor(rng.standard_normal((10, 19)))),
    }


def _of_classes(images: Tensor, labels: Tensor, count: int) -> Tensor:
    """Return the first images of each class, shape (S, 10, count, 64)."""
    order = labels.argsort(dim=1, stable=True)
    starts = torch.stack([(labels < c).sum(dim=1) for c in range(10)], dim=1)
    places = (starts[..., None] + torch.arange(count)).flatten(1)
    found = pick(images, order.gather(1, places))
    return found.reshape(len(found), 10, count, -1)
