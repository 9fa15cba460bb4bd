"""nuScenes tracking: AMOTA, AMOTP and the CLEAR-MOT figures at the best threshold (config tracking_nips_2019).

The rules of the official kit (motmetrics inside), with one NumPy state for all 40 score thresholds instead of 40 runs over data frames:

- Tracks are filled in at missing key frames; every box of a predicted track takes the track's mean score.
- Objects and tracks of a class are matched frame by frame (`clear_mot`).
- Thresholds lie at 40 recalls 0.1 .. 1 of the objects matched without any threshold. MOTAR uses the recall that was measured. A class
  that reaches no recall of 0.1 gets the worst of every figure (AMOTA 0, AMOTP 2 m); one without objects takes no part in the means.

Official quirks that the published numbers contain and that are reproduced: gaps are filled with the weights of the two neighbours
swapped; switches do not count for the measured recall.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from perception.errors import InputError
from perception.evaluation.base import Evaluator, format_rows
from perception.evaluation.clear_mot import Frames, Tracks
from perception.evaluation.nuscenes_filter import filter_boxes
from perception.evaluation.nuscenes_frames import (
    check_classes,
    ego_pose,
    global_boxes,
    global_truth,
    joined,
    sample_token,
    write_results,
)
from perception.evaluation.registry import register_evaluator
from perception.io.nuscenes_results import (
    DETECTION_CLASSES,
    RACK,
    TRACKING_CLASSES,
    NuScenesBoxes,
    NuScenesSamples,
)

METRICS = (
    "amota",
    "amotp",
    "recall",
    "motar",
    "gt",
    "mota",
    "motp",
    "mt",
    "ml",
    "faf",
    "tp",
    "fp",
    "fn",
    "ids",
    "frag",
    "tid",
    "lgd",
)
SUMMED = ("mt", "ml", "tp", "fp", "fn", "ids", "frag")  # over classes; the others are averaged
RECALLS, MIN_RECALL = 40, 0.1
WORST_MOTP = 2.0
# Figures of a class that has objects but reaches no recall of 0.1; nobody can say what false tracks it had.
WORST = {"motp": WORST_MOTP, "faf": 500.0, "tid": 20.0, "lgd": 20.0, "fp": np.nan, "ids": np.nan, "frag": np.nan}


@dataclasses.dataclass
class TrackingResult:
    """label_metrics (7, 17) in the order of `TRACKING_CLASSES` and `METRICS`; curves (7, 40) by name, from recall 1.0 down to 0.1."""

    label_metrics: np.ndarray
    curves: dict[str, np.ndarray]

    @property
    def overall(self) -> np.ndarray:
        """(17,) over classes: the mean, or the sum of counts; NaN entries take no part."""
        known = np.isfinite(self.label_metrics)
        total = np.where(known, self.label_metrics, 0).sum(0)
        count = known.sum(0)
        mean = np.divide(total, count, out=np.full(len(METRICS), np.nan), where=count > 0)
        return np.where([name in SUMMED for name in METRICS], total, mean)

    def metrics(self) -> dict[str, float]:
        flat = {name: float(value) for name, value in zip(METRICS, self.overall, strict=True)}
        amota = {f"amota/{name}": float(row[0]) for name, row in zip(TRACKING_CLASSES, self.label_metrics, strict=True)}
        return flat | amota

    def text(self) -> str:
        rows = {"all": dict(zip(METRICS, map(float, self.overall), strict=True))}
        for name, row in zip(TRACKING_CLASSES, self.label_metrics, strict=True):
            rows[name] = dict(zip(METRICS, map(float, row), strict=True))
        head = f"nuScenes tracking: AMOTA {rows['all']['amota']:.4f}, AMOTP {rows['all']['amotp']:.4f} m"
        return f"{head}\n{format_rows(rows)}"


def evaluate_tracking(truth: NuScenesBoxes, predictions: NuScenesBoxes, samples: NuScenesSamples) -> TrackingResult:
    """Evaluate unfiltered boxes with track identities (unique within a scene). `truth` may hold bicycle racks (label 10)."""
    racks = truth[truth.label == RACK]
    order = np.lexsort((samples.time, samples.scene))
    place = np.empty(len(samples), np.int64)
    place[order] = np.arange(len(samples))
    scene, time = np.asarray(samples.scene)[order], np.asarray(samples.time, np.float64)[order]
    sides = []
    for boxes, average in ((truth, False), (predictions, True)):
        boxes = filter_boxes(boxes, samples, racks)
        boxes = boxes[np.isin(boxes.label, [DETECTION_CLASSES.index(name) for name in TRACKING_CLASSES])]
        sides.append(_prepare(boxes, place, scene, time, average))
    columns: dict[str, list] = {name: [] for name in ("thresholds", "recall_hypo", *METRICS[2:])}
    rows = []
    for name in TRACKING_CLASSES:
        curves, row = _evaluate_class(*sides, DETECTION_CLASSES.index(name), scene)
        rows.append(row)
        for key in columns:
            columns[key].append(curves[key])
    return TrackingResult(np.array(rows), {key: np.array(value) for key, value in columns.items()})


def _prepare(boxes: NuScenesBoxes, place: np.ndarray, scene: np.ndarray, time: np.ndarray, average: bool) -> Tracks:
    """Number the tracks, replace scores by track means, fill gaps, sort by time (filled boxes after the others of a frame)."""
    at = place[boxes.sample]
    identity = np.unique(boxes.track, return_inverse=True)[1] if len(boxes) else np.zeros(0, np.int64)
    span = int(identity.max(initial=0)) + 1
    track = np.unique(scene[at].astype(np.int64) * span + identity, return_inverse=True)[1].astype(np.int64)
    by_time = np.argsort(at, kind="stable")
    at, track = at[by_time], track[by_time]
    xy, label, score = boxes.xyz[by_time, :2], boxes.label[by_time], boxes.score[by_time].astype(np.float64)
    by_track = np.argsort(track, kind="stable")
    starts = np.flatnonzero(np.diff(track[by_track], prepend=-1))
    if average:
        score = score.copy()
        for rows in np.split(by_track, starts[1:]):
            if len(rows):
                score[rows] = np.mean(score[rows])
    # Missing frames between two boxes of a track.
    left, right = by_track[:-1], by_track[1:]
    missing = np.where(track[left] == track[right], at[right] - at[left] - 1, 0).clip(min=0)
    pair = np.repeat(np.arange(len(missing)), missing)
    left, right = left[pair], right[pair]
    new = at[left] + 1 + np.arange(len(pair)) - np.repeat(np.cumsum(missing) - missing, missing)
    weight = (time[at[right]] - time[new]) / np.where(
        len(pair), time[at[right]] - time[at[left]], 1.0
    )  # of the LATER box
    filled = (1.0 - weight[:, None]) * xy[left] + weight[:, None] * xy[right]
    blended = (1.0 - weight) * score[left] + weight * score[right]
    at = np.concatenate([at, new])
    order = np.argsort(at, kind="stable")
    return Tracks(
        at[order],
        np.concatenate([track, track[left]])[order],
        np.concatenate([xy, filled])[order],
        np.concatenate([label, label[right]])[order],
        np.concatenate([score, blended])[order],
    )


def _evaluate_class(
    truth: Tracks, guess: Tracks, label: int, scene: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Curves over the 40 recalls and the 17 figures of a class."""
    truth, truth_bounds = truth.of_class(label, len(scene))
    guess, guess_bounds = guess.of_class(label, len(scene))
    number = len(truth.track)
    curves = {name: np.full(RECALLS, np.nan) for name in ("thresholds", "recall_hypo", *METRICS[2:])}
    if number == 0:
        return curves, np.full(len(METRICS), np.nan)
    worst = dict.fromkeys(METRICS[2:], 0.0) | WORST | {"gt": number, "fn": number, "ml": len(np.unique(truth.track))}
    frames = Frames(truth, truth_bounds, guess, guess_bounds)
    matched = frames.run(np.array([-np.inf])).match_scores
    if len(matched):
        scores = np.sort(matched)[::-1]
        recall = np.arange(1, len(scores) + 1) / number
        wanted = np.linspace(MIN_RECALL, 1, RECALLS).round(12)
        thresholds = np.interp(wanted, recall, scores, right=0)
        thresholds[wanted > recall.max()] = np.nan
        curves["thresholds"], curves["recall_hypo"] = thresholds[::-1], wanted[::-1]
        reached = np.unique(thresholds[~np.isnan(thresholds)])
        if len(reached):
            figures = frames.run(reached).figures(number)
            slot = np.searchsorted(reached, curves["thresholds"])
            known = ~np.isnan(curves["thresholds"])
            for name, values in figures.items():
                curves[name][known] = values[slot[known]]
    if np.isnan(curves["thresholds"]).all():
        curves |= {name: np.full(RECALLS, float(value)) for name, value in worst.items()}
    row = np.full(len(METRICS), np.nan)
    if not np.isnan(curves["mota"]).all():
        best = int(np.nanargmax(curves["mota"]))
        row[2:] = [curves[name][best] for name in METRICS[2:]]
    for column, name, worst in ((0, "motar", 0.0), (1, "motp", WORST_MOTP)):
        if not np.isnan(curves[name]).all():
            row[column] = float(np.mean(np.where(np.isnan(curves[name]), worst, curves[name])))
    return curves, row


