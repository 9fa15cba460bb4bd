"""Rigid transforms, rotations and their interpolation.

A transform is a (..., 4, 4) matrix named ``target_from_source``: ``p_target = target_from_source @ p_source``. Chains read right to left and the
inner names must meet: ``global_from_camera = global_from_ego @ ego_from_camera``.

    ego / BEV frame               camera frame                    CAMERA_FROM_EGO turns the axes of one into the other's
        z up                           z forward                  (same origin, camera looking ahead):
        |   x forward                 /
        |  /                         o-----> x right                  x_cam = -y_ego
        | /                          |                                y_cam = -z_ego
    y <-o                            v y down                         z_cam =  x_ego
    left

Quaternions are (w, x, y, z), unit length, as nuScenes stores them; TUM, ROS and scipy use (x, y, z, w). Angles are radians, right-handed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.errors import InputError

CAMERA_FROM_EGO = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
EGO_FROM_CAMERA = CAMERA_FROM_EGO.T.copy()
for _matrix in (CAMERA_FROM_EGO, EGO_FROM_CAMERA):
    _matrix.setflags(write=False)


def rigid(rotation: Any = None, translation: Any = None) -> np.ndarray:
    """Build (..., 4, 4) float64 from a (..., 3, 3) rotation and a (..., 3) translation in metres; either may be left out."""
    rotation = np.eye(3) if rotation is None else np.asarray(rotation, dtype=np.float64)
    translation = np.zeros(3) if translation is None else np.asarray(translation, dtype=np.float64)
    if rotation.shape[-2:] != (3, 3) or translation.shape[-1:] != (3,):
        raise InputError(
            f"a rigid transform needs a (..., 3, 3) rotation and a (..., 3) translation; found {rotation.shape} and {translation.shape}"
        )
    shape = np.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
    out = np.zeros((*shape, 4, 4))
    out[..., :3, :3], out[..., :3, 3], out[..., 3, 3] = rotation, translation, 1.0
    return out


def inverse(transform: Any) -> Any:
    """Inverse of a rigid (..., 4, 4) transform, array or tensor, exactly [R^T | -R^T t]."""
    rotation = transform[..., :3, :3]
    transposed = rotation.swapaxes(-1, -2) if isinstance(rotation, np.ndarray) else rotation.transpose(-1, -2)
    out = transform.copy() if isinstance(transform, np.ndarray) else transform.clone()
    out[..., :3, :3] = transposed
    out[..., :3, 3] = -(transposed @ transform[..., :3, 3:])[..., 0]
    return out


def apply(transform: Any, points: Any) -> Any:
    """Move (..., N, 3) points, metres, by (..., 4, 4); arrays or tensors."""
    rotation = transform[..., :3, :3]
    transposed = rotation.swapaxes(-1, -2) if isinstance(rotation, np.ndarray) else rotation.transpose(-1, -2)
    return points @ transposed + transform[..., None, :3, 3]


def rotate(transform: Any, vectors: Any) -> Any:
    """Turn (..., N, 3) directions or velocities by the rotation of (..., 4, 4) or (..., 3, 3); no translation."""
    rotation = transform[..., :3, :3]
    return vectors @ (rotation.swapaxes(-1, -2) if isinstance(rotation, np.ndarray) else rotation.transpose(-1, -2))


def is_rigid(transform: Any, tolerance: float = 1e-5) -> bool:
    """Whether every (4, 4) is a proper rotation with a translation."""
    m = np.asarray(transform, dtype=np.float64)
    if m.shape[-2:] != (4, 4) or not np.isfinite(m).all():
        return False
    r = m[..., :3, :3]
    orthogonal = np.abs(r @ r.swapaxes(-1, -2) - np.eye(3)).max(initial=0) <= tolerance
    return bool(
        orthogonal and (np.linalg.det(r) > 0).all() and np.abs(m[..., 3, :] - [0, 0, 0, 1]).max(initial=0) <= tolerance
    )


def rotation_about(axis: str, angle: Any) -> np.ndarray:
    """(..., 3, 3) right-handed rotation by (...) radians about "x", "y" or "z"."""
    if axis not in ("x", "y", "z"):
        raise InputError(f"a rotation axis must be 'x', 'y' or 'z'; found {axis!r}")
    angle = np.asarray(angle, dtype=np.float64)
    i = "xyz".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    out = np.zeros((*angle.shape, 3, 3))
    out[..., i, i] = 1.0
    out[..., j, j] = out[..., k, k] = np.cos(angle)
    out[..., k, j] = np.sin(angle)
    out[..., j, k] = -np.sin(angle)
    return out


def rotation_from_euler(angles: Any, order: str = "xyz") -> np.ndarray:
    """(..., 3) angles -> (..., 3, 3), turning about the fixed axes in that order: R = R_last @ ... @ R_first.

    ``rotation_from_euler([roll, pitch, yaw])`` is thus R_z(yaw) R_y(pitch) R_x(roll), the vehicle convention.
    """
    angles = np.asarray(angles, dtype=np.float64)
    if angles.shape[-1] != len(order):
        raise InputError(f"{len(order)} Euler angles are needed for the order {order!r}; found shape {angles.shape}")
    out = np.broadcast_to(np.eye(3), (*angles.shape[:-1], 3, 3))
    for i, axis in enumerate(order):
        out = rotation_about(axis, angles[..., i]) @ out
    return out


def euler_from_rotation(rotation: Any) -> np.ndarray:
    """(..., 3, 3) -> (..., 3) roll, pitch, yaw with R = R_z(yaw) R_y(pitch) R_x(roll); at pitch +-pi/2 roll is set to 0."""
    r = np.asarray(rotation, dtype=np.float64)
    flat = np.hypot(r[..., 0, 0], r[..., 1, 0])
    locked = flat < 1e-9
    roll = np.where(locked, 0.0, np.arctan2(r[..., 2, 1], r[..., 2, 2]))
    yaw = np.where(locked, np.arctan2(-r[..., 0, 1], r[..., 1, 1]), np.arctan2(r[..., 1, 0], r[..., 0, 0]))
    return np.stack([roll, np.arctan2(-r[..., 2, 0], flat), yaw], -1)


def rotation_from_quaternion(quaternion: Any) -> np.ndarray:
    """(..., 4) quaternion (w, x, y, z), any length but zero -> (..., 3, 3)."""
    q = np.asarray(quaternion, dtype=np.float64)
    norm = np.linalg.norm(q, axis=-1, keepdims=True)
    if q.shape[-1:] != (4,) or not (norm > 0).all():
        raise InputError(f"a quaternion needs 4 numbers (w, x, y, z) that are not all zero; found shape {q.shape}")
    w, x, y, z = np.moveaxis(q / norm, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def quaternion_from_rotation(rotation: Any) -> np.ndarray:
    """(..., 3, 3) -> (..., 4) unit quaternion (w, x, y, z) with w >= 0."""
    r = np.asarray(rotation, dtype=np.float64)
    d = np.moveaxis(np.diagonal(r, axis1=-2, axis2=-1), -1, 0)
    # Squares of 2w, 2x, 2y, 2z; the largest one is the safe divisor.
    squares = np.stack(
        [1 + d[0] + d[1] + d[2], 1 + d[0] - d[1] - d[2], 1 - d[0] + d[1] - d[2], 1 - d[0] - d[1] + d[2]], -1
    )
    wx, wy, wz = r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]
    xy, xz, yz = r[..., 0, 1] + r[..., 1, 0], r[..., 0, 2] + r[..., 2, 0], r[..., 1, 2] + r[..., 2, 1]
    rows = np.stack(
        [
            np.stack([squares[..., 0], wx, wy, wz], -1),
            np.stack([wx, squares[..., 1], xy, xz], -1),
            np.stack([wy, xy, squares[..., 2], yz], -1),
            np.stack([wz, xz, yz, squares[..., 3]], -1),
        ],
        -2,
    )
    best = squares.argmax(-1)
    q = np.take_along_axis(rows, best[..., None, None], -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., :1] < 0, -q, q)


def slerp(first: Any, second: Any, fraction: Any) -> np.ndarray:
    """Interpolate unit quaternions (..., 4) along the shorter arc; fraction (...) 0 gives `first`, 1 gives `second`."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    t = np.asarray(fraction, dtype=np.float64)[..., None]
    dot = (a * b).sum(-1, keepdims=True)
    b = np.where(dot < 0, -b, b)
    angle = np.arctan2(np.linalg.norm(b - a, axis=-1, keepdims=True), np.linalg.norm(b + a, axis=-1, keepdims=True)) * 2
    # Near 0 the ratio of sines tends to the plain fraction.
    small = angle < 1e-8
    sine = np.where(small, 1.0, np.sin(angle))
    wa = np.where(small, 1 - t, np.sin((1 - t) * angle) / sine)
    wb = np.where(small, t, np.sin(t * angle) / sine)
    out = wa * a + wb * b
    return out / np.linalg.norm(out, axis=-1, keepdims=True)


def interpolate(first: Any, second: Any, fraction: Any) -> np.ndarray:
    """Pose between two rigid (4, 4): straight line for the origin, `slerp` for the rotation; fraction () or (T,)."""
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    fraction = np.asarray(fraction, dtype=np.float64)
    quaternion = slerp(
        quaternion_from_rotation(first[..., :3, :3]), quaternion_from_rotation(second[..., :3, :3]), fraction
    )
    shift = first[..., :3, 3] + fraction[..., None] * (second[..., :3, 3] - first[..., :3, 3])
    return rigid(rotation_from_quaternion(quaternion), shift)


def wrap_angle(angle: Any) -> Any:
    """Wrap radians into [-pi, pi); arrays, tensors or floats."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
