"""KG-TRACES: train a model to write the path through the graph before the answer, and follow it if it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.data import pick
from ktlabs.bench.facts import countries
from ktlabs.bench.gpt import GPT
from ktlabs.bench.nets import Grid, Params, Population, fit
from ktlabs.bench.runner import Scores

#: Tokens: none, the relation from capital to country, three relations of a country, three questions.
NONE, CAPITAL, RELATIONS, QUESTIONS = 0, 1, (2, 3, 4), (5, 6, 7)
PLACES, TRAINED = 30, 20
FIRST, WORDS = 8, 8 + 5 * PLACES
#: By kind of supervision: tokens of the prompt, tokens written behind it, and which of all are relations.
SHAPES: dict[str, tuple[int, int, list[int]]] = {
    "answer only": (2, 1, []),
    "relation path": (2, 3, [2, 3]),
    "triple path": (2, 4, [2, 4]),
    "swapped path": (2, 4, [2, 4]),
    "facts in the prompt": (8, 1, []),
}


@dataclass(frozen=True)
class World:
    """Facts of some countries, as numbers of tokens.

    Attributes
    ----------
    graph : Tensor of int, shape (S, V, 5)
        Where each relation leads from each token; `NONE` if nowhere.
    facts : Tensor of int, shape (S, n, 3)
        The same as triples.
    questions : Tensor of int, shape (S, 30, 3, 2)
        By capital and question, both tokens; the first 20 capitals are trained on, the last 10 held out.
    """

    graph: Tensor
    facts: Tensor
    questions: Tensor

    def part(self, begin: int, end: int) -> Tensor:
        """Return the questions about some of the capitals, shape (S, n, 2)."""
        return self.questions[:, begin:end].flatten(1, 2)


def world(seeds: Sequence[int]) -> World:
    """Draw 30 countries a seed: their capitals and, of each, currency, subregion and first language."""
    able = [c for c in countries() if not c.tells and c.currencies and c.languages and c.subregion]
    graphs, facts, asked = [], [], []
    for seed in seeds:
        rng = np.random.default_rng((seed, 6))
        own = [able[place] for place in rng.permutation(len(able))[:PLACES]]
        graph = np.zeros((WORDS, 5), dtype=np.int64)
        for place in range(PLACES):
            graph[FIRST + place, CAPITAL] = FIRST + PLACES + place
        for r, names in enumerate(
            ([c.currencies[0] for c in own], [c.subregion for c in own], [c.languages[0] for c in own])
        ):
            order = list(dict.fromkeys(names))
            for place, name in enumerate(names):
                graph[FIRST + PLACES + place, RELATIONS[r]] = FIRST + (2 + r) * PLACES + order.index(name)
        heads, relations = graph.nonzero()
        graphs.append(graph)
        facts.append(np.stack([heads, relations, graph[heads, relations]], axis=1))
        asked.append([[(FIRST + place, question) for question in QUESTIONS] for place in range(PLACES)])
    return World(*(torch.tensor(np.stack(rows)) for rows in (graphs, facts, asked)))


def execute(graph: Tensor, heads: Tensor, relations: Tensor) -> Tensor:
    r"""Follow a path of relations through the graph.

    .. math:: e_{i+1} = \mathcal{G}(e_i, r_{i+1})

    Parameters
    ----------
    graph : Tensor of int, shape (S, V, R)
        Where each relation leads from each token.
    heads : Tensor of int, shape (S, n)
    relations : Tensor of int, shape (S, n, k)
        What is no relation leads nowhere.

    Returns
    -------
    Tensor of int, shape (S, n)
        Where the path ends; 0 if an edge is missing.
    """
    rows = torch.arange(len(graph)).unsqueeze(1)
    for relation in relations.unbind(dim=-1):
        known = relation < graph.shape[-1]
        heads = torch.where(known, graph[rows, heads, relation.clamp(max=graph.shape[-1] - 1)], NONE)
    return heads


def trajectory(graph: Tensor, questions: Tensor, supervision: str) -> Tensor:
    r"""Return questions with what a model is trained to write behind them.

    .. math:: L = -\log p(z \mid q) - \log p(a \mid q, z), \qquad
       z = \begin{cases} (), & \text{answer only,} \\ (r_1, r_2), & \text{relation path,} \\
       (r_1, e_1, r_2), & \text{triple path} \end{cases}

    The triple path leaves out what repeats: the question's entity, and the answer, which follows.

    Parameters
    ----------
    graph : Tensor of int, shape (S, V, R)
    questions : Tensor of int, shape (S, n, 2)
        A capital and what is asked about its country.
    supervision : str
        One of `SHAPES`. A swapped path is another capital's triple path, with the answer of one's own; with
        facts in the prompt, all that the graph says of the country stands before the question, as a
        retriever would put it there.

    Returns
    -------
    Tensor of int, shape (S, n, t)

    References
    ----------
    kg-traces, the sum of its losses on relation paths, on triple paths and on the answer given paths.
    """
    head, question = questions.unbind(dim=-1)
    first, second = relations(questions).unbind(dim=-1)
    bridge = execute(graph, head, first.unsqueeze(-1))
    answer = execute(graph, bridge, second.unsqueeze(-1))
    told: list[Tensor] = []
    for place in range(len(RELATIONS)):  # in an order of the capital's own
        relation = (head + place) % len(RELATIONS) + RELATIONS[0]
        told += [relation, execute(graph, bridge, relation.unsqueeze(-1))]
    before, path = {
        "answer only": ([], []),
        "relation path": ([], [first, second]),
        "triple path": ([], [first, bridge, second]),
        "swapped path": ([], [own.roll(-4, dims=1) for own in (first, bridge, second)]),
        "facts in the prompt": (told, []),
    }[supervision]
    return torch.stack([*before, head, question, *path, answer], dim=-1)


def relations(questions: Tensor) -> Tensor:
    """Return the relations that lead from each question's capital to its answer, shape (..., 2)."""
    second = questions[..., 1] - QUESTIONS[0] + RELATIONS[0]
    return torch.stack([torch.full_like(second, CAPITAL), second], dim=-1)


