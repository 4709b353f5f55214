"""ViTPose++: feed-forward layers whose output is partly the task's own, at the cost of a shared one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.losses import mean_squared_error
from ktlabs.bench.nets import Grid, Params, Population, fit
from ktlabs.bench.runner import Scores
from ktlabs.evaluation_and_applications.vitpose import distance, keypoints

_TASKS, _WIDTH, _HIDDEN, _STEPS = 3, 16, 24, 150
_RATES = [{"lr": rate} for rate in (5e-3, 2e-2)]
#: How many of the layer's output channels are the task's own; the last arm's experts are drawn by chance.
_OWN = {
    "shared": 0,
    "factorised": _WIDTH // 4,
    "all task-specific": _WIDTH,
    "random experts": _WIDTH // 4,
}


class FactorisedFeedForward(nn.Module):
    r"""A feed-forward layer whose output channels are in part shared, in part the task's own.

    .. math:: h = \max(0, W_1 x), \qquad y = [\, W_2 h \,;\, V_k h \,]

    for task k. Every input passes through as many weights as in a shared layer of the same width; what is
    stored grows by one :math:`V_k` a task.

    Parameters
    ----------
    width, hidden, tasks : int

    References
    ----------
    vitpose-plus, feed-forward layers factorised into task-agnostic and task-specific ones; the split of the
    second layer's output channels follows the authors' code.
    """

    def __init__(self, width: int, hidden: int, tasks: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.experts = nn.Linear(hidden, tasks * width)

    def forward(self, inputs: Tensor, expert: Tensor, own: Tensor) -> Tensor:
        """Apply it.

        Parameters
        ----------
        inputs : Tensor, shape (n, t, width)
        expert : Tensor, shape (n, tasks)
            1 for the expert that an example goes to, else 0.
        own : Tensor, shape (width,)
            1 for the channels that experts give, 0 for the shared ones.

        Returns
        -------
        Tensor, shape (n, t, width)
        """
        hidden = self.first(inputs).relu()
        sizes = (expert.shape[-1], inputs.shape[-1])
        weight = (expert @ self.experts.weight.reshape(sizes[0], -1)).reshape(-1, sizes[1], hidden.shape[-1])
        chosen = hidden @ weight.transpose(-2, -1) + (expert @ self.experts.bias.reshape(sizes))[:, None]
        outputs: Tensor = (1 - own) * self.second(hidden) + own * chosen
        return outputs


class _Pose(nn.Module):
    """Rows of an image as tokens, attention, the factorised layer, and one linear decoder a task."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(8, _WIDTH), nn.Parameter(0.1 * torch.randn(8, _WIDTH))
        self.attention, self.out = nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH)
        self.feed = FactorisedFeedForward(_WIDTH, _HIDDEN, _TASKS)
        self.decode = nn.Linear(_WIDTH, 4 * _TASKS)

    def forward(self, images: Tensor, task: Tensor, expert: Tensor, own: Tensor) -> Tensor:
        tokens = self.embed(images.reshape(len(images), 8, 8)) + self.place
        query, key, value = self.attention(tokens).chunk(3, dim=-1)
        tokens = tokens + self.out((query @ key.transpose(-2, -1) / _WIDTH**0.5).softmax(dim=-1) @ value)
        tokens = tokens + self.feed(tokens, expert, own)
        each = self.decode(tokens.mean(dim=1)).reshape(len(images), _TASKS, 4)
        found: Tensor = (each * task[..., None]).sum(dim=1)
        return found


def run(seeds: Sequence[int]) -> Scores:
    """Learn keypoints of three kinds of images at once, with more and less of the layer the task's own."""
    images, labels = digits()
    parts = split(labels, seeds, train=360, validation=360, test=1077)
    data = {name: _tasks(images[places]) for name, places in parts.items()}
    x, y, _ = data["train"]
    middle, scale = y.mean(dim=1, keepdim=True), y.std(dim=1, keepdim=True)
    grid = Grid(seeds, dict.fromkeys(_OWN, _RATES))
    net = Population(_Pose, seeds)
    counts = torch.tensor([_OWN[arm] for arm, _ in grid.settings]).repeat_interleave(len(seeds))
    own = (torch.arange(_WIDTH) >= _WIDTH - counts[:, None]).to(x.dtype)
    by_chance = grid.on("random experts")[:, None, None]
    chance = {name: _by_chance(seeds, task.shape[1]) for name, (_, _, task) in data.items()}
    order = batches(seeds, x.shape[1], 24, _STEPS)

    def apply(params: Params, name: str, now: Tensor | None = None) -> Tensor:
        inputs, _, kind = data[name]
        expert = chance[name]
        if now is not None:
            inputs, kind, expert = pick(inputs, now), pick(kind, now), pick(expert, now)
        told, drawn = grid.spread(kind), grid.spread(expert)
        return net(params, grid.spread(inputs), told, by_chance * drawn + (1 - by_chance) * told, own)

    def loss(params: Params, step: int) -> Tensor:
        wanted = (pick(y, order[step]) - middle) / scale
        return mean_squared_error(apply(params, "train", order[step]), grid.spread(wanted))

    trained = fit(grid.population(net.params), loss, steps=_STEPS, lr=grid["lr"])

    def score(name: str) -> Tensor:
        found = apply(trained, name) * grid.spread(scale) + grid.spread(middle)
        return distance(found, grid.spread(data[name][1]))

    scores = Scores()
    scores.add("error", grid.of(score("test"), grid.choose(score("validation"), "lower")))
    return scores


def _tasks(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give a third of the images, shape (S, n, 64), to each task: images, keypoints and task, (S, n, 3)."""
    shaped = images.reshape(*images.shape[:-1], 8, 8)
    third = images.shape[1] // _TASKS
    upright, turned, mirrored = shaped[:, :third], shaped[:, third : 2 * third], shaped[:, 2 * third :]
    turned, mirrored = turned.flip(-2, -1), mirrored.transpose(-2, -1)
    seen = torch.cat([upright, 1 - turned, mirrored], dim=1).flatten(-2)
    wanted = keypoints(torch.cat([upright, turned, mirrored], dim=1).flatten(-2))
    kind = torch.nn.functional.one_hot(torch.arange(images.shape[1]) // third, _TASKS)
    return seen, wanted, kind.expand(len(images), -1, -1).to(images.dtype)


def _by_chance(seeds: Sequence[int], count: int) -> Tensor:
    """Draw an expert for each example, whatever its task, shape (S, n, 3)."""
    drawn = [np.random.default_rng((seed, 50, count)).integers(0, _TASKS, count) for seed in seeds]
    return torch.nn.functional.one_hot(torch.tensor(np.stack(drawn)), _TASKS).to(torch.get_default_dtype())
