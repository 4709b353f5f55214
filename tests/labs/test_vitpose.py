"""The knowledge token: learnt for a frozen teacher, heeded only where it is switched on."""

import torch

from ktlabs.bench.losses import mean_squared_error
from ktlabs.bench.nets import Population
from ktlabs.evaluation_and_applications.vitpose import (
    PoseTransformer,
    distance,
    keypoints,
    knowledge_token,
)


def test_keypoints_are_the_centres_of_both_halves():
    image = torch.zeros(8, 8)
    image[1, 2] = image[1, 4] = 0.5  # centre: row 1, column 3
    image[5, 0] = image[7, 0] = 1.0  # centre: row 6, column 0
    torch.testing.assert_close(
        keypoints(image.flatten()), torch.tensor([1.0, 3.0, 6.0, 0.0]), atol=1e-6, rtol=0
    )


def test_distance_is_euclidean_and_averaged_over_keypoints():
    found = torch.tensor([[[3.0, 4.0, 1.0, 1.0]]])
    wanted = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]])
    torch.testing.assert_close(distance(found, wanted), torch.tensor([2.5]))


def _teacher():
    generator = torch.Generator().manual_seed(0)
    net = Population(lambda: PoseTransformer(6, 6), [0, 1])
    images = torch.rand(2, 60, 64, generator=generator)
    wanted = torch.randn(2, 60, 4, generator=generator)
    return net, images, wanted


def test_a_token_that_is_switched_off_changes_nothing_and_one_that_is_on_does():
    net, images, _ = _teacher()
    token = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    off, on = torch.zeros(2), torch.ones(2)
    torch.testing.assert_close(net(net.params, images, token, off), net(net.params, images, 0 * token, off))
    assert not torch.allclose(net(net.params, images, token, on), net(net.params, images, 0 * token, on))


def test_the_learnt_token_serves_the_teacher_better_than_a_random_one_and_leaves_it_frozen():
    net, images, wanted = _teacher()
    before = {name: value.clone() for name, value in net.params.items()}
    token = knowledge_token(net, net.params, images, wanted, [0, 1])
    assert token.shape == (2, 6)
    for name, value in net.params.items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    on = torch.ones(2)

    def error(own: torch.Tensor) -> torch.Tensor:
        return mean_squared_error(net(net.params, images, own, on), wanted)

    random = torch.randn(2, 6, generator=torch.Generator().manual_seed(2))
    random = random * token.norm(dim=-1, keepdim=True) / random.norm(dim=-1, keepdim=True)
    assert (error(token) < error(random)).all()
    assert (error(token) < error(torch.zeros(2, 6))).all()


def test_a_wider_token_is_projected_to_the_students_width():
    student = PoseTransformer(4, 6)
    assert student.project.weight.shape == (4, 6)
    assert student(torch.rand(3, 64), torch.rand(6), torch.tensor(1.0)).shape == (3, 4)
