"""Depth maps to points and normals, and point clouds made smaller.

    depth (H, W), camera            points (H, W, 3)                 normal = unit(dP/dv x dP/du), towards the camera
      +-----------+                       . . . .
      | 2 2 3 3 3 |     unproject       . . . .        dP/du --->        n is the surface's side that is seen:
      | 2 2 3 3 3 |  ------------->       . . . .      dP/dv |           n . P < 0
      +-----------+                                          v

Camera axes x right, y down, z forward; metres. Depth is z for `Pinhole` and Euclidean range for `Equirectangular`.
"""

from __future__ import annotations

import numpy as np

from perception.errors import InputError
from perception.geometry.cameras import Camera, Equirectangular

_EDGE = 0.03  # relative difference of inverse depth between neighbours above which they may belong to two objects


def valid_depth(depth: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """(H, W) bool: finite, positive, and inside `valid` where given."""
    with np.errstate(invalid="ignore"):
        known = np.isfinite(depth) & (depth > 0)
    return known if valid is None else known & np.asarray(valid, bool)


def depth_to_points(
    depth: np.ndarray, camera: Camera, valid: np.ndarray | None = None, image: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Valid pixels of (H, W) depth -> (N, 3) float32 points, camera frame, and their (N, 3) uint8 colours from `image` or None."""
    known = valid_depth(depth, valid)
    points = camera.unproject(np.where(known, depth, 0))[known]
    if image is not None and np.shape(image) != (*known.shape, 3):
        raise InputError(
            f"the picture of a coloured point cloud must have shape {(*known.shape, 3)}; found {np.shape(image)}"
        )
    return points, None if image is None else np.asarray(image)[known]


def _one_sided(
    points: np.ndarray, known: np.ndarray, measure: np.ndarray, axis: int, wrap: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Derivative along an axis: central, but one-sided beside a depth edge; and where there is one."""

    def shifted(value: np.ndarray, step: int) -> np.ndarray:
        out = np.roll(value, -step, axis)
        if not wrap:
            edge = [slice(None)] * value.ndim
            edge[axis] = slice(-1, None) if step > 0 else slice(0, 1)
            out[tuple(edge)] = 0
        return out

    ahead, behind = shifted(points, 1) - points, points - shifted(points, -1)
    has_ahead, has_behind = shifted(known, 1) & known, shifted(known, -1) & known
    jump_ahead = np.where(has_ahead, np.abs(shifted(measure, 1) - measure), np.inf)
    jump_behind = np.where(has_behind, np.abs(measure - shifted(measure, -1)), np.inf)
    # Only a clear edge drops a side: always taking the flatter one would flatten noisy and quantised depth.
    use_ahead = has_ahead & ((jump_ahead <= 2 * jump_behind) | (jump_ahead <= _EDGE * measure))
    use_behind = has_behind & ((jump_behind <= 2 * jump_ahead) | (jump_behind <= _EDGE * measure))
    weight = use_ahead.astype(np.float32) + use_behind
    total = np.where(use_ahead[..., None], ahead, 0) + np.where(use_behind[..., None], behind, 0)
    return total / np.maximum(weight, 1)[..., None], weight > 0


def normals_from_depth(
    depth: np.ndarray, camera: Camera, valid: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Surface normals of (H, W) depth -> (H, W, 3) float32 unit vectors towards the camera, 0 where unknown, and (H, W) bool mask.

    Derivatives are taken on the side of a pixel that belongs to the same surface, so edges between objects keep their normals.
    """
    known = valid_depth(depth, valid)
    clean = np.where(known, depth, 0).astype(np.float32)
    points = camera.unproject(clean)
    inverse_depth = np.where(known, 1 / np.where(known, clean, 1), 0)  # linear over a plane in a pinhole picture
    wrap = isinstance(camera, Equirectangular) and camera.wraps
    du, has_du = _one_sided(points, known, inverse_depth, 1, wrap)
    dv, has_dv = _one_sided(points, known, inverse_depth, 0, False)
    normal = np.cross(dv, du)
    length = np.linalg.norm(normal, axis=-1)
    seen = known & has_du & has_dv & (length > 0)
    normal = np.where(seen[..., None], normal / np.where(seen, length, 1)[..., None], 0)
    normal *= np.where((normal * points).sum(-1, keepdims=True) > 0, -1, 1)
    return normal.astype(np.float32), seen


def voxel_downsample(
    points: np.ndarray, voxel: float, colors: np.ndarray | None = None, normals: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Mean point (and colour, and renormalised normal) of every occupied voxel of side `voxel`, metres."""
    if not voxel > 0:
        raise InputError(f"the side of a voxel must be positive; found {voxel}")
    points = np.asarray(points, np.float64)
    if not len(points):
        return points.astype(np.float32), colors, normals
    cell = np.floor(points / voxel).astype(np.int64)
    cell -= cell.min(0)
    extent = cell.max(0) + 1
    if float(extent[0]) * float(extent[1]) * float(extent[2]) < 2**62:
        _, owner, count = np.unique(
            (cell[:, 0] * extent[1] + cell[:, 1]) * extent[2] + cell[:, 2], return_inverse=True, return_counts=True
        )
    else:
        _, owner, count = np.unique(cell, axis=0, return_inverse=True, return_counts=True)
    owner = owner.reshape(-1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(owner, values[:, i]) / count for i in range(values.shape[1])], -1)

    small_normals = None
    if normals is not None:
        small_normals = mean(np.asarray(normals, np.float64))
        small_normals /= np.maximum(np.linalg.norm(small_normals, axis=-1, keepdims=True), 1e-12)
        small_normals = small_normals.astype(np.float32)
    small_colors = None if colors is None else np.rint(mean(np.asarray(colors, np.float64))).astype(np.uint8)
    return mean(points).astype(np.float32), small_colors, small_normals
