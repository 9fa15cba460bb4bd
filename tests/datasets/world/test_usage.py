"""The world as a user meets it: result types, errors in one sentence."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from perception.datasets.world import World
from perception.datasets.world.classes import ID, NAMES
from perception.errors import InputError
from perception.geometry import boxes3d
from perception.geometry.cameras import Equirectangular, Pinhole
from perception.results import Prediction, RigPrediction
from perception.results.base import Result

ROOT = Path(__file__).parents[3]
CAMERA = Pinhole.from_fov(120, 80, 80)
EVERYTHING = ("depth", "normals", "semantic", "instance", "panoptic", "boxes")


@pytest.fixture(scope="module")
def world() -> World:
    return World(3, "street")


def test_a_frame_becomes_a_prediction(world, tmp_path):
    frame = world.render(CAMERA, truth=EVERYTHING)
    result = frame.prediction()
    assert isinstance(result, Prediction) and set(result.parts) == {"depth", "normals", "segmentation", "boxes3d"}
    np.testing.assert_array_equal(result.depth.depth, frame.depth)
    np.testing.assert_array_equal(result.segmentation.semantic, frame.semantic)
    assert result.depth.kind == "metric" and result.camera == CAMERA
    seen = frame.boxes.visible_pixels > 0
    assert len(result.boxes3d) == seen.sum() < len(frame.boxes)
    np.testing.assert_array_equal(result.boxes3d.track_ids, frame.boxes.instance[seen])
    segments = {s.id: s for s in result.segmentation.segments}
    assert sum(s.area for s in segments.values()) == CAMERA.width * CAMERA.height
    for box in frame.boxes.instance[seen]:
        owner = [s for i, s in segments.items() if i % 100000 == box]
        assert [s.is_thing for s in owner] == [True] and owner[0].area == (frame.instance == box).sum()
    sky = [s for s in segments.values() if s.label == ID["sky"]]
    assert sum(s.area for s in sky) == (~frame.valid).sum()
    paths = result.save(tmp_path)
    assert all(path.exists() for path in paths.values()) and len(paths) >= 5


def test_what_is_rendered_is_a_result(world, tmp_path):
    """`World(...).render(rig)` returns the project's result types, for one camera and for a rig."""
    frame = world.render(CAMERA, truth=EVERYTHING)
    assert isinstance(frame, Result)
    np.testing.assert_array_equal(frame.preview(), frame.prediction().preview())
    assert frame.plot().size == frame.preview().shape[1::-1]
    assert frame.summary() == frame.prediction().summary()
    assert (tmp_path / "frame" / "result.json") in frame.save(tmp_path / "frame").values()


def test_a_moment_becomes_a_rigs_prediction(world, tmp_path):
    rig = {"type": "surround", "width": 96, "height": 56}
    moment = world.render(rig, 0.5, truth=("boxes", "occupancy"))
    assert isinstance(moment, Result)
    result = moment.prediction(min_pixels=4)
    assert isinstance(result, RigPrediction) and result.boxes3d.frame == "ego" and len(result.rig.cameras) == 6
    ids = result.boxes3d.track_ids
    seen = {int(i) for f in moment.frames.values() for i in f.boxes.instance[f.boxes.visible_pixels >= 4]}
    assert len(ids) == len(set(ids.tolist())) and set(ids.tolist()) == seen and len(seen) > 3
    objects = {item.id: item for item in world.scene.objects}
    ego_from_world = np.linalg.inv(moment.world_from_ego)
    for box, velocity, number in zip(result.boxes3d.boxes, result.boxes3d.velocity, ids, strict=True):
        item = objects[int(number)]
        matrix = ego_from_world @ item.pose(0.5)
        speed = ego_from_world[:3, :3] @ item.velocity(0.5)
        assert np.linalg.norm(box[:3] - matrix[:3, 3]) < 0.1 + 0.1 * np.linalg.norm(speed), "cameras fire within 0.1 s"
        turn = box[6] - np.arctan2(matrix[1, 0], matrix[0, 0])
        assert abs(np.angle(np.exp(1j * turn))) < 0.06
        np.testing.assert_allclose(velocity, speed[:2], atol=0.3 + 0.1 * np.linalg.norm(speed))
    assert (result.occupancy.labels == len(NAMES)).sum() == (moment.occupancy.semantics == 255).sum()
    assert len(result.rig.radar_points) == sum(len(scan.points) for scan in moment.radars.values())
    paths = moment.save(tmp_path)
    assert (tmp_path / "CAM_FRONT" / "result.json") in paths.values() and all(p.exists() for p in paths.values())
    with pytest.raises(InputError, match="no boxes"):
        world.render("pinhole", truth=("depth",)).prediction()


