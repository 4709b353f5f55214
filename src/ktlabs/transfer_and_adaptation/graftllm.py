"""GraftLLM: keep each skill as a compressed update of the base, with a codec that suits the module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, log2

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.data import batches, digits, pick, split, turned
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, accuracy, fit
from ktlabs.bench.runner import Scores

_SKILLS, _IMAGES, _STEPS, _BATCH = 4, 150, 50, 40
#: Rows of the embedding, length of an embedding, hidden units, classes.
_ROWS, _WIDTH, _HIDDEN, _CLASSES = 16 * 81, 6, 32, 10
_RATES = (0.01, 0.025, 0.06)
_COEFFICIENTS = (0.25, 0.4, 0.55)
#: Bits of a pack as a share of those of the whole update at 16 bits a value.
_SHARES = {"tenth": 0.1, "twentieth": 0.05}
#: Bits of a stored image, at 17 levels of ink for each of 64 pixels, and of its label.
_IMAGE_BITS = 64 * 5 + 4

Codec = Callable[[Tensor, float], Tensor]
#: Accuracies just after a skill was learnt and in the end, each (T, G * S), on validation and test.
_Found = tuple[dict[str, Tensor], dict[str, Tensor]]


def quantise(values: Tensor, bits: int) -> Tensor:
    r"""Return values rounded to a symmetric grid along the last dimension, with one scale each.

    .. math:: Q_b(x) = s \, \mathrm{round}(x / s), \qquad s = \max |x| / (2^{b - 1} - 1)

    The scale is one more number of 16 bits to be stored, which `prune` and `low_rank` count.

    Parameters
    ----------
    values : Tensor, shape (..., n)
    bits : int
        Of a value; at least 2.
    """
    scale = values.abs().amax(dim=-1, keepdim=True) / (2 ** (bits - 1) - 1)
    return torch.where(scale > 0, (values / scale.clamp(min=1e-300)).round() * scale, 0.0)


def prune(update: Tensor, budget: float) -> Tensor:
    """Return an update of which only the largest entries in size are kept, as many as the budget pays for.

    An entry costs 8 bits for its value and enough for its place; the scale costs 16 bits.

    Parameters
    ----------
    update : Tensor, shape (P, m, n)
    budget : float
        Bits for the module.

    References
    ----------
    graftllm (pruning among the codecs of a SkillPack).
    """
    flat = update.flatten(1)
    count = max(0, int((budget - 16) // (8 + ceil(log2(flat.shape[1])))))
    places = flat.abs().topk(min(count, flat.shape[1]), dim=1).indices
    kept = quantise(flat.gather(1, places), 8) if count else flat.gather(1, places)
    return torch.zeros_like(flat).scatter(1, places, kept).reshape(update.shape)


def low_rank(update: Tensor, budget: float, widths: Sequence[int] = (8, 4)) -> Tensor:
    r"""Return the leading singular components of an update, the first at higher precision.

    .. math:: \hat\Delta = \sum_r Q_{b_r}(\sigma_r u_r) \, Q_{b_r}(v_r)^\top, \qquad b_1 \ge b_2 \ge \dots

    A component costs :math:`b (m + n) + 32` bits, of which 32 are its two scales. Each precision but the
    last may spend half of what is left.

    Parameters
    ----------
    update : Tensor, shape (P, m, n)
    budget : float
        Bits for the module.
    widths : sequence of int
        Bits of a value, from the first components to the last.

    References
    ----------
    graftllm (mixed-precision low rank) and its official code, ``Adaptive-Compression/llama.py``: groups
    of columns at 16, 8, 4, 3 and 2 bits.
    """
    left, sizes, right = torch.linalg.svd(update, full_matrices=False)
    left, found, first = (left * sizes.unsqueeze(-2)).mT, torch.zeros_like(update), 0
    for place, bits in enumerate(widths):
        cost = bits * (update.shape[-2] + update.shape[-1]) + 32
        share = budget if place == len(widths) - 1 else budget / 2
        count = min(int(share // cost), sizes.shape[-1] - first)
        chosen = slice(first, first + count)
        found = found + quantise(left[:, chosen], bits).mT @ quantise(right[:, chosen], bits)
        first, budget = first + count, budget - count * cost
    return found


def skill_pack(update: Params, codecs: Sequence[Codec], share: float) -> Params:
    r"""Return an update as restored from its pack, each module by the codec that loses least there.

    .. math:: \hat\Delta_m = c_m(\Delta_m), \qquad
        c_m = \arg\min_{c \in C} \lVert \Delta_m - c(\Delta_m) \rVert_F

    All codecs have the same bits. With one codec the choice is gone, and so is what is module-aware.

    Parameters
    ----------
    update : dict of str to Tensor, each of shape (P, m, n)
        Fine-tuned minus base parameters.
    codecs : sequence of callable
        From an update and bits to what can be restored.
    share : float
        Bits of the pack, as a share of 16 for each value.

    References
    ----------
    graftllm (module-aware adaptive compression).
    """
    pack = {}
    for name, own in update.items():
        budget = share * 16 * own[0].numel()
        found = torch.stack([codec(own, budget) for codec in codecs], dim=1)
        best = (found - own.unsqueeze(1)).square().sum(dim=(-2, -1)).argmin(dim=1)
        pack[name] = found[torch.arange(len(own)), best]
    return pack


def _low_rank_16(update: Tensor, budget: float) -> Tensor:
    return low_rank(update, budget, (16,))


_CODECS: dict[str, Sequence[Codec]] = {
    "GraftLLM": (prune, _low_rank_16, low_rank),
    "pruning": (prune,),
    "low rank": (_low_rank_16,),
    "mixed low rank": (low_rank,),
}
_ARMS = (
    {arm: [{"lr": rate} for rate in _RATES] for arm in ("sequential", "replay", "whole updates", *_CODECS)}
    | {"merge": [{"coefficient": own} for own in _COEFFICIENTS]}
)  # fmt: skip


def run(seeds: Sequence[int]) -> Scores:
    """Teach a reader of upright digits four turned or mirrored forms, one after another."""
    images, labels = digits()
    parts = split(labels, seeds, base=300, train=_SKILLS * _IMAGES, validation=200, test=500)
    base = _base(seeds, _tokens(images[parts["base"]]), labels[parts["base"]])
    own = _skills(images[parts["train"]].reshape(len(seeds), _SKILLS, _IMAGES, 64).transpose(0, 1))
    train = own, labels[parts["train"]].reshape(len(seeds), _SKILLS, _IMAGES).transpose(0, 1)
    held = {
        part: (_skills(images[parts[part]].expand(_SKILLS, -1, -1, -1)), labels[parts[part]])
        for part in ("validation", "test")
    }
    tuned = _fine_tune(seeds, base, *train)
    rates = Grid(seeds, {"": _ARMS["sequential"]})

    def score(params: Params, part: str) -> Tensor:
        """Return accuracies (T, G * S) from parameters whose rows are skills by settings by seeds."""
        x, y = held[part]
        settings = len(params["head"]) // (_SKILLS * len(seeds))
        tokens = x.repeat(1, settings, 1, 1).flatten(0, 1)
        return accuracy(_forward(params, tokens), y.repeat(_SKILLS * settings, 1)).reshape(_SKILLS, -1)

    def both(params: Params) -> dict[str, Tensor]:
        return {part: score(params, part) for part in held}

    start = {name: rates.spread(value).repeat(_SKILLS, 1, 1) for name, value in base.items()}
    update = {name: tuned[name] - start[name] for name in tuned}
    fresh = both(tuned)
    weights = sum(value[0].numel() for value in base.values())
    stored = [min(int(share * 16 * weights // _IMAGE_BITS), _IMAGES) for share in _SHARES.values()]
    sequential, *replays = _sequences(seeds, base, train, [0, *stored], both)
    merge = _merge(seeds, start, update, fresh, both)
    report = Scores()
    for (regime, share), replay in zip(_SHARES.items(), replays, strict=True):
        found = {"sequential": sequential, "replay": replay, "whole updates": (fresh, fresh), "merge": merge}
        for arm, codecs in _CODECS.items():
            pack = skill_pack(update, codecs, share)
            found[arm] = fresh, both({name: start[name] + pack[name] for name in pack})
        _note(report, regime, seeds, found)
    return report


def _note(
    report: Scores,
    regime: str,
    seeds: Sequence[int],
    found: dict[str, _Found],
) -> None:
    """Choose settings by the mean validation accuracy on all skills in the end; score the test once."""
    grid = Grid(seeds, _ARMS)
    held = torch.cat([found[arm][1]["validation"].mean(dim=0) for arm in grid.arms])
    chosen = grid.choose(held)
    fresh, final = (torch.cat([found[arm][n]["test"] for arm in grid.arms], dim=1) for n in (0, 1))
    report.add("forgetting", grid.of((fresh - final)[:-1].mean(dim=0), chosen), regime)
    report.add("accuracy", grid.of(final.mean(dim=0), chosen), regime)


def _tokens(images: Tensor) -> Tensor:
    """Return rows of the embedding (..., 16): each 2 x 2 patch, at three levels of ink, at its place."""
    patches = images.reshape(*images.shape[:-1], 4, 2, 4, 2).transpose(-3, -2).flatten(-2).flatten(-3, -2)
    levels = (patches >= 0.25).long() + (patches >= 0.75).long()
    return (levels * torch.tensor([27, 9, 3, 1])).sum(dim=-1) + 81 * torch.arange(16)


def _skills(images: Tensor) -> Tensor:
    """Return tokens of each skill's form of its images (T, S, n, 64): three quarter turns, a mirror."""
    forms = [turned(own, quarters) for own, quarters in zip(images[:3], (1, 2, 3), strict=True)]
    mirrored = images[3].reshape(*images.shape[1:-1], 8, 8).mT.flatten(-2)
    return _tokens(torch.stack([*forms, mirrored]))


