"""Patch embeddings that follow shifts of the picture (after Ding et al., "Reviving Shift Equivariance in Vision Transformers", arXiv 2306.07470).

A strided embedding of patch p looks at one of p x p possible grids. Polyphase anchoring chooses the grid by the picture itself: the phase
whose pixels have the largest energy becomes the origin, by a circular shift. A circularly shifted picture then gives the same tokens,
circularly shifted: for a network without absolute positions every answer follows exactly.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def polyphase_anchor(image: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Circularly shift each picture so that its strongest phase lies at the origin.

    Args:
        image: (B, C, H, W) with H and W multiples of `patch`.

    Returns the shifted pictures, and (B, 2) int64 (rows, columns) by which they were moved up and left, each in 0 .. patch - 1.
    """
    height, width = image.shape[2:]
    if height % patch or width % patch:
        raise ValueError(f"sides should be multiples of the patch {patch}; found {height}x{width}")
    energy = image.detach().square().sum(1).unflatten(2, (-1, patch)).unflatten(1, (-1, patch)).sum((1, 3))
    index = energy.flatten(1).argmax(1)  # (B,)
    offset = torch.stack([index // patch, index % patch], 1)
    return roll_each(image, offset), offset


def roll_each(image: Tensor, offset: Tensor) -> Tensor:
    """Move each picture of (B, C, H, W) up and left by its own whole number of pixels (B, 2), circularly."""
    height, width = image.shape[2:]
    rows = (torch.arange(height, device=image.device) + offset[:, :1]) % height  # (B, H)
    columns = (torch.arange(width, device=image.device) + offset[:, 1:]) % width
    batch = torch.arange(image.shape[0], device=image.device)[:, None, None]
    return image.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def unroll_map(feature: Tensor, offset: Tensor, stride: float) -> Tensor:
    """Move maps (B, C, h, w) of some stride back by the pixels that `polyphase_anchor` moved the pictures: whole cells exactly, the rest
    by linear interpolation between neighbours (circularly), so that cells lie where the picture is."""
    cells = offset.to(feature.dtype) / stride
    whole = cells.floor()
    part = (cells - whole)[:, :, None, None, None]  # (B, 2, 1, 1, 1)
    whole = whole.long()
    feature = roll_each(feature, -whole)
    feature = feature + part[:, 0] * (feature.roll(1, 2) - feature)
    return feature + part[:, 1] * (feature.roll(1, 3) - feature)


class PolyphasePatchEmbed(nn.Module):
    """Wrap a patchify stem of stride `patch` so that circular shifts of the picture shift its tokens and change nothing else."""

    def __init__(self, stem: nn.Module, patch: int) -> None:
        super().__init__()
        self.stem, self.patch = stem, patch

    def __getattr__(self, name: str) -> Any:
        """Everything else (`grid_size`, `dynamic_feat_size` ...) is the stem's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("stem"), name)

    def forward(self, image: Tensor) -> Tensor:
        return self.stem(polyphase_anchor(image, self.patch)[0])
