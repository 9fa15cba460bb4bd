"""nuScenes detection, tracking, occupancy: properties that the parity cases do not show, and the submission format."""

import pickle
import time

import numpy as np
import pytest

from perception.errors import DatasetError, InputError, RecipeError
from perception.evaluation.nuscenes_detection import (
    NuScenesDetectionEvaluator,
    evaluate_detection,
    running_mean,
)
from perception.evaluation.nuscenes_filter import filter_boxes, inside
from perception.evaluation.nuscenes_tracking import METRICS, NuScenesTrackingEvaluator, evaluate_tracking
from perception.evaluation.occupancy import OccupancyEvaluator
from perception.evaluation.registry import build_evaluator
from perception.io.nuscenes_results import (
    ATTRIBUTES,
    DETECTION_CLASSES,
    RACK,
    NuScenesBoxes,
    NuScenesSamples,
    boxes_from_results,
    read_submission,
    write_submission,
)
from perception.results import Boxes3DResult, Prediction


def world(scenes: int = 2, frames: int = 8, objects: int = 20, seed: int = 0) -> tuple[NuScenesBoxes, NuScenesSamples]:
    """Objects that drive straight ahead around a vehicle at a global place far from the origin."""
    rng = np.random.default_rng(seed)
    count = scenes * frames
    ego = np.tile([900.0, 1700.0, 0.0], (count, 1))
    samples = NuScenesSamples(
        np.repeat(np.arange(scenes), frames),
        np.tile(np.arange(frames) * 500_000, scenes),
        ego,
        [f"token{i}" for i in range(count)],
    )
    sample = np.repeat(np.arange(count), objects)
    which = np.tile(np.arange(objects), count)
    at = sample // frames
    start = rng.uniform(-25, 25, (scenes, objects, 2))
    velocity = rng.uniform(-1, 1, (scenes, objects, 2))
    xy = start[at, which] + velocity[at, which] * (sample % frames)[:, None] * 0.5 + ego[0, :2]
    yaw = np.arctan2(velocity[at, which, 1], velocity[at, which, 0])
    boxes = NuScenesBoxes.make(
        sample,
        which % 10,
        np.column_stack([xy, np.ones(len(xy))]),
        np.tile([1.9, 4.5, 1.6], (len(xy), 1)),
        np.stack([np.cos(yaw / 2), 0 * yaw, 0 * yaw, np.sin(yaw / 2)], 1),
        velocity=velocity[at, which],
        attribute=np.zeros(len(xy), int),
        points=np.full(len(xy), 5),
        track=which,
        score=rng.uniform(0.2, 1, len(xy)),
    )
    return boxes, samples


def test_perfect_predictions() -> None:
    truth, samples = world()
    result = evaluate_detection(truth, truth, samples)
    assert result.nds == pytest.approx(1.0) and result.mean_ap == pytest.approx(1.0)
    tracks = evaluate_tracking(truth, truth, samples)
    assert dict(zip(METRICS, tracks.overall, strict=True))["amota"] == pytest.approx(1.0)
    assert tracks.overall[METRICS.index("ids")] == 0 and tracks.overall[METRICS.index("amotp")] == pytest.approx(
        0, abs=1e-6
    )


def test_classes_that_do_not_occur_are_told_apart() -> None:
    """Cars and pedestrians alone, found perfectly: officially 2 of 10 classes; over those that occur everything is right."""
    truth, samples = world()
    some = truth[np.isin(truth.label, [0, 5])]
    result = evaluate_detection(some, some, samples)
    assert result.mean_ap == pytest.approx(0.2) and result.nds < 0.4
    assert result.of_present() == (pytest.approx(1.0), pytest.approx(1.0))
    assert "no truth for truck, bus" in result.text() and "NDS 1.0000" in result.text()
    whole = evaluate_detection(truth, truth, samples)
    assert whole.of_present() == (whole.mean_ap, whole.nds) and "no truth" not in whole.text()


