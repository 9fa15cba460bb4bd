"""Losses of depth and motion from 360-degree video: photometric, contrast-aware, explainability, smoothness, pose consistency.

Formulas of BiFuse++ (photometric, contrast, smoothness) and of Wang et al. 2018 (explainability, smoothness, consistency of the six faces' motions).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from perception.geometry import sphere


def photometric_loss(
    reference: Tensor, warped: Tensor, explained: Tensor | None = None, weight: Tensor | None = None
) -> Tensor:
    """Mean over pixels and channels of |reference - warped| (B, C, H, W), times `explained` and `weight` (B, 1, H, W) where given."""
    error = (reference - warped).abs()
    for factor in (explained, weight):
        if factor is not None:
            error = error * factor
    return error.mean()


def contrast(reference: Tensor, window: int = 9, wrap: bool = True) -> Tensor:
    """Local standard deviation (unbiased) of the grey picture in a window: (B, C, H, W) -> (B, 1, H, W). What is flat tells nothing of depth.

    wrap: columns go on around the sphere; False repeats the border column (official). Rows repeat their border.
    """
    grey = reference.mean(1, keepdim=True)
    pad = window // 2
    if wrap:
        grey = F.pad(sphere.pad_circular(grey, pad), (0, 0, pad, pad), mode="replicate")
    else:
        grey = F.pad(grey, (pad, pad, pad, pad), mode="replicate")
    count = window * window
    # Shifted by the picture's own mean: the difference of two large squares would lose the small deviations.
    grey = grey - grey.mean((2, 3), keepdim=True)
    mean = F.avg_pool2d(grey, window, 1)
    square = F.avg_pool2d(grey * grey, window, 1)
    variance = (square - mean * mean).clamp(min=0) * (count / (count - 1))
    return (variance + 1e-12).sqrt()


def smoothness_loss(depth: Tensor, wrap: bool = True) -> Tensor:
    """Mean |dxx| + |dxy| + |dyx| + |dyy| of (B, 1, H, W). wrap: differences cross the seam (official: they do not)."""

    def across(x: Tensor) -> Tensor:
        return x.roll(-1, -1) - x if wrap else x[..., 1:] - x[..., :-1]

    def down(x: Tensor) -> Tensor:
        return x[..., 1:, :] - x[..., :-1, :]

    dx, dy = across(depth), down(depth)
    return across(dx).abs().mean() + down(dx).abs().mean() + across(dy).abs().mean() + down(dy).abs().mean()


def explainability_loss(mask: Tensor) -> Tensor:
    """Cross entropy of an explainability mask against "everything is explained"; keeps the mask from hiding every error."""
    return -mask.float().clamp(min=1e-6).log().mean()


def pose_consistency_loss(rotations: Tensor, translations: Tensor) -> Tensor:
    """Spread of the motions that the six faces of a cube saw, in their common frame.

    rotations: (B, 6, 3) Euler angles or axis-angle vectors, translations: (B, 6, 3). Standard deviation over the faces, summed over the components,
    mean over the batch.
    """
    spread = 0
    for values in (rotations.float(), translations.float()):
        spread = spread + (values.var(1, unbiased=False) + 1e-12).sqrt().sum(-1).mean()
    return spread