def _forward(params: Params, tokens: Tensor) -> Tensor:
    """Return logits (P, n, C) of tokens (P, n, 16)."""
    places = tokens.flatten(1).unsqueeze(-1).expand(-1, -1, _WIDTH)
    embedded = params["embedding"].gather(1, places).reshape(*tokens.shape[:2], -1)
    return (embedded @ params["hidden"].mT).relu() @ params["head"].mT


def _base(seeds: Sequence[int], tokens: Tensor, labels: Tensor) -> Params:
    """Train one network a seed on upright digits."""
    shapes = {
        "embedding": (_ROWS, _WIDTH, 0.3),
        "hidden": (_HIDDEN, 16 * _WIDTH, (2 / (16 * _WIDTH)) ** 0.5),
        "head": (_CLASSES, _HIDDEN, _HIDDEN**-0.5),
    }
    params = {}
    for place, (name, (rows, columns, size)) in enumerate(shapes.items()):
        drawn = [np.random.default_rng((seed, 10, place)).standard_normal((rows, columns)) for seed in seeds]
        params[name] = torch.tensor(np.stack(drawn)) * size
    order = batches(seeds, tokens.shape[1], _BATCH, 2 * _STEPS)

    def loss(own: Params, step: int) -> Tensor:
        return cross_entropy(_forward(own, pick(tokens, order[step])), pick(labels, order[step]))

    return fit(params, loss, steps=2 * _STEPS, lr=0.01, decay=0)


