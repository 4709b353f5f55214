"""Objects of a science graph's statements: out of the box, by examples in the prompt, and after training."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench import facts, models
from ktlabs.bench.data import share
from ktlabs.bench.nets import Grid
from ktlabs.bench.runner import Scores
from ktlabs.kg_and_llm.bertnet import capitals

_SHOTS, _VALIDATION, _EVERYDAY = 4, 20, 4
#: Tokens of an answer, and the block whose output heads are trained on.
_LONG, _LAYER = 5, 19
_PENALTIES = [{"penalty": penalty} for penalty in (0.1, 1.0, 10.0)]


def question(subject: str, predicate: str, shots: Sequence[tuple[str, str]] = ()) -> str:
    """Return a statement up to its object, after some complete ones of the same predicate."""
    told = [f"{name} | {predicate}: {value}\n" for name, value in shots]
    return "".join([*told, f"{subject} | {predicate}:"])


def strict(answer: str, wanted: str) -> bool:
    """Say whether an answer is the object, but for case, marks and what follows its first line."""
    return _plain(answer) == _plain(wanted)


def relaxed(answer: str, wanted: str) -> bool:
    """Say whether the answer holds the object or the object the answer, word by word.

    References
    ----------
    orkg-qa, its relaxed setting, as far as it could be told: containment.
    """
    own, other = (f" {_plain(text)} " for text in (answer, wanted))
    return bool(own.strip()) and (own in other or other in own)


def _plain(text: str) -> str:
    """Return the words of a text's first line in small letters, without the plural's s."""
    first = re.split(r"[\n|]", text.strip(), maxsplit=1)[0].lower()
    return " ".join(re.sub(r"(?<=\w\w\w)s\b", "", word) for word in re.findall(r"\w+", first))


def ridge(states: Tensor, objects: Tensor, penalty: float) -> Tensor:
    r"""Return the linear head that least squares with a penalty gives.

    .. math:: W = H^\top (H H^\top + \lambda d I)^{-1} Y, \quad \hat o = \arg\max_o h^\top w_o

    Parameters
    ----------
    states : Tensor, shape (n, d)
        Hidden states H at the end of the questions, centred and of unit variance.
    objects : Tensor, shape (n, C)
        One-hot Y, centred.
    penalty : float
        :math:`\lambda`.

    Returns
    -------
    Tensor, shape (d, C)
    """
    n, d = states.shape
    dual: Tensor = torch.linalg.solve(states @ states.T + penalty * d * torch.eye(n), objects)
    return states.T @ dual


def run(seeds: Sequence[int]) -> Scores:
    """Predict objects of elements out of the box, by four examples and by heads trained on hidden states."""
    parts = [_parts(seed) for seed in seeds]
    answers = _prompted(parts) | _trained(seeds, parts)
    wanted = [[_object(*item) for item in part["test"]] for part in parts]
    everyday = [capitals()[place] for seed in seeds for place in share(seed, len(capitals()))[:_EVERYDAY]]
    said = models.complete([question(own.name, "capital") for own in everyday], _LONG)
    scores = Scores()
    for metric, match in (("strict", strict), ("relaxed", relaxed)):
        arms = {arm: _share_right(match, own, wanted) for arm, own in answers.items()}
        shape = (len(seeds), _EVERYDAY)
        rows = np.array(said).reshape(shape), np.array([own.capital for own in everyday]).reshape(shape)
        arms["zero-shot, everyday"] = _share_right(match, *rows)
        scores.add(metric, arms)
    return scores


def _share_right(
    match: Callable[[str, str], bool],
    answers: Iterable[Iterable[str]],
    wanted: Iterable[Iterable[str]],
) -> Tensor:
    pairs = zip(answers, wanted, strict=True)
    return torch.tensor([np.mean([match(*both) for both in zip(*row, strict=True)]) for row in pairs])


#: An element's place in the list and a predicate: the subject and the question of a statement.
_Item = tuple[int, str]


@cache
def _table() -> tuple[list[str], dict[str, list[str]]]:
    """Return the elements' names and, for each predicate, their objects; one spelling is put right."""
    elements = facts.elements()
    classes = elements.goldschmidt_class.astype(str).str.replace("litophile", "lithophile")
    objects = {"series": elements.series.astype(str).tolist(), "Goldschmidt class": classes.tolist()}
    return elements.name.astype(str).tolist(), objects


