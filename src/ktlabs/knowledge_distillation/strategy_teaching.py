"""Strategy teaching: a teacher writes a library of advice, and the student's weights stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.losses import cross_entropy, kl
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores

_SCENARIOS = 24


def centre(images: Tensor) -> Tensor:
    """Move each image of shape (..., 8, 8) by whole pixels, round its edges, so that its ink is central."""
    flat = images.reshape(-1, 8, 8)
    axis = torch.arange(8, dtype=images.dtype)
    total = flat.sum(dim=(1, 2)) + 1e-12
    half = 3.5 - 1e-6  # a tie falls on the same side whatever the last digit of a sum
    down = ((flat.sum(dim=2) * axis).sum(dim=1) / total - half).round().long()
    right = ((flat.sum(dim=1) * axis).sum(dim=1) / total - half).round().long()
    rows = (torch.arange(8) + down[:, None]) % 8
    columns = (torch.arange(8) + right[:, None]) % 8
    return flat[torch.arange(len(flat))[:, None, None], rows[:, :, None], columns[:, None]].reshape(
        images.shape
    )


def stretch(images: Tensor) -> Tensor:
    """Spread each image's values over the whole range from 0 to 1."""
    low, high = images.amin(dim=(-2, -1), keepdim=True), images.amax(dim=(-2, -1), keepdim=True)
    return (images - low) / (high - low + 1e-12)


#: The advice that a teacher can give, by name: what the student does with an image before it answers.
STRATEGIES: dict[str, Callable[[Tensor], Tensor]] = {
    "answer as it is": lambda images: images,
    "invert": lambda images: 1 - images,
    "turn upside down": lambda images: images.flip(-2, -1),
    "stretch the contrast": stretch,
    "centre the ink": centre,
    "mirror": lambda images: images.flip(-1),
}
#: Conditions under which images arrive: six that the library is written on, and three that it never saw.
_KNOWN: list[Callable[[Tensor], Tensor]] = [
    lambda images: images,
    lambda images: 1 - images,
    lambda images: images.flip(-2, -1),
    lambda images: 0.3 + 0.15 * images,
    lambda images: images.roll(3, -1),
    lambda images: images.flip(-1),
]
_NEW: list[Callable[[Tensor], Tensor]] = [
    lambda images: 1 - images.roll(3, -1),
    lambda images: 0.3 + 0.15 * images.flip(-2, -1),
    lambda images: 1 - images.flip(-1),
]


@dataclass(frozen=True)
class Library:
    """What a teacher hands over: for each scenario one piece of advice, and what it was chosen for.

    Attributes
    ----------
    centres : Tensor, shape (S, K, d)
        A typical situation of each scenario.
    advice : Tensor, shape (S, K)
        The strategy's place in `STRATEGIES`.
    judged : Tensor, shape (S, K, M)
        The teacher's mean judgement of the student's answers under each strategy, from 0 to 1.
    sizes : Tensor, shape (S, K)
        Situations that the advice rests on.
    """

    centres: Tensor
    advice: Tensor
    judged: Tensor
    sizes: Tensor

    def look_up(self, situations: Tensor) -> Tensor:
        """Return the advice for situations of shape (S, n, d): that of the nearest scenario, (S, n)."""
        return self.advice.gather(1, torch.cdist(situations, self.centres).argmin(dim=-1))


def scenarios(situations: Tensor, seeds: Sequence[int], count: int) -> Tensor:
    """Group situations of shape (S, n, d) by k-means; return the centres, shape (S, count, d)."""
    n = situations.shape[1]
    first = [np.random.default_rng((seed, 10)).permutation(n)[:count] for seed in seeds]
    centres = pick(situations, torch.tensor(np.stack(first)))
    for _ in range(20):
        member = torch.nn.functional.one_hot(torch.cdist(situations, centres).argmin(dim=-1), count)
        weights = member.to(situations.dtype).transpose(1, 2)
        sizes = weights.sum(dim=-1, keepdim=True)
        centres = torch.where(sizes > 0, weights @ situations / sizes.clamp(min=1), centres)
    return centres


