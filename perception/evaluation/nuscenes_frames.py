"""Batches and predictions of any data set -> the global boxes that the nuScenes protocols judge.

Truth of a sample: ``nuscenes_truth`` (`NuScenesBoxes`, global frame, with racks) where the reader gives it; else ``boxes3d`` (N, 7) in the ego
frame with ``labels3d`` (N,), optionally ``velocity`` (N, 2 or 3; ego axes), ``track_ids`` (N,), ``num_points`` (N,; 0 = seen by no sensor, which
is not judged) and ``attributes`` (N names). ``global_from_ego`` (4, 4) is the vehicle's pose (left out: it stands at the origin).

A prediction is `NuScenesBoxes` in the global frame, or holds a `Boxes3DResult` (frame "ego" or "global") with nuScenes' class names as ``boxes3d``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perception.errors import InputError, RecipeError, nearest
from perception.evaluation.base import take, to_numpy
from perception.io.nuscenes_results import (
    ATTRIBUTES,
    DETECTION_CLASSES,
    MAX_PER_SAMPLE,
    NuScenesBoxes,
    write_submission,
)

_LABEL = {name: i for i, name in enumerate(DETECTION_CLASSES)}
_ATTRIBUTE = {name: i for i, name in enumerate(ATTRIBUTES)}


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple. Raises `RecipeError` for one that nuScenes does not judge."""
    for name in classes:
        if name not in _LABEL:
            raise RecipeError(
                f"class {name!r} is not judged by nuScenes, which knows {', '.join(_LABEL)}.{nearest(name, _LABEL)}"
            )
    return tuple(classes)


def ego_pose(sample: Mapping[str, Any]) -> np.ndarray:
    """(4, 4) float64 pose of the vehicle. Raises `InputError` for another shape."""
    matrix = sample.get("global_from_ego")
    matrix = np.eye(4) if matrix is None else to_numpy(matrix).astype(np.float64)
    if matrix.shape != (4, 4):
        raise InputError(f"global_from_ego of a sample must have the shape (4, 4); found {matrix.shape}")
    return matrix


def global_truth(sample: Mapping[str, Any], classes: Sequence[str], global_from_ego: np.ndarray) -> NuScenesBoxes:
    """The judged objects of a sample, see the module. Raises `InputError` where the sample has none."""
    from perception.results import Boxes3DResult

    if sample.get("nuscenes_truth") is not None:
        return sample["nuscenes_truth"]
    if sample.get("boxes3d") is None or sample.get("labels3d") is None:
        raise InputError(
            f"a nuScenes evaluation needs nuscenes_truth, or boxes3d and labels3d; found {', '.join(sorted(sample))}"
        )
    boxes, labels = to_numpy(sample["boxes3d"]).reshape(-1, 7), to_numpy(sample["labels3d"]).astype(np.int64)
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise InputError(
            f"labels3d must lie in 0..{len(classes) - 1}, the evaluator's classes; found {np.unique(labels).tolist()}"
        )

    def column(name: str) -> np.ndarray | None:
        return None if sample.get(name) is None else to_numpy(sample[name])

    velocity, points = column("velocity"), column("num_points")
    result = Boxes3DResult(
        boxes,
        labels,
        frame="ego",
        class_names=tuple(classes),
        velocity=None if velocity is None else velocity.reshape(len(boxes), -1)[:, :2],
        track_ids=column("track_ids"),
        attributes=sample.get("attributes"),
    )
    found = _columns(result, global_from_ego)
    if velocity is None:
        found.velocity = np.full((len(found), 2), np.nan)
    return found if points is None else dataclasses.replace(found, points=points.astype(np.int64))


def global_boxes(prediction: Any, global_from_ego: np.ndarray) -> NuScenesBoxes:
    """Turn a prediction (see the module) into global boxes, at most 500 of highest score. Raises `InputError`."""
    if isinstance(prediction, NuScenesBoxes):
        return prediction
    held = take(prediction, "boxes3d")
    result = prediction if held is None else held
    if not hasattr(result, "to_frame"):
        raise InputError(f"a nuScenes prediction needs boxes3d (Boxes3DResult); found {type(prediction).__name__}")
    if result.frame not in ("ego", "global"):
        raise InputError(f"boxes of a nuScenes prediction must be in the ego or global frame; found {result.frame!r}")
    found = _columns(result.sorted()[:MAX_PER_SAMPLE], global_from_ego)
    found.velocity = np.nan_to_num(found.velocity)
    return found


def _columns(result: Any, global_from_ego: np.ndarray) -> NuScenesBoxes:
    """A `Boxes3DResult` as columns in the global frame; boxes of classes that are not judged are left out."""
    if result.frame != "global":
        result = result.to_frame("global", global_from_ego)
    kept = np.array([name in _LABEL for name in result.names], bool)
    result = result[kept]
    boxes, count = result.boxes.astype(np.float64), len(result)
    half = boxes[:, 6] / 2
    attribute = [-1] * count if result.attributes is None else [_ATTRIBUTE.get(a, -1) for a in result.attributes]
    return NuScenesBoxes.make(
        np.zeros(count, np.int64),
        [_LABEL[name] for name in result.names],
        boxes[:, :3],
        boxes[:, [4, 3, 5]],
        np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], 1),
        velocity=np.zeros((count, 2)) if result.velocity is None else result.velocity.astype(np.float64),
        attribute=np.array(attribute, np.int64),
        score=result.scores.astype(np.float64),
        track=np.full(count, -1) if result.track_ids is None else np.asarray(result.track_ids),
    )


def joined(records: Sequence[tuple], side: int) -> NuScenesBoxes:
    """One table of entry `side` of all records; the sample of a row is its record's position."""
    return NuScenesBoxes.join(
        [dataclasses.replace(record[side], sample=np.full(len(record[side]), i)) for i, record in enumerate(records)]
    )


def sample_token(sample: Mapping[str, Any]) -> str:
    """What names the sample in a submission: ``meta["name"]``, "" where it has none."""
    return str((sample.get("meta") or {}).get("name") or "")


def write_results(path: str, boxes: NuScenesBoxes, tokens: Sequence[str], tracking: bool = False) -> None:
    """`write_submission` for the samples of an evaluator. Raises `InputError` for samples without a name or two of one name."""
    if "" in tokens or len(set(tokens)) < len(tokens):
        raise InputError("a nuScenes submission needs the sample token as meta['name'] of each sample")
    write_submission(path, boxes, tokens, tracking=tracking)
