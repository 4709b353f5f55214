"""General knowledge transfer between two pretrained classifiers, by partitioning the data."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ktlabs.bench.data import batches, digits, pick, split
from ktlabs.bench.losses import cross_entropy, kl
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores

#: Images of each of the teacher's own and other classes; the student has 20 and 3 the other way round.
_TEACHERS = {"weaker": (6, 1), "equal": (20, 3), "stronger": (45, 15)}
_RATES = [{"lr": rate} for rate in (1e-3, 3e-3, 1e-2)]


def partition(teacher: Tensor, student: Tensor) -> Tensor:
    r"""Return the target of each example: whichever of two models is the more confident.

    .. math:: q(x) = p_T(x) \text{ if } \max p_T(x) > \max p_0(x) \text{ else } p_0(x)

    Needs no label. Examples on which the frozen student :math:`p_0` is the surer keep its own answer,
    which is what protects what it knows.

    Parameters
    ----------
    teacher, student : Tensor, shape (..., n, C)
        Logits of the teacher and of the student before transfer.

    Returns
    -------
    Tensor, shape (..., n, C)
        Probabilities.

    References
    ----------
    fantastic-gains, section 4.2 (unsupervised data partitioning).
    """
    theirs, own = teacher.softmax(dim=-1), student.softmax(dim=-1)
    surer = theirs.amax(dim=-1, keepdim=True) > own.amax(dim=-1, keepdim=True)
    return torch.where(surer, theirs, own)


def run(seeds: Sequence[int]) -> Scores:
    """Transfer from teachers of three strengths that know other classes best than the student does."""
    images, labels = digits()
    parts = split(labels, seeds, train=800, validation=200, test=797)
    pools = {name: (images[places], labels[places]) for name, places in parts.items()}
    student = _expert(seeds, pools["train"], many=20, few=3, own_first=True)
    scores = Scores()
    for regime, (many, few) in _TEACHERS.items():
        teacher = _expert(seeds, pools["train"], many=many, few=few, own_first=False)
        arms = _transfer(seeds, student, teacher, pools)
        net = Population(lambda: mlp(64, 32, 10), seeds)
        x, y = pools["test"]
        scores.add("accuracy", arms | {"no transfer": accuracy(net(student, x), y)}, regime)
    return scores


def _expert(
    seeds: Sequence[int], pool: tuple[Tensor, Tensor], *, many: int, few: int, own_first: bool
) -> Params:
    """Train a classifier on many images of five classes and few of the other five."""
    x, y = pool
    chosen = []
    for own in y:
        counts = [many if (label < 5) == own_first else few for label in range(10)]
        chosen.append(torch.cat([(own == c).nonzero()[:n, 0] for c, n in enumerate(counts)]))
    places = torch.stack(chosen)
    x, y = pick(x, places), pick(y, places)
    net = Population(lambda: mlp(64, 32, 10), seeds if own_first else [seed + 1000 for seed in seeds])
    return fit(net.params, lambda p, _: cross_entropy(net(p, x), y), steps=150, lr=1e-2)


def _transfer(
    seeds: Sequence[int], student: Params, teacher: Params, pools: dict[str, tuple[Tensor, Tensor]]
) -> dict[str, Tensor]:
    """Train the student towards each arm's target; return test accuracies by arm, shape (S,)."""
    grid = Grid(seeds, dict.fromkeys(("KL everywhere", "data partitioning", "random partition"), _RATES))
    net = Population(lambda: mlp(64, 32, 10), seeds)
    x = pools["train"][0]
    theirs, own = net(teacher, x), net(student, x)
    parted = partition(theirs, own)
    share = (parted == theirs.softmax(dim=-1)).all(dim=-1).to(x.dtype).mean(dim=-1)
    coins = torch.stack([torch.rand(x.shape[1], generator=torch.Generator().manual_seed(s)) for s in seeds])
    random = torch.where((coins < share[:, None])[..., None], theirs.softmax(dim=-1), own.softmax(dim=-1))
    target = torch.cat([theirs.softmax(dim=-1)] * 3 + [parted] * 3 + [random] * 3)
    order = batches(seeds, x.shape[1], 100, 150)

    def loss(params: Params, step: int) -> Tensor:
        now = grid.spread(order[step])
        return kl(pick(target, now), net(params, grid.spread(pick(x, order[step]))))

    trained = fit(grid.population(student), loss, steps=150, lr=grid["lr"])
    scored = {
        part: accuracy(net(trained, grid.spread(pools[part][0])), grid.spread(pools[part][1]))
        for part in ("validation", "test")
    }
    return grid.of(scored["test"], grid.choose(scored["validation"]))
