"""A piece of furniture under construction: primitives are collected and turned into one mesh with a few batched calls.

Frame of a piece: x forward (its front looks along +x, its back stands to the wall), y left, z up, floor at z = 0, metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from perception.datasets.world.classes import ID
from perception.datasets.world.mesh import Mesh, MeshBuilder
from perception.datasets.world.rooms.kit import Kit
from perception.datasets.world.shapes import grid, unit_bevelled_box, unit_box, unit_cylinder, unit_sphere
from perception.datasets.world.shapes import lathe as lathe_mesh

Vector = tuple[float, float, float]


@dataclass
class Part:
    """A finished piece. mesh: in the piece's frame. low, high (3,): its bounds. tops: places for small things,
    (x0, x1, y0, y1, z, height above that is free)."""

    category: int
    mesh: Mesh
    low: np.ndarray
    high: np.ndarray
    tops: list[tuple[float, float, float, float, float, float]]
    model: str = ""


@cache
def _soft(power: float, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit cushion: a sphere pushed towards a box (`power` 1 = sphere, small = box)."""
    v, t = unit_sphere(level)
    d = v * 2
    d = np.sign(d) * np.abs(d) ** power
    d /= np.maximum(np.abs(d).max(0), 1e-6)
    return np.ascontiguousarray(d * 0.5, np.float32), t


@cache
def _pillow() -> tuple[np.ndarray, np.ndarray]:
    """Unit pillow: square outline, thick in the middle, thin at the seam."""
    n = 10
    t = np.linspace(-1, 1, n)
    y, x = np.meshgrid(t, t, indexing="ij")
    bulge = np.clip((1 - x**4) * (1 - y**4), 0, 1) ** 0.6
    pinch = 1 - 0.12 * (np.abs(x) * np.abs(y)) ** 2 - 0.04 * (1 - np.abs(x * y))
    top = np.stack([x * pinch, y * pinch, bulge], -1) * 0.5
    bottom = top * np.array([1, 1, -1])
    v1, t1 = grid(top)
    v2, t2 = grid(bottom)
    return np.concatenate([v1, v2]).astype(np.float32), np.concatenate([t1, t2[:, ::-1] + len(v1)]).astype(np.int32)


@cache
def _sharp_box() -> tuple[np.ndarray, np.ndarray]:
    """Unit cube whose faces share no vertices, so that smooth materials keep its edges."""
    v, t = unit_box()
    faces = [np.unique(t[2 * k : 2 * k + 2]) for k in range(6)]
    triangles = [np.searchsorted(faces[k], t[2 * k : 2 * k + 2]) + 4 * k for k in range(6)]
    return v[np.concatenate(faces)], np.concatenate(triangles).astype(np.int32)


@cache
def _sharp_cylinder(sides: int, taper: float, caps: bool) -> tuple[np.ndarray, np.ndarray]:
    """Unit cylinder whose caps have vertices of their own."""
    v, t = unit_cylinder(sides, taper)
    side, cap = t[: 2 * sides], t[2 * sides :]
    if not caps:
        return v, side
    return np.concatenate([v, v]), np.concatenate([side, cap + len(v)]).astype(np.int32)


_TEMPLATES = {
    "box": _sharp_box,
    "rounded": unit_bevelled_box,
    "cylinder": _sharp_cylinder,
    "sphere": unit_sphere,
    "soft": _soft,
    "pillow": _pillow,
}

# local axes for each longest axis of a box: the texture's u (grain of wood) runs along it
_ALIGN = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0]])
_ALIGN_SIGN = np.array([[1, 1, 1], [1, -1, 1], [1, 1, -1]], np.float32)