def test_detection_equals_a_plain_loop() -> None:
    """Crowded: many near predictions compete for few objects; matched one by one as the rules say."""
    truth, samples = world(1, 4, 30, 3)
    truth = truth[np.flatnonzero(truth.label < 3)]
    rng = np.random.default_rng(1)
    pick = rng.integers(0, len(truth), 400)
    guess = truth[pick]
    guess.xyz = guess.xyz + rng.normal(0, 1.2, guess.xyz.shape)
    guess.score = np.round(rng.random(400), 1)
    result = evaluate_detection(truth, guess, samples)
    for label in range(3):
        for i, threshold in enumerate((0.5, 1.0, 2.0, 4.0)):
            own = [j for j in range(400) if guess.label[j] == label]
            taken, hits = set(), []
            for j in sorted(own, key=lambda j: (guess.score[j], j), reverse=True):
                best, least = None, np.inf
                for g in range(len(truth)):
                    if truth.label[g] == label and truth.sample[g] == guess.sample[j] and g not in taken:
                        distance = np.hypot(*(truth.xyz[g, :2] - guess.xyz[j, :2]))
                        if distance < least:
                            best, least = g, distance
                hits.append(least < threshold)
                if hits[-1]:
                    taken.add(best)
            true = np.cumsum(hits)
            precision = np.interp(
                np.linspace(0, 1, 101), true / (truth.label == label).sum(), true / np.arange(1, len(hits) + 1), right=0
            )
            np.testing.assert_allclose(result.curves[label][i].precision, precision, atol=1e-12)


def test_filters() -> None:
    """Range, points, and two-wheelers in a rack that is turned by 90 degrees."""
    turned = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]
    samples = NuScenesSamples(np.zeros(1, int), np.zeros(1, int), np.array([[10.0, 0, 0]]))
    bicycle, cone, car = (DETECTION_CLASSES.index(n) for n in ("bicycle", "traffic_cone", "car"))
    boxes = NuScenesBoxes.make(
        [0] * 6,
        [bicycle, bicycle, cone, car, car, car],
        [[10, 4, 0], [14, 0, 0], [40, 0, 0], [59.9, 0, 0], [60.0, 0, 0], [10, 4, 0]],
        np.ones((6, 3)),
        [[1, 0, 0, 0]] * 6,
        points=[1, 1, 1, 1, 1, 0],
    )
    rack = NuScenesBoxes.make([0], [RACK], [[10, 0, 0]], [[2, 10, 2]], [turned])
    kept = filter_boxes(boxes, samples, rack)
    assert kept.xyz[:, 0].tolist() == [14, 59.9]
    assert inside(np.array([[10, 4.99, 0.99]]), rack)[0] and not inside(np.array([[11.1, 0, 0]]), rack)[0]
    assert rack.yaw()[0] == pytest.approx(np.pi / 2)


def test_running_mean_skips_unknown_values() -> None:
    np.testing.assert_allclose(running_mean(np.array([np.nan, 2.0, np.nan, 4.0])), [0, 2, 2, 3])
    np.testing.assert_allclose(running_mean(np.full(2, np.nan)), 1.0)


def test_identity_switch_fragment_and_gap() -> None:
    """One car of eight frames: track A for three, nothing for one, track B for four: one switch, one fragment, a gap of 0.5 s."""
    truth, samples = world(1, 8, 1)
    car = DETECTION_CLASSES.index("car")
    guess = truth[np.array([0, 1, 2, 4, 5, 6, 7])]
    guess.track = np.array([1, 1, 1, 2, 2, 2, 2])
    guess.score = np.full(7, 0.5)
    row = evaluate_tracking(truth, guess, samples).label_metrics[2]
    got = dict(zip(METRICS, row, strict=True))
    assert truth.label[0] == car
    assert (got["ids"], got["frag"], got["lgd"], got["tid"]) == (1, 1, 0.5, 0)
    assert (got["tp"], got["fn"], got["fp"]) == (6, 1, 0)
    # A track with a hole is filled in: no miss, no fragment.
    guess.track = np.ones(7, int)
    got = dict(zip(METRICS, evaluate_tracking(truth, guess, samples).label_metrics[2], strict=True))
    assert (got["ids"], got["frag"], got["tp"]) == (0, 0, 8)


