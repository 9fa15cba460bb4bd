"""Augmentations of a batch that move pixels; intrinsics and all dense truth move with them.

Pixel centres are at integer + 0.5, so continuous coordinates run from 0 to the picture's size, and a crop of origin (x0, y0)
and extent (w, h) resized to (W, H) maps x to ``(x - x0) * W / w`` and takes the intrinsics along exactly.
Depth along z does not change under zoom; normals change sign in x under a flip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from perception.datasets.transforms.batch_colour import to_uint8, uniform
from perception.datasets.transforms.registry import register_batch_transform
from perception.errors import RecipeError

Batch = dict[str, Any]

_CATEGORICAL = {"semantic": 255, "instance": 0}  # what lies outside the picture
_DENSE = ("image", "depth", "depth_valid", "normals", *_CATEGORICAL)
_BOXES = ("boxes3d", "boxes2d")


@register_batch_transform
class RandomHorizontalFlip:
    """Mirrors each picture with probability `share`: pixels, normals (x), principal point, boxes."""

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def __call__(self, batch: Batch) -> Batch:
        image = batch["image"]
        chosen = torch.rand(len(image), device=image.device) < self.share
        new = dict(batch)
        for key in _DENSE:
            value = batch.get(key)
            if isinstance(value, Tensor):
                new[key] = torch.where(chosen.view(-1, *[1] * (value.ndim - 1)), value.flip(-1), value)
        if isinstance(new.get("normals"), Tensor):
            sign = torch.ones_like(new["normals"][:, :, :1, :1])
            sign[:, 0] = torch.where(chosen, -1.0, 1.0).view(-1, 1, 1)
            new["normals"] = new["normals"] * sign
        width = image.shape[-1]
        if isinstance(batch.get("intrinsics"), Tensor):
            matrix = batch["intrinsics"].clone()
            matrix[:, 0, 2] = torch.where(chosen, width - matrix[:, 0, 2], matrix[:, 0, 2])
            new["intrinsics"] = matrix
        flags = chosen.tolist() if any(key in batch for key in _BOXES) else []
        if "boxes3d" in batch:
            new["boxes3d"] = [_flip_boxes3d(b) if f else b for b, f in zip(batch["boxes3d"], flags, strict=True)]
        if "boxes2d" in batch:
            new["boxes2d"] = [_flip_boxes2d(b, width) if f else b for b, f in zip(batch["boxes2d"], flags, strict=True)]
        return new


@register_batch_transform
class RandomZoomCrop:
    """Cuts a random window out of each picture and scales it to `size`; the focal length follows.

    Args:
        size: (height, width) of the result; None keeps the picture's.
        zoom: smallest and largest magnification relative to the largest window of the result's shape that fits. Below 1 the
            window is larger than the picture, and what lies outside is filled (image: mirrored; truth: unknown).
        aspect: largest relative stretch of the window's width against its height. 0 keeps pixels as square as they are.
    """

    def __init__(
        self, size: Sequence[int] | None = None, zoom: Sequence[float] = (1.0, 1.6), aspect: float = 0.0
    ) -> None:
        if len(zoom) != 2 or not 0 < zoom[0] <= zoom[1]:
            raise RecipeError(f"zoom should be (smallest, largest) and positive, found {tuple(zoom)}")
        self.size, self.zoom, self.aspect = size, (float(zoom[0]), float(zoom[1])), aspect

    def __call__(self, batch: Batch) -> Batch:
        _refuse_boxes(batch, type(self).__name__)
        image = batch["image"]
        count, _, height, width = image.shape
        rows, columns = self.size or (height, width)
        device = image.device
        zoom = uniform(math.log(self.zoom[0]), math.log(self.zoom[1]), count, device).exp()
        stretch = (uniform(-1, 1, count, device) * math.log1p(self.aspect)).exp().sqrt()
        fit = min(height / rows, width / columns)  # source pixels a result pixel, at zoom 1
        w, h = columns * fit / zoom * stretch, rows * fit / zoom / stretch
        x0, y0 = torch.rand(count, device=device) * (width - w), torch.rand(count, device=device) * (height - h)
        return crop_resize(batch, x0, y0, w, h, (int(rows), int(columns)))


@register_batch_transform
class ResizeBatch:
    """Scales whole pictures to `size` (height, width), for the low-resolution stage of a schedule."""

    def __init__(self, size: Sequence[int]) -> None:
        self.size = (int(size[0]), int(size[1]))

    def __call__(self, batch: Batch) -> Batch:
        _refuse_boxes(batch, type(self).__name__)
        count, _, height, width = batch["image"].shape
        zero = torch.zeros(count, device=batch["image"].device)
        return crop_resize(batch, zero, zero, zero + width, zero + height, self.size)


def crop_resize(batch: Batch, x0: Tensor, y0: Tensor, w: Tensor, h: Tensor, size: tuple[int, int]) -> Batch:
    """Resample windows of a batch.

    Args:
        x0, y0, w, h: (B,) origin and extent of each window in continuous pixels; they may reach out of the picture.
        size: (rows, columns) of the result.

    Pictures are bilinear with anti-aliasing by 2x2 subsampling where the window shrinks; depth, normals and labels take the
    nearest pixel, so that no value is invented between foreground and background.
    """
    image = batch["image"]
    height, width = image.shape[-2:]
    rows, columns = size
    device = image.device
    xs = (torch.arange(columns, device=device) + 0.5) / columns
    ys = (torch.arange(rows, device=device) + 0.5) / rows
    x = (x0[:, None] + xs * w[:, None])[:, None, :].expand(-1, rows, -1)  # (B, rows, columns) continuous source pixels
    y = (y0[:, None] + ys * h[:, None])[:, :, None].expand(-1, -1, columns)
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], -1)  # align_corners=False: +-1 are the picture's edges
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    new = dict(batch)
    new["image"] = _resample_image(image, grid, w / columns, h / rows)
    column = x.floor().long().clamp(0, width - 1)
    row = y.floor().long().clamp(0, height - 1)
    place = (row * width + column).flatten(1)  # (B, rows * columns)
    for key in _DENSE[1:]:
        value = batch.get(key)
        if not isinstance(value, Tensor):
            continue
        flat = value.reshape(len(value), -1, height * width)
        taken = flat.gather(2, place[:, None].expand(-1, flat.shape[1], -1)).view(len(value), -1, rows, columns)
        taken = taken.masked_fill(~inside[:, None], _CATEGORICAL.get(key, 0))
        new[key] = taken if value.ndim == 4 else taken[:, 0]
    if isinstance(batch.get("intrinsics"), Tensor):
        matrix = batch["intrinsics"].clone()
        sx, sy = columns / w, rows / h
        matrix[:, 0, 0] *= sx
        matrix[:, 1, 1] *= sy
        matrix[:, 0, 2] = (matrix[:, 0, 2] - x0) * sx
        matrix[:, 1, 2] = (matrix[:, 1, 2] - y0) * sy
        new["intrinsics"] = matrix
    return new


def _resample_image(image: Tensor, grid: Tensor, step_x: Tensor, step_y: Tensor) -> Tensor:
    """Bilinear samples; the mean of 2x2 sub-samples of each result pixel where it covers more than one source pixel."""
    height, width = image.shape[-2:]
    source = image.float()
    total = torch.zeros_like(grid[..., 0])[:, None]
    for dx, dy in ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)):
        shift = torch.stack([dx * step_x * 2 / width, dy * step_y * 2 / height], -1)  # (B, 2)
        shift = shift * (torch.stack([step_x, step_y], -1) > 1)
        total = total + F.grid_sample(
            source, grid + shift[:, None, None], mode="bilinear", padding_mode="reflection", align_corners=False
        )
    return to_uint8(total / (4 * 255))


def _flip_boxes3d(boxes: Tensor) -> Tensor:
    """Mirror x of the centre; yaw about the up axis turns by the mirror image."""
    boxes = boxes.clone()
    boxes[:, 0] = -boxes[:, 0]
    boxes[:, 6] = torch.pi - boxes[:, 6]
    boxes[:, 6] = torch.atan2(boxes[:, 6].sin(), boxes[:, 6].cos())
    return boxes


def _flip_boxes2d(boxes: Tensor, width: int) -> Tensor:
    return torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], -1)


def _refuse_boxes(batch: Batch, name: str) -> None:
    if any(key in batch for key in _BOXES):
        raise RecipeError(
            f"{name} crops pictures without their boxes; use it for dense tasks, or flips alone for detection"
        )
