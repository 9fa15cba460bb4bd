"""Starting offsets of deformable attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def directional_offsets(heads: int, levels: int, points: int) -> Tensor:
    """(heads, levels, points, 2) pixels: head h looks into direction 2 pi h / heads, point k at k + 1 pixels (Deformable DETR)."""
    angle = torch.arange(heads) * (2 * math.pi / heads)
    direction = torch.stack((angle.cos(), angle.sin()), -1)
    direction = direction / direction.abs().amax(-1, keepdim=True)
    steps = torch.arange(1, points + 1, dtype=torch.float32)
    return (direction[:, None, None] * steps[:, None]).expand(-1, levels, -1, -1).clone()
