import torch
from torch.testing import assert_close

from ktlabs.bench.gpt import GPT
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Population, fit

TOKENS = torch.randint(0, 11, (3, 4, 7), generator=torch.Generator().manual_seed(0))


def model(seed: int = 0) -> GPT:
    torch.manual_seed(seed)
    return GPT(vocabulary=11, context=8, width=16)


def test_a_later_token_changes_nothing_before_it():
    changed = TOKENS[0].clone()
    changed[:, 4] = (changed[:, 4] + 1) % 11
    net = model()
    before, after = net(TOKENS[0]), net(changed)
    assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().amax(dim=-1).min() > 1e-6


def test_the_order_of_earlier_tokens_matters():
    swapped = TOKENS[0][:, [1, 0, *range(2, 7)]]
    differ = TOKENS[0][:, 0] != TOKENS[0][:, 1]
    net = model()
    assert (net(TOKENS[0])[differ, -1] - net(swapped)[differ, -1]).abs().amax() > 1e-4


def test_a_row_of_a_population_is_the_model_of_its_seed():
    net = Population(lambda: GPT(vocabulary=11, context=8, width=16), [3, 4, 5])
    together = net(net.params, TOKENS)
    for row, seed in enumerate((3, 4, 5)):
        assert_close(together[row], model(seed)(TOKENS[row]))


def test_what_stands_between_blocks_starts_with_the_embeddings_and_ends_before_the_head():
    net = model()
    found = net.residuals(TOKENS[0])
    assert len(found) == 3
    assert_close(found[0], net.embedding[TOKENS[0]] + net.position[:7])
    assert_close(net.norm(found[-1]) @ net.embedding.T, net(TOKENS[0]))


def test_it_learns_to_copy_the_token_before_the_last():
    net = Population(lambda: GPT(vocabulary=6, context=3, width=16), [0, 1])
    x = torch.randint(0, 6, (2, 64, 3), generator=torch.Generator().manual_seed(1))
    target = x[..., 1]
    trained = fit(net.params, lambda p, _: cross_entropy(net(p, x)[:, :, -1], target), steps=150, lr=1e-2)
    assert (net(trained, x)[:, :, -1].argmax(dim=-1) == target).double().mean() > 0.95
