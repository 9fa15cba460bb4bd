"""From a picture of any size with its camera to the network's input, and the exact way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from perception.errors import InputError, RecipeError
from perception.geometry.cameras import Pinhole
from perception.geometry.image_transform import ImageTransform

CONVENTIONS = ("exact", "official")


class MonoPreprocess:
    """Fits pictures into one network size and moves their intrinsics with them.

    Args:
        size: (height, width) of the network's input, pixels.
        convention: "exact" fits the whole picture in, centred, with padding (letterbox). "official" scales by the width alone and keeps the middle:
            what sticks out at the top and bottom is cut off (1 pixel on KITTI, but 47 % of the rows of a 16:9 picture).
    """

    def __init__(self, size: tuple[int, int], convention: str = "exact") -> None:
        self.height, self.width = (int(n) for n in size)
        if convention not in CONVENTIONS:
            raise RecipeError(f"the convention must be one of {', '.join(CONVENTIONS)}; found {convention!r}")
        self.convention = convention

    def transform(self, width: int, height: int) -> ImageTransform:
        """The map from a picture of (width, height) to the network's input."""
        if self.convention == "exact":
            return ImageTransform.letterbox((width, height), self.width, self.height)
        scale = self.width / width
        shift = (self.height - scale * height) / 2
        return ImageTransform(scale, scale, 0.0, shift, (width, height), (self.width, self.height))

    def __call__(self, image: np.ndarray, camera: Pinhole) -> dict[str, Tensor]:
        """(H, W, 3) uint8 RGB and its camera -> ``image`` (3, h, w) uint8 and ``intrinsics`` (3, 3) float32 of the network's input.

        Raises `InputError` for another kind of array or a camera of another size.
        """
        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            kind = f"{getattr(image, 'dtype', type(image).__name__)} {np.shape(image)}"
            raise InputError(f"a picture must be an array of shape (height, width, 3), uint8, RGB; found {kind}")
        if camera.size != (image.shape[1], image.shape[0]):
            raise InputError(
                f"the camera is for {camera.width}x{camera.height} pixels but the picture has {image.shape[1]}x{image.shape[0]}; resize the camera with it"
            )
        transform = self.transform(*camera.size)
        warped = transform.apply(image, "area" if self.convention == "exact" else "linear")
        return {
            "image": torch.from_numpy(np.ascontiguousarray(warped.transpose(2, 0, 1))),
            "intrinsics": torch.from_numpy(camera.transformed(transform).matrix.astype(np.float32)),
        }

    def config(self) -> dict[str, Any]:
        """The arguments that make the same object."""
        return {"size": (self.height, self.width), "convention": self.convention}
