"""NeuroComparatives: overgenerate comparisons from a weak model, then filter them stringently."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from ktlabs.bench.data import digits, split
from ktlabs.bench.nets import Params, fit
from ktlabs.bench.runner import Scores

_PAIRS = list(combinations(range(10), 2))
_GAP = 0.05
_GENERATIONS, _CHECKED, _TRUST = 12, 150, 0.9


def gaps(means: Tensor) -> Tensor:
    """Return for each pair of classes how much more ink the first has at each pixel.

    Parameters
    ----------
    means : Tensor, shape (..., 10, 64)
        Mean images of the classes, ink from 0 to 1.

    Returns
    -------
    Tensor, shape (..., 45 * 64)
    """
    first, second = zip(*_PAIRS, strict=True)
    return (means[..., list(first), :] - means[..., list(second), :]).flatten(-2)


def statements(gap: Tensor) -> Tensor:
    """Say "more" (1), "less" (-1) or nothing (0) of each pair and pixel, by a least gap in ink."""
    return torch.where(gap.abs() > _GAP, gap.sign(), 0)


def drop_contradicted(said: Tensor) -> Tensor:
    r"""Keep of each comparison the direction that was said more often than its opposite, else nothing.

    .. math:: d(c) = \operatorname{sign}\big(n_{+}(c) - n_{-}(c)\big)

    Parameters
    ----------
    said : Tensor, shape (S, G, n)
        What each of G generations says: 1, -1 or, for nothing, 0.

    Returns
    -------
    Tensor, shape (S, n)

    References
    ----------
    neurocomparatives, contradiction filter of the authors' code: a statement goes unless more generations
    entail it than contradict it.
    """
    return said.sum(dim=1).sign()


def trust(features: Tensor, checked: Tensor, valid: Tensor) -> Tensor:
    r"""Return how likely a discriminator holds each statement to be valid, from a few that were checked.

    .. math:: t(c) = \sigma(w \cdot f(c) + b)

    with w and b fitted to the checked statements by logistic regression.

    Parameters
    ----------
    features : Tensor, shape (S, n, k)
    checked : Tensor, shape (S, m)
        Places of the statements that were checked.
    valid : Tensor, shape (S, n)
        0 or 1; read at the checked places only.

    Returns
    -------
    Tensor, shape (S, n)
    """
    rows = torch.arange(len(features))[:, None]
    own = features[rows, checked]
    middle, scale = own.mean(dim=1, keepdim=True), own.std(dim=1, keepdim=True) + 1e-12
    scaled = (features - middle) / scale
    known, wanted = scaled[rows, checked], valid[rows, checked]

    def logits(params: Params, inputs: Tensor) -> Tensor:
        return (inputs @ params["weight"][..., None]).squeeze(-1) + params["bias"][:, None]

    params = fit(
        {"weight": torch.zeros(len(features), features.shape[-1]), "bias": torch.zeros(len(features))},
        lambda p, _: nnf.binary_cross_entropy_with_logits(logits(p, known), wanted, reduction="none").mean(1),
        steps=200,
        lr=0.1,
    )
    return logits(params, scaled).sigmoid()


def run(seeds: Sequence[int]) -> Scores:
    """Generate comparisons of digits from few and from many images; filter both; check on other images."""
    images, labels = digits()
    parts = split(labels, seeds, models=330, checking=570, test=897)
    truth = {
        name: statements(gaps(_means(images[parts[name]], labels[parts[name]])))
        for name in ("checking", "test")
    }
    scores = Scores()
    validity, numbers = {}, {}
    for size, count in (("small", 4), ("large", 30)):
        pool = _pool(images[parts["models"]], labels[parts["models"]], count)
        arms = _filtered(seeds, pool, truth["checking"], full=size == "small")
        for arm, kept in arms.items():
            said = (kept != 0).sum(dim=1)
            right = ((kept != 0) & (kept == truth["test"])).sum(dim=1)
            validity[f"{size}, {arm}"] = right / said.clamp(min=1)
            numbers[f"{size}, {arm}"] = said.to(torch.get_default_dtype())
    scores.add("validity", validity)
    scores.add("statements", numbers)
    return scores


def _filtered(seeds: Sequence[int], pool: Tensor, checking: Tensor, *, full: bool) -> dict[str, Tensor]:
    """Return what a model of the images in `pool`, shape (S, 10, m, 64), says under each treatment."""
    drawn = torch.stack([_resampled(own, seed) for own, seed in zip(pool, seeds, strict=True)])
    gap = gaps(drawn)
    said = statements(gap)
    kept = drop_contradicted(said)
    features = torch.stack(
        [
            kept * gap.mean(dim=1),
            gap.std(dim=1),
            (said == kept[:, None]).double().mean(dim=1),
            (said == -kept[:, None]).double().mean(dim=1),
        ],
        dim=-1,
    )
    checked = torch.stack(
        [_sample(own != 0, _CHECKED, (seed, 21)) for own, seed in zip(kept, seeds, strict=True)]
    )
    trusted = trust(features, checked, (kept == checking).double()) > _TRUST
    unseen = kept.scatter(1, checked, 0)  # what was checked is not scored
    arms = {"as generated": said[:, 0], "overgenerated and filtered": unseen * trusted}
    if not full:
        return arms | {"without sampling": statements(gaps(pool.mean(dim=2)))}
    numbers = (arms["overgenerated and filtered"] != 0).sum(dim=1).tolist()
    chance, strong = torch.zeros_like(kept), torch.zeros_like(kept)
    for s, (seed, number) in enumerate(zip(seeds, numbers, strict=True)):
        random = _sample(unseen[s] != 0, number, (seed, 22))
        largest = (unseen[s].abs() * features[s, :, 0]).argsort(descending=True, stable=True)[:number]
        chance[s, random], strong[s, largest] = kept[s, random], kept[s, largest]
    return arms | {"contradictions dropped": kept, "filtered at random": chance, "largest gaps kept": strong}


def _sample(among: Tensor, number: int, key: tuple[int, int]) -> Tensor:
    """Draw some of the places that are true."""
    places = among.nonzero()[:, 0].numpy()
    return torch.tensor(np.random.default_rng(key).permutation(places)[:number])


def _resampled(pool: Tensor, seed: int) -> Tensor:
    """Return mean images of the classes from resampled images, one set a generation: (G, 10, 64)."""
    rng = np.random.default_rng((seed, 20))
    places = torch.tensor(rng.integers(0, pool.shape[1], (_GENERATIONS, 10, pool.shape[1])))
    return pool[torch.arange(10)[:, None], places].mean(dim=2)


def _pool(images: Tensor, labels: Tensor, count: int) -> Tensor:
    """Return the first images of every class, shape (S, 10, count, 64)."""
    rows = [
        torch.stack([x[(y == c).nonzero()[:count, 0]] for c in range(10)])
        for x, y in zip(images, labels, strict=True)
    ]
    return torch.stack(rows)


def _means(images: Tensor, labels: Tensor) -> Tensor:
    """Return the mean image of every class, shape (S, 10, 64)."""
    member = nnf.one_hot(labels, 10).to(images.dtype).transpose(1, 2)
    return member @ images / member.sum(dim=-1, keepdim=True)
