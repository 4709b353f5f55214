"""The labels of the three-level preference, and what the arms are tuned on."""

import numpy as np
import torch

from ktlabs.bench.reader import EMPTY, Cases, compose
from ktlabs.knowledge_editing.kaft import target
from ktlabs.knowledge_editing.knowledge_preference import _PROBES, _TUNED, example, preferred

NAMES = np.arange(6)


def composed(mix):
    return compose(np.random.default_rng(0), NAMES, NAMES, mix, 200)


def test_the_order_of_the_three_sources_by_hand():
    memory = torch.tensor([5, 6, 7, 8])
    cases = Cases(
        asked=torch.tensor([0, 0, 0, 0, 0]),
        keys=torch.tensor([[0, 1, 0], [1, 0, 2], [1, 2, 0], [1, 2, 3], [0, 1, 0]]),
        values=torch.tensor([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]]),
        kinds=torch.tensor([[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, EMPTY]]),
        labels=torch.zeros(5, dtype=torch.long),
    )
    # Both speak, context alone, instruction alone, neither, and an instruction that is not there.
    assert preferred(cases, memory).tolist() == [3, 2, 3, 5, 1]


def test_an_instruction_about_another_name_changes_nothing():
    cases = composed({("false", "other"): 1, ("other", "other"): 1, ("true", "other"): 1})
    memory = torch.tensor([1, 2, 3, 4, 5, 0])
    assert torch.equal(preferred(cases, memory), target(cases, memory))


def test_memory_is_asked_only_where_nothing_else_speaks():
    every = {kind for mix in _TUNED.values() for kind in mix} | {
        kind for mix in _PROBES.values() for kind in mix
    }
    for kind in sorted(every):
        cases = composed({kind: 1})
        one, other = (preferred(cases, memory) for memory in (torch.arange(6), (torch.arange(6) + 1) % 6))
        silent = not {"true", "false"} & set(kind)
        assert torch.equal(one, other) != silent


def test_only_three_levels_has_cases_in_which_instruction_and_context_differ():
    for arm, mix in _TUNED.items():
        cases = composed(mix)
        about = (cases.keys == cases.asked.unsqueeze(-1)) & (cases.kinds != EMPTY)
        both = about[:, :2].any(dim=1) & about[:, 2]
        assert bool(both.any()) == (arm == "three levels")


def test_where_sources_agree_the_label_is_memory_s():
    cases = composed(_TUNED["agree"])
    assert torch.equal(preferred(cases, torch.arange(6)), cases.asked)


def test_in_the_example_only_three_levels_teach_whom_to_follow_of_two_that_differ():
    table = example()
    for case in ("a context against memory", "an instruction against memory"):
        assert table.loc[case, "two levels"] > table.loc[case, "agree"] + 10
    between = table.loc["an instruction against a context"]
    assert between["three levels"] > between["two levels"] + 10
    assert table.loc["both about other names", "before"] > table.loc["both about other names", "three levels"]
