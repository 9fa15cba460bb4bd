"""The Street tab's work: what is drawn, listed and written agrees with the boxes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.jobs import street
from app.jobs.cameras import FROM_FOV, CameraEntry
from app.jobs.shapes import eye_height, painted_ground
from perception.errors import InputError
from perception.geometry import Pinhole
from perception.inference import load
from perception.io import write_image
from perception.results import Boxes3DResult, DepthResult, Prediction
from tests.app import tiny_models

CAMERA = Pinhole(300.0, 300.0, 200.0, 60.0, 400, 140)


@pytest.fixture(scope="module")
def result() -> Prediction:
    """A car ahead to the right that looks away, one to the left that comes, and a weak one."""
    boxes = np.array(
        [
            [4.0, 1.0, 12.0, 4.0, 1.8, 1.5, np.pi / 2],
            [-5.0, 1.0, 20.0, 4.0, 1.8, 1.5, -np.pi / 2],
            [0.0, 1.0, 40.0, 4.0, 1.8, 1.5, 0.0],
        ]
    )
    found = Boxes3DResult(boxes, [1, 1, 0], [0.9, 0.6, 0.2], class_names=("Pedestrian", "Car"), camera=CAMERA)
    image = np.full((140, 400, 3), 120, np.uint8)
    return Prediction(boxes3d=found, image=image, camera=CAMERA, name="street.png", model="toy")


def test_the_score_chooses_what_is_shown(result: Prediction) -> None:
    assert [len(street.shown(result, score)) for score in (0.0, 0.3, 0.7, 0.95)] == [3, 2, 1, 0]
    drawn = [int((street.image_view(result, score) != 120).any(2).sum()) for score in (0.0, 0.3, 0.7, 0.95)]
    assert drawn[0] > drawn[1] > drawn[2] > drawn[3] == 0
    # What lies right of the camera is drawn at the right, on the picture and from above, whatever the score.
    for view in (street.image_view(result, 0.7), street.bev_view(result, 0.7)):
        blank = np.full_like(view, 120) if view.shape == result.image.shape else street.bev_view(result, 0.95)
        assert view.shape == blank.shape
        changed = (view != blank).any(2)
        assert changed[:, view.shape[1] // 2 :].sum() > 10 * changed[:, : view.shape[1] // 2].sum()


def test_the_table_speaks_in_metres_and_degrees(result: Prediction) -> None:
    rows = street.table(result, 0.3)
    assert [len(row) for row in rows] == [len(street.COLUMNS)] * 2
    assert rows[0] == ["Car", 0.9, 12.6, 12.0, 4.0, 4.0, 1.8, 1.5, 0]
    assert rows[1][3:5] == [20.0, -5.0] and abs(rows[1][-1]) == 180
    assert street.table(result, 0.1)[2][-1] == 90  # looks to the right


def test_clicks_are_measured_on_the_boxes_and_on_the_models_own_depth(result: Prediction) -> None:
    """The cars' rears are 10 m and 18 m ahead, in their middle: 300 px of focal length put them there."""
    right, left, road = (319.5, 89.5), (116.2, 76.2), (200.0, 130.0)
    image, say = street.measured(result, 0.3)
    assert (image == street.image_view(result, 0.3)).all()
    away = 10 * np.linalg.norm([119.5 / 300, 29.5 / 300, 1])  # through the middle of the pixel
    assert say([right]) == f"depth 10.00 m, {away:.2f} m from the camera, at (319, 89), on a box (Car)"
    assert say([left]).startswith("depth 18.00 m, ")
    metres = float(say([right, left]).split(" m between")[0])
    assert metres == pytest.approx(np.hypot(9, 8), abs=0.05)
    assert say([road]) == "no depth there" and street.measured(result, 0.7)[1]([left]) == "no depth there"
    own = DepthResult(np.full((140, 400), 25, np.float32), camera=CAMERA)
    _, say = street.measured(result.with_parts(depth=own), 0.3)
    assert say([road]).startswith("depth 25.00 m, ") and "box" not in say([road])
    assert say([right]).startswith("depth 10.00 m, ")  # a box is finer than the coarse depth behind it


def test_files_hold_what_is_shown(result: Prediction, tmp_path: Path) -> None:
    archive, *files = street.write_files(result, 0.5, tmp_path)
    names = {path.name for path in files}
    assert {"boxes3d.json", "boxes3d.glb", "boxes3d_bev.png", "boxes3d_kitti.txt", "street.glb", "result.json"} <= names
    with zipfile.ZipFile(archive) as bundle:
        assert bundle.testzip() is None and len(bundle.read("boxes3d_kitti.txt").splitlines()) == 2


def test_the_ground_is_painted_with_the_picture(result: Prediction) -> None:
    assert eye_height(result.boxes3d) == pytest.approx(1.8, abs=0.01)
    image = result.image.copy()
    image[:, :200] = (250, 0, 0)
    ground = painted_ground([(image, CAMERA, np.eye(4))], "camera", 1.8, (-10, 10), (1, 30), 0.5)
    np.testing.assert_allclose(ground.vertices[:, 1], 1.8)
    left = ground.vertices[:, 0] < -0.3
    assert (ground.colors[left][:, 0] > ground.colors[left][:, 1]).all() and left.sum() > 100
    a, b, c = (ground.vertices[ground.faces[:, i]] for i in range(3))
    assert (np.cross(b - a, c - a)[:, 1] < 0).all()  # seen from above


def test_a_model_of_random_weights_goes_all_the_way(tmp_path: Path) -> None:
    model = load(tiny_models.monodetr(tmp_path), device="cpu")
    file = write_image(tmp_path / "street.png", np.random.default_rng(0).integers(0, 255, (90, 300, 3), np.uint8))
    answer = street.predict_street(file, model, CameraEntry(FROM_FOV, fov=80))
    assert ("Picture", "300 x 90") in answer.facts and answer.result.camera.source == "fov"
    assert (
        street.bev_view(answer.result, 0.0).shape[0] == 640 and street.shape_file(answer.result, 0.0, tmp_path).exists()
    )
    nothing = street.notes(answer, 1.0)
    assert nothing[0] == street.NO_BOXES and street.table(answer.result, 1.0) == []
    namespace: dict = {}
    code = street.snippet(answer, 0.0, "cpu").replace("'monodetr-random'", repr(str(tmp_path / "monodetr-random")))
    code = code.replace("'street.png'", repr(str(file))).replace('"out', f'"{tmp_path}/out')
    exec(compile(code, "snippet", "exec"), namespace)
    np.testing.assert_allclose(namespace["boxes"].boxes, answer.result.boxes3d.boxes, rtol=1e-5)
    with pytest.raises(InputError, match="no picture yet"):
        street.predict_street(None, model)
