"""The Surround tab's work: scenes of the world with their truth, a model over time, tracks, voxels, files that can be uploaded again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.jobs import surround
from app.jobs.surround import MODEL, TRUTH
from perception.errors import InputError
from perception.geometry import transforms
from perception.inference import load
from perception.results import RigPrediction
from tests.app import tiny_models


@pytest.fixture(scope="module")
def scene() -> surround.Scene:
    return surround.world_scene(5, moments=2)


@pytest.fixture(scope="module")
def perfect(scene) -> surround.SurroundAnswer:
    """A model that finds the truth, all but its last box."""
    results = [
        RigPrediction(boxes3d=truth[:-1], occupancy=scene.voxels(number), rig=rig)
        for number, (truth, rig) in enumerate(zip(scene.truth, scene.rigs, strict=True))
    ]
    return surround.SurroundAnswer(scene, results, "perfect", 0.0, [("Scene", scene.name)])


def test_scenes_are_made_once(scene) -> None:
    assert surround.world_scene(5, moments=2) is scene
    assert len(scene.rigs) == 2 and len(scene.rigs[0].cameras) == 6 and len(scene.rigs[0].radar_points) > 20
    for wrong in (-1, 1.5, 10**10, float("nan"), "x"):
        with pytest.raises(InputError, match="seed"):
            surround.world_scene(wrong)
    with pytest.raises(InputError, match="1 to 6 moments"):
        surround.world_scene(5, moments=7)


def test_true_voxels_are_those_of_the_data_set(scene) -> None:
    from perception.datasets.world_rig import WorldRig

    options = {"size": (24, 66), "occupancy": surround.GRID, "depth": False, "radar": False}
    sample = WorldRig(seeds=(5, 5), frames=1, **options)[0]
    assert (scene.voxels(0).labels == sample["occupancy"].numpy()).all()
    assert scene.voxels(0) is scene.voxels(0)  # made once


def test_the_answer_is_measured_against_the_truth(perfect) -> None:
    hit, true, found = surround.found_share(perfect, 1, 0.3)
    assert (hit, found) == (true - 1, true - 1)
    moved = [result.boxes3d.boxes + np.array([3, 0, 0, 0, 0, 0, 0], np.float32) for result in perfect.results]
    worse = dataclasses.replace(
        perfect,
        results=[
            result.with_parts(boxes3d=dataclasses.replace(result.boxes3d, boxes=boxes))
            for result, boxes in zip(perfect.results, moved, strict=True)
        ],
    )
    assert surround.found_share(worse, 1, 0.3)[0] < hit / 2
    assert any("found within 2 m" in value for _, value in surround.facts(perfect, 1, 0.3, MODEL))


def test_trails_follow_what_moves_over_the_ground(perfect) -> None:
    """Parked cars stay where they are in the global frame, so their trails have no length in this moment's frame."""
    lines = surround.trails(perfect, 1, 0.0, TRUTH)
    truth = perfect.scene.truth[1]
    speeds = {int(n): float(np.hypot(*v)) for n, v in zip(truth.track_ids, truth.velocity, strict=True)}
    lengths = {n: float(np.linalg.norm(line[-1] - line[0])) for n, line in lines.items()}
    assert len(lines) > 5
    for number, length in lengths.items():
        assert length == pytest.approx(0.5 * speeds[number], abs=0.3)


def test_views_show_boxes_and_radar(perfect) -> None:
    truth, model = (surround.cameras_view(perfect, 1, 0.3, side) for side in (TRUTH, MODEL))
    assert truth.shape == model.shape and (truth != model).any()
    bev = surround.bev_view(perfect, 1, 0.3, MODEL)
    assert bev.shape == (640, 640, 3) and (bev == (255, 140, 0)).all(2).sum() > 20  # radar
    rows = surround.table(perfect, 1, 0.3, TRUTH)
    assert [row[3] for row in rows] == sorted(row[3] for row in rows) and rows[0][1].startswith("#")


