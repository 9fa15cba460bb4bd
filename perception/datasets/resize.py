"""Bring a sample to a fixed size with everything that belongs to its pixels: maps, masks, boxes, intrinsics.

Pictures are resized with area averaging (down) or bilinearly (up); depth, normals, labels and masks take the nearest pixel, never a mean
across an edge or an unknown pixel. Pixel centres lie at integer + 0.5, so a resize by s multiplies fx, fy, cx, cy by s exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from perception.errors import RecipeError

_NEAREST = ("depth", "depth_valid", "normals", "semantic", "instance", "panoptic", "confidence")


def resize_sample(sample: dict[str, Any], size: Sequence[int], fit: str = "crop") -> dict[str, Any]:
    """Return a copy of `sample` at `size` (height, width).

    fit "stretch" scales both axes on their own; "crop" keeps the aspect ratio and cuts what hangs over, half on each side; "bottom" cuts as "crop" does
    at the sides, but above only (the sky of street pictures).
    Adds ``meta["resize"]``: [scale x, scale y, left, top] of ``new = scale * old - (left, top)``. Raises `RecipeError`.
    """
    if fit not in ("crop", "stretch", "bottom"):
        raise RecipeError(f"fit must be 'crop', 'stretch' or 'bottom'; found {fit!r}")
    _, old_h, old_w = sample["image"].shape
    height, width = int(size[0]), int(size[1])
    sx, sy = width / old_w, height / old_h
    if fit != "stretch":
        sx = sy = max(sx, sy)
    left, top = (sx * old_w - width) / 2, (sy * old_h - height) / (1 if fit == "bottom" else 2)
    result = dict(sample)
    result["image"] = _resize_image(sample["image"], (height, width), (sx, sy), (left, top))
    rows = torch.from_numpy(_nearest(height, sy, top, old_h))
    columns = torch.from_numpy(_nearest(width, sx, left, old_w))
    for name in _NEAREST:
        if name in sample:
            result[name] = sample[name][..., rows, :][..., columns].contiguous()
    for name in ("intrinsics", "projection"):
        if name in sample:
            move = torch.tensor([[sx, 0, -left], [0, sy, -top], [0, 0, 1]], dtype=torch.float64)
            if name == "projection":  # pixel centres at integers: shift there and back
                half = torch.tensor([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]], dtype=torch.float64)
                move = torch.linalg.inv(half) @ move @ half
            result[name] = (move @ sample[name].double()).to(sample[name].dtype)
    for name in ("boxes2d", "ignored_boxes2d"):
        if name in sample:
            scale = torch.tensor([sx, sy, sx, sy]), torch.tensor([left, top, left, top])
            result[name] = (sample[name] * scale[0] - scale[1]).to(sample[name].dtype)
    result["meta"] = {**sample["meta"], "width": width, "height": height, "resize": [sx, sy, left, top]}
    return result


def _nearest(count: int, scale: float, offset: float, old: int) -> np.ndarray:
    """Old index under each new pixel centre."""
    return np.clip(np.floor((np.arange(count) + 0.5 + offset) / scale), 0, old - 1).astype(np.int64)


def _resize_image(
    image: torch.Tensor, size: tuple[int, int], scale: tuple[float, float], offset: tuple[float, float]
) -> torch.Tensor:
    import cv2

    old = np.ascontiguousarray(image.numpy().transpose(1, 2, 0))
    height, width = size
    (sx, sy), (left, top) = scale, offset
    x0, x1 = round(left / sx), round((left + width) / sx)
    y0, y1 = round(top / sy), round((top + height) / sy)
    cut = old[max(y0, 0) : max(y1, y0 + 1), max(x0, 0) : max(x1, x0 + 1)]
    method = cv2.INTER_AREA if sx < 1 and sy < 1 else cv2.INTER_LINEAR
    new = cv2.resize(np.ascontiguousarray(cut), (width, height), interpolation=method)
    return torch.from_numpy(np.ascontiguousarray(new.transpose(2, 0, 1)))
