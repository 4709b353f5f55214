"""torchdistill: distillation methods as configurations of one runner, and the losses that share a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
import yaml
from torch import Tensor, nn

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.losses import cross_entropy, distillation, mean_squared_error
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit
from ktlabs.bench.runner import Scores

#: The whole of a method: what is compared at which weight, on which images, towards whose answers.
METHODS: dict[str, dict[str, Any]] = yaml.safe_load("""
labels only: {terms: {labels: 1}}
KD: {terms: {labels: 0.1, kd: 0.9}, temperature: 4}
KD, answers swapped: {terms: {labels: 0.1, kd: 0.9}, temperature: 4, teacher: swapped}
KD, more images: {terms: {labels: 0.1, kd: 0.9}, temperature: 4, images: all}
relations: {terms: {labels: 1, relations: 10}}
hint: {terms: {labels: 1, hint: 1}}
""")
#: Four readings of one KD loss, by the name of the term that stands for it.
SCALINGS: dict[str, dict[str, Any]] = yaml.safe_load("""
batch mean, squared temperature: {terms: {labels: 0.1, kd: 0.9}, temperature: 4}
batch mean, no factor: {terms: {labels: 0.1, kd without factor: 0.9}, temperature: 4}
mean of elements, constant: {terms: {labels: 0.1, kd by element: 0.9}, temperature: 4, constant: 2}
masked after softmax, no factor: {terms: {labels: 0.1, kd masked: 0.9}, temperature: 4, keep: 5}
""")
_RATES = [{"lr": rate} for rate in (1e-2, 3e-2)]
_STUDENT, _TEACHER, _STEPS, _BATCH, _LABELLED = 24, 64, 100, 50, 100


@dataclass(frozen=True)
class Seen:
    """What hooks on teacher and student have caught of a batch; dimensions before n are rows.

    Attributes
    ----------
    logits, taught : Tensor, shape (..., n, C)
        Of student and teacher.
    hidden, guided, hint : Tensor, shape (..., n, d)
        Hidden state of the student, the same mapped to the teacher's width, and the teacher's.
    labels, labelled : Tensor, shape (..., n)
        Labels, and 1 where they may be used.
    """

    logits: Tensor
    taught: Tensor
    hidden: Tensor
    guided: Tensor
    hint: Tensor
    labels: Tensor
    labelled: Tensor


def by_element(taught: Tensor, logits: Tensor, temperature: float, constant: float) -> Tensor:
    r"""Return the KD loss averaged over images and classes, with a constant for :math:`\tau^2`.

    .. math:: \frac{k}{n C} \sum_{x, c} p_T^\tau(c) \log \frac{p_T^\tau(c)}{p_S^\tau(c)}

    At C classes it is :math:`k / (C \tau^2)` of the usual loss.

    Parameters
    ----------
    taught, logits : Tensor, shape (..., n, C)
    temperature, constant : float

    References
    ----------
    torchdistill, beside whose ``KDLoss`` it stands: what ``reduction='mean'`` makes of it.
    """
    usual = distillation(taught, logits, temperature) / temperature**2
    return constant * usual / logits.shape[-1]


def masked(taught: Tensor, logits: Tensor, temperature: float, keep: int) -> Tensor:
    r"""Return the KD loss over the teacher's likeliest classes only, masked after the softmax.

    .. math:: \frac{1}{n} \sum_x \sum_{c \in K(x)} p_T^\tau(c) \log \frac{p_T^\tau(c)}{p_S^\tau(c)}

    What is left of either side does not add up to 1, so it is no divergence: it can be negative, and
    a student gains by putting all it has on the classes kept.

    Parameters
    ----------
    taught, logits : Tensor, shape (..., n, C)
    temperature : float
    keep : int
        Classes kept an image.
    """
    target, found = (taught / temperature).softmax(dim=-1), (logits / temperature).log_softmax(dim=-1)
    kept = torch.zeros_like(target).scatter(-1, taught.topk(keep, dim=-1).indices, 1.0)
    return (kept * (target.xlogy(target) - target * found)).sum(dim=-1).mean(dim=-1)


def relations(hidden: Tensor, hint: Tensor) -> Tensor:
    """Return by how much distances between images differ, each side in units of its own mean distance.

    Parameters
    ----------
    hidden, hint : Tensor, shape (..., n, d)
        Widths d may differ.

    References
    ----------
    W. Park and others, Relational Knowledge Distillation (2019), equation 5 (distance-wise loss).
    """
    apart = []
    for states in (hidden, hint):
        length = states.pow(2).sum(dim=-1)
        square = length.unsqueeze(-1) + length.unsqueeze(-2) - 2 * states @ states.mT
        n = states.shape[-2]
        distance = square.clamp(min=1e-12).sqrt() * (1 - torch.eye(n, dtype=states.dtype))
        apart.append(distance * n * (n - 1) / distance.sum(dim=(-2, -1), keepdim=True))
    return nnf.smooth_l1_loss(apart[0], apart[1], reduction="none").mean(dim=(-2, -1))


def _labels(seen: Seen) -> Tensor:
    own = -seen.logits.log_softmax(dim=-1).gather(-1, seen.labels.unsqueeze(-1)).squeeze(-1)
    return (own * seen.labelled).sum(dim=-1) / seen.labelled.sum(dim=-1).clamp(min=1)


#: What a configuration can name.
TERMS: dict[str, Callable[[Seen, Mapping[str, Any]], Tensor]] = {
    "labels": lambda seen, _: _labels(seen),
    "kd": lambda seen, own: distillation(seen.taught, seen.logits, own["temperature"]),
    "kd without factor": lambda seen, own: (
        distillation(seen.taught, seen.logits, own["temperature"]) / own["temperature"] ** 2
    ),
    "kd by element": lambda seen, own: by_element(
        seen.taught, seen.logits, own["temperature"], own["constant"]
    ),
    "kd masked": lambda seen, own: masked(seen.taught, seen.logits, own["temperature"], own["keep"]),
    "relations": lambda seen, _: relations(seen.hidden, seen.hint),
    "hint": lambda seen, _: mean_squared_error(seen.guided, seen.hint),
}


def objective(configuration: Mapping[str, Any], seen: Seen) -> Tensor:
    r"""Return the loss that a configuration declares, one value a row: :math:`\sum_k w_k L_k`.

    Parameters
    ----------
    configuration : mapping
        ``terms`` gives a weight to each term, by its name in `TERMS`; the rest are the terms' settings.
    seen : Seen

    Raises
    ------
    ValueError
        If it names a term that there is not.

    References
    ----------
    torchdistill, section 3 (configurations, forward hooks); KD as in its ``KDLoss``.
    """
    if unknown := [name for name in configuration["terms"] if name not in TERMS]:
        raise ValueError(f"there is no term {unknown[0]!r}; there are {', '.join(TERMS)}")
    return torch.stack(
        [weight * TERMS[name](seen, configuration) for name, weight in configuration["terms"].items()]
    ).sum(dim=0)


class Tapped(nn.Module):
    """A classifier that yields logits, hidden state and the state mapped to the teacher's width, joined.

    Without hooks it yields the logits alone.
    """

    def __init__(self, width: int, *, hooks: bool = True) -> None:
        super().__init__()
        self.hooks = hooks
        self.hidden, self.head = nn.Linear(64, width), nn.Linear(width, 10)
        self.guide = nn.Linear(width, _TEACHER)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 64) to (n, 10 + width + 64)."""
        hidden = self.hidden(x).relu()
        logits: Tensor = self.head(hidden)
        return torch.cat([logits, hidden, self.guide(hidden)], dim=-1) if self.hooks else logits


