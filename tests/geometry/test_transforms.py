"""Rotations against scipy, poses against their definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation, Slerp

from perception.errors import InputError
from perception.geometry import transforms


def random_rotations(count: int) -> Rotation:
    return Rotation.random(count, random_state=3)


def test_quaternions_are_wxyz_and_agree_with_scipy() -> None:
    rotations = random_rotations(200)
    xyzw = rotations.as_quat()
    wxyz = xyzw[:, [3, 0, 1, 2]]
    np.testing.assert_allclose(transforms.rotation_from_quaternion(wxyz), rotations.as_matrix(), atol=1e-12)
    back = transforms.quaternion_from_rotation(rotations.as_matrix())
    np.testing.assert_allclose(back, np.where(wxyz[:, :1] < 0, -wxyz, wxyz), atol=1e-12)
    half_turns = np.eye(3)[None] * np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]])[:, None, :]
    np.testing.assert_allclose(
        transforms.rotation_from_quaternion(transforms.quaternion_from_rotation(half_turns)), half_turns, atol=1e-12
    )


@pytest.mark.parametrize("order", ["xyz", "zyx", "yxz", "zx"])
def test_euler_angles_agree_with_scipy(order: str) -> None:
    angles = np.random.default_rng(0).uniform(-3, 3, (50, len(order)))
    np.testing.assert_allclose(
        transforms.rotation_from_euler(angles, order), Rotation.from_euler(order, angles).as_matrix(), atol=1e-12
    )


def test_euler_round_trip_includes_gimbal_lock() -> None:
    angles = np.random.default_rng(1).uniform([-3, -1.5, -3], [3, 1.5, 3], (50, 3))
    np.testing.assert_allclose(
        transforms.euler_from_rotation(transforms.rotation_from_euler(angles)), angles, atol=1e-9
    )
    locked = transforms.rotation_from_euler([0.4, np.pi / 2, 0.9])
    np.testing.assert_allclose(
        transforms.rotation_from_euler(transforms.euler_from_rotation(locked)), locked, atol=1e-7
    )


def test_inverse_apply_and_rotate_for_arrays_and_tensors() -> None:
    rng = np.random.default_rng(2)
    pose = transforms.rigid(random_rotations(5).as_matrix(), rng.normal(size=(5, 3)))
    points = rng.normal(size=(5, 7, 3))
    moved = transforms.apply(pose, points)
    np.testing.assert_allclose(moved[2, 4], (pose[2] @ [*points[2, 4], 1])[:3])
    np.testing.assert_allclose(transforms.apply(transforms.inverse(pose), moved), points, atol=1e-12)
    np.testing.assert_allclose(transforms.rotate(pose, points), moved - pose[:, None, :3, 3], atol=1e-12)
    tensor = transforms.apply(transforms.inverse(torch.from_numpy(pose)), torch.from_numpy(moved))
    np.testing.assert_allclose(tensor.numpy(), points, atol=1e-12)
    assert transforms.is_rigid(pose) and not transforms.is_rigid(pose * 1.1)
    mirrored = pose.copy()
    mirrored[:, :3, 0] *= -1
    assert not transforms.is_rigid(mirrored)


def test_camera_and_ego_axes() -> None:
    ego = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])  # forward, left, up
    camera = transforms.apply(transforms.CAMERA_FROM_EGO, ego)
    np.testing.assert_array_equal(camera, [[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    np.testing.assert_array_equal(transforms.CAMERA_FROM_EGO @ transforms.EGO_FROM_CAMERA, np.eye(4))


def test_interpolation_agrees_with_scipy_and_takes_the_short_way() -> None:
    pair = random_rotations(2)
    times = np.linspace(0, 1, 9)
    expected = Slerp([0, 1], pair)(times).as_matrix()
    q = transforms.quaternion_from_rotation(pair.as_matrix())
    for second in (q[1], -q[1]):
        got = transforms.rotation_from_quaternion(transforms.slerp(q[0], second, times))
        np.testing.assert_allclose(got, expected, atol=1e-9)
    first, last = transforms.rigid(pair[0].as_matrix(), [0, 0, 0]), transforms.rigid(pair[1].as_matrix(), [4, 2, 0])
    path = transforms.interpolate(first, last, times)
    np.testing.assert_allclose(path[0], first, atol=1e-9)
    np.testing.assert_allclose(path[-1], last, atol=1e-9)
    np.testing.assert_allclose(path[4, :3, 3], [2, 1, 0], atol=1e-12)
    np.testing.assert_allclose(transforms.interpolate(first, first, 0.3), first, atol=1e-12)


def test_wrap_angle_and_errors() -> None:
    angles = np.array([np.pi, -np.pi, 3.5, 7.0])
    wrapped = transforms.wrap_angle(angles)
    assert (wrapped >= -np.pi).all() and (wrapped < np.pi).all()
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * angles))
    with pytest.raises(InputError):
        transforms.rotation_from_quaternion([0, 0, 0, 0])
    with pytest.raises(InputError):
        transforms.rotation_about("w", 1)
    with pytest.raises(InputError):
        transforms.rigid(np.eye(4))
