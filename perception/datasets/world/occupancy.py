"""Occupancy truth in the ego frame, laid out as Occ3D does: classes of voxels and what the cameras and the LiDAR observed.

Index order (x, y, z); voxel i covers ``lower + i * size``. Labels are this world's semantic ids, 255 = free; `occ3d_labels` translates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perception.datasets.world import classes
from perception.datasets.world.raycast import PosedScene
from perception.geometry import transforms
from perception.geometry.cameras import Pinhole

FREE = 255


@dataclass(frozen=True)
class Grid:
    """Voxel raster. lower (x, y, z) corner in metres, voxel edge in metres, shape in voxels; the default is Occ3D-nuScenes."""

    lower: tuple[float, float, float] = (-40.0, -40.0, -1.0)
    voxel: float = 0.4
    shape: tuple[int, int, int] = (200, 200, 16)

    def centres(self) -> np.ndarray:
        """Return (X * Y * Z, 3) float64 voxel centres, ego frame."""
        axes = [low + (np.arange(n) + 0.5) * self.voxel for low, n in zip(self.lower, self.shape, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


@dataclass
class Occupancy:
    """semantics (X, Y, Z) uint8 semantic ids, 255 = free; instance (X, Y, Z) int32; mask_camera, mask_lidar (X, Y, Z) bool: observed."""

    grid: Grid
    semantics: np.ndarray
    instance: np.ndarray
    mask_camera: np.ndarray
    mask_lidar: np.ndarray


def occupancy(
    posed: PosedScene,
    world_from_ego: np.ndarray,
    cameras: list[tuple[Pinhole, np.ndarray]],
    lidars: list[tuple],
    grid: Grid,
) -> Occupancy:
    """Return the occupied voxels around the ego pose.

    cameras: (camera, world_from_camera) pairs; lidars: (`lidar.Pattern`, world_from_sensor) pairs. A voxel is occupied when surface lies in it
    (solid bodies are hollow, as scans show them) and observed when the line from a sensor to its centre meets nothing before it.
    """
    semantics, instance = _surface(posed, world_from_ego, grid)
    centres = transforms.apply(world_from_ego, grid.centres())
    seen_camera, seen_lidar = np.zeros(len(centres), bool), np.zeros(len(centres), bool)
    for camera, world_from_camera in cameras:
        local = transforms.apply(transforms.inverse(world_from_camera), centres)
        pixels, depth = camera.project(local)
        inside = (depth > 0.1) & (pixels[:, 0] >= 0) & (pixels[:, 0] < camera.width)
        inside &= (pixels[:, 1] >= 0) & (pixels[:, 1] < camera.height)
        _observe(posed, world_from_camera[:3, 3], centres, np.flatnonzero(inside & ~seen_camera), seen_camera, grid)
    for pattern, world_from_sensor in lidars:
        local = transforms.apply(transforms.inverse(world_from_sensor), centres)
        up = np.arctan2(local[:, 2], np.hypot(local[:, 0], local[:, 1]))
        reach = np.linalg.norm(local, axis=1) < pattern.max_range
        # A voxel is within the fan of beams when any part of it is.
        slack = grid.voxel / 2 / np.maximum(np.linalg.norm(local, axis=1), 1.0)
        inside = reach & (up > pattern.elevations[0] - slack) & (up < pattern.elevations[-1] + slack)
        _observe(posed, world_from_sensor[:3, 3], centres, np.flatnonzero(inside), seen_lidar, grid)
    shape = grid.shape
    return Occupancy(grid, semantics, instance, seen_camera.reshape(shape), seen_lidar.reshape(shape))


def _observe(posed, eye, centres, rows, seen, grid) -> None:
    """Mark the voxels `rows` that the eye sees: nothing on the way, up to the voxel's own near side."""
    segment = centres[rows] - eye
    length = np.linalg.norm(segment, axis=1, keepdims=True)
    # A surface anywhere in the voxel must not hide the voxel from its own centre: stop half a diagonal before it.
    segment *= np.maximum(1.0 - 0.87 * grid.voxel / np.maximum(length, 1e-6), 0.0)
    blocked = posed.blocked_between(eye.astype(np.float32), segment.astype(np.float32))
    seen[rows[~blocked]] = True


# Rarer and thinner things win a voxel over the ground and walls that share it.
_PRIORITY = np.full(256, 2, np.uint8)
for _name in ("road", "pavement", "terrain", "floor"):
    _PRIORITY[classes.ID[_name]] = 0
for _name in ("building", "wall", "ceiling", "vegetation"):
    _PRIORITY[classes.ID[_name]] = 1
for _id in classes.THING_IDS:
    _PRIORITY[_id] = 3


