"""Talking Models: the student asks the teacher about an image, and learns from what it hears."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ktlabs.bench.data import digits, noise, split
from ktlabs.bench.losses import cross_entropy, distillation, mean_squared_error
from ktlabs.bench.nets import Grid, Params, Population, accuracy, fit, mlp
from ktlabs.bench.runner import Scores

_STUDENT, _TEACHER, _MESSAGE, _STEPS = 16, 64, 16, 120
_RATE = 1e-2
_KD = [{"lr": _RATE, "temperature": heat, "kd": 1.0} for heat in (2.0, 4.0, 8.0, 16.0)]
_MORE = [
    {"lr": _RATE, "temperature": heat, "kd": 1.0, "weight": weight}
    for heat in (4.0, 8.0)
    for weight in (0.03, 0.3)
]
_ARMS = {
    "labels only": [{"lr": rate, "temperature": 1.0} for rate in (1e-3, 3e-3, 1e-2, 3e-2)],
    "KD": _KD,
    "KD and hint": _MORE,
    "KD and talk": _MORE,
    "KD and talk to a random teacher": _MORE,
}
#: What a forward pass yields, by name and width.
_YIELDS = {
    "logits": 10, "state": _STUDENT, "heard": _STUDENT, "answer": 10, "understood": _TEACHER,
    "reply": _MESSAGE, "own": _MESSAGE, "guided": _TEACHER,
}  # fmt: skip


class Talker(nn.Module):
    r"""A student of two layers, with what both sides need to talk.

    .. math:: m_S = E_S(h_S), \quad m_T = E_T\left(U_T(D_T(m_S))\right), \quad h_S' = D_S(m_T)

    The student encodes its lower state :math:`h_S` into a message; the teacher decodes it into a lower
    state of its own, takes that through its frozen upper layer :math:`U_T` and encodes what comes out;
    the student decodes the reply into an upper state.

    References
    ----------
    talking-models, abstract (encoders and decoders of both, one round of talk).
    """

    def __init__(self) -> None:
        super().__init__()
        self.lower, self.upper = nn.Linear(64, _STUDENT), nn.Linear(_STUDENT, _STUDENT)
        self.head = nn.Linear(_STUDENT, 10)
        self.student_encoder, self.student_decoder = (
            nn.Linear(_STUDENT, _MESSAGE),
            nn.Linear(_MESSAGE, _STUDENT),
        )
        self.teacher_encoder, self.teacher_decoder = (
            nn.Linear(_TEACHER, _MESSAGE),
            nn.Linear(_MESSAGE, _TEACHER),
        )
        self.guide = nn.Linear(_STUDENT, _TEACHER)

    def forward(self, x: Tensor, told: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Map images (n, 64), the teacher's upper states (n, 64) and its upper layer to `_YIELDS`, joined."""
        lower = self.lower(x).relu()
        state = self.upper(lower).relu()
        understood = self.teacher_decoder(self.student_encoder(lower)).relu()
        reply = self.teacher_encoder((understood @ weight.T + bias).relu())
        heard = self.student_decoder(reply).relu()
        own = self.teacher_encoder(told)
        parts = (
            self.head(state), state, heard, self.head(heard), understood, reply, own, self.guide(state),
        )  # fmt: skip
        return torch.cat(parts, dim=-1)


def talk_loss(yielded: dict[str, Tensor], labels: Tensor, teacher_lower: Tensor) -> dict[str, Tensor]:
    r"""Return what the talk is judged by, one value a row each.

    ``interaction``: the state heard must solve the task, and the student's own state follows it
    (:math:`\mathrm{CE}(\mathrm{head}(h_S')) + \|h_2 - h_S'\|^2`, the latter not moving
    :math:`h_S'`, or both would shrink). ``state``: the teacher understands, so that what it decodes is
    its own lower state of this image. ``message``: its reply is what it would say of its own upper state.

    Parameters
    ----------
    yielded : dict of str to Tensor
        What `Talker` yields, each of shape (..., n, width).
    labels : Tensor, shape (..., n)
    teacher_lower : Tensor, shape (..., n, 64)

    References
    ----------
    talking-models, whose interaction, state-consistency and message-consistency losses these stand for.
    """
    heard = yielded["heard"]
    return {
        "interaction": cross_entropy(yielded["answer"], labels)
        + mean_squared_error(yielded["state"], heard.detach()),
        "state": mean_squared_error(yielded["understood"], teacher_lower),
        "message": mean_squared_error(yielded["reply"], yielded["own"]),
    }