def _fine_tune(seeds: Sequence[int], base: Params, tokens: Tensor, labels: Tensor) -> Params:
    """Tune the base on each skill alone; rows are skills by learning rates by seeds."""
    grid = Grid(seeds, {f"skill {n}": _ARMS["sequential"] for n in range(_SKILLS)})
    x = tokens.repeat(1, len(_RATES), 1, 1).flatten(0, 1)
    y = labels.repeat(1, len(_RATES), 1).flatten(0, 1)
    order = batches(seeds, _IMAGES, _BATCH, _STEPS)

    def loss(own: Params, step: int) -> Tensor:
        at = grid.spread(order[step])
        return cross_entropy(_forward(own, pick(x, at)), pick(y, at))

    return fit(grid.population(base), loss, steps=_STEPS, lr=grid["lr"], decay=0)


def _sequences(
    seeds: Sequence[int],
    base: Params,
    train: tuple[Tensor, Tensor],
    memories: Sequence[int],
    both: Callable[[Params], dict[str, Tensor]],
) -> list[_Found]:
    """Tune networks on skill after skill; half of each batch may replay stored images of earlier ones.

    Gives what was found for each number of images stored of a skill.
    """
    grid = Grid(seeds, {str(memory): _ARMS["sequential"] for memory in memories})
    x, y = (grid.spread(own.transpose(0, 1).flatten(1, 2)) for own in train)
    params, fresh, last = grid.population(base), [], {}
    for skill in range(_SKILLS):
        new = batches(seeds, _IMAGES, _BATCH, _STEPS) + skill * _IMAGES
        orders = [_replayed(seeds, new, skill, memory).repeat(1, len(_RATES), 1) for memory in memories]
        order = torch.cat(orders, dim=1)

        def loss(own: Params, step: int, order: Tensor = order) -> Tensor:
            return cross_entropy(_forward(own, pick(x, order[step])), pick(y, order[step]))

        params = fit(params, loss, steps=_STEPS, lr=grid["lr"], decay=0)
        last = both({name: value.repeat(_SKILLS, 1, 1) for name, value in params.items()})
        fresh.append({part: own[skill] for part, own in last.items()})
    learnt = {part: torch.stack([own[part] for own in fresh]) for part in last}

    def cut(found: dict[str, Tensor], n: int) -> dict[str, Tensor]:
        return {part: own.chunk(len(memories), dim=1)[n] for part, own in found.items()}

    return [(cut(learnt, n), cut(last, n)) for n in range(len(memories))]


