"""Prompt transfer by distillation: a student prompt starts at random and follows a tuned source prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor

from ktlabs.bench.data import batches, digits, noise, pick, split
from ktlabs.bench.losses import cross_entropy, mean_squared_error
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores

#: How closely the source's pattern follows the target's, as the cosine between them.
_REGIMES = {"similar": 0.95, "dissimilar": 0.0}
_STEPS, _SPREAD = 60, 0.5
_RATES = [{"lr": rate} for rate in (1e-3, 3e-3, 1e-2, 3e-2)]
_KNOBS = [{"lr": rate, "strength": strength} for rate in (1e-2, 3e-2) for strength in (0.1, 1.0)]
_TUNED = {"prompt tuning": _RATES, "prompt transfer": _RATES}
_DISTILLED = {
    "PANDA": _KNOBS, "fixed strength": _KNOBS, "teacher without source": _KNOBS, "untuned teacher": _KNOBS
}  # fmt: skip


def transferability(source: Tensor, target: Tensor) -> Tensor:
    r"""Return how far a source prompt may help, as predicted from the prompts alone.

    .. math:: s = \max\left(0, \frac{\langle p_S, p_T \rangle}{\lVert p_S \rVert \lVert p_T \rVert}\right)

    Parameters
    ----------
    source, target : Tensor, shape (P, d)
        Prompts tuned on either task, both from the same start.

    Returns
    -------
    Tensor, shape (P,)
        From 0 to 1.

    References
    ----------
    panda, the metric of transferability (cosine of task embeddings); here the prompt is the embedding.
    """
    return nnf.cosine_similarity(source, target, dim=-1).clamp(min=0)


def panda_loss(
    logits: Tensor, labels: Tensor, teacher: Tensor, strength: Tensor, similarity: Tensor
) -> Tensor:
    r"""Return the student's loss, one value a network.

    .. math:: L = \mathrm{CE}(z, y) + \lambda \, s \, \lVert z - z_T \rVert^2 / C

    Parameters
    ----------
    logits, teacher : Tensor, shape (P, n, C)
        Of the frozen network with the student's prompt and with the teacher's.
    labels : Tensor, shape (P, n)
    strength : Tensor, shape (P,)
    similarity : Tensor, shape (P,)
        As `transferability` predicts it.

    References
    ----------
    panda, and its official code, ``training/trainer_base.py`` (squared error between logits).
    """
    return cross_entropy(logits, labels) + strength * similarity * mean_squared_error(logits, teacher)


def run(seeds: Sequence[int]) -> Scores:
    """Adapt to a target task of 20 images from a source that is similar, and from one that is not."""
    images, labels = digits()
    parts = split(labels, seeds, net=500, source=200, target=20, validation=200, test=800)
    pools = {name: (images[places], labels[places]) for name, places in parts.items()}
    net = Population(lambda: mlp(64, 48, 10), seeds)
    x, y = pools["net"]
    order = batches(seeds, 500, 50, 150)
    frozen = fit(
        net.params,
        lambda p, step: cross_entropy(net(p, pick(x, order[step])), pick(y, order[step])),
        steps=150,
        lr=1e-2,
    )
    scores = Scores()
    target, other = noise(seeds, 64, purpose=3), noise(seeds, 64, purpose=4)
    for regime, cosine in _REGIMES.items():
        source = cosine * target + (1 - cosine**2) ** 0.5 * other
        task = _Task(seeds, frozen, pools, _SPREAD * source, _SPREAD * target)
        for metric, values in _measure(task).items():
            scores.add(metric, values, regime)
    return scores


class _Task:
    """The frozen network of each seed, the images and the patterns of source and target."""

    def __init__(
        self,
        seeds: Sequence[int],
        frozen: Params,
        pools: dict[str, tuple[Tensor, Tensor]],
        source: Tensor,
        target: Tensor,
    ) -> None:
        self.seeds, self.frozen, self.pools = seeds, frozen, pools
        self.source, self.target = source, target
        self.net = Population(lambda: mlp(64, 48, 10), seeds)
        self.start = 0.05 * noise(seeds, 64, purpose=5)

    def logits(self, grid: Grid, prompt: Tensor, part: str, pattern: Tensor) -> Tensor:
        """Return what the frozen network makes of images with a pattern and a prompt."""
        images = grid.spread(self.pools[part][0])
        return self.net(grid.population(self.frozen), images + (grid.spread(pattern) + prompt)[:, None])

    def score(self, grid: Grid, prompt: Tensor, part: str, pattern: Tensor) -> Tensor:
        """Return the accuracy of each row."""
        return accuracy(self.logits(grid, prompt, part, pattern), grid.spread(self.pools[part][1]))

    def tune(self, grid: Grid, begin: Tensor, part: str, *follow: Tensor) -> Tensor:
        """Tune prompts on a part's images; `follow` are the teacher's logits, strength and similarity."""
        pattern = self.source if part == "source" else self.target
        labels = grid.spread(self.pools[part][1])

        def loss(params: Params, _: int) -> Tensor:
            logits = self.logits(grid, params["prompt"], part, pattern)
            return panda_loss(logits, labels, *follow) if follow else cross_entropy(logits, labels)

        return fit({"prompt": begin}, loss, steps=_STEPS, lr=grid["lr"])["prompt"]


def _measure(task: _Task) -> dict[str, dict[str, Tensor]]:
    """Tune all arms' prompts for one pair of source and target; return measures by arm."""
    alone = Grid(task.seeds, {"one": [{"lr": 1e-2}]})
    source = task.tune(alone, task.start, "source")
    similarity = transferability(source, task.tune(alone, task.start, "target"))

    grid = Grid(task.seeds, _TUNED)
    begin = torch.where(grid.on("prompt transfer")[:, None] > 0, grid.spread(source), grid.spread(task.start))
    prompts = task.tune(grid, begin, "target")
    chosen = grid.choose(task.score(grid, prompts, "validation", task.target))
    tuned = grid.of(prompts, chosen)
    found = [(grid, prompts, chosen)]

    grid = Grid(task.seeds, _DISTILLED)
    teacher = grid.spread(tuned["prompt transfer"])
    for arm, other in (("teacher without source", tuned["prompt tuning"]), ("untuned teacher", source)):
        teacher = torch.where(grid.on(arm)[:, None] > 0, grid.spread(other), teacher)
    trust = torch.where(grid.on("PANDA") > 0, grid.spread(similarity), torch.ones(len(grid)))
    wanted = task.logits(grid, teacher, "target", task.target)
    prompts = task.tune(grid, grid.spread(task.start), "target", wanted, grid["strength"], trust)
    chosen = grid.choose(task.score(grid, prompts, "validation", task.target))
    found.append((grid, prompts, chosen))

    measured: dict[str, dict[str, Tensor]] = {"transferability": {"PANDA": similarity}}
    for metric, pattern in (("accuracy", task.target), ("source accuracy", task.source)):
        measured[metric] = {}
        for own, prompt, places in found:
            measured[metric] |= own.of(task.score(own, prompt, "test", pattern), places)
    return measured
