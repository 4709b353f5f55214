"""Parts are disjoint, fair to classes, and a seed's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.bench import data


def test_the_digits_are_those_of_uci():
    images, labels = data.digits()
    assert images.shape == (1797, 64)
    assert (images.min(), images.max()) == (0, 1)
    assert torch.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


@given(st.integers(0, 10**6), st.integers(1, 900), st.integers(1, 897))
def test_parts_never_overlap(seed, train, test):
    _, labels = data.digits()
    parts = data.split(labels, [seed], train=train, test=test)
    places = torch.cat([own[0] for own in parts.values()])
    assert len(places.unique()) == train + test


def test_parts_have_equal_shares_of_every_class():
    _, labels = data.digits()
    parts = data.split(labels, [4], train=200, test=400)
    for name, size in (("train", 200), ("test", 400)):
        counts = torch.bincount(labels[parts[name][0]], minlength=10)
        assert counts.min() >= 0.7 * size / 10
        assert counts.max() <= 1.3 * size / 10


def test_a_seed_s_parts_batches_and_noise_do_not_depend_on_the_others():
    _, labels = data.digits()
    alone = data.split(labels, [7], train=50)["train"][0]
    assert torch.equal(data.split(labels, [1, 7], train=50)["train"][1], alone)
    assert torch.equal(data.batches([1, 7], 30, 10, 9)[:, 1], data.batches([7], 30, 10, 9)[:, 0])
    assert torch.equal(data.noise([1, 7], 4)[1], data.noise([7], 4)[0])
    assert not torch.equal(data.noise([7], 4, purpose=3), data.noise([7], 4))


def test_more_examples_than_there_are_is_refused():
    with pytest.raises(ValueError, match="need more than the 3 examples"):
        data.split(torch.tensor([0, 1, 0]), [0], train=2, test=2)


def test_batches_show_every_example_once_before_any_again():
    order = data.batches([0], count=12, size=4, steps=6)
    assert order.shape == (6, 1, 4)
    assert sorted(order[:3].flatten().tolist()) == list(range(12))
    assert sorted(order[3:].flatten().tolist()) == list(range(12))


def test_rows_are_picked_each_by_its_own_places():
    own = torch.arange(12).reshape(2, 6)
    assert data.pick(own, torch.tensor([[0, 5], [1, 1]])).tolist() == [[0, 5], [7, 7]]


@pytest.mark.parametrize("domain", ["scikit-learn", "numpy", "scipy", "torch"])
def test_texts_are_prose_in_the_known_characters(domain):
    text = data.text(domain)
    assert len(text) > 40_000
    assert 0 <= text.min() <= text.max() < data.CHARACTERS
    assert (text == ord("e") - 32).double().mean() > 0.03