def _object(place: int, predicate: str) -> str:
    return _table()[1][predicate][place]


def _parts(seed: int) -> dict[str, list[_Item]]:
    """Return the statements to train on, to choose by, to show in the prompt (of the first) and to test."""
    names, objects = _table()
    test = share(seed, len(names))
    rest = [n for n in np.random.default_rng((seed, 7)).permutation(len(names)).tolist() if n not in test]
    places = {"test": test, "validation": rest[:_VALIDATION], "train": rest[_VALIDATION:]}
    places["shots"] = places["train"][:_SHOTS]
    return {part: [(n, predicate) for predicate in objects for n in own] for part, own in places.items()}


def _prompted(parts: Sequence[dict[str, list[_Item]]]) -> dict[str, list[list[str]]]:
    """Return the answers of a draw's test items that need no training, by arm."""
    names, objects = _table()
    listed = {predicate: sorted(set(own)) for predicate, own in objects.items()}
    every = [value for own in listed.values() for value in own]
    items = [item for part in parts for item in part["test"]]
    answers: dict[str, list[str]] = {}
    for arm in ("zero-shot", "four-shot"):
        prompts = []
        for part in parts:
            for n, predicate in part["test"]:
                shots = [(names[m], _object(m, p)) for m, p in part["shots"] if p == predicate]
                prompts.append(question(names[n], predicate, shots if arm == "four-shot" else ()))
        answers[arm] = models.complete(prompts, _LONG)
        likely = models.log_probs(prompts, [f" {value}" for value in every])
        answers[f"{arm}, listed"] = [
            max(listed[predicate], key=lambda value: float(row[every.index(value)]))
            for row, (_, predicate) in zip(likely, items, strict=True)
        ]
    answers["most frequent"] = [
        Counter(_object(m, p) for m, p in part["train"] if p == predicate).most_common(1)[0][0]
        for part in parts
        for _, predicate in part["test"]
    ]
    each = len(parts[0]["test"])
    return {
        arm: [own[begin : begin + each] for begin in range(0, len(own), each)] for arm, own in answers.items()
    }


def _trained(seeds: Sequence[int], parts: Sequence[dict[str, list[_Item]]]) -> dict[str, list[list[str]]]:
    """Return the answers of heads trained on the model's hidden states, by arm."""
    names, objects = _table()
    every = [(n, predicate) for predicate in objects for n in range(len(names))]
    states = {
        True: models.activations([question(names[n], predicate) for n, predicate in every], _LAYER),
        False: models.activations([f"{names[n]}:" for n in range(len(names))], _LAYER).repeat(2, 1),
    }
    kinds = sorted({_object(*item) for item in every})
    labels = torch.tensor([kinds.index(_object(*item)) for item in every])
    arms = ("trained head", "head of four", "objects shuffled", "predicate left out")
    grid = Grid(seeds, dict.fromkeys(arms, _PENALTIES))
    right, said = [], []
    for arm, setting in grid.settings:
        for seed, part in zip(seeds, parts, strict=True):
            places = {name: torch.tensor([every.index(item) for item in own]) for name, own in part.items()}
            train = places["shots" if arm == "head of four" else "train"]
            known = labels[train]
            if arm == "objects shuffled":
                known = _shuffled(known, seed)
            own = states[arm != "predicate left out"]
            found = _predict(own, train, known, len(kinds), setting["penalty"])
            right.append((found == labels)[places["validation"]].double().mean())
            said.append(found[places["test"]])
    chosen = grid.choose(torch.stack(right))
    return {
        arm: [[kinds[n] for n in row] for row in own.tolist()]
        for arm, own in grid.of(torch.stack(said), chosen).items()
    }


def _shuffled(labels: Tensor, seed: int) -> Tensor:
    """Return the labels of each predicate, which are half of all, in another order."""
    rng = np.random.default_rng((seed, 8))
    return torch.cat([half[torch.tensor(rng.permutation(len(half)))] for half in labels.chunk(2)])


def _predict(states: Tensor, train: Tensor, labels: Tensor, kinds: int, penalty: float) -> Tensor:
    """Train a head on some states and return the label it gives to each of all."""
    mean, spread = states[train].mean(dim=0), states[train].std(dim=0) + 1e-6
    scaled, known = (states - mean) / spread, torch.eye(kinds)[labels]
    return (scaled @ ridge(scaled[train], known - known.mean(dim=0), penalty) + known.mean(dim=0)).argmax(-1)
