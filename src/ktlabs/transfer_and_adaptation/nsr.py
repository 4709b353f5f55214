"""Neural-Symbolic Recursive Machine: perception and programs, learnt together from results alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores

Numbers = npt.NDArray[np.int64]
Function = Callable[[Numbers, Numbers], Numbers]
#: What operators mean, which no arm but the one with programs given is told.
_MEANINGS: dict[str, Function] = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: np.maximum(a - b, 0),
    "product": lambda a, b: a * b,
}
_REGIMES = {"sums": ("sum",), "mixed": ("sum", "difference", "product")}
_TOP, _RESULTS, _BATCH, _WARM, _EVERY = 100, 82, 48, 40, 20
_RATES = [{"lr": rate} for rate in (3e-3, 1e-2)]
_FASTER = [{"lr": rate} for rate in (1e-2, 3e-2)]
_STEPS = {"symbols": 120, "nets": 160, "sum pooling": 480}


def repeat(step: Callable[[Numbers], Numbers], times: Numbers, start: Numbers) -> Numbers:
    r"""Apply a function of one number again and again: the recursion that programs are made of.

    .. math:: \mathrm{repeat}(f, 0, x) = x, \quad \mathrm{repeat}(f, n + 1, x) = f(\mathrm{repeat}(f, n, x))

    References
    ----------
    nsr, the domain language of its programs (0, inc, dec, tests and recursion), in semantics of its code.
    """
    found = start.copy()
    for done in range(int(times.max(initial=0))):
        after = np.where(done < times, step(found), found)
        if np.array_equal(after, found):  # nothing moves any more
            break
        found = after
    return found


@cache
def programs() -> dict[str, Numbers]:
    """Enumerate short programs of two numbers a and b, made of 0, inc, dec and `repeat`, the shortest first.

    No arithmetic is among the primitives: addition is ``repeat(inc, b, a)``, multiplication a repetition of
    that. Numbers stay between 0 and 99, and of programs that never differ only the first is kept.

    Returns
    -------
    dict of str to array of int, shape (100, 10)
        By its text, a program's value for a from 0 to 99 and b from 0 to 9.
    """
    a, b = np.meshgrid(np.arange(_TOP), np.arange(10), indexing="ij")
    atoms = {"a": a, "b": b, "0": np.zeros_like(a)}
    steps: dict[str, Callable[[Numbers], Numbers]] = {
        "inc": lambda x: np.minimum(x + 1, _TOP - 1),
        "dec": lambda x: np.maximum(x - 1, 0),
    }
    counts = {name: atoms[name] for name in ("a", "b")}
    found = dict(atoms)
    simple: dict[str, Numbers] = {}
    for s, step in steps.items():
        for n, times in counts.items():
            simple |= {f"repeat({s}, {n}, {x})": repeat(step, times, start) for x, start in atoms.items()}
    found |= simple
    for s, step in steps.items():
        for n, times in simple.items():
            found |= {f"repeat({s}, {n}, {x})": repeat(step, times, start) for x, start in atoms.items()}
        for m, inner in counts.items():
            own = partial(repeat, step, inner)
            for n, times in counts.items():
                found |= {
                    f"repeat(repeat({s}, {m}), {n}, {x})": repeat(own, times, start)
                    for x, start in atoms.items()
                }
    distinct = {table.tobytes(): name for name, table in reversed(found.items())}
    return {name: table for name, table in found.items() if distinct[table.tobytes()] == name}


def induce(left: Tensor, right: Tensor, results: Tensor, tables: Tensor) -> Tensor:
    r"""Return which program explains results best, whatever the symbols behind the images may be.

    .. math:: \hat f = \operatorname*{arg\,max}_f \sum_i \log \sum_{s, t \,:\, f(s, t) = y_i}
       p(s \mid x_i) \, p(t \mid x'_i)

    Parameters
    ----------
    left, right : Tensor, shape (..., n, 10)
        Probabilities of the symbols of both operands.
    results : Tensor of int, shape (..., n)
    tables : Tensor of int, shape (K, 10, 10)
        What each program makes of two symbols.

    Returns
    -------
    Tensor of int, shape (...)
        The first of those that do best.

    References
    ----------
    nsr, learning by maximum marginal likelihood over latent trees, with programs as what is sought.
    """
    likelihoods = []
    for table in tables:
        agrees = (table == results[..., None, None]).to(left.dtype)
        found = (left.unsqueeze(-2) @ agrees @ right.unsqueeze(-1)).flatten(-3)
        likelihoods.append((found + 1e-3).log().sum(dim=-1))
    return torch.stack(likelihoods, dim=-1).argmax(dim=-1)


def abduce(left: Tensor, right: Tensor, evidence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Return the most probable symbols under which the result comes out right.

    .. math:: (\hat s, \hat t) = \operatorname*{arg\,max}_{s, t} \log p(s \mid x) + \log p(t \mid x')
       + \log p(y \mid f, s, t)

    Parameters
    ----------
    left, right : Tensor, shape (..., n, 10)
        Log probabilities of the symbols of both operands.
    evidence : Tensor, shape (..., n, 10, 10)
        Log probability of the result given both symbols: 0 or minus infinity for a program.

    Returns
    -------
    tuple of Tensor
        Symbols of the left and of the right operand, shape (..., n), and which examples have any.

    References
    ----------
    nsr, deduction-abduction (search near the greedy tree for one that yields the answer).
    """
    joint = (left.unsqueeze(-1) + right.unsqueeze(-2) + evidence).flatten(-2)
    best, place = joint.max(dim=-1)
    return place // 10, place % 10, best.isfinite()


@dataclass(frozen=True)
class _Examples:
    """Expressions d op d op d ...: images (S, n, L, 64), operators (S, n, L - 1) and results (S, n)."""

    images: Tensor
    operators: Tensor
    results: Tensor

    def at(self, places: Tensor) -> _Examples:
        return _Examples(*(pick(own, places) for own in (self.images, self.operators, self.results)))

    def spread(self, grid: Grid) -> _Examples:
        return _Examples(*(grid.spread(own) for own in (self.images, self.operators, self.results)))


@dataclass(frozen=True)
class _Task:
    """Operators, the expressions of every part, and two images of each digit with their values."""

    seeds: Sequence[int]
    meanings: Sequence[str]
    parts: dict[str, _Examples]
    single: Tensor
    values: Tensor


def run(seeds: Sequence[int]) -> Scores:
    """Learn the meaning of one or three operators from results, and score unseen pairs and longer chains."""
    images, labels = digits()
    parts = split(labels, seeds, train=800, validation=200, test=797)
    places = torch.stack(
        [torch.cat([own[labels[own] == digit][:2] for digit in range(10)]) for own in parts["train"]]
    )
    scores = Scores()
    for regime, meanings in _REGIMES.items():
        n = len(meanings)
        asked = {
            "train": _draw(seeds, meanings, parts["train"], 300 * n, purpose=1),
            "more": _draw(seeds, meanings, parts["train"], 3000 * n, purpose=1),
            "validation": _draw(seeds, meanings, parts["validation"], 200, purpose=2),
            "seen pairs": _draw(seeds, meanings, parts["test"], 300, purpose=3),
            "held-out pairs": _draw(seeds, meanings, parts["test"], 300, purpose=4, held=True),
            "longer": _draw(seeds, meanings, parts["test"], 300, purpose=5, length=4),
        }
        task = _Task(seeds, meanings, asked, images[places], labels[places])
        perceived, found = _symbols(task)
        nets: list[tuple[str, str, _Task, Callable[[], nn.Module]]] = [
            ("GRU", "train", perceived, partial(_Recurrent, 10 + n)),
            ("GRU, number", "train", perceived, partial(_Recurrent, 10 + n, number=True)),
            ("sum pooling", "train", perceived, partial(_Pooled, 10 + n)),
        ]
        if regime == "mixed":
            nets += [
                ("GRU, ten times the data", "more", perceived, partial(_Recurrent, 10 + n)),
                ("GRU on images", "train", task, partial(_Recurrent, 64 + n)),
            ]
        for own in (found, *(_net(arm, part, given, make) for arm, part, given, make in nets)):
            for metric, values in own.items():
                scores.add(metric, values, regime)
    return scores


def _draw(
    seeds: Sequence[int],
    meanings: Sequence[str],
    parts: Tensor,
    count: int,
    *,
    purpose: int,
    held: bool = False,
    length: int = 2,
) -> _Examples:
    """Draw expressions over a part's images: trained or held-out pairs, or chains with results met before."""
    images, labels = digits()
    top = max(int(_MEANINGS[meaning](np.array(9), np.array(9))) for meaning in meanings)
    fields: list[list[Numbers]] = []
    for seed, part in zip(seeds, parts.numpy(), strict=True):
        kept = [np.random.default_rng((seed, 11, o)).permutation(100) < 30 for o in range(len(meanings))]
        rng = np.random.default_rng((seed, 12, purpose))
        places = rng.choice(part, (8 * count, length))
        operators = rng.integers(0, len(meanings), (8 * count, length - 1))
        shown = labels.numpy()[places]
        values = [shown[:, 0]]
        for i in range(1, length):
            all_of = np.stack([_MEANINGS[meaning](values[-1], shown[:, i]) for meaning in meanings])
            values.append(np.take_along_axis(all_of, operators[None, :, i - 1], axis=0)[0])
        fits = np.stack(values).max(axis=0) <= top
        if length == 2:  # which pairs are held out, 30 of 100, differs between operators
            fits &= np.stack(kept)[operators[:, 0], 10 * shown[:, 0] + shown[:, 1]] == held
        own = np.flatnonzero(fits)[:count]
        fields.append([places[own], operators[own], values[-1][own]])
    places_, operators_, results = (torch.tensor(np.stack(own)) for own in zip(*fields, strict=True))
    return _Examples(images[places_], operators_, results)


class _Semantics:
    """What the operators mean to each row: a program, or a table of results from what it has met."""

    def __init__(self, grid: Grid, meanings: Sequence[str]) -> None:
        self.wide = torch.tensor(np.stack(list(programs().values())))
        self.right = torch.tensor([_place(meaning) for meaning in meanings])
        self.program = self.right.expand(len(grid), -1).clone()
        self.evidence = torch.zeros(len(grid), len(meanings), 10, 10, _RESULTS)
        self.induced, self.tabled = (
            grid.on(arm).bool().nonzero().flatten().tolist() for arm in ("NSR", "symbols, no programs")
        )

    def update(self, belief: Tensor, examples: _Examples) -> None:
        """Seek each operator's program, or fill its table, from beliefs (P, n, 2, 10) in the symbols."""
        tables = self.wide[:, :10]
        for operator in range(len(self.right)):
            for row in (*self.induced, *self.tabled):
                at = examples.operators[row, :, 0] == operator
                left, right = belief[row, at].unbind(dim=1)
                results = examples.results[row, at]
                if row in self.induced:
                    self.program[row, operator] = induce(left, right, results, tables)
                else:
                    self.evidence[row, operator] = _table(left, right, results)
            own = [row for row in range(len(belief)) if row not in self.tabled]
            certain = tables[self.program[own, operator]].unsqueeze(-1) == torch.arange(_RESULTS)
            self.evidence[own, operator] = torch.where(certain, 0.0, -torch.inf)

    def __call__(self, symbols: Tensor, operators: Tensor) -> Tensor:
        """Return results (P, n) of symbols (P, n, L), from left to right."""
        rows, value = torch.arange(len(symbols)).unsqueeze(1), symbols[..., 0]
        for i in range(operators.shape[-1]):
            operator, b = operators[..., i], symbols[..., i + 1]
            after = self.wide[self.program[rows, operator], value, b]
            after[self.tabled] = self.evidence[rows, operator, value.clamp(max=9), b].argmax(-1)[self.tabled]
            value = after
        return value


def _table(left: Tensor, right: Tensor, results: Tensor) -> Tensor:
    """Return log shares of results of every pair of symbols, (10, 10, 82); all results' for new pairs."""
    outer = left.unsqueeze(-1) * right.unsqueeze(-2)
    counts = torch.zeros(_RESULTS, 10, 10).index_add(0, results, outer)
    counts = counts + 0.1 * counts.sum(dim=(1, 2), keepdim=True) / counts.sum()
    return (counts / counts.sum(dim=0) + 1e-9).log().permute(1, 2, 0)


def _place(meaning: str) -> int:
    """Return the place of the program that means a sum, a difference or a product."""
    a, b = np.meshgrid(np.arange(_TOP), np.arange(10), indexing="ij")
    wanted = np.minimum(_MEANINGS[meaning](a, b), _TOP - 1)
    return next(i for i, table in enumerate(programs().values()) if np.array_equal(table, wanted))


def _symbols(task: _Task) -> tuple[_Task, dict[str, dict[str, Tensor]]]:
    """Train perception with programs induced, given, or replaced by tables of results.

    Returns the task with NSR's symbols in place of the images, and what was scored.
    """
    grid = Grid(task.seeds, dict.fromkeys(("NSR", "NSR, programs given", "symbols, no programs"), _RATES))
    net = Population(lambda: mlp(64, 32, 10), task.seeds)
    semantics = _Semantics(grid, task.meanings)
    train = task.parts["train"]
    order = batches(task.seeds, train.results.shape[1], _BATCH, _STEPS["symbols"])
    single, values = grid.spread(task.single), grid.spread(task.values)

    def seen(params: Params, examples: _Examples) -> Tensor:
        """Return log probabilities of the symbols, shape (P, n, L, 10)."""
        found = net(params, examples.images.flatten(1, 2)).log_softmax(dim=-1)
        return found.reshape(*examples.images.shape[:-1], 10)

    def loss(params: Params, step: int) -> Tensor:
        grounded = cross_entropy(net(params, single), values)
        if step < _WARM:
            return grounded
        if (step - _WARM) % _EVERY == 0:
            with torch.no_grad():
                own = train.at(torch.arange(300).expand(len(task.seeds), -1)).spread(grid)
                semantics.update(seen(params, own).exp(), own)
        own = train.at(order[step]).spread(grid)
        found = seen(params, own)
        with torch.no_grad():
            rows = torch.arange(len(grid)).unsqueeze(1)
            told = semantics.evidence[rows, own.operators[..., 0], :, :, own.results]
            left, right, known = abduce(found[..., 0, :], found[..., 1, :], told)
        picked = found.gather(-1, torch.stack([left, right], dim=-1).unsqueeze(-1)).sum(dim=(-2, -1))
        return grounded - (picked * known).sum(dim=-1) / known.sum(dim=-1).clamp(min=1)

    trained = fit(grid.population(net.params), loss, steps=_STEPS["symbols"], lr=grid["lr"])
    scored = {}
    for name in ("validation", "seen pairs", "held-out pairs", "longer"):
        own = task.parts[name].spread(grid)
        found = semantics(seen(trained, own).argmax(dim=-1), own.operators)
        scored[name] = (found == own.results).to(torch.get_default_dtype()).mean(dim=-1)
    best = grid.choose(scored.pop("validation"))
    right = (semantics.program == semantics.right).to(torch.get_default_dtype()).mean(dim=-1)
    shares = {"programs found": {"NSR": grid.of(right, best)["NSR"]}}
    own_net = {name: grid.of(value, best)["NSR"] for name, value in trained.items()}
    parts = {
        name: _Examples(seen(own_net, own).exp(), own.operators, own.results)
        for name, own in task.parts.items()
    }
    perceived = _Task(
        task.seeds, task.meanings, parts, net(own_net, task.single).softmax(dim=-1), task.values
    )
    return perceived, {name: grid.of(values, best) for name, values in scored.items()} | shares


def _sure(scores: Tensor) -> Tensor:
    """Return the most probable symbol as a vector of one 1, which is what programs see of an image."""
    return torch.nn.functional.one_hot(scores.argmax(dim=-1), 10).to(scores.dtype)


class _Recurrent(nn.Module):
    """A gated recurrent network over operands, with a score for every result or a number read out."""

    def __init__(self, inputs: int, *, width: int = 32, number: bool = False) -> None:
        super().__init__()
        self.gates = nn.Linear(inputs + width, 2 * width)
        self.new = nn.Linear(inputs + width, width)
        self.head = nn.Linear(width, 1 if number else _RESULTS)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores of results, shape (n, 82), or a number, in tens, (n, 1), from operands (n, L, d)."""
        state = x.new_zeros(x.shape[0], self.new.out_features)
        for i in range(x.shape[1]):
            reset, keep = self.gates(torch.cat([x[:, i], state], dim=-1)).sigmoid().chunk(2, dim=-1)
            new = self.new(torch.cat([x[:, i], reset * state], dim=-1)).tanh()
            state = keep * state + (1 - keep) * new
        scores: Tensor = self.head(state)
        return scores


class _Pooled(nn.Module):
    """A sum over operands of what a network makes of each: one number."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.part = mlp(inputs, 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return a number, in tens, shape (n, 1)."""
        total: Tensor = self.part(x).sum(dim=-2)
        return total


def _off(found: Tensor, results: Tensor) -> Tensor:
    """Return each row's loss (P,): cross-entropy of scores, or the distance of a number, given in tens.

    By distance and not its square, so that symbols read wrongly don't shift what the others are worth.
    """
    if found.shape[-1] > 1:
        return cross_entropy(found, results)
    return (10 * found.squeeze(-1) - results).abs().mean(dim=-1)


def _hits(found: Tensor, results: Tensor) -> Tensor:
    """Return each row's share of right results (P,)."""
    if found.shape[-1] > 1:
        return accuracy(found, results)
    return ((10 * found.squeeze(-1) - results).abs() < 0.5).to(found.dtype).mean(dim=-1)


def _net(arm: str, part: str, task: _Task, make: Callable[[], nn.Module]) -> dict[str, dict[str, Tensor]]:
    """Train a network from end to end; an operand comes with the operator before it."""
    grid = Grid(task.seeds, {arm: _FASTER})
    net = Population(make, task.seeds)
    marks = torch.cat([torch.eye(len(task.meanings)), torch.zeros(1, len(task.meanings))])

    def given(images: Tensor, operators: Tensor) -> Tensor:
        none = torch.full((*operators.shape[:-1], 1), len(task.meanings))
        return grid.spread(torch.cat([images, marks[torch.cat([none, operators], dim=-1)]], dim=-1))

    one = task.single.unsqueeze(-2)
    alone = given(one, torch.zeros(*one.shape[:-2], 0, dtype=torch.long))
    values, shown = grid.spread(task.values), task.parts[part]
    steps = _STEPS.get(arm, _STEPS["nets"])
    order = batches(task.seeds, shown.results.shape[1], _BATCH, steps)

    def loss(params: Params, step: int) -> Tensor:
        now = shown.at(order[step])
        pairs = _off(net(params, given(now.images, now.operators)), grid.spread(now.results))
        return pairs + _off(net(params, alone), values)

    trained = fit(grid.population(net.params), loss, steps=steps, lr=grid["lr"])
    scored = {}
    for name in ("validation", "seen pairs", "held-out pairs", "longer"):
        own = task.parts[name]
        scored[name] = _hits(net(trained, given(own.images, own.operators)), grid.spread(own.results))
    best = grid.choose(scored.pop("validation"))
    return {name: grid.of(values, best) for name, values in scored.items()}
