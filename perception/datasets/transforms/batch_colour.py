"""Augmentations of the pictures of a batch: colour, blur, noise. Everything but ``image`` stays as it is.

Each picture draws its own numbers. ``image`` stays (B, 3, H, W) uint8; the arithmetic is float32 on the batch's device.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from perception.datasets.transforms.registry import register_batch_transform

Batch = dict[str, Any]


def uniform(low: float, high: float, count: int, device: torch.device) -> Tensor:
    """Return (count,) float32 numbers, uniform in [low, high), on `device`."""
    return torch.rand(count, device=device) * (high - low) + low


def _per_picture(values: Tensor) -> Tensor:
    return values[:, None, None, None]


@register_batch_transform
class RandomColour:
    """Gain, contrast, saturation, white balance and gamma, in this order.

    Every argument is the largest relative change (0.3: between 1/1.3 and 1.3 times), drawn on a logarithmic scale;
    `grey` is the share of pictures that lose their colour.
    """

    def __init__(
        self,
        gain: float = 0.3,
        contrast: float = 0.3,
        saturation: float = 0.4,
        white_balance: float = 0.1,
        gamma: float = 0.2,
        grey: float = 0.02,
    ) -> None:
        self.gain, self.contrast, self.saturation = gain, contrast, saturation
        self.white_balance, self.gamma, self.grey = white_balance, gamma, grey

    def __call__(self, batch: Batch) -> Batch:
        image = batch["image"].float() / 255
        count, device = len(image), image.device

        def factor(change: float, size: int = count) -> Tensor:
            return (uniform(-1, 1, size, device) * math.log1p(change)).exp()

        image = image * _per_picture(factor(self.gain))
        image = image * factor(self.white_balance, 3 * count).view(count, 3, 1, 1)
        mean = image.mean((1, 2, 3), keepdim=True)
        image = mean + (image - mean) * _per_picture(factor(self.contrast))
        brightness = 0.299 * image[:, :1] + 0.587 * image[:, 1:2] + 0.114 * image[:, 2:]
        colour = factor(self.saturation) * (torch.rand(count, device=device) >= self.grey)
        image = brightness + (image - brightness) * _per_picture(colour)
        image = image.clamp(1e-4, 1) ** _per_picture(factor(self.gamma))
        return {**batch, "image": to_uint8(image)}


@register_batch_transform
class RandomBlur:
    """A share of the pictures loses detail: scaled down by up to `scale` and back up bilinearly."""

    def __init__(self, share: float = 0.2, scale: float = 2.0) -> None:
        self.share, self.scale = share, scale

    def __call__(self, batch: Batch) -> Batch:
        image = batch["image"]
        scale = 1 + float(torch.rand(())) * (self.scale - 1)  # one factor a batch: one launch
        size = [max(1, round(n / scale)) for n in image.shape[-2:]]
        small = F.interpolate(image.float(), size=size, mode="bilinear", antialias=True, align_corners=False)
        soft = F.interpolate(small, size=image.shape[-2:], mode="bilinear", align_corners=False)
        chosen = _per_picture(torch.rand(len(image), device=image.device) < self.share)
        return {**batch, "image": torch.where(chosen, soft.round().clamp(0, 255).to(torch.uint8), image)}


@register_batch_transform
class RandomNoise:
    """Gaussian noise, independent for pixels and channels, of up to `sigma` grey levels."""

    def __init__(self, sigma: float = 8.0) -> None:
        self.sigma = sigma

    def __call__(self, batch: Batch) -> Batch:
        image = batch["image"].float()
        level = _per_picture(uniform(0, self.sigma, len(image), image.device))
        return {**batch, "image": to_uint8((image + level * torch.randn_like(image)) / 255)}


def to_uint8(image: Tensor) -> Tensor:
    """[0, 1] float -> 0..255, rounded and clipped."""
    return (image * 255).round().clamp(0, 255).to(torch.uint8)
