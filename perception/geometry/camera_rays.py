"""What both cameras need: checks of sizes, and the rays through all pixel centres, kept for the last few cameras. Conventions: `cameras`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from perception.errors import InputError

SOURCES = ("caller", "fov", "exif", "file", "model", "default")


def check_raster(width: Any, height: Any) -> tuple[int, int]:
    """Return (width, height) as ints. Raises `InputError` for anything but whole pixels, at least 1x1."""
    try:
        whole = int(width) == width and int(height) == height and width >= 1 and height >= 1
    except (TypeError, ValueError, OverflowError):  # None, text, NaN, infinity
        whole = False
    if not whole:
        raise InputError(f"a camera needs a picture size of whole pixels, at least 1x1; found {width}x{height}")
    return int(width), int(height)


def check_depth(depth: Any, size: tuple[int, int]) -> None:
    """Raise `InputError` unless `depth` is (H, W) for `size` = (width, height)."""
    if np.ndim(depth) != 2 or np.shape(depth) != (size[1], size[0]):
        raise InputError(
            f"the depth map must have shape ({size[1]}, {size[0]}) like the camera's picture; found {np.shape(depth)}"
        )


def _cached_when_small(build: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Keep the rays of the last few cameras, but never hundreds of megabytes of a huge picture."""
    cached = lru_cache(maxsize=8)(build)

    def rays(width: int, height: int, *rest: Any) -> np.ndarray:
        return (cached if width * height <= 2**21 else build)(width, height, *rest)

    return rays


@_cached_when_small
def pinhole_rays(width: int, height: int, fx: float, fy: float, cx: float, cy: float, unit: bool) -> np.ndarray:
    """(H, W, 3) float32 read-only directions, z = 1 or of unit length."""
    x = (np.arange(width) + 0.5 - cx) / fx
    y = (np.arange(height) + 0.5 - cy) / fy
    rays = np.empty((height, width, 3), np.float32)
    rays[..., 0], rays[..., 1], rays[..., 2] = x[None, :], y[:, None], 1.0
    if unit:
        rays /= np.sqrt(x[None, :] ** 2 + y[:, None] ** 2 + 1)[..., None].astype(np.float32)
    rays.setflags(write=False)
    return rays


def sphere_angles(
    width: int, height: int, longitude: tuple[float, float], latitude: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """(W,) longitudes and (H,) latitudes of the pixel centres, float64, radians."""
    lon = longitude[0] + (np.arange(width) + 0.5) / width * (longitude[1] - longitude[0])
    lat = latitude[1] - (np.arange(height) + 0.5) / height * (latitude[1] - latitude[0])
    return lon, lat


@_cached_when_small
def sphere_rays(width: int, height: int, longitude: tuple[float, float], latitude: tuple[float, float]) -> np.ndarray:
    """(H, W, 3) float32 read-only unit directions of a full or partial panorama."""
    lon, lat = sphere_angles(width, height, longitude, latitude)
    rays = np.empty((height, width, 3), np.float32)
    rays[..., 0] = np.cos(lat)[:, None] * np.sin(lon)[None, :]
    rays[..., 1] = -np.sin(lat)[:, None]
    rays[..., 2] = np.cos(lat)[:, None] * np.cos(lon)[None, :]
    rays.setflags(write=False)
    return rays
