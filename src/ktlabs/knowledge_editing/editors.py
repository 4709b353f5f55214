r"""Knowledge editors behind one small interface, for labs that change what a network has stored.

An editor sees a network through one linear map of it, ``value = weight @ key``, and what comes after
(`Network`). Rows are copies of the network that are edited apart: of a seed, under a setting, for a fact.
It takes prompts with the answers they shall get, and returns what the edited network answers.

==================  ===========================================  ======================================
editor              what it does                                 whose it is
==================  ===========================================  ======================================
`FineTuning`        gradient steps on the map, until the answer  the usual baseline
                    is likely enough
`RankOne`           the one rank-one change that stores a value  ROME (Meng, Bau, Andonian and Belinkov,
                    and least changes what ordinary keys give    2022), section 3.1 and appendix A
`ManyEdits`         the change that stores many at once in the   MEMIT (Meng, Sen Sharma, Andonian,
                    sense of least squares                       Belinkov and Bau, 2023), section 4.2
`memory`            keeps the edits beside the network and       SERAC (Mitchell et al., 2022), with a
                    answers from them where a prompt is close    threshold in place of a classifier
==================  ===========================================  ======================================

The first three are rules for the change of the map, which `at_once` and `one_by_one` make editors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

#: From prompts of each row, shape (P, m), to the answers' numbers, shape (P, m).
Answers = Callable[[Tensor], Tensor]


class Network(Protocol):
    """A network seen from one linear map of it; prompts and answers go by number.

    Attributes
    ----------
    weight : Tensor, shape (P, v, k)
        The map, for each of P rows; editors never change it.
    """

    weight: Tensor

    def on(self, rows: Tensor) -> Network:
        """Return some of the rows."""

    def keys(self, prompts: Tensor) -> Tensor:
        """Return what the map takes where prompts (P, n) name their subject, shape (P, n, k)."""

    def log_probs(
        self, prompts: Tensor, change: Tensor | None = None, values: Tensor | None = None
    ) -> Tensor:
        """Return log-probabilities of all answers to prompts (P, n), shape (P, n, answers).

        Parameters
        ----------
        prompts : Tensor, shape (P, n)
        change : Tensor, shape (P, v, k), optional
            Added to the map.
        values : Tensor, shape (P, n, v), optional
            Take the place of what the map gives where prompts name their subject.
        """

    def features(self, prompts: Tensor) -> Tensor:
        """Return what a memory compares prompts (P, n) by, vectors of length 1, shape (P, n, d)."""


#: From network, prompts (P, n), targets (P, n) and the change so far to the change after the edits.
Rule = Callable[[Network, Tensor, Tensor, Tensor | None], Tensor]
Editor = Callable[[Network, Tensor, Tensor], Answers]


def rank_one(weight: Tensor, key: Tensor, value: Tensor, precision: Tensor) -> Tensor:
    r"""Return the change that stores a value at a key and least changes what ordinary keys give.

    .. math:: \Delta = (v_* - W k_*) \frac{(C^{-1} k_*)^\top}{k_*^\top C^{-1} k_*}

    Of all changes with :math:`(W + \Delta) k_* = v_*` it has the least
    :math:`\mathbb{E} \lVert \Delta k \rVert^2` over keys of second moment C. It changes nothing for keys
    that are orthogonal to :math:`C^{-1} k_*`; with C = I, for keys orthogonal to the key.

    Parameters
    ----------
    weight : Tensor, shape (P, v, k)
    key : Tensor, shape (P, k)
    value : Tensor, shape (P, v)
    precision : Tensor, shape (k, k) or (P, k, k)
        The inverse of C, which may be known up to a factor.

    Returns
    -------
    Tensor, shape (P, v, k)

    References
    ----------
    K. Meng, D. Bau, A. Andonian and Y. Belinkov, Locating and Editing Factual Associations in GPT
    (2022), equation 2; the editor ROME of knowedit and easyedit.
    """
    turned = (precision @ key[..., None])[..., 0]
    gain = turned / (key * turned).sum(dim=-1, keepdim=True)
    missing = value - (weight @ key[..., None])[..., 0]
    return missing[..., None] * gain[..., None, :]


def many(weight: Tensor, keys: Tensor, values: Tensor, precision: Tensor, strength: float | Tensor) -> Tensor:
    r"""Return the change that stores many values in the sense of least squares.

    .. math:: \Delta = (V - W K) K^\top \left(\lambda C + K K^\top\right)^{-1}
        = (V - W K) \left(\lambda I + K^\top C^{-1} K\right)^{-1} K^\top C^{-1}

    The second form, which is computed, inverts a matrix as large as there are edits. With one edit and
    :math:`\lambda \to 0` it is `rank_one`.

    Parameters
    ----------
    weight : Tensor, shape (P, v, k)
    keys : Tensor, shape (P, n, k)
    values : Tensor, shape (P, n, v)
    precision : Tensor, shape (k, k) or (P, k, k)
        The inverse of C.
    strength : float or Tensor of shape (P,)
        How much leaving ordinary keys alone weighs against storing, for keys as long as these.

    References
    ----------
    K. Meng, A. Sen Sharma, A. Andonian, Y. Belinkov and D. Bau, Mass-Editing Memory in a Transformer
    (2023), equation 14; the editor MEMIT of knowedit and easyedit.
    """
    turned = keys @ precision
    gram = turned @ keys.mT
    size = torch.as_tensor(strength, dtype=keys.dtype, device=keys.device)[..., None, None]
    gains = torch.linalg.solve(gram + size * torch.eye(gram.shape[-1], dtype=keys.dtype), turned)
    change: Tensor = (values - keys @ weight.mT).mT @ gains
    return change


def inverse_moment(keys: Tensor, ridge: float | Tensor = 1e-3) -> Tensor:
    """Return the inverse of the second moment of ordinary keys (..., n, k), shape (..., k, k).

    With a share `ridge` of its mean diagonal added to the diagonal, for keys that never vary.
    """
    moment = keys.mT @ keys / keys.shape[-2]
    added = ridge * moment.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
    found: Tensor = torch.linalg.inv(
        moment + added[..., None, None] * torch.eye(keys.shape[-1], dtype=keys.dtype)
    )
    return found


def descend(
    start: Tensor,
    score: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    *,
    steps: int,
    lr: float | Tensor,
    stop: float | Tensor,
    plain: float | Tensor = 0.0,
) -> Tensor:
    """Follow each row's gradient until its target is likely enough; rows that are there stand still.

    Parameters
    ----------
    start : Tensor, shape (P, ...)
    score : callable
        From where some rows stand, and which rows they are, to their losses and the probabilities of
        their least likely targets.
    steps : int
    lr : float or Tensor of shape (P,)
    stop : float or Tensor of shape (P,)
        Probability.
    plain : float or Tensor of shape (P,), optional
        1 for gradient descent, 0 for Adam.

    Raises
    ------
    ValueError
        If the loss is not one value a row.
    """
    rate, enough, simple = (_by_row(own, start) for own in (lr, stop, plain))
    shape = (-1, *[1] * (start.dim() - 1))
    at, found, now = (
        torch.arange(len(start), device=start.device),
        start.detach().clone(),
        start.detach().clone(),
    )
    first, second = torch.zeros_like(now), torch.zeros_like(now)
    for step in range(1, steps + 1):
        now.requires_grad_()
        loss, probability = score(now, at)
        if loss.shape != at.shape:
            raise ValueError(
                f"the loss has shape {tuple(loss.shape)}; it must be one value a row, ({len(at)},)"
            )
        going = probability.detach() < enough[at]
        grad = torch.autograd.grad(loss[going].sum(), now)[0] if going.any() else torch.zeros_like(now)
        now = now.detach()
        if not going.all():  # keep the rows that still move
            found[at[~going]] = now[~going]
            at, now, first, second, grad = (own[going] for own in (at, now, first, second, grad))
        if not len(at):
            break
        first.lerp_(grad, 0.1)
        second.mul_(0.999).addcmul_(grad, grad, value=0.001)
        move = second.div(1 - 0.999**step).sqrt_().add_(1e-8)
        torch.div(first, move, out=move).div_(1 - 0.9**step)
        if simple[at].any():
            move = torch.where(simple[at].reshape(shape) > 0, grad, move)
        now.sub_(move.mul_(rate[at].reshape(shape)))
    found[at] = now
    return found


def _by_row(own: float | Tensor, like: Tensor) -> Tensor:
    """Return a setting of every row, shape (P,)."""
    return torch.as_tensor(own, dtype=like.dtype, device=like.device).expand(len(like))


def _outcome(found: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's mean loss and least probability of its targets, from (P, n, answers)."""
    own = found.gather(-1, targets[..., None])[..., 0]
    return -own.mean(dim=-1), own.exp().amin(dim=-1)