def see(student: Tensor, teacher: Tensor, labels: Tensor, labelled: Tensor) -> Seen:
    """Take apart what student and teacher yield."""
    logits, hidden, guided = torch.split(student, [10, student.shape[-1] - 10 - _TEACHER, _TEACHER], dim=-1)
    return Seen(logits, teacher[..., :10], hidden, guided, teacher[..., 10 : 10 + _TEACHER], labels, labelled)


def run(seeds: Sequence[int]) -> Scores:
    """Run each configuration, and the KD loop as one would write it by hand."""
    images, labels = digits()
    parts = split(labels, seeds, teacher=500, labelled=_LABELLED, more=300, validation=200, test=697)
    pools = {name: (images[places], labels[places]) for name, places in parts.items()}
    pools["all"] = (
        torch.cat([pools["labelled"][0], pools["more"][0]], dim=1),
        torch.cat([pools["labelled"][1], pools["more"][1]], dim=1),
    )
    large = Population(lambda: Tapped(_TEACHER), [seed + 1000 for seed in seeds])
    plain = Population(lambda: Tapped(_TEACHER, hooks=False), [seed + 1000 for seed in seeds])
    x, y = pools["teacher"]
    teacher = fit(large.params, lambda p, _: cross_entropy(plain(p, x), y), steps=200, lr=1e-2)
    answers = large(teacher, pools["all"][0])
    scores = Scores()
    found: dict[str, tuple[Tensor, float]] = {}
    for regime, methods in (("methods", METHODS), ("scalings", SCALINGS)):
        for name, configuration in methods.items():
            same = next((done for done in found if METHODS.get(done) == configuration), None)
            found[name] = found[same] if same else _train(name, configuration, seeds, pools, answers)
            scores.add("accuracy", {name: found[name][0]}, regime)
    by_hand = _by_hand(seeds, pools, answers, found["KD"][1])
    scores.add("accuracy", {"KD by hand": by_hand}, "methods")
    x, y = pools["test"]
    scores.add("accuracy", {"teacher": accuracy(plain(teacher, x), y)}, "methods")
    for name, configuration in SCALINGS.items():
        value, slope = _at_start(configuration, seeds, pools["labelled"][0], answers)
        scores.add("loss", {name: value}, "scalings")
        scores.add("gradient", {name: slope}, "scalings")
    return scores


