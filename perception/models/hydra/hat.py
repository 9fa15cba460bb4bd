"""Height Association Transformer: image columns ask the radar cells of the same column (HyDRa, arXiv 2403.07746).

A radar measures range and azimuth, so its returns are known up to their height in the picture: all H pixels of an image column may belong to any of
the D radar cells along that column's rays. Each pixel attends to the cells of its column and takes from them what fits its appearance.

The authors released no code; this is this project's definition from the published description, fixed by the parity case `hydra_hat`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import InputError


class HeightAssociation(nn.Module):
    """Cross-attention per camera and feature column, post-norm, with a feed-forward part of twice the width.

    Args:
        dim: channels of both maps.
        heads: attention heads.
        height, depth: rows of the image map and of the radar map, for the learned embeddings; other sizes are interpolated.
    """

    def __init__(self, dim: int, heads: int, height: int, depth: int) -> None:
        super().__init__()
        self.height_embed = nn.Parameter(torch.randn(height, dim) * 0.02)
        self.depth_embed = nn.Parameter(torch.randn(depth, dim) * 0.02)
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))

    def forward(
        self, image: Tensor, radar: Tensor, occupied: Tensor | None = None, return_attention: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Give the image features what the radar knows.

        Args:
            image: (N, C, H, W).
            radar: (N, C, D, W), depth cells of the same columns.
            occupied: (N, D, W) bool, cells with radar points; others are not attended, and a column without any keeps its image features
                exactly as they are. None: all cells count.
            return_attention: also return (N, W, H, D) weights averaged over the heads.

        Returns:
            (N, C, H, W), and the weights where asked for.

        Raises:
            InputError: maps of different widths.
        """
        if image.shape[0] != radar.shape[0] or image.shape[-1] != radar.shape[-1]:
            raise InputError(
                f"height association needs maps of the same cameras and columns; found image {tuple(image.shape)}, radar {tuple(radar.shape)}"
            )
        cameras, _, height, width = image.shape
        depth = radar.shape[2]
        pixels = image.permute(0, 3, 2, 1).flatten(0, 1)  # (N W, H, C)
        cells = radar.permute(0, 3, 2, 1).flatten(0, 1)  # (N W, D, C)
        query = pixels + _resized(self.height_embed, height)
        key = cells + _resized(self.depth_embed, depth)
        hidden, empty = None, None
        if occupied is not None:
            seen = occupied.permute(0, 2, 1).flatten(0, 1)  # (N W, D)
            empty = ~seen.any(1)
            hidden = ~(seen | empty[:, None])  # a column without points attends to everything, and is put back below
        found, weights = self._attend(query, key, cells, hidden, return_attention)
        out = self.norm1(pixels + found)
        out = self.norm2(out + self.ffn(out))
        if empty is not None:
            out = torch.where(empty[:, None, None], pixels, out)
        out = out.unflatten(0, (cameras, width)).permute(0, 3, 2, 1)
        return (out, weights.unflatten(0, (cameras, width))) if return_attention else out

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None, want_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """`nn.MultiheadAttention` on the fused kernel: two thirds of its time goes into what is not needed here."""
        attn = self.attn
        parts = zip((query, key, value), attn.in_proj_weight.chunk(3), attn.in_proj_bias.chunk(3), strict=True)
        q, k, v = (F.linear(x, w, b).unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for x, w, b in parts)
        mask = None if hidden is None else ~hidden[:, None, None]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        weights = None
        if want_weights:
            logits = (q @ k.mT) * q.shape[-1] ** -0.5
            logits = logits if mask is None else logits.masked_fill(~mask, -torch.inf)
            weights = logits.softmax(-1).mean(1)
        return attn.out_proj(out.transpose(1, 2).flatten(2)), weights


def _resized(embedding: Tensor, length: int) -> Tensor:
    """(L, C) -> (length, C)."""
    if len(embedding) == length:
        return embedding
    return F.interpolate(embedding.mT[None], size=length, mode="linear", align_corners=False)[0].mT
