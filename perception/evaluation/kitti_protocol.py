"""KITTI object detection: AP over 40 (official since 2019) and 11 recall positions of 2D boxes, orientation (AOS), bird's-eye view and 3D.

The protocol of the C++ development kit, over all frames at once instead of frame by frame:

- Overlaps are computed once for all (truth, detection) pairs of a frame that can meet. Only pairs above the threshold take part in
  the greedy assignment, and the n-th truth of every frame is assigned in one step, for all score thresholds together: truths of
  different frames never compete.
- Pass 1 finds the scores of true positives (each truth takes its highest-scoring free detection), from which up to 41 thresholds at
  equally spaced recalls follow. Pass 2 counts at each threshold (each truth takes its largest free overlap, detections that count
  before those that do not).
- A truth is ignored when it is too small, occluded or truncated for the difficulty, or of the neighbour class (Van for Car,
  Person_sitting for Pedestrian); a detection smaller than the difficulty's height is ignored, whatever its class. DontCare
  areas excuse unmatched detections in the 2D metrics alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.evaluation.greedy import greedy_assign, pairs_of_groups, rank_in_group
from perception.io.kitti import KittiLabels

CLASSES = ("Car", "Pedestrian", "Cyclist")
MIN_HEIGHT = (40.0, 25.0, 25.0)  # pixels
MAX_OCCLUSION = (0, 1, 2)
MAX_TRUNCATION = (0.15, 0.3, 0.5)
NEIGHBOURS = {"car": "van", "pedestrian": "person_sitting"}
POSITIONS = 41
# Least overlap of each class in the image, in bird's-eye view and in 3D. "loose" is a community addition to the official "strict".
MIN_OVERLAP: dict[str, dict[str, tuple[float, float, float]]] = {
    "strict": {"bbox": (0.7, 0.5, 0.5), "bev": (0.7, 0.5, 0.5), "3d": (0.7, 0.5, 0.5)},
    "loose": {"bbox": (0.7, 0.5, 0.5), "bev": (0.5, 0.25, 0.25), "3d": (0.5, 0.25, 0.25)},
}
_CHUNK = 1 << 15  # pairs whose rotated overlap is computed at once


@dataclasses.dataclass
class _Rows:
    """All labels of the set in one table; `start` (F + 1,) bounds each frame's rows."""

    types: np.ndarray  # (N,) lower-case names
    values: np.ndarray  # (N, 14)
    score: np.ndarray  # (N,)
    start: np.ndarray

    @classmethod
    def join(cls, frames: Sequence[KittiLabels]) -> _Rows:
        counts = [len(frame) for frame in frames]
        types = np.array([str(t).lower() for frame in frames for t in frame.types], dtype=np.str_)
        values = np.concatenate([np.zeros((0, 14)), *(frame.values for frame in frames)])
        score = np.concatenate([np.zeros(0), *(np.zeros(len(f)) if f.score is None else f.score for f in frames)])
        return cls(types, values, score, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


@dataclasses.dataclass
class _Overlaps:
    """Pairs (truth row, detection row) of one frame whose overlap is above 0, sorted by truth row, then detection row."""

    truth: np.ndarray
    detection: np.ndarray
    value: np.ndarray


def image_overlap(a: np.ndarray, b: np.ndarray, over: str = "union") -> np.ndarray:
    """Row-wise overlap of boxes (N, 4) left, top, right, bottom: intersection over the union, or over the area of `a`."""
    size = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    common = np.where((size > 0).all(1), size[:, 0] * size[:, 1], 0.0)
    area_a, area_b = (np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (a, b))
    below = area_a + area_b - common if over == "union" else area_a
    return np.divide(common, below, out=np.zeros_like(common), where=common > 0)


def _overlaps(truth: _Rows, detections: _Rows) -> dict[str, _Overlaps]:
    from perception.geometry.rotated_iou import bev_iou_matched, iou3d_matched

    rows, columns = pairs_of_groups(truth.start, detections.start)
    boxes = [KittiLabels(t.types, t.values).boxes3d() for t in (truth, detections)]
    flat = image_overlap(truth.values[rows, 3:7], detections.values[columns, 3:7])
    reach = [np.hypot(box[:, 3], box[:, 4]) / 2 for box in boxes]
    apart = np.hypot(*(boxes[0][rows][:, [0, 2]] - boxes[1][columns][:, [0, 2]]).T)
    known = (boxes[0][rows, 3] > 0) & (boxes[1][columns, 3] > 0)
    near = np.flatnonzero(known & (apart < reach[0][rows] + reach[1][columns]))
    found = {"bbox": _Overlaps(rows[flat > 0], columns[flat > 0], flat[flat > 0])}
    for metric in ("bev", "3d"):
        parts = [np.zeros(0)]
        for chunk in np.split(near, range(_CHUNK, len(near), _CHUNK)):
            a, b = boxes[0][rows[chunk]], boxes[1][columns[chunk]]
            if metric == "3d":
                parts.append(iou3d_matched(a, b, "camera"))
            else:
                parts.append(bev_iou_matched(a[:, [0, 2, 3, 4, 6]], b[:, [0, 2, 3, 4, 6]]))
        found[metric] = _Overlaps(rows[near], columns[near], np.concatenate(parts))
    return found


def recall_thresholds(scores: np.ndarray, truths: int) -> np.ndarray:
    """Scores (N,) of true positives -> the scores nearest to recalls 0, 1/40, ... 1 of `truths` objects, descending."""
    scores = np.sort(scores)[::-1]
    if not len(scores):
        return scores
    steps = np.arange(1, len(scores) + 1)
    left, right = steps / truths, (steps + 1) / truths
    right[-1] = left[-1]
    picked, current, at = [], 0.0, 0
    while at < len(scores):
        # A score is passed over while the next one is closer to the recall that is wanted; the last one never is.
        stop = ~((right[at:] - current) < (current - left[at:]))
        stop[-1] = True
        at += int(np.argmax(stop))
        picked.append(scores[at])
        current += 1.0 / (POSITIONS - 1.0)
        at += 1
    return np.array(picked[:POSITIONS])


class KittiProtocol:
    """Evaluates a fixed set of frames: `truth` and `detections` are label lists of equal length, one entry a frame."""

    def __init__(self, truth: Sequence[KittiLabels], detections: Sequence[KittiLabels]) -> None:
        if len(truth) != len(detections):
            raise InputError(
                f"KITTI evaluation needs detections for each frame: {len(truth)} frames, {len(detections)} found"
            )
        if any(len(d) and d.score is None for d in detections):
            raise InputError("KITTI detections need a score in column 16; found rows of 15 columns")
        self.truth, self.detections = _Rows.join(truth), _Rows.join(detections)
        self.overlaps = _overlaps(self.truth, self.detections)
        self.cared = self._excuse_overlap()

    def _excuse_overlap(self) -> np.ndarray:
        """(D,) largest share of each detection's area inside one DontCare area."""
        rows, columns = pairs_of_groups(self.truth.start, self.detections.start)
        areas = self.truth.types[rows] == "dontcare"
        rows, columns = rows[areas], columns[areas]
        share = image_overlap(self.detections.values[columns, 3:7], self.truth.values[rows, 3:7], over="first")
        largest = np.zeros(len(self.detections.score))
        np.maximum.at(largest, columns, share)
        return largest

    def curves(
        self, metric: str, name: str, difficulty: int, min_overlap: float
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(41,) precision, monotone from the right, 0 beyond the highest recall; and (41,) orientation similarity for "bbox"."""
        truth, detections, name = self.truth, self.detections, name.lower()
        heights = [t.values[:, 6] - t.values[:, 4] for t in (truth, detections)]
        same, neighbour = truth.types == name, truth.types == NEIGHBOURS.get(name, "")
        hard = (
            (truth.values[:, 1] > MAX_OCCLUSION[difficulty])
            | (truth.values[:, 0] > MAX_TRUNCATION[difficulty])
            | (heights[0] <= MIN_HEIGHT[difficulty])
        )
        counts = same & ~hard
        active = same | neighbour
        small = np.abs(heights[1]) < MIN_HEIGHT[difficulty]
        usable = small | (detections.types == name)  # the kit lets small detections of any class take a truth
        number = int(counts.sum())

        every = self.overlaps[metric]
        keep = (every.value > min_overlap) & active[every.truth] & usable[every.detection]
        pairs = _Overlaps(every.truth[keep], every.detection[keep], every.value[keep])
        frame = np.searchsorted(truth.start, np.arange(len(truth.types)), side="right")
        rank = rank_in_group(pairs.truth, frame)
        order = np.lexsort((pairs.detection, pairs.truth, rank))
        pairs = _Overlaps(pairs.truth[order], pairs.detection[order], pairs.value[order])
        rank = rank[order]
        hit = counts[pairs.truth] & ~small[pairs.detection]

        size = len(detections.score)
        score = detections.score[pairs.detection]
        chosen = greedy_assign(rank, pairs.truth, pairs.detection, score, np.ones((1, size), bool))[0]
        thresholds = recall_thresholds(score[chosen & hit], max(number, 1))

        precision, similarity = np.zeros(POSITIONS), np.zeros(POSITIONS)
        if len(thresholds):
            kept = detections.score[None] >= thresholds[:, None]  # (T, D)
            # Detections that count are taken by overlap; one that does not only where there is no other.
            priority = np.where(small[pairs.detection], -1.0, pairs.value)
            chosen = greedy_assign(rank, pairs.truth, pairs.detection, priority, kept)
            free = kept & ~small & (detections.types == name)
            t, p = np.nonzero(chosen)
            free[t, pairs.detection[p]] = False
            if metric == "bbox":
                free &= self.cared <= min_overlap
            true_positives = (chosen & hit).sum(1)
            total = true_positives + free.sum(1)
            step = truth.values[pairs.truth, 2] - detections.values[pairs.detection, 2]
            aligned = ((chosen & hit) * (1.0 + np.cos(step)) / 2.0).sum(1)
            below = np.maximum(total, 1)
            precision[: len(thresholds)] = true_positives / below
            similarity[: len(thresholds)] = aligned / below
        curves = (np.maximum.accumulate(curve[::-1])[::-1] for curve in (precision, similarity))
        precision, similarity = curves
        return precision, similarity if metric == "bbox" else None

    def evaluate(
        self, classes: Sequence[str] = CLASSES, overlaps: Sequence[str] = ("strict", "loose")
    ) -> dict[str, dict[str, dict[str, list[float]]]]:
        """``{set: {"car/3d": {"R40": [easy, moderate, hard], "R11": [...], "curve": (41, 3)}}}``, AP in per cent."""
        table: dict[str, dict[str, dict[str, Any]]] = {}
        done: dict[tuple, tuple] = {}
        for title in overlaps:
            table[title] = {}
            for name in classes:
                for metric in ("bbox", "bev", "3d"):
                    least = MIN_OVERLAP[title][metric][_class_index(name)]
                    curves = []
                    for difficulty in range(3):
                        key = (metric, name, difficulty, least)
                        if key not in done:
                            done[key] = self.curves(metric, name, difficulty, least)
                        curves.append(done[key])
                    table[title][f"{name.lower()}/{metric}"] = _average([c[0] for c in curves])
                    if metric == "bbox":
                        table[title][f"{name.lower()}/aos"] = _average([c[1] for c in curves])
        return table


def _class_index(name: str) -> int:
    """Position in the overlap tables; a class of one's own is treated like Cyclist (0.5 strict, 0.25 loose)."""
    lower = [known.lower() for known in CLASSES]
    return lower.index(name.lower()) if name.lower() in lower else 2


def _average(curves: Sequence[np.ndarray]) -> dict[str, Any]:
    stacked = np.stack(curves, 1)  # (41, 3)
    return {
        "R40": (100.0 * stacked[1:].mean(0)).tolist(),
        "R11": (100.0 * stacked[::4].mean(0)).tolist(),
        "curve": stacked,
    }
