"""Neural-Symbolic Recursive Machine: programs from results, and symbols from both."""

import numpy as np
import torch

from ktlabs.transfer_and_adaptation.nsr import abduce, induce, programs, repeat

A, B = np.meshgrid(np.arange(10), np.arange(10), indexing="ij")


def place(wanted):
    return next(i for i, table in enumerate(programs().values()) if np.array_equal(table[:10], wanted))


def test_repetition_counts_for_every_entry_by_itself():
    times, start = np.array([0, 1, 3]), np.array([5, 5, 5])
    assert repeat(lambda x: x + 2, times, start).tolist() == [5, 7, 11]


def test_arithmetic_is_found_among_programs_and_is_not_a_primitive():
    for wanted in (A + B, np.maximum(A - B, 0), A * B, np.minimum(A, B), np.maximum(A, B)):
        place(wanted)
    assert not any(sign in name for name in programs() for sign in "+-*")


def test_no_two_programs_are_the_same_and_short_ones_come_first():
    tables = [table.tobytes() for table in programs().values()]
    assert len(set(tables)) == len(tables)
    assert list(programs())[:3] == ["a", "b", "0"]


def test_results_pick_out_the_program_though_symbols_are_unsure():
    """Three expressions 2?1, 3?2 and 2?2 whose results 2, 6 and 4 fit the product alone."""
    tables = torch.tensor(np.stack([A + B, A * B, np.maximum(A, B)]))
    unsure = 0.8 * torch.eye(10) + 0.02
    left, right = unsure[torch.tensor([2, 3, 2])], unsure[torch.tensor([1, 2, 2])]
    assert induce(left, right, torch.tensor([2, 6, 4]), tables) == 1
    assert induce(left, right, torch.tensor([3, 5, 4]), tables) == 0
    assert induce(left, right, torch.tensor([2, 3, 2]), tables) == 2


def test_a_program_is_credited_with_symbols_that_are_likely_only_together():
    """Images that are 1 or 2, each at one half: 1 + 2 and 2 + 1 give 3 at one half, the larger is never 3."""
    half = torch.zeros(1, 10)
    half[0, [1, 2]] = 0.5
    assert induce(half, half, torch.tensor([3]), torch.tensor(np.stack([np.maximum(A, B), A + B]))) == 1


def test_symbols_are_moved_to_the_nearest_that_agree_with_the_result():
    left = torch.full((1, 10), 0.01)
    right = torch.full((1, 10), 0.01)
    left[0, 7], left[0, 1] = 0.6, 0.3  # taken for a 7, perhaps a 1
    right[0, 4] = 0.9
    told = torch.where(torch.tensor(A + B) == 5, 0.0, -torch.inf).unsqueeze(0)
    first, second, known = abduce(left.log(), right.log(), told)
    assert (first.item(), second.item(), known.item()) == (1, 4, True)


def test_symbols_that_agree_already_stay():
    scores = torch.randn(6, 10, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    best = scores.argmax(-1)
    told = torch.where(torch.tensor(A * B) == (best[:3] * best[3:]).reshape(3, 1, 1), 0.0, -torch.inf)
    first, second, _ = abduce(scores[:3], scores[3:], told)
    assert torch.equal(torch.cat([first, second]), best)


def test_a_result_that_no_symbols_give_is_told_apart():
    even = torch.full((1, 10), 0.1).log()
    assert not abduce(even, even, torch.full((1, 10, 10), -torch.inf))[2].item()
