"""Families of knowledge injection: a store, all weights, an adapter, and training anew."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor

from ktlabs.bench.data import noise
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, Population, fit, mlp
from ktlabs.bench.runner import Scores
from ktlabs.external_knowledge.questions import WORDINGS, answers, drawn, features

#: Statements, shape (S, n, e), and the numbers of their answers, shape (S, n).
Facts = tuple[Tensor, Tensor]
#: The kind that is new, facts of a kind, those of them that choose the setting, and widths.
_NEW, _FACTS, _CHOOSING = "currency", 20, 8
_WIDTH, _UNITS, _RANK = 96, 32, 8
_BEFORE, _STEPS, _ROUNDS = 80, 50, 4
_RATES = [{"lr": rate} for rate in (5e-3, 1e-2, 2e-2)]
_OWN_RATES = [{"lr": rate} for rate in (1e-2, 3e-2, 1e-1)]  # the adapter begins at zero
#: Gates that retrieval chooses among, and the one of arms that choose a rate.
_GATES, _GATE = (0.7, 0.8, 0.9), 0.8


def look_up(asked: Tensor, keys: Tensor, answer: Tensor, fallback: Tensor, gate: float) -> Tensor:
    r"""Return the answer of the nearest entry if it is near enough, else the model's own.

    .. math:: \hat y(x) = \nu_{z(x)} \text{ if } \cos(x, \kappa_{z(x)}) \ge g \text{ else }
        \arg\max_y p_\theta(y \mid x)

    Parameters
    ----------
    asked : Tensor, shape (S, q, e)
    keys : Tensor, shape (S, n, e)
    answer : Tensor, shape (S, n)
        What the entries say.
    fallback : Tensor, shape (S, q)
        What the model says.
    gate : float
        The least cosine.

    Returns
    -------
    Tensor, shape (S, q)
    """
    near = _cosine(asked, keys).max(dim=-1)
    return torch.where(near.values >= gate, answer.gather(1, near.indices), fallback)


def route(asked: Tensor, keys: Tensor, new: Tensor, old: Tensor, gate: float) -> Tensor:
    """Take what the changed model says near to what it was changed for, else what the old one says.

    Parameters
    ----------
    asked, keys : Tensor
        As `look_up` takes them.
    new, old : Tensor, shape (S, q)
        What the two models say.
    gate : float
    """
    return torch.where(_cosine(asked, keys).amax(dim=-1) >= gate, new, old)


def _cosine(asked: Tensor, keys: Tensor) -> Tensor:
    return nnf.normalize(asked, dim=-1) @ nnf.normalize(keys, dim=-1).mT


def adapted(logits: Tensor, x: Tensor, down: Tensor, up: Tensor) -> Tensor:
    r"""Add a low-rank adapter beside a frozen model: :math:`z + U D x`.

    Parameters
    ----------
    logits : Tensor, shape (P, q, A)
        Of the frozen model.
    x : Tensor, shape (P, q, e)
    down : Tensor, shape (P, r, e)
    up : Tensor, shape (P, A, r)
        All zero at the start, so that nothing changes.
    """
    return logits + x @ down.mT @ up.mT


def run(seeds: Sequence[int]) -> Scores:
    """Give a model of three kinds of facts a fourth, at once or in rounds."""
    places, kinds = drawn(seeds, _FACTS, purpose=61), torch.arange(len(WORDINGS))[:, None]
    asked, truth = _WIDTH**0.5 * features(_WIDTH)[:, kinds, places], answers()[kinds, places]
    net = Population(lambda: mlp(_WIDTH, _UNITS, int(answers().max()) + 1), seeds)
    new = list(WORDINGS).index(_NEW)
    held = [kind for kind in range(len(WORDINGS)) if kind != new]
    old = asked[0][:, held].flatten(1, 2), truth[:, held].flatten(1)
    own = asked[0][:, new], truth[:, new]
    before = fit(net.params, lambda p, _: cross_entropy(net(p, old[0]), old[1]), steps=_BEFORE, lr=1e-2)
    grid = Grid(seeds, {"joint": _RATES})
    x, y = (grid.spread(torch.cat(pair, dim=1)) for pair in zip(old, own, strict=True))
    anew = fit(
        grid.population(net.params), lambda p, _: cross_entropy(net(p, x), y), steps=_BEFORE, lr=grid["lr"]
    )
    scores = Scores()
    for regime, rounds in (("at-once", 1), ("in-rounds", _ROUNDS)):
        models = _updated(seeds, net, before, (old, own), rounds) | {"joint": _by_rate(anew, seeds, 0)}
        right: dict[str, dict[tuple[int, str], Tensor]] = {}
        for wording, facts in ((1, slice(_CHOOSING)), (2, slice(_CHOOSING, None))):
            for age, own_kinds in (("old", held), ("new", [new])):
                x, y = (
                    asked[wording][:, own_kinds, facts].flatten(1, 2),
                    truth[:, own_kinds, facts].flatten(1),
                )
                for arm, said in _said(net, before, models, own, x).items():
                    found = (torch.stack(said) == y).to(x.dtype).mean(dim=-1)
                    right.setdefault(arm, {})[wording, age] = found
        for arm, scored in right.items():
            best = int((scored[1, "old"] + scored[1, "new"]).mean(dim=1).argmax())
            kept, learnt = scored[2, "old"][best], scored[2, "new"][best]
            for metric, values in (("old", kept), ("new", learnt), ("old and new", (kept + learnt) / 2)):
                scores.add(metric, {arm: values}, regime)
    spent = costs((_WIDTH, _UNITS, int(answers().max()) + 1), _RANK, _FACTS, _STEPS)
    for n, metric in enumerate(("cost of an update", "cost of a question")):
        each = {arm: torch.full((len(seeds),), pair[n] / 1e3) for arm, pair in spent.items()}
        scores.add(metric, each, "at-once")
    return scores


def _updated(
    seeds: Sequence[int], net: Population, before: Params, facts: tuple[Facts, Facts], rounds: int
) -> dict[str, list[Params]]:
    """Train each family's weights on the new facts; return them by family and rate."""
    old, new = facts
    tuned = Grid(seeds, {"static": _RATES, "static, rehearsing": _RATES})
    single = Grid(seeds, {"adapter": _OWN_RATES})
    share = tuned.on("static, rehearsing") / 2
    params, small = tuned.population(before), single.population(_adapter(seeds, int(answers().max()) + 1))
    frozen = single.spread(net(before, new[0]).detach())
    for now in torch.arange(_FACTS).reshape(rounds, -1):
        x, y = (tuned.spread(part[:, now]) for part in new)

        # Rehearsed are old facts and those of earlier rounds.
        known, said = (torch.cat([a, b[:, : now[0]]], dim=1) for a, b in zip(old, new, strict=True))

        def whole(p: Params, step: int, now: Facts = (x, y), pool: Facts = (known, said)) -> Tensor:
            again = (step * now[1].shape[1] + torch.arange(now[1].shape[1])) % pool[1].shape[1]
            rehearsed, wanted = (tuned.spread(part[:, again]) for part in pool)
            return (1 - share) * cross_entropy(net(p, now[0]), now[1]) + share * cross_entropy(
                net(p, rehearsed), wanted
            )

        def beside(p: Params, _: int, now: Tensor = now) -> Tensor:
            z = adapted(frozen[:, now], single.spread(new[0][:, now]), p["down"], p["up"])
            return cross_entropy(z, single.spread(new[1][:, now]))

        params = fit(params, whole, steps=_STEPS, lr=tuned["lr"])
        small = fit(small, beside, steps=_STEPS, lr=single["lr"])
    return {arm: _by_rate(params, seeds, n) for n, arm in enumerate(tuned.arms)} | {
        "adapter": _by_rate(small, seeds, 0)
    }