def _replayed(seeds: Sequence[int], new: Tensor, skill: int, memory: int) -> Tensor:
    """Return batches (steps, S, b) of which half are stored images of earlier skills, if there are any."""
    if not memory or not skill:
        return new
    order, shape = new.clone(), (_STEPS, _BATCH // 2)
    for place, seed in enumerate(seeds):
        rng = np.random.default_rng((seed, 11, skill))
        old = rng.integers(skill, size=shape) * _IMAGES + rng.integers(memory, size=shape)
        order[:, place, : _BATCH // 2] = torch.tensor(old)
    return order


def _merge(
    seeds: Sequence[int],
    start: Params,
    update: Params,
    fresh: dict[str, Tensor],
    both: Callable[[Params], dict[str, Tensor]],
) -> _Found:
    """Add the updates of all skills, scaled; of the learning rate that tunes single skills best."""
    held = fresh["validation"].reshape(_SKILLS, len(_RATES), -1)
    best = int(held.mean(dim=(0, 2)).argmax())
    size = torch.tensor(_COEFFICIENTS).repeat_interleave(len(seeds))[:, None, None]
    merged = {}
    for name, value in update.items():
        of_rate = value.reshape(_SKILLS, len(_RATES), len(seeds), *value.shape[1:])[:, best]
        common = of_rate.sum(dim=0).repeat(len(_COEFFICIENTS), 1, 1)
        merged[name] = (start[name][: len(common)] + size * common).repeat(_SKILLS, 1, 1)
    alone = {
        part: own.reshape(_SKILLS, len(_RATES), -1)[:, best].repeat(1, len(_COEFFICIENTS))
        for part, own in fresh.items()
    }
    return alone, both(merged)
