"""Tracks of a nuScenes result: detections of all samples in columns, linked scene by scene."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from perception.io.nuscenes_results import (
    DETECTION_CLASSES,
    TRACKING_CLASSES,
    NuScenesBoxes,
    NuScenesSamples,
)
from perception.tracking.greedy import GreedyTracker


def track_results(
    boxes: NuScenesBoxes,
    samples: NuScenesSamples,
    limits: Mapping[str, float] | None = None,
    max_age: int = 3,
    min_score: float = 0.0,
) -> NuScenesBoxes:
    """Detections (global frame, any order) -> those of the tracked classes with ``track`` identities, unique over all scenes.

    A box's score stays its detection score. Options: see `GreedyTracker`.
    """
    tracker = GreedyTracker(limits, max_age, min_score)
    names = np.array(DETECTION_CLASSES)
    boxes = boxes[np.isin(boxes.label, [DETECTION_CLASSES.index(name) for name in TRACKING_CLASSES])]
    boxes = boxes[np.argsort(boxes.sample, kind="stable")]
    start = np.searchsorted(boxes.sample, np.arange(len(samples) + 1))
    track = np.full(len(boxes), -1, np.int64)
    used = 0
    scene = np.asarray(samples.scene)
    time = np.asarray(samples.time, np.int64)
    for place in np.lexsort((time, scene)):
        if tracker.scene != int(scene[place]):
            used += tracker.count
        own = slice(start[place], start[place + 1])
        found = tracker.step(
            boxes.xyz[own, :2],
            boxes.velocity[own],
            names[boxes.label[own]],
            boxes.score[own],
            (int(time[place]) - int(time.min())) * 1e-6,
            int(scene[place]),
        )
        track[own] = np.where(found >= 0, found + used, -1)
    return dataclasses.replace(boxes, track=track)[track >= 0]
