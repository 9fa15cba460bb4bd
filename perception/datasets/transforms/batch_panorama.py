"""Augmentations of whole panoramas: the sphere may be turned about its vertical axis without cutting anything off."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from perception.datasets.transforms.registry import register_batch_transform
from perception.errors import RecipeError

_MAPS = ("image", "neighbours", "depth", "depth_valid", "semantic", "instance", "mask")


@register_batch_transform
class RandomPanoramaRoll:
    """Turns each panorama by a random angle about the vertical: columns move around the seam, in pictures and truth alike.

    The neighbouring frames of a video turn by the same angle, and ``neighbour_from_camera`` with them.

    Args:
        steps: number of equally spaced angles (4 is what OmniFusion trains with); None: any column.
    """

    def __init__(self, steps: int | None = None) -> None:
        if steps is not None and steps < 1:
            raise RecipeError(f"a panorama is turned by at least 1 step; found {steps}")
        self.steps = steps

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Raises `RecipeError` for batches of pinhole pictures or with normals or boxes, which would have to be turned too."""
        if any(key in batch for key in ("intrinsics", "boxes3d", "boxes2d", "normals")):
            raise RecipeError(
                "RandomPanoramaRoll turns whole panoramas with depth and labels; normals, boxes and pinhole pictures do not fit it"
            )
        image = batch["image"]
        count, width, device = len(image), image.shape[-1], image.device
        if self.steps is None:
            shift = torch.randint(width, (count,), device=device)
        else:
            shift = torch.randint(self.steps, (count,), device=device) * width // self.steps
        columns = (torch.arange(width, device=device) - shift[:, None]) % width  # (B, W)
        new = dict(batch)
        for key in _MAPS:
            value = batch.get(key)
            if isinstance(value, Tensor):
                index = columns.view(count, *[1] * (value.ndim - 2), width).expand_as(value)
                new[key] = value.gather(-1, index)
        if "neighbour_from_camera" in batch:
            motion = batch["neighbour_from_camera"]
            angle = shift.to(motion) * (2 * math.pi / width)  # pictures move to the right: longitudes grow
            turn = torch.eye(4, dtype=motion.dtype, device=device).repeat(count, 1, 1)
            turn[:, 0, 0], turn[:, 0, 2] = angle.cos(), angle.sin()
            turn[:, 2, 0], turn[:, 2, 2] = -angle.sin(), angle.cos()
            new["neighbour_from_camera"] = turn[:, None] @ motion @ turn.mT[:, None]
        return new
