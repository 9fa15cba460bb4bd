"""What a panorama can get wrong that a picture cannot: the seam at its left and right edge, and the poles (PanoFormer, Shen et al. 2022, section 4.1).

seam        mean over rows of |error in the first column - error in the last column| [m]: the two are neighbours on the sphere (LRCE)
polar_rmse  RMSE [m] over the up and the down face of the cube map (P-RMSE), where equirectangular pixels are stretched most
"""

from __future__ import annotations

import functools

import numpy as np

EXTRAS = ("seam", "polar_rmse")


@functools.lru_cache(maxsize=8)
def polar_pixels(height: int, width: int) -> np.ndarray:
    """(2 * (H // 2)^2,) flat index of the equirectangular pixel under each pixel of the up and the down cube face."""
    side = max(height // 2, 1)
    steps = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(steps, steps)
    latitude = np.arctan2(1.0, np.hypot(x, y))
    column = np.floor((np.arctan2(x, y) / (2 * np.pi) + 0.5) * width).astype(np.int64) % width
    up = np.clip(np.floor((0.5 - latitude / np.pi) * height).astype(np.int64), 0, height - 1)
    return np.concatenate([(up * width + column).ravel(), ((height - 1 - up) * width + column).ravel()])


def panorama_extras(aligned: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(2,) seam and polar_rmse of one panorama: aligned prediction and truth (H, W) metres, `valid` (H, W) bool; NaN where nothing is valid."""
    error = np.where(valid, aligned - truth, 0.0)
    both = valid[:, 0] & valid[:, -1]
    seam = np.abs(error[both, 0] - error[both, -1]).mean() if both.any() else np.nan
    faces = polar_pixels(*truth.shape)
    seen = valid.ravel()[faces]
    polar = np.sqrt((error.ravel()[faces][seen] ** 2).mean()) if seen.any() else np.nan
    return np.array([seam, polar])
