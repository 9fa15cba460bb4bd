"""Triangle meshes and a builder that instances unit shapes in NumPy.

Frames: objects have their own frame (x forward, y left, z up, metres). Triangles are counter-clockwise seen from outside,
though nothing depends on it: hits report the normal that faces the ray.

`local` are the coordinates that textures are mapped by (box mapping along the largest component of the triangle's
normal in `local`): object-frame metres by default, so a texture sticks to a moving object and has true size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from perception.datasets.world.shapes import unit_bevelled_box, unit_box, unit_cylinder, unit_gable, unit_sphere


@dataclass
class Mesh:
    """vertices (V, 3) float32; triangles (T, 3) int32; material (T,) int16; semantic (T,) uint8; instance (T,) int32
    (0 = none); local (V, 3) float32 texture coordinates in metres."""

    vertices: np.ndarray
    triangles: np.ndarray
    material: np.ndarray
    semantic: np.ndarray
    instance: np.ndarray
    local: np.ndarray

    @staticmethod
    def empty() -> Mesh:
        """A mesh without triangles."""
        return Mesh(
            np.zeros((0, 3), np.float32),
            np.zeros((0, 3), np.int32),
            np.zeros(0, np.int16),
            np.zeros(0, np.uint8),
            np.zeros(0, np.int32),
            np.zeros((0, 3), np.float32),
        )

    @staticmethod
    def concatenate(meshes: list[Mesh]) -> Mesh:
        """One mesh of all triangles, in order."""
        meshes = [m for m in meshes if len(m.triangles)]
        if not meshes:
            return Mesh.empty()
        counts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
        triangles = [m.triangles + np.int32(c) for m, c in zip(meshes, counts, strict=True)]
        parts = {
            name: np.concatenate([getattr(m, name) for m in meshes])
            for name in ("vertices", "material", "semantic", "instance", "local")
        }
        return Mesh(triangles=np.concatenate(triangles), **parts)

    def transformed(self, target_from_object: np.ndarray) -> Mesh:
        """The mesh with its vertices mapped by a 4x4 matrix; `local` stays, so textures move along."""
        matrix = np.asarray(target_from_object, np.float32)
        vertices = self.vertices @ matrix[:3, :3].T + matrix[:3, 3]
        return Mesh(vertices, self.triangles, self.material, self.semantic, self.instance, self.local)

    def with_instance(self, instance: int) -> Mesh:
        """The mesh with every triangle's instance id replaced."""
        ids = np.full(len(self.triangles), instance, np.int32)
        return Mesh(self.vertices, self.triangles, self.material, self.semantic, ids, self.local)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest corner, (3,) float32 each."""
        return self.vertices.min(0), self.vertices.max(0)


def rotation_z(yaw: float) -> np.ndarray:
    """(3, 3) float32 rotation about the up axis by `yaw` radians."""
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """(3, 3) float32: roll about x, then pitch about y (positive = nose down), then yaw about z."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    return np.array(
        (
            (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
            (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
            (-sp, cp * sr, cp * cr),
        ),
        np.float32,
    )


def pose(position, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """(4, 4) float32 target_from_object."""
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = rotation(yaw, pitch, roll)
    matrix[:3, 3] = position
    return matrix


class MeshBuilder:
    """Collects shapes into one `Mesh`. Every method takes positions and sizes of one or many copies at once.

    `material`, `semantic` and `instance` are the current attributes; each call may override them. Calls with K copies
    broadcast: ``centre`` (3,) or (K, 3), ``size`` (3,) or (K, 3), ``yaw`` scalar or (K,), ``material`` int or (K,).

    >>> b = MeshBuilder(semantic=3)
    >>> b.box(centre=[(0, 0, 1), (4, 0, 1)], size=(2, 2, 2), material=0)
    >>> len(b.build().triangles)
    24
    """

    def __init__(self, material: int = 0, semantic: int = 0, instance: int = 0) -> None:
        self.material, self.semantic, self.instance = material, semantic, instance
        self._parts: list[tuple[np.ndarray, ...]] = []

    # shapes ---------------------------------------------------------------------------------------------------------

    def box(self, centre, size, yaw=0.0, **attributes) -> None:
        """Axis-aligned (before `yaw`) boxes by centre and full size."""
        self.instances(unit_box(), centre, size, yaw, **attributes)

    def bevelled_box(self, centre, size, yaw=0.0, bevel: float = 0.12, **attributes) -> None:
        """Boxes with cut edges; softer silhouettes and highlights."""
        self.instances(unit_bevelled_box(bevel), centre, size, yaw, **attributes)

    def cylinder(self, centre, size, yaw=0.0, sides: int = 10, taper: float = 1.0, **attributes) -> None:
        """Cylinders along z; size = (diameter x, diameter y, height)."""
        self.instances(unit_cylinder(sides, taper), centre, size, yaw, **attributes)

    def cone(self, centre, size, yaw=0.0, sides: int = 10, **attributes) -> None:
        """Cones along z, tip up."""
        self.instances(unit_cylinder(sides, 0.0), centre, size, yaw, **attributes)

    def sphere(self, centre, size, yaw=0.0, level: int = 1, **attributes) -> None:
        """Ellipsoids; size = three diameters."""
        self.instances(unit_sphere(level), centre, size, yaw, **attributes)

    def blob(
        self, rng: np.random.Generator, centre, size, roughness: float = 0.2, level: int = 1, **attributes
    ) -> None:
        """Ellipsoids with vertices jittered along their radius."""
        v, t = unit_sphere(level)
        centre = np.atleast_2d(np.asarray(centre, np.float32))
        scale = 1 + roughness * rng.uniform(-1, 1, (len(centre), len(v), 1)).astype(np.float32)
        size = np.broadcast_to(np.asarray(size, np.float32), centre.shape)
        self.batch(v * scale * size[:, None] + centre[:, None], t, **attributes)

    def gable(self, centre, size, yaw=0.0, **attributes) -> None:
        """Gable roofs, ridge along x."""
        self.instances(unit_gable(), centre, size, yaw, **attributes)

    def quad(self, corners, **attributes) -> None:
        """Flat (or slightly bent) quads: corners (4, 3) or (K, 4, 3), counter-clockwise from the front."""
        corners = np.asarray(corners, np.float32).reshape(-1, 4, 3)
        self.batch(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32), **attributes)

    def tube(self, start, end, diameter, sides: int = 6, taper: float = 1.0, caps: bool = True, **attributes):
        """Cylinders from `start` to `end`, (3,) or (K, 3) each; diameter scalar or (K,); `taper` = end / start diameter."""
        start, end = (np.atleast_2d(np.asarray(p, np.float32)) for p in (start, end))
        start, end = np.broadcast_arrays(start, end)
        axis = end - start
        length = np.linalg.norm(axis, axis=1, keepdims=True)
        axis = axis / np.maximum(length, 1e-9)
        helper = np.where(np.abs(axis[:, 2:]) > 0.9, np.float32([1, 0, 0]), np.float32([0, 0, 1]))
        side = np.cross(helper, axis)
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        frames = np.stack([side, np.cross(axis, side), axis], 2)  # (K, 3, 3) columns = axes
        v, t = unit_cylinder(sides, taper, caps)
        d = np.broadcast_to(np.asarray(diameter, np.float32).reshape(-1, 1), (len(start), 1))
        scaled = v[None] * np.concatenate([d, d, length], 1)[:, None].astype(np.float32)
        self.batch(np.einsum("kij,kvj->kvi", frames, scaled) + ((start + end) / 2)[:, None], t, **attributes)

    # general --------------------------------------------------------------------------------------------------------

    def instances(self, template, centre, size=1.0, yaw=0.0, **attributes) -> None:
        """K scaled, turned and shifted copies of a template ``(vertices, triangles)``."""
        v, t = template
        centre = np.atleast_2d(np.asarray(centre, np.float32))
        size = np.asarray(size, np.float32)
        size = np.broadcast_to(
            size if size.ndim else np.full(3, size, np.float32), (max(len(centre), np.atleast_2d(size).shape[0]), 3)
        )
        vertices = v[None] * size[:, None]
        yaw = np.asarray(yaw, np.float32)
        if yaw.any():
            c, s = np.cos(yaw).reshape(-1, 1), np.sin(yaw).reshape(-1, 1)
            x, y = vertices[..., 0], vertices[..., 1]
            vertices = np.stack([c * x - s * y, s * x + c * y, np.broadcast_to(vertices[..., 2], (c * x).shape)], -1)
        self.batch(vertices + centre[:, None], t, **attributes)

    def batch(
        self, vertices: np.ndarray, triangles: np.ndarray, material=None, semantic=None, instance=None, local=None
    ):
        """K copies that share their triangles: vertices (K, V, 3), triangles (T, 3).

        material, semantic, instance: scalars, (K,) for one value a copy, or (T,)/(K, T) per triangle ((K,) wins when K == T).
        local: (K, V, 3) texture coordinates; default the vertices."""
        vertices = np.ascontiguousarray(vertices, np.float32)
        if vertices.ndim == 2:
            vertices = vertices[None]
        copies, count, _ = vertices.shape
        total = len(triangles)
        offsets = (np.arange(copies, dtype=np.int32) * count)[:, None, None]
        faces = (np.asarray(triangles, np.int32)[None] + offsets).reshape(-1, 3)
        columns = []
        for value, default, dtype in (
            (material, self.material, np.int16),
            (semantic, self.semantic, np.uint8),
            (instance, self.instance, np.int32),
        ):
            value = np.asarray(default if value is None else value, dtype)
            if value.ndim == 1 and len(value) == copies:
                value = value[:, None]
            columns.append(np.broadcast_to(value, (copies, total)).reshape(-1))
        local = vertices if local is None else np.broadcast_to(np.asarray(local, np.float32), vertices.shape)
        self._parts.append((vertices.reshape(-1, 3), faces, *columns, local.reshape(-1, 3)))

    def mesh(self, vertices: np.ndarray, triangles: np.ndarray, **attributes) -> None:
        """One free mesh: vertices (V, 3), triangles (T, 3); attributes as in `batch` with one copy."""
        self.batch(np.asarray(vertices)[None], triangles, **attributes)

    def add(self, mesh: Mesh, target_from_object: np.ndarray | None = None) -> None:
        """Append a finished mesh, optionally moved; its attributes stay."""
        if target_from_object is not None:
            mesh = mesh.transformed(target_from_object)
        self._parts.append((mesh.vertices, mesh.triangles, mesh.material, mesh.semantic, mesh.instance, mesh.local))

    def build(self) -> Mesh:
        """The mesh of everything collected so far."""
        return Mesh.concatenate([Mesh(*part) for part in self._parts])
