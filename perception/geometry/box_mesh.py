"""3D boxes as solid bars along their edges, for viewers that only draw triangles; the front carries a cross."""

from __future__ import annotations

import numpy as np

from perception.geometry import boxes3d
from perception.geometry.mesh import Mesh

# The front's diagonals say where a box is heading.
_BARS = (*boxes3d.EDGES, (0, 7), (3, 4))
_CUBE = np.array([[x, y, z] for z in (0.0, 1.0) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
_FACES = np.array(
    [[0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4], [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6], [1, 3, 5], [3, 7, 5]]
)  # fmt: skip


def bars_mesh(starts: np.ndarray, ends: np.ndarray, colors: np.ndarray, width: float | np.ndarray = 0.06) -> Mesh:
    """One square bar from each start (N, 3) to its end (N, 3), metres; colors (N, 3) uint8; `width` of the bars, one for all or (N,)."""
    starts, along = np.asarray(starts, np.float64), np.asarray(ends, np.float64) - starts
    length = np.linalg.norm(along, axis=1, keepdims=True)
    ahead = along / np.maximum(length, 1e-12)
    # Any direction that is not the bar's own spans its cross-section.
    helper = np.eye(3)[np.abs(ahead).argmin(1)]
    right = np.cross(ahead, helper)
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-12)
    up = np.cross(ahead, right)
    thick = np.broadcast_to(np.asarray(width, np.float64), len(starts))[:, None, None]
    across = _CUBE[None, :, :1] * right[:, None] + _CUBE[None, :, 1:2] * up[:, None]
    # Bars overlap by half their width, so that corners close.
    reach = (_CUBE[None, :, 2:] * 2 - 1) * thick / 2
    vertices = starts[:, None] + _CUBE[None, :, 2:] * along[:, None] + across * thick + reach * ahead[:, None]
    faces = _FACES[None] + 8 * np.arange(len(starts))[:, None, None]
    shown = np.repeat(np.asarray(colors, np.uint8), 8, axis=0)
    return Mesh(vertices.reshape(-1, 3).astype(np.float32), faces.reshape(-1, 3).astype(np.int32), shown)


def boxes_mesh(boxes: np.ndarray, frame: str, colors: np.ndarray, width: float = 0.06) -> Mesh:
    """(N, 7) boxes of `frame` as bars in that frame; colors (N, 3) uint8. Small boxes get thinner bars."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 7)
    ends = boxes3d.corners(boxes, frame)[:, np.array(_BARS)].reshape(-1, 2, 3)
    thick = np.minimum(width, 0.08 * boxes[:, 3:6].min(1))
    shown = np.repeat(np.asarray(colors, np.uint8).reshape(-1, 3), len(_BARS), axis=0)
    return bars_mesh(ends[:, 0], ends[:, 1], shown, np.repeat(thick, len(_BARS)))


def joined(meshes: list[Mesh]) -> Mesh:
    """Several coloured meshes as one."""
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, first, strict=True)]),
        np.concatenate([mesh.colors for mesh in meshes]),
    )
