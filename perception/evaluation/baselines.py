"""Two opponents that know nothing of the picture: one constant depth, and the mean log depth by the angle of a pixel's ray.

The vertical prior is strong (streets and rooms are stacked the same way everywhere): a depth model that does not beat it under
the same alignment has learnt nothing from the picture. The angle of a pixel row is its elevation above the optical axis,
``atan((cy - v) / fy)``, or the latitude for panoramas, so a prior fitted on one camera predicts for another.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from perception.errors import DatasetError
from perception.evaluation.base import plane, to_numpy
from perception.io.text import read_text

BINS = 180  # one degree each, elevation -90 .. 90 degrees
PIXELS_PER_IMAGE = 8192


def row_elevation(height: int, width: int, intrinsics: Any | None) -> np.ndarray:
    """(H,) elevation of each row in radians, up positive. Without intrinsics: latitude if W = 2H, else a 60 degree camera."""
    rows = np.arange(height) + 0.5
    if intrinsics is not None:
        matrix = to_numpy(intrinsics).reshape(3, 3)
        return np.arctan((matrix[1, 2] - rows) / matrix[1, 1])
    if width == 2 * height:
        return math.pi / 2 - rows / height * math.pi
    focal = 0.5 * width / math.tan(math.radians(30.0))
    return np.arctan((height / 2 - rows) / focal)


@dataclasses.dataclass
class BaselinePixels:
    """Evenly spread valid pixels of one image: depth (N,) metres, elevation (N,) radians, weights or None."""

    depth: np.ndarray
    elevation: np.ndarray
    weight: np.ndarray | None = None

    @classmethod
    def sample(
        cls, depth: np.ndarray, mask: np.ndarray, intrinsics: Any | None, row_weights: np.ndarray | None = None
    ) -> BaselinePixels:
        """Take at most `PIXELS_PER_IMAGE` of the pixels in `mask` (H, W)."""
        flat = np.flatnonzero(mask)
        if flat.size > PIXELS_PER_IMAGE:
            flat = flat[np.linspace(0, flat.size - 1, PIXELS_PER_IMAGE).astype(np.int64)]
        rows = flat // mask.shape[1]
        elevation = row_elevation(*mask.shape, intrinsics)[rows]
        weight = None if row_weights is None else row_weights[rows].astype(np.float32)
        return cls(depth.reshape(-1)[flat].astype(np.float32), elevation.astype(np.float32), weight)

    def weights(self) -> np.ndarray | None:
        return self.weight


@dataclasses.dataclass
class VerticalPrior:
    """Mean log depth by elevation: `log_depth` (180,) at bin centres -89.5 .. 89.5 degrees, `mean` over all pixels."""

    log_depth: np.ndarray
    mean: float
    frames: int = 0

    @classmethod
    def fit(cls, pixels: Iterable[BaselinePixels]) -> VerticalPrior:
        """Fit on pixels of frames; bins that no pixel falls into are interpolated. Raises `DatasetError` without any pixel."""
        total, count, frames = np.zeros(BINS), np.zeros(BINS), 0
        for item in pixels:
            index = np.clip(((item.elevation + math.pi / 2) / math.pi * BINS).astype(np.int64), 0, BINS - 1)
            total += np.bincount(index, np.log(item.depth.astype(np.float64)), BINS)
            count += np.bincount(index, minlength=BINS)
            frames += 1
        known = count > 0
        if not known.any():
            raise DatasetError(f"a vertical prior needs frames with valid depth; {frames} frames had none")
        centres = np.arange(BINS)
        table = np.interp(centres, centres[known], total[known] / count[known])
        return cls(table, float(total.sum() / count.sum()), frames)

    @classmethod
    def fit_dataset(cls, dataset: Any, frames: int = 64) -> VerticalPrior:
        """Fit on `frames` evenly spread samples of a data set with `depth`, `depth_valid` and `intrinsics`."""
        chosen = np.unique(np.linspace(0, len(dataset) - 1, min(frames, len(dataset))).astype(int))
        return cls.fit(_pixels(dataset[int(index)]) for index in chosen)

    def predict_pixels(self, pixels: BaselinePixels) -> np.ndarray:
        """(N,) predicted depth [m] of the given pixels."""
        return self.at(pixels.elevation)

    def constant(self, pixels: BaselinePixels) -> np.ndarray:
        """(N,) the same depth [m] everywhere: exp of the mean log depth."""
        return np.full(len(pixels.depth), math.exp(self.mean))

    def at(self, elevation: np.ndarray) -> np.ndarray:
        """Depth [m] at elevations [rad] of any shape, linear between bin centres."""
        position = (np.asarray(elevation, np.float64) + math.pi / 2) / math.pi * BINS - 0.5
        return np.exp(np.interp(position, np.arange(BINS), self.log_depth))

    def predict(self, height: int, width: int, intrinsics: Any | None = None) -> np.ndarray:
        """(H, W) float32 depth [m] of a camera."""
        rows = self.at(row_elevation(height, width, intrinsics)).astype(np.float32)
        return np.repeat(rows[:, None], width, axis=1)

    def to_dict(self) -> dict[str, Any]:
        return {"log_depth": [float(v) for v in self.log_depth], "mean": self.mean, "frames": self.frames}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VerticalPrior:
        return cls(np.asarray(values["log_depth"], np.float64), float(values["mean"]), int(values.get("frames", 0)))


def fit_prior(source: Any, evaluated: list[BaselinePixels]) -> VerticalPrior:
    """Turn an evaluator's `prior` argument into a prior (see `DepthEvaluator`)."""
    if source is None:
        return VerticalPrior.fit(evaluated)
    if isinstance(source, VerticalPrior):
        return source
    if isinstance(source, Mapping) and "log_depth" in source:
        return VerticalPrior.from_dict(source)
    if isinstance(source, Mapping):
        from perception.datasets.registry import build_dataset

        config = dict(source)
        frames = int(config.pop("frames", 64))
        return VerticalPrior.fit_dataset(build_dataset(config), frames)
    try:
        return VerticalPrior.from_dict(json.loads(read_text(source)))
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"the prior file {str(source)!r} cannot be read: {error}") from error


def _pixels(sample: Mapping[str, Any]) -> BaselinePixels:
    depth = plane(sample["depth"])
    mask = np.isfinite(depth) & (depth > 0)
    if sample.get("depth_valid") is not None:
        mask &= plane(sample["depth_valid"]).astype(bool)
    return BaselinePixels.sample(depth, mask, sample.get("intrinsics"))
