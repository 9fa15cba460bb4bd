"""Augmentations of samples of several pictures (video frames, stereo pairs), whose pictures must change together.

Pictures of a sample: ``image`` (B, 3, H, W), ``neighbours`` (B, T, 3, H, W), ``stereo_image`` and ``second`` (B, 3, H, W), as far as a batch has them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perception.datasets.transforms.batch_colour import RandomColour
from perception.datasets.transforms.batch_geometry import RandomHorizontalFlip
from perception.datasets.transforms.registry import register_batch_transform
from perception.errors import RecipeError

Batch = dict[str, Any]
_MORE = ("neighbours", "stereo_image", "second")
_MOTIONS = ("neighbour_from_camera", "stereo_from_camera")


@register_batch_transform
class RandomFramesFlip:
    """Mirrors samples with probability `share`: pictures, intrinsics, depth, optical flow, and the motions between the pictures."""

    def __init__(self, share: float = 0.5) -> None:
        self.flip, self.share = RandomHorizontalFlip(1.0), share

    def __call__(self, batch: Batch) -> Batch:
        """Raises `RecipeError` for disparity: a mirrored left picture is a right one."""
        if "disparity" in batch:
            raise RecipeError(
                "RandomFramesFlip cannot mirror a stereo pair with disparity: left and right would change"
            )
        image = batch["image"]
        chosen = torch.rand(len(image), device=image.device) < self.share
        mirrored = dict(self.flip(batch))
        for key in (*_MORE, "flow", "flow_valid"):
            if key in batch:
                mirrored[key] = batch[key].flip(-1)
        if "flow" in batch:
            mirrored["flow"] = mirrored["flow"] * batch["flow"].new_tensor([-1.0, 1.0])[:, None, None]
        for key in _MOTIONS:
            if key in batch:
                sign = batch[key].new_tensor([-1.0, 1.0, 1.0, 1.0])
                mirrored[key] = sign[:, None] * batch[key] * sign
        return {
            key: torch.where(chosen.view(-1, *[1] * (value.ndim - 1)), mirrored[key], value)
            if isinstance(value, Tensor) and mirrored[key] is not value
            else value
            for key, value in batch.items()
        }


@register_batch_transform
class RandomFramesColour:
    """`RandomColour` (whose options these are) with the same numbers for all pictures of a sample; in a share `apart` of samples each has its own."""

    def __init__(self, apart: float = 0.0, **options: float) -> None:
        self.colour, self.apart = RandomColour(**options), float(apart)

    def __call__(self, batch: Batch) -> Batch:
        frames = [batch["image"]]
        for key in _MORE:
            if key in batch:
                frames += batch[key].unbind(1) if key == "neighbours" else [batch[key]]
        height = frames[0].shape[-2]
        together = self.colour({"image": torch.cat(frames, 2)})["image"].split(height, 2)
        if self.apart > 0:
            chosen = torch.rand(len(frames[0]), device=frames[0].device)[:, None, None, None] < self.apart
            alone = [self.colour({"image": frame})["image"] for frame in frames]
            together = [torch.where(chosen, a, b) for a, b in zip(alone, together, strict=True)]
        queue = list(together)
        new = {**batch, "image": queue.pop(0)}
        for key in _MORE:
            if key in batch:
                count = batch[key].shape[1] if key == "neighbours" else 1
                taken, queue = queue[:count], queue[count:]
                new[key] = torch.stack(taken, 1) if key == "neighbours" else taken[0]
        return new
