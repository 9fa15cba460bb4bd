"""Visual encoder: deformable self-attention over all levels of the pyramid (MonoDETR, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from perception.models.layers.deformable_attention import MultiScaleDeformableAttention
from perception.models.layers.sine_position import sine_position_map
from perception.ops.constants import cached_constants
from perception.ops.deformable_attention import Shapes


class EncoderLayer(nn.Module):
    """Post-norm deformable self-attention and feed-forward layer."""

    def __init__(self, dim: int, heads: int, levels: int, points: int, ffn_dim: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiScaleDeformableAttention(dim, heads, levels, points)
        self.linear1, self.linear2 = nn.Linear(dim, ffn_dim), nn.Linear(ffn_dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor, references: Tensor, shapes: Shapes) -> Tensor:
        """(B, S, dim) tokens, (1, S, dim) positions, (1, S, 2) pixel centres as fractions -> (B, S, dim)."""
        x = self.norm1(x + self.dropout(self.attention(x + position, references, x, shapes)))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))


class DeformableEncoder(nn.Module):
    """Lines the levels up as tokens, adds sine and level codes to the queries, and runs the layers.

    checkpointing: recompute each layer in the backward pass (less memory, more time).
    """

    def __init__(
        self, layers: int, dim: int, heads: int, levels: int, points: int, ffn_dim: int, dropout: float
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(dim, heads, levels, points, ffn_dim, dropout) for _ in range(layers))
        self.level_embed = nn.Parameter(torch.randn(levels, dim))
        self.checkpointing = False

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[tuple[int, int]]]:
        """Maps (B, dim, h, w) -> memory (B, S, dim) with the levels one after the other, and their (height, width)."""
        shapes = [(int(m.shape[-2]), int(m.shape[-1])) for m in maps]
        x = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], 1)
        position = torch.cat(
            [
                sine_position_map(h, w, x.shape[-1], x.device, x.dtype) + embed
                for (h, w), embed in zip(shapes, self.level_embed, strict=True)
            ],
            1,
        )
        references = pixel_centres(tuple(shapes), x.device)
        for layer in self.layers:
            if self.checkpointing and self.training:
                x = checkpoint(layer, x, position, references, shapes, use_reentrant=False)
            else:
                x = layer(x, position, references, shapes)
        return x, shapes


@cached_constants(maxsize=32)
def pixel_centres(shapes: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    """(1, S, 2) float32 (x, y) of all pixel centres, fractions of the picture."""
    levels = []
    for height, width in shapes:
        y = (torch.arange(height, dtype=torch.float32, device=device) + 0.5) / height
        x = (torch.arange(width, dtype=torch.float32, device=device) + 0.5) / width
        levels.append(torch.stack((x.expand(height, -1), y[:, None].expand(-1, width)), -1).reshape(-1, 2))
    return torch.cat(levels)[None]
