"""Losses of dense models. All arithmetic in float32; pixels without truth never count; a picture without truth costs 0."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def masked_mean(value: Tensor, mask: Tensor) -> Tensor:
    """Mean of `value` where `mask`, 0 if nowhere. No synchronisation with the device."""
    mask = mask.to(value.dtype)
    return (value * mask).sum() / mask.sum().clamp(min=1.0)


def log_depth_losses(prediction: Tensor, target: Tensor, valid: Tensor, scales: int = 4) -> dict[str, Tensor]:
    """Losses between log depths (B, h, w) where `valid` (B, h, w) bool.

    Returns
        depth: L1 of the log depth.
        shape: L1 after each picture's mean difference is taken out: what does not depend on the scale.
        gradient: L1 of the difference's gradients at `scales` resolutions, each half the one before (MiDaS, arXiv 1907.01341).
    """
    prediction, target = prediction.float(), target.float()
    difference = torch.where(valid, prediction - target, torch.zeros_like(prediction))
    weight = valid.float()
    shift = difference.sum((1, 2)) / weight.sum((1, 2)).clamp(min=1.0)
    free = (difference - shift[:, None, None]).abs()
    return {
        "depth": masked_mean(difference.abs(), valid),
        "shape": masked_mean(free, valid),
        "gradient": gradient_loss(difference, valid, scales),
    }


def gradient_loss(difference: Tensor, valid: Tensor, scales: int = 4) -> Tensor:
    """Mean over `scales` of the L1 of horizontal and vertical steps of `difference` (B, h, w) between valid neighbours."""
    total = difference.new_zeros(())
    count = 0
    for level in range(scales):
        d, m = difference[:, :: 2**level, :: 2**level], valid[:, :: 2**level, :: 2**level]
        if min(d.shape[1:]) < 2:
            break
        across = masked_mean((d[:, :, 1:] - d[:, :, :-1]).abs(), m[:, :, 1:] & m[:, :, :-1])
        down = masked_mean((d[:, 1:] - d[:, :-1]).abs(), m[:, 1:] & m[:, :-1])
        total, count = total + across + down, count + 1
    return total / max(count, 1)


def silog_loss(prediction: Tensor, target: Tensor, valid: Tensor, floor: float = 1e-3) -> Tensor:
    """ViP-DeepLab's depth loss (arXiv 2012.05258) on metric depths (B, h, w): variance of the log error plus the root mean square
    relative error, a picture at a time, then the mean. `prediction` is held above `floor`."""
    valid = valid & (target > 0)
    prediction = prediction.float().clamp(min=floor)
    target = torch.where(valid, target.float(), torch.ones_like(prediction))
    weight = valid.float()
    count = weight.sum((1, 2)).clamp(min=1.0)
    error = (target.log() - prediction.log()) * weight
    mean = error.sum((1, 2)) / count
    variance = (error.square().sum((1, 2)) / count - mean.square()).clamp(min=0)
    relative = (((target - prediction) / target).square() * weight).sum((1, 2)) / count
    return (variance + (relative + 1e-12).sqrt()).mean()


def normal_loss(prediction: Tensor, target: Tensor, kind: str = "cosine") -> Tensor:
    """Loss of (B, 3, h, w) directions against unit normals (length 0 = unknown): mean of 1 - cos ("cosine") or of the L2 distance ("l2")."""
    valid = target.square().sum(1) > 0.25
    unit = F.normalize(prediction.float(), dim=1, eps=1e-6)
    if kind == "l2":
        return masked_mean(((unit - target).square().sum(1) + 1e-12).sqrt(), valid)
    return masked_mean(1 - (unit * target).sum(1), valid)


def semantic_loss(logits: Tensor, target: Tensor, ignore: int = 255) -> Tensor:
    """Cross entropy of (B, C, h, w) logits against (B, h, w) class indices; 0 if every pixel is ignored."""
    loss = F.cross_entropy(logits.float(), target, ignore_index=ignore, reduction="sum")
    return loss / (target != ignore).sum().clamp(min=1)


def nearest(target: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample (B, H, W) or (B, C, H, W) truth to `size` by its nearest pixel (truth is never mixed across edges)."""
    if target.shape[-2:] == tuple(size):
        return target
    rows = _nearest_index(target.shape[-2], size[0], target.device)
    columns = _nearest_index(target.shape[-1], size[1], target.device)
    return target[..., rows[:, None], columns[None, :]]


def _nearest_index(length: int, count: int, device: torch.device) -> Tensor:
    return ((torch.arange(count, device=device) + 0.5) * (length / count)).long().clamp(max=length - 1)
