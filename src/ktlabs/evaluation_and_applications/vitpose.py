"""ViTPose: one learnt token carries a large pose model's knowledge over to a small one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ktlabs.bench.data import batches, digits, noise, pick, split
from ktlabs.bench.losses import mean_squared_error
from ktlabs.bench.nets import Grid, Params, Population, fit
from ktlabs.bench.runner import Scores

_LARGE, _SMALL = 24, 8
_RATES = [{"lr": rate} for rate in (5e-3, 1.5e-2)]
_STEPS = 100


def keypoints(images: Tensor) -> Tensor:
    """Return row and column of the ink's centre in the upper and in the lower half, in pixels.

    Parameters
    ----------
    images : Tensor, shape (..., 64)

    Returns
    -------
    Tensor, shape (..., 4)
    """
    halves = images.reshape(*images.shape[:-1], 2, 4, 8) + 1e-9
    total = halves.sum(dim=(-2, -1))
    row = (halves.sum(dim=-1) * torch.arange(4.0)).sum(dim=-1) / total
    column = (halves.sum(dim=-2) * torch.arange(8.0)).sum(dim=-1) / total
    return torch.stack([row + torch.tensor([0.0, 4.0]), column], dim=-1).flatten(-2)


def distance(found: Tensor, wanted: Tensor) -> Tensor:
    """Return each row's mean distance between keypoints in pixels, shape (P,), from (P, n, 4)."""
    apart: Tensor = (found - wanted).unflatten(-1, (2, 2)).norm(dim=-1)  # type: ignore[no-untyped-call]
    return apart.mean(dim=(-2, -1))


class PoseTransformer(nn.Module):
    """One transformer block over the eight rows of an image, and a linear decoder.

    Parameters
    ----------
    width : int
    token : int
        Width of the extra token that it can be given; projected if it isn't `width`.
    """

    def __init__(self, width: int, token: int) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.place = nn.Parameter(0.1 * torch.randn(8, width))
        self.project = nn.Identity() if token == width else nn.Linear(token, width)
        self.norm, self.attention, self.out = (
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
        )
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )
        self.decode = nn.Linear(width, 4)

    def forward(self, images: Tensor, token: Tensor, on: Tensor) -> Tensor:
        """Return keypoints, shape (n, 4), from images (n, 64) and a token; `on`: 1 to heed it, else 0."""
        tokens = self.embed(images.reshape(len(images), 8, 8)) + self.place
        extra = self.project(token).expand(len(images), 1, -1)
        query, key, value = self.attention(self.norm(torch.cat([tokens, extra], dim=1))).chunk(3, dim=-1)
        logits = query[:, :8] @ key.transpose(-2, -1) / key.shape[-1] ** 0.5
        exp = (logits - logits.amax(dim=-1, keepdim=True)).exp() * torch.cat([torch.ones(8), on.reshape(1)])
        tokens = tokens + self.out(exp / exp.sum(dim=-1, keepdim=True) @ value)
        tokens = tokens + self.feed(tokens)
        found: Tensor = self.decode(tokens.mean(dim=1))
        return found


def knowledge_token(
    net: Population, teacher: Params, images: Tensor, wanted: Tensor, seeds: Sequence[int]
) -> Tensor:
    r"""Return the token that, put beside the image's tokens, serves the frozen teacher best.

    .. math:: t^* = \arg\min_t \big\| T(\{t; X\}) - K \big\|^2

    Parameters
    ----------
    net : Population
        Called with parameters, images, token and whether the token is heeded.
    teacher : dict of str to Tensor
        Frozen.
    images : Tensor, shape (S, n, 64)
    wanted : Tensor, shape (S, n, 4)
    seeds : sequence of int
        Of the tokens' random start.

    Returns
    -------
    Tensor, shape (S, width)

    References
    ----------
    vitpose, abstract (knowledge token); the formula is not checked against the paper's section.
    """
    on, order = torch.ones(len(images)), batches(seeds, images.shape[1], 20, _STEPS)
    width = teacher["embed.bias"].shape[-1]

    def loss(params: Params, step: int) -> Tensor:
        found = net(teacher, pick(images, order[step]), params["token"], on)
        return mean_squared_error(found, pick(wanted, order[step]))

    start = {"token": 0.1 * noise(seeds, width, purpose=41)}
    return fit(start, loss, steps=_STEPS, lr=3e-2, decay=0.0)["token"]


def run(seeds: Sequence[int]) -> Scores:
    """Train a teacher, learn its token, and train students with and without it and its outputs."""
    images, labels = digits()
    parts = split(labels, seeds, train=200, validation=300, test=900)
    every = noise(seeds, len(images), 64, purpose=40)
    x = {name: images[places] + 0.3 * pick(every, places) for name, places in parts.items()}
    pixels = {name: keypoints(images[places]) for name, places in parts.items()}
    middle, scale = pixels["train"].mean(dim=1, keepdim=True), pixels["train"].std(dim=1, keepdim=True)
    y = (pixels["train"] - middle) / scale
    off, nothing = torch.zeros(len(seeds)), torch.zeros(len(seeds), _LARGE)
    large = Population(lambda: PoseTransformer(_LARGE, _LARGE), [seed + 1000 for seed in seeds])
    order = batches(seeds, 200, 20, 250)

    def teach(params: Params, step: int) -> Tensor:
        found = large(params, pick(x["train"], order[step]), nothing, off)
        return mean_squared_error(found, pick(y, order[step]))

    teacher = fit(large.params, teach, steps=250, lr=1e-2)
    token = knowledge_token(large, teacher, x["train"], y, seeds)
    random = noise(seeds, _LARGE, purpose=42)
    random = random * token.norm(dim=-1, keepdim=True) / random.norm(dim=-1, keepdim=True)

    arms = ("student alone", "knowledge token", "random token", "output distillation", "outputs and token")
    grid = Grid(seeds, dict.fromkeys(arms, _RATES))
    net = Population(lambda: PoseTransformer(_SMALL, _LARGE), seeds)
    given = torch.where(grid.on("random token")[:, None] > 0, grid.spread(random), grid.spread(token))
    heeded = grid.on("knowledge token", "random token", "outputs and token")
    follows = grid.on("output distillation", "outputs and token")
    theirs = large(teacher, x["train"], nothing, off)

    def loss(params: Params, step: int) -> Tensor:
        found = net(params, grid.spread(pick(x["train"], order[step])), given, heeded)
        truth = mean_squared_error(found, grid.spread(pick(y, order[step])))
        return truth + follows * mean_squared_error(found, grid.spread(pick(theirs, order[step])))

    trained = fit(grid.population(net.params), loss, steps=_STEPS, lr=grid["lr"])

    def score(name: str) -> Tensor:
        found = net(trained, grid.spread(x[name]), given, heeded)
        return distance(found * grid.spread(scale) + grid.spread(middle), grid.spread(pixels[name]))

    scores = Scores()
    scores.add("error", grid.of(score("test"), grid.choose(score("validation"), "lower")))
    for arm, own, on in (
        ("teacher", nothing, off),
        ("teacher with its token", token, torch.ones(len(seeds))),
    ):
        found = large(teacher, x["test"], own, on) * scale + middle
        scores.add("error", {arm: distance(found, pixels["test"])})
    return scores
