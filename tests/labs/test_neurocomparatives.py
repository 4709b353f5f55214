"""Filtering: the majority of generations decides, a few checked statements teach whom to trust."""

import torch

from ktlabs.kg_and_llm.neurocomparatives import drop_contradicted, gaps, statements, trust


def test_a_statement_stays_if_it_is_said_more_often_than_contradicted():
    said = torch.tensor([[[1.0, 1.0, -1.0, 0.0], [1.0, -1.0, -1.0, 0.0], [-1.0, 0.0, -1.0, 1.0]]])
    # 2 against 1; 1 against 1; 0 against 3; 1 against none, silence being no contradiction
    assert drop_contradicted(said).tolist() == [[1, 0, -1, 1]]


def test_order_of_generations_does_not_matter_and_negation_mirrors():
    said = torch.randint(-1, 2, (2, 7, 50), generator=torch.Generator().manual_seed(0)).double()
    kept = drop_contradicted(said)
    torch.testing.assert_close(drop_contradicted(said.flip(1)), kept)
    torch.testing.assert_close(drop_contradicted(-said), -kept)


def test_a_statement_needs_a_gap():
    assert statements(torch.tensor([0.06, 0.04, -0.04, -0.06])).tolist() == [1, 0, 0, -1]


def test_each_pair_is_compared_at_each_pixel():
    means = torch.zeros(10, 64)
    means[1, 3] = 0.5
    found = gaps(means).reshape(45, 64)
    assert found[0, 3] == -0.5  # zero against one
    assert found[9, 3] == 0.5  # one against two, after the nine pairs of zero
    assert int((found != 0).sum()) == 9


def test_trust_follows_the_feature_that_tells_valid_from_invalid():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 200, 2, generator=generator)
    valid = (features[..., 0] > 0).double()
    trusted = trust(features, torch.arange(100)[None], valid)
    assert ((trusted > 0) & (trusted < 1)).all()
    rest = slice(100, None)
    assert float(((trusted[0, rest] > 0.5) == (valid[0, rest] > 0)).double().mean()) > 0.9
    # Only what was checked is read: the truth of the rest changes nothing.
    other = valid.clone()
    other[0, rest] = 1 - other[0, rest]
    torch.testing.assert_close(trust(features, torch.arange(100)[None], other), trusted)


def test_without_a_telling_feature_trust_is_the_share_that_is_valid():
    valid = (torch.arange(200) % 4 < 3).double()[None]
    trusted = trust(torch.zeros(1, 200, 2), torch.arange(200)[None], valid)
    torch.testing.assert_close(trusted, torch.full((1, 200), 0.75), atol=0.02, rtol=0)
