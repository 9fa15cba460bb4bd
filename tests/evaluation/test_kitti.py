"""KITTI AP: the vectorised protocol against a frame-by-frame loop written from the protocol's description, and its speed."""

import pickle
import time

import numpy as np
import pytest

from perception.errors import DatasetError, InputError
from perception.evaluation.kitti import KittiEvaluator, evaluate_folders, kitti_prediction, kitti_truth
from perception.evaluation.kitti_protocol import (
    MAX_OCCLUSION,
    MAX_TRUNCATION,
    MIN_HEIGHT,
    KittiProtocol,
    recall_thresholds,
)
from perception.io.kitti import KittiLabels, write_labels
from perception.results import Boxes3DResult, Prediction
from tests.evaluation.kitti_scenes import make_frames


def loop_curve(protocol: KittiProtocol, metric: str, name: str, difficulty: int, least: float) -> np.ndarray:
    """Precision at the recall thresholds, frame by frame, detection by detection. Reuses only the overlap numbers."""
    pairs = protocol.overlaps[metric]
    iou = {(a, b): v for a, b, v in zip(pairs.truth, pairs.detection, pairs.value, strict=True)}
    truth, found = protocol.truth, protocol.detections
    neighbour = {"car": "van", "pedestrian": "person_sitting"}.get(name)

    def state(row: int) -> int:
        v = truth.values[row]
        hard = (
            v[1] > MAX_OCCLUSION[difficulty]
            or v[0] > MAX_TRUNCATION[difficulty]
            or v[6] - v[4] <= MIN_HEIGHT[difficulty]
        )
        if truth.types[row] == name:
            return 1 if hard else 0
        return 1 if truth.types[row] == neighbour else -1

    def usable(row: int) -> int:
        if abs(found.values[row, 6] - found.values[row, 4]) < MIN_HEIGHT[difficulty]:
            return 1
        return 0 if found.types[row] == name else -1

    def run(threshold: float | None) -> tuple[list[float], int]:
        scores, false = [], 0
        for frame in range(len(truth.start) - 1):
            own = range(found.start[frame], found.start[frame + 1])
            taken: set[int] = set()
            for g in range(truth.start[frame], truth.start[frame + 1]):
                if state(g) == -1:
                    continue
                best, value, ignored = None, -1e9, False
                for d in own:
                    if d in taken or usable(d) == -1 or (threshold is not None and found.score[d] < threshold):
                        continue
                    overlap = iou.get((g, d), 0.0)
                    if overlap <= least:
                        continue
                    if threshold is None:
                        if found.score[d] > value:
                            best, value = d, found.score[d]
                    elif usable(d) == 0 and (overlap > value or ignored):
                        best, value, ignored = d, overlap, False
                    elif usable(d) == 1 and best is None:
                        best, ignored = d, True
                if best is not None:
                    taken.add(best)
                    if state(g) == 0 and usable(best) == 0:
                        scores.append(found.score[best])
            if threshold is not None:
                for d in own:
                    excused = metric == "bbox" and protocol.cared[d] > least
                    false += d not in taken and usable(d) == 0 and found.score[d] >= threshold and not excused
        return scores, false

    number = sum(state(g) == 0 for g in range(len(truth.types)))
    precision = np.zeros(41)
    for i, threshold in enumerate(recall_thresholds(np.array(run(None)[0]), max(number, 1))):
        scores, false = run(threshold)
        precision[i] = len(scores) / max(len(scores) + false, 1)
    return np.maximum.accumulate(precision[::-1])[::-1]


@pytest.mark.parametrize("seed", range(3))
def test_equals_a_plain_loop_on_crowded_frames(seed: int) -> None:
    """Many detections an object, equal scores, neighbour classes, small ones, DontCare."""
    protocol = KittiProtocol(*make_frames(25, 8, 24, seed))
    for metric, least in (("bbox", 0.5), ("bev", 0.25), ("3d", 0.25)):
        for name in ("car", "pedestrian", "cyclist"):
            for difficulty in range(3):
                want = loop_curve(protocol, metric, name, difficulty, least)
                got, _ = protocol.curves(metric, name, difficulty, least)
                np.testing.assert_allclose(got, want, atol=1e-12, err_msg=f"{metric} {name} {difficulty}")


def test_perfect_detections_score_one_hundred() -> None:
    truth, _ = make_frames(2500, 8, 1)  # fewer than 40 objects of a difficulty cap its AP
    results = [KittiLabels(t.types, t.values, np.linspace(1.0, 0.5, len(t)))[t.types != "DontCare"] for t in truth]
    table = KittiProtocol(truth, results).evaluate()["strict"]
    for row in ("car/bbox", "car/aos", "car/bev", "car/3d", "pedestrian/3d", "cyclist/3d"):
        np.testing.assert_allclose(table[row]["R40"], 100.0, atol=1e-9, err_msg=row)


def test_evaluator_is_independent_of_batches_and_processes() -> None:
    truth, results = make_frames(12, 6, 10, 5)

    def batch(ids):
        frames = {"kitti_labels": [truth[i] for i in ids], "meta": [{"index": i} for i in ids]}
        return [results[i] for i in ids], frames

    whole, first, second = KittiEvaluator(), KittiEvaluator(), KittiEvaluator()
    whole.update(*batch(range(12)))
    first.update(*batch(range(0, 12, 2)))
    second.update(*batch([11, 9, 7]))
    second.update(*batch([5, 3, 1, 0]))
    got = first.merge(pickle.loads(pickle.dumps(second))).compute()
    assert got == whole.compute() and got["images"] == 12
    assert "strict" in whole.report() and "loose" in whole.report()


