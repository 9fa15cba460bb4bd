"""Surface normals on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from perception.errors import InputError
from perception.io.depth_files import read_npy
from perception.io.images import read_png


def read_normals(path: str | Path) -> np.ndarray:
    """Normals file -> (3, H, W) float64, 0 where unknown: .npy (H, W, 3) or (3, H, W); 8 or 16-bit PNG with n = 2 v / max - 1."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        values = read_npy(path).astype(np.float64)
    else:
        raw, _ = read_png(path)
        if raw.ndim != 3:
            raise InputError(f"{path.name} must have three channels to be read as normals; found shape {raw.shape}")
        raw = raw[..., :3].astype(np.float64)
        top = 65535.0 if raw.max(initial=0) > 255 else 255.0
        values = raw / top * 2 - 1
        values[(raw == 0).all(-1) | (np.abs(values).max(-1) < 0.02)] = 0
    if values.ndim == 3 and values.shape[0] != 3:
        values = values.transpose(2, 0, 1)
    if values.ndim != 3 or values.shape[0] != 3:
        raise InputError(f"{path.name} must hold normals (H, W, 3); found shape {values.shape}")
    return values
