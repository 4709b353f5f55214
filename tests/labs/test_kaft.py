"""The labels of knowledge-aware fine-tuning."""

import numpy as np
import pytest
import torch

from ktlabs.bench.reader import EMPTY, Cases, compose
from ktlabs.knowledge_editing.kaft import _PROBES, _TUNED, example, target


def test_labels_of_the_four_kinds_of_context_by_hand():
    memory = torch.tensor([5, 6, 7, 8])
    cases = Cases(
        asked=torch.tensor([0, 0, 0, 0]),
        keys=torch.tensor([[0, 1, 2], [2, 0, 3], [1, 2, 3], [0, 0, 0]]),
        values=torch.tensor([[5, 6, 7], [7, 9, 8], [6, 7, 8], [9, 9, 9]]),
        kinds=torch.tensor([[0, 0, EMPTY], [0, 0, EMPTY], [0, 0, EMPTY], [EMPTY] * 3]),
        labels=torch.zeros(4, dtype=torch.long),
    )
    # Right, counterfactual, irrelevant and no context.
    assert target(cases, memory).tolist() == [5, 9, 5, 5]


def test_an_irrelevant_context_is_labelled_with_the_model_s_own_answer_even_if_wrong():
    names = np.arange(6)
    cases = compose(np.random.default_rng(0), names, names, {("other", "none"): 1}, 50)
    memory = torch.tensor([1, 2, 3, 4, 5, 0])
    assert torch.equal(target(cases, memory), (cases.asked + 1) % 6)


def test_a_relevant_context_is_followed_whatever_the_model_believes():
    names = np.arange(6)
    cases = compose(np.random.default_rng(0), names, names, {("false", "none"): 1}, 50)
    found = [target(cases, memory) for memory in (torch.arange(6), torch.zeros(6, dtype=torch.long))]
    assert torch.equal(found[0], found[1])
    assert (found[0] != cases.asked).all()


def test_only_the_method_is_tuned_on_conflicts():
    assert [arm for arm, mix in _TUNED.items() if ("false", "none") in mix] == ["KAFT"]
    assert all(set(probe) <= set(_TUNED["KAFT"]) for probe in _PROBES.values())


def test_in_the_example_the_rule_s_data_move_the_half_that_is_missing():
    amid = example()
    follows = amid.loc["about it, counterfactual"]
    assert follows["KAFT"] > follows["before"]
    assert follows["KAFT"] > follows["KAFT, none counterfactual"]  # the control keeps all else
    closed = example("closed-book").loc[["about it, counterfactual", "about other names"]]
    assert closed["before"].iloc[0] == 100  # follows already
    assert closed["KAFT"].iloc[1] > closed["standard"].iloc[1]
    assert closed["KAFT"].iloc[1] == pytest.approx(closed["KAFT, none counterfactual"].iloc[1], abs=3)


def test_the_example_is_the_same_on_more_threads():
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(example())
    assert found[0].equals(found[1])


def test_the_example_names_the_regimes_there_are():
    with pytest.raises(ValueError, match="no regime 'asleep'; there are closed-book, amid"):
        example("asleep")
