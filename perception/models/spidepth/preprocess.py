"""A picture as SPIdepth's network wants it: stretched to one size with Lanczos' filter, as in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from perception.errors import InputError
from perception.geometry import Pinhole
from perception.geometry.image_transform import ImageTransform
from perception.models.preprocess import Prepared


class StretchPreprocess:
    """Callable: picture and camera -> `Prepared` with ``image`` (3, H, W) uint8 RGB. size: (H, W)."""

    def __init__(self, size: Sequence[int]) -> None:
        self.size = (int(size[0]), int(size[1]))

    def __call__(self, image: np.ndarray, camera: Pinhole) -> Prepared:
        """(H, W, 3) uint8 RGB and its camera. Raises `InputError` for another kind of array or a camera that is not this picture's pinhole."""
        from PIL import Image

        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            kind = f"{getattr(image, 'dtype', type(image).__name__)} {np.shape(image)}"
            raise InputError(f"a picture must be an array of shape (height, width, 3), uint8, RGB; found {kind}")
        source = (image.shape[1], image.shape[0])
        if not isinstance(camera, Pinhole):
            raise InputError(f"this model expects a pinhole camera; found {type(camera).__name__}")
        if camera.size != source:
            raise InputError(
                f"the picture is {source[0]}x{source[1]} pixels but its camera is for {camera.width}x{camera.height}"
            )
        target = (self.size[1], self.size[0])
        small = image
        if source != target:
            small = np.asarray(Image.fromarray(image).resize(target, Image.Resampling.LANCZOS))
        return Prepared(
            inputs={"image": torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))},
            image=image,
            camera=camera,
            transform=ImageTransform.resize(source, *target),
        )
