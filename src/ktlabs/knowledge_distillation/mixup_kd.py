"""Mixup and distillation: mix a share of the images, and let the spread of logits set the temperature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores

_STEPS, _BATCH = 150, 50
_RATES = (3e-3, 1e-2)
_FIXED = [{"lr": rate, "temperature": heat} for rate in _RATES for heat in (1.0, 4.0)]
_FREE = [{"lr": rate} for rate in (2e-3, 5e-3, 1e-2, 2e-2)]
#: Share of the images that partial mixup mixes.
_SHARE = 0.4
_ARMS = {
    "labels only": _FREE,
    "plain distillation": _FIXED,
    "mixup teacher": _FIXED,
    "full mixup": _FIXED,
    "mixup for both": _FIXED,
    "partial mixup": _FIXED,
    "full mixup, rescaled": _FREE,
    "partial mixup, rescaled": _FREE,
    "partial mixup, spread of another": _FREE,
}
_FULL = ("full mixup", "mixup for both", "full mixup, rescaled")
_PARTIAL = ("partial mixup", "partial mixup, rescaled", "partial mixup, spread of another")
_RESCALED = ("full mixup, rescaled", "partial mixup, rescaled", "partial mixup, spread of another")


def mix(own: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    r"""Interpolate images or labels, :math:`\lambda x_i + (1 - \lambda) x_j`.

    Parameters
    ----------
    own, other : Tensor, shape (..., n, d)
    weight : Tensor, shape (..., n)
        From 0 to 1; at 1 an example stays as it is.

    References
    ----------
    H. Zhang and others, mixup: Beyond Empirical Risk Minimization (2018), section 2.
    """
    return weight.unsqueeze(-1) * own + (1 - weight.unsqueeze(-1)) * other


def mix_share(weight: Tensor, share: float) -> Tensor:
    r"""Leave all but a share of the examples unmixed: set their :math:`\lambda` to 1.

    Parameters
    ----------
    weight : Tensor, shape (..., n)
        Drawn independently, so that it does not matter which examples are mixed.
    share : float
        From 0 (no mixup) to 1 (full mixup), rounded to whole examples.

    References
    ----------
    mixup-kd, partial mixup of the official repository (``PMU`` in ``helper/loops_mixstd.py``).
    """
    mixed = torch.arange(weight.shape[-1]) < round(share * weight.shape[-1])
    return torch.where(mixed, weight, torch.ones_like(weight))


def rescale(logits: Tensor) -> Tensor:
    r"""Divide each example's logits by their standard deviation over the classes, :math:`z / \sigma(z)`.

    The temperature is then each example's own, and no scale of the logits changes the loss.

    Parameters
    ----------
    logits : Tensor, shape (..., n, C)

    References
    ----------
    mixup-kd, rescaled logits (``MIXSTDLoss`` in ``distiller_zoo/MIXSTD.py``).
    """
    return logits / logits.std(dim=-1, keepdim=True)


def entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of the predictions, in nats: the smoothness spoken of, shape (...)."""
    return -(logits.softmax(dim=-1) * logits.log_softmax(dim=-1)).sum(dim=-1).mean(dim=-1)


def soft_loss(target: Tensor, taught: Tensor, logits: Tensor, temperature: Tensor) -> Tensor:
    r"""Return :math:`0.1\, \mathrm{CE}(\tilde y, p_S) + 0.9\, \tau^2\, \mathrm{KL}(p_T^\tau \| p_S^\tau)`.

    Parameters
    ----------
    target : Tensor, shape (..., n, C)
        Probabilities of the labels.
    taught, logits : Tensor, shape (..., n, C)
    temperature : Tensor, shape (...)
        Where it is 0, the labels are all that counts.

    References
    ----------
    mixup-kd, with the weights of the official repository.
    """
    hard = -(target * logits.log_softmax(dim=-1)).sum(dim=-1).mean(dim=-1)
    heat = temperature.clamp(min=1)[..., None, None]
    belief = (taught / heat).softmax(dim=-1)
    apart = belief * ((taught / heat).log_softmax(dim=-1) - (logits / heat).log_softmax(dim=-1))
    soft = temperature**2 * apart.sum(dim=-1).mean(dim=-1)
    return torch.where(temperature > 0, 0.1 * hard + 0.9 * soft, hard)


def run(seeds: Sequence[int]) -> Scores:
    """Train two teachers, then students of every arm, on few images."""
    images, labels = digits()
    parts = split(labels, seeds, train=150, validation=400, test=900)
    pools = {name: (images[places], labels[places]) for name, places in parts.items()}
    large = Population(lambda: mlp(64, 64, 64, 10), [seed + 1000 for seed in seeds])
    teachers = _teach(large, seeds, pools["train"])
    x, y = pools["test"]
    both = (x.repeat(2, 1, 1), y.repeat(2, 1))
    scores = Scores()
    for metric, measure in (
        ("teacher entropy", entropy),
        ("teacher accuracy", lambda z: accuracy(z, both[1])),
    ):
        plain, mixed = measure(large(teachers, both[0])).chunk(2)
        scores.add(metric, {"plain distillation": plain, "mixup teacher": mixed})
    for metric, values in _distil(seeds, large, teachers, pools).items():
        scores.add(metric, values)
    return scores


