"""Camera motion between frames against the truth: rotation error, and the direction of translation (its length has a free scale)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.evaluation.base import Evaluator, format_rows, take, to_numpy
from perception.evaluation.registry import register_evaluator


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


@register_evaluator
class MotionEvaluator(Evaluator):
    """Motion of the camera to neighbouring frames, over a data set.

    The truth is ``neighbour_from_camera`` (T, 4, 4) of the batch; predictions hold the same, or ``motion`` (T, 6): axis-angle and
    translation. Lengths are compared after ONE factor for the whole set (least squares), since motion learned from video has a free scale.
    """

    def record(self, prediction: Any, sample: dict[str, Any]) -> dict[str, np.ndarray]:
        truth = to_numpy(sample["neighbour_from_camera"]).astype(np.float64).reshape(-1, 4, 4)
        value = take(prediction, "neighbour_from_camera", "motion")
        if value is None:
            raise InputError(f"the prediction has no motions; found {type(prediction).__name__}")
        found = motion_matrices(to_numpy(value).astype(np.float64))
        if found.shape != truth.shape:
            raise InputError(f"{len(truth)} neighbouring frames need as many motions; found {len(found)}")
        return motion_errors(found, truth) | {"found": found[:, :3, 3], "truth": truth[:, :3, 3]}

    def compute(self) -> dict[str, float]:
        records = self.ordered()
        if not records:
            return {"images": 0}
        held = {name: np.concatenate([record[name] for record in records]) for name in records[0]}
        a, b = held.pop("found"), held.pop("truth")
        scale = (a * b).sum() / max((a * a).sum(), 1e-12)
        held["translation"] = np.linalg.norm(scale * a - b, axis=-1)
        return summarise(held) | {"images": len(records)}

    def report(self) -> str:
        head = f"Camera motion, {len(self.records)} images: rotation and direction in degrees a frame, translation in metres after one scale for all"
        return f"{head}\n{format_rows({'': self.compute()})}"


def motion_matrices(values: np.ndarray) -> np.ndarray:
    """(T, 6) axis-angle [rad] and translation, or (T, 4, 4) -> (T, 4, 4). Raises `InputError`."""
    if values.shape[-2:] == (4, 4):
        return values.reshape(-1, 4, 4)
    if values.shape[-1:] != (6,):
        raise InputError(f"motions must have the shape (T, 4, 4) or (T, 6); found {values.shape}")
    values = values.reshape(-1, 6)
    angle = np.linalg.norm(values[:, :3], axis=1)
    x, y, z = (values[:, :3] / np.maximum(angle, 1e-12)[:, None]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    matrices = np.tile(np.eye(4), (len(values), 1, 1))
    sine, versine = np.sin(angle)[:, None, None], (1 - np.cos(angle))[:, None, None]
    matrices[:, :3, :3] += sine * cross + versine * (cross @ cross)  # Rodrigues
    matrices[:, :3, 3] = values[:, 3:]
    return matrices
