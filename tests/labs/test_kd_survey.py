"""Divergences between teacher and student, and what a student leaves out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.bench.losses import kl
from ktlabs.knowledge_distillation.kd_survey import _sampled, coverage, jensen_shannon, reverse_kl

logits = st.lists(st.floats(-6, 6), min_size=4, max_size=4).map(
    lambda row: torch.tensor([row], dtype=torch.float64)
)


def test_reverse_divergence_by_hand():
    teacher, student = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.75, 0.25]]).log()
    wanted = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(reverse_kl(teacher, student)) == pytest.approx(wanted)


def test_jensen_shannon_by_hand():
    teacher, student = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]]).log()
    wanted = (0.5 * math.log(2 / 3) + 0.5 * math.log(2) + math.log(4 / 3)) / 2
    assert float(jensen_shannon(teacher, student)) == pytest.approx(wanted)


@given(logits, logits)
def test_divergences_are_never_negative_and_0_for_the_teacher_itself(teacher, student):
    for divergence in (reverse_kl, jensen_shannon):
        assert divergence(teacher, student) >= -1e-12
        assert abs(divergence(teacher, teacher)) < 1e-12
    assert jensen_shannon(teacher, student) <= math.log(2) + 1e-12
    assert torch.allclose(jensen_shannon(teacher, student), jensen_shannon(student, teacher))


def test_only_the_forward_divergence_punishes_a_mode_left_out_beyond_bounds():
    teacher = torch.tensor([[0.49, 0.49, 0.02]]).log()
    one_mode, middle = torch.tensor([[20.0, 0.0, 0.0]]), torch.zeros(1, 3)
    assert reverse_kl(teacher, one_mode) < reverse_kl(teacher, torch.tensor([[0.0, 0.0, 5.0]]))
    assert reverse_kl(teacher, one_mode) == pytest.approx(math.log(1 / 0.49), abs=1e-6)
    assert kl(teacher.softmax(dim=-1), one_mode) > 9 > kl(teacher.softmax(dim=-1), middle)
    assert reverse_kl(teacher, one_mode) < kl(teacher.softmax(dim=-1), one_mode)


def test_coverage_by_hand_over_all_answers_of_a_row():
    teacher = torch.tensor([[[0.5, 0.495, 0.005], [0.9, 0.05, 0.05]]]).log()
    student = torch.tensor([[[0.99, 0.005, 0.005], [0.4, 0.3, 0.3]]]).log()
    assert coverage(teacher, student).tolist() == [pytest.approx(4 / 5)]
    assert coverage(teacher, teacher).tolist() == [1]


def test_samples_come_as_often_as_the_teacher_says():
    teacher = torch.tensor([0.2, 0.5, 0.3]).log().repeat(20_000, 1)
    drawn = _sampled(teacher, seed=1)
    shares = torch.bincount(drawn, minlength=3) / 20_000
    assert torch.allclose(shares, torch.tensor([0.2, 0.5, 0.3]), atol=0.02)
    assert torch.equal(drawn, _sampled(teacher, seed=1))
