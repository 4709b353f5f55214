"""Train many small networks as rows of one population.

A population is a dict of parameter tensors with a leading dimension P: a row is one network, of one
seed under one setting of one arm. All rows see their own data and learning rate and never mix, so a
row equals the network trained alone, and P networks cost little more than one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

Params = dict[str, Tensor]
Setting = Mapping[str, float]
#: Where training is chaotic, parameters are kept at multiples of this; see `fit`.
GRAIN = 2.0**-18


class Population:
    """Networks of one shape, one a seed, callable on all rows at once.

    Parameters
    ----------
    make : callable
        Builds one network; called once a seed, after seeding torch with it.
    seeds : sequence of int

    Attributes
    ----------
    params : dict of str to Tensor
        The initial parameters, each of shape (S, ...). `Grid.spread` repeats them over settings.
    """

    def __init__(self, make: Callable[[], nn.Module], seeds: Sequence[int]) -> None:
        modules = []
        for seed in seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                modules.append(make())
        self._module = modules[0]
        self._plain = isinstance(self._module, nn.Sequential) and all(
            isinstance(layer, nn.Linear | nn.ReLU) for layer in self._module
        )
        stacked, _ = stack_module_state(modules)
        self.params: Params = {name: value.detach() for name, value in stacked.items()}

    def __call__(self, params: Params, *inputs: Tensor) -> Tensor:
        """Apply row p of the parameters to row p of every input, of shape (P, ...)."""
        if self._plain and inputs[0].dim() == 3:
            return self._layers(params, *inputs)

        def one(own: Params, *arguments: Tensor) -> Tensor:
            output: Tensor = functional_call(self._module, own, arguments)
            return output

        output: Tensor = vmap(one)(params, *inputs)
        return output

    def _layers(self, params: Params, x: Tensor) -> Tensor:
        """Apply an `mlp` to inputs (P, n, d): what vmap gives, to the last bit, without its overhead."""
        for name, layer in self._module.named_children():
            if isinstance(layer, nn.ReLU):
                x = x.relu()
            elif layer.bias is None:
                x = x @ params[f"{name}.weight"].mT
            else:
                x = torch.baddbmm(params[f"{name}.bias"][:, None], x, params[f"{name}.weight"].mT)
        return x


def mlp(*sizes: int, bias: bool = True) -> nn.Sequential:
    """Return a network of linear layers with ReLU between them; `sizes` from input to output."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Grid:
    """The rows of a population: arms by settings by seeds, in this order.

    Parameters
    ----------
    seeds : sequence of int
    arms : mapping of str to sequence of mappings
        The settings among which each arm chooses by validation.
    untuned : sequence of str, optional
        Arms that lack the knob which the others tune; all other arms must try equally many different
        settings.

    Raises
    ------
    ValueError
        If arms try different numbers of settings.
    """

    def __init__(
        self, seeds: Sequence[int], arms: Mapping[str, Sequence[Setting]], untuned: Sequence[str] = ()
    ) -> None:
        budgets = {
            arm: len({tuple(sorted(setting.items())) for setting in settings})
            for arm, settings in arms.items()
            if arm not in untuned
        }
        if len(set(budgets.values())) > 1:
            raise ValueError(f"arms must try equally many different settings, not {budgets}")
        self.seeds = list(seeds)
        self.settings = [(arm, dict(setting)) for arm, settings in arms.items() for setting in settings]
        self.arms = list(arms)

    def __len__(self) -> int:
        return len(self.settings) * len(self.seeds)

    def __getitem__(self, knob: str) -> Tensor:
        """Return a knob of every row, shape (P,); 0 where an arm does not have it."""
        values = [setting.get(knob, 0.0) for _, setting in self.settings]
        return torch.tensor(values, dtype=torch.get_default_dtype()).repeat_interleave(len(self.seeds))

    def on(self, *arms: str) -> Tensor:
        """Return which rows belong to the arms, as 0 or 1, shape (P,)."""
        member = [float(arm in arms) for arm, _ in self.settings]
        return torch.tensor(member, dtype=torch.get_default_dtype()).repeat_interleave(len(self.seeds))

    def spread(self, own: Tensor) -> Tensor:
        """Repeat what each seed has, shape (S, ...), for all rows, shape (P, ...)."""
        return own.repeat(len(self.settings), *[1] * (own.dim() - 1))

    def population(self, own: Params) -> Params:
        """Repeat the parameters of each seed for all rows, so that arms start alike."""
        return {name: self.spread(value) for name, value in own.items()}

    def choose(self, validation: Tensor, better: str = "higher") -> dict[str, int]:
        """Choose a setting for each arm by its mean validation score over the seeds.

        Parameters
        ----------
        validation : Tensor, shape (P,)
        better : {'higher', 'lower'}

        Returns
        -------
        dict of str to int
            The setting's place in `settings`.
        """
        means = validation.reshape(len(self.settings), -1).mean(dim=1) * (1 if better == "higher" else -1)
        places = {arm: [g for g, (own, _) in enumerate(self.settings) if own == arm] for arm in self.arms}
        return {arm: max(own, key=lambda g: float(means[g])) for arm, own in places.items()}

    def of(self, values: Tensor, chosen: Mapping[str, int]) -> dict[str, Tensor]:
        """Return each arm's values under its chosen setting, shape (S, ...), from values of all rows."""
        by_setting = values.reshape(len(self.settings), len(self.seeds), *values.shape[1:])
        return {arm: by_setting[g] for arm, g in chosen.items()}


