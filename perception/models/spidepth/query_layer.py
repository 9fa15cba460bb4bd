"""The self query layer of SQLdepth (arXiv 2309.00526, section 3): a picture is compared with a few summaries of its own patches.

embeddings of the pixels -> patch tokens -> transformer -> Q queries
energy of (query, pixel) = their dot product           the "self-cost volume": relative distances within the picture
energies -> summary of each query -> depth bins of this picture;   energies -> probability of each bin at each pixel
depth = expected bin centre
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import InputError


class TokenLayer(nn.Module):
    """Post-norm transformer layer: self-attention, then a ReLU feed-forward, each added and normalised (Vaswani et al. 2017)."""

    def __init__(self, dim: int, heads: int, ffn_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, ffn_dim), nn.Linear(ffn_dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, dim) -> (B, N, dim)."""
        drop = self.dropout if self.training else 0.0
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=drop).transpose(1, 2).flatten(2)
        x = self.norm1(x + F.dropout(self.proj(attended), drop))
        hidden = F.dropout(self.fc1(x).relu(), drop)
        return self.norm2(x + F.dropout(self.fc2(hidden), drop))


class SelfQueryLayer(nn.Module):
    """From a map of embeddings to depth.

    Args:
        dim: channels of the map. patch: side of a token's patch, in pixels of the map. queries: Q; the first Q tokens in raster order are taken, so a
            picture needs at least as many patches. bins: depth bins. min_depth, max_depth: limits of the bins. ffn_dim, layers, heads, dropout: of
            the transformer. positions: rows of the learned table, the most patches that a picture may have.
    """

    def __init__(
        self,
        dim: int = 32,
        patch: int = 32,
        queries: int = 64,
        bins: int = 64,
        min_depth: float = 0.001,
        max_depth: float = 80.0,
        *,
        ffn_dim: int = 1024,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.1,
        positions: int = 500,
    ) -> None:
        super().__init__()
        self.queries, self.min_depth, self.max_depth = queries, min_depth, max_depth
        self.patches = nn.Conv2d(dim, dim, patch, patch)
        self.positions = nn.Parameter(torch.rand(positions, dim))
        self.layers = nn.ModuleList(TokenLayer(dim, heads, ffn_dim, dropout) for _ in range(layers))
        self.pixels = nn.Conv2d(dim, dim, 3, padding=1)
        hidden = 16 * queries
        self.bins = nn.Sequential(
            nn.Linear(queries * dim, hidden),
            nn.LeakyReLU(),
            nn.Linear(hidden, 256),
            nn.LeakyReLU(),
            nn.Linear(256, bins),
        )
        self.probabilities = nn.Conv2d(queries, bins, 1)

    def query_tokens(self, features: Tensor) -> Tensor:
        """(B, dim, h, w) -> (B, Q, dim). Raises `InputError` for a map of too few or too many patches."""
        tokens = self.patches(features).flatten(2).transpose(1, 2)
        count, most = tokens.shape[1], self.positions.shape[0]
        if not self.queries <= count <= most:
            side = self.patches.kernel_size[0]
            raise InputError(
                f"a picture must give between {self.queries} and {most} patches of {2 * side}x{2 * side} pixels; found {count}"
            )
        tokens = tokens + self.positions[:count].to(tokens.dtype)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens[:, : self.queries]

    def energies(self, features: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Energy maps (B, Q, h, w) of queries (B, Q, dim), and their summaries (B, Q, dim): embeddings averaged where the energy is high."""
        pixels = self.pixels(features)
        energy = torch.einsum("bqc,bchw->bqhw", queries, pixels)
        weights = energy.flatten(2).float().softmax(-1).to(pixels.dtype)
        return energy, weights @ pixels.flatten(2).transpose(1, 2)

    def bin_centres(self, summary: Tensor) -> Tensor:
        """(B, Q, dim) -> (B, bins) ascending depths, float32: widths add up to max_depth - min_depth."""
        width = self.bins(summary.flatten(1)).float().relu() + 0.1
        width = (self.max_depth - self.min_depth) * width / width.sum(1, keepdim=True)
        return self.min_depth + width.cumsum(1) - width / 2

    def forward(self, features: Tensor) -> Tensor:
        """(B, dim, h, w) -> (B, h, w) depth, float32."""
        energy, summary = self.energies(features, self.query_tokens(features))
        probability = self.probabilities(energy).float().softmax(1)
        return torch.einsum("bkhw,bk->bhw", probability, self.bin_centres(summary))
