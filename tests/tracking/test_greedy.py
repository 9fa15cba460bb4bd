"""Tracking by velocity: identities are kept through motion, gaps and crossings; the assignment equals taking turns."""

import numpy as np
import pytest

from perception.errors import InputError
from perception.geometry.transforms import inverse, rigid, rotation_about
from perception.io.nuscenes_results import DETECTION_CLASSES, NuScenesBoxes, NuScenesSamples
from perception.results import Boxes3DResult
from perception.tracking import CLASS_LIMITS, GreedyTracker, track_results
from perception.tracking.greedy import nearest_free


def frame(xy, velocity=None, names=("car",), scores=None, kind="global") -> Boxes3DResult:
    xy = np.atleast_2d(np.asarray(xy, float)).reshape(-1, 2)
    boxes = np.column_stack([xy, np.ones(len(xy)), np.tile([4.5, 1.9, 1.6, 0.0], (len(xy), 1))])
    names = tuple(names) * len(xy) if len(names) == 1 else tuple(names)
    known = tuple(dict.fromkeys([*names, "car"]))
    return Boxes3DResult(
        boxes, [known.index(n) for n in names], scores, frame=kind, class_names=known, velocity=velocity
    )


@pytest.mark.parametrize("seed", range(6))
def test_assignment_equals_taking_turns(seed) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(40):
        distance = np.round(rng.random((rng.integers(0, 30), rng.integers(0, 30))), 1)
        distance[rng.random(distance.shape) < 0.3] = np.inf
        want, free = [], np.ones(distance.shape[1], bool)
        for row in distance:
            row = np.where(free, row, np.inf)
            column = int(row.argmin()) if len(row) and np.isfinite(row).any() else -1
            if column >= 0:
                free[column] = False
            want.append(column)
        assert nearest_free(distance).tolist() == want


def test_velocity_carries_a_fast_car_that_position_alone_would_lose() -> None:
    """20 m/s at 2 Hz is 10 m a frame, beyond the 4 m limit of cars; a second car follows 10 m behind in the same lane."""
    for velocity, kept in (([[20.0, 0.0]] * 2, True), (None, False)):
        tracker = GreedyTracker()
        first = tracker.update(frame([[0, 0], [-11, 0]], velocity), 0.0).track_ids
        second = tracker.update(frame([[10, 0], [-1, 0]], velocity), 0.5).track_ids
        assert (first.tolist() == second.tolist()) == kept
        assert first.tolist() == [0, 1]


def test_the_vehicle_own_motion_does_not_matter() -> None:
    """A parked car seen from a turning vehicle keeps its identity; its boxes stay in the vehicle's frame."""
    tracker = GreedyTracker()
    place = np.array([30.0, 5.0])
    for i in range(5):
        pose = rigid(rotation_about("z", 0.4 * i), [6.0 * i, -2.0 * i, 0])
        seen = inverse(pose)[:2, :2] @ place + inverse(pose)[:2, 3]
        result = tracker.update(frame([seen], [[0.0, 0.0]], kind="ego"), 0.5 * i, pose)
        assert result.frame == "ego" and result.track_ids.tolist() == [0]
        np.testing.assert_allclose(result.boxes[0, :2], seen, atol=1e-5)
    with pytest.raises(InputError, match="global_from_ego"):
        tracker.update(frame([[0, 0]], kind="ego"), 9.0)


def test_a_track_survives_three_missed_frames_and_coasts() -> None:
    for missed, same in ((3, True), (4, False)):
        tracker = GreedyTracker()
        tracker.update(frame([[0, 0]], [[8.0, 0.0]]), 0.0)
        for i in range(missed):
            assert len(tracker.update(frame(np.zeros((0, 2))), 0.5 * (i + 1)).track_ids) == 0
        late = 0.5 * (missed + 1)
        assert (tracker.update(frame([[8.0 * late, 0]], [[8.0, 0.0]]), late).track_ids[0] == 0) == same


def test_classes_limits_and_scores() -> None:
    tracker = GreedyTracker(min_score=0.2)
    names = ("car", "pedestrian", "traffic_cone", "car")
    ids = tracker.update(frame([[0, 0], [0, 0.1], [5, 5], [40, 0]], None, names, [0.9, 0.8, 0.7, 0.1]), 0.0).track_ids
    assert ids.tolist() == [0, 1, -1, -1]
    # 1.5 m is too far for a pedestrian and near enough for a car, whichever comes first.
    ids = tracker.update(frame([[1.5, 0.1], [1.5, 0.0]], None, ("pedestrian", "car"), [0.9, 0.8]), 0.5).track_ids
    assert ids.tolist() == [2, 0]
    # The stronger detection chooses first, though the weaker one is listed first and nearer.
    ids = tracker.update(frame([[1.5, 0.0], [2.5, 0.0]], None, ("car",), [0.5, 0.9]), 1.0).track_ids
    assert ids.tolist() == [3, 0]
    assert CLASS_LIMITS["motorcycle"] == 13.0 and "barrier" not in CLASS_LIMITS


def test_scenes_and_wrong_input() -> None:
    tracker = GreedyTracker()
    assert tracker.update(frame([[0, 0]]), 5.0, scene="a").track_ids.tolist() == [0]
    assert tracker.update(frame([[0, 0]]), 1.0, scene="b").track_ids.tolist() == [0]
    assert len(tracker.tracks.identity) == 1
    with pytest.raises(InputError, match="in order of time"):
        tracker.update(frame([[0, 0]]), 1.0, scene="b")
    with pytest.raises(InputError, match="above 0 m"):
        GreedyTracker({"car": 0.0})
    nan = tracker.update(frame([[0.5, 0]], [[np.nan, np.nan]]), 1.5, scene="b")
    assert nan.track_ids.tolist() == [0]


def test_whole_results_are_tracked_scene_by_scene() -> None:
    """Perfect detections in shuffled order: one identity an object, none shared between scenes, cones left out."""
    rng = np.random.default_rng(0)
    scenes, frames, objects = 3, 6, 8
    scene, step = (a.ravel() for a in np.meshgrid(range(scenes), range(frames), indexing="ij"))
    samples = NuScenesSamples(scene, step * 500_000, np.zeros((len(scene), 3)), [str(i) for i in range(len(scene))])
    sample = np.repeat(np.arange(len(scene)), objects)
    which = np.tile(np.arange(objects), len(scene))
    speed = rng.uniform(-9, 9, (scenes, objects, 2))[scene[sample], which]
    xy = rng.uniform(-200, 200, (scenes, objects, 2))[scene[sample], which] + speed * step[sample, None] * 0.5
    label = np.where(which == 0, DETECTION_CLASSES.index("traffic_cone"), 0)
    boxes = NuScenesBoxes.make(
        sample,
        label,
        np.column_stack([xy, xy[:, 0] * 0]),
        np.ones((len(xy), 3)),
        np.tile([1.0, 0, 0, 0], (len(xy), 1)),
        velocity=speed,
        score=rng.random(len(xy)),
        track=which,
    )
    found = track_results(boxes[rng.permutation(len(boxes))], samples)
    assert len(found) == scenes * frames * (objects - 1) and (found.label == 0).all()
    again = track_results(boxes, samples)
    assert len(np.unique(again.track)) == scenes * (objects - 1)
    true = scene[again.sample] * objects + boxes[boxes.label == 0].track
    assert len(np.unique(np.column_stack([true, again.track]), axis=0)) == scenes * (objects - 1)
