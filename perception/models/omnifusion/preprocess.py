"""A panorama as the network takes it: resized to the network's size; partial ones laid into a full sphere."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from perception.errors import InputError
from perception.geometry import Equirectangular, sphere
from perception.geometry.image_transform import ImageTransform
from perception.models.preprocess import Prepared


@dataclasses.dataclass
class PanoramaPreprocess:
    """size: (H, W) of the network's panorama. Full panoramas of any size are stretched to it; partial ones are placed by their angles."""

    size: tuple[int, int]

    def __call__(self, image: np.ndarray, camera: Any) -> Prepared:
        """Prepare an (H, W, 3) uint8 RGB panorama. Raises `InputError` for another camera; warns when a full panorama is not 2:1."""
        height, width = image.shape[:2]
        check_panorama(image, camera)
        size = (width, height)
        if camera.full:
            transform = ImageTransform.resize(size, self.size[1], self.size[0])
            pixels = transform.apply(image)
        else:
            transform = ImageTransform.identity(size)
            pixels = embed_partial(image, camera, self.size)
        tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        return Prepared(inputs={"image": tensor}, image=image, camera=camera, transform=transform)


def check_panorama(image: np.ndarray, camera: Any) -> None:
    """Raise `InputError` unless `camera` is the equirectangular camera of this picture; warn when a whole sphere is not 2:1."""
    height, width = image.shape[:2]
    if not isinstance(camera, Equirectangular):
        raise InputError(f"this model expects an equirectangular camera; found {type(camera).__name__}")
    if camera.size != (width, height):
        raise InputError(
            f"the panorama is {width}x{height} pixels but its camera is for {camera.width}x{camera.height}"
        )
    for note in shape_notes(camera):
        warnings.warn(note, stacklevel=4)


def shape_notes(camera: Equirectangular) -> tuple[str, ...]:
    """What the user should know about the panorama's shape."""
    if not camera.full or 1.9 < camera.width / camera.height < 2.1:
        return ()
    return (
        f"a panorama of 360 x 180 degrees is twice as wide as high; found {camera.width}x{camera.height}; if it shows less, say so with "
        "Equirectangular(width, height, longitude=(left, right), latitude=(bottom, top)) in radians, or on the command line with --angles in degrees",
    )


def embed_partial(image: np.ndarray, camera: Equirectangular, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 of a partial panorama -> its place in a full one of `size`; what it lacks is filled with its nearest border pixel."""
    import cv2

    rays = Equirectangular(size[1], size[0]).rays()
    at, _ = camera.project(rays)
    shrink = min(1.0, size[1] / (2 * np.pi) * (camera.longitude[1] - camera.longitude[0]) / camera.width)
    if shrink < 0.75:  # average before picking single pixels of a larger picture
        small = (max(1, round(camera.width * shrink)), max(1, round(camera.height * shrink)))
        at *= np.array(small) / camera.size
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    place = (at - 0.5).astype(np.float32)
    return cv2.remap(image, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def to_camera(panorama: Tensor, camera: Equirectangular) -> Tensor:
    """(1, C, h, w) maps of the full sphere -> (1, C, H, W) at the pixels of `camera`, full or partial; no seam."""
    size = (camera.height, camera.width)
    if camera.full:
        if panorama.shape[-2:] == size:
            return panorama
        return resize_panorama(panorama, size)
    rays = torch.from_numpy(np.array(camera.rays())).to(panorama.device, panorama.dtype)
    return sphere.sample_sphere(panorama, rays)


def resize_panorama(panorama: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) -> (B, C, *size), bilinear, around the seam."""
    height, width = panorama.shape[-2:]
    x = (torch.arange(size[1], device=panorama.device, dtype=torch.float64) + 0.5) * (width / size[1])
    grid_x = ((x + 1) / (width + 2) * 2 - 1).to(panorama.dtype)
    y = (torch.arange(size[0], device=panorama.device, dtype=torch.float64) + 0.5) * (height / size[0])
    grid_y = ((y + 1) / (height + 2) * 2 - 1).to(panorama.dtype)
    grid = torch.stack(torch.meshgrid(grid_x, grid_y, indexing="xy"), -1)[None].expand(len(panorama), -1, -1, -1)
    return F.grid_sample(sphere.pad_sphere(panorama, 1), grid, mode="bilinear", align_corners=False)