def test_a_panorama_becomes_a_prediction(world):
    result = world.render(Equirectangular(96, 48), truth=EVERYTHING).prediction()
    assert result.depth.kind == "range" and result.boxes3d.camera is None
    corners = boxes3d.corners(result.boxes3d.boxes, "camera")
    assert np.isfinite(corners).all()


def test_a_video_has_the_rate_that_was_asked_for(world):
    moments = list(world.video({"type": "pinhole", "width": 16, "height": 12}, 60.0, 4, start=0.31, truth=("depth",)))
    frames = [moment.frames["camera"] for moment in moments]
    np.testing.assert_allclose([f.time for f in frames], 0.31 + np.arange(4) / 60)
    for frame in frames:
        np.testing.assert_allclose(frame.world_from_ego, world.ego_pose(frame.time))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: World(0, "stret"), "kind must be one of .* found 'stret'.*'street'"),
        (lambda w: World(0, "street", "plausibel"), "style must be one of .*'plausible'"),
        (lambda w: World(0, "street", weather="rainy"), "weather must be one of .*found 'rainy'.*'rain'"),
        (lambda w: World(0, "room", weather="rain"), "a room has no weather"),
        (lambda w: World("seven"), "seed must be an integer"),
        (lambda w: w.render("suround"), "rig 'suround' is not known.*'surround'"),
        (lambda w: w.render({"type": "pinhole", "widht": 5}), "rig 'pinhole' cannot be built.*widht"),
        (lambda w: w.render(CAMERA, truth=("dept",)), "truth 'dept' is not known.*'depth'"),
        (lambda w: w.render(CAMERA, truth="depth"), "truth must be a list of names"),
        (lambda w: w.render(CAMERA, world_from_camera=np.eye(3)), r"world_from_camera must be a 4x4 .*\(3, 3\)"),
        (lambda w: w.render(CAMERA, time=float("nan")), "time must be a finite number of seconds"),
        (lambda w: w.render(CAMERA, truth=("occupancy",)), "occupancy .* a rig"),
        (lambda w: w.render("pinhole", truth=("disparity",)), "disparity .* stereo"),
        (lambda w: w.views(1, (0, 320)), "size .* must be .*height, width"),
        (lambda w: w.render({"type": "pinhole", "width": 0}), "picture size .* found 0x240"),
        (lambda w: list(w.video("pinhole", 0.0, 2)), "rate_hz must be"),
    ],
)
def test_errors_are_one_sentence(world, call, message):
    with pytest.raises(InputError, match=message) as caught:
        call(world)
    assert "\n" not in str(caught.value)


def test_sheets_and_benchmarks_are_found_by_name(tmp_path, capsys):
    from perception.datasets.world import sheets

    tool = runpy.run_path(str(ROOT / "tools/benchmark.py"))
    assert "world" in tool["benchmarks"]()
    assert tool["main"](["wrld"]) == 2 and "Did you mean 'world'" in capsys.readouterr().err
    with pytest.raises(InputError, match="sheet 'street' is not known.*'streets'"):
        sheets.write("street", tmp_path)
    for name in sheets.SHEETS:
        assert (ROOT / f"docs/pictures/world_{name}.jpg").stat().st_size < 600_000
    tiles = [np.full((4, 6, 3), k, np.uint8) for k in range(3)]
    assert sheets.grid(tiles, 2, 4).shape == (12, 16, 3)
