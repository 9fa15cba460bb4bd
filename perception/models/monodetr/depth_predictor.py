"""Foreground depth: a coarse map of depth classes, its expectation in metres, and tokens that carry it (MonoDETR, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.layers.packed_attention import PackedAttention
from perception.models.layers.sine_position import sine_position_map
from perception.models.monodetr.depth_bins import DepthBins


def conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps the size at stride 1, then group norm over 32 channels a group."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2)
    return nn.Sequential(conv, nn.GroupNorm(32, out_channels))


class TransformerLayer(nn.Module):
    """Post-norm self-attention and feed-forward layer; the position joins query and key only."""

    def __init__(self, dim: int, heads: int, ffn_dim: int, dropout: float) -> None:
        super().__init__()
        self.attention = PackedAttention(dim, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(dim, ffn_dim), nn.Linear(ffn_dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        """(B, N, dim) tokens, (1 or B, N, dim) positions -> (B, N, dim)."""
        placed = x + position
        x = self.norm1(x + self.dropout(self.attention(placed, placed, x)))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))


class DepthDistribution(nn.Module):
    """From one feature map to depth logits, expected depth and depth tokens.

    Args:
        dim, heads, ffn_dim, dropout: widths of the head and of its one encoder layer.
        bins: the depth classes. The depth embedding has a learnt vector for each whole metre from 0 to `bins.far`.
    """

    def __init__(self, dim: int, heads: int, ffn_dim: int, dropout: float, bins: DepthBins) -> None:
        super().__init__()
        self.bins = bins
        self.head = nn.Sequential(*conv_norm(dim, dim, 3), nn.ReLU(), *conv_norm(dim, dim, 3), nn.ReLU())
        self.classifier = nn.Conv2d(dim, bins.count + 1, 1)
        self.encoder = TransformerLayer(dim, heads, ffn_dim, dropout)
        self.metre_embedding = nn.Parameter(torch.randn(int(bins.far) + 1, dim))
        self.register_buffer("bin_values", bins.values(), persistent=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, dim, h, w) -> logits (B, bins + 1, h, w), expected depth (B, h, w) in metres, tokens (B, h w, dim).

        The expectation includes the background class, which counts as `bins.far` metres.
        """
        features = self.head(features)
        logits = self.classifier(features)
        # Probabilities times depths in float32 whatever the autocast: bfloat16 has 0.25 m steps at 60 m.
        depth = torch.einsum("bchw,c->bhw", logits.float().softmax(1), self.bin_values)
        height, width = features.shape[-2:]
        position = sine_position_map(height, width, features.shape[1], features.device, features.dtype)
        tokens = self.encoder(features.flatten(2).transpose(1, 2), position)
        return logits, depth, tokens + self.embed(depth).flatten(1, 2).to(tokens.dtype)

    def embed(self, depth: Tensor) -> Tensor:
        """(...) metres -> (..., dim): the vectors of the neighbouring whole metres, interpolated; clamped to 0 .. last metre."""
        last = len(self.metre_embedding) - 1
        depth = depth.clamp(0, last)
        low = depth.detach().floor()
        part = (depth - low).unsqueeze(-1)
        low = low.long()
        near = F.embedding(low, self.metre_embedding)
        far = F.embedding((low + 1).clamp(max=last), self.metre_embedding)
        return near * (1 - part) + far * part


class DepthPredictor(nn.Module):
    """Depth from a pyramid: three neighbouring levels meet at the middle one's size (published: stride 16), then `DepthDistribution`."""

    def __init__(self, dim: int, heads: int, ffn_dim: int, dropout: float, bins: DepthBins) -> None:
        super().__init__()
        self.fine = conv_norm(dim, dim, 3, stride=2)
        self.middle = conv_norm(dim, dim, 1)
        self.coarse = conv_norm(dim, dim, 1)
        self.distribution = DepthDistribution(dim, heads, ffn_dim, dropout, bins)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Maps (B, dim, h, w) of three strides, finest first -> what `DepthDistribution` returns, at the second stride."""
        fine, middle, coarse = maps[:3]
        size = middle.shape[-2:]
        coarse = F.interpolate(coarse, size, mode="bilinear", align_corners=False)
        return self.distribution((self.fine(fine) + self.middle(middle) + self.coarse(coarse)) / 3)