def test_former_track_is_kept_although_another_is_nearer() -> None:
    truth, samples = world(1, 4, 1)
    guess = NuScenesBoxes.join([truth, truth])
    guess.xyz = guess.xyz + np.repeat([[0.5, 0, 0], [5.0, 0, 0]], 4, 0)
    guess.xyz[6:8, 0] -= 4.9  # from frame 2 on track 2 is nearer than track 1
    guess.track, guess.score = np.repeat([1, 2], 4), np.full(8, 0.5)
    got = dict(zip(METRICS, evaluate_tracking(truth, guess, samples).label_metrics[2], strict=True))
    assert got["ids"] == 0 and got["fp"] == 4


def test_class_without_truth_or_predictions() -> None:
    truth, samples = world(1, 3, 1)
    result = evaluate_detection(truth, NuScenesBoxes.empty(), samples)
    assert result.mean_ap == 0 and result.nds == 0
    # A car that nobody tracks counts as failure; classes without objects have no figures.
    tracks = evaluate_tracking(truth, NuScenesBoxes.empty(), samples)
    assert np.isnan(np.delete(tracks.label_metrics, 2, 0)).all()
    got = dict(zip(METRICS, tracks.label_metrics[2], strict=True))
    unknown = [got.pop(name) for name in ("fp", "ids", "frag")]
    assert np.isnan(unknown).all()
    zero = dict.fromkeys(("amota", "recall", "motar", "mota", "mt", "tp"), 0)
    assert got == zero | {"amotp": 2, "motp": 2, "gt": 3, "fn": 3, "ml": 1, "faf": 500, "tid": 20, "lgd": 20}
    assert tracks.metrics()["amota"] == 0


def test_a_class_below_the_least_recall_fails_as_a_whole() -> None:
    """One of eleven cars found: recall 1/11 is below 0.1, so no threshold exists."""
    truth, samples = world(1, 11, 1)
    guess = truth[np.arange(1)]
    guess.score = np.full(1, 0.9)
    got = dict(zip(METRICS, evaluate_tracking(truth, guess, samples).label_metrics[2], strict=True))
    assert (got["amota"], got["amotp"], got["fn"]) == (0, 2, 11)


def test_submission_round_trip(tmp_path) -> None:
    truth, samples = world(1, 3, 12)
    for tracking in (False, True):
        boxes = truth[truth.label < 7] if tracking else truth
        path = tmp_path / f"{tracking}.json"
        write_submission(path, boxes, samples.tokens, {"use_radar": True}, tracking)
        again, meta = read_submission(path, samples.tokens, tracking)
        judged = boxes.label != DETECTION_CLASSES.index("construction_vehicle") if tracking else boxes.label >= 0
        assert meta["use_radar"] is True and len(again) == judged.sum()
        first = evaluate_tracking if tracking else evaluate_detection
        one, two = first(truth, boxes, samples), first(truth, again, samples)
        assert one.metrics() == pytest.approx(two.metrics(), nan_ok=True)
    with pytest.raises(DatasetError, match="1 of 4 are missing"):
        read_submission(path, [*samples.tokens, "more"], True)
    with pytest.raises(DatasetError, match="do not belong"):
        read_submission(path, samples.tokens[:2], True)
    with pytest.raises(DatasetError, match="meta"):
        path.write_text("[]")
        read_submission(path, samples.tokens)
    truth.score[3] = np.nan
    write_submission(path, truth, samples.tokens)
    with pytest.raises(DatasetError, match="not finite"):
        read_submission(path, samples.tokens)
    box = {"translation": [0, 0, 0], "size": [1, 1, 1], "rotation": [1, 0, 0, 0], "velocity": [0, 0]}
    with pytest.raises(DatasetError, match="unknown name"):
        boxes_from_results({"a": [{**box, "detection_name": "ship", "detection_score": 1}]}, ["a"])


