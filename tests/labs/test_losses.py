"""Losses worked by hand, and what must always hold of them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.bench.losses import cross_entropy, distillation, kl, mean_squared_error

logits = st.lists(st.lists(st.floats(-20, 20), min_size=3, max_size=3), min_size=2, max_size=2).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64)
)


def test_cross_entropy_by_hand():
    found = cross_entropy(torch.tensor([[math.log(3), 0.0], [0.0, 0.0]]), torch.tensor([0, 1]))
    assert found.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_kl_by_hand():
    # KL((1/2, 1/2) || (3/4, 1/4)) = ln(2/3)/2 + ln(2)/2
    found = kl(torch.tensor([[0.5, 0.5]]), torch.tensor([[math.log(3), 0.0]]))
    assert found.item() == pytest.approx((math.log(2 / 3) + math.log(2)) / 2)


def test_kl_of_a_certain_target_is_cross_entropy():
    student = torch.tensor([[1.0, -2.0, 0.5], [0.1, 0.2, 0.3]])
    certain = torch.nn.functional.one_hot(torch.tensor([2, 0]), 3).double()
    assert torch.allclose(kl(certain, student), cross_entropy(student, torch.tensor([2, 0])))


@given(logits, logits, st.floats(0.5, 8))
def test_distillation_is_never_negative_and_zero_for_equals(teacher, student, temperature):
    assert distillation(teacher, student, temperature).item() >= -1e-9
    assert distillation(teacher, teacher + 3, temperature).item() == pytest.approx(0, abs=1e-9)


@given(logits, logits)
def test_at_high_temperature_distillation_matches_centred_logits(teacher, student):
    # Hinton et al. 2015, section 2.1: the loss tends to the squared error of logits over 2C.
    teacher, student = (own - own.mean(dim=-1, keepdim=True) for own in (teacher, student))
    expected = ((teacher - student) ** 2).sum(dim=-1).mean() / 6
    assert distillation(teacher, student, 1e4).item() == pytest.approx(expected.item(), rel=0.02, abs=1e-3)


def test_losses_keep_the_rows_of_a_population_apart():
    generator = torch.Generator().manual_seed(1)
    teacher, student = torch.randn(2, 4, 5, 3, generator=generator)
    temperature = torch.tensor([1.0, 2.0, 3.0, 4.0])
    together = distillation(teacher, student, temperature)
    for row in range(4):
        assert torch.allclose(
            together[row], distillation(teacher[row], student[row], temperature[row].item())
        )
    assert mean_squared_error(teacher, student).shape == (4,)
