"""nuScenes boxes in columns: truth and predictions of a whole split as arrays, and the official submission JSON.

Boxes are in the GLOBAL frame: centre x, y, z [m]; size width, length, height [m] (nuScenes order); rotation quaternion w, x, y, z;
velocity x, y [m/s]. Samples (key frames) are numbered; the tokens stay beside them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.errors import DatasetError
from perception.io.text import read_text

DETECTION_CLASSES = (
    "car",
    "truck",
    "bus",
    "trailer",
    "construction_vehicle",
    "pedestrian",
    "motorcycle",
    "bicycle",
    "traffic_cone",
    "barrier",
)
RACK = len(DETECTION_CLASSES)  # label of static_object.bicycle_rack: only removes two-wheelers inside it
TRACKING_CLASSES = ("bicycle", "bus", "car", "motorcycle", "pedestrian", "trailer", "truck")
ATTRIBUTES = (
    "pedestrian.moving",
    "pedestrian.sitting_lying_down",
    "pedestrian.standing",
    "cycle.with_rider",
    "cycle.without_rider",
    "vehicle.moving",
    "vehicle.parked",
    "vehicle.stopped",
)
# Largest distance from the vehicle at which a class is judged [m].
RANGES = dict(zip(DETECTION_CLASSES, (50, 50, 50, 50, 50, 40, 40, 40, 30, 30), strict=True))
MAX_PER_SAMPLE = 500


@dataclasses.dataclass
class NuScenesSamples:
    """The key frames of a split: scene (S,) number, time (S,) microseconds, ego (S, 3) position of the vehicle at the LiDAR's time."""

    scene: np.ndarray
    time: np.ndarray
    ego: np.ndarray
    tokens: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.scene)


