"""Ray casting. The only module that touches Open3D, so that another Embree binding can take its place.

Frame: world (x forward/east, y left/north, z up, metres). Rays are arrays of N origins and N unit directions, (N, 3)
float32 (origins may be (3,) for one viewpoint); results are flat, in the rays' order: reshape to (H, W) as needed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from perception.datasets.world.lighting import Lighting
    from perception.datasets.world.materials import MaterialTable
    from perception.datasets.world.mesh import Mesh

MISS = -1


class Caster:
    """Closest-hit and any-hit queries against one triangle soup, on one thread (workers are processes)."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        import open3d.core as o3c
        import open3d.t.geometry as geometry

        self._tensor = o3c.Tensor.from_numpy
        self._scene = geometry.RaycastingScene(nthreads=1)
        self._empty = len(triangles) == 0
        if not self._empty:
            vertices = np.ascontiguousarray(vertices, np.float32)
            self._scene.add_triangles(self._tensor(vertices), self._tensor(np.ascontiguousarray(triangles, np.uint32)))

    def closest(self, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """rays (N, 6) -> t (N,) float32 (inf = miss), triangle (N,) int32 (-1 = miss), barycentric (N, 2) float32."""
        if self._empty:
            n = len(rays)
            return np.full(n, np.inf, np.float32), np.full(n, MISS, np.int32), np.zeros((n, 2), np.float32)
        answer = self._scene.cast_rays(self._tensor(rays), nthreads=1)
        # Misses carry the largest uint32, which reads as -1 when viewed as int32.
        triangle = answer["primitive_ids"].numpy().view(np.int32)
        return answer["t_hit"].numpy(), triangle, answer["primitive_uvs"].numpy()

    def any(self, rays: np.ndarray, near: float, far: float) -> np.ndarray:
        """rays (N, 6) -> (N,) bool: whether something lies between `near` and `far` times the direction's length."""
        if self._empty:
            return np.zeros(len(rays), bool)
        return self._scene.test_occlusions(self._tensor(rays), tnear=near, tfar=far, nthreads=1).numpy()


class PairCaster:
    """Two casters as one: the parts that rest, built once a scene, and those that move, built for every instant.

    The moving triangles come after the resting ones: their numbers start at `first`."""

    def __init__(self, still: Caster, moving: Caster, first: int) -> None:
        self.still, self.moving, self.first = still, moving, np.int32(first)

    def closest(self, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `Caster.closest`."""
        t, triangle, barycentric = self.still.closest(rays)
        other_t, other, other_barycentric = self.moving.closest(rays)
        nearer = np.flatnonzero(other_t < t)
        if len(nearer):
            # Open3D's arrays may be read-only views: write into copies.
            t, triangle, barycentric = t.copy(), triangle.copy(), barycentric.copy()
            t[nearer], barycentric[nearer] = other_t[nearer], other_barycentric[nearer]
            triangle[nearer] = other[nearer] + self.first
        return t, triangle, barycentric

    def any(self, rays: np.ndarray, near: float, far: float) -> np.ndarray:
        """As `Caster.any`."""
        return self.still.any(rays, near, far) | self.moving.any(rays, near, far)


def pack_rays(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(N, 6) float32 from origins (3,) or (N, 3) and directions (N, 3)."""
    rays = np.empty((len(directions), 6), np.float32)
    rays[:, :3] = origins
    rays[:, 3:] = directions
    return rays


class Hits:
    """What N rays met. t (N,) float32 metres (inf = sky); triangle (N,) int32 (-1 = sky); barycentric (N, 2) float32 (u, v):
    the point is (1-u-v) a + u b + v c. The rest is computed when first asked for:

    valid (N,) bool; position (N, 3) float32 world (0 where sky); normal (N, 3) float32 unit, world, facing the ray (0 where sky);
    instance (N,) int32 (0 = none); semantic (N,) uint8 (0 = sky); material (N,) int16 (-1 = sky); local (N, 3) float32.
    """

    def __init__(self, posed: PosedScene, origins, directions, t, triangle, barycentric) -> None:
        self.posed, self.origins, self.directions = posed, origins, directions
        self.t, self.triangle, self.barycentric = t, triangle, barycentric

    def __len__(self) -> int:
        return len(self.t)

    @cached_property
    def valid(self) -> np.ndarray:
        return self.triangle >= 0

    @cached_property
    def position(self) -> np.ndarray:
        points = np.zeros((len(self), 3), np.float32)
        rows = np.flatnonzero(self.valid)
        points[rows] = self.points(rows)
        return points

    def points(self, rows: np.ndarray | slice) -> np.ndarray:
        """(n, 3) float32 world positions of the rays `rows`, all of which must have met something."""
        points = self.directions[rows] * self.t[rows][:, None]
        points += self.origins if self.origins.ndim == 1 else self.origins[rows]
        return points

    @cached_property
    def normal(self) -> np.ndarray:
        # The row -1 is zero.
        normal = np.take(self.posed.triangle_normals, self.triangle, axis=0, mode="wrap")
        d = self.directions
        away = np.flatnonzero(normal[:, 0] * d[:, 0] + normal[:, 1] * d[:, 1] + normal[:, 2] * d[:, 2] > 0)
        normal[away] = -normal[away]
        return normal

    @cached_property
    def instance(self) -> np.ndarray:
        return np.take(self.posed.instance, self.triangle, mode="wrap")

    @cached_property
    def semantic(self) -> np.ndarray:
        return np.take(self.posed.semantic, self.triangle, mode="wrap")

    @cached_property
    def material(self) -> np.ndarray:
        return np.take(self.posed.material, self.triangle, mode="wrap")

    @cached_property
    def local(self) -> np.ndarray:
        corners = self.posed.mesh.triangles[self.triangle]
        local = self.posed.mesh.local
        u, v = self.barycentric[:, :1], self.barycentric[:, 1:]
        a = local[corners[:, 0]]
        points = a + u * (local[corners[:, 1]] - a) + v * (local[corners[:, 2]] - a)
        points[~self.valid] = 0
        return points


class PosedScene:
    """A scene at one instant: all triangles in the world frame, ready for rays.

    mesh: `Mesh` in the world frame. triangle_normals (T+1, 3), instance, semantic, material (T+1,): per triangle, with a last
    row for misses (index -1): normal 0, instance 0, semantic 0 (sky), material -1.
    It does not refer to its `Scene`, so that scenes are freed without the garbage collector.
    """

    def __init__(self, time: float, mesh: Mesh, materials: MaterialTable, lighting: Lighting, shared: dict) -> None:
        self.time, self.mesh, self.materials, self.lighting = time, mesh, materials, lighting
        self.shared = shared  # per-triangle tables that do not depend on the time, filled by `shading`

    @cached_property
    def caster(self) -> Caster | PairCaster:
        vertices, triangles, first = self.mesh.vertices, self.mesh.triangles, self.first_moving
        if "still" not in self.shared:
            self.shared["still"] = Caster(vertices, triangles[:first])
        if first == len(triangles):
            return self.shared["still"]
        used = triangles[first:]
        low = int(used.min())
        return PairCaster(self.shared["still"], Caster(vertices[low:], used - low), first)

    @property
    def first_moving(self) -> int:
        """Number of the first triangle of a moving object; these come last."""
        return self.shared.get("first_moving", len(self.mesh.triangles))

    @cached_property
    def triangle_normals(self) -> np.ndarray:
        first = self.first_moving
        if "still_normals" not in self.shared:
            self.shared["still_normals"] = self._normals(0, first)
        normals = np.zeros((len(self.mesh.triangles) + 1, 3), np.float32)
        normals[:first] = self.shared["still_normals"]
        normals[first:-1] = self._normals(first, len(self.mesh.triangles))
        return normals

    def _normals(self, first: int, last: int) -> np.ndarray:
        v, t = self.mesh.vertices, self.mesh.triangles[first:last]
        a, b, c = v[t[:, 0]], v[t[:, 1]], v[t[:, 2]]
        b = b - a
        c = c - a
        normals = np.empty((len(t), 3), np.float32)
        normals[:, 0] = b[:, 1] * c[:, 2] - b[:, 2] * c[:, 1]
        normals[:, 1] = b[:, 2] * c[:, 0] - b[:, 0] * c[:, 2]
        normals[:, 2] = b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0]
        length = np.sqrt(np.einsum("ij,ij->i", normals, normals))
        normals /= np.maximum(length, 1e-20)[:, None]
        return normals

    @cached_property
    def instance(self) -> np.ndarray:
        if "instance" not in self.shared:
            self.shared["instance"] = np.append(self.mesh.instance, np.int32(0))
        return self.shared["instance"]

    @cached_property
    def semantic(self) -> np.ndarray:
        if "semantic" not in self.shared:
            self.shared["semantic"] = np.append(self.mesh.semantic, np.uint8(0))
        return self.shared["semantic"]

    @cached_property
    def material(self) -> np.ndarray:
        if "material" not in self.shared:
            self.shared["material"] = np.append(self.mesh.material, np.int16(MISS))
        return self.shared["material"]

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """Closest hits of N rays. origins (3,) or (N, 3), directions (N, 3) unit vectors, world frame, float32."""
        origins = np.asarray(origins, np.float32)
        directions = np.ascontiguousarray(directions, np.float32)
        return Hits(self, origins, directions, *self.caster.closest(pack_rays(origins, directions)))

    def occluded(self, origins: np.ndarray, directions: np.ndarray, max_t=np.inf) -> np.ndarray:
        """(N,) bool: whether anything lies within (0.001, max_t) along each ray; max_t scalar or (N,) metres."""
        if np.ndim(max_t) == 0:
            return self.caster.any(pack_rays(origins, directions), 1e-3, float(max_t))
        return self.blocked_between(
            origins, np.asarray(directions, np.float32) * np.asarray(max_t, np.float32)[:, None]
        )

    def blocked_between(self, origins: np.ndarray, segments: np.ndarray) -> np.ndarray:
        """(N,) bool: whether anything lies on the segments from origins (N, 3) to origins + segments."""
        return self.caster.any(pack_rays(origins, segments), 1e-4, 1.0)