@register_evaluator
class NuScenesTrackingEvaluator(Evaluator):
    """nuScenes tracking metrics over a data set.

    Truth (with ``track_ids``) and predictions as `nuscenes_frames` says; ``meta`` holds the ``scene`` and the ``timestamp`` (microseconds).
    tracker  None: predictions carry their track ids; options of `perception.tracking.GreedyTracker` (``{}`` for its defaults): detections
             are linked here, scene by scene in order of time, so any detector can be judged, in any order of batches
    classes  names of the labels3d of the batch, where it has no ``nuscenes_truth``
    submission  also write the tracks to this JSON, in the official format
    """

    def __init__(
        self,
        tracker: dict[str, Any] | None = None,
        classes: Sequence[str] = DETECTION_CLASSES,
        submission: str | None = None,
    ) -> None:
        super().__init__()
        self.tracker, self.classes, self.submission = tracker, check_classes(classes), submission
        if tracker is not None:
            from perception.tracking import GreedyTracker

            GreedyTracker(**tracker)  # wrong options are an error now, not after an hour of predictions

    def record(self, prediction: Any, sample: dict[str, Any]) -> tuple:
        matrix, meta = ego_pose(sample), sample.get("meta") or {}
        if meta.get("scene") is None or meta.get("timestamp") is None:
            raise InputError(
                "a tracking evaluation needs meta['scene'] and meta['timestamp'] (microseconds) of each sample"
            )
        truth, boxes = global_truth(sample, self.classes, matrix), global_boxes(prediction, matrix)
        if self.tracker is None and len(boxes) and np.all(boxes.track == -1):
            raise InputError(
                "the predictions of a tracking evaluation have no track_ids; track them, or give the evaluator tracker={}"
            )
        return truth, boxes, matrix[:3, 3], str(meta["scene"]), int(meta["timestamp"]), sample_token(sample)

    def result(self) -> TrackingResult:
        """Everything that was measured."""
        return self.once(self._evaluate)

    def _evaluate(self) -> TrackingResult:
        from perception.tracking import track_results

        records = self.ordered()
        scene = np.unique([r[3] for r in records], return_inverse=True)[1] if records else np.zeros(0, np.int64)
        time = np.array([r[4] for r in records], np.int64)
        samples = NuScenesSamples(scene, time, np.array([r[2] for r in records]).reshape(-1, 3))
        guesses = joined(records, 1)
        if self.tracker is not None:
            guesses = track_results(guesses, samples, **self.tracker)
        if self.submission is not None:
            write_results(self.submission, guesses, [record[5] for record in records], tracking=True)
        return evaluate_tracking(joined(records, 0), guesses[guesses.track != -1], samples)

    def compute(self) -> dict[str, float]:
        return self.result().metrics() | {"images": len(self.records)}

    def report(self) -> str:
        return self.result().text()