def test_velocities_of_three_numbers_are_refused_and_not_scrambled() -> None:
    box = {"translation": [1, 2, 0], "size": [2, 4, 1.5], "rotation": [1, 0, 0, 0], "velocity": [1, 2, 3]}
    box |= {"detection_name": "car", "detection_score": 0.5, "attribute_name": ""}
    with pytest.raises(DatasetError, match="a box lacks a field"):
        boxes_from_results({"t": [box, box]}, ["t"])


def test_evaluators_take_typed_results_in_the_vehicle_frame() -> None:
    """Boxes in the ego frame of a turned vehicle give the score of the global boxes they came from; processes merge."""
    truth, samples = world(2, 4, 20, 2)
    turn, shift = 0.7, samples.ego[0]
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    pose[:3, 3] = shift
    detection, tracking = ([c(), c()] for c in (NuScenesDetectionEvaluator, NuScenesTrackingEvaluator))
    for i in range(len(samples)):
        own = truth[truth.sample == i]
        center = (own.xyz - shift) @ pose[:3, :3]
        boxes = np.column_stack([center, own.wlh[:, [1, 0, 2]], own.yaw() - turn])
        velocity = np.column_stack([own.velocity, np.zeros(len(own))]) @ pose[:3, :3]
        result = Boxes3DResult(
            boxes,
            own.label,
            own.score,
            frame="ego",
            class_names=DETECTION_CLASSES,
            velocity=velocity[:, :2],
            track_ids=own.track,
            attributes=["pedestrian.moving"] * len(own),
        )
        meta = {"index": i, "scene": f"scene-{samples.scene[i]}", "timestamp": samples.time[i]}
        batch = {"nuscenes_truth": [own], "global_from_ego": [pose], "meta": [meta]}
        for pair in (detection, tracking):
            pair[i % 2].update([Prediction(boxes3d=result)], batch)
    got = detection[0].merge(pickle.loads(pickle.dumps(detection[1]))).compute()
    assert got["nds"] == pytest.approx(1.0, abs=1e-3) and got["images"] == len(samples)
    assert tracking[1].merge(tracking[0]).compute()["amota"] == pytest.approx(1.0)
    assert "AMOTA" in tracking[1].report() and "NDS" in detection[0].report()


def typed(truth: NuScenesBoxes, samples: NuScenesSamples, pose: np.ndarray, i: int, **columns) -> Boxes3DResult:
    """The boxes of sample i as a model gives them, in the vehicle's frame."""
    own = truth[truth.sample == i]
    turn = np.arctan2(pose[1, 0], pose[0, 0])
    center = (own.xyz - pose[:3, 3]) @ pose[:3, :3]
    boxes = np.column_stack([center, own.wlh[:, [1, 0, 2]], own.yaw() - turn])
    velocity = (np.column_stack([own.velocity, np.zeros(len(own))]) @ pose[:3, :3])[:, :2]
    return Boxes3DResult(boxes, own.label, own.score, "ego", DETECTION_CLASSES, velocity, **columns)


