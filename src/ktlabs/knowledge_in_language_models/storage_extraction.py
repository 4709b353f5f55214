"""Facts that are stored and can't be asked for: what varied texts change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ktlabs.bench.data import batches, pick
from ktlabs.bench.gpt import GPT
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, Population, fit
from ktlabs.bench.runner import Scores

#: People, attributes, values of an attribute, wordings of a sentence, texts of a person.
_PEOPLE, _ATTRIBUTES, _VALUES, _WORDINGS, _TEXTS = 40, 4, 12, 4, 5
#: People with questions in fine-tuning, and people to choose its rate on; the other 14 are tested.
_TRAIN, _VALIDATION = 20, 6
_MARKERS = _PEOPLE + _ATTRIBUTES * _VALUES
_QUESTIONS = _MARKERS + _ATTRIBUTES * _WORDINGS
#: Whether texts are reworded and shuffled, and whether questions are mixed into pretraining.
_ARMS = {
    "one text": (False, False, False),
    "reworded": (True, False, False),
    "shuffled": (False, True, False),
    "reworded and shuffled": (True, True, False),
    "one text and questions": (False, False, True),
}
_RATES = [{"lr": rate} for rate in (3e-3, 1e-2)]
Tokens = npt.NDArray[np.int64]


def biographies(values: Tokens, rng: np.random.Generator, *, reword: bool, shuffle: bool) -> Tokens:
    r"""Write five texts of each person: the name, then a word and a value for each attribute.

    .. math:: n,\; w_{\sigma(1)},\, v_{\sigma(1)},\; \dots,\; w_{\sigma(4)},\, v_{\sigma(4)}

    The word says which attribute follows, in one of four wordings drawn for every sentence. In one fixed
    text a value can be told from all that stands before it; where the order varies, only from the name.

    Parameters
    ----------
    values : array of int, shape (people, attributes)
    rng : numpy.random.Generator
        The draws are the same whatever is then reworded or shuffled.
    reword : bool
        Draw wordings for each text, rather than once for a person.
    shuffle : bool
        Draw an order for each text, rather than keep that of the attributes.

    Returns
    -------
    array of int, shape (people, texts, 1 + 2 * attributes)
        Tokens; without either, five times the same text.

    References
    ----------
    storage-extraction, section 2.1 (bioS) and section 4.2 (multi5 and permute).
    """
    people, attributes = values.shape
    places = np.broadcast_to(np.arange(attributes), (people, _TEXTS, attributes))
    wording = rng.integers(0, _WORDINGS, places.shape)
    order = rng.permuted(places, axis=-1) if shuffle else places
    if not reword:
        wording = np.broadcast_to(wording[:, :1], places.shape)
    sentences = np.stack([_word(places, wording), _value(places, values[:, None])], axis=-1)
    sentences = np.take_along_axis(sentences, order[..., None], axis=2).reshape(people, _TEXTS, -1)
    names = np.broadcast_to(np.arange(people)[:, None, None], (people, _TEXTS, 1))
    return np.concatenate([names, sentences], axis=-1)


def _word(attribute: Tokens, wording: Tokens) -> Tokens:
    return _MARKERS + attribute * _WORDINGS + wording


def _value(attribute: Tokens, value: Tokens) -> Tokens:
    return _PEOPLE + attribute * _VALUES + value


def questions(values: Tokens) -> Tokens:
    """Ask for every attribute of every person: name, question and value, shape (people, attributes, 3)."""
    people, attributes = values.shape
    name, attribute = np.meshgrid(np.arange(people), np.arange(attributes), indexing="ij")
    return np.stack([name, _QUESTIONS + attribute, _value(attribute, values)], axis=-1)


def run(seeds: Sequence[int]) -> Scores:
    """Pretrain on texts of all people, tune on questions about half of them, ask about others."""
    drawn = [np.random.default_rng((seed, 40)).integers(0, _VALUES, (_PEOPLE, _ATTRIBUTES)) for seed in seeds]
    texts = torch.cat(
        [
            torch.tensor(
                biographies(values, np.random.default_rng((seed, 41)), reword=reword, shuffle=shuffle)
            )[None]
            for reword, shuffle, _ in _ARMS.values()
            for seed, values in zip(seeds, drawn, strict=True)
        ]
    )
    asked = torch.tensor(np.stack([questions(values) for values in drawn]))
    net = Population(lambda: GPT(_QUESTIONS + _ATTRIBUTES, 2 * _ATTRIBUTES, width=24, depth=1), seeds)
    pretrained = _pretrain(seeds, net, texts, asked)
    scores = Scores()
    found = _right(net, pretrained, texts[:, :, 0], slice(1, None, 2)).mean(dim=(1, 2))
    scores.add("memorised", dict(zip(_ARMS, found.reshape(len(_ARMS), -1), strict=True)))
    named = torch.stack([texts[: len(seeds), :, 0, [0, 2 * a + 1, 2 * a + 2]] for a in range(_ATTRIBUTES)], 2)
    found = _right(net, pretrained, named.repeat(len(_ARMS), 1, 1, 1).flatten(1, 2), slice(1, None))
    by_attribute = found.reshape(len(found), _PEOPLE, _ATTRIBUTES)[..., 1:].mean(dim=(1, 2))
    scores.add("told by name", dict(zip(_ARMS, by_attribute.reshape(len(_ARMS), -1), strict=True)))
    right, chosen, grid = _tune(seeds, net, pretrained, asked)
    test = right[:, _TRAIN + _VALIDATION :]
    scores.add("accuracy", grid.of(test.mean(dim=(1, 2)), chosen))
    scores.add("accuracy, first attribute", grid.of(test[..., 0].mean(dim=1), chosen))
    scores.add("accuracy, later attributes", grid.of(test[..., 1:].mean(dim=(1, 2)), chosen))
    scores.add("accuracy in training", grid.of(right[:, :_TRAIN].mean(dim=(1, 2)), chosen))
    return scores


def _right(net: Population, params: Params, tokens: Tensor, which: slice) -> Tensor:
    """Return whether tokens are told from those before: 0 or 1, at some places of (P, n, t) tokens."""
    told = net(params, tokens[..., :-1]).argmax(dim=-1) == tokens[..., 1:]
    return told[..., which].to(torch.get_default_dtype())


def _pretrain(seeds: Sequence[int], net: Population, texts: Tensor, asked: Tensor) -> Params:
    """Learn the values in 8 texts a step; where questions are mixed in, also the answers to 16 of them."""
    steps, times = 180, len(_ARMS)
    people = batches(seeds, _PEOPLE, 8, steps)
    version = np.stack([np.random.default_rng((seed, 42)).integers(0, _TEXTS, (steps, 8)) for seed in seeds])
    versions = torch.tensor(version).transpose(0, 1)
    pool = asked[:, :_TRAIN].flatten(1, 2)
    order = batches([seed + 1000 for seed in seeds], pool.shape[1], 16, steps)
    mixed = torch.tensor([mixed for *_, mixed in _ARMS.values()]).repeat_interleave(len(seeds))

    def loss(params: Params, step: int) -> Tensor:
        own = texts.flatten(1, 2)
        told = pick(own, (people[step] * _TEXTS + versions[step]).repeat(times, 1))
        values = cross_entropy(
            net(params, told[..., :-1])[:, :, 1::2].flatten(1, 2), told[..., 2::2].flatten(1, 2)
        )
        some = {name: value[mixed] for name, value in params.items()}
        return values.index_add(0, mixed.nonzero()[:, 0], _answers(net, some, pick(pool, order[step])))

    return fit({name: value.repeat(times, *[1] * (value.dim() - 1)) for name, value in net.params.items()},
               loss, steps=steps, lr=1e-2)  # fmt: skip


def _answers(net: Population, params: Params, asked: Tensor) -> Tensor:
    return cross_entropy(net(params, asked[..., :2])[:, :, 1], asked[..., 2])


def _tune(
    seeds: Sequence[int], net: Population, pretrained: Params, asked: Tensor
) -> tuple[Tensor, dict[str, int], Grid]:
    """Tune on questions; return who is answered rightly (P, people, attributes), and each arm's rate."""
    grid = Grid(seeds, dict.fromkeys(_ARMS, _RATES))

    def spread(value: Tensor) -> Tensor:
        by_arm = value.reshape(len(_ARMS), 1, len(seeds), *value.shape[1:])
        return by_arm.expand(-1, len(_RATES), *by_arm.shape[2:]).flatten(0, 2)

    pool = asked[:, :_TRAIN].flatten(1, 2)
    order = batches([seed + 2000 for seed in seeds], pool.shape[1], 24, 60)
    tuned = fit(
        {name: spread(value) for name, value in pretrained.items()},
        lambda params, step: _answers(net, params, grid.spread(pick(pool, order[step]))),
        steps=60,
        lr=grid["lr"],
    )
    right = _right(net, tuned, grid.spread(asked.flatten(1, 2)), slice(1, None))
    right = right.reshape(len(grid), _PEOPLE, _ATTRIBUTES)
    held = right[:, _TRAIN : _TRAIN + _VALIDATION].mean(dim=(1, 2))
    return right, grid.choose(held), grid
