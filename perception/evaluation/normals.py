"""Surface normals: mean, median and RMS angle in degrees, and the share of pixels within 5, 7.5, 11.25, 22.5 and 30 degrees.

All figures are pooled over every valid pixel of the set, as the field does. Both sides are normalised first and the cosine is
clamped to [-1, 1]. Normals are in the camera frame (x right, y down, z forward) and face the camera.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.errors import InputError
from perception.evaluation.base import Evaluator, format_rows, resized_note, take, to_numpy
from perception.evaluation.depth import resize_bilinear
from perception.evaluation.depth_protocol import crop_region
from perception.evaluation.registry import register_evaluator

THRESHOLDS = (5.0, 7.5, 11.25, 22.5, 30.0)
BINS_PER_DEGREE = 10  # of the histogram that the median is read from, interpolated within a bin


def angular_error(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Angle in degrees between (3, N) vectors, float64 (N,); a zero or not finite prediction is 90 degrees off."""
    p, g = np.nan_to_num(np.asarray(prediction, np.float64)), np.asarray(truth, np.float64)
    lengths = np.linalg.norm(p, axis=0) * np.linalg.norm(g, axis=0)
    cosine = (p * g).sum(0) / np.maximum(lengths, 1e-12)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


@register_evaluator
class NormalsEvaluator(Evaluator):
    """Normals over a data set.

    crop      None, or "nyu_eigen" for GeoNet-style NYUv2 ground truth
    baseline  also score one normal everywhere that faces the camera (0, 0, -1)

    The truth is ``normals`` (3, H, W) of the batch, 0 where unknown; predictions are results with ``normals`` or mappings. A prediction of another size
    is resized bilinearly, and the report says how many were.
    """

    def __init__(self, crop: str | None = None, baseline: bool = True) -> None:
        super().__init__()
        self.crop, self.baseline = crop, baseline
        crop_region(crop, 480, 640)

    def record(self, prediction: Any, sample: dict[str, Any]) -> dict[str, Any]:
        """``sums``: (1 or 2 rows, 3 sums + thresholds + histogram) of the model and the baseline; ``resized``: whether the prediction was."""
        truth = to_numpy(sample["normals"]).astype(np.float64)
        values = predicted_normals(prediction)
        resized = values.shape != truth.shape
        if resized:
            values = np.stack([resize_bilinear(plane, truth.shape[1:]) for plane in values])
        valid = np.isfinite(truth).all(0) & (np.linalg.norm(truth, axis=0) > 0.5)
        rows, columns = crop_region(self.crop, *valid.shape)
        region = np.zeros_like(valid)
        region[rows, columns] = valid[rows, columns]
        kept = truth[:, region]
        errors = [angular_error(values[:, region], kept)]
        if self.baseline:
            errors.append(angular_error(np.array([[0.0], [0.0], [-1.0]]), kept))
        return {"sums": np.stack([_summary(error) for error in errors]), "resized": resized}

    def rows(self) -> dict[str, dict[str, float]]:
        titles = ["", "facing_camera"] if self.baseline else [""]
        if not self.records:
            return {}
        total = sum(record["sums"] for record in self.ordered())
        return {title: _metrics(total[i]) for i, title in enumerate(titles)}

    def compute(self) -> dict[str, float]:
        return {
            f"{title}/{name}" if title else name: value
            for title, values in self.rows().items()
            for name, value in values.items()
        } | {"images": len(self.records)}

    def report(self) -> str:
        head = f"Surface normals, {len(self.records)} images, pooled over valid pixels, crop {self.crop or 'none'}, degrees"
        return "\n".join([head, *resized_note(self.ordered()), format_rows(self.rows())])


def predicted_normals(prediction: Any) -> np.ndarray:
    """Return the (3, H, W) float64 normals of a prediction (channels last is accepted). Raises `InputError`."""
    value = prediction
    if not isinstance(prediction, np.ndarray) and not hasattr(prediction, "detach"):
        value = take(prediction, "normals", "values", "value")
        if value is None:
            raise InputError(f"the prediction has no normals; found {type(prediction).__name__}")
        if not isinstance(value, np.ndarray) and not hasattr(value, "detach"):
            value = take(value, "values", "value", "normals")
    array = to_numpy(value).astype(np.float64)
    if array.ndim == 3 and array.shape[0] != 3 and array.shape[2] == 3:
        array = array.transpose(2, 0, 1)
    if array.ndim != 3 or array.shape[0] != 3:
        raise InputError(f"predicted normals must have the shape (3, H, W) or (H, W, 3); found {array.shape}")
    return array


def _summary(error: np.ndarray) -> np.ndarray:
    """Count, sum, sum of squares, pixels below each threshold, then the histogram over 0..180 degrees."""
    bins = np.minimum((error * BINS_PER_DEGREE).astype(np.int64), 180 * BINS_PER_DEGREE - 1)
    below = [(error < threshold).sum() for threshold in THRESHOLDS]
    head = [error.size, error.sum(), (error**2).sum(), *below]
    return np.concatenate([head, np.bincount(bins, minlength=180 * BINS_PER_DEGREE)]).astype(np.float64)


def _metrics(total: np.ndarray) -> dict[str, float]:
    count, head = max(total[0], 1.0), 3 + len(THRESHOLDS)
    mass = np.concatenate([[0.0], np.cumsum(total[head:])])
    edges = np.arange(len(mass)) / BINS_PER_DEGREE
    upper = int(np.searchsorted(mass, 0.5 * total[0]))
    span = mass[upper] - mass[max(upper - 1, 0)]
    inside = (0.5 * total[0] - mass[max(upper - 1, 0)]) / span if span else 0.0
    median = edges[max(upper - 1, 0)] + inside / BINS_PER_DEGREE
    values = {"mean": total[1] / count, "median": median, "rms": (total[2] / count) ** 0.5}
    values |= {f"within_{threshold:g}": total[3 + i] / count for i, threshold in enumerate(THRESHOLDS)}
    return {name: float(value) for name, value in values.items()}
