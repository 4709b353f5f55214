"""HARD: distil on augmented images that are sought for the disagreement of teacher and student."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.losses import cross_entropy, distillation
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores

_SIDE, _STEPS, _BATCH, _TRIES = 10, 150, 50, 4
#: By how many pixels an image can move, down and right, on a canvas two pixels larger than itself.
SHIFTS = [(down, right) for down in (0, 1, 2) for right in (0, 1, 2)]
_CENTRE = SHIFTS.index((1, 1))
_SETTINGS = [{"lr": rate, "temperature": heat} for rate in (3e-3, 1e-2) for heat in (1.0, 4.0)]
_ARMS = ("centred", "random shift", "learned shift", "hardest shift", "student's least sure shift")
#: How fast the learned distribution of shifts follows the disagreement, per image of a batch.
_PACE = 0.2


def shifted(images: Tensor) -> Tensor:
    """Place images (..., 64) at each of the 9 places of the canvas: shape (..., 9, 100)."""
    square = images.reshape(*images.shape[:-1], 8, 8)
    return torch.stack(
        [nn.functional.pad(square, (right, 2 - right, down, 2 - down)).flatten(-2) for down, right in SHIFTS],
        dim=-2,
    )


def disagreement(taught: Tensor, logits: Tensor) -> Tensor:
    r"""Return :math:`\mathrm{KL}(p_T \| p_S)` of each example, in nats.

    Parameters
    ----------
    taught, logits : Tensor, shape (..., C)

    Returns
    -------
    Tensor, shape (...)
    """
    return (taught.softmax(dim=-1) * (taught.log_softmax(dim=-1) - logits.log_softmax(dim=-1))).sum(dim=-1)


def hardest(taught: Tensor, logits: Tensor) -> Tensor:
    r"""Choose among some augmentations of each image the one on which the models disagree most.

    .. math:: g^*(x) = \arg\max_{g \in G(x)} \mathrm{KL}\left(p_T(g(x)) \| p_S(g(x))\right)

    Parameters
    ----------
    taught, logits : Tensor, shape (..., K, C)
        Of K augmentations.

    Returns
    -------
    Tensor, shape (...)
        The place among the K.

    References
    ----------
    hard, abstract (data points for which teacher and student disagree), by search over draws.
    """
    return disagreement(taught, logits).argmax(dim=-1)


def learn_shift(preference: Tensor, drawn: Tensor, gap: Tensor, pace: float) -> Tensor:
    r"""Move a distribution of augmentations, :math:`\mathrm{softmax}(\phi)`, towards disagreement.

    .. math:: \phi \leftarrow \phi + \eta \sum_i (d_i - \bar d)
        \left(e_{g_i} - \mathrm{softmax}(\phi)\right)

    A step of gradient ascent on the expected disagreement, estimated from what was drawn anyway.

    Parameters
    ----------
    preference : Tensor, shape (..., G)
    drawn : Tensor, shape (..., n)
        The augmentation that each image got.
    gap : Tensor, shape (..., n)
        Its disagreement, in nats.
    pace : float

    References
    ----------
    hard, abstract (an augmentation that is optimised while the student learns); R. J. Williams, Simple
    statistical gradient-following algorithms (1992), for the estimate.
    """
    surplus = gap - gap.mean(dim=-1, keepdim=True)
    hot = nn.functional.one_hot(drawn, preference.shape[-1]).to(preference.dtype)
    step = (surplus.unsqueeze(-1) * (hot - preference.softmax(dim=-1).unsqueeze(-2))).sum(dim=-2)
    return preference + pace * step


class ShiftInvariant(nn.Module):
    """A teacher that hardly sees where an image stands: features of 5 x 5 patches, their maximum, a head.

    Only a patch that the edge of the canvas cuts off can tell.
    """

    def __init__(self, features: int = 48) -> None:
        super().__init__()
        self.patch, self.head = nn.Linear(25, features), nn.Linear(features, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map canvases (n, 100) to logits (n, 10)."""
        patches = x.reshape(-1, _SIDE, _SIDE).unfold(1, 5, 1).unfold(2, 5, 1).flatten(3).flatten(1, 2)
        return self.head(self.patch(patches).relu().amax(dim=1))  # type: ignore[no-any-return]


def run(seeds: Sequence[int]) -> Scores:
    """Distil a shift-invariant teacher into a network that must learn each place by itself."""
    images, labels = digits()
    parts = split(labels, seeds, train=300, validation=300, test=700)
    pools = {name: (shifted(images[places]), labels[places]) for name, places in parts.items()}
    large = Population(ShiftInvariant, [seed + 1000 for seed in seeds])
    teacher = _teach(large, seeds, pools["train"])
    x, y = pools["train"]
    taught = large(teacher, x.flatten(1, 2)).reshape(*x.shape[:3], 10)
    scores = Scores()
    for regime, values in _distil(seeds, taught, pools).items():
        scores.add("accuracy", values, regime)
    x, y = pools["test"]
    told = large(teacher, x.flatten(1, 2)).reshape(*x.shape[:3], 10)
    for regime, right in _by_regime(told, y).items():
        scores.add("accuracy", {"teacher": right}, regime)
    return scores