def _surface(posed: PosedScene, world_from_ego: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Voxelise all triangles within the grid: (X, Y, Z) uint8 classes and int32 instances."""
    ego_from_world = transforms.inverse(np.asarray(world_from_ego, np.float64)).astype(np.float32)
    vertices = posed.mesh.vertices @ ego_from_world[:3, :3].T + ego_from_world[:3, 3]
    corners = vertices[posed.mesh.triangles]  # (T, 3, 3)
    lower = np.float32(grid.lower)
    upper = lower + np.float32(grid.voxel) * np.float32(grid.shape)
    near = ((corners.max(1) > lower) & (corners.min(1) < upper)).all(1)
    index = np.flatnonzero(near)
    corners = corners[index]
    step = grid.voxel / 2.5
    edges = np.stack([np.linalg.norm(corners[:, i] - corners[:, (i + 1) % 3], axis=1) for i in range(3)], 1)
    labels = np.full(np.prod(grid.shape), FREE, np.uint8)
    instance = np.zeros(np.prod(grid.shape), np.int32)
    rank = np.zeros(np.prod(grid.shape), np.int64)
    # Triangles are sampled on a barycentric lattice fine enough for their longest edge; those with equal lattices go together.
    divisions = np.maximum(np.ceil(edges.max(1) / step).astype(np.int64), 1)
    divisions = 2 ** np.ceil(np.log2(divisions)).astype(np.int64)
    for n in np.unique(divisions):
        rows = np.flatnonzero(divisions == n)
        i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        lattice = np.stack([i, j], -1)[i + j <= n].astype(np.float32) / n
        for part in np.array_split(rows, max(1, len(rows) * len(lattice) // 2_000_000)):
            origin, u, v = corners[part, 0], corners[part, 1] - corners[part, 0], corners[part, 2] - corners[part, 0]
            if n > 256:
                origin, u, v, owner = _within(origin, u, v, part, lower, upper, grid)
                points = origin
            else:
                points = origin[:, None] + lattice[:, :1] * u[:, None] + lattice[:, 1:] * v[:, None]
                owner = np.broadcast_to(part[:, None], points.shape[:2]).reshape(-1)
                points = points.reshape(-1, 3)
            cell = np.floor((points - lower) / np.float32(grid.voxel)).astype(np.int64)
            inside = ((cell >= 0) & (cell < grid.shape)).all(1)
            cell, owner = cell[inside], owner[inside]
            flat = (cell[:, 0] * grid.shape[1] + cell[:, 1]) * grid.shape[2] + cell[:, 2]
            triangle = index[owner]
            order = _PRIORITY[posed.mesh.semantic[triangle]].astype(np.int64) * (1 << 32) + triangle + 1
            np.maximum.at(rank, flat, order)
    filled = np.flatnonzero(rank)
    triangle = (rank[filled] & ((1 << 32) - 1)) - 1
    labels[filled] = posed.mesh.semantic[triangle]
    instance[filled] = posed.mesh.instance[triangle]
    return labels.reshape(grid.shape), instance.reshape(grid.shape)


def _within(origin, u, v, part, lower, upper, grid):
    """Sample huge triangles (ground planes) inside the grid only: columns of voxels are cut with each triangle's plane."""
    points, owners = [], []
    step = np.float32(grid.voxel / 2.5)
    for row in range(len(part)):
        normal = np.cross(u[row], v[row])
        axis = int(np.argmax(np.abs(normal)))
        first, second = [a for a in range(3) if a != axis]
        # A raster over the two axes along which the triangle is broadest, cut to the grid.
        triangle = np.stack([origin[row], origin[row] + u[row], origin[row] + v[row]])
        low = np.maximum(triangle.min(0), lower)[[first, second]]
        high = np.minimum(triangle.max(0), upper)[[first, second]]
        a, b = (np.arange(lo + step / 2, hi, step, dtype=np.float32) for lo, hi in zip(low, high, strict=True))
        if not len(a) or not len(b):
            continue
        a, b = (x.ravel() for x in np.meshgrid(a, b, indexing="ij"))
        matrix = np.array([[u[row][first], v[row][first]], [u[row][second], v[row][second]]], np.float64)
        weights = np.linalg.solve(matrix, np.stack([a - origin[row][first], b - origin[row][second]]))
        inside = (weights >= 0).all(0) & (weights.sum(0) <= 1)
        weights = weights[:, inside].astype(np.float32)
        points.append(origin[row] + weights[0][:, None] * u[row] + weights[1][:, None] * v[row])
        owners.append(np.full(inside.sum(), part[row]))
    if not points:
        return np.zeros((0, 3), np.float32), None, None, np.zeros(0, np.int64)
    return np.concatenate(points).astype(np.float32), None, None, np.concatenate(owners)


_OCC3D = {
    "barrier": 1,
    "bicycle": 2,
    "bus": 3,
    "car": 4,
    "construction_vehicle": 5,
    "motorcycle": 6,
    "person": 7,
    "traffic_cone": 8,
    "trailer": 9,
    "truck": 10,
    "road": 11,
    "pavement": 13,
    "terrain": 14,
    "building": 15,
    "fence": 15,
    "pole": 15,
    "traffic_sign": 15,
    "traffic_light": 15,
    "vegetation": 16,
}


def occ3d_labels(semantics: np.ndarray) -> np.ndarray:
    """Translate semantic ids to Occ3D-nuScenes labels: 0 others, 1..16 classes, 17 free."""
    table = np.zeros(256, np.uint8)
    for name, label in _OCC3D.items():
        table[classes.ID[name]] = label
    table[FREE] = 17
    return table[semantics]