@dataclass(frozen=True)
class FineTuning:
    r"""Gradient steps on the map, with early stopping: a `Rule`.

    On one prompt with one key and without Adam it moves the map along that key only, so that it is
    `rank_one` with C = I for the value at which it stops.

    Attributes
    ----------
    steps, lr, stop, plain
        As `descend` takes them.
    ordinary : Tensor, shape (P, m, k), optional
        Keys whose values shall stay; with `replay` r the loss grows by
        :math:`r \, \mathbb{E} \lVert \Delta k \rVert^2 / \mathbb{E} \lVert W k \rVert^2`.
    replay : float or Tensor of shape (P,)
    """

    steps: int
    lr: float | Tensor
    stop: float | Tensor
    plain: float | Tensor = 0.0
    ordinary: Tensor | None = None
    replay: float | Tensor = 0.0

    def __call__(
        self, network: Network, prompts: Tensor, targets: Tensor, change: Tensor | None = None
    ) -> Tensor:
        """Return the change after the edits."""
        kept, scale = self.ordinary, _by_row(self.replay, network.weight)
        if kept is not None:
            scale = scale / (kept @ network.weight.mT).square().mean(dim=(-2, -1))

        def score(own: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
            loss, probability = _outcome(network.on(at).log_probs(prompts[at], change=own), targets[at])
            if kept is not None:
                loss = loss + scale[at] * (kept[at] @ own.mT).square().mean(dim=(-2, -1))
            return loss, probability

        start = torch.zeros_like(network.weight) if change is None else change
        return descend(start, score, steps=self.steps, lr=self.lr, stop=self.stop, plain=self.plain)


@dataclass(frozen=True)
class Values:
    r"""Finds the values that make a network give the wanted answers.

    .. math:: v_* = \arg\min_v -\log p(o_* \mid v) + a \frac{\lVert v - v_0 \rVert^2}{\lVert v_0 \rVert^2}

    Attributes
    ----------
    steps, lr, stop
        As `descend` takes them; the rate is in units of the typical size of an element of the value.
    pull : float or Tensor of shape (P,)
        The factor a.

    References
    ----------
    ROME, equation 4, without its second term, which keeps what the subject is.
    """

    steps: int
    lr: float
    stop: float | Tensor
    pull: float | Tensor

    def __call__(self, network: Network, prompts: Tensor, targets: Tensor, change: Tensor | None) -> Tensor:
        """Return the values, shape (P, n, v); each edit's is found as if there were no other."""
        if prompts.shape[1] > 1:
            each = [self(network, own, wanted, change) for own, wanted in _each(prompts, targets)]
            return torch.cat(each, dim=1)
        weight = network.weight if change is None else network.weight + change
        begin = network.keys(prompts) @ weight.mT
        scale = begin.square().mean(dim=-1, keepdim=True).sqrt()
        pull = _by_row(self.pull, begin)[:, None]

        def score(moved: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
            found = network.on(at).log_probs(
                prompts[at], None if change is None else change[at], begin[at] + scale[at] * moved
            )
            own = found.gather(-1, targets[at][..., None])[..., 0]
            return (pull[at] * moved.square().mean(dim=-1) - own).sum(dim=-1), own.exp().amin(dim=-1)

        moved = descend(torch.zeros_like(begin), score, steps=self.steps, lr=self.lr, stop=self.stop)
        return begin + scale * moved


@dataclass(frozen=True)
class RankOne:
    """Stores one edit by `rank_one`, several one after another: a `Rule`.

    Attributes
    ----------
    values : Values
    precision : Tensor, shape (k, k) or (P, k, k)
        The identity, to leave the covariance out.
    """

    values: Rule
    precision: Tensor

    def __call__(
        self, network: Network, prompts: Tensor, targets: Tensor, change: Tensor | None = None
    ) -> Tensor:
        """Return the change after the edits."""
        change = torch.zeros_like(network.weight) if change is None else change
        for own, wanted in _each(prompts, targets):
            value = self.values(network, own, wanted, change)[:, 0]
            change = change + rank_one(
                network.weight + change, network.keys(own)[:, 0], value, self.precision
            )
        return change


@dataclass(frozen=True)
class ManyEdits:
    """Stores all edits at once by `many`: a `Rule`.

    Attributes
    ----------
    values : Values
    precision : Tensor, shape (k, k) or (P, k, k)
    strength : float or Tensor of shape (P,)
    """

    values: Rule
    precision: Tensor
    strength: float | Tensor

    def __call__(
        self, network: Network, prompts: Tensor, targets: Tensor, change: Tensor | None = None
    ) -> Tensor:
        """Return the change after the edits."""
        change = torch.zeros_like(network.weight) if change is None else change
        values = self.values(network, prompts, targets, change)
        return change + many(
            network.weight + change, network.keys(prompts), values, self.precision, self.strength
        )


def _each(prompts: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield edits one after another, each (P, 1)."""
    for n in range(prompts.shape[1]):
        yield prompts[:, n : n + 1], targets[:, n : n + 1]


def at_once(rule: Rule) -> Editor:
    """Make a rule an editor that gets all edits together."""

    def edit(network: Network, prompts: Tensor, targets: Tensor) -> Answers:
        change = rule(network, prompts, targets, None)
        return lambda asked: network.log_probs(asked, change=change).argmax(dim=-1)

    return edit


def one_by_one(rule: Rule) -> Editor:
    """Make a rule an editor that gets edits one after another and keeps the earlier ones in place."""

    def all_of(network: Network, prompts: Tensor, targets: Tensor, change: Tensor | None) -> Tensor:
        for own, wanted in _each(prompts, targets):
            change = rule(network, own, wanted, change)
        assert change is not None  # noqa: S101 - there is an edit
        return change

    return at_once(all_of)


def memory(threshold: float | Tensor) -> Editor:
    r"""Return an editor that leaves the network alone and answers from the nearest edit if it is near.

    .. math:: \mathrm{answer}(x) = y_j \text{ if } \max_i s(x, x_i) = s(x, x_j) \ge \tau
        \text{ else } \mathrm{network}(x)

    Parameters
    ----------
    threshold : float or Tensor of shape (P,)
        The cosine of features from which a prompt is in an edit's scope.

    References
    ----------
    E. Mitchell, C. Lin, A. Bosselut, C. D. Manning and C. Finn, Memory-Based Model Editing at Scale
    (2022), section 3, with a cosine for the learnt scope, and the stored answer for a second model.
    """

    def edit(network: Network, prompts: Tensor, targets: Tensor) -> Answers:
        stored = network.features(prompts)

        def answer(asked: Tensor) -> Tensor:
            near, which = (network.features(asked) @ stored.mT).max(dim=-1)
            least = torch.as_tensor(threshold, dtype=near.dtype, device=near.device)[..., None]
            own = network.log_probs(asked).argmax(dim=-1)
            return torch.where(near >= least, targets.gather(1, which), own)

        return answer

    return edit
