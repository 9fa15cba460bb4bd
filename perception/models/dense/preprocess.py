"""Pictures to network input: one resize that keeps the aspect up to rounding, so that the way back is a resize too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from perception.errors import InputError
from perception.geometry import ImageTransform, Pinhole
from perception.models.preprocess import Prepared


class Preprocess:
    """Resize a picture to about `pixels` pixels with sides that are multiples of `multiple`.

    Args:
        pixels: area of the network's picture; 192 x 256 = 49152 for the small models.
        multiple: both sides are rounded to a multiple of it.
        offset: added to both sides (1 for networks trained on 32k + 1 pixels).
        enlarge: resize small pictures up too; otherwise they keep their size up to rounding.
    """

    def __init__(self, pixels: int = 192 * 256, multiple: int = 32, offset: int = 0, enlarge: bool = True) -> None:
        self.pixels, self.multiple, self.offset, self.enlarge = pixels, multiple, offset, enlarge

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the network's (width, height) for a picture of that size."""
        scale = math.sqrt(self.pixels / (width * height))
        if not self.enlarge:
            scale = min(scale, 1.0)
        sides = (max(1, round(side * scale / self.multiple)) * self.multiple + self.offset for side in (width, height))
        return tuple(min(side, 64 * self.multiple + self.offset) for side in sides)

    def __call__(self, image: np.ndarray, camera: Any) -> Prepared:
        """Prepare an (H, W, 3) uint8 RGB picture. Raises `InputError` for a camera that is no pinhole of this picture."""
        height, width = image.shape[:2]
        if not isinstance(camera, Pinhole):
            raise InputError(f"this model expects a pinhole camera; found {type(camera).__name__}")
        if (camera.width, camera.height) != (width, height):
            raise InputError(
                f"the picture is {width}x{height} pixels but its camera is for {camera.width}x{camera.height}"
            )
        transform = ImageTransform.resize((width, height), *self.size(width, height))
        moved = camera.transformed(transform)
        inputs = {
            "image": torch.from_numpy(np.ascontiguousarray(transform.apply(image).transpose(2, 0, 1))),
            "intrinsics": torch.from_numpy(np.asarray(moved.matrix, dtype=np.float32)),
            "camera_known": torch.tensor(0.0 if camera.source == "default" else 1.0),
        }
        return Prepared(inputs=inputs, image=image, camera=camera, transform=transform)
