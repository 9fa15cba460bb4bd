"""Losses to fine-tune Depth Anything V2: SiLog for metric depth, scale-and-shift-invariant errors for relative inverse depth."""

from __future__ import annotations

import torch
from torch import Tensor


def silog(depth: Tensor, target: Tensor, valid: Tensor, share: float = 0.5) -> Tensor:
    """sqrt(mean(e^2) - share mean(e)^2), e = log target - log depth over valid pixels of the batch. All (B, H, W), metres; 0 without valid pixels."""
    if not valid.any():
        return (depth * 0).sum()
    error = target[valid].log() - depth[valid].clamp(min=1e-6).log()
    return (error.square().mean() - share * error.mean().square()).clamp(min=1e-12).sqrt()


def aligned(values: Tensor, valid: Tensor) -> Tensor:
    """(B, H, W) minus its median, over its mean absolute deviation, per picture and over valid pixels (MiDaS, section 5)."""
    masked = values.masked_fill(~valid, float("nan")).flatten(1)
    middle = masked.nanmedian(1).values[:, None, None]
    spread = (masked - middle[:, :, 0]).abs().nanmean(1).clamp(min=1e-6)[:, None, None]
    return (values - middle.nan_to_num(0.0)) / spread.nan_to_num(1.0)


def scale_shift_invariant(
    inverse: Tensor, depth: Tensor, valid: Tensor, gradient_weight: float = 2.0, scales: int = 4
) -> dict[str, Tensor]:
    """Compare relative inverse depth with 1 / depth after aligning both: mean absolute error, and error of their gradients at `scales` scales."""
    target = aligned(1 / depth.clamp(min=1e-3), valid)
    error = (aligned(inverse, valid) - target).masked_fill(~valid, 0.0)
    losses = {"loss_depth": error.abs().sum() / valid.sum().clamp(min=1)}
    total = error.new_zeros(())
    for step in (2**k for k in range(scales)):
        e, v = error[:, ::step, ::step], valid[:, ::step, ::step]
        across = (e[:, :, 1:] - e[:, :, :-1]).abs() * (v[:, :, 1:] & v[:, :, :-1])
        down = (e[:, 1:] - e[:, :-1]).abs() * (v[:, 1:] & v[:, :-1])
        total = total + (across.sum() + down.sum()) / v.sum().clamp(min=1)
    losses["loss_gradient"] = gradient_weight * total / scales
    return losses


def valid_pixels(depth: Tensor, valid: Tensor | None, near: float, far: float) -> Tensor:
    """(B, H, W) bool: known depths between two limits, metres."""
    known = torch.isfinite(depth) & (depth > near) & (depth < far)
    return known if valid is None else known & valid.bool()
