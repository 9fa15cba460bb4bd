"""KITTI object detection as an evaluator of recipes, and of folders of result files; the protocol is in `kitti_protocol`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import DatasetError, InputError
from perception.evaluation.base import Evaluator, format_rows, take, to_numpy
from perception.evaluation.kitti_protocol import CLASSES, MIN_OVERLAP, KittiProtocol
from perception.evaluation.registry import register_evaluator
from perception.io.kitti import KittiLabels, read_labels

DIFFICULTIES = ("easy", "moderate", "hard")


def evaluate_folders(truth: str | Path, detections: str | Path, classes: Sequence[str] = CLASSES) -> dict[str, Any]:
    """Evaluate result files ``NNNNNN.txt`` against label files of the same names. A frame without a result file has none found.

    Raises `DatasetError` when a folder holds no files or no result belongs to a label.
    """
    truth, detections = Path(truth), Path(detections)
    found = {path.stem: path for path in sorted(detections.glob("*.txt"))}
    labels = {path.stem: path for path in sorted(truth.glob("*.txt"))}
    if not labels:
        raise DatasetError(f"no label file NNNNNN.txt in {str(truth)!r}; expected the folder label_2")
    if not set(found) & set(labels):
        raise DatasetError(f"no result in {str(detections)!r} has the name of a label in {str(truth)!r}")
    names = sorted(labels)
    guesses = [read_labels(found[name]) if name in found else KittiLabels.empty(True) for name in names]
    table = KittiProtocol([read_labels(labels[name]) for name in names], guesses).evaluate(classes)
    return {"frames": len(names), "missing_results": sum(name not in found for name in names), "ap": table}


@register_evaluator
class KittiEvaluator(Evaluator):
    """KITTI AP over a data set.

    classes  names, in the order of the labels3d of the batch;  overlaps  which of "strict", "loose".
    submission  also write the results into this folder, one NNNNNN.txt a frame (``meta["stem"]``); frames without truth are then allowed
    pixel_scale  2D boxes are enlarged by it first, so that the difficulties' heights count in the pixels of larger pictures.
    The truth is ``kitti_labels`` (`KittiLabels`) of the batch, or made from its ``boxes3d``, ``labels3d``, ``boxes2d_full`` or ``boxes2d`` and, where
    there, ``truncation`` and ``occlusion``. Predictions are `KittiLabels` with scores, `Boxes3DResult` (or what
    holds one as ``boxes3d``), or mappings with ``boxes3d`` (N, 7) camera frame, ``boxes2d`` (N, 4) continuous pixels, ``labels3d`` (N,),
    ``scores`` (N,), optionally ``alpha``; ``camera_offset`` (3,) of the batch moves them back into KITTI's rectified frame.
    """

    def __init__(
        self,
        classes: Sequence[str] = CLASSES,
        overlaps: Sequence[str] = ("strict", "loose"),
        pixel_scale: float = 1.0,
        submission: str | None = None,
    ) -> None:
        super().__init__()
        self.submission = submission
        self.classes, self.overlaps, self.pixel_scale = list(classes), list(overlaps), float(pixel_scale)
        unknown = set(self.overlaps) - set(MIN_OVERLAP)
        if unknown:
            raise InputError(f"KITTI overlaps must be among {', '.join(MIN_OVERLAP)}; found {sorted(unknown)}")

    def record(self, prediction: Any, sample: dict[str, Any]) -> tuple[KittiLabels, KittiLabels]:
        offset = sample.get("camera_offset")
        offset = (0.0, 0.0, 0.0) if offset is None else to_numpy(offset).astype(np.float64)
        truth = sample.get("kitti_labels")
        if truth is None and self.submission is not None and sample.get("boxes3d") is None:
            truth = KittiLabels.empty()  # the test split
        truth = kitti_truth(sample, self.classes, offset) if truth is None else truth
        found = kitti_prediction(prediction, self.classes, offset)
        if self.submission is not None:
            from perception.io.kitti import write_labels

            meta = sample.get("meta") or {}
            stem = meta.get("stem") or Path(str(meta.get("name", ""))).stem
            if not stem:
                raise InputError("a KITTI submission needs meta['stem'] of each sample")
            write_labels(Path(self.submission) / f"{stem}.txt", found, decimals=4)
        return (truth, found) if self.pixel_scale == 1 else (self._enlarged(truth), self._enlarged(found))

    def _enlarged(self, rows: KittiLabels) -> KittiLabels:
        values = rows.values.copy()
        values[:, 3:7] = (values[:, 3:7] + 0.5) * self.pixel_scale - 0.5  # pixel centres are integers here
        return dataclasses.replace(rows, values=values)

    def table(self) -> dict[str, Any]:
        """The full table of `KittiProtocol.evaluate`."""
        return self.once(self._evaluate)

    def _evaluate(self) -> dict[str, Any]:
        records = self.ordered()
        return KittiProtocol([r[0] for r in records], [r[1] for r in records]).evaluate(self.classes, self.overlaps)

    def compute(self) -> dict[str, float]:
        return flatten_ap(self.table()) | {"images": len(self.records)}

    def report(self) -> str:
        return format_ap(self.table(), len(self.records))


def flatten_ap(table: Mapping[str, Any]) -> dict[str, float]:
    """``{"strict/car/3d/R40/moderate": value, ...}``."""
    return {
        f"{title}/{row}/{positions}/{difficulty}": float(value)
        for title, rows in table.items()
        for row, values in rows.items()
        for positions in ("R40", "R11")
        for difficulty, value in zip(DIFFICULTIES, values[positions], strict=True)
    }


def format_ap(table: Mapping[str, Any], frames: int) -> str:
    """The table as text."""
    lines = [f"KITTI object detection, {frames} frames, AP in per cent"]
    for title, rows in table.items():
        least = "; ".join(f"{m} {'/'.join(f'{v:g}' for v in values)}" for m, values in MIN_OVERLAP[title].items())
        lines.append(f"{title}: least overlap Car/Pedestrian/Cyclist {least}")
        lines.append(
            format_rows(
                {
                    row: {f"{p} {d}": values[p][i] for p in ("R40", "R11") for i, d in enumerate(DIFFICULTIES)}
                    for row, values in rows.items()
                }
            )
        )
    return "\n".join(lines)


def kitti_truth(sample: Mapping[str, Any], classes: Sequence[str], offset: Any = (0.0, 0.0, 0.0)) -> KittiLabels:
    """KITTI rows from the boxes of a sample of any data set; difficulties need ``truncation`` and ``occlusion``, else all is in full view."""
    boxes2d = sample.get("boxes2d_full")
    boxes2d = sample.get("boxes2d") if boxes2d is None else boxes2d
    if boxes2d is None or sample.get("boxes3d") is None:
        raise InputError(
            "a KITTI evaluation needs kitti_labels, or boxes3d with boxes2d; found none of them in the samples"
        )

    def column(name: str) -> Any:
        return 0.0 if sample.get(name) is None else to_numpy(sample[name])

    return KittiLabels.from_boxes(
        _names(to_numpy(sample["labels3d"]).astype(int).tolist(), classes),
        to_numpy(sample["boxes3d"]),
        to_numpy(boxes2d) - 0.5,
        offset=offset,
        truncated=column("truncation"),
        occluded=column("occlusion"),
    )


def _names(labels: Sequence[Any], classes: Sequence[str]) -> list[str]:
    """Class name of each label (a name already, or its number). Raises `InputError` for numbers without a name, negative ones too."""
    wrong = [label for label in labels if not isinstance(label, str) and not 0 <= label < len(classes)]
    if wrong:
        raise InputError(
            f"labels3d must lie in 0..{len(classes) - 1}, the classes {', '.join(classes)}; found {wrong[0]}"
        )
    return [label if isinstance(label, str) else classes[int(label)] for label in labels]


def kitti_prediction(prediction: Any, classes: Sequence[str], offset: Sequence[float]) -> KittiLabels:
    """Turn one prediction (see `KittiEvaluator`) into result rows. Raises `InputError`."""
    if isinstance(prediction, KittiLabels):
        return prediction
    held = take(prediction, "boxes3d")
    if hasattr(held, "boxes"):
        prediction = held
    boxes3d, boxes2d = take(prediction, "boxes", "boxes3d"), take(prediction, "boxes2d")
    labels, scores = take(prediction, "labels3d", "labels"), take(prediction, "scores", "scores3d")
    if boxes2d is None and hasattr(prediction, "projected"):
        boxes2d = prediction.projected()
    if any(value is None for value in (boxes3d, boxes2d, labels, scores)):
        raise InputError(
            f"a KITTI prediction needs boxes3d, boxes2d, labels3d and scores; found {type(prediction).__name__} without one of them"
        )
    names = take(prediction, "class_names") or classes
    types = _names(to_numpy(labels).tolist(), names)
    boxes2d = to_numpy(boxes2d).astype(np.float64).reshape(-1, 4) - 0.5  # KITTI's pixel centres are integers
    seen = np.isfinite(boxes2d).all(1)
    alpha = take(prediction, "alpha")
    rows = KittiLabels.from_boxes(
        types,
        to_numpy(boxes3d),
        np.nan_to_num(boxes2d),
        to_numpy(scores).astype(np.float64),
        offset,
        alpha=None if alpha is None else to_numpy(alpha).astype(np.float64),
    )
    return rows[seen]
