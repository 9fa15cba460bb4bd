"""Which boxes the nuScenes benchmarks judge."""

from __future__ import annotations

import numpy as np

from perception.evaluation.greedy import pairs_of_groups
from perception.io.nuscenes_results import DETECTION_CLASSES, RACK, RANGES, NuScenesBoxes, NuScenesSamples


def inside(points: np.ndarray, box: NuScenesBoxes) -> np.ndarray:
    """(N,) bool: is point i inside row i of `box` (borders included)?"""
    w, x, y, z = (box.quaternion / np.linalg.norm(box.quaternion, axis=1, keepdims=True)).T
    offset = points - box.xyz
    # Rotate by the inverse quaternion: v + 2 q x (q x v + w v) with q negated.
    q = -np.stack([x, y, z], 1)
    local = offset + 2 * np.cross(q, np.cross(q, offset) + w[:, None] * offset)
    half = box.wlh[:, [1, 0, 2]] / 2  # local axes: length, width, height
    return (np.abs(local) <= half).all(1)


def filter_boxes(boxes: NuScenesBoxes, samples: NuScenesSamples, racks: NuScenesBoxes) -> NuScenesBoxes:
    """Keep what the benchmark judges: within the class's range, with points (truth), no two-wheelers in a rack."""
    boxes = boxes[boxes.label < RACK]
    limits = np.array([RANGES[name] for name in DETECTION_CLASSES], np.float64)
    distance = np.linalg.norm(boxes.xyz[:, :2] - samples.ego[boxes.sample, :2], axis=1)
    boxes = boxes[(distance < limits[boxes.label]) & (boxes.points != 0)]
    if not len(racks):
        return boxes
    wheeled = np.isin(boxes.label, [DETECTION_CLASSES.index(name) for name in ("bicycle", "motorcycle")])
    rows = np.flatnonzero(wheeled)
    rows = rows[np.argsort(boxes.sample[rows], kind="stable")]
    racks = racks[np.argsort(racks.sample, kind="stable")]
    bounds = [np.searchsorted(table, np.arange(len(samples) + 1)) for table in (boxes.sample[rows], racks.sample)]
    a, b = pairs_of_groups(*bounds)
    parked = np.zeros(len(boxes), bool)
    parked[rows[a[inside(boxes.xyz[rows[a]], racks[b])]]] = True
    return boxes[~parked]