def test_predictions_in_project_boxes_come_back_as_kitti_rows() -> None:
    """Boxes in the camera frame, moved back by the camera's offset, equal the rows they were made from."""
    truth, _ = make_frames(4, 6, 1, 2)
    offset = np.array([0.06, -0.001, 0.003])
    evaluator = KittiEvaluator()
    for index, labels in enumerate(truth):
        own = labels[labels.types != "DontCare"]
        kept = own[np.isin(own.types, ["Car", "Pedestrian", "Cyclist"])]
        prediction = {
            "boxes3d": kept.boxes3d(offset),
            "boxes2d": kept.boxes2d + 0.5,
            "labels3d": np.array([["Car", "Pedestrian", "Cyclist"].index(t) for t in kept.types]),
            "scores": np.ones(len(kept)),
        }
        evaluator.update(
            [prediction], {"kitti_labels": [labels], "camera_offset": [offset], "meta": [{"index": index}]}
        )
        rows = evaluator.records[index][1]
        found = Boxes3DResult(
            prediction["boxes3d"],
            prediction["labels3d"],
            class_names=("Car", "Pedestrian", "Cyclist"),
            boxes2d=prediction["boxes2d"],
        )
        same = kitti_prediction(Prediction(boxes3d=found), (), offset)
        np.testing.assert_allclose(same.values, rows.values, atol=1e-4)
        np.testing.assert_allclose(rows.values[:, 3:14], kept.values[:, 3:14], atol=1e-9)
        np.testing.assert_allclose(np.cos(rows.alpha - kept.alpha), 1.0, atol=1e-9)


def test_official_frame_count_in_seconds() -> None:
    """3,769 frames with 10 detections each: at most 15 s on one core (about 2 s where this was written)."""
    truth, results = make_frames(3769, 8, 10)
    begin = time.process_time()
    KittiProtocol(truth, results).evaluate()
    assert time.process_time() - begin < 15.0


def test_errors(tmp_path) -> None:
    truth, results = make_frames(2, 3, 3)
    with pytest.raises(InputError, match="2 frames, 1 found"):
        KittiProtocol(truth, results[:1])
    with pytest.raises(InputError, match="score"):
        KittiProtocol(truth, truth)
    with pytest.raises(DatasetError, match="label_2"):
        evaluate_folders(tmp_path, tmp_path)
    assert KittiProtocol([], []).evaluate()["strict"]["car/3d"]["R40"] == [0, 0, 0]
    empty = KittiProtocol(truth, [KittiLabels.empty(True)] * 2).evaluate()
    assert empty["strict"]["car/bbox"]["R40"] == [0, 0, 0]


def test_the_evaluator_writes_a_submission_that_scores_the_same(tmp_path) -> None:
    truth, results = make_frames(12, 6, 8)
    evaluator = KittiEvaluator(submission=str(tmp_path / "data"))
    for i, (labels, found) in enumerate(zip(truth, results, strict=True)):
        evaluator.update([found], {"kitti_labels": [labels], "meta": [{"index": i, "stem": f"{i:06d}"}]})
        write_labels(tmp_path / "label_2" / f"{i:06d}.txt", labels, decimals=6)
    got = evaluate_folders(tmp_path / "label_2", tmp_path / "data")["ap"]["strict"]["car/bbox"]["R40"]
    want = evaluator.table()["strict"]["car/bbox"]["R40"]
    np.testing.assert_allclose(got, want, atol=0.5)  # four decimals on disk
    # The test split has no truth.
    blind = KittiEvaluator(submission=str(tmp_path / "test"))
    blind.update([results[0]], {"meta": [{"index": 0, "stem": "000007"}]})
    assert (tmp_path / "test/000007.txt").exists()


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_without_a_name_are_refused(label: int) -> None:
    held = {"boxes3d": np.ones((1, 7)), "boxes2d": np.ones((1, 4)), "labels3d": np.array([label]), "scores": np.ones(1)}
    for read in (lambda: kitti_truth(held, ["Car", "Van"]), lambda: kitti_prediction(held, ["Car", "Van"], (0, 0, 0))):
        with pytest.raises(InputError, match=rf"0\.\.1.*found {label}"):
            read()


def test_names_of_any_length_are_told_apart() -> None:
    names = ["forklift_with_a_load_on_its_long_fork", "forklift_with_a_load_on_its_long_forks"]
    box, flat = np.array([[0, 0, 10, 4, 2, 1.5, 0.3]]), np.array([[100.0, 100, 200, 200]])
    truth = KittiLabels.from_boxes(names[:1], box, flat)
    table = KittiProtocol([truth] * 50, [KittiLabels.from_boxes(names[:1], box, flat, np.ones(1))] * 50).evaluate(names)
    assert table["strict"][f"{names[0]}/3d"]["R40"] == [100.0] * 3
    assert table["strict"][f"{names[1]}/3d"]["R40"] == [0.0] * 3
