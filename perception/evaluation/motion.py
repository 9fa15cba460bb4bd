"""Camera motion between frames against the truth: rotation error, and the direction of translation (its length has a free scale)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def motion_errors(predicted: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Errors of (..., 4, 4) motions against the truth, a frame pair each.

    Returns ``rotation`` (...) degrees between the rotations, ``direction`` (...) degrees between the translations (NaN where the camera stood still).
    """
    turn = np.swapaxes(predicted[..., :3, :3], -1, -2) @ truth[..., :3, :3]
    skew = np.stack(
        [turn[..., 2, 1] - turn[..., 1, 2], turn[..., 0, 2] - turn[..., 2, 0], turn[..., 1, 0] - turn[..., 0, 1]], -1
    )
    sine, cosine = np.linalg.norm(skew, axis=-1) / 2, (np.trace(turn, axis1=-2, axis2=-1) - 1) / 2
    a, b = predicted[..., :3, 3], truth[..., :3, 3]
    length = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    with np.errstate(invalid="ignore"):
        direction = np.where(length > 1e-12, np.degrees(np.arctan2(cross, (a * b).sum(-1))), np.nan)
    return {"rotation": np.degrees(np.arctan2(sine, cosine)), "direction": direction}


def summarise(errors: Mapping[str, Any]) -> dict[str, float]:
    """Mean and median of each error over all frame pairs, NaN left out."""
    found = {}
    for name, values in errors.items():
        values = np.asarray(values, np.float64)
        values = values[np.isfinite(values)]
        found[f"{name}_mean"] = float(values.mean()) if values.size else float("nan")
        found[f"{name}_median"] = float(np.median(values)) if values.size else float("nan")
    return found
