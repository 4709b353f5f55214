"""Editors: what an edit stores, what it leaves alone, and where two editors are one."""

import copy

import pytest
import torch

from ktlabs.knowledge_editing.editors import (
    FineTuning,
    ManyEdits,
    RankOne,
    Values,
    at_once,
    descend,
    inverse_moment,
    many,
    memory,
    one_by_one,
    rank_one,
)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Tiny:
    """Keys of 7 prompts, a map to 5 values, and a head of 4 answers, for 3 rows."""

    def __init__(self):
        self.weight = 0.3 * drawn(3, 5, 6)
        self.table, self.head = drawn(7, 6, seed=1), drawn(4, 5, seed=2)

    def on(self, rows):
        other = copy.copy(self)
        other.weight = self.weight[rows]
        return other

    def keys(self, prompts):
        return self.table[prompts]

    def log_probs(self, prompts, change=None, values=None):
        weight = self.weight if change is None else self.weight + change
        values = self.keys(prompts) @ weight.mT if values is None else values
        return (values @ self.head.T).log_softmax(dim=-1)

    def features(self, prompts):
        return torch.nn.functional.normalize(self.table[prompts], dim=-1)


PROMPTS, TARGETS = torch.tensor([[0], [1], [2]]), torch.tensor([[1], [3], [0]])
ALL = torch.arange(7).expand(3, 7)


def test_a_rank_one_edit_worked_by_hand():
    # C = diag(1, 1/2), k = (1, 1): C^-1 k = (1, 2), k C^-1 k = 3; W k = (3, 7), so that (3, -6) is missing.
    weight, key = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[1.0, 1.0]])
    change = rank_one(weight, key, torch.tensor([[6.0, 1.0]]), torch.diag(torch.tensor([1.0, 2.0])))
    torch.testing.assert_close(change[0], torch.tensor([[1.0, 2.0], [-2.0, -4.0]]))


def test_a_rank_one_edit_stores_its_value_and_changes_nothing_orthogonal_to_its_key():
    weight, key, value = drawn(3, 5, 6), drawn(3, 6, seed=1), drawn(3, 5, seed=2)
    precision = inverse_moment(drawn(40, 6, seed=3))
    for own in (precision, torch.eye(6)):
        change = rank_one(weight, key, value, own)
        torch.testing.assert_close(((weight + change) @ key[..., None])[..., 0], value)
        assert torch.linalg.matrix_rank(change).tolist() == [1, 1, 1]
        gain = (own @ key[..., None])[..., 0]
        other = drawn(3, 6, seed=4)
        other = other - (other * gain).sum(-1, keepdim=True) / gain.square().sum(-1, keepdim=True) * gain
        torch.testing.assert_close(change @ other[..., None], torch.zeros(3, 5, 1))
    torch.testing.assert_close(
        rank_one(weight, key, value, 7 * precision), rank_one(weight, key, value, precision)
    )


def test_no_other_change_that_stores_the_value_disturbs_ordinary_keys_less():
    ordinary = drawn(40, 6, seed=3)
    weight, key, value = drawn(1, 5, 6), drawn(1, 6, seed=1), drawn(1, 5, seed=2)
    change = rank_one(weight, key, value, inverse_moment(ordinary, ridge=0.0))
    least = (change @ ordinary.T).square().mean()
    assert least < (rank_one(weight, key, value, torch.eye(6)) @ ordinary.T).square().mean()
    for seed in range(5):
        other = drawn(1, 5, 6, seed=10 + seed)
        other = other - (other @ key[..., None]) @ key[:, None] / key.square().sum()
        assert ((change + 0.1 * other) @ ordinary.T).square().mean() > least


def test_many_edits_worked_by_hand():
    # C = I, keys (1, 0) and (0, 1), λ = 1: K K' + λ I = 2 I, so that half of what is missing is stored.
    keys, values = torch.eye(2)[None], torch.tensor([[[4.0, 0.0], [0.0, 2.0]]])
    change = many(torch.zeros(1, 2, 2), keys, values, torch.eye(2), 1.0)
    torch.testing.assert_close(change[0], torch.tensor([[2.0, 0.0], [0.0, 1.0]]))


def test_many_edits_solve_the_least_squares_problem_in_its_first_form():
    weight, keys, values = drawn(3, 5, 6), drawn(3, 4, 6, seed=1), drawn(3, 4, 5, seed=2)
    moment = drawn(40, 6, seed=3).T @ drawn(40, 6, seed=3) / 40
    strength = torch.tensor([0.1, 1.0, 10.0])
    missing = (values - keys @ weight.mT).mT
    expected = missing @ keys @ torch.linalg.inv(strength[:, None, None] * moment + keys.mT @ keys)
    torch.testing.assert_close(many(weight, keys, values, torch.linalg.inv(moment), strength), expected)


def test_many_edits_of_one_are_a_rank_one_edit_where_storing_is_all_that_counts():
    weight, key, value = drawn(3, 5, 6), drawn(3, 6, seed=1), drawn(3, 5, seed=2)
    precision = inverse_moment(drawn(40, 6, seed=3))
    one = rank_one(weight, key, value, precision)
    torch.testing.assert_close(many(weight, key[:, None], value[:, None], precision, 1e-10), one)
    # In general it is the same change, shortened by g / (λ + g) with g = k C^-1 k.
    g = ((key @ precision) * key).sum(-1)
    shorter = many(weight, key[:, None], value[:, None], precision, 2.0)
    torch.testing.assert_close(shorter, (g / (2 + g))[:, None, None] * one)


