"""Patches talk to each other: one token a patch, a small transformer over the patches (paper section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError


class PatchAttention(nn.Module):
    """Multi-head self-attention; keys and values come from one projection, without biases, as in the released weights."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim, bias=False)
        self.kv = nn.Linear(dim, 2 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, C) to the same shape."""
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, C / heads)
        k, v = self.kv(x).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class PatchBlock(nn.Module):
    """Pre-norm attention and feed-forward, each with a residual."""

    def __init__(self, dim: int, heads: int, ratio: int = 4) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = PatchAttention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, ratio * dim), nn.GELU(), nn.Linear(ratio * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchTransformer(nn.Module):
    """Deepest maps of all patches -> one token a patch -> the same after everyone has seen everyone.

    Args:
        channels: of the deepest map. grid: its (h, w). patches: N. depth, heads: of the transformer. down: channels after the 1x1
            convolution, so that down x h x w = channels (None: derived).
    Raises `RecipeError` when the map cannot be squeezed into a token of `channels` numbers.
    """

    def __init__(self, channels: int, grid: tuple[int, int], patches: int, depth: int = 6, heads: int = 4) -> None:
        super().__init__()
        cells = grid[0] * grid[1]
        if channels % cells or channels % heads:
            raise RecipeError(
                f"a patch's deepest map of {channels} x {grid[0]} x {grid[1]} cannot become a token of {channels} numbers and {heads} heads; "
                "use a patch size whose deepest map has a number of cells that divides its channels"
            )
        self.down = nn.Conv2d(channels, channels // cells, 1)
        self.pos_emb = nn.Parameter(torch.zeros(1, patches, channels))
        nn.init.trunc_normal_(self.pos_emb, std=0.02)
        self.layers = nn.ModuleList(PatchBlock(channels, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, deepest: Tensor, patches: int) -> Tensor:
        """Map (B N, C, h, w) to tokens (B, N, C)."""
        x = self.down(deepest).flatten(1).unflatten(0, (-1, patches)) + self.pos_emb
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)
