"""3D boxes on pictures and from above."""

from __future__ import annotations

import numpy as np
import pytest

from perception.drawing import draw_bev, draw_boxes3d
from perception.drawing.birds_eye import BirdsEye
from perception.errors import InputError
from perception.geometry import Equirectangular, Pinhole
from perception.results import Boxes3DResult

CAMERA = Pinhole.from_fov(320, 200, horizontal_degrees=80)
PHOTO = np.full((200, 320, 3), 100, np.uint8)


def result(boxes, **options) -> Boxes3DResult:
    boxes = np.asarray(boxes, float).reshape(-1, 7)
    return Boxes3DResult(boxes, np.zeros(len(boxes), int), class_names=["car"], **{"camera": CAMERA, **options})


def touched(picture: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero((picture != PHOTO).any(-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_the_drawn_box_covers_its_projection() -> None:
    box = result([[1, 0.5, 12, 4, 2, 1.5, 0.4]])
    got = touched(draw_boxes3d(PHOTO, box, labels=False))
    np.testing.assert_allclose(got, box.projected()[0], atol=4.5)
    assert (PHOTO == 100).all()


def test_the_front_is_filled() -> None:
    """Seen from ahead the near face is tinted up to its rim, seen from behind only the smaller far face is."""
    rim = CAMERA.project(np.array([0.85, 0.0, 6.0]))[0].astype(int)  # inside the near face, outside the far one
    for yaw, tinted in ((-np.pi / 2, True), (np.pi / 2, False)):
        drawn = draw_boxes3d(PHOTO, result([[0, 0, 8, 4, 2, 2, yaw]]), labels=False)
        assert (drawn[rim[1], rim[0]] != 100).any() == tinted


@pytest.mark.parametrize(
    "box",
    [
        [1.5, 0.5, 1, 6, 2, 1.5, np.pi / 2],  # beside, reaching behind
        [0, 0, 0, 6, 6, 3, 0.3],  # around the camera
        [0, 0, 0.06, 0.1, 0.1, 0.1, 0],
        [0, 0, 1e6, 4, 2, 1, 0],
        [1e6, 0, 5, 4, 2, 1, 0],
        [0, 0, 5, 0, 0, 0, 0],
    ],
)
def test_boxes_anywhere_can_be_drawn(box: list[float]) -> None:
    assert draw_boxes3d(PHOTO, result(box)).shape == PHOTO.shape
    assert draw_bev(result(box)).dtype == np.uint8


def test_a_box_beside_the_camera_is_seen_in_part_and_one_behind_not_at_all() -> None:
    beside = draw_boxes3d(PHOTO, result([[1.5, 0.5, 1, 6, 2, 1.5, np.pi / 2]]), labels=False)
    left, _, right, _ = touched(beside)
    assert left > 160 and right == 320
    np.testing.assert_array_equal(draw_boxes3d(PHOTO, result([[0, 0, -8, 4, 2, 1.5, 0]])), PHOTO)
    np.testing.assert_array_equal(draw_boxes3d(PHOTO, result([])), PHOTO)


def test_boxes_in_panoramas_are_split_at_the_seam() -> None:
    camera = Equirectangular(320, 200)
    drawn = draw_boxes3d(PHOTO, result([[0, 0, -5, 2, 2, 2, 0]], camera=camera), labels=False)
    changed = (drawn != PHOTO).any(-1).any(0)
    assert changed[:20].any() and changed[-20:].any() and not changed[60:260].any()


def test_what_is_needed_is_said() -> None:
    with pytest.raises(InputError, match="camera frame"):
        draw_boxes3d(PHOTO, result([[0, 0, 5, 1, 1, 1, 0]], frame="ego"))
    with pytest.raises(InputError, match="uint8"):
        draw_boxes3d(PHOTO / 255.0, result([]))


def coloured(picture: np.ndarray) -> np.ndarray:
    """(H, W) bool: not grey."""
    return np.ptp(picture.astype(int), axis=-1) > 30


def located(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


@pytest.mark.parametrize("frame", ["camera", "ego"])
def test_birds_eye_view_shows_forward_up_and_right_right(frame: str) -> None:
    right_ahead = [5, 0, 20, 4, 2, 1.5, np.pi / 2] if frame == "camera" else [20, -5, 0, 4, 2, 1.5, 0]
    boxes = result([right_ahead], frame=frame, camera=None)
    drawn = draw_bev(boxes, extent=(10, 0, 40), height=400)
    assert drawn.shape == (400, 200, 3)
    np.testing.assert_allclose(located(coloured(drawn)), [150, 200], atol=2)
    assert coloured(drawn).sum() == pytest.approx(4 * 2 * 100, rel=0.25)  # 10 pixels a metre
    points = np.array([right_ahead[:3]])
    dot = draw_bev(
        points=points, point_colors=np.array([[1, 254, 3]], np.uint8), frame=frame, extent=(10, 0, 40), height=400
    )
    np.testing.assert_allclose(located((dot == (1, 254, 3)).all(-1)), [150, 200], atol=1)


def test_birds_eye_view_goes_from_metres_to_pixels_and_back() -> None:
    view = BirdsEye(half=10, near=-5, far=35, height=400)
    assert view.width == 200 and view.scale == 10
    np.testing.assert_allclose(view.pixels(np.array([[0.0, 0.0], [3.0, 5.0]])), [[100, 350], [130, 300]])
    ground = np.random.default_rng(0).uniform(-9, 30, (50, 2))
    for odd in (view, BirdsEye(1, 0, 300, 90), BirdsEye(500, -3, 7, 50)):  # the last two have a width at its limits
        np.testing.assert_allclose(odd.ground(odd.pixels(ground)), ground, atol=1e-9)


def test_birds_eye_view_of_velocity_reference_points_and_nothing() -> None:
    boxes = result([[0, 0, 20, 4, 2, 1.5, 0]], velocity=[[3.0, 0.0]], track_ids=[7])
    plain = draw_bev(boxes, extent=(20, 0, 40))
    still = draw_bev(result([[0, 0, 20, 4, 2, 1.5, 0]], velocity=[[np.nan, 0.0]], track_ids=[7]), extent=(20, 0, 40))
    assert (plain != still).any()
    assert (draw_bev(boxes, reference=result([[3, 0, 22, 4, 2, 1.5, 0]]), extent=(20, 0, 40)) != plain).any()
    assert draw_bev(result([])).any() and draw_bev().any() and draw_bev(points=np.zeros((0, 3))).any()
    city = result([[1000, 2000, 0, 4, 2, 1.5, 0.3], [1010, 2000, 0, 4, 2, 1.5, 0.3]], frame="global", camera=None)
    assert coloured(draw_bev(city)).any()
