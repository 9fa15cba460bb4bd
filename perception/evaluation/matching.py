"""Stereo and optical flow against the truth: mean errors and shares of bad pixels, per picture, then averaged over pictures.

Stereo: Middlebury's avgerr, rmse and bad-t [%]; KITTI 2015's D1 (wrong by more than 3 pixels and 5 %). Flow: L1 (|du| + |dv|), end-point error, bad-t [%],
KITTI 2015's Fl, and end-point errors of slow, medium and fast points. D1-all and Fl-all are over all pixels of the set together, as KITTI ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.evaluation.base import Evaluator, format_rows, take, to_numpy
from perception.evaluation.registry import register_evaluator

STEREO_LIMITS = (0.5, 1.0, 2.0, 3.0)
FLOW_LIMITS = (1.0, 3.0, 5.0)
SPEEDS = (("s0-10", 0.0, 10.0), ("s10-40", 10.0, 40.0), ("s40+", 40.0, np.inf))  # pixels of the true flow


def stereo_errors(disparity: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """Errors of one picture: (H, W) disparities in pixels, `valid` (H, W) bool. NaN without a valid pixel."""
    if not valid.any():
        return dict.fromkeys(("avgerr", "rmse", *(f"bad@{t:g}" for t in STEREO_LIMITS), "D1"), float("nan"))
    true = truth[valid].astype(np.float64)
    error = np.abs(disparity[valid].astype(np.float64) - true)
    found = {"avgerr": error.mean(), "rmse": np.sqrt((error**2).mean())}
    found |= {f"bad@{t:g}": 100 * (error > t).mean() for t in STEREO_LIMITS}
    found["D1"] = 100 * ((error > 3) & (error > 0.05 * true)).mean()
    return {name: float(value) for name, value in found.items()}


def flow_errors(flow: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """Errors of one picture: (H, W, 2) pixels, `valid` (H, W) bool. NaN where no pixel counts."""
    true = truth[valid].astype(np.float64)
    difference = flow[valid].astype(np.float64) - true
    error, speed = np.linalg.norm(difference, axis=-1), np.linalg.norm(true, axis=-1)

    def mean(values: np.ndarray) -> float:
        return float(values.mean()) if values.size else float("nan")

    found = {"L1": mean(np.abs(difference).sum(-1)), "EPE": mean(error)}
    found |= {f"bad@{t:g}": 100 * mean(error > t) for t in FLOW_LIMITS}
    found["Fl"] = 100 * mean((error > 3) & (error > 0.05 * speed))
    return found | {name: mean(error[(speed >= low) & (speed < high)]) for name, low, high in SPEEDS}


class _MatchingEvaluator(Evaluator):
    """Base: one row of errors a picture, and how many pixels each stands for."""

    title = ""
    outlier = ""

    def record(self, prediction: Any, sample: dict[str, Any]) -> tuple[dict[str, float], int]:
        raise NotImplementedError

    def compute(self) -> dict[str, float]:
        records = self.ordered()
        if not records:
            return {"images": 0}
        means: dict[str, float] = {}
        for name in records[0][0]:
            values = np.array([row[name] for row, _ in records])
            means[name] = float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
        counts = np.array([count for _, count in records])
        shares = np.array([row[self.outlier] for row, _ in records])
        pooled = float(np.average(shares[counts > 0], weights=counts[counts > 0])) if counts.any() else float("nan")
        return means | {f"{self.outlier}-all": pooled, "images": len(records)}

    def report(self) -> str:
        head = f"{self.title}, {len(self.records)} images, errors in pixels, bad and {self.outlier} in per cent"
        return f"{head}\n{format_rows({'': self.compute()})}"


@register_evaluator
class StereoEvaluator(_MatchingEvaluator):
    """Disparity over a data set. The truth is ``disparity`` (H, W) of the batch and ``disparity_valid`` where there is one; max_disparity: farther ones do not count."""

    title, outlier = "Stereo", "D1"

    def __init__(self, max_disparity: float = np.inf) -> None:
        super().__init__()
        self.max_disparity = float(max_disparity)

    def record(self, prediction: Any, sample: dict[str, Any]) -> tuple[dict[str, float], int]:
        truth = to_numpy(sample["disparity"])
        valid = _valid(truth, sample.get("disparity_valid"))
        with np.errstate(invalid="ignore"):
            valid &= truth <= self.max_disparity
        value = _value(prediction, "disparity")
        if value.shape != truth.shape:
            raise InputError(f"a disparity map of shape {truth.shape} was expected; found {value.shape}")
        return stereo_errors(value, truth, valid), int(valid.sum())


@register_evaluator
class FlowEvaluator(_MatchingEvaluator):
    """Optical flow over a data set. The truth is ``flow`` (2, H, W) of the batch and ``flow_valid`` where there is one."""

    title, outlier = "Optical flow", "Fl"

    def record(self, prediction: Any, sample: dict[str, Any]) -> tuple[dict[str, float], int]:
        truth = to_numpy(sample["flow"]).transpose(1, 2, 0)
        valid = _valid(truth, sample.get("flow_valid"))
        value = _value(prediction, "flow")
        if value.shape != truth.shape and value.shape[:1] == (2,):
            value = value.transpose(1, 2, 0)
        if value.shape != truth.shape:
            raise InputError(f"optical flow of shape {truth.shape} was expected; found {value.shape}")
        return flow_errors(value, truth, valid), int(valid.sum())


def _valid(truth: np.ndarray, valid: Any) -> np.ndarray:
    finite = np.isfinite(truth)
    finite = finite if truth.ndim == 2 else finite.all(-1)
    return finite if valid is None else finite & to_numpy(valid).astype(bool)


def _value(prediction: Any, name: str) -> np.ndarray:
    """The array of a `Prediction`, a result, a mapping, or an array itself, with 0 where it is not finite, as results have it.

    Raises `InputError` when there is none.
    """
    value = prediction
    for _ in range(2):
        if not isinstance(value, np.ndarray) and not hasattr(value, "detach"):
            found = take(value, name) if value is not None else None
            value = found if found is not None else (value if isinstance(value, (list, Mapping)) else None)
    if value is None:
        raise InputError(f"the prediction has no {name}; found {type(prediction).__name__}")
    array = to_numpy(value)
    return np.where(np.isfinite(array), array, 0)  # NaN would count as right: it is above no limit
