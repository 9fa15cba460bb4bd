"""Two pictures of one scene as CroCo's network wants them: as they are, or enlarged to at least one tile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from perception.errors import InputError
from perception.geometry import Pinhole
from perception.geometry.image_transform import ImageTransform
from perception.models.croco.tiling import enlarged_size
from perception.models.preprocess import Prepared


class PairPreprocess:
    """Callable: two pictures of one size and the camera of the first -> `Prepared` with ``image`` and ``second`` (3, H, W) uint8.

    tile: (H, W) that both sides reach at least.
    """

    def __init__(self, tile: Sequence[int]) -> None:
        self.tile = (int(tile[0]), int(tile[1]))

    def __call__(self, pictures: Sequence[np.ndarray], camera: Pinhole) -> Prepared:
        """(first, second), each (H, W, 3) uint8 RGB. Raises `InputError` for other arrays, unequal sizes, or another picture's camera."""
        import cv2

        if isinstance(pictures, np.ndarray) or len(pictures) != 2:
            found = "one" if isinstance(pictures, np.ndarray) else str(len(pictures))
            raise InputError(f"this model takes two pictures of one scene, first (or left) and second; found {found}")
        for picture in pictures:
            if (
                not isinstance(picture, np.ndarray)
                or picture.ndim != 3
                or picture.shape[2] != 3
                or picture.dtype != np.uint8
            ):
                kind = f"{getattr(picture, 'dtype', type(picture).__name__)} {np.shape(picture)}"
                raise InputError(f"a picture must be an array of shape (height, width, 3), uint8, RGB; found {kind}")
        first, second = pictures
        if first.shape != second.shape:
            raise InputError(
                f"the two pictures must have one size; found {first.shape[1]}x{first.shape[0]} and {second.shape[1]}x{second.shape[0]}"
            )
        height, width = first.shape[:2]
        if not isinstance(camera, Pinhole) or camera.size != (width, height):
            raise InputError(f"the camera must be a pinhole of the first picture, {width}x{height} pixels")
        target = enlarged_size((height, width), self.tile)[::-1]
        arrays = [first, second]
        if target != (width, height):
            arrays = [cv2.resize(np.ascontiguousarray(a), target, interpolation=cv2.INTER_CUBIC) for a in arrays]
        tensors = [torch.from_numpy(np.array(a.transpose(2, 0, 1), order="C")) for a in arrays]
        return Prepared(
            inputs={"image": tensors[0], "second": tensors[1]},
            image=first,
            camera=camera,
            transform=ImageTransform.resize((width, height), *target),
        )