@dataclasses.dataclass
class NuScenesBoxes:
    """Boxes of many samples, one row each; columns that a side does not have are filled with neutral values.

    sample (N,) int, label (N,) int into `DETECTION_CLASSES` (10 = bicycle rack), xyz (N, 3), wlh (N, 3), quaternion (N, 4),
    velocity (N, 2), attribute (N,) int into `ATTRIBUTES` or -1, score (N,), points (N,) LiDAR + radar points (-1 = unknown),
    track (N,) int or str identity.
    """

    sample: np.ndarray
    label: np.ndarray
    xyz: np.ndarray
    wlh: np.ndarray
    quaternion: np.ndarray
    velocity: np.ndarray
    attribute: np.ndarray
    score: np.ndarray
    points: np.ndarray
    track: np.ndarray

    def __len__(self) -> int:
        return len(self.sample)

    def __getitem__(self, rows: np.ndarray) -> NuScenesBoxes:
        return NuScenesBoxes(**{f.name: getattr(self, f.name)[rows] for f in dataclasses.fields(self)})

    @classmethod
    def make(cls, sample: Any, label: Any, xyz: Any, wlh: Any, quaternion: Any, **columns: Any) -> NuScenesBoxes:
        """Build from the columns that are known; the rest is neutral."""
        count = len(np.asarray(sample))
        neutral = {
            "velocity": np.full((count, 2), np.nan),
            "attribute": np.full(count, -1),
            "score": np.zeros(count),
            "points": np.full(count, -1),
            "track": np.full(count, -1),
        }
        return cls(
            np.asarray(sample, np.int64),
            np.asarray(label, np.int64),
            np.asarray(xyz, np.float64).reshape(count, 3),
            np.asarray(wlh, np.float64).reshape(count, 3),
            np.asarray(quaternion, np.float64).reshape(count, 4),
            **{name: np.asarray(columns.get(name, value)) for name, value in neutral.items()},
        )

    @classmethod
    def empty(cls) -> NuScenesBoxes:
        return cls.make([], [], np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 4)))

    @classmethod
    def join(cls, parts: Sequence[NuScenesBoxes]) -> NuScenesBoxes:
        """Concatenate tables."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return cls.empty()
        names = [f.name for f in dataclasses.fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def yaw(self) -> np.ndarray:
        """(N,) heading in the ground plane, radians."""
        w, x, y, z = self.quaternion.T
        norm = w * w + x * x + y * y + z * z
        return np.arctan2(2 * (x * y + w * z) / norm, 1 - 2 * (y * y + z * z) / norm)


def read_submission(
    path: str | Path, tokens: Sequence[str], tracking: bool = False
) -> tuple[NuScenesBoxes, dict[str, Any]]:
    """Read a result JSON in the official format for the samples `tokens`; returns (boxes, meta).

    Raises `DatasetError` for another format, missing or unknown samples, unknown class names, or too many boxes in a sample.
    """
    try:
        content = json.loads(read_text(path))
        results, meta = content["results"], content.get("meta", {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{str(path)!r} is not a nuScenes result file (keys 'meta' and 'results'): {error}"
        ) from error
    return boxes_from_results(results, tokens, tracking, str(path)), meta


def boxes_from_results(
    results: Mapping[str, Sequence[Mapping[str, Any]]],
    tokens: Sequence[str],
    tracking: bool = False,
    source: str = "results",
) -> NuScenesBoxes:
    """Rows of ``{sample token: [box, ...]}`` in submission order (see `read_submission`)."""
    number = {token: i for i, token in enumerate(tokens)}
    unknown, missing = set(results) - set(number), set(number) - set(results)
    if missing:
        raise DatasetError(
            f"{source}: results must name every sample of the split; {len(missing)} of {len(number)} are missing, first {sorted(missing)[0]!r}"
        )
    if unknown:
        raise DatasetError(f"{source}: {len(unknown)} samples do not belong to the split, first {sorted(unknown)[0]!r}")
    rows = [(number[token], box) for token, boxes in results.items() for box in boxes]
    for token, boxes in results.items():
        if len(boxes) > MAX_PER_SAMPLE:
            raise DatasetError(
                f"{source}: sample {token!r} has {len(boxes)} boxes; at most {MAX_PER_SAMPLE} are allowed"
            )
    if not rows:
        return NuScenesBoxes.empty()
    kind = "tracking" if tracking else "detection"
    classes = {name: i for i, name in enumerate(DETECTION_CLASSES)}
    attributes = {name: i for i, name in enumerate(ATTRIBUTES)} | {"": -1}
    try:
        boxes = [box for _, box in rows]
        table = NuScenesBoxes.make(
            [index for index, _ in rows],
            [classes[box[f"{kind}_name"]] for box in boxes],
            [box["translation"] for box in boxes],
            [box["size"] for box in boxes],
            [box["rotation"] for box in boxes],
            velocity=np.array([box["velocity"] for box in boxes], np.float64).reshape(len(boxes), 2),
            attribute=np.array([attributes[box.get("attribute_name", "")] for box in boxes], np.int64),
            score=np.array([box[f"{kind}_score"] for box in boxes], np.float64),
            track=np.array([str(box.get("tracking_id", -1)) for box in boxes]),
        )
        for name in ("xyz", "wlh", "quaternion", "score"):
            wrong = np.flatnonzero(~np.isfinite(getattr(table, name).reshape(len(table), -1)).all(1))
            if len(wrong):
                raise ValueError(f"the {name} of a box in sample {tokens[table.sample[wrong[0]]]!r} is not finite")
        if (table.wlh <= 0).any():
            row = int(np.flatnonzero((table.wlh <= 0).any(1))[0])
            raise ValueError(f"a box in sample {tokens[table.sample[row]]!r} has the size {table.wlh[row].tolist()}")
        if (np.abs(table.quaternion).max(1) < 1e-6).any():
            raise ValueError("a rotation of four zeros turns nothing")
        return table
    except (KeyError, ValueError, TypeError) as error:
        raise DatasetError(f"{source}: a box lacks a field or holds an unknown name or value: {error}") from error


def write_submission(
    path: str | Path,
    boxes: NuScenesBoxes,
    tokens: Sequence[str],
    meta: Mapping[str, Any] | None = None,
    tracking: bool = False,
) -> None:
    """Write boxes in the official format, every sample of `tokens` listed, at most 500 boxes each (the highest scores).

    Tracking results hold the boxes of `TRACKING_CLASSES` that have a track. The file is written atomically.
    """
    from perception.io.atomic import atomic_write

    kind = "tracking" if tracking else "detection"
    if tracking:
        judged = np.isin(boxes.label, [DETECTION_CLASSES.index(name) for name in TRACKING_CLASSES])
        boxes = boxes[judged & (boxes.track.astype(str) != "-1")]
    used = {"use_camera": True, "use_lidar": False, "use_radar": False, "use_map": False, "use_external": False}
    results: dict[str, list[dict[str, Any]]] = {token: [] for token in tokens}
    for i in np.lexsort((-boxes.score, boxes.sample)):
        entries = results[tokens[boxes.sample[i]]]
        if len(entries) == MAX_PER_SAMPLE:
            continue
        entry = {
            "sample_token": tokens[boxes.sample[i]],
            "translation": boxes.xyz[i].tolist(),
            "size": boxes.wlh[i].tolist(),
            "rotation": boxes.quaternion[i].tolist(),
            "velocity": np.nan_to_num(boxes.velocity[i]).tolist(),
            f"{kind}_name": DETECTION_CLASSES[boxes.label[i]],
            f"{kind}_score": float(boxes.score[i]),
        }
        if tracking:
            entry["tracking_id"] = str(boxes.track[i])
        else:
            entry["attribute_name"] = ATTRIBUTES[boxes.attribute[i]] if boxes.attribute[i] >= 0 else ""
        entries.append(entry)
    with atomic_write(path) as file:
        file.write(json.dumps({"meta": {**used, **(meta or {})}, "results": results}).encode())
