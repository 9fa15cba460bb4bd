"""From a picture of any size with its camera to the network's input, and the exact way back."""

from __future__ import annotations

import numpy as np
import torch

from perception.errors import InputError
from perception.geometry.cameras import Pinhole
from perception.geometry.image_transform import ImageTransform
from perception.models.preprocess import Prepared
from perception.options import check_choice

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
        check_choice("MonoDETR's convention", convention, CONVENTIONS)
        self.convention = convention

    def transform(self, width: int, height: int) -> ImageTransform:
        """The map from a picture of (width, height) to the network's input."""
        if self.convention == "exact":
            return ImageTransform.letterbox((width, height), self.width, self.height)
        scale = self.width / width
        shift = (self.height - scale * height) / 2
        return ImageTransform(scale, scale, 0.0, shift, (width, height), (self.width, self.height))

    def __call__(self, image: np.ndarray, camera: Pinhole) -> Prepared:
        """(H, W, 3) uint8 RGB and its camera -> inputs ``image`` (3, h, w) uint8, ``focal`` and ``height`` (see `MonoDetector.forward`).

        Raises `InputError` for another kind of array or a camera of another size.
        """
        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            kind = f"{getattr(image, 'dtype', type(image).__name__)} {np.shape(image)}"
            raise InputError(f"a picture must be an array of shape (height, width, 3), uint8, RGB; found {kind}")
        if not isinstance(camera, Pinhole):
            raise InputError(f"this model expects a pinhole camera; found {type(camera).__name__}")
        if camera.size != (image.shape[1], image.shape[0]):
            raise InputError(
                f"the camera is for {camera.width}x{camera.height} pixels but the picture has {image.shape[1]}x{image.shape[0]}; resize the camera with it"
            )
        transform = self.transform(*camera.size)
        warped = transform.apply(image, "area" if self.convention == "exact" else "linear")
        focal, height = camera.fy * transform.scale_y, self.height
        if self.convention == "official":
            focal, height = camera.fx, camera.height
        inputs = {
            "image": torch.from_numpy(np.ascontiguousarray(warped.transpose(2, 0, 1))),
            "focal": torch.tensor(focal, dtype=torch.float32),
            "height": torch.tensor(float(height)),
        }
        return Prepared(inputs=inputs, image=image, camera=camera, transform=transform)
