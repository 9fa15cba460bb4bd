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


def _sides(inverse: np.ndarray, known: np.ndarray, axis: int, wrap: bool) -> tuple[np.ndarray, np.ndarray]:
    """Weights (H, W) float32 of the forward and backward difference along an axis: 1/2 each, or all on one side beside a depth edge, or 0."""
    forward = np.abs(_ahead(inverse, axis, wrap) - inverse)
    has_forward = _ahead(known, axis, wrap) & known
    if not wrap:
        has_forward[(slice(-1, None), slice(None)) if axis == 0 else (slice(None), slice(-1, None))] = False
    backward, has_backward = np.roll(forward, 1, axis), np.roll(has_forward, 1, axis)
    # Only a clear edge drops a side: always taking the flatter one would flatten noisy and quantised depth.
    small = _EDGE * inverse
    use_forward = has_forward & ((forward <= 2 * backward) | (forward <= small) | ~has_backward)
    use_backward = has_backward & ((backward <= 2 * forward) | (backward <= small) | ~has_forward)
    both = np.where(use_forward & use_backward, np.float32(0.5), np.float32(1))
    return use_forward * both, use_backward * both


def _ahead(value: np.ndarray, axis: int, wrap: bool) -> np.ndarray:
    """The next value along an axis; at the end the first one where the picture wraps, else the last one again."""
    out = np.roll(value, -1, axis)
    if not wrap:
        if axis == 0:
            out[-1] = value[-1]
        else:
            out[:, -1] = value[:, -1]
    return out


def normals_from_depth(
    depth: np.ndarray, camera: Camera, valid: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Surface normals of (H, W) depth -> (H, W, 3) float32 unit vectors towards the camera, 0 where unknown, and (H, W) bool mask.

    Derivatives are taken on the side of a pixel that belongs to the same surface, so edges between objects keep their normals.
    """
    known = valid_depth(depth, valid)
    clean = np.where(known, depth, 0).astype(np.float32)
    points = [np.ascontiguousarray(axis) for axis in np.moveaxis(camera.unproject(clean), -1, 0)]
    inverse = np.where(known, 1 / np.where(known, clean, 1), 0)  # linear over a plane in a pinhole picture
    wrap = isinstance(camera, Equirectangular) and camera.wraps
    slopes, seen = [], known
    for axis, around in ((1, wrap), (0, False)):
        forward, backward = _sides(inverse, known, axis, around)
        seen = seen & (forward + backward > 0)
        slope = []
        for p in points:
            step = _ahead(p, axis, around) - p
            slope.append(forward * step + backward * np.roll(step, 1, axis))
        slopes.append(slope)
    (ax, ay, az), (bx, by, bz) = slopes  # along u, along v
    normal = [by * az - bz * ay, bz * ax - bx * az, bx * ay - by * ax]
    length = np.sqrt(sum(n * n for n in normal))
    seen = seen & (length > 0)
    away = sum(n * p for n, p in zip(normal, points, strict=True)) > 0
    scale = np.where(seen, np.where(away, -1, 1) / np.where(seen, length, 1), 0).astype(np.float32)
    return np.stack([n * scale for n in normal], -1), seen


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
