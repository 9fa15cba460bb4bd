"""Occupancy: Occ3D's mIoU over the voxels that the cameras see (nuScenes), from one confusion matrix over the whole set.

Labels 0..16 are classes, 17 is free space; free voxels count in the confusion but have no share in the mean. Ground truth 255 is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.evaluation.base import Evaluator, format_rows, take, to_numpy
from perception.evaluation.registry import register_evaluator
from perception.evaluation.segmentation import confusion_matrix, iou_from_confusion

CLASSES = (
    "others",
    "barrier",
    "bicycle",
    "bus",
    "car",
    "construction_vehicle",
    "motorcycle",
    "pedestrian",
    "traffic_cone",
    "trailer",
    "truck",
    "driveable_surface",
    "other_flat",
    "sidewalk",
    "terrain",
    "manmade",
    "vegetation",
)
FREE = len(CLASSES)


@register_evaluator
class OccupancyEvaluator(Evaluator):
    """Occ3D mIoU over a data set.

    mask    which voxels count: "camera", "lidar", or None for all;  num_classes  classes without free space, whose label follows them
    submission  also write the predicted labels to SCENE/TOKEN/labels.npz below this folder, as `tools/evaluate.py occ3d` reads them
    The batch holds ``occupancy`` (X, Y, Z) labels and ``occupancy_mask_camera`` / ``occupancy_mask_lidar``; predictions hold
    ``occupancy`` (X, Y, Z) labels.
    """

    def __init__(
        self, mask: str | None = "camera", num_classes: int = FREE, ignore: int = 255, submission: str | None = None
    ) -> None:
        super().__init__()
        if mask not in ("camera", "lidar", None):
            raise InputError(f"the occupancy mask must be 'camera', 'lidar' or None; found {mask!r}")
        self.mask, self.num_classes, self.ignore = mask, int(num_classes), int(ignore)
        self.submission = submission

    def record(self, prediction: Any, sample: dict[str, Any]) -> np.ndarray:
        """(C + 1, C + 1) counts of one frame: rows truth, columns prediction."""
        truth = to_numpy(sample["occupancy"])
        value = take(prediction, "occupancy")
        if hasattr(value, "labels"):
            value = value.labels
        if value is None:
            raise InputError(f"the prediction has no occupancy; found {type(prediction).__name__}")
        labels = to_numpy(value)
        if labels.shape != truth.shape:
            raise InputError(f"predicted occupancy must have the truth's shape {truth.shape}; found {labels.shape}")
        if self.submission is not None:
            write_labels(self.submission, labels, sample.get("meta") or {})
        if self.mask is not None:
            seen = sample.get(f"occupancy_mask_{self.mask}")
            if seen is None:
                raise InputError(
                    f"the truth has no {self.mask} mask, which this evaluation needs; choose another `mask`"
                )
            seen = to_numpy(seen).astype(bool)
            truth, labels = truth[seen], labels[seen]
        matrix = confusion_matrix(labels, truth, self.num_classes + 1, self.ignore)
        if matrix[:, -1].any():
            raise InputError(f"predicted occupancy labels must lie in 0..{self.num_classes}; found others")
        return matrix[:, :-1]

    def confusion(self) -> np.ndarray:
        """(C + 1, C + 1) int64 counts over the set."""
        return sum(self.ordered(), np.zeros((self.num_classes + 1, self.num_classes + 1), np.int64))

    def iou(self) -> np.ndarray:
        """(C + 1,) IoU, NaN for labels that occur nowhere; the last is free space."""
        return iou_from_confusion(self.confusion())

    def compute(self) -> dict[str, float]:
        iou, matrix = self.iou(), self.confusion()
        classes = iou[: self.num_classes]
        occupied = matrix[:-1, :-1].sum()
        union = matrix.sum() - matrix[-1, -1]
        return {
            "miou": float(np.nanmean(classes)) if np.isfinite(classes).any() else float("nan"),
            "geometric_iou": float(occupied / union) if union else float("nan"),
            "free_iou": float(iou[-1]),
            "frames": len(self.records),
        }

    def report(self) -> str:
        names = CLASSES if self.num_classes == FREE else [str(i) for i in range(self.num_classes)]
        rows = {name: {"IoU": float(value)} for name, value in zip(names, self.iou(), strict=False)}
        head = f"Occupancy, {len(self.records)} frames, voxels: {self.mask or 'all'}, mIoU over {self.num_classes} classes without free space"
        return "\n".join([head, format_rows({"": self.compute()}), format_rows(rows)])


def write_labels(folder: str | Path, labels: np.ndarray, meta: Mapping[str, Any]) -> Path:
    """Write (X, Y, Z) labels to SCENE/TOKEN/labels.npz below `folder`, named by the sample's ``meta``. Raises `InputError` for a sample without names."""
    from perception.io.atomic import atomic_write

    scene, name = str(meta.get("scene") or ""), str(meta.get("name") or "")
    if not scene or not name or {"/", "\\", ".."} & {*scene, *name, scene, name}:
        raise InputError(
            f"writing occupancy needs meta['scene'] and meta['name'] that can name folders; found {scene!r}, {name!r}"
        )
    path = Path(folder) / scene / name / "labels.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        np.savez_compressed(file, semantics=labels.astype(np.uint8))
    return path