def _adapter(seeds: Sequence[int], outputs: int) -> Params:
    return {
        "down": 0.1 * noise(seeds, _RANK, _WIDTH, purpose=65),
        "up": torch.zeros(len(seeds), outputs, _RANK),
    }


def _by_rate(params: Params, seeds: Sequence[int], arm: int) -> list[Params]:
    """Return the parameters of one arm of a grid, a set for each rate."""
    begins = [(arm * len(_RATES) + n) * len(seeds) for n in range(len(_RATES))]
    return [{name: own[at : at + len(seeds)] for name, own in params.items()} for at in begins]


def _said(
    net: Population, before: Params, models: dict[str, list[Params]], new: Facts, x: Tensor
) -> dict[str, list[Tensor]]:
    """Return what each arm answers under each of its settings, each of shape (S, q)."""
    logits = net(before, x)
    own = logits.argmax(dim=-1)
    said = {
        arm: [net(p, x).argmax(dim=-1) for p in found] for arm, found in models.items() if arm != "adapter"
    }
    said["adapter"] = [adapted(logits, x, p["down"], p["up"]).argmax(dim=-1) for p in models["adapter"]]
    for arm in ("static", "adapter"):
        said[f"{arm}, routed"] = [route(x, new[0], changed, own, _GATE) for changed in said[arm]]
    said["retrieval"] = [look_up(x, *new, own, gate) for gate in _GATES]
    return said | {"before": [own]}


def costs(widths: tuple[int, int, int], rank: int, facts: int, steps: int) -> dict[str, tuple[int, int]]:
    """Return what an update with some facts and a question cost each family, in multiply-adds.

    A training step counts as three forward passes of what is trained, on every fact. What a frozen part
    says is computed once, and embedding a question costs every family the same and is left out.

    Parameters
    ----------
    widths : tuple of int
        Of the model: inputs, units, outputs.
    rank : int
        Of the adapter.
    facts, steps : int
        New facts, and steps of training on all of them.

    Returns
    -------
    dict of str to tuple of int
        Update and question, by family.
    """
    inputs, units, outputs = widths
    model, beside = units * (inputs + outputs), rank * (inputs + outputs)
    return {
        "static": (3 * model * facts * steps, model),
        "adapter": ((3 * beside * steps + model) * facts, model + beside),
        "retrieval": (0, model + facts * inputs),
    }