def fit(
    params: Params,
    loss: Callable[[Params, int], Tensor],
    *,
    steps: int,
    lr: float | Tensor,
    optimiser: str = "adam",
    decay: float = 1e-4,
    constrain: Callable[[Params, int], Params] | None = None,
    grain: float = 0.0,
) -> Params:
    """Minimise every row's own loss and return the trained parameters.

    Parameters
    ----------
    params : dict of str to Tensor
        Each of shape (P, ...); left as they are.
    loss : callable
        From parameters and step to a Tensor of shape (P,).
    steps : int
    lr : float or Tensor of shape (P,)
        Falls to 0 along a cosine.
    optimiser : {'adam', 'sgd'}
        Adam with decoupled weight decay, or plain gradient descent. Use the latter where gradients are
        projected: Adam's rescaling leaves the subspace.
    decay : float
        Weight decay of Adam, times the learning rate.
    constrain : callable, optional
        From gradients and step to the gradients that are followed: a mask or a projection.
    grain : float, optional
        Keep parameters at multiples of this, a power of 2. Where training is chaotic, differences in the
        last digit, which machines' arithmetic has, would otherwise grow from step to step.

    Raises
    ------
    ValueError
        If the loss is not one value a row, as happens when shapes broadcast unseen.

    References
    ----------
    I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2.
    """
    params = {
        name: _snapped(value.detach().clone(), grain).requires_grad_() for name, value in params.items()
    }
    rows = len(next(iter(params.values())))
    rate = torch.as_tensor(lr, dtype=torch.get_default_dtype()).expand(rows)
    first = {name: torch.zeros_like(value) for name, value in params.items()}
    second = {name: torch.zeros_like(value) for name, value in params.items()}
    room = {name: torch.empty_like(value) for name, value in params.items()}  # so that no step allocates
    for step in range(steps):
        values = loss(params, step)
        if values.shape != (rows,):
            raise ValueError(
                f"the loss has shape {tuple(values.shape)}; it must be one value a row, ({rows},)"
            )
        found = torch.autograd.grad(values.sum(), list(params.values()), allow_unused=True)
        grads = {
            name: torch.zeros_like(value) if grad is None else grad
            for (name, value), grad in zip(params.items(), found, strict=True)
        }
        if constrain:
            grads = constrain(grads, step)
        now = rate * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / steps)))
        by_row = {dims: now.reshape(-1, *[1] * (dims - 1)) for dims in {own.dim() for own in params.values()}}
        left = {dims: 1 - own * decay for dims, own in by_row.items()}
        stride = {dims: -own / (1 - 0.9 ** (step + 1)) for dims, own in by_row.items()}
        with torch.no_grad():
            for name, value in params.items():
                dims, grad = value.dim(), grads[name]
                if optimiser == "sgd":
                    _snapped(value.sub_(by_row[dims] * grad), grain)
                    continue
                own = room[name]
                first[name].lerp_(grad, 0.1)
                second[name].mul_(0.999).addcmul_(grad, grad, value=0.001)
                torch.sqrt(second[name], out=own).div_((1 - 0.999 ** (step + 1)) ** 0.5).add_(1e-8)
                torch.div(first[name], own, out=own)
                value.mul_(left[dims]).addcmul_(own, stride[dims])
                _snapped(value, grain)
    return {name: value.detach() for name, value in params.items()}


def _snapped(values: Tensor, grain: float) -> Tensor:
    """Round values, in place, to multiples of the grain; leave them if it is 0."""
    return values.div_(grain).round_().mul_(grain) if grain else values


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each row's share of right answers, shape (P,), from logits (P, n, C) and labels (P, n)."""
    return (logits.argmax(dim=-1) == labels).to(torch.get_default_dtype()).mean(dim=-1)


class CharacterModel(nn.Module):
    """A language model that predicts the next character from a few before it.

    Embeddings of the characters side by side, one layer of tanh units, and a linear head.

    Parameters
    ----------
    units : int
        Of the hidden layer: the model's size.
    context, width, characters : int, optional
        Characters looked back at, length of an embedding, size of the alphabet.

    References
    ----------
    Y. Bengio, R. Ducharme, P. Vincent and C. Jauvin, A Neural Probabilistic Language Model (2003),
    section 2, without direct connections.
    """

    def __init__(self, units: int, context: int = 6, width: int = 8, characters: int = 96) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(characters, width))
        self.hidden = nn.Linear(context * width, units)
        self.head = nn.Linear(units, characters)

    def forward(self, before: Tensor) -> Tensor:
        """Return logits of the next character, shape (n, characters), from (n, context)."""
        embedded = nnf.embedding(before, self.embedding).flatten(-2)
        logits: Tensor = self.head(self.hidden(embedded).tanh())
        return logits