def test_any_data_set_with_boxes_around_a_vehicle_is_judged_and_tracked_here() -> None:
    """No nuScenes tables: truth from boxes3d, labels3d, velocity, track_ids; plain detections are linked by the evaluator, in any order."""
    truth, samples = world(2, 8, 20, 5)
    pose = np.eye(4)
    pose[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    pose[:3, 3] = samples.ego[0]
    detection, tracking = NuScenesDetectionEvaluator(), NuScenesTrackingEvaluator(tracker={})
    for i in np.random.default_rng(0).permutation(len(samples)):
        names = [ATTRIBUTES[0]] * int((truth.sample == i).sum())
        result = typed(truth, samples, pose, i, attributes=names)
        batch = {
            "attributes": [names],
            "boxes3d": [result.boxes],
            "labels3d": [result.labels],
            "velocity": [result.velocity],
            "track_ids": [truth.track[truth.sample == i]],
            "num_points": [truth.points[truth.sample == i]],
            "global_from_ego": [pose],
            "meta": [{"index": int(i), "scene": f"s{samples.scene[i]}", "timestamp": int(samples.time[i])}],
        }
        for evaluator in (detection, tracking):
            evaluator.update([Prediction(boxes3d=result)], batch)
    assert detection.compute()["nds"] == pytest.approx(1.0, abs=1e-3)
    assert detection.result().truths.sum() == len(filter_boxes(truth, samples, NuScenesBoxes.empty()))
    got = tracking.compute()
    assert got["amota"] > 0.99 and got["ids"] == 0
    with pytest.raises(InputError, match="no track_ids"):
        NuScenesTrackingEvaluator().update([Prediction(boxes3d=result)], batch)
    with pytest.raises(InputError, match="labels3d must lie in 0..0"):
        NuScenesDetectionEvaluator(["car"]).update([Prediction(boxes3d=result)], batch)
    for name, options in (
        ("NuScenesTrackingEvaluator", {"tracker": {"max_agee": 1}}),
        ("NuScenesDetectionEvaluator", {"classes": ["cars"]}),
    ):
        with pytest.raises(RecipeError, match="max_agee|nuScenes"):
            build_evaluator({"type": name, **options})


def test_evaluators_write_submissions_that_score_the_same(tmp_path) -> None:
    truth, samples = world(2, 6, 14, 8)
    paths = {"NuScenesDetectionEvaluator": tmp_path / "d.json", "NuScenesTrackingEvaluator": tmp_path / "t.json"}
    options = {"NuScenesTrackingEvaluator": {"tracker": {}}}
    pose = np.eye(4)
    pose[:3, 3] = samples.ego[0]
    for name, path in paths.items():
        evaluator = build_evaluator({"type": name, "submission": str(path), **options.get(name, {})})
        for i, token in enumerate(samples.tokens):
            result = typed(truth, samples, pose, i, attributes=[ATTRIBUTES[0]] * int((truth.sample == i).sum()))
            meta = {"index": i, "name": token, "scene": str(samples.scene[i]), "timestamp": int(samples.time[i])}
            own = truth[truth.sample == i]
            evaluator.update([result], {"nuscenes_truth": [own], "global_from_ego": [pose], "meta": [meta]})
        tracking = "Tracking" in name
        want = evaluator.compute()
        boxes, _ = read_submission(path, samples.tokens, tracking)
        got = (evaluate_tracking if tracking else evaluate_detection)(truth, boxes, samples).metrics()
        key = "amota" if tracking else "nds"
        assert got[key] == pytest.approx(want[key]) and got[key] > 0.7
    meta |= {"index": 99, "timestamp": 10**9}
    evaluator.update([result], {"nuscenes_truth": [own], "global_from_ego": [pose], "meta": [meta]})
    with pytest.raises(InputError, match="sample token"):
        evaluator.compute()


def test_tracking_of_forty_scenes_takes_seconds() -> None:
    truth, samples = world(20, 40, 20)
    guess = truth[np.arange(len(truth))]
    rng = np.random.default_rng(0)
    guess.xyz = guess.xyz + rng.normal(0, 0.7, guess.xyz.shape)
    begin = time.process_time()
    evaluate_tracking(truth, guess, samples)
    assert time.process_time() - begin < 15


def test_occupancy_errors_and_masks() -> None:
    truth = np.full((4, 4, 2), 17)
    truth[0, 0] = 4
    seen = np.ones_like(truth)
    seen[3] = 0
    guess = truth.copy()
    guess[3, 3] = 9
    batch = {"occupancy": [truth], "occupancy_mask_camera": [seen], "meta": [{"index": 0}]}
    evaluator = OccupancyEvaluator()
    evaluator.update([{"occupancy": guess}], batch)
    assert evaluator.compute()["miou"] == 1.0
    everything = OccupancyEvaluator(mask=None)
    everything.update([{"occupancy": guess}], batch)
    assert everything.compute()["miou"] == 0.5
    for wrong in (np.zeros((4, 4, 3), int), np.full_like(truth, 18)):
        with pytest.raises(InputError):
            OccupancyEvaluator().update([{"occupancy": wrong}], batch)
