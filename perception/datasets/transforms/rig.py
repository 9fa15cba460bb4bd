"""Augmentations of whole rigs, on a collated batch: the BEV plane, the pictures, the radar.

The BEV's augmentation is a matrix, ``bev_from_ego`` (B, 3, 3), that the model applies; boxes stay in the ego frame. A picture's is ``image_rotation``
and ``image_shift``, beside the changed pixels.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from perception.datasets.transforms.registry import register_batch_transform

Batch = dict[str, Any]


@register_batch_transform
class RigBevAugment:
    """Rotate, scale and flip the BEV plane (BEVDet's data augmentation in BEV space).

    rotation: largest angle, degrees. scale: (smallest, largest); occupancy needs (1, 1). flip_x, flip_y: probabilities of mirroring forward/backward and
    left/right.
    """

    def __init__(
        self,
        rotation: float = 22.5,
        scale: tuple[float, float] = (0.95, 1.05),
        flip_x: float = 0.5,
        flip_y: float = 0.5,
    ) -> None:
        self.rotation, self.scale, self.flip_x, self.flip_y = math.radians(rotation), scale, flip_x, flip_y

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with ``bev_from_ego``."""
        images = batch["images"]
        count, device = len(images), images.device
        draw = torch.rand(4, count, device=device)
        angle = (2 * draw[0] - 1) * self.rotation
        scale = self.scale[0] + (self.scale[1] - self.scale[0]) * draw[1]
        mirror_x = torch.where(draw[2] < self.flip_x, -1.0, 1.0)
        mirror_y = torch.where(draw[3] < self.flip_y, -1.0, 1.0)
        matrix = torch.zeros(count, 3, 3, device=device)
        matrix[:, 0, 0], matrix[:, 0, 1] = angle.cos() * mirror_x, -angle.sin() * mirror_y
        matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin() * mirror_x, angle.cos() * mirror_y
        matrix[:, 2, 2] = 1
        return {**batch, "bev_from_ego": matrix * scale[:, None, None]}


@register_batch_transform
class RigPhotometric:
    """Gain, contrast, colour and gamma of every picture, each its own; ``images`` stay uint8. strength: relative change, on a logarithmic scale."""

    def __init__(self, strength: float = 0.3) -> None:
        self.strength = strength

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with changed ``images``; past frames stay as they are."""
        images = batch["images"]
        flat = images.flatten(0, 1).float() / 255
        count, device = len(flat), images.device

        def factor(change: float, *shape: int) -> Tensor:
            return ((torch.rand(*shape, device=device) * 2 - 1) * math.log1p(change)).exp()

        flat = flat * factor(self.strength, count, 1, 1, 1) * factor(self.strength / 4, count, 3, 1, 1)
        mean = flat.mean((1, 2, 3), keepdim=True)
        flat = mean + (flat - mean) * factor(self.strength, count, 1, 1, 1)
        grey = flat.mean(1, keepdim=True)
        flat = (grey + (flat - grey) * factor(self.strength, count, 1, 1, 1)).clamp(1e-4, 1)
        flat = flat ** factor(self.strength / 2, count, 1, 1, 1)
        return {**batch, "images": (flat * 255).round().clamp(0, 255).to(torch.uint8).view(images.shape)}


@register_batch_transform
class RigImageFlip:
    """Mirror all pictures of a sample, with probability `p`; the geometry follows through ``image_rotation`` and ``image_shift``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with mirrored ``images`` and ``camera_depth``. Samples with history stay as they are."""
        images = batch["images"]
        chosen = torch.rand(len(images), device=images.device) < self.p
        if "history" in batch:
            chosen &= torch.tensor([not len(past) for past in batch["history"]], device=images.device)
        out = dict(batch)
        for name in ("images", "camera_depth", "camera_depth_valid"):
            if name in batch:
                mask = chosen.view(-1, *[1] * (batch[name].ndim - 1))
                out[name] = torch.where(mask, batch[name].flip(-1), batch[name])
        cameras, width = images.shape[1], images.shape[-1]
        rotation = torch.eye(3, device=images.device).repeat(len(images), cameras, 1, 1)
        rotation[chosen, :, 0, 0] = -1
        shift = torch.zeros(len(images), cameras, 3, device=images.device)
        shift[chosen, :, 0] = width
        return {**out, "image_rotation": rotation, "image_shift": shift}


@register_batch_transform
class RadarDropout:
    """Leave radar out: whole clouds with probability `cloud`, single points with probability up to `points` (drawn for each sample).

    Models trained with it work with fewer radars, or none.
    """

    def __init__(self, cloud: float = 0.1, points: float = 0.2) -> None:
        self.cloud, self.points = cloud, points

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with thinner ``radar_points``."""
        if "radar_points" not in batch:
            return batch
        clouds = []
        for cloud in batch["radar_points"]:
            draw = torch.rand(2).tolist()
            keep = torch.rand(len(cloud)) >= draw[1] * self.points
            clouds.append(cloud[keep.to(cloud.device)] if draw[0] >= self.cloud else cloud[:0])
        return {**batch, "radar_points": clouds}