def swapped(labels: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return for each image, by rows of labels (S, n), the place of another of its class."""
    rows = []
    for own, seed in zip(labels.numpy(), seeds, strict=True):
        rng, places = np.random.default_rng((seed, 24)), np.arange(len(own))
        for label in np.unique(own):
            members = rng.permutation(np.flatnonzero(own == label))
            places[members] = np.roll(members, 1)
        rows.append(torch.tensor(places))
    return torch.stack(rows)


def _train(
    name: str,
    configuration: Mapping[str, Any],
    seeds: Sequence[int],
    pools: Mapping[str, tuple[Tensor, Tensor]],
    answers: Tensor,
) -> tuple[Tensor, float]:
    """Run one configuration; return the test accuracy, shape (S,), and the learning rate chosen."""
    grid = Grid(seeds, {name: _RATES})
    net = Population(lambda: Tapped(_STUDENT), seeds)
    x, y = pools[configuration.get("images", "labelled")]
    if configuration.get("teacher") == "swapped":
        answers = pick(answers, swapped(y, seeds))
    order = batches(seeds, x.shape[1], _BATCH, _STEPS)

    def loss(params: Params, step: int) -> Tensor:
        now = order[step]
        batch = [grid.spread(pick(own, now)) for own in (x, answers, y)]
        labelled = grid.spread((now < _LABELLED).to(x.dtype))
        return objective(configuration, see(net(params, batch[0]), batch[1], batch[2], labelled))

    trained = fit(grid.population(net.params), loss, steps=_STEPS, lr=grid["lr"])
    scored = {
        part: accuracy(net(trained, grid.spread(pools[part][0]))[..., :10], grid.spread(pools[part][1]))
        for part in ("validation", "test")
    }
    place = grid.choose(scored["validation"])
    return grid.of(scored["test"], place)[name], _RATES[place[name]]["lr"]


def _by_hand(
    seeds: Sequence[int], pools: Mapping[str, tuple[Tensor, Tensor]], answers: Tensor, rate: float
) -> Tensor:
    """Distil into one network after another, with everything written out."""
    order = batches(seeds, _LABELLED, _BATCH, _STEPS)
    found = []
    for row, seed in enumerate(seeds):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = Tapped(_STUDENT, hooks=False)
        x, y = (own[row] for own in pools["labelled"])
        optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-4)
        for step in range(_STEPS):
            optimiser.param_groups[0]["lr"] = rate * 0.5 * (1 + np.cos(np.pi * step / _STEPS))
            now = order[step, row]
            logits = net(x[now])
            soft = nnf.log_softmax(logits / 4, dim=1), nnf.softmax(answers[row, now, :10] / 4, dim=1)
            kd = 16 * nnf.kl_div(*soft, reduction="batchmean")
            loss = 0.1 * nnf.cross_entropy(logits, y[now]) + 0.9 * kd
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            right = net(pools["test"][0][row]).argmax(dim=1) == pools["test"][1][row]
        found.append(right.to(x.dtype).mean())
    return torch.stack(found)


def _at_start(
    configuration: Mapping[str, Any], seeds: Sequence[int], x: Tensor, answers: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the unweighted KD term at the untrained student, and its gradient's length at the logits."""
    net = Population(lambda: Tapped(_STUDENT), seeds)
    student = net(net.params, x).detach().requires_grad_()
    term = next(name for name in configuration["terms"] if name != "labels")
    none = torch.zeros(x.shape[:2], dtype=torch.long)
    value = TERMS[term](see(student, answers[:, :_LABELLED], none, none), configuration)
    (slope,) = torch.autograd.grad(value.sum(), student)
    return value.detach(), slope.flatten(1).norm(dim=1)
