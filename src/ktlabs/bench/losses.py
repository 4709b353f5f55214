"""Losses that several labs share: one value a network, from logits of shape (..., n, C).

The last two dimensions, examples and classes, are reduced; any dimension before them, such as the
rows of a population, stays.
"""

from __future__ import annotations

import torch.nn.functional as nnf
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy, in nats, from labels of shape (..., n)."""
    picked = logits.log_softmax(dim=-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    return -picked.mean(dim=-1)


def kl(target: Tensor, logits: Tensor) -> Tensor:
    """Return the mean over examples of KL(target || softmax(logits)), in nats.

    Parameters
    ----------
    target : Tensor, shape (..., n, C)
        Probabilities.
    logits : Tensor, shape (..., n, C)
    """
    return (target.xlogy(target) - target * logits.log_softmax(dim=-1)).sum(dim=-1).mean(dim=-1)


def distillation(teacher: Tensor, student: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    r"""Return the temperature-scaled distillation loss, in nats.

    .. math:: \tau^2 \, \mathrm{KL}(\mathrm{softmax}(t / \tau) \,\|\, \mathrm{softmax}(s / \tau))

    The factor keeps the size of gradients as the temperature changes.

    Parameters
    ----------
    teacher, student : Tensor, shape (..., n, C)
        Logits.
    temperature : float or Tensor of shape (...)
        One value for all, or one a network.

    References
    ----------
    G. Hinton, O. Vinyals and J. Dean, Distilling the Knowledge in a Neural Network (2015), section 2.
    """
    if isinstance(temperature, Tensor):
        spread = temperature[..., None, None]
        return temperature**2 * kl((teacher / spread).softmax(dim=-1), student / spread)
    return temperature**2 * kl((teacher / temperature).softmax(dim=-1), student / temperature)


def mean_squared_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean squared error over the last two dimensions."""
    return nnf.mse_loss(found, wanted, reduction="none").mean(dim=(-2, -1))
