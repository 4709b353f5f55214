"""Zero-shot by graph: the tables, the closed form worked by hand, and what its answers rest on."""

import pytest
import torch

from ktlabs.kg_and_llm.kzsl import (
    DESCRIPTIONS,
    HOLES,
    NAMES,
    SEGMENTS,
    _of_classes,
    eszsl,
    incidence,
    triples,
)

ONE = torch.ones(1, 1)


def test_the_closed_form_worked_by_hand():
    images, targets = torch.tensor([[1.0], [1.0]]), torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    signatures = torch.tensor([[2.0], [-1.0]])
    # X'X + 1 = 3; X'Y S = (2, -2) S = 6; S'S + 5 = 10.
    assert eszsl(images, targets, signatures, ONE, 5 * ONE).item() == pytest.approx(6 / 3 / 10)


def test_images_that_are_left_out_teach_nothing():
    images, signatures = torch.randn(6, 3), torch.randn(2, 4)
    targets = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [0, 0], [0, 0], [0, 0]])
    both = eszsl(images, targets, signatures, ONE, ONE)
    assert torch.allclose(both, eszsl(images[:3], targets[:3], signatures, ONE, ONE))


def test_only_inner_products_of_signatures_matter():
    images, targets, own = torch.randn(9, 3), torch.randn(9, 4).sign(), torch.randn(5, 7)
    turned = own @ torch.linalg.qr(torch.randn(7, 7))[0]
    first, second = (x[4] @ eszsl(images, targets, x[:4], ONE, ONE).T for x in (own, turned))
    assert torch.allclose(first, second)


def test_many_penalties_and_sources_at_once_equal_one_by_one():
    images, targets, signatures = torch.randn(2, 9, 3), torch.randn(2, 9, 4).sign(), torch.randn(5, 2, 4, 6)
    gamma, ridge = torch.tensor([1.0, 9.0]), torch.tensor([0.1, 1.0, 2.0])
    found = eszsl(
        images, targets, signatures, gamma.reshape(-1, 1, 1, 1, 1, 1), ridge.reshape(-1, 1, 1, 1, 1)
    )
    assert found.shape == (2, 3, 5, 2, 3, 6)
    one = eszsl(images[1], targets[1], signatures[3, 1], gamma[1].reshape(1, 1), ridge[2].reshape(1, 1))
    assert torch.allclose(found[1, 2, 3, 1], one)


def test_a_class_never_seen_is_told_by_what_it_shares():
    """Three pixels show three properties; classes with one of them are seen, with two are not."""
    images = torch.eye(3).repeat(20, 1)
    mapped = eszsl(images, 2 * images - 1, torch.eye(3), ONE, ONE)
    unseen = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    assert (unseen @ mapped @ unseen.T).argmax(dim=1).tolist() == [0, 1]
    assert (unseen @ mapped @ unseen.flip(0).T).argmax(dim=1).tolist() == [1, 0]


def test_every_digit_has_its_own_row_and_the_graph_is_made_of_the_tables():
    graph = triples()
    assert len(graph) == len(set(graph)) == 69
    assert len(DESCRIPTIONS) == len(NAMES) == len(SEGMENTS)
    rows = incidence(graph, NAMES)
    assert len({tuple(row) for row in rows.tolist()}) == 10
    assert rows.sum() == 69
    assert incidence([own for own in graph if own[1] == "has hole"], NAMES).sum(dim=1).tolist() == [
        len(HOLES.get(name, ())) for name in NAMES
    ]


def test_incidence_worked_by_hand():
    graph = [("a", "has", "x"), ("b", "has", "y"), ("b", "has", "x"), ("b", "is", "x")]
    assert incidence(graph, ["a", "b", "c"]).tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]


def test_scored_images_are_of_their_class():
    labels = torch.tensor([[c for c in range(10) for _ in range(3)]])[:, torch.randperm(30)]
    found = _of_classes(labels[..., None].double(), labels, 2)
    assert found.shape == (1, 10, 2, 1)
    assert (found[0, :, :, 0] == torch.arange(10.0)[:, None]).all()
