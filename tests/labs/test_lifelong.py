"""The measures of lifelong learning, on matrices and curves small enough to work by hand."""

import pytest
import torch
from torch import tensor

from ktlabs.bench.nets import fit
from ktlabs.continual_learning import lifelong

#: Three tasks; row i is after training up to task i.
SCORES = [[0.8, 0.2, 0.1], [0.6, 0.9, 0.3], [0.4, 0.6, 0.6]]
BEFORE = [0.1, 0.1, 0.1]


def test_older_measures_by_hand():
    scores = tensor(SCORES)
    assert lifelong.average_accuracy(scores) == pytest.approx((0.4 + 0.6 + 0.6) / 3)
    assert lifelong.plasticity(scores) == pytest.approx((0.8 + 0.9 + 0.6) / 3)
    assert lifelong.backward_accuracy(scores) == pytest.approx((-0.4 - 0.3) / 2)
    assert lifelong.forgetting(scores) == pytest.approx((0.4 + 0.3) / 2)


def test_forgetting_counts_from_the_best_and_bwt_from_when_it_was_learnt():
    scores = tensor([[0.5, 0.1, 0.1], [0.7, 0.9, 0.1], [0.6, 0.9, 0.8]])
    assert lifelong.forgetting(scores) == pytest.approx((0.1 + 0.0) / 2)
    assert lifelong.backward_accuracy(scores) == pytest.approx((0.1 + 0.0) / 2)


def test_performance_maintenance_by_hand_weighs_tasks_alike():
    # Task 0 is seen twice more, -0.2 and -0.4; task 1 once more, -0.3.
    assert lifelong.performance_maintenance(tensor(SCORES)) == pytest.approx((-0.3 - 0.3) / 2)
    uneven = tensor([[0.8, 0.0, 0.0], [0.8, 0.9, 0.0], [0.2, 0.9, 0.9]])
    assert lifelong.performance_maintenance(uneven) == pytest.approx(((0.0 - 0.6) / 2 + 0.0) / 2)


def test_maintenance_sees_what_bwt_does_not():
    dips = tensor([[0.8, 0.0, 0.0], [0.2, 0.9, 0.0], [0.8, 0.9, 0.9]])
    assert lifelong.backward_accuracy(dips) == pytest.approx(0)
    assert lifelong.performance_maintenance(dips) == pytest.approx(-0.15)


def test_contrast_is_bounded_antisymmetric_and_0_at_0():
    earlier, later = tensor([0.2, 0.6, 0.0, 0.0]), tensor([0.6, 0.2, 0.0, 0.5])
    assert lifelong.contrast(earlier, later).tolist() == pytest.approx([0.5, -0.5, 0.0, 1.0])
    assert lifelong.contrast(later, earlier).tolist() == pytest.approx([-0.5, 0.5, 0.0, -1.0])


def test_transfer_by_hand():
    # Backward: task 1 on 0, task 2 on 0, task 2 on 1.
    wanted = (-0.2 / 1.4 - 0.2 / 1.0 - 0.3 / 1.5) / 3
    assert lifelong.backward_transfer(tensor(SCORES)) == pytest.approx(wanted)
    # Forward: task 0 on 1, from 0.1 to 0.2; task 0 on 2, 0.1 to 0.1; task 1 on 2, 0.1 to 0.3.
    wanted = (0.1 / 0.3 + 0.0 + 0.2 / 0.4) / 3
    assert lifelong.forward_transfer(tensor(SCORES), tensor(BEFORE)) == pytest.approx(wanted)


def test_relative_performance_is_a_ratio_of_areas():
    curves, experts = tensor([[0.1, 0.2, 0.3], [0.5, 0.5, 0.5]]), tensor([[0.3, 0.4, 0.5], [0.2, 0.3, 0.5]])
    assert lifelong.relative_performance(curves, experts) == pytest.approx((0.5 + 1.5) / 2)
    assert lifelong.relative_performance(experts, experts) == pytest.approx(1)


def test_saturation_without_smoothing_is_the_first_maximum():
    best, when = lifelong.saturation(tensor([0.1, 0.4, 0.6, 0.5, 0.6]))
    assert (float(best), float(when)) == (0.6, 3)


def test_saturation_smooths_over_a_fifth_with_mirrored_ends():
    curve = torch.zeros(15)
    curve[0], curve[1], curve[7] = 0.3, 0.6, 0.9
    # Means of three: at 0 of 0.6, 0.3, 0.6 (the end mirrored), at 1 of 0.3, 0.6, 0, around 7 of 0.9, 0, 0.
    best, when = lifelong.saturation(curve)
    assert float(best) == pytest.approx(0.5)
    assert float(when) == 1


def test_sample_efficiency_by_hand():
    expert = tensor([[0.2, 0.4, 0.6, 0.8]])
    # Three quarters as high, in half the time.
    assert lifelong.sample_efficiency(tensor([[0.2, 0.6, 0.6, 0.6]]), expert) == pytest.approx(0.75 * 4 / 2)
    assert lifelong.sample_efficiency(expert, expert) == pytest.approx(1)


def test_sample_efficiency_leaves_out_what_is_best_from_the_start():
    expert = tensor([[0.2, 0.4, 0.6, 0.8]])
    flat = tensor([[0.4, 0.4, 0.4, 0.4]])
    assert lifelong.sample_efficiency(flat, expert) == 0
    assert lifelong.sample_efficiency(torch.cat([expert, flat]), torch.cat([expert, expert])) == 1


@pytest.mark.parametrize("curve", [[0.8, 0.6, 0.4, 0.2], [0.0, 0.05, 0.1, 0.15]])
def test_sample_efficiency_is_0_where_a_curve_falls_or_stays_low(curve):
    assert lifelong.sample_efficiency(tensor([curve]), tensor([[0.2, 0.4, 0.6, 0.8]])) == 0


def test_suite_keeps_rows_apart_and_gives_what_it_can():
    scores = torch.rand(4, 3, 3, generator=torch.Generator().manual_seed(0))
    before, curves = torch.rand(4, 3), torch.rand(4, 3, 5)
    found = lifelong.suite(scores, before, curves, curves)
    assert len(found) == 9
    for name, values in found.items():
        alone = [lifelong.suite(s, b, c, c)[name] for s, b, c in zip(scores, before, curves, strict=True)]
        assert values.tolist() == pytest.approx([float(value) for value in alone]), name
    assert set(lifelong.suite(scores)) < set(found)
    assert "forward transfer" not in lifelong.suite(scores)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3)])
def test_suite_refuses_what_is_no_matrix_of_tasks(shape):
    with pytest.raises(ValueError, match="two at least"):
        lifelong.suite(torch.zeros(shape))


def test_watched_notes_the_curve_and_leaves_training_as_it_is():
    def loss(params, _step):
        return ((params["w"] - 1) ** 2).sum(dim=-1)

    start = {"w": torch.zeros(2, 1)}
    watched = lifelong.Watched(loss, lambda params: params["w"][:, 0], every=2)
    trained = fit(start, watched, steps=6, lr=0.1, optimiser="sgd")
    curve = watched.curve(trained)
    assert torch.equal(trained["w"], fit(start, loss, steps=6, lr=0.1, optimiser="sgd")["w"])
    assert curve.shape == (2, 3)
    assert torch.equal(curve[:, -1], trained["w"][:, 0])
    assert (curve.diff(dim=-1) > 0).all()
