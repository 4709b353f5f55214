"""Self-distillation by mAP@k: how good a teacher counts as, and what that changes."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.bench.losses import cross_entropy, distillation
from ktlabs.knowledge_distillation.self_kd_qa import map_at_k, self_distillation

logits = st.lists(st.lists(st.floats(-9, 9), min_size=4, max_size=4), min_size=3, max_size=3).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64)
)


def test_the_coefficient_is_the_mean_of_one_over_the_rank_and_nothing_beyond_k():
    scores = torch.tensor([[4.0, 3.0, 2.0, 1.0]]).expand(4, 4)
    labels = torch.arange(4)
    assert torch.allclose(map_at_k(scores, labels, 4), torch.tensor((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4))
    assert torch.allclose(map_at_k(scores, labels, 2), torch.tensor((1 + 1 / 2) / 4))
    assert torch.allclose(map_at_k(scores, labels, 1), torch.tensor(1 / 4))


@given(logits, st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_it_lies_between_accuracy_and_one_and_grows_with_k(scores, right):
    labels = torch.tensor(right)
    found = [map_at_k(scores, labels, k).item() for k in (1, 2, 3, 4)]
    assert found == sorted(found)
    assert found[0] >= 0
    assert found[-1] <= 1


def test_each_network_has_its_own():
    scores = torch.tensor([[[2.0, 1.0]], [[1.0, 2.0]]])
    assert map_at_k(scores, torch.zeros(2, 1, dtype=torch.long), 2).tolist() == [1.0, 0.5]


def test_the_loss_is_cross_entropy_at_full_weight_plus_the_weighted_divergence():
    torch.manual_seed(0)
    student, teacher, labels = torch.randn(3, 5, 4), torch.randn(3, 5, 4), torch.randint(4, (3, 5))
    coefficient, tau = torch.tensor([0.0, 0.5, 1.0]), torch.tensor([1.0, 2.0, 2.0])
    extra = self_distillation(student, labels, teacher, coefficient, tau) - cross_entropy(student, labels)
    assert torch.allclose(extra, coefficient * distillation(teacher, student, tau))
    assert extra[0] == 0
    assert (extra[1:] > 0).all()


def test_following_oneself_costs_nothing_as_a_generation_begins():
    student, labels = torch.tensor([[[1.0, -1.0, 0.5]]]), torch.tensor([[2]])
    one = torch.ones(1)
    found = self_distillation(student, labels, student.clone(), one, 2 * one)
    assert torch.allclose(found, cross_entropy(student, labels))
