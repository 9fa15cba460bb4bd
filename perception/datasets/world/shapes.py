"""Shapes as plain triangles: unit solids to scale and copy, outlines extruded, profiles turned, lattices of points.

A shape is (vertices (V, 3) float32, triangles (T, 3) int32), counter-clockwise seen from outside. Unit solids are read only and lie
inside [-0.5, 0.5]^3 unless said.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np


def _template(vertices, triangles) -> tuple[np.ndarray, np.ndarray]:
    v, t = np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(triangles, np.int32)
    v.flags.writeable = t.flags.writeable = False
    return v, t


def _fan(ring: list[int]) -> list[list[int]]:
    return [[ring[0], ring[i], ring[i + 1]] for i in range(1, len(ring) - 1)]


@cache
def unit_box() -> tuple[np.ndarray, np.ndarray]:
    """Cube; 8 vertices, 12 triangles."""
    v = [[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)]
    quads = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
    return _template(v, [t for q in quads for t in _fan(q)])


@cache
def unit_bevelled_box(bevel: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    """Cube whose edges are cut by `bevel` (of the size): 24 vertices, 44 triangles."""
    b = 0.5 - bevel
    vertices, index = [], {}
    for axis in range(3):
        for sx in (-1, 1):
            for sy in (-1, 1):
                for sz in (-1, 1):
                    s = (sx, sy, sz)
                    index[axis, s] = len(vertices)
                    vertices.append([s[k] * (0.5 if k == axis else b) for k in range(3)])
    triangles: list[list[int]] = []

    def quad(ring):
        triangles.extend(_fan(ring))

    for axis in range(3):
        j, k = (axis + 1) % 3, (axis + 2) % 3
        for side in (-1, 1):

            def corner(a, sj, sk, side=side, axis=axis, j=j, k=k):
                s = [0, 0, 0]
                s[axis], s[j], s[k] = side, sj, sk
                return index[a, tuple(s)]

            ring = [corner(axis, sj, sk) for sj, sk in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            quad(ring if side > 0 else ring[::-1])
        for sj in (-1, 1):
            for sk in (-1, 1):

                def edge(a, side, sj=sj, sk=sk, axis=axis, j=j, k=k):
                    s = [0, 0, 0]
                    s[axis], s[j], s[k] = side, sj, sk
                    return index[a, tuple(s)]

                ring = [edge(j, -1), edge(j, 1), edge(k, 1), edge(k, -1)]
                quad(ring if sj * sk < 0 else ring[::-1])
    for sx in (-1, 1):
        for sy in (-1, 1):
            for sz in (-1, 1):
                ring = [index[a, (sx, sy, sz)] for a in range(3)]
                triangles.append(ring if sx * sy * sz > 0 else ring[::-1])
    return _template(vertices, triangles)


@cache
def unit_cylinder(sides: int = 10, taper: float = 1.0, caps: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Cylinder along z, diameter 1 at the bottom and `taper` at the top (0.0 = cone)."""
    angle = np.arange(sides) * (2 * np.pi / sides)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * 0.5
    bottom = np.concatenate([ring, np.full((sides, 1), -0.5)], 1)
    top = np.concatenate([ring * taper, np.full((sides, 1), 0.5)], 1)
    vertices = np.concatenate([bottom, top, [[0, 0, -0.5], [0, 0, 0.5]]])
    i = np.arange(sides)
    j = (i + 1) % sides
    triangles = [np.stack([i, j, j + sides], 1), np.stack([i, j + sides, i + sides], 1)]
    if caps:
        triangles.append(np.stack([j, i, np.full(sides, 2 * sides)], 1))
        triangles.append(np.stack([i + sides, j + sides, np.full(sides, 2 * sides + 1)], 1))
    return _template(vertices, np.concatenate(triangles))