def _by_regime(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return each row's accuracy on centred images and over all other places, from (P, n, 9, C)."""
    moved = [place for place in range(len(SHIFTS)) if place != _CENTRE]
    return {
        "in-domain": accuracy(logits[:, :, _CENTRE], labels),
        "out-of-domain": accuracy(
            logits[:, :, moved].flatten(1, 2), labels.repeat_interleave(len(moved), dim=1)
        ),
    }


def _places(seeds: Sequence[int], steps: int, tries: int, purpose: int) -> Tensor:
    """Draw shifts for each step, seed, image of a batch and try."""
    drawn = [
        np.random.default_rng((s, purpose)).integers(0, len(SHIFTS), (steps, _BATCH, tries)) for s in seeds
    ]
    return torch.tensor(np.stack(drawn, axis=1))


def _teach(large: Population, seeds: Sequence[int], pool: tuple[Tensor, Tensor]) -> Params:
    x, y = pool
    order = batches(seeds, x.shape[1], _BATCH, 200)
    places = _places(seeds, 200, 1, 31)[..., 0]

    def loss(params: Params, step: int) -> Tensor:
        own = pick(x, order[step])
        seen = own.flatten(0, 1)[torch.arange(places[step].numel()), places[step].flatten()]
        return cross_entropy(large(params, seen.reshape(*own.shape[:2], -1)), pick(y, order[step]))

    return fit(large.params, loss, steps=200, lr=1e-2)


def _distil(
    seeds: Sequence[int], taught: Tensor, pools: dict[str, tuple[Tensor, Tensor]]
) -> dict[str, dict[str, Tensor]]:
    """Train the students of every arm; return test accuracies by regime and arm."""
    grid = Grid(seeds, dict.fromkeys(_ARMS, _SETTINGS))
    net = Population(lambda: mlp(_SIDE * _SIDE, 48, 10), seeds)
    order = batches(seeds, taught.shape[1], _BATCH, _STEPS)
    tries = _places(seeds, _STEPS, _TRIES, 32)
    uniform = [np.random.default_rng((s, 33)).random((_STEPS, _BATCH)) for s in seeds]
    level = torch.tensor(np.stack(uniform, axis=1))
    size = len(_SETTINGS) * len(seeds)
    learned, hard, unsure = (slice(arm * size, (arm + 1) * size) for arm in (2, 3, 4))
    preference = [torch.zeros(size, len(SHIFTS))]
    images, told = pools["train"][0].flatten(1, 2), taught.flatten(1, 2)
    seed_of = torch.arange(len(seeds)).repeat(len(grid.settings))

    def loss(params: Params, step: int) -> Tensor:
        base, drawn = grid.spread(order[step] * len(SHIFTS)), grid.spread(tries[step])
        place = drawn[..., 0].clone()
        place[:size] = _CENTRE
        edges = preference[-1].softmax(dim=-1).cumsum(dim=-1)[:, None]
        own = (grid.spread(level[step])[learned, :, None] > edges).sum(dim=-1).clamp(max=len(SHIFTS) - 1)
        place[learned] = own
        with torch.no_grad():
            both = slice(hard.start, unsure.stop)
            where = (seed_of[both, None, None], base[both, :, None] + drawn[both])
            found = net({name: value[both] for name, value in params.items()}, images[where].flatten(1, 2))
            found = found.reshape(*drawn[both].shape, 10)
            most = hardest(told[where][:size], found[:size])
            least_sure = found[size:].softmax(dim=-1).amax(dim=-1).argmin(dim=-1)
            best = torch.cat([most, least_sure]).unsqueeze(-1)
            place[both] = drawn[both].gather(2, best).squeeze(-1)
        where = (seed_of[:, None], base + place)
        logits, answers = net(params, images[where]), told[where]
        gap = disagreement(answers[learned], logits[learned].detach())
        preference[-1] = learn_shift(preference[-1], own, gap, _PACE / _BATCH)
        return distillation(answers, logits, grid["temperature"])

    trained = fit(grid.population(net.params), loss, steps=_STEPS, lr=grid["lr"])
    x, y = pools["validation"]
    # Settings are chosen on centred images alone, so that moved ones are as unseen as their name says.
    chosen = grid.choose(accuracy(net(trained, grid.spread(x[:, :, _CENTRE])), grid.spread(y)))
    x, y = pools["test"]
    own = {name: torch.cat(list(grid.of(value, chosen).values())) for name, value in trained.items()}
    logits = net(own, x.flatten(1, 2).repeat(len(chosen), 1, 1)).reshape(-1, *x.shape[1:3], 10)
    found = _by_regime(logits, y.repeat(len(chosen), 1))
    return {
        regime: dict(zip(chosen, values.reshape(len(chosen), -1), strict=True))
        for regime, values in found.items()
    }