def write_library(situations: Tensor, judged: Tensor, centres: Tensor) -> Library:
    r"""Choose for each scenario the strategy under which the teacher judges the student best.

    .. math:: a(c) = \arg\max_m \frac{1}{|c|} \sum_{x \in c} p_T\big(f_S(m(x)) \mid x\big)

    Neither labels nor weights nor gradients are needed: the student :math:`f_S` answers, and the teacher
    says how likely it holds that answer to be.

    Parameters
    ----------
    situations : Tensor, shape (S, n, d)
        Unlabelled.
    judged : Tensor, shape (S, n, M)
        The teacher's probability of the student's answer under each of M strategies.
    centres : Tensor, shape (S, K, d)

    References
    ----------
    strategy-teaching, abstract (scenario generation, strategies for improvement, library for prompting).
    """
    member = torch.nn.functional.one_hot(torch.cdist(situations, centres).argmin(dim=-1), centres.shape[1])
    weights = member.to(judged.dtype).transpose(1, 2)
    sizes = weights.sum(dim=-1)
    means = weights @ judged / sizes.clamp(min=1)[..., None]
    return Library(centres, means.argmax(dim=-1), means, sizes.long())


def library_table(library: Library, row: int = 0) -> str:
    """Return one seed's library as a Markdown table that a person can audit, the largest gain first.

    A scenario is told by its typical image: its mean brightness, and where its dark and bright pixels'
    weight lies. The last two columns are the teacher's mean judgement of the student's answers.
    """
    lines = [
        "| scenario | situations | brightness | contrast | weight lies | advice | judged before | after |",
        "|--:|--:|--:|--:|---|---|--:|--:|",
    ]
    before, after = library.judged[row, :, 0], library.judged[row].amax(dim=-1)
    for place in (before - after).argsort(stable=True).tolist():
        image = library.centres[row, place].reshape(8, 8)
        sides = float(image[:, 4:].sum() - image[:, :4].sum()) / (float(image.sum()) + 1e-12)
        lies = "left" if sides < -0.1 else "right" if sides > 0.1 else "in the middle"
        name = list(STRATEGIES)[int(library.advice[row, place])]
        lines.append(
            f"| {place + 1} | {int(library.sizes[row, place])} | {float(image.mean()):.2f} | "
            f"{float(image.max() - image.min()):.2f} | {lies} | {name} | {float(before[place]):.2f} | "
            f"{float(after[place]):.2f} |"
        )
    return "\n".join(lines)


def example(seed: int = 0) -> Library:
    """Return the library that the teacher writes for one seed's student."""
    return _world([seed])[2]


def run(seeds: Sequence[int]) -> Scores:
    """Write a library for one student; use it on known and new conditions and with another student."""
    student, teacher, library, pools = _world(seeds)
    net = Population(lambda: mlp(64, 32, 10), seeds)
    other = Population(lambda: mlp(64, 16, 10), [seed + 2000 for seed in seeds])
    x, y = pools["train"]
    unlike = fit(other.params, lambda p, _: cross_entropy(other(p, x), y), steps=150, lr=1e-2)
    tuned = _fine_tuned(seeds, net, student, teacher, pools)
    single = library.judged.mul(library.sizes[..., None]).sum(dim=1).argmax(dim=-1)
    scores = Scores()
    for regime, conditions in (("known", _KNOWN), ("new-conditions", _NEW), ("other-student", _KNOWN)):
        images, labels = pools["test"]
        situations = _arrive(images, seeds, conditions, purpose=12)
        told = library.look_up(situations)
        entries = [np.random.default_rng((s, 13)).integers(0, _SCENARIOS, told.shape[1]) for s in seeds]
        advice = {
            "no strategy": torch.zeros_like(told),
            "best single strategy": single[:, None].expand_as(told),
            "strategy library": told,
            "random choice from the library": library.advice.gather(1, torch.tensor(np.stack(entries))),
        }
        answering, own = (other, unlike) if regime == "other-student" else (net, student)
        scores.add(
            "accuracy",
            {arm: accuracy(answering(own, follow(situations, a)), labels) for arm, a in advice.items()},
            regime,
        )
        if regime != "other-student":
            scores.add("accuracy", {"fine-tuned": accuracy(net(tuned, situations), labels)}, regime)
    return scores


