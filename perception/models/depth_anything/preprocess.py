"""The official picture preparation of Depth Anything V2: cubic resize to multiples of 14 with a lower bound on the shorter side."""

from __future__ import annotations

import math

import numpy as np
import torch

from perception.errors import InputError, RecipeError
from perception.geometry.cameras import Pinhole
from perception.geometry.image_transform import ImageTransform
from perception.models.depth_anything.vit import PATCH
from perception.models.preprocess import Prepared

LARGEST_SIDE = 14 * 1024


class DepthAnythingPreprocess:
    """Keeps the aspect up to rounding.

    input_size: shorter side of the network's input, a multiple of 14, pixels. 518 is the published setting; less is faster and coarser (the cost
        grows with its square).
    """

    def __init__(self, input_size: int = 518) -> None:
        if input_size < PATCH or input_size % PATCH:
            raise RecipeError(f"the input size must be a positive multiple of {PATCH}; found {input_size}")
        self.input_size = input_size

    def network_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the network's input for a picture of (width, height)."""
        scale = max(self.input_size / width, self.input_size / height)

        def side(n: int) -> int:
            rounded = int(round(scale * n / PATCH)) * PATCH
            return rounded if rounded >= self.input_size else math.ceil(scale * n / PATCH) * PATCH

        return side(width), side(height)

    def __call__(self, image: np.ndarray, camera: Pinhole) -> Prepared:
        """(H, W, 3) uint8 RGB and its camera -> input ``image`` (3, h, w) float32 0..255, cubic overshoot included.

        Raises `InputError` for another kind of array, a camera that is no pinhole of this picture, or an extremely long and thin picture.
        """
        import cv2

        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            kind = f"{getattr(image, 'dtype', type(image).__name__)} {np.shape(image)}"
            raise InputError(f"a picture must be an array of shape (height, width, 3), uint8, RGB; found {kind}")
        height, width = image.shape[:2]
        if not isinstance(camera, Pinhole):
            raise InputError(f"this model expects a pinhole camera; found {type(camera).__name__}")
        if camera.size != (width, height):
            raise InputError(
                f"the picture is {width}x{height} pixels but its camera is for {camera.width}x{camera.height}"
            )
        size = self.network_size(width, height)
        if max(size) > LARGEST_SIDE:
            raise InputError(
                f"a picture of {width}x{height} pixels is too long and thin: its network input would be {size[0]}x{size[1]}; crop it"
            )
        resized = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        return Prepared(
            inputs={"image": torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1)))},
            image=image,
            camera=camera,
            transform=ImageTransform.resize((width, height), *size),
        )
