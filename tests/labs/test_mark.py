"""How memories are ranked, and what the simulated dialogues hold."""

import math

import numpy as np
import pytest
import torch

from ktlabs.external_knowledge.mark import Log, _stack, answer, simulate, standing

FOUND = np.arange(12)


def ranked(values, age, user, there=None, life=math.inf, weight=1.0):
    there = torch.tensor(there or [True] * len(values))
    return standing(
        torch.tensor(values), torch.tensor(age), torch.tensor(user), there,
        life=torch.tensor(life).expand(len(values)), weight=torch.tensor(weight).expand(len(values)),
    )  # fmt: skip


def log(values, age, user, there=None, original=9):
    """One seed, one question."""
    there = torch.tensor([[there or [True] * len(values)]])
    return Log(
        torch.arange(len(values))[None, None], torch.tensor([[values]]), torch.tensor([[age]]),
        torch.tensor([[user]]), there, torch.tensor([[0]]), torch.tensor([[original]]),
    )  # fmt: skip


def test_standing_by_hand():
    found = ranked([1, 2, 1, 2], [10.0, 0.0, 20.0, 30.0], [False, False, True, False], life=10.0, weight=4.0)
    # Value 1: 1/2 and 4/4; value 2: 1 and 1/8.
    assert found.tolist() == [1.5, 1.125, 1.5, 1.125]


def test_without_recency_and_source_it_counts():
    assert ranked([3, 3, 5], [1.0, 9.0, 2.0], [True, False, True]).tolist() == [2.0, 2.0, 1.0]


def test_what_is_not_there_neither_counts_nor_stands():
    found = ranked([3, 3, 5], [1.0, 9.0, 2.0], [True, False, True], there=[True, False, True])
    assert found.tolist() == [1.0, 0.0, 1.0]


def test_the_order_of_memories_does_not_matter():
    values, age, user = [1, 2, 1, 3], [4.0, 1.0, 2.0, 8.0], [False, True, False, True]
    order = [2, 0, 3, 1]
    own = ranked(values, age, user, life=5.0, weight=3.0)
    other = ranked(*([part[n] for n in order] for part in (values, age, user)), life=5.0, weight=3.0)
    assert torch.allclose(own[order], other)


def test_each_ingredient_changes_the_answer():
    # Value 1 is said twice, long ago; value 2 lately; value 3 by the user, in between.
    own = log([1, 1, 2, 3], [90.0, 80.0, 1.0, 40.0], [False, False, False, True])
    assert answer("frequency", {}, own).item() == 1
    assert answer("recency", {}, own).item() == 2
    assert answer("user's last word", {}, own).item() == 3
    assert answer("frequency and source", {"weight": 3.0}, own).item() == 3
    assert answer("MARK", {"weight": 3.0, "life": 5.0}, own).item() == 2
    assert answer("MARK", {"weight": 3.0, "life": 1e9}, own).item() == 3
    assert answer("none", {}, own).item() == 9


@pytest.mark.parametrize("arm", ["similarity", "recency", "user's last word", "frequency", "MARK by recalls"])
def test_without_a_memory_the_first_answer_stays(arm):
    own = log([1, 2], [1.0, 2.0], [False, False], there=[False, False])
    assert answer(arm, {}, own).item() == 9


def test_recalls_feed_on_themselves():
    """The memory used first is used again, though a newer one is there the second time."""
    first = log([1, 2], [8.0, 9.0], [False, False], there=[True, False])
    second = log([1, 2], [9.0, 0.0], [False, False])
    both = Log(*(torch.cat(own, dim=1) for own in zip(first, second, strict=True)))
    assert answer("MARK by recalls", {"life": 10.0}, both).tolist() == [[1, 1]]
    assert answer("MARK", {"life": 10.0}, second).tolist() == [[2]]


def test_shuffled_weights_are_the_same_weights():
    own = log([1, 2, 3], [1.0, 50.0, 90.0], [False, False, False])
    assert answer("MARK", {"life": 10.0}, own).item() == 1
    assert answer("MARK, shuffled", {"life": 10.0}, own).item() != 1


def test_dialogues_follow_their_seed_and_pad_to_one_size():
    logs = [simulate(np.random.default_rng((seed, 60)), FOUND) for seed in (0, 1)]
    again = simulate(np.random.default_rng((1, 60)), FOUND)
    assert all(torch.equal(a, b) for a, b in zip(logs[1], again, strict=True))
    both = _stack(logs)
    assert both.truth.shape == (2, 1000)
    assert torch.equal(both.there.sum(dim=-1)[1], logs[1].there.sum(dim=-1))


def test_memories_are_older_than_the_question_and_in_the_order_of_their_age():
    own = simulate(np.random.default_rng(0), FOUND)
    age = own.age.masked_fill(~own.there, -1)
    assert (own.age >= 0).all()
    assert (age[:, :-1] >= age[:, 1:])[own.there[:, 1:]].all()


def test_shares_of_wrong_statements_are_those_declared():
    own = simulate(np.random.default_rng(0), FOUND)
    fresh = own.there & (own.age == 0)  # noted in the step of the question, so that truth is the same
    right = (own.values == own.truth.unsqueeze(-1))[fresh & ~own.user]
    assert right.double().mean() == pytest.approx(0.65, abs=0.15)


def test_a_question_that_finds_the_wrong_key_reads_that_key_s_memories():
    wrong = np.roll(FOUND, 1)
    own, other = (simulate(np.random.default_rng(0), found) for found in (FOUND, wrong))
    assert torch.equal(own.truth, other.truth)
    assert not torch.equal(own.there.sum(dim=-1), other.there.sum(dim=-1))
