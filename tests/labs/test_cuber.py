"""What projection, scaling, release and the pool of directions must do."""

import pytest
import torch

from ktlabs.continual_learning.cuber import agreement, extend, project, regularised, scaled


def _pool(seed, size=5):
    return torch.linalg.qr(torch.randn(2, size, size, generator=torch.Generator().manual_seed(seed)))[0]


def test_projection_is_idempotent_and_leaves_the_rest_orthogonal():
    matrix, pool, chosen = torch.randn(2, 3, 5), _pool(0), torch.tensor([[1.0, 0, 1, 0, 0]] * 2)
    once = project(matrix, pool, chosen)
    assert torch.allclose(project(once, pool, chosen), once)
    assert torch.allclose(project(matrix - once, pool, chosen), torch.zeros(2, 3, 5))
    assert torch.allclose(project(matrix, pool, torch.ones(2, 5)), matrix)


def test_projection_by_hand():
    found = project(torch.tensor([[[1.0, 2.0]]]), torch.eye(2)[None], torch.tensor([[0.0, 1.0]]))
    assert found.tolist() == [[[0.0, 2.0]]]


def test_scaling_acts_inside_the_shared_directions_only():
    weight, pool, change = torch.randn(2, 3, 5), _pool(1), torch.randn(2, 5, 5)
    shared = torch.zeros(2, 5, 5)
    assert torch.equal(scaled(weight, pool, change, shared), weight)
    shared[:, :2, :2] = 1
    moved = scaled(weight, pool, change, shared) - weight
    assert torch.allclose(project(moved, pool, torch.tensor([[1.0, 1, 0, 0, 0]] * 2)), moved)
    # Q = 2 I doubles what lies inside.
    doubled = scaled(weight, pool, torch.eye(5).expand(2, 5, 5), shared)
    inside = project(weight, pool, torch.tensor([[1.0, 1, 0, 0, 0]] * 2))
    assert torch.allclose(doubled, weight + inside)


def test_agreement_is_a_cosine_with_each_old_gradient():
    gradient = torch.tensor([[[3.0, 4.0]]])
    olds = torch.stack([gradient, -2 * gradient, torch.tensor([[[4.0, -3.0]]])], dim=1)
    assert agreement(gradient, olds)[0].tolist() == pytest.approx([1.0, -1.0, 0.0])


#: Two old tasks: directions 0 and 1 belong to the first, 1 and 2 to the second, 3 to none.
MEMBERS = torch.tensor([[[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]]], dtype=torch.float64)
GRADIENT = torch.ones(1, 1, 4, dtype=torch.float64)
DRIFT = torch.tensor([[[3.0, 4.0, 5.0, 6.0]]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("released", "wanted"),
    [
        ([0.0, 0.0], [0, 0, 0, 1]),
        ([1.0, 0.0], [1 + 0.5 * 3 / 5, 0, 0, 1]),  # direction 1 stays blocked for the second task
        ([1.0, 1.0], [1.3, 1 + 0.5 * (4 / 5 + 4 / 41**0.5), 1 + 0.5 * 5 / 41**0.5, 1]),
    ],
)
def test_release_by_hand(released, wanted):
    found = regularised(GRADIENT, DRIFT, MEMBERS, torch.tensor([released]), torch.tensor([0.5]))
    assert found[0, 0].tolist() == pytest.approx(wanted)


def test_penalty_is_the_gradient_of_the_norm():
    drift = DRIFT.clone().requires_grad_()
    norms = sum((drift * own).norm() for own in MEMBERS[0])
    (slope,) = torch.autograd.grad(norms, drift)
    found = regularised(torch.zeros(1, 1, 4), DRIFT, MEMBERS, torch.ones(1, 2), torch.ones(1))
    assert torch.allclose(found, slope)


def test_release_without_drift_is_plain_descent():
    found = regularised(GRADIENT, 0 * DRIFT, MEMBERS, torch.ones(1, 2), torch.ones(1))
    assert torch.equal(found, GRADIENT)


def test_pool_keeps_the_energy_asked_for_and_old_columns_in_place():
    inputs = torch.randn(2, 7, 6, generator=torch.Generator().manual_seed(2)) * torch.tensor(
        [5.0, 3, 2, 1, 1, 1]
    )
    energy = torch.tensor([0.5, 0.95])
    pool, members = extend(torch.zeros(2, 6, 6), torch.zeros(2, 0, 6), inputs, energy)
    kept = project(inputs, pool, members[:, 0]).square().sum(dim=(1, 2)) / inputs.square().sum(dim=(1, 2))
    assert (kept >= energy).all()
    assert members[0].sum() < members[1].sum()
    more, both = extend(pool, members, inputs.roll(2, dims=2), energy)
    used = members[:, 0].sum(dim=1).int().tolist()
    for row, count in enumerate(used):
        assert torch.equal(more[row, :, :count], pool[row, :, :count])
    gram = more.mT @ more
    assert torch.allclose(gram, torch.diag_embed(gram.diagonal(dim1=1, dim2=2)))
    assert torch.equal(both[:, 0], members[:, 0])


def test_a_task_seen_before_needs_no_new_direction():
    inputs, energy = torch.randn(1, 9, 4), torch.tensor([0.9])
    pool, members = extend(torch.zeros(1, 4, 4), torch.zeros(1, 0, 4), inputs, energy)
    again, both = extend(pool, members, inputs, energy)
    assert torch.allclose(again, pool)
    assert torch.equal(both[:, 0], both[:, 1])
