"""A neighbouring frame painted into the reference view through depth and motion: what the losses compare (Zhou et al. 2017).

Intrinsics follow the project: pixel centres at integer + 0.5.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sampling_grid(depth: Tensor, intrinsics: Tensor, target_from_reference: Tensor) -> Tensor:
    """Where every reference pixel lies in the target frame, for `grid_sample` with align_corners=True.

    depth: (B, H, W) z of the reference. intrinsics: (B, 3, 3) pixels, of both frames. target_from_reference: (B, 4, 4), in depth's unit.
    Returns (B, H, W, 2): x, y; -1 and 1 are the centres of the first and last pixels.
    """
    height, width = depth.shape[-2:]
    v, u = torch.meshgrid(
        torch.arange(height, dtype=depth.dtype, device=depth.device) + 0.5,
        torch.arange(width, dtype=depth.dtype, device=depth.device) + 0.5,
        indexing="ij",
    )
    rays = torch.linalg.inv(intrinsics) @ torch.stack((u, v, torch.ones_like(u))).flatten(1)  # (B, 3, H W)
    points = rays * depth.flatten(1)[:, None]
    projection = intrinsics @ target_from_reference[:, :3]  # (B, 3, 4)
    seen = projection[:, :, :3] @ points + projection[:, :, 3:]
    pixels = seen[:, :2] / (seen[:, 2:] + 1e-7)
    size = torch.tensor([width, height], dtype=depth.dtype, device=depth.device)[:, None]
    grid = 2 * (pixels - 0.5) / (size - 1) - 1
    return grid.transpose(1, 2).unflatten(1, (height, width))


def sample(picture: Tensor, grid: Tensor) -> Tensor:
    """(B, C, H, W) at `sampling_grid` (B, h, w, 2); what lies outside takes the colour of the border."""
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=True)
