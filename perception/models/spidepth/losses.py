"""Losses of depth learned from video: photometric error with auto-masking, and edge-aware smoothness (monodepth2, arXiv 1806.01260).

SQLdepth's window of the structural similarity is 7x7.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SSIM_SHARE = 0.85
TIE_BREAKING_NOISE = 1e-5


def dissimilarity(a: Tensor, b: Tensor, window: int = 7) -> Tensor:
    """(1 - SSIM) / 2, clamped to 0..1, of two (B, C, H, W) pictures 0..1 in a uniform window; borders reflect."""
    pad = window // 2
    a, b = (F.pad(x, (pad, pad, pad, pad), mode="reflect") for x in (a, b))
    mean_a, mean_b, aa, bb, ab = (F.avg_pool2d(x, window, 1) for x in (a, b, a * a, b * b, a * b))
    c1, c2 = 0.01**2, 0.03**2
    above = (2 * mean_a * mean_b + c1) * (2 * (ab - mean_a * mean_b) + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (aa - mean_a**2 + bb - mean_b**2 + c2)
    return ((1 - above / below) / 2).clamp(0, 1)


def photometric_error(predicted: Tensor, target: Tensor) -> Tensor:
    """0.85 dissimilarity + 0.15 |difference|, mean over colours: two (B, 3, H, W) -> (B, 1, H, W)."""
    difference = (target - predicted).abs().mean(1, keepdim=True)
    return SSIM_SHARE * dissimilarity(predicted, target).mean(1, keepdim=True) + (1 - SSIM_SHARE) * difference


def masked_error(warped: Tensor, still: Tensor | None, noise: float = 0.0) -> Tensor:
    """Smallest error of every pixel over the sources: occluded pixels are judged by the frame that sees them.

    warped: (B, S, H, W) errors of the warped sources. still: (B, S, H, W) errors of the sources as they are, or None; where these are
    smaller, nothing moved between the frames and the pixel teaches nothing (auto-mask). noise: standard deviation of what breaks their ties.
    Returns (B, H, W).
    """
    if still is None:
        return warped.amin(1)
    if noise:
        still = still + noise * torch.randn_like(still)
    return torch.cat((still, warped), 1).amin(1)


def smoothness(depth: Tensor, image: Tensor) -> Tensor:
    """Mean |gradient| of depth / mean(depth), less where the picture has edges. depth: (B, H, W); image: (B, 3, H, W) 0..1."""
    depth = depth[:, None] / (depth.mean((1, 2))[:, None, None, None] + 1e-7)
    total = depth.new_zeros(())
    for axis in (2, 3):
        edge = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (depth.diff(dim=axis).abs() * (-edge).exp()).mean()
    return total
