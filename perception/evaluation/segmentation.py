"""Semantic segmentation: mIoU, pixel accuracy, mean class accuracy from one confusion matrix summed over the whole set.

Ground-truth pixels labelled `ignore` (255) count nowhere. Classes that occur neither in the truth nor in the predictions have
no IoU and are left out of the mean (as in the official ADE20K and Cityscapes scripts for whole sets).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.evaluation.base import Evaluator, format_rows, plane, take
from perception.evaluation.registry import register_evaluator


def confusion_matrix(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, ignore: int | None = 255
) -> np.ndarray:
    """(C, C + 1) int64 counts: rows truth, columns prediction; the last column counts predictions outside 0..C-1.

    Arrays of any equal shape. Raises `InputError` for truth labels outside 0..C-1 that are not `ignore`.
    """
    truth, prediction = np.asarray(truth).astype(np.int64).ravel(), np.asarray(prediction).astype(np.int64).ravel()
    if ignore is not None:
        kept = truth != ignore
        truth, prediction = truth[kept], prediction[kept]
    if truth.size and (truth.min() < 0 or truth.max() >= num_classes):
        raise InputError(
            f"truth labels must lie in 0..{num_classes - 1} (ignore = {ignore}); found {truth.min()}..{truth.max()}"
        )
    prediction = np.where((prediction < 0) | (prediction >= num_classes), num_classes, prediction)
    codes = truth * (num_classes + 1) + prediction
    return np.bincount(codes, minlength=num_classes * (num_classes + 1)).reshape(num_classes, num_classes + 1)


def iou_from_confusion(matrix: np.ndarray) -> np.ndarray:
    """(C, C or C + 1) counts -> (C,) IoU, NaN for classes that occur in neither truth nor prediction."""
    matrix = matrix.astype(np.float64)
    classes = matrix.shape[0]
    hit = matrix[:, :classes].diagonal()
    union = matrix.sum(1) + matrix[:, :classes].sum(0) - hit
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(union > 0, hit / union, np.nan)


@register_evaluator
class SemanticEvaluator(Evaluator):
    """mIoU over a data set: truth ``semantic`` (H, W) of the batch, predictions with ``semantic`` (H, W) labels.

    num_classes  labels are 0..num_classes-1;   ignore  truth label that counts nowhere;   names  class names for the report
    """

    def __init__(self, num_classes: int, ignore: int = 255, names: Sequence[str] | None = None) -> None:
        super().__init__()
        if names is not None and len(names) != num_classes:
            raise InputError(f"SemanticEvaluator needs one name a class: expected {num_classes}, found {len(names)}")
        self.num_classes, self.ignore, self.names = num_classes, ignore, names

    def record(self, prediction: Any, sample: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """The non-zero entries of the image's confusion matrix: flat positions and counts."""
        truth = plane(sample["semantic"])
        values = predicted_labels(prediction, "semantic", truth.shape)
        matrix = confusion_matrix(values, truth, self.num_classes, self.ignore).ravel()
        positions = np.flatnonzero(matrix)
        return positions.astype(np.int32), matrix[positions]

    def confusion(self) -> np.ndarray:
        """(C, C + 1) int64 confusion matrix of the whole set."""
        total = np.zeros(self.num_classes * (self.num_classes + 1), np.int64)
        for positions, counts in self.records.values():
            total[positions] += counts
        return total.reshape(self.num_classes, -1)

    def compute(self) -> dict[str, float]:
        matrix = self.confusion()
        hit, truth = matrix.diagonal().astype(np.float64), matrix.sum(1).astype(np.float64)
        iou = iou_from_confusion(matrix)
        present = truth > 0
        accuracy = np.divide(hit, truth, out=np.full_like(hit, np.nan), where=present)
        pixels = max(truth.sum(), 1.0)
        return {
            "miou": float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan"),
            "pixel_accuracy": float(hit.sum() / pixels),
            "mean_accuracy": float(accuracy[present].mean()) if present.any() else float("nan"),
            "frequency_weighted_iou": float((truth * np.nan_to_num(iou)).sum() / pixels),
            "images": len(self.records),
        }

    def per_class(self) -> dict[str, float]:
        """IoU by class name (or number)."""
        names = self.names or [str(i) for i in range(self.num_classes)]
        return {name: float(value) for name, value in zip(names, iou_from_confusion(self.confusion()), strict=True)}

    def report(self) -> str:
        rows = format_rows({"": self.compute()})
        classes = ", ".join(f"{name} {value:.3f}" for name, value in self.per_class().items() if np.isfinite(value))
        return f"Semantic segmentation, truth label {self.ignore} ignored, one confusion matrix over the set\n{rows}\nIoU: {classes}"


def predicted_labels(prediction: Any, name: str, shape: tuple[int, int]) -> np.ndarray:
    """Return the (H, W) integer labels `name` of a prediction. Raises `InputError` when there are none, or not of the truth's `shape`.

    Label maps are compared pixel by pixel, as the official scripts of Cityscapes and COCO do: a resized one would be judged by how it was resized.
    """
    value = prediction
    for _ in range(3):  # a prediction, the segmentation inside it, the map inside that
        if value is None or isinstance(value, (np.ndarray, list)) or hasattr(value, "detach"):
            break
        value = take(value, name, "segmentation", "labels")
    if value is None:
        raise InputError(f"the prediction has no {name!r}; found {type(prediction).__name__}")
    array = plane(value)
    if array.shape != tuple(shape):
        raise InputError(
            f"predicted {name} labels must have their truth's shape {tuple(shape)}, one label a pixel; found {array.shape}; "
            "predict at that size, or resize by nearest neighbour first"
        )
    return array
