"""Measuring in a picture: a wall of known size, seen by a pinhole camera and by a panorama."""

from __future__ import annotations

import numpy as np
import pytest

from app.jobs import ruler
from perception.errors import InputError
from perception.geometry import Equirectangular, Pinhole
from perception.results import DepthResult, Prediction


def predicted(depth: DepthResult) -> Prediction:
    return Prediction(depth=depth, image=np.full((*depth.shape, 3), 90, np.uint8), camera=depth.camera, model="x")


@pytest.fixture
def wall() -> Prediction:
    """Parallel to the picture, 4 m away: with 100 px of focal length a pixel is 4 cm wide. Nothing is known of the left column."""
    valid = np.ones((60, 80), bool)
    valid[:, 0] = False
    return predicted(DepthResult(np.full((60, 80), 4, np.float32), valid, camera=Pinhole(100, 100, 40, 30, 80, 60)))


@pytest.fixture
def sphere() -> Prediction:
    """All round at 2 m."""
    return predicted(DepthResult(np.full((40, 80), 2, np.float32), kind="range", camera=Equirectangular(80, 40)))


def test_one_point_has_a_depth_and_a_distance(wall: Prediction) -> None:
    assert ruler.depth_at(wall, (40, 30)) == "depth 4.00 m, 4.00 m from the camera, at (40, 30)"
    away = np.hypot(4, 4 * (79.5 - 40) / 100)
    assert ruler.depth_at(wall, (79, 30)).startswith(f"depth 4.00 m, {away:.2f} m from the camera")
    for nowhere in ((0, 5), (-1, 5), (-0.5, 5), (80, 5), (5, 60)):
        assert ruler.depth_at(wall, nowhere) == "no depth there"


def test_two_points_are_apart(wall: Prediction) -> None:
    assert ruler.distance_between(wall, (20, 10), (60, 10)) == "1.60 m between (20, 10) and (60, 10)"
    assert ruler.distance_between(wall, (20, 10), (50, 50)).startswith("2.00 m")
    assert ruler.distance_between(wall, (0, 10), (50, 50)) == "no depth at one of the two points"


def test_a_range_of_a_pinhole_camera_is_along_the_ray(wall: Prediction) -> None:
    ranges = DepthResult(wall.camera.range_from_depth(wall.depth.depth), kind="range", camera=wall.camera)
    assert ruler.distance_between(predicted(ranges), (20, 10), (60, 10)).startswith("1.60 m")


def test_a_panorama_tells_the_direction(sphere: Prediction) -> None:
    assert ruler.depth_at(sphere, (60, 10)) == "2.00 m away, 92° to the right, 43° above the horizon"
    assert ruler.depth_at(sphere, (19, 30)) == "2.00 m away, 92° to the left, 47° below the horizon"
    opposite = ruler.distance_between(sphere, (0, 19), (40, 20))  # 180 degrees round, a row lower
    assert opposite.startswith("4.00 m")


def test_depth_without_a_scale_has_no_metres(wall: Prediction) -> None:
    inverse = predicted(DepthResult(wall.depth.depth, kind="inverse", camera=wall.camera))
    assert ruler.depth_at(inverse, (40, 30)) == "no depth there"
    relative = predicted(DepthResult(wall.depth.depth, kind="relative", camera=wall.camera))
    assert "4.00 (relative units)" in ruler.depth_at(relative, (40, 30))
    assert ruler.depth_at(wall.with_parts(depth=None), (40, 30)) == "no depth there"


def test_several_predictions_are_read_at_once(wall: Prediction) -> None:
    nearer = predicted(DepthResult(wall.depth.depth / 2, camera=wall.camera))
    text = ruler.reading({"Truth": wall, "Model": nearer}, [(40, 30)])
    assert text.startswith("Truth: depth 4.00 m") and ". Model: depth 2.00 m" in text
    assert ruler.reading({"": wall}, [(20, 10), (60, 10)]).startswith("1.60 m between")


def test_points_can_be_typed() -> None:
    assert ruler.parse_points("12, 30") == ((12, 30),) and ruler.parse_points(" 1 2;3 4.5") == ((1, 2), (3, 4.5))
    for wrong in ("", "1", "1, 2, 3", "a, b", "nan, 1", "1, 2; 3, 4; 5, 6", None):
        with pytest.raises(InputError, match="points are typed"):
            ruler.parse_points(wrong)


def test_clicked_points_are_drawn() -> None:
    image = np.full((128, 192, 3), 90, np.uint8)
    one, two = ruler.ruler_view(image, [(40, 30)]), ruler.ruler_view(image, [(40, 30), (150, 100)])
    assert (one[30, 40] == 255).all() and (one[100, 150] == 90).all()
    assert (two[65, 95] != 90).any()  # the line between them
