"""A population is its networks, each as if it were alone."""

import pytest
import torch
from torch import nn

from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import GRAIN, Grid, Population, accuracy, fit, mlp

SEEDS = [3, 8, 5]
RATES = [{"lr": 0.01}, {"lr": 0.03}]


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(len(SEEDS), 20, 6, generator=generator)
    return x, (x.sum(dim=-1) * 7).long() % 4


def make():
    return mlp(6, 8, 4)


def train(seeds, settings, x, y):
    grid = Grid(seeds, {"only": settings})
    net = Population(make, seeds)
    x, y = grid.spread(x), grid.spread(y)
    start = grid.population(net.params)
    return fit(start, lambda p, _: cross_entropy(net(p, x), y), steps=30, lr=grid["lr"]), grid


def test_a_row_equals_the_network_trained_alone_by_torch_s_own_optimiser(problem):
    x, y = problem
    together, _ = train(SEEDS, RATES, x, y)
    for place, (setting, row) in enumerate((setting, row) for setting in RATES for row in range(len(SEEDS))):
        torch.manual_seed(SEEDS[row])
        net = make()
        optimiser = torch.optim.AdamW(net.parameters(), lr=setting["lr"], weight_decay=1e-4)
        for step in range(30):
            for group in optimiser.param_groups:
                group["lr"] = setting["lr"] * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / 30)).item())
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(x[row]), y[row]).backward()
            optimiser.step()
        for name, value in net.named_parameters():
            assert torch.allclose(together[name][place], value, atol=1e-9), name


def test_a_seed_gives_the_same_network_whoever_stands_beside_it(problem):
    x, y = problem
    together, _ = train(SEEDS, RATES[:1], x, y)
    alone, _ = train(SEEDS[1:2], RATES[:1], x[1:2], y[1:2])
    for name, value in alone.items():
        assert torch.allclose(together[name][1], value[0], atol=1e-12)


def test_the_order_of_settings_changes_nothing(problem):
    x, y = problem
    one, grid = train(SEEDS, RATES, x, y)
    other, turned = train(SEEDS, RATES[::-1], x, y)
    net = Population(make, SEEDS)
    scores = [
        accuracy(net(params, own.spread(x)), own.spread(y)) for params, own in ((one, grid), (other, turned))
    ]
    picked = [
        own.of(found, own.choose(found))["only"] for own, found in zip((grid, turned), scores, strict=True)
    ]
    assert torch.equal(*picked)


@pytest.mark.parametrize("bias", [True, False])
def test_layers_at_once_give_what_each_network_gives_alone_to_the_last_bit(problem, bias):
    x, _ = problem
    net = Population(lambda: mlp(6, 8, 4, bias=bias), SEEDS)
    one_by_one = net(net.params, x.unsqueeze(1)).squeeze(1)  # a further dimension goes through vmap
    assert torch.equal(net(net.params, x), one_by_one)


def test_networks_of_other_layers_are_applied_as_they_are(problem):
    x, _ = problem
    net = Population(lambda: nn.Sequential(nn.Linear(6, 4), nn.Tanh()), SEEDS)
    weight, bias = net.params["0.weight"], net.params["0.bias"]
    assert torch.allclose(net(net.params, x), (x @ weight.mT + bias[:, None]).tanh(), atol=1e-12)


def test_a_loss_that_broadcasts_unseen_is_refused(problem):
    x, y = problem
    net = Population(make, SEEDS)
    with pytest.raises(ValueError, match=r"shape \(3, 3\); it must be one value a row"):
        fit(net.params, lambda p, _: cross_entropy(net(p, x), y) * torch.ones(3, 1), steps=1, lr=0.1)


def test_plain_descent_takes_the_gradient_as_it_is_and_obeys_a_constraint():
    start = {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}
    options = {"steps": 1, "lr": torch.tensor([0.1, 0.2]), "optimiser": "sgd"}
    moved = fit(start, lambda p, _: (p["w"] ** 2).sum(dim=1), **options)
    assert torch.allclose(moved["w"], torch.tensor([[0.8, 1.6], [1.8, 2.4]]))
    frozen = fit(
        start,
        lambda p, _: (p["w"] ** 2).sum(dim=1),
        constrain=lambda grads, _: {"w": grads["w"] * torch.tensor([0.0, 1.0])},
        **options,
    )
    assert torch.allclose(frozen["w"], torch.tensor([[1.0, 1.6], [3.0, 2.4]]))
    assert torch.equal(start["w"], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_grain_keeps_differences_of_the_last_digit_from_growing(problem, optimiser):
    inputs, labels = problem
    net = Population(make, SEEDS)
    grain, found = GRAIN, {}
    for size in (1.0, 1.0 + 1e-14):  # as another order of summation would have it

        def loss(params, _, size=size):
            return size * cross_entropy(net(params, inputs), labels)

        for own in (0.0, grain):
            found[own, size] = fit(net.params, loss, steps=30, lr=0.1, optimiser=optimiser, grain=own)
    for name, value in found[grain, 1.0].items():
        assert torch.equal(value, (value / grain).round() * grain)
        assert torch.equal(value, found[grain, 1.0 + 1e-14][name])
        assert not torch.equal(found[0.0, 1.0][name], found[0.0, 1.0 + 1e-14][name])
        torch.testing.assert_close(value, found[0.0, 1.0][name], rtol=0, atol=1e-3)


def test_a_grid_lays_arms_settings_and_seeds_out_in_this_order():
    grid = Grid([1, 2], {"base": RATES, "method": [{"lr": 0.01, "w": 1.0}, {"lr": 0.03, "w": 2.0}]})
    assert grid["lr"].tolist() == [0.01, 0.01, 0.03, 0.03, 0.01, 0.01, 0.03, 0.03]
    assert grid["w"].tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert grid.on("method").tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert grid.spread(torch.tensor([5, 6])).tolist() == [5, 6] * 4


def test_arms_choose_by_the_mean_over_seeds_and_are_scored_there():
    grid = Grid([1, 2], {"base": RATES, "method": RATES})
    validation = torch.tensor([0.1, 0.9, 0.6, 0.6, 0.2, 0.2, 0.1, 0.1])
    assert grid.choose(validation) == {"base": 1, "method": 2}
    assert grid.choose(validation, better="lower") == {"base": 0, "method": 3}
    test = torch.arange(8.0)
    assert {arm: own.tolist() for arm, own in grid.of(test, grid.choose(validation)).items()} == {
        "base": [2, 3],
        "method": [4, 5],
    }


@pytest.mark.parametrize(
    "arms", [{"a": RATES, "b": RATES[:1]}, {"a": RATES, "b": [RATES[0], dict(RATES[0])]}]
)
def test_arms_with_unequal_budgets_are_refused(arms):
    with pytest.raises(ValueError, match="equally many different settings"):
        Grid([1], arms)
    Grid([1], arms, untuned=["b"])
