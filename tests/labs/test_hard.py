"""HARD: which augmentation is sought, and how a distribution of them follows."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.knowledge_distillation.hard import (
    SHIFTS,
    ShiftInvariant,
    disagreement,
    hardest,
    learn_shift,
    shifted,
)

rows = st.lists(st.floats(-9, 9), min_size=4, max_size=4)
logits = st.lists(rows, min_size=3, max_size=3).map(lambda own: torch.tensor(own, dtype=torch.float64))


def test_disagreement_is_the_divergence_from_the_teacher():
    taught, own = torch.tensor([math.log(3.0), 0.0]), torch.zeros(2)
    assert disagreement(taught, own) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


@given(logits, logits)
def test_disagreement_is_never_negative_and_none_with_oneself(taught, own):
    assert (disagreement(taught, own) >= -1e-12).all()
    assert torch.allclose(disagreement(own, own), torch.zeros(3, dtype=own.dtype), atol=1e-12)


def test_the_hardest_is_where_the_models_differ_and_not_where_the_student_doubts():
    # Of three augmentations the student doubts most in the first, where the teacher doubts as well.
    taught = torch.tensor([[[0.0, 0.0], [3.0, 0.0], [4.0, 0.0]]])
    own = torch.tensor([[[0.0, 0.0], [0.0, 3.0], [4.0, 0.0]]])
    assert hardest(taught, own).tolist() == [1]


@given(logits, logits)
def test_no_other_augmentation_has_a_larger_disagreement(taught, own):
    assert disagreement(taught, own)[hardest(taught, own)] == disagreement(taught, own).max()


def test_a_distribution_moves_to_what_was_harder_than_the_mean():
    # Two images drew augmentations 0 and 1 of three; gaps 3 and 1 are 1 above and below their mean.
    found = learn_shift(torch.zeros(3), torch.tensor([0, 1]), torch.tensor([3.0, 1.0]), pace=0.5)
    assert torch.allclose(found, torch.tensor([0.5, -0.5, 0.0]))


def test_equal_gaps_teach_nothing():
    preference = torch.tensor([0.3, -0.1, 0.0])
    assert torch.equal(learn_shift(preference, torch.tensor([0, 2]), torch.ones(2), 1.0), preference)


def test_images_are_moved_whole():
    images = torch.rand(2, 64)
    canvas = shifted(images).reshape(2, 9, 10, 10)
    for place, (down, right) in enumerate(SHIFTS):
        assert torch.equal(canvas[:, place, down : down + 8, right : right + 8].flatten(1), images)
        assert canvas[:, place].sum() == pytest.approx(float(images.sum()))


def test_the_teacher_does_not_see_where_an_image_stands_away_from_the_edge():
    image = torch.zeros(8, 8)
    image[4, 4] = 0.7
    answers = ShiftInvariant()(shifted(image.reshape(1, 64))[0])
    inside = [SHIFTS.index(shift) for shift in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert torch.allclose(answers[inside], answers[:1].expand(4, -1))
