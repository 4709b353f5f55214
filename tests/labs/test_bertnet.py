"""Prompts weighted by seed pairs, and pairs scored by all of them."""

import math

import pytest
import torch

from ktlabs.kg_and_llm.bertnet import consistency, prompt_weights, search, support

#: Two heads by two tails: what a prompt that knows the relation gives, as probabilities.
KNOWS = torch.tensor([[0.6, 0.1], [0.2, 0.3]], dtype=torch.float64)


def test_a_pair_is_scored_by_tail_and_head_with_the_worse_counting_more():
    # Tail 0: p(t|h) 0.6 and 0.2, so p(h|t) 0.75 and 0.25; tail 1: 0.1 and 0.3, so 0.25 and 0.75.
    found = support(KNOWS.log())
    best = (math.log(0.6) + math.log(0.75)) / 3 + math.log(0.6) / 3
    worst = (math.log(0.1) + math.log(0.25)) / 3 + math.log(0.1) / 3
    assert found[0, 0].item() == pytest.approx(best)
    assert found[0, 1].item() == pytest.approx(worst)
    sure = support(torch.tensor([[0.9, 0.9], [0.9, 0.9]]).log())  # here the head is the worse of the two
    assert sure[0, 0].item() == pytest.approx((math.log(0.9) + math.log(0.5)) / 3 + math.log(0.5) / 3)


def test_a_tail_that_every_head_makes_likely_is_worth_less_than_its_probability():
    common = torch.tensor([[0.5, 0.4], [0.5, 0.01]]).log()
    found = support(common)
    assert common[0, 0] > common[0, 1]
    assert found[0, 1] > found[0, 0]


def test_prompts_are_weighted_by_right_pairs_less_half_of_mixed_ones():
    supports = torch.tensor([[[-1.0, -4.0], [-2.0, -1.0]], [[-2.0, -1.0], [-1.0, -2.0]]])
    # Right -1 and -2, mixed -3 and -1: logits -1 + 1.5 and -2 + 0.5, two nats apart.
    expected = 1 / (1 + math.exp(-2.0))
    assert prompt_weights(supports, least=0.0)[0].item() == pytest.approx(expected)
    assert prompt_weights(supports, temperature=2.0)[0].item() == pytest.approx(1 / (1 + math.exp(-1.0)))


def test_weights_sum_to_one_and_those_too_small_go():
    supports = torch.zeros(3, 4, 4)
    supports[2] = -20.0
    weights = prompt_weights(supports)
    assert weights.tolist() == [0.5, 0.5, 0.0]


def test_a_prompt_gains_nothing_by_finding_all_pairs_likelier_in_half_the_measure():
    supports = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    lifted = supports + torch.tensor([2.0, 0.0])[:, None, None]
    before, after = (prompt_weights(own, least=0.0).log() for own in (supports, lifted))
    assert ((after[0] - after[1]) - (before[0] - before[1])).item() == pytest.approx(1.0)


def test_the_score_is_the_weighted_mean_and_one_prompt_alone_is_its_own():
    supports = torch.stack([KNOWS, KNOWS.flip(0)])
    mixed = consistency(supports, torch.tensor([0.75, 0.25]))
    assert torch.allclose(mixed, torch.tensor([[0.5, 0.15], [0.3, 0.25]]))
    assert torch.equal(consistency(supports, torch.tensor([0.0, 1.0])), KNOWS.flip(0))


def test_the_search_keeps_the_likeliest_tails_of_each_head():
    log_probs = torch.tensor([[[0.0, -1.0, -2.0], [-3.0, -1.0, -2.0]]])
    kept = search(log_probs, torch.ones(1), keep=2)
    assert kept.tolist() == [[True, True, False], [False, True, True]]