def train(
    seeds: Sequence[int],
    own: World,
    arms: Mapping[str, float],
    *,
    steps: int,
    start: Mapping[str, Params] | None = None,
    facts_alone: bool = False,
    batch: int = 12,
) -> tuple[Population, dict[str, Params]]:
    """Train a model of each arm on all facts, and on the trained questions as the arm's name supervises them.

    Parameters
    ----------
    seeds : sequence of int
    own : World
    arms : mapping of str to float
        Learning rate by the arm's name, as `trajectory` takes it.
    steps : int
    start : mapping of str to dict, optional
        By arm, the parameters to go on from.
    facts_alone : bool, optional
        Leave the questions out.
    batch : int, optional
        Facts a step, and as many questions.
    """
    grid = Grid(seeds, {arm: [{"lr": rate}] for arm, rate in arms.items()})
    longest = max(sum(SHAPES[arm][:2]) for arm in arms)
    net = Population(partial(GPT, WORDS, longest), seeds)
    shown = torch.cat([_padded(trajectory(own.graph, own.part(0, TRAINED), arm), longest) for arm in arms])
    prompts = torch.tensor([SHAPES[arm][0] for arm in arms]).repeat_interleave(len(seeds))
    rngs = [np.random.default_rng((seed, 61)) for seed in seeds]
    highs = (own.facts.shape[1], shown.shape[1], longest - 2)
    facts, asked, offsets = (
        torch.tensor(np.stack([rng.integers(0, high, (steps, batch)) for rng in rngs], 1)) for high in highs
    )

    def loss(params: Params, step: int) -> Tensor:
        told = pick(own.facts, facts[step])
        places = offsets[step].unsqueeze(-1) + torch.arange(3)  # a fact may stand anywhere in the context
        told = torch.zeros(*told.shape[:2], longest, dtype=told.dtype).scatter(-1, places, told)
        tails = torch.zeros(told.shape, dtype=torch.bool).scatter(-1, places[..., 2:], value=True)
        tokens, wanted = grid.spread(told), grid.spread(tails)
        if not facts_alone:
            questions = pick(shown, grid.spread(asked[step]))
            answers = (questions != NONE) & (torch.arange(longest) >= prompts.reshape(-1, 1, 1))
            tokens, wanted = torch.cat([tokens, questions], dim=1), torch.cat([wanted, answers], dim=1)
        scores = net(params, tokens[..., :-1]).log_softmax(dim=-1)
        found = scores.gather(-1, tokens[..., 1:].unsqueeze(-1)).squeeze(-1)
        return -(found * wanted[..., 1:]).sum(dim=-1).mean(dim=-1)

    begin = grid.population(net.params)
    if start is not None:
        begin = {name: torch.cat([start[arm][name] for arm in arms]) for name in begin}
    trained = fit(begin, loss, steps=steps, lr=grid["lr"])
    first = {arm: place for place, arm in enumerate(arms)}
    return net, {arm: {name: grid.of(own, first)[arm] for name, own in trained.items()} for arm in arms}


def _padded(tokens: Tensor, length: int) -> Tensor:
    return torch.nn.functional.pad(tokens, (0, length - tokens.shape[-1]))


def generate(net: Population, params: Params, prompts: Tensor, steps: int) -> Tensor:
    """Let each row write on greedily, from prompts (S, n, t) to tokens (S, n, t + steps)."""
    for _ in range(steps):
        best = net(params, prompts)[..., -1, :].argmax(dim=-1, keepdim=True)
        prompts = torch.cat([prompts, best], dim=-1)
    return prompts


_RATE = 8e-3


def run(seeds: Sequence[int]) -> Scores:
    """Supervise paths, and ask about capitals of which only single facts were trained."""
    own = world(seeds)
    scores = Scores()
    for arms in ([arm for arm in SHAPES if arm != "facts in the prompt"], ["facts in the prompt"]):
        net, trained = train(seeds, own, dict.fromkeys(arms, _RATE), steps=200)
        for part, questions in (
            ("held-out", own.part(TRAINED, PLACES)),
            ("trained", own.part(0, TRAINED)),
        ):
            way = relations(questions)
            right = execute(own.graph, questions[..., 0], way)
            for arm, params in trained.items():
                prompt, length, chosen = SHAPES[arm]
                asked = trajectory(own.graph, questions, arm)[..., :prompt]
                written = generate(net, params, asked, length)
                scores.add(f"{part} accuracy", {arm: share(written[..., -1] == right)})
                if chosen and arm != "swapped path":
                    ends = execute(own.graph, questions[..., 0], written[..., chosen])
                    scores.add(f"{part} accuracy", {f"{arm}, executed": share(ends == right)})
    return scores


def share(right: Tensor) -> Tensor:
    """Return each row's share of what is right."""
    return right.to(torch.get_default_dtype()).mean(dim=-1)
