"""Texts exchanged or taken away: the graph and all else that a model is given stays."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.kg_and_llm.plm_kgc import _texts, anonymous, virtual_world

TEXTS = torch.tensor(np.random.default_rng(1).standard_normal((9, 20))) + 3


@given(st.integers(0, 500), st.integers(2, 12))
def test_every_text_stays_in_the_world_and_none_with_its_entity(seed, count):
    texts = torch.arange(2.0 * count).reshape(count, 2)
    found = virtual_world(texts, np.random.default_rng(seed))
    assert not (found == texts).any()
    assert torch.equal(found[found[:, 0].argsort()], texts)


def test_two_entities_can_only_exchange_their_texts():
    assert virtual_world(torch.tensor([[1.0], [2.0]]), np.random.default_rng(0)).tolist() == [[2.0], [1.0]]


@given(st.integers(0, 50))
def test_random_vectors_keep_the_mean_and_the_spread_and_nothing_of_who_is_alike(seed):
    found = anonymous(TEXTS, np.random.default_rng(seed))
    assert torch.allclose(found.mean(dim=0), TEXTS.mean(dim=0))
    apart = [own - own.mean(dim=0) for own in (found, TEXTS)]
    assert torch.allclose(apart[0].T @ apart[0], apart[1].T @ apart[1])
    assert not torch.allclose(found @ found.T, TEXTS @ TEXTS.T, rtol=0.01)


def test_random_vectors_tell_nothing_about_their_entity():
    texts = torch.cat([TEXTS, TEXTS])  # in pairs of equal texts
    alike = []
    for seed in range(40):
        found = anonymous(texts, np.random.default_rng(seed))
        found = torch.nn.functional.normalize(found - found.mean(dim=0))
        alike.append((found[:9] * found[9:]).sum(dim=1).mean())
    assert abs(float(torch.stack(alike).mean())) < 0.15  # near -1/17, as of any two; they had 1


def test_arms_have_equally_many_columns_and_structure_knows_no_likeness():
    counts = torch.eye(9, 5)
    arms = _texts(TEXTS, counts, seed=3)
    assert {own.shape for own in arms.values()} == {(9, 9)}
    assert torch.equal(arms["structure only"] @ arms["structure only"].T, torch.eye(9))
    mixed, true = (arms[name] @ arms[name].T for name in ("permuted names", "names"))
    assert torch.allclose(mixed.flatten().sort().values, true.flatten().sort().values)
    assert not torch.allclose(mixed, true, atol=0.01)
