"""Disparity and optical flow as pictures."""

from __future__ import annotations

import numpy as np

from perception.drawing.colors import apply_colormap
from perception.drawing.maps import INVALID
from perception.errors import InputError


def draw_disparity(
    disparity: np.ndarray, valid: np.ndarray | None = None, largest: float | None = None, cmap: str = "turbo"
) -> np.ndarray:
    """(H, W) pixels -> (H, W, 3) uint8 RGB, warm = near; `largest` disparity of the scale, by default the 99th percentile."""
    disparity = np.asarray(disparity, np.float64)
    if disparity.ndim != 2:
        raise InputError(f"a disparity map must have shape (H, W); found {disparity.shape}")
    known = np.isfinite(disparity) if valid is None else np.asarray(valid, bool) & np.isfinite(disparity)
    if largest is None:
        largest = float(np.percentile(disparity[known], 99)) if known.any() else 1.0
    image = apply_colormap(np.clip(np.where(known, disparity, 0) / max(largest, 1e-6), 0, 1), cmap)
    image[~known] = INVALID
    return image


def draw_flow(flow: np.ndarray, valid: np.ndarray | None = None, largest: float | None = None) -> np.ndarray:
    """(H, W, 2) pixels -> (H, W, 3) uint8 RGB: hue is the direction (red to the right), strength of colour the length against `largest` (99th percentile)."""
    import cv2

    flow = np.asarray(flow, np.float64)
    if flow.ndim != 3 or flow.shape[2] != 2:
        raise InputError(f"optical flow must have shape (H, W, 2); found {flow.shape}")
    known = np.isfinite(flow).all(-1) if valid is None else np.asarray(valid, bool) & np.isfinite(flow).all(-1)
    flow = np.where(known[..., None], flow, 0)
    length = np.linalg.norm(flow, axis=-1)
    if largest is None:
        largest = float(np.percentile(length[known], 99)) if known.any() else 1.0
    hue = (np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360) / 2
    strength = np.clip(length / max(largest, 1e-6), 0, 1)
    hsv = np.stack([hue, 255 * strength, np.full_like(hue, 255)], -1)
    image = cv2.cvtColor(np.rint(hsv).clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)
    image[~known] = INVALID
    return image
