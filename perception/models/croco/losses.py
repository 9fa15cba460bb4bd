"""Losses of CroCo: completion of masked patches, and Laplacian regression of disparity or flow with a learned scale.

A network says for each pixel a value and the scale of a Laplace distribution around it; the loss is its negative log-likelihood (up to log 2), so
that pixels that cannot be matched may be admitted to (CroCo v2, section 4). Bounds keep the scale from running away.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STEREO_BOUND = 3.0
FLOW_SCALES = (0.25, 4.0)
LARGEST_FLOW = 10000.0


def completion_loss(reconstruction: Tensor, target: Tensor, mask: Tensor, normalise: bool = True) -> Tensor:
    """Mean squared error of masked patches.

    reconstruction, target: (B, N, P) pixels of patches. mask: (B, N) bool, True where the network did not look. normalise: each target patch by its
    own mean and variance.
    """
    if normalise:
        mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
        target = (target - mean) / (variance + 1e-6).sqrt()
    error = (reconstruction - target).square().mean(-1)
    return (error * mask).sum() / mask.sum().clamp(min=1)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)


def _distance(values: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """(B, H, W) sum of absolute differences over the channels; 0 where the truth is unknown (it may be infinite there)."""
    truth = torch.where(valid[:, None], truth, values.detach())
    return (values - truth).abs().sum(1)


def laplacian(values: Tensor, scale: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Log scale without bounds: |error| / exp(scale) + scale."""
    return _mean(_distance(values, truth, valid) * (-scale).exp() + scale, valid)


def laplacian_bounded_log(values: Tensor, scale: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Log scale softly bounded to -3 .. 3; for stereo."""
    bounded = 2 * STEREO_BOUND * ((scale / STEREO_BOUND).sigmoid() - 0.5)
    return laplacian(values, bounded, truth, valid)


def laplacian_bounded(values: Tensor, scale: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Scale softly bounded to 0.25 .. 4 pixels; for flow. Motions of more than 10000 pixels are errors of the truth and do not count."""
    low, high = FLOW_SCALES
    length = torch.where(valid[:, None], truth, 0.0).norm(dim=1)
    valid = valid & (length < LARGEST_FLOW)
    spread = (high - low) * scale.sigmoid() + low
    return _mean(_distance(values, truth, valid) / spread + spread.log(), valid)


Criterion = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

# Ours, and the names that official checkpoints and commands use.
CRITERIA: dict[str, Criterion] = {
    "laplacian": laplacian,
    "laplacian-bounded-log": laplacian_bounded_log,
    "laplacian-bounded": laplacian_bounded,
}
OFFICIAL_NAMES = {
    "LaplacianLoss": "laplacian",
    "LaplacianLossBounded2": "laplacian-bounded-log",
    "LaplacianLossBounded": "laplacian-bounded",
}
