"""Supervision of the depth distributions by LiDAR (or exact) depth, as BEVDepth does: binary cross-entropy over the bins of supervised cells."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.models.hydra.calibration import DepthAxis


def nearest_depth(depth: Tensor, valid: Tensor, cells: tuple[int, int]) -> Tensor:
    """(..., H, W) depth -> (..., h, w): the nearest valid depth in each feature cell, 0 where there is none. H, W are multiples of h, w."""
    far = torch.where(valid, depth, torch.inf)
    rows, columns = depth.shape[-2] // cells[0], depth.shape[-1] // cells[1]
    blocks = far.unflatten(-1, (cells[1], columns)).unflatten(-3, (cells[0], rows))  # (..., h, rows, w, columns)
    nearest = blocks.amin((-3, -1))
    return torch.where(nearest.isfinite(), nearest, 0.0)


def depth_bins(nearest: Tensor, axis: DepthAxis, convention: str = "exact") -> Tensor:
    """Bin of each depth, -1 for none or outside. "official": floor((d - (start - step)) / step) - 1, which drops the half bin below start, too."""
    bins = axis.bins
    if convention == "official":
        at = (nearest - (axis.start - axis.step)) / axis.step
        return torch.where((nearest > 0) & (at >= 0) & (at < bins + 1), at, 0.0).long() - 1
    at = ((nearest - axis.start) / axis.step).floor()
    return torch.where((nearest > 0) & (at >= 0) & (at < bins), at, -1.0).long()


def depth_loss(probabilities: Tensor, bins: Tensor) -> Tensor:
    """Mean over supervised cells of the binary cross-entropy summed over all bins.

    Args:
        probabilities: (B, N, D, h, w) softmax over D, float32.
        bins: (B, N, h, w) from `depth_bins`.
    """
    chosen = bins >= 0
    probability = probabilities.movedim(2, -1)[chosen]  # (K, D)
    target = F.one_hot(bins[chosen], probabilities.shape[2]).to(probability.dtype)
    return F.binary_cross_entropy(probability, target, reduction="sum") / max(1, len(probability))
