"""Knowledge fusion: each client of a federation follows those whose data seem to be like its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench.data import digits, split
from ktlabs.bench.losses import cross_entropy, kl
from ktlabs.bench.nets import Grid, Params, Population, fit, mlp
from ktlabs.bench.runner import Scores

_CLIENTS, _IMAGES, _LOCAL, _ROUNDS, _STEPS, _LR = 5, 40, 100, 2, 20, 2e-2
#: Dirichlet concentration of a client's classes, and how many clients have labels that disagree.
_REGIMES = {"heterogeneous": (0.5, 0), "homogeneous": (5.0, 0), "conflicting": (5.0, 2)}
_KNOBS = [{"follow": share, "beta": beta} for share in (0.4, 0.8) for beta in (1.0, 10.0)]
_ARMS = {
    "average": [{"follow": share} for share in (0.2, 0.4, 0.6, 0.8)],
    "KnFu": _KNOBS, "shuffled neighbours": _KNOBS, "KnFu by answers": _KNOBS,
    "local training": [{"pace": pace} for pace in (0.25, 0.5, 1.0, 2.0)],
}  # fmt: skip


def estimated_classes(answers: Tensor) -> Tensor:
    r"""Return the distribution of classes that a client's model seems to have been trained on.

    .. math:: P_i(c) = \frac{1}{n} \sum_x p_i(c \mid x)

    Parameters
    ----------
    answers : Tensor, shape (..., K, n, C)
        Probabilities of K clients on the public examples.

    Returns
    -------
    Tensor, shape (..., K, 1, C)

    References
    ----------
    knfu, estimated probability distribution; that it is the mean of public answers is the lab's reading.
    """
    return answers.mean(dim=-2, keepdim=True)


def effectiveness(distributions: Tensor, beta: float | Tensor) -> Tensor:
    r"""Return how much each client should heed each other one.

    .. math:: W_{ij} = \frac{e^{-\beta \, \mathrm{KL}(P_i \,\|\, P_j)}}
              {\sum_k e^{-\beta \, \mathrm{KL}(P_i \,\|\, P_k)}}

    Parameters
    ----------
    distributions : Tensor, shape (..., K, n, C)
        Of classes, of K clients; divergences are averaged over n, which is 1 for `estimated_classes` and
        the number of examples for answers.
    beta : float or Tensor of shape (...)
        0 heeds all alike; the larger, the fewer are heeded.

    Returns
    -------
    Tensor, shape (..., K, K)
        Rows add up to 1.

    References
    ----------
    knfu, equation 8 (with beta 10).
    """
    log = distributions.clamp(min=1e-12).log()
    cross = torch.einsum("...inc,...jnc->...ij", distributions, log)
    own = cross.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
    apart = (own - cross) / distributions.shape[-2]
    return (-torch.as_tensor(beta)[..., None, None] * apart).softmax(dim=-1)


def fuse(weights: Tensor, answers: Tensor) -> Tensor:
    r"""Return what each client is to follow on the public examples.

    .. math:: q_i(x) = \sum_j W_{ij} \, p_j(x)

    Parameters
    ----------
    weights : Tensor, shape (..., K, K)
    answers : Tensor, shape (..., K, n, C)

    Returns
    -------
    Tensor, shape (..., K, n, C)

    References
    ----------
    knfu, personalised fusion.
    """
    return torch.einsum("...ij,...jnc->...inc", weights, answers)


def run(seeds: Sequence[int]) -> Scores:
    """Train five clients that share answers on public images, with their classes spread in three ways."""
    _, labels = digits()
    parts = split(labels, seeds, local=700, public=120, validation=250, test=640)
    scores = Scores()
    for regime, (concentration, odd) in _REGIMES.items():
        clients = _Clients(seeds, parts, concentration, odd)
        grid = Grid(range(len(seeds) * _CLIENTS), _ARMS)
        trained = _federate(grid, clients)
        chosen = grid.choose(clients.score(grid, trained, "validation"))
        found = grid.of(clients.score(grid, trained, "test"), chosen)
        scores.add(
            "accuracy", {arm: own.reshape(-1, _CLIENTS).mean(dim=1) for arm, own in found.items()}, regime
        )
    return scores


class _Clients:
    """What the clients of all seeds have, seed by seed: S * K rows."""

    def __init__(
        self, seeds: Sequence[int], parts: dict[str, Tensor], concentration: float, odd: int
    ) -> None:
        images, labels = digits()
        self.parts = {part: own.repeat_interleave(_CLIENTS, dim=0) for part, own in parts.items()}
        self.turn = 5 * (torch.arange(_CLIENTS) < odd).long().repeat(len(seeds))[:, None]
        shares, places = [], []
        for seed, pool in zip(seeds, parts["local"], strict=True):
            rng, own = np.random.default_rng((seed, 7)), pool.numpy()
            of_class = [own[labels[pool].numpy() == label] for label in range(10)]
            for _ in range(_CLIENTS):
                share = rng.dirichlet([concentration] * 10)
                places.append([rng.choice(of_class[c]) for c in rng.choice(10, _IMAGES, p=share)])
                shares.append(share)
        self.share = torch.tensor(np.array(shares))
        self.parts["local"] = torch.tensor(np.array(places))
        self.names = [10 * seed + client for seed in seeds for client in range(_CLIENTS)]
        self.net = Population(lambda: mlp(64, 12, 10), self.names)
        self.images, self.labels = images, labels

    def read(self, part: str) -> tuple[Tensor, Tensor]:
        """Return a part's images and labels as each client has them."""
        places = self.parts[part]
        return self.images[places], (self.labels[places] + self.turn) % 10

    def score(self, grid: Grid, params: Params, part: str) -> Tensor:
        """Return each row's accuracy on a client's own mix of classes."""
        (x, y), kinds = self.read(part), self.labels[self.parts[part]]
        counts = torch.nn.functional.one_hot(kinds, 10).sum(dim=1)
        weight = (self.share / counts).gather(1, kinds)
        right = self.net(params, grid.spread(x)).argmax(dim=-1) == grid.spread(y)
        return (right * grid.spread(weight)).sum(dim=-1)