class Piece:
    """Collects primitives of one thing of a semantic category (by name)."""

    def __init__(self, kit: Kit, category: str, model: str = "") -> None:
        self.kit, self.category, self.model = kit, ID[category], model
        self.tops: list[tuple[float, float, float, float, float, float]] = []
        self._rows: dict[tuple, list[tuple]] = {}
        self._tubes: dict[tuple, list[tuple]] = {}
        self.builder = MeshBuilder(semantic=self.category)

    # primitives: centre and full size; yaw about z, pitch about y (positive tips +x down), roll about x -----------------

    def _put(self, key: tuple, centre, size, material: int, yaw=0.0, pitch=0.0, roll=0.0, fit=False) -> None:
        self._rows.setdefault(key, []).append((*centre, *size, yaw, pitch, roll, material, fit))

    def box(self, centre: Vector, size: Vector, material: int, **turn) -> None:
        """A plain box. `fit=1` maps one texture tile onto each face, `fit=0.6` a random part of that size."""
        self._put(("box",), centre, size, material, **turn)

    def rounded(self, centre: Vector, size: Vector, material: int, bevel: float = 0.12, **turn) -> None:
        """A box with cut edges; `bevel` relative to the size."""
        self._put(("rounded", bevel), centre, size, material, **turn)

    def soft(self, centre: Vector, size: Vector, material: int, power: float = 0.45, level: int = 2, **turn) -> None:
        """A cushion-like box."""
        self._put(("soft", power, level), centre, size, material, **turn)

    def pillow(self, centre: Vector, size: Vector, material: int, **turn) -> None:
        """A pillow lying flat."""
        self._put(("pillow",), centre, size, material, **turn)

    def cylinder(
        self, centre: Vector, size: Vector, material: int, sides: int = 12, taper: float = 1.0, caps=True, **turn
    ) -> None:
        """Along z; size = two diameters and the height; `taper` = top / bottom diameter."""
        self._put(("cylinder", sides, taper, caps), centre, size, material, **turn)

    def sphere(self, centre: Vector, size: Vector, material: int, level: int = 2, **turn) -> None:
        """An ellipsoid."""
        self._put(("sphere", level), centre, size, material, **turn)

    def tube(
        self, start: Vector, end: Vector, diameter: float, material: int, sides: int = 8, taper: float = 1.0
    ) -> None:
        """A rod between two points."""
        if np.ndim(start) > 1:
            for a, b in zip(start, end, strict=True):
                self._tubes.setdefault((sides, taper), []).append((*a, *b, diameter, material))
        else:
            self._tubes.setdefault((sides, taper), []).append((*start, *end, diameter, material))

    def lathe(self, profile, centre: Vector, material: int, sides: int = 14) -> None:
        """A turned shape: profile of (radius, z) from bottom to top."""
        v, t = lathe_mesh(np.asarray(profile, np.float32), sides)
        self.builder.mesh(v + np.float32(centre), t, material=material)

    def surface(self, points: np.ndarray, material: int, local: np.ndarray | None = None, wrap: bool = False) -> None:
        """A curved sheet over a lattice of points (R, C, 3)."""
        v, t = grid(points, wrap)
        self.builder.mesh(v, t, material=material, local=None if local is None else local.reshape(1, -1, 3))

    def mesh(self, vertices, triangles, material) -> None:
        """Free triangles."""
        self.builder.mesh(vertices, triangles, material=material)

    def top(self, x0: float, x1: float, y0: float, y1: float, z: float, free: float = 0.5) -> None:
        """Declare a surface on which small things may stand."""
        self.tops.append((x0, x1, y0, y1, z, free))

    # ---------------------------------------------------------------------------------------------------------------

    def finish(self) -> Part:
        """The mesh of everything, in the piece's frame."""
        for key, rows in self._rows.items():
            data = np.array(rows, np.float32)
            v, t = _TEMPLATES[key[0]](*key[1:])
            scaled = v[None] * data[:, None, 3:6]
            local = scaled + data[:, None, 0:3]
            if key[0] in ("box", "rounded"):
                longest = np.argmax(data[:, 3:6] * np.float32([1.001, 1, 1]), axis=1)
                if longest.any():
                    local = np.take_along_axis(local, _ALIGN[longest][:, None], 2) * _ALIGN_SIGN[longest][:, None]
            fit = data[:, 10] > 0
            if fit.any():
                part = data[fit, 10][:, None, None]
                corner = self.kit.rng.random((len(part), 1, 3), dtype=np.float32) * (1 - part)
                local[fit] = (v + np.float32(0.5)) * part + corner
            if data[:, 6:9].any():
                scaled = scaled @ _rotations(data[:, 6], data[:, 7], data[:, 8]).transpose(0, 2, 1)
            scaled += data[:, None, 0:3]
            self.builder.batch(scaled, t, material=data[:, 9].astype(np.int16)[:, None], local=local)
        for (sides, taper), rows in self._tubes.items():
            data = np.array(rows, np.float32)
            self.builder.batch(*_tubes(data, sides, taper), material=data[:, 7].astype(np.int16)[:, None])
        if self.kit.wild:  # a random finish for each primitive
            for i, part in enumerate(self.builder._parts):
                vertices, faces, material, *rest = part
                run = max(len(faces) // 6, 4)
                random = np.repeat(self.kit.wild_ids(len(faces) // run + 1), run)[: len(faces)]
                self.builder._parts[i] = (vertices, faces, random, *rest)
        mesh = self.builder.build()
        low, high = mesh.bounds()
        return Part(self.category, mesh, low, high, self.tops, self.model)


def _tubes(data: np.ndarray, sides: int, taper: float) -> tuple[np.ndarray, np.ndarray]:
    """Rods from rows of start (3), end (3), diameter: vertices (K, V, 3) and shared triangles."""
    start, end = data[:, 0:3], data[:, 3:6]
    axis = end - start
    length = np.sqrt((axis * axis).sum(1, keepdims=True))
    axis = axis / np.maximum(length, np.float32(1e-9))
    steep = np.abs(axis[:, 2:]) > 0.9
    helper = np.where(steep, np.float32([1, 0, 0]), np.float32([0, 0, 1]))
    side = _cross(helper, axis)
    side /= np.sqrt((side * side).sum(1, keepdims=True))
    frames = np.stack([side, _cross(axis, side), axis], 1)  # rows = axes
    v, t = _sharp_cylinder(sides, taper, True)
    scaled = v[None] * np.concatenate([data[:, 6:7], data[:, 6:7], length], 1)[:, None]
    return scaled @ frames + ((start + end) / 2)[:, None], t


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of rows; np.cross takes ten times as long for few rows."""
    x, y, z = a.T
    u, v, w = b.T
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], 1)


def _rotations(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """(K, 3, 3): roll about x, then pitch about y, then yaw about z."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.array(rows, np.float32).transpose(2, 0, 1)
