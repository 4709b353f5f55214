"""The reader, its cases, and what it learns before a lab tunes it."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import fit
from ktlabs.bench.reader import (
    CONTEXT,
    EMPTY,
    INSTRUCTION,
    REGIMES,
    Cases,
    Reader,
    Readers,
    World,
    compose,
    join,
    said,
)  # fmt: skip

ALL = {
    (context, instruction): 1.0
    for context in ("none", "other", "true", "false")
    for instruction in ("none", "other", "true", "false")
}


def composed(mix, size=400, subjects=8):
    names = np.arange(subjects)
    return compose(np.random.default_rng(0), names, names[::-1].copy(), mix, size)


def by_hand():
    """Name 0 in context, and in an instruction; name 1 has an empty slot about it; name 2 has others."""
    return Cases(
        asked=torch.tensor([0, 1, 2]),
        keys=torch.tensor([[3, 0, 0], [1, 3, 3], [3, 4, 5]]),
        values=torch.tensor([[7, 8, 9], [7, 8, 9], [7, 8, 9]]),
        kinds=torch.tensor([[0, 0, 1], [EMPTY, 0, 1], [0, 0, 1]]),
        labels=torch.tensor([0, 1, 2]),
    )


def test_what_is_said_of_the_name_asked_about_by_hand():
    cases = by_hand()
    assert said(cases, CONTEXT, cases.labels).tolist() == [8, 1, 2]
    assert said(cases, INSTRUCTION, cases.labels).tolist() == [9, 1, 2]


@pytest.mark.parametrize(
    ("kind", "context", "instruction", "label"),
    [
        (("none", "none"), False, False, "memory"),
        (("other", "other"), False, False, "memory"),
        (("true", "none"), True, False, "memory"),
        (("false", "other"), True, False, "context"),
        (("other", "false"), False, True, "instruction"),
        (("false", "false"), True, True, "instruction"),
        (("false", "true"), True, True, "memory"),
    ],
)
def test_cases_are_of_the_kind_that_was_asked_for(kind, context, instruction, label):
    cases = composed({kind: 1.0})
    memory = 7 - cases.asked
    about = cases.keys == cases.asked.unsqueeze(-1)
    assert (about[:, :2].sum(dim=1) == context).all()
    assert (about[:, 2] == instruction).all()
    assert (cases.kinds[:, :2] == (EMPTY if kind[0] == "none" else CONTEXT)).all()
    assert (cases.kinds[:, 2] == (EMPTY if kind[1] == "none" else INSTRUCTION)).all()
    if label == "memory":
        assert torch.equal(cases.labels, memory)
    elif label == "context":
        assert torch.equal(cases.labels, (cases.values * about)[:, :2].sum(dim=1))
        assert (cases.labels != memory).all()
    else:
        assert torch.equal(cases.labels, cases.values[:, 2])
        assert (cases.labels != memory).all()


def test_slots_about_other_names_say_what_is_known_of_them():
    cases = composed(ALL)
    other = cases.keys != cases.asked.unsqueeze(-1)
    assert torch.equal(cases.values[other], (7 - cases.keys)[other])


def test_shares_of_kinds_follow_the_mix():
    kinds = composed({("none", "none"): 3.0, ("other", "none"): 1.0}, size=4000).kinds
    assert (kinds[:, 0] == EMPTY).double().mean() == pytest.approx(0.75, abs=0.03)


def test_a_reader_by_hand():
    """With everything but the codes at zero, slots and memory share attention; memory says nothing."""
    reader = Reader(names=4, values=3, width=2)
    params = {name: torch.zeros_like(own) for name, own in reader.named_parameters()}
    params["names"], params["values"] = torch.ones(4, 2), torch.tensor([[1.0, 0], [0, 1], [-1, 0]])
    found = functional_call(
        reader,
        params,
        (
            torch.tensor([0]),
            torch.tensor([[1, 2, 3]]),
            torch.tensor([[0, 1, 2]]),
            torch.tensor([[0, EMPTY, 1]]),
        ),
    )
    # Value 0 and value 2 have a third each and cancel; the empty slot's value 1 has none.
    assert torch.allclose(found, torch.zeros(1, 3))
    params["look.weight"] = 3 * torch.eye(2)
    params["names"] = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    found = functional_call(
        reader,
        params,
        (
            torch.tensor([0]),
            torch.tensor([[1, 2, 3]]),
            torch.tensor([[0, 1, 2]]),
            torch.tensor([[0, 0, EMPTY]]),
        ),
    )
    share = np.exp(9) / (np.exp(9) + 2)  # of the slot about the same name, against a slot and the memory
    assert torch.allclose(found, torch.tensor([[share, (1 - share) / 2, -share]]))


def test_what_an_empty_slot_holds_does_not_matter():
    readers = Readers([0, 1], 8, 8)
    cases = Cases(*(torch.stack([own, own]) for own in composed(ALL)))
    empty = cases.kinds == EMPTY
    other = cases._replace(
        keys=torch.where(empty, (cases.keys + 1) % 8, cases.keys),
        values=torch.where(empty, (cases.values + 1) % 8, cases.values),
    )
    assert torch.equal(readers(readers.params, cases), readers(readers.params, other))
    closed = readers(readers.params, cases.closed())
    assert torch.equal(closed, readers(readers.params, other.closed()))


def test_a_row_equals_the_reader_trained_alone_and_codes_stay():
    seeds = [3, 4, 5]
    readers = Readers(seeds, 8, 8)
    cases = Cases(*(torch.stack([own] * 3) for own in composed(ALL, size=16)))

    def train(group, own):
        return fit(group.params, lambda p, _: cross_entropy(group(p, own), own.labels), steps=4, lr=1e-2)

    together = train(readers, cases)
    for row, seed in enumerate(seeds):
        alone = train(Readers([seed], 8, 8), Cases(*(own[:1] for own in cases)))
        for name, own in alone.items():
            assert torch.allclose(own[0], together[name][row], atol=1e-12)
    assert not {"names", "values"} & set(together)


def test_joined_and_spread_cases_keep_their_order():
    cases = Cases(*(torch.stack([own, own + 1]) for own in composed(ALL, size=6)))
    assert torch.equal(join([cases, cases]).asked, cases.spread(4).asked)
    assert torch.equal(join(cases.steps(3), dim=1).labels, cases.labels)


def test_parts_share_no_subject_and_are_no_larger_than_the_world():
    world = World([0, 1], 12, copying=4)
    parts = world.parts(tune=6, test=5)
    for tune, test in zip(parts["tune"], parts["test"], strict=True):
        assert not np.intersect1d(tune, test).size
    with pytest.raises(ValueError, match="more than the 12 subjects"):
        world.parts(tune=6, test=7)


def test_a_seed_draws_the_same_whatever_others_run_beside_it():
    alone, beside = World([5], 12, copying=4), World([4, 5], 12, copying=4)
    own = alone.draw(alone.parts(all=12)["all"], ALL, 20, 40)
    both = beside.draw(beside.parts(all=12)["all"], ALL, 20, 40)
    assert all(torch.equal(a[0], b[1]) for a, b in zip(own, both, strict=True))


@pytest.mark.parametrize("regime", REGIMES)
def test_pretraining_teaches_facts_and_copying(regime):
    world = World([0], 10, copying=40)
    params = world.pretrain(REGIMES[regime], {("false", "none"): 1}, steps=60)
    assert np.array_equal(world.memory[0, :10], np.arange(10))
    copied = world.draw([np.arange(10, 50)], {("false", "none"): 1}, 100, 50)
    right = world.readers(params, copied).argmax(dim=-1) == copied.labels
    assert right.double().mean() > 0.8


def test_memory_is_what_the_reader_answers_and_not_what_is_true():
    world = World([0], 10, copying=10)
    world.pretrain(REGIMES["closed-book"], {("false", "none"): 1}, steps=1)
    assert not np.array_equal(world.memory[0, :10], np.arange(10))
