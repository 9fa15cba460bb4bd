"""Intrinsics from every source, moved with the picture, and rays that agree with projection."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from perception.errors import InputError
from perception.geometry import Equirectangular, ImageTransform, Pinhole, camera_from_dict


def test_centred_camera_has_its_axis_in_the_middle() -> None:
    camera = Pinhole.from_fov(641, 480, horizontal_degrees=90)
    assert camera.cx == 320.5 and camera.cy == 240 and camera.fx == pytest.approx(320.5)
    assert camera.fov_degrees[0] == pytest.approx(90)
    middle = camera.rays()[239:241, 320].mean(0)
    np.testing.assert_allclose(middle, [0, 0, 1], atol=1e-7)


def test_every_source_of_intrinsics() -> None:
    wide = Pinhole.from_fov(1200, 800, diagonal_degrees=75.38)
    exif = Pinhole.from_exif_35mm(1200, 800, 28.0)
    assert wide.fx == pytest.approx(exif.fx, rel=1e-3)
    assert exif.fx == pytest.approx(28 / 36 * 1200, rel=1e-12)  # a 3:2 picture is the film itself
    assert Pinhole.from_focal_mm(1200, 800, 28, 36).fx == pytest.approx(exif.fx)
    assert Pinhole.default(1200, 800).source == "default" and exif.source == "exif" and wide.source == "fov"
    assert Pinhole.default(800, 1200).fx == Pinhole.default(1200, 800).fx
    both = Pinhole.from_fov(100, 50, horizontal_degrees=80, vertical_degrees=40)
    assert both.fov_degrees == pytest.approx((80, 40))
    vertical = Pinhole.from_fov(100, 50, vertical_degrees=40)
    assert vertical.fx == vertical.fy and vertical.fov_degrees[1] == pytest.approx(40)


def test_matrix_conventions() -> None:
    k = np.array([[700, 0, 600], [0, 710, 180], [0, 0, 1.0]])
    assert Pinhole.from_matrix(k, 1200, 360).cx == 600
    opencv = Pinhole.from_matrix(k, 1200, 360, integer_centres=True)
    assert opencv.cx == 600.5 and opencv.cy == 180.5
    np.testing.assert_array_equal(opencv.opencv_matrix, k)
    p2 = np.concatenate([k, [[45.0], [0.2], [0.003]]], 1)
    assert Pinhole.from_matrix(p2, 1200, 360).matrix.tolist() == k.tolist()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Pinhole(0, 1, 1, 1, 4, 4),
        lambda: Pinhole(1, 1, math.nan, 1, 4, 4),
        lambda: Pinhole(1, 1, 1, 1, 0, 4),
        lambda: Pinhole(1, 1, 1, 1, 4.5, 4),
        lambda: Pinhole(1, 1, 1, 1, 4, 4, "guess"),
        lambda: Pinhole.from_fov(4, 4),
        lambda: Pinhole.from_fov(4, 4, horizontal_degrees=180),
        lambda: Pinhole.from_fov(4, 4, horizontal_degrees=60, diagonal_degrees=70),
        lambda: Pinhole.from_matrix([[1, 0.5, 0], [0, 1, 0], [0, 0, 1]], 4, 4),
        lambda: Pinhole.from_matrix(np.eye(2), 4, 4),
        lambda: Pinhole.from_exif_35mm(4, 4, 0),
        lambda: Equirectangular(8, 4, longitude=(1.0, 0.0)),
        lambda: Equirectangular(8, 4, latitude=(-2.0, 0.0)),
        lambda: camera_from_dict({"type": "fisheye"}),
        lambda: camera_from_dict({"type": "pinhole", "fx": 1}),
        lambda: Pinhole.default(8, 6).unproject(np.ones((8, 6))),
        lambda: Pinhole(5, 5, 2, 2, None, 4),
        lambda: Pinhole(5, 5, 2, 2, float("nan"), 4),
        lambda: Equirectangular(float("inf"), 4),
        lambda: Pinhole.from_matrix([[1, 2], [3]], 4, 4),
    ],
)
def test_what_cannot_be_used_says_so(make) -> None:
    with pytest.raises(InputError):
        make()


def random_pinhole(rng: np.random.Generator) -> Pinhole:
    width, height = int(rng.integers(20, 60)), int(rng.integers(20, 60))
    return Pinhole(
        *rng.uniform(30, 60, 2), width * rng.uniform(0.3, 0.7), height * rng.uniform(0.3, 0.7), width, height
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_transformed_camera_sees_what_the_transformed_picture_shows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera = random_pinhole(rng)
    points = rng.uniform([-2, -2, 1], [2, 2, 9], (50, 3))
    before, _ = camera.project(points)
    for name, transform in {
        "crop": ImageTransform.crop(camera.size, -3, 5, 40, 11),
        "resize": ImageTransform.resize(camera.size, 33, 71),
        "letterbox": ImageTransform.letterbox(camera.size, 64, 48),
        "chain": ImageTransform.resize(camera.size, 33, 71).then(ImageTransform.crop((33, 71), 4, 9, 20, 20)),
    }.items():
        after, _ = camera.transformed(transform).project(points)
        np.testing.assert_allclose(after, transform.points(before), atol=1e-9, err_msg=name)
        np.testing.assert_allclose(transform.undo_points(after), before, atol=1e-9, err_msg=name)
    flipped, _ = camera.flip().project(points * [-1, 1, 1])
    np.testing.assert_allclose(flipped, ImageTransform.flip(camera.size).points(before), atol=1e-9)
    assert camera.flip().fx > 0


@pytest.mark.parametrize("seed", range(4))
def test_moving_and_undoing_gives_the_camera_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera = random_pinhole(rng)
    transform = ImageTransform.letterbox(camera.size, 96, 40).then(ImageTransform.flip((96, 40)))
    back = camera.transformed(transform).transformed(transform.inverse())
    np.testing.assert_allclose(back.matrix, camera.matrix, rtol=1e-12)
    assert back.size == camera.size


@pytest.mark.parametrize(
    "camera",
    [
        Pinhole(40, 50, 11, 17, 24, 31),
        Equirectangular(36, 18),
        Equirectangular(20, 9, longitude=(2.5, 4.5), latitude=(-0.3, 1.2)),
    ],
    ids=["pinhole", "panorama", "partial across the seam"],
)
def test_unprojection_then_projection_returns_pixel_centres(camera) -> None:
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 50, (camera.height, camera.width)).astype(np.float32)
    pixels, found = camera.project(camera.unproject(depth))
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    np.testing.assert_allclose(pixels, np.stack([u, v], -1), atol=2e-4)
    np.testing.assert_allclose(found, depth, rtol=1e-6)
    again = camera_from_dict(json.loads(json.dumps(camera.to_dict())))
    assert again == camera


def test_pinhole_points_behind_have_no_pixel_and_range_converts() -> None:
    camera = Pinhole.default(20, 10)
    pixels, depth = camera.project(np.array([[0, 0, -1.0], [0, 0, 0], [0, 0, 2]]))
    assert np.isnan(pixels[:2]).all() and pixels[2].tolist() == [10, 5] and depth.tolist() == [-1, 0, 2]
    z = np.full((10, 20), 3, np.float32)
    distance = camera.range_from_depth(z)
    np.testing.assert_allclose(distance, np.linalg.norm(camera.unproject(z), axis=-1), rtol=1e-6)
    np.testing.assert_allclose(camera.depth_from_range(distance), z, rtol=1e-6)
    picked = camera.unproject_pixels(np.array([[0.5, 0.5]]), np.array([3.0]))
    np.testing.assert_allclose(picked[0], camera.unproject(z)[0, 0], rtol=1e-6)


def test_panorama_axes() -> None:
    camera = Equirectangular(400, 200)
    for direction, expected in {
        (0, 0, 1): (200, 100),  # forward: the middle
        (1, 0, 0): (300, 100),  # right
        (-1, 0, 0): (100, 100),
        (0, -1, 0): (200, 0),  # up: first row
        (0, 1, 0): (200, 200),
    }.items():
        pixels, distance = camera.project(2 * np.array(direction, float))
        np.testing.assert_allclose(pixels, expected, atol=1e-9)
        assert distance == 2
    assert camera.full and camera.wraps
    np.testing.assert_allclose(np.linalg.norm(camera.rays(), axis=-1), 1, atol=1e-6)


def test_panorama_crop_keeps_directions_and_may_cross_the_seam() -> None:
    camera = Equirectangular(40, 20)
    part = camera.crop(35, 3, 10, 6)
    expected = np.roll(camera.rays(), -35, axis=1)[3:9, :10]
    np.testing.assert_allclose(part.rays(), expected, atol=1e-6)
    assert not part.full
    with pytest.raises(InputError, match="leaves"):
        part.crop(5, 0, 8, 2)


def test_rays_cannot_be_overwritten() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Pinhole.default(8, 6).rays()[0] = 0
