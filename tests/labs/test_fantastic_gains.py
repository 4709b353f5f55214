"""Data partitioning: who is followed where."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.knowledge_distillation.fantastic_gains import partition

logits = st.lists(st.lists(st.floats(-9, 9), min_size=3, max_size=3), min_size=4, max_size=4).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64)
)


def test_the_surer_of_two_is_followed_even_where_it_is_wrong():
    teacher = torch.tensor([[4.0, 0.0], [0.5, 0.0]])
    student = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    target = partition(teacher, student)
    assert torch.equal(target, torch.stack([teacher[0], student[1]]).softmax(dim=-1))


@given(logits, logits)
def test_every_target_is_one_of_the_two_answers_and_never_the_less_sure(teacher, student):
    target = partition(teacher, student)
    both = torch.stack([teacher.softmax(dim=-1), student.softmax(dim=-1)])
    assert torch.equal(target.amax(dim=-1), both.amax(dim=(0, -1)))
    assert torch.allclose(target.sum(dim=-1), torch.ones(4, dtype=torch.float64))
    assert ((target == both[0]).all(dim=-1) | (target == both[1]).all(dim=-1)).all()


@given(logits)
def test_a_teacher_that_knows_nothing_changes_nothing(student):
    assert torch.equal(partition(torch.zeros_like(student), student), student.softmax(dim=-1))