def test_the_inverse_of_a_moment_worked_by_hand():
    # Moment diag(2, 4), mean diagonal 3; a third of it added gives diag(3, 5).
    keys = torch.tensor([[2.0, 0.0], [0.0, 8**0.5]])
    torch.testing.assert_close(inverse_moment(keys, ridge=1 / 3), torch.diag(torch.tensor([1 / 3, 1 / 5])))


def test_plain_fine_tuning_on_one_prompt_is_the_rank_one_edit_without_covariance():
    network = Tiny()
    change = FineTuning(steps=50, lr=0.05, stop=0.8, plain=1.0)(network, PROMPTS, TARGETS)
    key = network.keys(PROMPTS)[:, 0]
    value = ((network.weight + change) @ key[..., None])[..., 0]
    torch.testing.assert_close(change, rank_one(network.weight, key, value, torch.eye(6)))


def test_descent_stops_each_row_where_its_target_is_likely_enough():
    def score(x, _):
        return (x - 3).square().sum(-1), x[:, 0] / 3

    found = descend(torch.zeros(2, 1), score, steps=400, lr=0.01, stop=torch.tensor([0.5, 2.0]), plain=1.0)
    # x goes to 3 by 2 % of what is left a step; half of the way takes 35 steps, 0.98^34 > 1/2 > 0.98^35.
    torch.testing.assert_close(found, torch.tensor([[3 * (1 - 0.98**35)], [3 * (1 - 0.98**400)]]))
    with pytest.raises(ValueError, match=r"the loss has shape \(\); it must be one value a row, \(2,\)"):
        descend(torch.zeros(2, 1), lambda x, _: (x.sum(), x[:, 0]), steps=1, lr=1, stop=1)


def test_a_row_is_edited_alike_whatever_the_others_are():
    network, alone = Tiny(), Tiny()
    alone.weight = alone.weight[1:2]
    rate = torch.tensor([0.1, 0.02, 0.3])
    for plain in (0.0, 1.0):
        together = FineTuning(20, rate, 0.9, plain)(network, PROMPTS, TARGETS)
        own = FineTuning(20, 0.02, 0.9, plain)(alone, PROMPTS[1:2], TARGETS[1:2])
        torch.testing.assert_close(together[1:2], own)


def test_the_pull_keeps_values_near_and_without_it_the_answer_is_reached():
    network = Tiny()
    begin = network.keys(PROMPTS) @ network.weight.mT
    free, held = (Values(60, 0.2, 0.95, pull)(network, PROMPTS, TARGETS, None) for pull in (0.0, 50.0))
    found = network.log_probs(PROMPTS, values=free).exp().gather(-1, TARGETS[..., None])
    assert (found >= 0.95).all()
    assert ((held - begin).norm(dim=-1) < 0.2 * (free - begin).norm(dim=-1)).all()


@pytest.mark.parametrize("name", ["fine-tuning", "rank one", "many"])
def test_every_editor_makes_the_network_answer_as_told_and_leaves_the_network_as_it_was(name):
    network = Tiny()
    before = network.weight.clone()
    values = Values(60, 0.2, 0.95, 0.0)
    rule = {
        "fine-tuning": FineTuning(100, 0.05, 0.9),
        "rank one": RankOne(values, torch.eye(6)),
        "many": ManyEdits(values, torch.eye(6), 1e-3),
    }[name]
    prompts, targets = torch.tensor([[0, 1], [1, 2], [2, 3]]), torch.tensor([[1, 3], [3, 0], [0, 2]])
    for editor in (at_once(rule), one_by_one(rule)):
        answers = editor(network, prompts, targets)(ALL)
        last = answers.gather(1, prompts)[:, -1]
        assert torch.equal(last, targets[:, -1])
    assert torch.equal(network.weight, before)


def test_one_after_another_the_last_edit_is_stored_exactly_and_an_earlier_one_drifts_by_the_later_gain():
    network = Tiny()
    rule = RankOne(Values(60, 0.2, 0.95, 0.0), torch.eye(6))
    one = rule(network, PROMPTS, TARGETS)
    later = torch.tensor([[3], [4], [5]])
    both = rule(network, later, TARGETS, one)
    key, other = network.keys(PROMPTS)[:, 0], network.keys(later)[:, 0]
    drift = ((both - one) @ key[..., None])[..., 0]
    missing = ((both - one) @ other[..., None])[..., 0]
    gain = (key * other).sum(-1) / other.square().sum(-1)
    torch.testing.assert_close(drift, missing * gain[:, None])


def test_replay_holds_ordinary_values():
    network = Tiny()
    ordinary = network.table[3:].expand(3, -1, -1)
    free = FineTuning(60, 0.05, 0.9)(network, PROMPTS, TARGETS)
    held = FineTuning(60, 0.05, 0.9, ordinary=ordinary, replay=5.0)(network, PROMPTS, TARGETS)
    moved = [(ordinary @ own.mT).square().mean() for own in (free, held)]
    assert moved[1] < 0.5 * moved[0]


def test_a_memory_answers_what_is_near_from_its_edits_and_all_else_as_before():
    network = Tiny()
    plain = network.log_probs(ALL).argmax(-1)
    answers = memory(0.999)(network, PROMPTS, TARGETS)(ALL)
    expected = plain.clone().scatter(1, PROMPTS, TARGETS)
    assert torch.equal(answers, expected)
    assert torch.equal(memory(-1.0)(network, PROMPTS, TARGETS)(ALL), TARGETS.expand(3, 7))
    two = memory(torch.tensor(0.999))(network, PROMPTS.repeat(1, 2), torch.cat([TARGETS, TARGETS], 1))(ALL)
    assert torch.equal(two, expected)
