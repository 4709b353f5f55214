"""Quarter turns of images that are rows of pixels."""

import torch

from ktlabs.bench.data import turned


def test_turned_by_hand_and_four_turns_change_nothing():
    image = torch.tensor([[1, 2, 3, 4]])
    assert turned(image, 1).tolist() == [[2, 4, 1, 3]]
    assert turned(image, 2).tolist() == [[4, 3, 2, 1]]
    images = torch.rand(2, 3, 64)
    assert torch.equal(turned(turned(images, 3), 1), images)