def run(seeds: Sequence[int]) -> Scores:
    """Pretrain teachers on clean images, and teach students a task of blurred ones."""
    images, labels = digits()
    parts = split(labels, seeds, teacher=600, train=60, validation=200, test=800)
    pools = {name: (images[places], labels[places]) for name, places in parts.items()}
    for purpose, name in enumerate(("train", "validation", "test"), start=190):
        x, y = pools[name]
        pools[name] = (_disturbed(x, seeds, purpose), y)
    large = Population(lambda: mlp(64, _TEACHER, _TEACHER, 10), [seed + 1000 for seed in seeds])
    x, y = pools["teacher"]
    teacher = fit(large.params, lambda p, _: cross_entropy(large(p, x), y), steps=120, lr=3e-3)
    x, y = pools["test"]
    scores = Scores()
    scores.add("accuracy", _learn(seeds, teacher, pools) | {"teacher": accuracy(large(teacher, x), y)})
    return scores


def _disturbed(images: Tensor, seeds: Sequence[int], purpose: int) -> Tensor:
    """Add noise to images (S, n, 64) and blank a share of their pixels."""
    blank = [np.random.default_rng((seed, purpose, 1)).random(images.shape[1:]) < 0.15 for seed in seeds]
    blurred = images + 0.25 * noise(seeds, *images.shape[1:], purpose=purpose)
    return torch.where(torch.tensor(np.stack(blank)), torch.zeros_like(images), blurred)


def _states(teacher: Params, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the teacher's lower and upper states and its logits."""
    lower = (x @ teacher["0.weight"].mT + teacher["0.bias"].unsqueeze(1)).relu()
    upper = (lower @ teacher["2.weight"].mT + teacher["2.bias"].unsqueeze(1)).relu()
    return lower, upper, upper @ teacher["4.weight"].mT + teacher["4.bias"].unsqueeze(1)


def _learn(
    seeds: Sequence[int], teacher: Params, pools: dict[str, tuple[Tensor, Tensor]]
) -> dict[str, Tensor]:
    """Train the students of every arm; return test accuracies by arm."""
    grid = Grid(seeds, _ARMS)
    net = Population(Talker, seeds)
    random = Population(lambda: mlp(_TEACHER, _TEACHER), [seed + 3000 for seed in seeds]).params
    astray = grid.on("KD and talk to a random teacher")
    x, y = (grid.spread(own) for own in pools["train"])
    lower, upper, logits = (grid.spread(own) for own in _states(teacher, pools["train"][0]))
    weight = torch.where(
        astray[:, None, None] > 0, grid.spread(random["0.weight"]), grid.spread(teacher["2.weight"])
    )
    bias = torch.where(astray[:, None] > 0, grid.spread(random["0.bias"]), grid.spread(teacher["2.bias"]))
    wrong = (torch.einsum("pni,poi->pno", lower, weight) + bias.unsqueeze(1)).relu()
    told = torch.where(astray[:, None, None] > 0, wrong, upper)
    talks = grid.on("KD and talk", "KD and talk to a random teacher") * grid["weight"]
    hints = grid.on("KD and hint") * grid["weight"]

    def yields(params: Params, seen: Tensor, states: Tensor) -> dict[str, Tensor]:
        joined = torch.split(net(params, seen, states, weight, bias), list(_YIELDS.values()), dim=-1)
        return dict(zip(_YIELDS, joined, strict=True))

    def loss(params: Params, _: int) -> Tensor:
        found = yields(params, x, told)
        taught = cross_entropy(found["logits"], y) + grid["kd"] * distillation(
            logits, found["logits"], grid["temperature"]
        )
        talk = torch.stack(list(talk_loss(found, y, lower).values())).sum(dim=0)
        return taught + talks * talk + hints * mean_squared_error(found["guided"], upper)

    trained = fit(grid.population(net.params), loss, steps=_STEPS, lr=grid["lr"])
    scored = {}
    for part in ("validation", "test"):
        seen, right = (grid.spread(own) for own in pools[part])
        blank = torch.zeros(*seen.shape[:2], _TEACHER)
        scored[part] = accuracy(yields(trained, seen, blank)["logits"], right)
    return grid.of(scored["test"], grid.choose(scored["validation"]))