@cache
def unit_sphere(level: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Icosphere of diameter 1 with 20 * 4^level triangles."""
    g = (1 + 5**0.5) / 2
    v = [[-1, g, 0], [1, g, 0], [-1, -g, 0], [1, -g, 0], [0, -1, g], [0, 1, g]]
    v += [[0, -1, -g], [0, 1, -g], [g, 0, -1], [g, 0, 1], [-g, 0, -1], [-g, 0, 1]]
    f = [[0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4], [11, 10, 2], [10, 7, 6]]
    f += [[7, 1, 8], [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9], [4, 9, 5], [2, 4, 11], [6, 2, 10]]
    f += [[8, 6, 7], [9, 8, 1]]
    v = [np.array(p, float) / np.linalg.norm(p) for p in v]
    for _ in range(level):
        middle: dict[tuple[int, int], int] = {}

        def mid(a, b, middle=middle):
            key = (min(a, b), max(a, b))
            if key not in middle:
                p = v[a] + v[b]
                middle[key] = len(v)
                v.append(p / np.linalg.norm(p))
            return middle[key]

        f = [
            t
            for a, b, c in f
            for t in ((a, mid(a, b), mid(a, c)), (b, mid(b, c), mid(a, b)), (c, mid(a, c), mid(b, c)))
            + ((mid(a, b), mid(b, c), mid(a, c)),)
        ]
    return _template(np.array(v) * 0.5, f)


@cache
def unit_gable() -> tuple[np.ndarray, np.ndarray]:
    """Prism roof: base rectangle at z -0.5, ridge along x at z 0.5."""
    v = [[-0.5, -0.5, -0.5], [0.5, -0.5, -0.5], [0.5, 0.5, -0.5], [-0.5, 0.5, -0.5], [-0.5, 0, 0.5], [0.5, 0, 0.5]]
    return _template(v, [[0, 2, 1], [0, 3, 2], [0, 1, 5], [0, 5, 4], [2, 3, 4], [2, 4, 5], [0, 4, 3], [1, 2, 5]])


@cache
def unit_hip(inset: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Hip roof: like `unit_gable` with the ridge shortened by `inset` at both ends."""
    v, t = unit_gable()
    v = v.copy()
    v[4, 0] += inset
    v[5, 0] -= inset
    return _template(v, t)


def extrude(profile: np.ndarray, width: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Prism of a 2-D polygon: `profile` (P, 2) in the xz plane, counter-clockwise seen from -y, extruded over y by `width`.

    The caps are triangulated by ear clipping, so concave outlines are fine."""
    profile = np.asarray(profile, np.float32)
    n = len(profile)
    half = np.full((n, 1), width / 2, np.float32)
    right = np.concatenate([profile[:, :1], -half, profile[:, 1:]], 1)
    left = np.concatenate([profile[:, :1], half, profile[:, 1:]], 1)
    i = np.arange(n)
    j = (i + 1) % n
    sides = np.concatenate([np.stack([i, i + n, j + n], 1), np.stack([i, j + n, j], 1)])
    caps = ear_clip(profile)
    return _template(np.concatenate([right, left]), np.concatenate([sides, caps, caps[:, ::-1] + n]))


def ear_clip(polygon: np.ndarray) -> np.ndarray:
    """Triangles (P-2, 3) int32 of a simple polygon (P, 2), counter-clockwise."""
    points = [(float(x), float(y)) for x, y in polygon]
    ring = list(range(len(points)))

    def cross(o, a, b):
        return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])

    if sum(points[i][0] * points[i - 1][1] - points[i - 1][0] * points[i][1] for i in ring) > 0:
        ring.reverse()
    triangles = []
    while len(ring) > 3:
        for k in range(len(ring)):
            a, b, c = ring[k - 1], ring[k], ring[(k + 1) % len(ring)]
            if cross(points[a], points[b], points[c]) <= 0:
                continue
            inside = any(
                cross(points[a], points[b], points[p]) >= 0
                and cross(points[b], points[c], points[p]) >= 0
                and cross(points[c], points[a], points[p]) >= 0
                for p in ring
                if p not in (a, b, c)
            )
            if not inside:
                triangles.append([a, b, c])
                ring.pop(k)
                break
        else:
            ring.pop(0)  # degenerate outline: drop a point rather than loop
    triangles.append(ring)
    return np.array(triangles, np.int32).reshape(-1, 3)


def lathe(profile: np.ndarray, sides: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Surface of revolution about z: `profile` (P, 2) of (radius, z) from bottom to top."""
    profile = np.asarray(profile, np.float32)
    angle = np.arange(sides) * (2 * np.pi / sides)
    rings = np.empty((len(profile), sides, 3), np.float32)
    rings[..., 0] = profile[:, :1] * np.cos(angle)
    rings[..., 1] = profile[:, :1] * np.sin(angle)
    rings[..., 2] = profile[:, 1:]
    return grid(rings, wrap=True)


def grid(points: np.ndarray, wrap: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Quads (as triangle pairs) over a lattice of points (R, C, 3); `wrap` joins the last column to the first.

    Triangles come cell by cell in row-major order, two a cell, so per-cell materials are ``np.repeat(cells, 2)``."""
    points = np.asarray(points, np.float32)
    triangles = _grid_triangles(points.shape[0], points.shape[1], wrap)
    return points.reshape(-1, 3), triangles


@lru_cache(maxsize=256)
def _grid_triangles(rows: int, columns: int, wrap: bool) -> np.ndarray:
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if wrap else columns - 1), indexing="ij")
    n = (c + 1) % columns
    a, b, d, e = r * columns + c, r * columns + n, (r + 1) * columns + n, (r + 1) * columns + c
    triangles = np.stack([np.stack([a, b, d], -1), np.stack([a, d, e], -1)], 2).reshape(-1, 3).astype(np.int32)
    triangles.flags.writeable = False
    return triangles
