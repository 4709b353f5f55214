"""What codecs and packs must do: keep within their bits, lose what they must and no more."""

import pytest
import torch

from ktlabs.transfer_and_adaptation.graftllm import _tokens, low_rank, prune, quantise, skill_pack


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def error(update, found):
    return (update - found).square().sum(dim=(-2, -1))


def test_rounding_by_hand():
    # 3 bits are the whole numbers from -3 to 3; the largest value is 6, so a step is 2.
    found = quantise(torch.tensor([[6.0, -3.2, 0.9, -6.0]]), 3)
    assert found[0].tolist() == pytest.approx([6.0, -4.0, 0.0, -6.0])
    assert quantise(torch.zeros(2, 3), 8).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("bits", [4, 8])
def test_rounding_is_at_most_half_a_step_off_and_does_nothing_twice(bits):
    values = drawn(5, 40)
    step = values.abs().amax(dim=-1, keepdim=True) / (2 ** (bits - 1) - 1)
    found = quantise(values, bits)
    assert ((found - values).abs() <= step / 2 + 1e-12).all()
    assert torch.allclose(quantise(found, bits), found)


def test_pruning_keeps_the_largest_entries_that_the_bits_pay_for():
    # 16 entries: 8 bits for a value, 4 for its place; 16 for the scale. 40 bits pay for two entries.
    update = torch.arange(16.0).reshape(1, 4, 4) - 8
    found = prune(update, 16 + 2 * 12)
    assert found.nonzero()[:, 1:].tolist() == [[0, 0], [0, 1]]
    assert found[0, 0, :2].tolist() == pytest.approx([-8.0, -7.0], abs=8 / 127 / 2 + 1e-12)
    assert not prune(update, 16 + 11).any()
    assert prune(update, 16 + 23).count_nonzero() == 1  # one bit short of two


def test_low_rank_pays_for_its_scales():
    # A component of a 6 x 4 module at 16 bits costs 16 * 10 + 32 = 192.
    update = drawn(2, 6, 4)
    assert not low_rank(update, 191, (16,)).any()
    for count in (1, 2, 3):
        found = low_rank(update, count * 192, (16,))
        assert torch.linalg.matrix_rank(found, rtol=1e-3).tolist() == [count] * 2


def test_low_rank_is_nearly_the_best_of_its_rank():
    update = drawn(3, 8, 5)
    sizes = torch.linalg.svdvals(update)
    found = low_rank(update, 2 * (16 * 13 + 32), (16,))
    assert torch.allclose(error(update, found), sizes[:, 2:].square().sum(dim=1), rtol=1e-4)


def test_mixed_precision_has_more_components_for_the_same_bits():
    # 560 bits of an 8 x 6 module: 16 bits a value give two components at 256; mixed precision gives one at
    # 144 of the first half, then four at 88.
    update = drawn(1, 8, 6)
    assert torch.linalg.matrix_rank(low_rank(update, 560, (16,)), rtol=1e-6) == 2
    assert torch.linalg.matrix_rank(low_rank(update, 560), rtol=1e-6) == 5


def test_what_is_spent_on_the_first_components_is_not_spent_again():
    update = drawn(1, 8, 6)
    assert torch.equal(low_rank(update, 2 * 143, (8, 4)), low_rank(update, 2 * 143, (4,)))


def test_a_pack_takes_the_codec_that_loses_least_in_each_module_and_network():
    spikes = torch.zeros(1, 40, 8)
    spikes[0, [3, 17, 30], [1, 5, 2]] = torch.tensor([4.0, -3.0, 2.0])
    flat = torch.outer(torch.linspace(1, 2, 40), torch.linspace(-1, 1, 8)).unsqueeze(0)
    update = {"first": torch.cat([spikes, flat]), "second": torch.cat([flat, spikes])}
    pack = skill_pack(update, (prune, low_rank), 0.1)
    budget = 0.1 * 16 * 320
    assert torch.equal(pack["first"][:1], prune(spikes, budget))
    assert torch.equal(pack["first"][1:], low_rank(flat, budget))
    assert torch.equal(pack["second"][:1], low_rank(flat, budget))
    for codec in (prune, low_rank):
        one = skill_pack(update, (codec,), 0.1)
        for name, own in update.items():
            assert (error(own, pack[name]) <= error(own, one[name])).all()
        assert sum(error(own, one[name]).sum() for name, own in update.items()) > 1


def test_tokens_are_places_and_levels_of_patches():
    image = torch.zeros(1, 8, 8)
    image[0, 0, 1], image[0, 1, 0], image[0, 7, 7] = 0.5, 1.0, 0.3
    found = _tokens(image.flatten(1))[0]
    assert found.shape == (16,)
    assert found[0] == 9 + 2 * 3
    assert found[15] == 81 * 15 + 1
    assert found[1:15].tolist() == [81 * place for place in range(1, 15)]