def _draw(seeds: Sequence[int], steps: int, purpose: int) -> tuple[Tensor, Tensor]:
    """Draw for each step, seed and image of a batch a weight, uniform on 0 to 1, and a partner's place."""
    weights, partners = [], []
    for seed in seeds:
        rng = np.random.default_rng((seed, purpose))
        weights.append(rng.random((steps, _BATCH)))
        partners.append(np.stack([rng.permutation(_BATCH) for _ in range(steps)]))
    return torch.tensor(np.stack(weights, axis=1)), torch.tensor(np.stack(partners, axis=1))


def _one_hot(labels: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(labels, 10).to(torch.get_default_dtype())


def _teach(large: Population, seeds: Sequence[int], pool: tuple[Tensor, Tensor]) -> Params:
    """Train a plain teacher and one on mixed images for each seed: the first and second S rows."""
    x, y = pool[0], _one_hot(pool[1])
    order = batches(seeds, x.shape[1], _BATCH, 250)
    weights, partners = _draw(seeds, 250, 34)
    both = {name: value.repeat(2, *[1] * (value.dim() - 1)) for name, value in large.params.items()}

    def loss(params: Params, step: int) -> Tensor:
        now, other, weight = order[step], partners[step], weights[step]
        plain, targets = pick(x, now), pick(y, now)
        seen = torch.cat([plain, mix(plain, pick(plain, other), weight)])
        wanted = torch.cat([targets, mix(targets, pick(targets, other), weight)])
        return -(wanted * large(params, seen).log_softmax(dim=-1)).sum(dim=-1).mean(dim=-1)

    return fit(both, loss, steps=250, lr=3e-3)


def _distil(
    seeds: Sequence[int], large: Population, teachers: Params, pools: dict[str, tuple[Tensor, Tensor]]
) -> dict[str, dict[str, Tensor]]:
    """Train the students of every arm; return accuracy and entropy on the test images by arm."""
    grid = Grid(seeds, _ARMS)
    net = Population(lambda: mlp(64, 32, 10), seeds)
    x, y = pools["train"][0], _one_hot(pools["train"][1])
    order = batches(seeds, x.shape[1], _BATCH, _STEPS)
    weights, partners = _draw(seeds, _STEPS, 35)
    # Three ways to mix and two teachers: what each row sees and is told.
    way = (grid.on(*_FULL) + 2 * grid.on(*_PARTIAL)).long()
    told = grid.on("mixup teacher", "mixup for both").long()
    rescaled, foreign = grid.on(*_RESCALED) > 0, grid.on("partial mixup, spread of another") > 0
    heat = torch.where(rescaled, 1.0, grid["temperature"])
    seed_of = torch.arange(len(seeds)).repeat(len(grid.settings))

    def loss(params: Params, step: int) -> Tensor:
        own, target = pick(x, order[step]), pick(y, order[step])
        ways = [
            torch.ones_like(weights[step]),
            weights[step],
            mix_share(weights[step], _SHARE),
        ]
        seen = torch.stack([mix(own, pick(own, partners[step]), weight) for weight in ways])
        wanted = torch.stack([mix(target, pick(target, partners[step]), weight) for weight in ways])
        rows = large(teachers, torch.cat([seen, seen], dim=1).transpose(0, 1).flatten(1, 2))
        answers = rows.reshape(2, len(seeds), 3, _BATCH, 10)
        logits, taught = net(params, seen[way, seed_of]), answers[told, seed_of, way]
        logits, taught = _scaled(logits, rescaled, foreign), _scaled(taught, rescaled, foreign)
        return soft_loss(wanted[way, seed_of], taught, logits, heat)

    trained = fit(grid.population(net.params), loss, steps=_STEPS, lr=grid["lr"])
    chosen = grid.choose(
        accuracy(net(trained, grid.spread(pools["validation"][0])), grid.spread(pools["validation"][1]))
    )
    logits = net(trained, grid.spread(pools["test"][0]))
    right = accuracy(logits, grid.spread(pools["test"][1]))
    smooth = entropy(_scaled(logits, rescaled, torch.zeros_like(foreign)))
    return {"accuracy": grid.of(right, chosen), "entropy": grid.of(smooth, chosen)}


def _scaled(logits: Tensor, rescaled: Tensor, foreign: Tensor) -> Tensor:
    """Rescale the rows that are to be, by each example's own spread or by that of the next in the batch."""
    spread = logits.std(dim=-1, keepdim=True).roll(1, dims=-2)
    chosen = torch.where(foreign[:, None, None], logits / spread, rescale(logits))
    return torch.where(rescaled[:, None, None], chosen, logits)
