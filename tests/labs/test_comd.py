"""Competitive distillation: who falls behind, and what new examples are made from."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.knowledge_distillation.comd import hard_examples, shortfall

logits = st.lists(st.lists(st.floats(-9, 9), min_size=3, max_size=3), min_size=4, max_size=4).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64)
)


def test_the_shortfall_worked_by_hand():
    teacher = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]]).log()
    student = torch.tensor([[0.5, 0.5], [0.3, 0.7], [0.9, 0.1]]).log()
    assert torch.allclose(shortfall(teacher, student), torch.tensor([0.4, 0.5, 0.0]))


@given(logits, logits)
def test_a_student_never_falls_behind_itself_nor_by_more_than_all(teacher, student):
    assert torch.equal(shortfall(teacher, teacher), torch.zeros(4))
    gap = shortfall(teacher, student)
    assert (gap >= 0).all()
    assert (gap <= 1).all()


def test_half_are_any_examples_and_half_are_drawn_as_their_gap_says():
    gap = torch.tensor([[0.0, 0.1, 0.0, 0.3]])
    draws = torch.tensor([[0.0, 0.3, 0.6, 0.9, 0.0, 0.2, 0.3, 0.9]])
    assert hard_examples(gap, draws).tolist() == [[0, 1, 2, 3, 1, 1, 3, 3]]


def test_without_any_gap_all_examples_are_alike():
    draws = torch.tensor([[0.1, 0.9, 0.1, 0.9]])
    assert hard_examples(torch.zeros(1, 10), draws).tolist() == [[1, 9, 1, 9]]


def test_an_example_is_drawn_as_often_as_its_share_of_the_gap():
    gap = torch.tensor([[0.2, 0.0, 0.6]])
    draws = torch.cat([torch.zeros(1, 400), (torch.arange(400) + 0.5).reshape(1, -1) / 400], dim=1)
    drawn = hard_examples(gap, draws)[0, 400:].bincount(minlength=3)
    assert drawn.tolist() == [100, 0, 300]