def _federate(grid: Grid, clients: _Clients) -> Params:
    """Train locally, then in rounds towards what each arm fuses of the clients' answers."""
    net, (x, y) = clients.net, clients.read("local")
    params = fit(net.params, lambda p, _: cross_entropy(net(p, x), y), steps=_LOCAL, lr=_LR)
    params, x, y = grid.population(params), grid.spread(x), grid.spread(y)
    public = grid.spread(clients.read("public")[0])
    follow, local = grid["follow"], grid.on("local training")
    rate = _LR * torch.where(local > 0, grid["pace"], torch.ones_like(local))
    for number in range(_ROUNDS):
        answers = net(params, public).softmax(dim=-1)
        answers = answers.reshape(-1, _CLIENTS, *answers.shape[1:])
        target = fuse(_weights(grid, answers, number, clients.names), answers).flatten(0, 1)
        batch = public.shape[1] // _STEPS

        def loss(own: Params, step: int, target: Tensor = target, batch: int = batch) -> Tensor:
            now, half = slice(step * batch, (step + 1) * batch), slice(step % 2, None, 2)
            logits = net(own, torch.cat([x[:, half], public[:, now]], dim=1))
            labelled = cross_entropy(logits[:, : _IMAGES // 2], y[:, half])
            return (1 - follow) * labelled + follow * kl(target[:, now], logits[:, _IMAGES // 2 :])

        params = fit(params, loss, steps=_STEPS, lr=rate)
    return params


def _weights(grid: Grid, answers: Tensor, number: int, names: Sequence[int]) -> Tensor:
    """Return how much the clients of every arm heed each other, shape (P / K, K, K)."""
    beta = grid["beta"].reshape(-1, _CLIENTS)[:, 0]
    heeds = effectiveness(estimated_classes(answers), beta)
    orders = []
    for name in names:
        others = [client for client in range(_CLIENTS) if client != name % 10]
        order = np.arange(_CLIENTS)
        order[others] = np.random.default_rng((name, 8, number)).permutation(others)
        orders.append(order)
    mixed = grid.spread(torch.tensor(np.array(orders))).reshape(-1, _CLIENTS, _CLIENTS)
    kinds = {
        "average": torch.full_like(heeds, 1 / _CLIENTS),
        "shuffled neighbours": heeds.gather(-1, mixed),
        "KnFu by answers": effectiveness(answers, beta),
    }
    for arm, weights in kinds.items():
        rows = grid.on(arm).reshape(-1, _CLIENTS)[:, :1, None]
        heeds = torch.where(rows > 0, weights, heeds)
    return heeds
