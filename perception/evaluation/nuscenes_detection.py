"""nuScenes detection: mAP over centre distances 0.5, 1, 2, 4 m, five true-positive errors at 2 m, NDS (config detection_cvpr_2019).

The rules of the official kit, for the whole split at once: each prediction, by descending score (of equal scores the later one
first), takes the nearest free truth of its class in its sample if it is nearer than the threshold. Predictions of different
samples and classes never compete, so `greedy_assign` does them rank by rank, all four thresholds together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from perception.evaluation.base import Evaluator, format_rows
from perception.evaluation.greedy import greedy_assign, pairs_of_groups, rank_in_group
from perception.evaluation.nuscenes_filter import filter_boxes
from perception.evaluation.nuscenes_frames import check_classes, ego_pose, global_boxes, global_truth, joined
from perception.evaluation.registry import register_evaluator
from perception.io.nuscenes_results import (
    DETECTION_CLASSES,
    RACK,
    NuScenesBoxes,
    NuScenesSamples,
)

THRESHOLDS = (0.5, 1.0, 2.0, 4.0)  # metres between centres in the ground plane
TP_THRESHOLD = 2.0
ERRORS = ("trans_err", "scale_err", "orient_err", "vel_err", "attr_err")
BINS = 101
MIN_RECALL = MIN_PRECISION = 0.1
# Errors that a class does not have.
UNDEFINED = {"traffic_cone": ("orient_err", "vel_err", "attr_err"), "barrier": ("vel_err", "attr_err")}
_PAIRS = 4_000_000  # pairs whose distance is computed at once


@dataclasses.dataclass
class Curves:
    """Of one class at one threshold, at 101 recalls 0..1: precision, confidence, and the running mean of each error."""

    precision: np.ndarray
    confidence: np.ndarray
    errors: dict[str, np.ndarray]

    @classmethod
    def none(cls) -> Curves:
        return cls(np.zeros(BINS), np.zeros(BINS), {name: np.ones(BINS) for name in ERRORS})

    def average_precision(self) -> float:
        """Mean precision above 0.1 at recalls above 0.1, scaled to 0..1."""
        kept = self.precision[round(100 * MIN_RECALL) + 1 :] - MIN_PRECISION
        return float(np.mean(np.maximum(kept, 0.0))) / (1.0 - MIN_PRECISION)

    def mean_error(self, name: str) -> float:
        """Mean error from recall 0.11 to the highest recall that was reached; 1 if that is below."""
        reached = np.flatnonzero(self.confidence)
        first, last = round(100 * MIN_RECALL) + 1, reached[-1] if len(reached) else 0
        return 1.0 if last < first else float(np.mean(self.errors[name][first : last + 1]))


@dataclasses.dataclass
class DetectionResult:
    """label_ap (10, 4), label_errors (10, 5; NaN where a class has no such error), curves[class][threshold], counts after filtering."""

    label_ap: np.ndarray
    label_errors: np.ndarray
    curves: list[list[Curves]]
    truths: np.ndarray
    predictions: np.ndarray

    @property
    def mean_ap(self) -> float:
        return float(np.mean(self.label_ap.mean(1)))

    @property
    def errors(self) -> np.ndarray:
        """(5,) class means: mATE, mASE, mAOE, mAVE, mAAE."""
        return np.nanmean(self.label_errors, axis=0)

    @property
    def scores(self) -> np.ndarray:
        return np.maximum(0.0, 1.0 - self.errors)

    @property
    def nds(self) -> float:
        """nuScenes detection score."""
        return float((5.0 * self.mean_ap + self.scores.sum()) / 10.0)

    def of_present(self) -> tuple[float, float]:
        """mAP and NDS over the classes that occur. The official figures count a class without truth as AP 0 and errors 1 (small splits suffer)."""
        there = self.truths > 0
        if not there.any():
            return float("nan"), float("nan")
        held = self.label_errors[there]
        known = ~np.isnan(held)
        count = known.sum(0)
        errors = np.where(count > 0, np.where(known, held, 0).sum(0) / np.maximum(count, 1), 1.0)
        mean_ap = float(self.label_ap[there].mean())
        return mean_ap, float((5.0 * mean_ap + np.maximum(0.0, 1.0 - errors).sum()) / 10.0)

    def metrics(self) -> dict[str, float]:
        named = dict(zip(("mate", "mase", "maoe", "mave", "maae"), map(float, self.errors), strict=True))
        ap = {f"ap/{name}": float(v) for name, v in zip(DETECTION_CLASSES, self.label_ap.mean(1), strict=True)}
        mean_ap, nds = self.of_present()
        return {"nds": self.nds, "map": self.mean_ap, **named, **ap, "present/nds": nds, "present/map": mean_ap}

    def text(self) -> str:
        lines = [f"nuScenes detection: NDS {self.nds:.4f}, mAP {self.mean_ap:.4f}; errors at {TP_THRESHOLD:g} m"]
        absent = [name for name, count in zip(DETECTION_CLASSES, self.truths, strict=True) if count == 0]
        if absent:
            mean_ap, nds = self.of_present()
            lines.append(
                f"no truth for {', '.join(absent)}: officially AP 0 and errors 1; over the other classes NDS {nds:.4f}, mAP {mean_ap:.4f}"
            )
        rows = {
            name: {
                "AP": float(self.label_ap[i].mean()),
                **{f"AP@{t:g}": float(self.label_ap[i, j]) for j, t in enumerate(THRESHOLDS)},
                **dict(zip(("ATE", "ASE", "AOE", "AVE", "AAE"), map(float, self.label_errors[i]), strict=True)),
                "truth": int(self.truths[i]),
            }
            for i, name in enumerate(DETECTION_CLASSES)
        }
        return "\n".join([*lines, format_rows(rows)])


def evaluate_detection(truth: NuScenesBoxes, predictions: NuScenesBoxes, samples: NuScenesSamples) -> DetectionResult:
    """Evaluate unfiltered boxes. `truth` may hold bicycle racks (label 10); the order of `predictions` breaks ties of scores."""
    racks = truth[truth.label == RACK]
    truth, predictions = filter_boxes(truth, samples, racks), filter_boxes(predictions, samples, racks)
    curves = _curves(truth, predictions, len(samples))
    ap = np.array([[curve.average_precision() for curve in row] for row in curves])
    at = THRESHOLDS.index(TP_THRESHOLD)
    errors = np.array(
        [
            [np.nan if e in UNDEFINED.get(name, ()) else curves[i][at].mean_error(e) for e in ERRORS]
            for i, name in enumerate(DETECTION_CLASSES)
        ]
    )
    counts = [np.bincount(table.label, minlength=RACK) for table in (truth, predictions)]
    return DetectionResult(ap, errors, curves, *counts)


def _curves(truth: NuScenesBoxes, predictions: NuScenesBoxes, samples: int) -> list[list[Curves]]:
    group_of = [table.sample * RACK + table.label for table in (truth, predictions)]
    truth = truth[np.argsort(group_of[0], kind="stable")]
    # Descending score; of equal scores the later row first; grouped by (sample, class).
    place = np.arange(len(predictions))
    order = np.lexsort((-place, -predictions.score, group_of[1]))
    predictions, place = predictions[order], place[order]
    groups = np.arange(samples * RACK + 1)
    bounds = [np.searchsorted(table.sample * RACK + table.label, groups) for table in (predictions, truth)]

    row, column, distance = _near_pairs(predictions, truth, bounds)
    rank = rank_in_group(row, predictions.sample * RACK + predictions.label)
    by_rank = np.lexsort((column, row, rank))
    row, column, distance, rank = row[by_rank], column[by_rank], distance[by_rank], rank[by_rank]
    admitted = distance[None] < np.array(THRESHOLDS)[:, None]
    chosen = greedy_assign(rank, row, column, -distance, np.ones((len(THRESHOLDS), len(truth)), bool), admitted)
    partner = np.full((len(THRESHOLDS), len(predictions)), -1)
    t, pair = np.nonzero(chosen)
    partner[t, row[pair]] = column[pair]

    result = []
    for label, name in enumerate(DETECTION_CLASSES):
        number = int((truth.label == label).sum())
        own = np.flatnonzero(predictions.label == label)
        own = own[np.lexsort((-place[own], -predictions.score[own]))]
        result.append([_curve(truth, predictions, own, partner[i, own], number, name) for i in range(len(THRESHOLDS))])
    return result


def _near_pairs(
    predictions: NuScenesBoxes, truth: NuScenesBoxes, bounds: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of one sample and class nearer than the largest threshold: rows, columns, distances; in blocks of bounded size."""
    cost = np.concatenate([[0], np.cumsum(np.diff(bounds[0]) * np.diff(bounds[1]))])
    parts = []
    begin = 0
    while begin < len(cost) - 1:
        end = max(begin + 1, int(np.searchsorted(cost, cost[begin] + _PAIRS, side="right")) - 1)
        row, column = pairs_of_groups(bounds[0][begin : end + 1] - bounds[0][begin], bounds[1][begin : end + 1])
        row = row + bounds[0][begin]
        difference = predictions.xyz[row, :2] - truth.xyz[column, :2]
        distance = np.sqrt((difference**2).sum(1))
        near = distance < max(THRESHOLDS)
        parts.append((row[near], column[near], distance[near]))
        begin = end
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _curve(
    truth: NuScenesBoxes, predictions: NuScenesBoxes, own: np.ndarray, partner: np.ndarray, number: int, name: str
) -> Curves:
    """Curves of one class: `own` (n,) its predictions by descending score, `partner` (n,) the truth each has taken, or -1."""
    hit = partner >= 0
    if number == 0 or not hit.any():
        return Curves.none()
    true = np.cumsum(hit).astype(np.float64)
    precision, recall = true / np.arange(1, len(own) + 1), true / number
    wanted = np.linspace(0, 1, BINS)
    score = predictions.score[own]
    confidence = np.interp(wanted, recall, score, right=0)
    p, g, at = predictions[own[hit]], truth[partner[hit]], score[hit]
    errors = {
        error: np.interp(confidence[::-1], at[::-1], running_mean(values)[::-1])[::-1]
        for error, values in pair_errors(p, g, period=np.pi if name == "barrier" else 2 * np.pi).items()
    }
    return Curves(np.interp(wanted, recall, precision, right=0), confidence, errors)


