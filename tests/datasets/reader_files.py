"""Small image files for the tests of readers."""

from pathlib import Path

import cv2
import numpy as np


def put(path: Path, values: np.ndarray) -> Path:
    """Write an image file as its array says; colour arrays are RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)
    return path


def picture(height: int = 12, width: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