def follow(situations: Tensor, advice: Tensor) -> Tensor:
    """Apply to each situation, shape (S, n, 64), the strategy that the advice, shape (S, n), names."""
    images = situations.reshape(*situations.shape[:-1], 8, 8)
    every = torch.stack([apply(images) for apply in STRATEGIES.values()], dim=-3).flatten(-2)
    return every.gather(2, advice[..., None, None].expand(-1, -1, 1, situations.shape[-1])).squeeze(2)


def _arrive(
    images: Tensor, seeds: Sequence[int], conditions: Sequence[Callable[[Tensor], Tensor]], purpose: int
) -> Tensor:
    """Put each image, shape (S, n, 64), under a condition drawn at random."""
    shaped = images.reshape(*images.shape[:-1], 8, 8)
    drawn = [np.random.default_rng((s, purpose)).integers(0, len(conditions), images.shape[1]) for s in seeds]
    places = torch.tensor(np.stack(drawn))[..., None, None].expand(-1, -1, 1, 64)
    every = torch.stack([condition(shaped) for condition in conditions], dim=-3).flatten(-2)
    return every.gather(2, places).squeeze(2)


def _world(seeds: Sequence[int]) -> tuple[Params, Params, Library, dict[str, tuple[Tensor, Tensor]]]:
    """Train a student on clean images and a teacher under all known conditions; write the library."""
    images, labels = digits()
    parts = split(labels, seeds, train=500, calibration=400, validation=100, test=797)
    pools = {name: (images[places], labels[places]) for name, places in parts.items()}
    x, y = pools["train"]
    net = Population(lambda: mlp(64, 32, 10), seeds)
    student = fit(net.params, lambda p, _: cross_entropy(net(p, x), y), steps=150, lr=1e-2)
    large = Population(lambda: mlp(64, 64, 64, 10), [seed + 1000 for seed in seeds])
    every = torch.cat([condition(x.reshape(*x.shape[:-1], 8, 8)).flatten(-2) for condition in _KNOWN], dim=1)
    known, order = y.repeat(1, len(_KNOWN)), batches(seeds, every.shape[1], 100, 400)
    teacher = fit(
        large.params,
        lambda p, step: cross_entropy(large(p, pick(every, order[step])), pick(known, order[step])),
        steps=400,
        lr=3e-3,
    )
    situations = _arrive(pools["calibration"][0], seeds, _KNOWN, purpose=11)
    belief = large(teacher, situations).softmax(dim=-1)
    shape = situations.shape[:2]
    answers = [
        net(student, follow(situations, torch.full(shape, m))).argmax(dim=-1) for m in range(len(STRATEGIES))
    ]
    judged = belief.gather(2, torch.stack(answers, dim=-1))
    return (
        student,
        teacher,
        write_library(situations, judged, scenarios(situations, seeds, _SCENARIOS)),
        pools,
    )


def _fine_tuned(
    seeds: Sequence[int],
    net: Population,
    student: Params,
    teacher: Params,
    pools: dict[str, tuple[Tensor, Tensor]],
) -> Params:
    """Train the student on the teacher's answers to the situations that the library is written on."""
    grid = Grid(seeds, {"fine-tuned": [{"lr": rate} for rate in (1e-3, 3e-3, 1e-2)]})
    large = Population(lambda: mlp(64, 64, 64, 10), seeds)
    situations = _arrive(pools["calibration"][0], seeds, _KNOWN, purpose=11)
    target, order = large(teacher, situations).softmax(dim=-1), batches(seeds, 400, 100, 150)

    def loss(params: Params, step: int) -> Tensor:
        now = order[step]
        return kl(grid.spread(pick(target, now)), net(params, grid.spread(pick(situations, now))))

    trained = fit(grid.population(student), loss, steps=150, lr=grid["lr"])
    x, y = pools["validation"]
    held = _arrive(x, seeds, _KNOWN, purpose=14)
    chosen = grid.choose(accuracy(net(trained, grid.spread(held)), grid.spread(y)))
    return {name: grid.of(value, chosen)["fine-tuned"] for name, value in trained.items()}
