"""Depth maps to triangle meshes, torn where the depth jumps.

    pixels a b        two triangles a square,      a triangle is left out when it would be stretched over a depth edge:
           c d        cut along the flatter        |  object  |          - its corners differ by more than `tear` in depth, and
     +---+            of the two diagonals         |    +-----+ ~ ~ ~ ~  - inverse depth bends there (on a plane, however slanted,
     | / |                                         |    |        gap       inverse depth is linear over the picture: a road stays whole)
     +---+                                         +----+

Camera frame, metres. A panorama that wraps is closed at its seam; full panoramas get their two pole caps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perception.errors import InputError
from perception.geometry.cameras import Camera, Equirectangular
from perception.geometry.pointcloud import valid_depth


@dataclass(frozen=True, eq=False)
class Mesh:
    """vertices: (N, 3) float32, metres. faces: (M, 3) int32, counter-clockwise seen from the camera. colors: (N, 3) uint8 or None.

    uv: (N, 2) float32 in 0..1, (0, 0) at the picture's upper left corner.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray | None = None
    uv: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Mesh({len(self.vertices)} vertices [m], {len(self.faces)} triangles{', coloured' if self.colors is not None else ''})"


def depth_to_mesh(
    depth: np.ndarray,
    camera: Camera,
    valid: np.ndarray | None = None,
    image: np.ndarray | None = None,
    *,
    tear: float = 0.04,
    max_stretch: float = 60.0,
    max_vertices: int | None = None,
) -> Mesh:
    """Mesh of (H, W) depth (z for `Pinhole`, range for `Equirectangular`).

    tear: relative depth difference above which a bend counts as an edge (at least six pixel angles). max_stretch: a triangle whose depth differs by more than that many pixel
    footprints is dropped in any case. image: (H, W, 3) uint8 for vertex colours. max_vertices: use every n-th pixel so that at most so many remain.
    """
    depth = np.asarray(depth, np.float32)
    if depth.ndim != 2 or depth.shape != (camera.height, camera.width):
        raise InputError(
            f"the depth map must have shape ({camera.height}, {camera.width}) like the camera's picture; found {depth.shape}"
        )
    if image is not None and np.shape(image) != (*depth.shape, 3):
        raise InputError(f"the picture of a coloured mesh must have shape {(*depth.shape, 3)}; found {np.shape(image)}")
    known = valid_depth(depth, valid)
    points = camera.unproject(np.where(known, depth, 0))
    rows, columns = _kept(depth.shape, max_vertices)
    wrap = isinstance(camera, Equirectangular) and camera.wraps
    grid = np.ix_(rows, columns)
    triangles = _triangles(depth[grid], known[grid], points[grid], wrap, tear, max_stretch)
    if wrap and camera.full:
        triangles = np.concatenate([triangles, _caps(known[grid])])
    height, width = len(rows), len(columns)
    used = np.zeros(height * width, bool)
    used[triangles.reshape(-1)] = True
    number = np.cumsum(used) - 1
    u, v = np.meshgrid((columns + 0.5) / depth.shape[1], (rows + 0.5) / depth.shape[0])
    return Mesh(
        np.ascontiguousarray(points[grid].reshape(-1, 3)[used]),
        number[triangles].astype(np.int32),
        None if image is None else np.ascontiguousarray(np.asarray(image)[grid].reshape(-1, 3)[used]),
        np.stack([u, v], -1).reshape(-1, 2)[used].astype(np.float32),
    )


def _kept(shape: tuple[int, int], max_vertices: int | None) -> tuple[np.ndarray, np.ndarray]:
    step = 1
    while max_vertices is not None and -(-shape[0] // step) * -(-shape[1] // step) > max(max_vertices, 4):
        step += 1
    return np.arange(0, shape[0], step), np.arange(0, shape[1], step)


def _bend(inverse: np.ndarray, known: np.ndarray, axis: int, wrap: bool) -> np.ndarray:
    """Second difference of inverse depth at each pixel, relative to it; 0 where a neighbour is missing."""
    ahead, behind = np.roll(inverse, -1, axis), np.roll(inverse, 1, axis)
    there = known & np.roll(known, -1, axis) & np.roll(known, 1, axis)
    if not wrap:
        ends = [slice(None)] * 2
        for end in (slice(0, 1), slice(-1, None)):
            ends[axis] = end
            there[tuple(ends)] = False
    return np.where(there, np.abs(ahead - 2 * inverse + behind) / np.where(known, inverse, 1), 0)


def _triangles(
    depth: np.ndarray, known: np.ndarray, points: np.ndarray, wrap: bool, tear: float, max_stretch: float
) -> np.ndarray:
    """(M, 3) vertex numbers row * width + column."""
    height, width = depth.shape
    if height < 2 or width < 2:
        return np.zeros((0, 3), np.int64)
    inverse = np.where(known, 1 / np.where(known, depth, 1), 0)
    bend = np.maximum(_bend(inverse, known, 0, False), _bend(inverse, known, 1, wrap)).reshape(-1)
    index = np.arange(height * width).reshape(height, width)
    if wrap:
        index = np.concatenate([index, index[:, :1]], 1)
    a, b, c, d = (m.reshape(-1) for m in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    flat_depth, flat_known = np.where(known, depth, np.nan).reshape(-1), known.reshape(-1)
    # Cut each square along the diagonal whose ends are closer in depth; along the one that exists when a corner is missing.
    slope_ad, slope_bc = np.abs(flat_depth[a] - flat_depth[d]), np.abs(flat_depth[b] - flat_depth[c])
    along_bc = np.nan_to_num(slope_bc, nan=np.inf) <= np.nan_to_num(slope_ad, nan=np.inf)
    first = np.where(along_bc[:, None], np.stack([a, c, b], -1), np.stack([a, c, d], -1))
    second = np.where(along_bc[:, None], np.stack([b, c, d], -1), np.stack([a, d, b], -1))
    faces = np.concatenate([first, second])
    faces = faces[flat_known[faces].all(-1)]
    corner = flat_depth[faces]
    low, high = corner.min(-1), corner.max(-1)
    jump = (high - low) / low
    p = points.reshape(-1, 3)[faces]
    distance = np.linalg.norm(p, axis=-1)
    rays = p / np.maximum(distance, 1e-12)[..., None]
    pixel_angle = np.linalg.norm(rays - np.roll(rays, 1, 1), axis=-1).max(-1)
    # Walls seen at up to 80 degrees from head-on change by 6 pixel angles a pixel: where they meet in a corner, nothing is torn.
    torn = (jump > np.maximum(tear, 6 * pixel_angle)) & (bend[faces].max(-1) > 0.25 * jump)
    # A triangle seen head-on is one pixel footprint wide; the ratio of its longest side to that is how far it is stretched.
    longest = np.linalg.norm(p - np.roll(p, 1, 1), axis=-1).max(-1)
    stretched = longest > max_stretch * pixel_angle * distance.min(-1)
    return faces[~(torn | stretched)]


def _caps(known: np.ndarray) -> np.ndarray:
    """Fans that close the small holes above the first and below the last row of a full panorama."""
    height, width = known.shape
    fans = []
    for row, turn in ((0, 1), (height - 1, -1)):
        ring = row * width + np.arange(width)
        if known[row].all() and width >= 3:
            fans.append(np.stack([np.full(width - 2, ring[0]), ring[1:-1], ring[2:]], -1)[:, ::turn])
    return np.concatenate(fans) if fans else np.zeros((0, 3), np.int64)
