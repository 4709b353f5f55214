"""The ratio of what is forgotten to what is learnt, and the adapter beside a frozen core."""

import pytest
import torch

from ktlabs.bench.nets import Grid, Population, mlp
from ktlabs.continual_learning.ckl import _ARMS, _moves, expanded, fuar


def _scores(retained, updated, acquired):
    return {
        kind: torch.tensor(value)
        for kind, value in (("retained", retained), ("updated", updated), ("acquired", acquired))
    }


def test_ratio_by_hand():
    found = fuar(_scores(0.9, 0.1, 0.2), _scores(0.6, 0.5, 0.4))
    assert float(found) == pytest.approx(0.3 / (0.4 + 0.2))


def test_ratio_is_0_where_nothing_is_lost_however_little_is_gained():
    before = _scores(0.5, 0.1, 0.1)
    assert fuar(before, _scores(0.5, 0.11, 0.1)) == 0
    assert fuar(before, _scores(0.9, 0.9, 0.9)) == 0


def test_losses_of_one_kind_do_not_offset_gains_of_another():
    found = fuar(_scores(0.9, 0.5, 0.1), _scores(0.7, 0.1, 0.3))
    assert float(found) == pytest.approx(0.2 / 0.2)


def test_ratio_without_gain_is_infinite():
    assert fuar(_scores(0.9, 0.5, 0.1), _scores(0.7, 0.5, 0.1)) == torch.inf


def test_ratio_keeps_rows_apart():
    before = _scores([0.9, 0.9], [0.1, 0.1], [0.2, 0.2])
    after = _scores([0.6, 0.9], [0.5, 0.9], [0.4, 0.9])
    assert fuar(before, after).tolist() == pytest.approx([0.5, 0.0])


def test_an_adapter_that_begins_at_0_changes_nothing_and_then_adds():
    core, x = torch.randn(2, 3, 4), torch.randn(2, 3, 5)
    inner, outer = torch.randn(2, 6, 5), torch.zeros(2, 4, 6)
    assert torch.equal(expanded(core, x, inner, outer), core)
    found = expanded(
        torch.zeros(1, 1, 1), torch.tensor([[[2.0, -1.0]]]), torch.eye(2)[None], torch.ones(1, 1, 2)
    )
    assert found.tolist() == [[[2.0]]]  # the negative unit is silent


def test_as_many_weights_move_as_the_adapter_has_and_no_others():
    net = Population(lambda: mlp(64, 32, 13), [0, 1])
    grid = Grid([0, 1], _ARMS)
    moves = _moves(grid, grid.population(net.params), 1232)
    core = sum(moves[name].flatten(1).sum(dim=1) for name in net.params)
    size = sum(value[0].numel() for value in net.params.values())
    adapter = moves["inner"].flatten()
    for arm, count in {"vanilla": size, "replay": size, "expansion": 0, "as few weights": 1232}.items():
        own = grid.on(arm) > 0
        assert (core[own] == count).all(), arm
        assert (adapter[own] == float(arm == "expansion")).all(), arm
