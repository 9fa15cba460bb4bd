"""Colour maps and colours for classes and ids, without matplotlib."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np

from perception.errors import InputError, nearest

# Anchors of a diverging rainbow from warm to cold (after ColorBrewer's "Spectral"), evenly spaced.
_SPECTRAL = (
    (158, 1, 66), (213, 62, 79), (244, 109, 67), (253, 174, 97), (254, 224, 139), (255, 255, 191),
    (230, 245, 152), (171, 221, 164), (102, 194, 165), (50, 136, 189), (94, 79, 162),
)  # fmt: skip
# Blue over white to red, for differences.
_BALANCE = (
    (23, 68, 140),
    (74, 134, 199),
    (166, 203, 229),
    (247, 247, 247),
    (244, 178, 148),
    (214, 96, 77),
    (150, 15, 38),
)
_OPENCV = ("turbo", "magma", "inferno", "plasma", "viridis", "cividis", "bone")
COLORMAPS = ("spectral", "balance", "gray", *_OPENCV)


@lru_cache(maxsize=32)
def colormap(name: str) -> np.ndarray:
    """(256, 3) uint8 RGB table, read-only; a trailing "_r" reverses it. Raises `InputError` for an unknown name."""
    base = name.removesuffix("_r")
    if base not in COLORMAPS:
        raise InputError(f"colour map {name!r} is not one of {', '.join(COLORMAPS)}.{nearest(base, COLORMAPS)}")
    anchors = {"spectral": _SPECTRAL, "balance": _BALANCE}.get(base)
    if anchors is not None:
        at = np.linspace(0, len(anchors) - 1, 256)
        table = np.stack([np.interp(at, np.arange(len(anchors)), c) for c in zip(*anchors, strict=True)], -1)
        table = np.rint(table).astype(np.uint8)
    elif base == "gray":
        table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    else:
        import cv2

        ramp = np.arange(256, dtype=np.uint8)[:, None]
        table = cv2.applyColorMap(ramp, getattr(cv2, f"COLORMAP_{base.upper()}"))[:, 0, ::-1].copy()
    table = np.ascontiguousarray(table[::-1] if name.endswith("_r") else table)
    table.setflags(write=False)
    return table


def apply_colormap(values: np.ndarray, name: str = "turbo") -> np.ndarray:
    """(...) floats in 0..1 (clipped; NaN counts as 0) -> (..., 3) uint8 RGB."""
    with np.errstate(invalid="ignore"):
        index = np.nan_to_num(np.clip(np.asarray(values, np.float32), 0, 1), nan=0.0) * 255
    return colormap(name)[(index + 0.5).astype(np.uint8)]


@lru_cache(maxsize=4096)
def color_of(index: int, shade: int = 0) -> tuple[int, int, int]:
    """RGB of class or id `index`: the same on every machine and in every picture, neighbours far apart. shade: 0, 1, ... vary instances of a class."""
    if index < 0:
        return (128, 128, 128)
    hue = (0.02 + index * 0.61803398875) % 1.0  # golden ratio steps never come close to each other soon
    value = (0.95, 0.78, 0.88)[(index // 7) % 3]
    saturation = (0.72, 0.88, 0.55)[(index // 3) % 3]
    value = value * (1.0, 0.8, 0.9, 0.7)[shade % 4]
    hue = (hue + (0.0, 0.02, -0.02, 0.035, -0.035)[shade % 5]) % 1.0
    r, g, b = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(r * 255), round(g * 255), round(b * 255)


def palette(count: int) -> np.ndarray:
    """(count, 3) uint8 RGB of `color_of` 0..count-1."""
    return np.array([color_of(i) for i in range(count)], np.uint8).reshape(count, 3)
