"""A causal transformer small enough to train by the dozen, for labs on synthetic or tabled facts."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn


class GPT(nn.Module):
    r"""A decoder-only transformer, normalised before each sublayer, with learned positions.

    .. math:: x \leftarrow x + \mathrm{Attention}(\mathrm{norm}(x)), \quad
       x \leftarrow x + W_2\, \mathrm{GELU}(W_1\, \mathrm{norm}(x)), \quad z = E\, \mathrm{norm}(x)

    The embedding E is also the head. Use it in a `Population`: a row is one model.

    Parameters
    ----------
    vocabulary : int
        Number of tokens.
    context : int
        The longest sequence.
    width, depth, heads : int, optional
        Length of the residual, number of blocks, heads of attention of a block.

    References
    ----------
    A. Radford, J. Wu, R. Child, D. Luan, D. Amodei and I. Sutskever, Language Models are Unsupervised
    Multitask Learners (2019), section 2.3.
    """

    def __init__(
        self, vocabulary: int, context: int, width: int = 32, depth: int = 2, heads: int = 2
    ) -> None:
        super().__init__()
        self.embedding = nn.Parameter(0.1 * torch.randn(vocabulary, width))
        self.position = nn.Parameter(0.1 * torch.randn(context, width))
        self.blocks = nn.ModuleList(_Block(width, heads, depth) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of each next token, shape (n, t, vocabulary), from tokens (n, t)."""
        return nnf.linear(self.norm(self.residuals(tokens)[-1]), self.embedding)

    def residuals(self, tokens: Tensor) -> list[Tensor]:
        """Return what stands between the blocks, each of shape (n, t, width), embeddings first."""
        x = nnf.embedding(tokens, self.embedding) + self.position[: tokens.shape[-1]]
        found = [x]
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        with torch.no_grad():
            for last in (self.out, self.down):  # so that the residual keeps its scale with depth
                last.weight /= (2 * depth) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        q, k, v = self.qkv(self.before_attention(x)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        future = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
        scores = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).masked_fill(future, -torch.inf)
        mixed = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(n, t, width)
        x = x + self.out(mixed)
        inner: Tensor = self.down(nnf.gelu(self.up(self.before_mlp(x))))
        return x + inner
