"""Reasoning apart from knowledge: exchange the facts under a reasoner that stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.nets import Params, Population
from ktlabs.bench.runner import Scores
from ktlabs.kg_and_llm.kg_traces import (
    FIRST,
    PLACES,
    RELATIONS,
    SHAPES,
    TRAINED,
    World,
    execute,
    generate,
    relations,
    share,
    train,
    trajectory,
    world,
)

_RATE, _STEPS = 8e-3, 200


def exchange(own: World, seeds: Sequence[int]) -> World:
    r"""Return a world with the same countries, in which each has another's currency, subregion and language.

    .. math:: \mathcal{G}'(e, r) = \mathcal{G}(\pi_r(e), r)

    Capitals stay. Each relation is turned by an own number of places along a random round of all countries,
    so that no country keeps the value of its own row.

    Parameters
    ----------
    own : World
    seeds : sequence of int
        One a world.

    References
    ----------
    reason-from-the-get-go, the proposal to keep knowledge in a memory apart from the reasoner; the test is
    ours.
    """
    graph = own.graph.clone()
    first = FIRST + PLACES
    for row, seed in enumerate(seeds):
        rng = np.random.default_rng((seed, 12))
        order = torch.tensor(rng.permutation(PLACES)) + first
        for relation, turn in zip(
            RELATIONS, rng.choice(np.arange(1, PLACES), len(RELATIONS), False), strict=True
        ):
            graph[row, order, relation] = own.graph[row, order.roll(int(turn)), relation]
    heads, through = own.facts[..., 0], own.facts[..., 1]
    tails = graph[torch.arange(len(graph)).unsqueeze(1), heads, through]
    return World(graph, torch.stack([heads, through, tails], dim=-1), own.questions)


def answer(
    net: Population, params: Params, kind: str, memory: Tensor, questions: Tensor, *, alone: bool = False
) -> Tensor:
    """Return the answers of a model that answers itself, or of one that only chooses the path, shape (S, n).

    Parameters
    ----------
    net : Population
    params : dict of str to Tensor
    kind : str
        One of `SHAPES`. A path is followed through the memory; facts in the prompt are read from it.
    memory : Tensor of int, shape (S, V, R)
        The graph that is at hand.
    questions : Tensor of int, shape (S, n, 2)
    alone : bool, optional
        Write the path, and then the model's own answer.
    """
    prompt, length, chosen = SHAPES[kind]
    written = generate(net, params, trajectory(memory, questions, kind)[..., :prompt], length)
    if chosen and not alone:
        return execute(memory, questions[..., 0], written[..., chosen])
    return written[..., -1]


def known(net: Population, params: Params, facts: Tensor) -> Tensor:
    """Return each row's share of single facts (S, n, 3) whose tail it completes."""
    return share(generate(net, params, facts[..., :2], 1)[..., -1] == facts[..., 2])


def run(seeds: Sequence[int]) -> Scores:
    """Ask before and after the facts are exchanged; weights learn the new facts, a memory just holds them."""
    old = world(seeds)
    new = exchange(old, seeds)
    answers, paths, told = "answer only", "triple path", "facts in the prompt"
    both = {answers: _RATE, paths: _RATE}
    net, start = train(seeds, old, both, steps=_STEPS)
    reader, prompted = train(seeds, old, {told: _RATE}, steps=_STEPS)
    _, facts = train(seeds, new, both, steps=_STEPS, start=start, batch=24, facts_alone=True)
    _, everything = train(seeds, new, {answers: _RATE}, steps=_STEPS, start=start)
    models = {
        "coupled": (net, start[answers], answers),
        "decoupled": (net, start[paths], paths),
        told: (reader, prompted[told], told),
        "coupled, facts learnt": (net, facts[answers], answers),
        "paths, facts learnt": (net, facts[paths], paths),
        "coupled, facts and questions learnt": (net, everything[answers], answers),
    }
    scores = Scores()
    for when, own in (("before", old), ("after", new)):
        for part, places in (("", (0, TRAINED)), ("held-out ", (TRAINED, PLACES))):
            questions = own.part(*places)
            right = execute(own.graph, questions[..., 0], relations(questions))
            for name, model in models.items():
                if when == "after" or "learnt" not in name:
                    found = answer(*model, own.graph, questions, alone="learnt" in name)
                    scores.add(f"{part}accuracy {when}", {name: share(found == right)})
    for name in ("coupled", "coupled, facts learnt", "paths, facts learnt"):
        scores.add("new facts known", {name: known(*models[name][:2], new.facts)})
    return scores