def pair_errors(p: NuScenesBoxes, g: NuScenesBoxes, period: float = 2 * np.pi) -> dict[str, np.ndarray]:
    """Row-wise errors (N,) of predictions against truth: translation [m], scale (1 - IoU of aligned sizes), orientation [rad],
    velocity [m/s], attribute (0 or 1, NaN where the truth has none)."""
    smaller = np.minimum(p.wlh, g.wlh).prod(1)
    turn = (g.yaw() - p.yaw() + period / 2) % period - period / 2
    turn = np.where(turn > np.pi, turn - 2 * np.pi, turn)
    return {
        "trans_err": np.linalg.norm(p.xyz[:, :2] - g.xyz[:, :2], axis=1),
        "scale_err": 1.0 - smaller / (p.wlh.prod(1) + g.wlh.prod(1) - smaller),
        "orient_err": np.abs(turn),
        "vel_err": np.linalg.norm(p.velocity - g.velocity, axis=1),
        "attr_err": np.where(g.attribute < 0, np.nan, (p.attribute != g.attribute).astype(np.float64)),
    }


def running_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the first n values that are not NaN, for each n (0 before the first); ones when all are NaN."""
    known = ~np.isnan(values)
    if not known.any():
        return np.ones(len(values))
    count = np.cumsum(known)
    return np.divide(np.nancumsum(values), count, out=np.zeros(len(values)), where=count > 0)


@register_evaluator
class NuScenesDetectionEvaluator(Evaluator):
    """nuScenes detection metrics over a data set. Truth and predictions as `nuscenes_frames` says.

    classes  names of the labels3d of the batch, where it has no ``nuscenes_truth``
    """

    def __init__(self, classes: Sequence[str] = DETECTION_CLASSES) -> None:
        super().__init__()
        self.classes = check_classes(classes)

    def record(self, prediction: Any, sample: dict[str, Any]) -> tuple[NuScenesBoxes, NuScenesBoxes, np.ndarray]:
        matrix = ego_pose(sample)
        return global_truth(sample, self.classes, matrix), global_boxes(prediction, matrix), matrix[:3, 3]

    def result(self) -> DetectionResult:
        """Everything that was measured."""
        return self.once(self._evaluate)

    def _evaluate(self) -> DetectionResult:
        records = self.ordered()
        ego = np.array([record[2] for record in records]).reshape(-1, 3)
        zeros = np.zeros(len(records), np.int64)
        return evaluate_detection(joined(records, 0), joined(records, 1), NuScenesSamples(zeros, zeros, ego))

    def compute(self) -> dict[str, float]:
        return self.result().metrics() | {"images": len(self.records)}

    def report(self) -> str:
        return self.result().text()