def test_one_camera_alone_is_shown_larger_and_a_narrow_sheet_has_fewer_columns(perfect) -> None:
    choices = surround.camera_choices(perfect)
    cameras = perfect.scene.rigs[1].cameras
    assert choices == [("All", surround.ALL), *((camera.name, i) for i, camera in enumerate(cameras))]
    wide, narrow = (surround.pictures_view(perfect, 1, surround.ALL, columns) for columns in (3, 1))
    assert wide.shape == (narrow.shape[0] // 3, 3 * narrow.shape[1], 3)
    assert (wide[: wide.shape[0] // 2, : narrow.shape[1]] == narrow[: narrow.shape[0] // 6]).all()
    front = next(i for name, i in choices if name == "CAM_FRONT")
    alone = surround.pictures_view(perfect, 1, front)
    assert alone.shape[1] == 2 * narrow.shape[1]
    shown, own = (
        np.asarray(Image.fromarray(picture).resize((60, 20)), float) for picture in (alone, cameras[front].image)
    )
    assert np.abs(shown - own)[8:].mean() < 6  # its name is written above
    boxes = surround.cameras_view(perfect, 1, 0.3, TRUTH, front)
    assert boxes.shape == alone.shape and (boxes != alone).any()


def test_clicks_from_above_are_metres_around_the_vehicle(perfect) -> None:
    """Every object is where the world has it: ahead is up, left is left, as in the pictures of the cameras."""
    image, say = surround.measured(perfect, 1, 0.3, TRUTH)
    assert image.shape == (640, 640, 3)
    truth, front = perfect.scene.truth[1], perfect.scene.rigs[1].cameras[0]
    assert front.name == "CAM_FRONT"
    seen, far = front.camera.project(transforms.apply(transforms.inverse(front.ego_from_camera), truth.centres))
    clicks = 320 + np.array([-1, -1]) * truth.centres[:, [1, 0]] * (640 / 104) - 0.5  # 104 m across
    near, inside = np.abs(truth.centres[:, :2]).max(1) < 50, (far > 1) & (np.abs(seen[:, 0] - 132) < 100)
    assert near.sum() > 8 and (near & inside).sum() > 2
    for i in np.flatnonzero(near):
        text = say([tuple(clicks[i])])
        name, away, ahead, side = text.replace(":", ",").split(", ")
        x, y, _ = truth.centres[i]
        assert name == f"{truth.names[i]} #{truth.track_ids[i]}"
        assert float(away.split()[0]) == pytest.approx(np.hypot(x, y), abs=0.06)
        assert ahead == f"{abs(x):.1f} m {'ahead' if x >= 0 else 'behind'}"
        assert side == f"{abs(y):.1f} m to the {'right' if y <= 0 else 'left'}"
        if inside[i]:
            assert ("right" in side) == (seen[i, 0] > front.camera.cx)
    one, other = np.flatnonzero(near)[:2]
    metres = np.linalg.norm((truth.centres[one] - truth.centres[other])[:2])
    assert say([tuple(clicks[one]), tuple(clicks[other])]).startswith(f"{metres:.1f} m between {truth.names[one]} #")
    ground = surround.measured(perfect, 1, 1.1, MODEL)[1]  # no box is that sure
    assert ground([(320, 320), (320, 0)]) == (
        "52.0 m between the ground 0.1 m behind, 0.1 m to the right and the ground 51.9 m ahead, 0.1 m to the right"
    )


def test_files_can_be_uploaded_again(perfect, tmp_path: Path) -> None:
    from app.jobs.common import pack

    archive, *files = surround.write_files(perfect, 0.3, tmp_path)
    assert archive.exists() and {"cameras.png", "bev.png", "boxes3d.json", "occupancy.glb", "surround.glb"} <= {
        path.name for path in files
    }
    inner = tmp_path / "inner"
    inner.mkdir()
    again = surround.uploaded_scene(pack(tmp_path / "results" / "rig", tmp_path / "rig.zip"), inner)
    for new, old in zip(again.rigs, perfect.scene.rigs, strict=True):
        np.testing.assert_allclose(new.global_from_ego, old.global_from_ego)
        assert new.time == old.time and new.scene == old.scene
        assert all((a.image == b.image).all() for a, b in zip(new.cameras, old.cameras, strict=True))
        order = np.argsort(old.radar_points[:, 7], kind="stable")  # a radar of the file holds the points of one age
        np.testing.assert_allclose(new.radar_points, old.radar_points[order], atol=1e-3)
    with pytest.raises(InputError, match="no truth to show"):
        surround.predict_surround(again, None)


def test_without_a_model_the_truth_is_shown(scene, tmp_path: Path) -> None:
    answer = surround.predict_surround(scene, None)
    assert answer.sides == [TRUTH] and "exact truth" in surround.notes(answer, 0)[0]
    assert surround.shape_file(answer, 1, 0.3, TRUTH, tmp_path).stat().st_size > 100_000
    assert surround.summary(answer, 0.3)["shown"] == "truth"


def test_out_of_memory_is_tried_once_more_at_half_the_size(perfect) -> None:
    """All moments anew; boxes are in metres, so they mean the same."""

    class Fussy:
        name, about, device, limit = "fussy", {}, type("Device", (), {"type": "cpu"})(), 200

        def stream(self, rigs):
            for number, rig in enumerate(rigs):
                if number == 1 and rig.cameras[0].image.shape[1] > self.limit:
                    raise MemoryError
                assert rig.cameras[0].camera.size == rig.cameras[0].image.shape[1::-1]
                yield perfect.results[number]

    answer = surround.predict_surround(perfect.scene, Fussy())
    assert len(answer.results) == 2 and "half the size" in surround.notes(answer, 1)[-1]
    assert "half the size" not in "".join(perfect.results[1].notes)
    hopeless = Fussy()
    hopeless.limit = 0
    with pytest.raises(InputError, match="this rig is too large for the memory"):
        surround.predict_surround(perfect.scene, hopeless)


def test_a_model_of_random_weights_goes_all_the_way(scene, tmp_path: Path, monkeypatch) -> None:
    model = load(tiny_models.hydra(tmp_path), device="cpu")
    answer = surround.predict_surround(scene, model)
    assert answer.sides == [MODEL, TRUTH]
    assert all(result.boxes3d.track_ids is not None for result in answer.results)
    for side in answer.sides:
        assert surround.shape_file(answer, 1, 0.0, side, tmp_path).exists()
        assert surround.bev_view(answer, 1, 0.0, side).shape == (640, 640, 3)
    assert len(surround.summary(answer, 0.0)["moments"]) == 2
    monkeypatch.setattr("perception.load", lambda name: model)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(surround.snippet(answer, 0.0), names)  # the same pictures, radar and poses give the same boxes and tracks
    expected = answer.results[-1].boxes3d
    np.testing.assert_allclose(names["result"].boxes3d.boxes, expected.boxes, atol=1e-4)
    assert list(names["result"].boxes3d.track_ids) == list(expected.track_ids)
