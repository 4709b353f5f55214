"""The reader: one question, slots that say something, and what the reader itself remembers.

A model of the smallest size in which three sources of knowledge can disagree: passages of context, user
instructions and the weights. Names and values are random vectors that stay as they were drawn, so that
what a reader has learnt of a fact sits in its memory block alone. Such a vector means nothing, hence the
facts are made up: to call them countries and capitals would change no number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp

#: What a slot holds.
CONTEXT, INSTRUCTION, EMPTY = 0, 1, 2
#: A kind of case: what the context says of the name asked about, and what the instruction says.
Case = tuple[str, str]
#: Shares of kinds of cases.
Mix = Mapping[Case, float]
#: How facts are met in pre-training: unaided, or amid contexts of which most are about something else.
REGIMES: dict[str, Mix] = {
    "closed-book": {("none", "none"): 1.0},
    "amid": {("other", "other"): 0.8, ("none", "none"): 0.1, ("true", "none"): 0.1},
}
#: Slots of a case: two of context, one of instruction.
_KINDS = (CONTEXT, CONTEXT, INSTRUCTION)

Numbers = npt.NDArray[np.int64]


class Cases(NamedTuple):
    """Questions with what stands beside them, and what should be answered.

    Attributes
    ----------
    asked : Tensor, shape (..., n)
        Name that is asked about.
    keys, values, kinds : Tensor, shape (..., n, s)
        Of each slot: the name it is about, the value it gives that name, and what it is.
    labels : Tensor, shape (..., n)
        Value to be answered.
    """

    asked: Tensor
    keys: Tensor
    values: Tensor
    kinds: Tensor
    labels: Tensor

    def steps(self, count: int) -> list[Cases]:
        """Cut shape (S, n, ...) into `count` batches of shape (S, n / count, ...)."""
        return [Cases(*own) for own in zip(*(part.chunk(count, dim=1) for part in self), strict=True)]

    def closed(self) -> Cases:
        """Return the same questions without any slot, so that only memory can answer."""
        return self._replace(keys=self.keys[..., :0], values=self.values[..., :0], kinds=self.kinds[..., :0])

    def spread(self, rows: int) -> Cases:
        """Repeat what each seed has, shape (S, ...), for all of `rows` rows of a population."""
        return Cases(*(own.repeat(rows // len(own), *[1] * (own.dim() - 1)) for own in self))


def join(parts: Sequence[Cases], dim: int = 0) -> Cases:
    """Put cases after one another: along the first dimension, as the rows of a population, or another."""
    return Cases(*(torch.cat(own, dim=dim) for own in zip(*parts, strict=True)))


def said(cases: Cases, kind: int, otherwise: Tensor) -> Tensor:
    """Return what the slots of a kind say of the name asked about, else the value given, shape (..., n).

    Parameters
    ----------
    cases : Cases
        With at most one slot of the kind about the name asked about.
    kind : {CONTEXT, INSTRUCTION}
    otherwise : Tensor, shape (..., n)
        Values where no such slot is.
    """
    relevant = (cases.kinds == kind) & (cases.keys == cases.asked.unsqueeze(-1))
    return torch.where(relevant.any(dim=-1), (cases.values * relevant).sum(dim=-1), otherwise)


class Reader(nn.Module):
    r"""One step of attention from a question over slots and the reader's own memory.

    .. math::
        p(v \mid x) = \mathrm{softmax}_v\, c_v \cdot \Bigl(\sum_i a_i\, c_{v_i} + a_m\, m(x)\Bigr), \qquad
        a = \mathrm{softmax}\bigl(q_x \cdot k_1, \dots, q_x \cdot k_s,\; q_x \cdot k_m\bigr)

    A slot's key is the projected code of the name it is about plus a vector for its kind, the memory's key
    the projected memory plus a vector of its own. One projection serves question and keys, so that like
    finds like from the start; which source wins is left to training.

    Parameters
    ----------
    names, values : int
        Different names and values there are.
    width, hidden : int, optional
        Of codes, and of the memory block :math:`m`.
    """

    def __init__(self, names: int, values: int, width: int = 32, hidden: int = 96) -> None:
        super().__init__()
        self.names = nn.Parameter(torch.randn(names, width))
        self.values = nn.Parameter(torch.randn(values, width))
        self.look = nn.Linear(width, width, bias=False)
        self.lean = nn.Parameter(torch.zeros(width))
        self.kinds = nn.Parameter(0.1 * torch.randn(3, width))
        self.memory = mlp(width, hidden, width)

    def forward(self, asked: Tensor, keys: Tensor, values: Tensor, kinds: Tensor) -> Tensor:
        """Return logits of every value, shape (n, values); of the slots, empty ones are not looked at."""
        named = self.names[asked]
        own = self.memory(named)
        question = (self.look(named) + self.lean).unsqueeze(-1)
        slots = (self.look(self.names[keys]) + self.kinds[kinds.clamp(max=INSTRUCTION)]) @ question
        slots = slots.squeeze(-1).masked_fill(kinds == EMPTY, -torch.inf)
        self_score = (self.look(own) + self.kinds[EMPTY]).unsqueeze(-2) @ question
        weights = torch.cat([slots, self_score.squeeze(-1)], dim=-1).softmax(dim=-1)
        said = torch.cat([self.values[values], own.unsqueeze(-2)], dim=-2)
        mixed = (weights.unsqueeze(-2) @ said).squeeze(-2)
        return mixed @ self.values.mT


class Readers:
    """A population of readers, one a seed, whose codes are drawn by the seed and never trained.

    Parameters
    ----------
    seeds : sequence of int
    names, values : int

    Attributes
    ----------
    params : dict of str to Tensor
        All that is trained, as of a `Population`.
    """

    def __init__(self, seeds: Sequence[int], names: int, values: int) -> None:
        self._net = Population(lambda: Reader(names, values), seeds)
        self.params: Params = dict(self._net.params)
        self._codes = {name: self.params.pop(name) for name in ("names", "values")}

    def __call__(self, params: Params, cases: Cases) -> Tensor:
        """Return logits of shape (P, n, values); rows are seeds, or settings by seeds."""
        repeats = len(cases.asked) // len(self._codes["names"])
        codes = {name: own.repeat(repeats, 1, 1) for name, own in self._codes.items()}
        return self._net(params | codes, cases.asked, cases.keys, cases.values, cases.kinds)


def compose(rng: np.random.Generator, subjects: Numbers, answers: Numbers, mix: Mix, size: int) -> Cases:
    """Draw cases of a mix of kinds; the labels prefer instruction to context and context to memory.

    Each is drawn on its own: its kind, the name asked about, the distractors and the false values.

    Parameters
    ----------
    rng : numpy.random.Generator
    subjects : array of int, shape (m,)
        Names to ask about, and to fill slots with that are about another name; m > 1.
    answers : array of int, shape (all names,)
        What memory says of each name, and what slots about another name say of it.
    mix : mapping of (str, str) to float
        Shares of kinds of cases. Context and instruction may each be ``none`` (empty), ``other`` (about
        another name), ``true`` (memory's answer) or ``false`` (another subject's answer); of the two slots
        of context, one is about another name in any case.
    size : int

    Returns
    -------
    Cases
        Of shapes (size,) and (size, 3).
    """
    shares = np.array([*mix.values()]) / sum(mix.values())
    drawn = rng.choice(len(mix), size, p=shares)
    context, instruction = np.array([*mix])[drawn].T
    places = rng.integers(len(subjects), size=size)
    asked = subjects[places]
    keys = subjects[(places[:, None] + rng.integers(1, len(subjects), (size, 3))) % len(subjects)]
    values, kinds = answers[keys], np.tile(_KINDS, (size, 1))
    pool = np.unique(answers[subjects])
    ranks = np.searchsorted(pool, answers[asked])[:, None]
    false = pool[(ranks + rng.integers(1, len(pool), (size, 3))) % len(pool)]
    for says, slot in ((context, rng.integers(2, size=size)), (instruction, np.full(size, 2))):
        about = np.nonzero((says == "true") | (says == "false"))[0]
        at = slot[about]
        keys[about, at] = asked[about]
        values[about, at] = np.where(says[about] == "true", answers[asked[about]], false[about, at])
    kinds[context == "none", :2] = EMPTY
    kinds[instruction == "none", 2] = EMPTY
    parts = [torch.tensor(own) for own in (asked, keys, values, kinds, answers[asked])]
    cases = Cases(*parts)
    return cases._replace(labels=said(cases, INSTRUCTION, said(cases, CONTEXT, cases.labels)))


class World:
    """Readers, the facts that they are given, and other names on which they practise copying.

    Parameters
    ----------
    seeds : sequence of int
    subjects : int
        Facts: the i-th name has the i-th value.
    copying : int, optional
        Further names, whose values never last.

    Attributes
    ----------
    readers : Readers
    memory : array of int, shape (S, names)
        What each reader answers of each subject when unaided: the facts, until `pretrain` asks it.
    """

    def __init__(self, seeds: Sequence[int], subjects: int, copying: int = 200) -> None:
        self.seeds, self.subjects = list(seeds), subjects
        self.readers = Readers(seeds, subjects + copying, subjects)
        random = [np.random.default_rng((seed, 30)).integers(subjects, size=copying) for seed in seeds]
        self.memory = np.stack([np.concatenate([np.arange(subjects), own]) for own in random])

    def parts(self, **sizes: int) -> dict[str, list[Numbers]]:
        """Share the subjects out to disjoint parts, afresh for each seed."""
        orders = [np.random.default_rng((seed, 31)).permutation(self.subjects) for seed in self.seeds]
        ends = np.cumsum([*sizes.values()])
        if ends[-1] > self.subjects:
            raise ValueError(f"parts of {sizes} need more than the {self.subjects} subjects there are")
        return {
            name: [order[end - size : end] for order in orders]
            for (name, size), end in zip(sizes.items(), ends, strict=True)
        }

    def draw(self, subjects: Sequence[Numbers], mix: Mix, size: int, purpose: int) -> Cases:
        """Compose cases about some subjects for each seed, shape (S, size)."""
        own = [
            compose(np.random.default_rng((seed, purpose)), names, memory, mix, size)
            for seed, names, memory in zip(self.seeds, subjects, self.memory, strict=True)
        ]
        return Cases(*(torch.stack(part) for part in zip(*own, strict=True)))

    def pretrain(
        self, facts: Mix | None, copying: Mix, steps: int, batch: int = 32, grain: float = 0.0
    ) -> Params:
        """Learn facts, met as a mix says, and to copy what slots say of names that are no subjects.

        Afterwards `memory` holds what the readers now answer unaided, right or wrong.

        Parameters
        ----------
        facts : mapping or None
            Kinds of cases; without, only copying is learnt.
        copying : mapping
            Kinds of cases.
        steps : int
        batch : int, optional
            Cases a step, of each of the two.
        grain : float, optional
            As `fit` takes it.
        """
        names = self.memory.shape[1]
        pools = [(np.arange(self.subjects, names), copying), (np.arange(self.subjects), facts)]
        drawn = [
            self.draw([pool] * len(self.seeds), mix, steps * batch, 32 + place).steps(steps)
            for place, (pool, mix) in enumerate(pools)
            if mix is not None
        ]
        order = [join(own, dim=1) for own in zip(*drawn, strict=True)]

        def loss(params: Params, step: int) -> Tensor:
            return cross_entropy(self.readers(params, order[step]), order[step].labels)

        params = fit(self.readers.params, loss, steps=steps, lr=1e-2, grain=grain)
        asked = torch.arange(self.subjects).expand(len(self.seeds), -1)
        blank = asked.unsqueeze(-1)
        known = self.readers(params, Cases(asked, blank, blank, blank, asked).closed())
        if facts is not None:
            self.memory[:, : self.subjects] = known.argmax(dim=-1).numpy()
        return params


def tune(
    world: World,
    start: Params,
    tuned: Mapping[str, Mix],
    label: Callable[[Cases, Tensor], Tensor],
    *,
    probes: Mapping[str, Mix],
    over: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, Tensor]]:
    """Tune every arm on half of 128 subjects, by one of three learning rates; test on the last third.

    Every arm sees 60 batches of 32 cases.

    Parameters
    ----------
    world : World
    start : dict of str to Tensor
        What pre-training gave.
    tuned : mapping of str to mapping
        Kinds of cases that each arm is tuned on.
    label : callable
        From cases and the readers' unaided answers from before tuning, shape (S, names), to labels.
    probes : mapping of str to mapping
        Kinds of cases to be tested on, 200 each.
    over : mapping of str to sequence of str
        Means over probes; by the first of them the learning rate is chosen.

    Returns
    -------
    dict of str to dict of str to Tensor
        Accuracy by probe or mean, and by arm or ``untuned``, shape (S,).
    """
    steps, rates = 60, [{"lr": rate} for rate in (1e-3, 3e-3, 1e-2)]
    grid = Grid(world.seeds, dict.fromkeys(tuned, rates))
    parts = world.parts(tune=64, validation=24, test=40)
    memory = torch.tensor(world.memory)
    drawn = [world.draw(parts["tune"], mix, steps * 32, 40) for mix in tuned.values()]
    order = [own._replace(labels=label(own, memory)).steps(steps) for own in drawn]

    def loss(params: Params, step: int) -> Tensor:
        cases = join([own[step] for own in order for _ in rates])
        return cross_entropy(world.readers(params, cases), cases.labels)

    def score(params: Params, part: str, purpose: int) -> dict[str, Tensor]:
        found = {}
        for probe, mix in probes.items():
            cases = world.draw(parts[part], mix, 200, purpose).spread(len(params["lean"]))
            found[probe] = accuracy(world.readers(params, cases), cases.labels)
        means = {name: torch.stack([found[probe] for probe in own]).mean(dim=0) for name, own in over.items()}
        return means | found

    after = fit(grid.population(start), loss, steps=steps, lr=grid["lr"])
    chosen = grid.choose(score(after, "validation", 41)[next(iter(over))])
    before = score(start, "test", 42)
    return {
        metric: grid.of(values, chosen) | {"untuned": before[metric]}
        for metric, values in score(after, "test", 42).items()
    }
