"""3D boxes: corners, frames, projection; KITTI's real boxes as the independent check."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.errors import InputError
from perception.geometry import Pinhole, boxes3d, transforms
from tests.helpers import sample


def random_boxes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([-5, -2, 5, 1, 1, 1, -3], [5, 2, 30, 5, 3, 2, 3], (count, 7))


@pytest.mark.parametrize("frame", boxes3d.FRAMES)
def test_corners_span_the_size_and_start_front_left_below(frame: str) -> None:
    boxes = random_boxes(20)
    corner = boxes3d.corners(boxes, frame)
    np.testing.assert_allclose(corner.mean(1), boxes[:, :3], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(corner[:, 0] - corner[:, 1], axis=-1), boxes[:, 3])
    np.testing.assert_allclose(np.linalg.norm(corner[:, 0] - corner[:, 3], axis=-1), boxes[:, 4])
    np.testing.assert_allclose(np.linalg.norm(corner[:, 0] - corner[:, 4], axis=-1), boxes[:, 5])
    forward = boxes3d.heading(boxes, frame)
    np.testing.assert_allclose(corner[:, 0] - corner[:, 1], forward * boxes[:, 3:4], atol=1e-9)
    up = np.array([0, -1, 0] if frame == "camera" else [0, 0, 1])
    np.testing.assert_allclose((corner[:, 4] - corner[:, 0]) @ up, boxes[:, 5])
    left = np.cross(up, forward)
    np.testing.assert_allclose(corner[:, 0] - corner[:, 3], left * boxes[:, 4:5], atol=1e-9)
    tensor = boxes3d.corners(torch.from_numpy(boxes), frame)
    np.testing.assert_allclose(tensor.numpy(), corner)


def test_faces_look_outwards() -> None:
    corner = boxes3d.corners(random_boxes(5), "ego")
    for face in boxes3d.FACES.values():
        a, b, c = (corner[:, face[i]] for i in range(3))
        outward = corner[:, list(face)].mean(1) - corner.mean(1)
        assert ((np.cross(b - a, c - b) * outward).sum(-1) > 0).all()


def test_heading_and_yaw_conventions() -> None:
    box = np.array([0, 0, 10, 4, 2, 1.5, np.pi / 2])
    np.testing.assert_allclose(boxes3d.heading(box, "camera"), [0, 0, 1], atol=1e-12)  # drives away
    np.testing.assert_allclose(boxes3d.camera_to_ego(box)[[0, 1, 2, 6]], [10, 0, 0, 0], atol=1e-12)
    left = np.array([0, 0, 10, 4, 2, 1.5, np.pi])
    np.testing.assert_allclose(boxes3d.camera_to_ego(left)[6], np.pi / 2, atol=1e-12)  # ego left is +pi/2


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_change_of_frame_moves_the_corners(kind) -> None:
    boxes = random_boxes(20)
    ego_from_camera = transforms.rigid(transforms.rotation_about("z", 0.7), [1, 2, 1.5]) @ transforms.EGO_FROM_CAMERA
    moved = boxes3d.camera_to_ego(kind(boxes), ego_from_camera)
    expected = transforms.apply(ego_from_camera, boxes3d.corners(boxes, "camera"))
    np.testing.assert_allclose(np.asarray(boxes3d.corners(moved, "ego")), expected, atol=1e-9)
    back = boxes3d.ego_to_camera(moved, transforms.inverse(ego_from_camera))
    np.testing.assert_allclose(np.asarray(boxes3d.corners(back, "camera")), boxes3d.corners(boxes, "camera"), atol=1e-9)


@pytest.mark.parametrize("frame", ["camera", "ego"])
def test_flip_mirrors_the_corners(frame: str) -> None:
    boxes = random_boxes(10)
    mirror = np.array([-1, 1, 1] if frame == "camera" else [1, -1, 1])
    expected = boxes3d.corners(boxes, frame) * mirror
    got = boxes3d.corners(boxes3d.flip(boxes, frame), frame)
    np.testing.assert_allclose(np.sort(got, 1), np.sort(expected, 1), atol=1e-9)
    np.testing.assert_allclose(
        boxes3d.heading(boxes3d.flip(boxes, frame), frame), boxes3d.heading(boxes, frame) * mirror, atol=1e-9
    )
    np.testing.assert_allclose(boxes3d.flip(boxes3d.flip(boxes, frame), frame), boxes, atol=1e-9)


@pytest.mark.parametrize("frame", ["camera", "ego"])
def test_points_in_boxes(frame: str) -> None:
    boxes = random_boxes(6)
    rng = np.random.default_rng(1)
    local = rng.uniform(-0.499, 0.499, (6, 40, 3))
    corner = boxes3d.corners(boxes, frame)
    axes = np.stack([corner[:, 0] - corner[:, 1], corner[:, 0] - corner[:, 3], corner[:, 4] - corner[:, 0]], 1)
    points = boxes[:, None, :3] + local @ axes
    inside = boxes3d.points_in_boxes(points.reshape(-1, 3), boxes, frame).reshape(6, 40, 6)
    assert inside[np.arange(6), :, np.arange(6)].all()
    beyond = boxes[:, None, :3] + np.sign(local) * 0.501 @ axes
    assert (
        not boxes3d.points_in_boxes(beyond.reshape(-1, 3), boxes, frame)
        .reshape(6, 40, 6)[np.arange(6), :, np.arange(6)]
        .any()
    )
    assert boxes3d.points_in_boxes(beyond[0], boxes[:1], frame, margin=0.01).all()


@pytest.mark.parametrize("frame", ["camera", "ego"])
def test_rays_enter_boxes_at_their_surface(frame: str) -> None:
    boxes = random_boxes(6)
    rays = np.concatenate([boxes[:, :3], -boxes[:, :3], np.random.default_rng(2).normal(size=(200, 3))])
    found = boxes3d.ray_entries(rays, boxes, frame)
    assert (found[:6].diagonal() < 1).all() and np.isinf(found[6:12].diagonal()).all()  # towards it, and away from it
    for box in range(6):
        hit = np.isfinite(found[:, box])
        before, after = (rays[hit] * (found[hit, box, None] * factor) for factor in (1 - 1e-6, 1 + 1e-6))
        assert boxes3d.points_in_boxes(after, boxes[[box]], frame, margin=1e-9).all()
        assert not boxes3d.points_in_boxes(before, boxes[[box]], frame).any()
        steps = np.linspace(0, 50, 501)[1:, None]
        missed = [boxes3d.points_in_boxes(ray * steps, boxes[[box]], frame, margin=-0.05).any() for ray in rays[~hit]]
        assert not any(missed)
    around = np.array([[0.1, 0.2, 0.3, 4, 4, 4, 0.5]])
    assert np.isinf(boxes3d.ray_entries(rays, around, frame)).all()  # the origin is inside
    straight = boxes3d.ray_entries(np.array([[0.0, 0, 1]]), np.array([[0.0, 0, 10, 4, 2, 6, np.pi / 2]]), frame)
    assert straight[0, 0] == pytest.approx(8 if frame == "camera" else 7)


def test_image_boxes_are_cut_at_the_near_plane_and_the_picture() -> None:
    camera = Pinhole.from_fov(200, 100, horizontal_degrees=90)
    boxes = np.array(
        [
            [0, 0, 10, 2, 2, 2, 0.0],  # ahead
            [1.5, 0, 0.5, 6, 1, 2, np.pi / 2],  # beside, reaching behind the camera
            [0, 0, -10, 2, 2, 2, 0],  # behind
            [100, 0, 10, 2, 2, 2, 0],  # outside the picture
        ]
    )
    got = boxes3d.image_boxes(boxes, camera)
    half = 1 / 9 * camera.fx
    np.testing.assert_allclose(got[0], [100 - half, 50 - half, 100 + half, 50 + half])
    assert np.isfinite(got[1]).all() and got[1, 2] == 200 and 100 < got[1, 0] < 200
    assert np.isnan(got[2:]).all()
    unclipped = boxes3d.image_boxes(boxes, camera, clip=False)
    assert unclipped[3, 0] > 200 and np.isnan(unclipped[2]).all()


def test_kitti_boxes_land_on_their_labels() -> None:
    """Real frames: the projected box equals the annotated rectangle of untruncated cars (rotation_y = -yaw, bottom centre)."""
    overlaps = []
    for name in ("000007", "000008", "000010", "000134"):
        lines = sample(f"kitti_object/training/label_2/{name}.txt").read_text().splitlines()
        calibration = dict(
            line.split(":", 1)
            for line in sample(f"kitti_object/training/calib/{name}.txt").read_text().splitlines()
            if line
        )
        p2 = np.array(calibration["P2"].split(), float).reshape(3, 4)
        camera = Pinhole.from_matrix(p2, 1242, 375, integer_centres=True)
        offset = np.linalg.solve(p2[:, :3], p2[:, 3])
        for line in lines:
            kind, *values = line.split()
            truncated, _, _, left, top, right, bottom, h, w, l, x, y, z, ry = map(float, values)
            if kind != "Car" or truncated > 0:
                continue
            box = np.array([[x, y - h / 2, z, l, w, h, -ry]])
            box[:, :3] += offset
            a, b = boxes3d.image_boxes(box, camera)[0], np.array([left, top, right + 1, bottom + 1])
            common = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
            overlaps.append(common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common))
    assert len(overlaps) >= 5 and min(overlaps) > 0.85 and np.median(overlaps) > 0.93


def test_boxes_of_whole_numbers_are_boxes() -> None:
    numbers = [[1, 2, 3, 5, 3, 1, 2]]
    matrix = transforms.rigid(transforms.rotation_about("z", 0.3), [0.5, 0, 0])
    wanted = np.array(numbers, np.float64)
    for boxes in (np.array(numbers), numbers, torch.tensor(numbers)):
        np.testing.assert_allclose(boxes3d.corners(boxes, "ego"), boxes3d.corners(wanted, "ego"), atol=1e-6)
        moved = boxes3d.change_frame(boxes, matrix, "ego", "ego")
        np.testing.assert_allclose(moved, boxes3d.change_frame(wanted, matrix, "ego", "ego"), atol=1e-6)
        np.testing.assert_allclose(boxes3d.flip(boxes, "camera"), boxes3d.flip(wanted, "camera"), atol=1e-6)


def test_errors_name_the_choices() -> None:
    with pytest.raises(InputError, match="camera, ego"):
        boxes3d.corners(np.zeros((1, 7)), "world")
    with pytest.raises(InputError, match="7"):
        boxes3d.corners(np.zeros((1, 8)), "ego")
