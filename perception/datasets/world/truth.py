"""Exact ground truth of boxes: 2D and 3D, with truncation and occlusion as KITTI means them and visibility as nuScenes does.

2D boxes are [left, top, right, bottom] in continuous pixels (pixel ``u`` spans ``u .. u+1``). 3D boxes follow
`perception.geometry.boxes3d`: geometric centre, length, width, height, yaw about the up axis.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from perception.datasets.world.scene import Scene
from perception.geometry import boxes3d, transforms
from perception.geometry.cameras import Equirectangular, Pinhole

NEAR = 0.05
_SAMPLES = 14  # rays per box side for the visible share
_LAYERS = 6  # surfaces within an object's sphere that are looked through
_SIGNS = boxes3d.corners(np.array([[0, 0, 0, 1, 1, 1, 0.0]]), "ego")[0]


@dataclass
class Boxes:
    """N objects seen by one camera (or, for `scene_boxes`, standing in the world).

    instance (N,) int32 = track id; category (N,) uint8 semantic id; boxes3d (N, 7) float32 camera frame (a tilted camera's boxes are
    upright in its own frame: use `corners` or `rotation` where the tilt matters); corners (N, 8, 3) float32 exact, camera frame;
    rotation (N, 3, 3) float32 camera_from_object; boxes_world (N, 7) float64; velocity (N, 3) float32 m/s, camera axes, over ground;
    velocity_world (N, 3); box2d (N, 4) float32 around the visible pixels (NaN when none is visible); box2d_full (N, 4) float32 of the whole
    object, occluded and outside parts too; truncation (N,) share of `box2d_full` outside the picture; visibility (N,) share of the
    object's pixels inside the picture that nothing covers; occlusion (N,) int8: 0 visible, 1 partly, 2 largely hidden, 3 not seen at all;
    visible_pixels (N,) int32; attribute, model: lists of N strings.
    """

    instance: np.ndarray
    category: np.ndarray
    boxes3d: np.ndarray
    corners: np.ndarray
    rotation: np.ndarray
    boxes_world: np.ndarray
    velocity: np.ndarray
    velocity_world: np.ndarray
    box2d: np.ndarray
    box2d_full: np.ndarray
    truncation: np.ndarray
    visibility: np.ndarray
    occlusion: np.ndarray
    visible_pixels: np.ndarray
    attribute: list[str]
    model: list[str]

    def __len__(self) -> int:
        return len(self.instance)

    def select(self, index: np.ndarray) -> Boxes:
        """Return the rows given by a mask or by indices."""
        rows = np.arange(len(self))[index]
        values = {}
        for item in fields(self):
            value = getattr(self, item.name)
            values[item.name] = [value[i] for i in rows] if isinstance(value, list) else value[rows]
        return Boxes(**values)


def visibility_level(share: np.ndarray) -> np.ndarray:
    """Return nuScenes' visibility token as int: 1 for 0-40 %, 2 for 40-60 %, 3 for 60-80 %, 4 for 80-100 %."""
    return (1 + np.digitize(share, [0.4, 0.6, 0.8])).astype(np.int8)


def occlusion_level(share: np.ndarray) -> np.ndarray:
    """Return KITTI's occlusion state of a visible share: 0 from 85 %, 1 from 50 %, 2 below, 3 when nothing is seen."""
    return np.select([share >= 0.85, share >= 0.5, share > 0], [0, 1, 2], 3).astype(np.int8)


def box_of(pose: np.ndarray, size: tuple[float, float, float]) -> np.ndarray:
    """Return (7,) world box of an object: x, y, z, length, width, height, yaw."""
    return np.array([*pose[:3, 3], *size, np.arctan2(pose[1, 0], pose[0, 0])], np.float64)


def pixel_counts(instance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ids in an instance map (H, W), their pixel counts, and (N, 4) int boxes [left, top, right, bottom) around them."""
    row, column = np.nonzero(instance)
    values = instance[row, column]
    order = np.argsort(values, kind="stable")
    values, row, column = values[order], row[order], column[order]
    if not len(values):
        return np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros((0, 4), np.int64)
    first = np.flatnonzero(np.diff(values, prepend=values[0] - 1))
    counts = np.diff(first, append=len(values))
    low, high = np.minimum.reduceat, np.maximum.reduceat
    boxes = np.stack([low(column, first), low(row, first), high(column, first) + 1, high(row, first) + 1], 1)
    return values[first], counts, boxes


def camera_boxes(
    scene: Scene,
    time: float,
    camera: Pinhole | Equirectangular,
    world_from_camera: np.ndarray,
    instance: np.ndarray,
    max_distance: float = 150.0,
) -> Boxes:
    """Return the boxes of all objects that reach into the picture, hidden ones included.

    instance: (H, W) instance map of the same picture (its visible pixels give `box2d`).
    """
    camera_from_world = transforms.inverse(np.asarray(world_from_camera, np.float64))
    items = scene.objects
    poses = np.array([item.pose(time) for item in items], np.float64).reshape(-1, 4, 4)
    sizes = np.array([item.size for item in items], np.float64).reshape(-1, 3)
    in_camera = camera_from_world @ poses
    centres = in_camera[:, :3, 3]
    near_enough = np.linalg.norm(centres, axis=1) < max_distance
    ids, counts, visible_boxes = pixel_counts(instance)
    count_of = np.zeros(max(int(ids.max(initial=0)), max((item.id for item in items), default=0)) + 1, np.int64)
    count_of[ids] = counts
    visible_of = np.full((len(count_of), 4), np.nan)
    visible_of[ids] = visible_boxes
    numbers = np.array([item.id for item in items], np.int64)
    near_enough |= count_of[numbers] > 0 if len(numbers) else near_enough
    keep = np.flatnonzero(near_enough)
    if isinstance(camera, Pinhole):
        full = _full_boxes(scene, time, camera, camera_from_world, keep)
        inside = np.concatenate([np.maximum(full[:, :2], 0), np.minimum(full[:, 2:], [camera.width, camera.height])], 1)
        seen = (inside[:, 2] - inside[:, 0] > 0.5) & (inside[:, 3] - inside[:, 1] > 0.5)
        seen |= count_of[numbers[keep]] > 0
        keep, full, inside = keep[seen], full[seen], inside[seen]
        area = lambda box: np.maximum(box[:, 2] - box[:, 0], 0) * np.maximum(box[:, 3] - box[:, 1], 0)  # noqa: E731
        truncation = np.clip(1 - area(inside) / np.maximum(area(full), 1e-9), 0, 1)
        visibility = _visible_share(
            scene, time, camera, world_from_camera, numbers[keep], inside, poses[keep], sizes[keep]
        )
    else:
        full = np.full((len(keep), 4), np.nan)
        truncation = np.zeros(len(keep))
        visibility = _visible_share_around(scene, time, world_from_camera, poses[keep], sizes[keep], numbers[keep])
    visible_pixels = count_of[numbers[keep]] if len(keep) else np.zeros(0, np.int64)
    # What has pixels is seen, however small the share that the sampled rays met.
    visibility = np.where(visible_pixels > 0, np.maximum(visibility, 0.01), 0.0)
    rotation, centre, size = in_camera[keep][:, :3, :3], centres[keep], sizes[keep]
    velocity_world = np.array([items[i].velocity(time) for i in keep], np.float64).reshape(-1, 3)
    yaw = np.arctan2(rotation[:, 2, 0], rotation[:, 0, 0])
    return Boxes(
        instance=numbers[keep].astype(np.int32),
        category=np.array([items[i].category for i in keep], np.uint8),
        boxes3d=np.concatenate([centre, size, yaw[:, None]], 1).astype(np.float32),
        corners=(np.einsum("nij,nkj->nki", rotation, _SIGNS * size[:, None]) + centre[:, None]).astype(np.float32),
        rotation=rotation.astype(np.float32),
        boxes_world=np.array([box_of(poses[i], sizes[i]) for i in keep], np.float64).reshape(-1, 7),
        velocity=(velocity_world @ camera_from_world[:3, :3].T).astype(np.float32),
        velocity_world=velocity_world.astype(np.float32),
        box2d=visible_of[numbers[keep]].astype(np.float32).reshape(-1, 4),
        box2d_full=full.astype(np.float32).reshape(-1, 4),
        truncation=truncation.astype(np.float32),
        visibility=visibility.astype(np.float32),
        occlusion=occlusion_level(visibility),
        visible_pixels=visible_pixels.astype(np.int32),
        attribute=[items[i].attribute for i in keep],
        model=[items[i].model for i in keep],
    )


def scene_boxes(scene: Scene, time: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (K,) instance ids and (K, 7) float64 world boxes of all objects."""
    boxes = [box_of(item.pose(time), item.size) for item in scene.objects]
    return np.array([item.id for item in scene.objects], np.int32), np.array(boxes, np.float64).reshape(-1, 7)


def _full_boxes(
    scene: Scene, time: float, camera: Pinhole, camera_from_world: np.ndarray, keep: np.ndarray
) -> np.ndarray:
    """Return (N, 4) tight rectangles around the whole projected meshes of the objects `keep`; NaN for those behind the camera."""
    vertices = scene.at(time).mesh.vertices
    spans = {
        item.id: slice(*span)
        for item, *span in zip(scene.ordered, scene.first_vertices[:-1], scene.first_vertices[1:], strict=True)
    }
    boxes = np.full((len(keep), 4), np.nan)
    rotation, shift = camera_from_world[:3, :3].astype(np.float32), camera_from_world[:3, 3].astype(np.float32)
    for row, index in enumerate(keep):
        item = scene.objects[index]
        points = vertices[spans[item.id]] @ rotation.T + shift
        front = points[:, 2] > NEAR
        if not front.any():
            continue
        if not front.all():
            points = _clipped(points, item.mesh.triangles)
        u = points[:, 0] / points[:, 2]
        v = points[:, 1] / points[:, 2]
        boxes[row] = (u.min(), v.min(), u.max(), v.max())
    boxes *= (camera.fx, camera.fy, camera.fx, camera.fy)
    return boxes + (camera.cx, camera.cy, camera.cx, camera.cy)


def _clipped(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return the points in front of the near plane and the crossings of the triangles' edges with it."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    a, b = points[edges[:, 0]], points[edges[:, 1]]
    crosses = (a[:, 2] > NEAR) != (b[:, 2] > NEAR)
    a, b = a[crosses], b[crosses]
    part = (NEAR - a[:, 2]) / (b[:, 2] - a[:, 2])
    cut = a + part[:, None] * (b - a)
    cut[:, 2] = NEAR
    return np.concatenate([points[points[:, 2] > NEAR], cut])


def _visible_share(scene, time, camera: Pinhole, world_from_camera, numbers, inside, poses, sizes) -> np.ndarray:
    """Return (N,): share of the rays through each box that meet the object first, among those that meet it at all."""
    grid = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    u = inside[:, None, 0] + grid * (inside[:, None, 2] - inside[:, None, 0])
    v = inside[:, None, 1] + grid * (inside[:, None, 3] - inside[:, None, 1])
    u = np.broadcast_to(u[:, None, :], (len(inside), _SAMPLES, _SAMPLES))
    v = np.broadcast_to(v[:, :, None], u.shape)
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], -1).reshape(-1, 3)
    return _first_share(scene, time, world_from_camera, rays, numbers, *_spheres(poses, sizes))


def _visible_share_around(scene, time, world_from_camera, poses, sizes, numbers) -> np.ndarray:
    """`_visible_share` without a picture plane: rays go to a grid of points within each object's box, as a panorama sees it."""
    grid = (np.arange(6) + 0.5) / 6 - 0.5
    points = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), -1).reshape(-1, 3)
    world = np.einsum("nij,nkj->nki", poses[:, :3, :3], points * sizes[:, None]) + poses[:, None, :3, 3]
    local = transforms.apply(transforms.inverse(np.asarray(world_from_camera, np.float64)), world.reshape(-1, 3))
    return _first_share(scene, time, world_from_camera, local, numbers, *_spheres(poses, sizes))


def _spheres(poses: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return centres (N, 3) and radii (N,) of spheres around the boxes, metres."""
    return poses[:, :3, 3], np.linalg.norm(sizes, axis=1) / 2 + 0.05


def _first_share(scene, time, world_from_camera, rays, numbers, centres, radii) -> np.ndarray:
    """rays (N * R, 3) camera frame, R for each object; centres (N, 3) world, radii (N,): spheres around the objects.

    A first cast tells who is seen. Where that is something in front, casts that start at the object's sphere peel off its content
    until the object is found or the sphere is left, which tells whether the ray would have met it.
    """
    if not len(numbers):
        return np.zeros(0)
    per_object = len(rays) // len(numbers)
    posed = scene.at(time)
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    directions = (rays @ np.asarray(world_from_camera)[:3, :3].T).astype(np.float32)
    origin = np.asarray(world_from_camera)[:3, 3]
    owner = np.repeat(np.asarray(numbers), per_object)
    hits = posed.cast(origin.astype(np.float32), directions)
    first = hits.instance == owner
    met = first.copy()
    along = np.einsum("ij,ij->i", directions, np.repeat(centres - origin, per_object, axis=0)).astype(np.float32)
    radius = np.repeat(radii, per_object).astype(np.float32)
    start, end = np.maximum(along - radius, 0), along + radius
    rest = np.flatnonzero(~first & (hits.t < end))
    start = np.maximum(start, 0)
    for _ in range(_LAYERS):
        if not len(rest):
            break
        origins = (origin + directions[rest] * start[rest, None]).astype(np.float32)
        behind = posed.cast(origins, directions[rest])
        own = behind.instance == owner[rest]
        met[rest[own]] = True
        start[rest] += behind.t + np.float32(1e-3)
        rest = rest[~own & (start[rest] < end[rest])]
    return first.reshape(len(numbers), -1).sum(1) / np.maximum(met.reshape(len(numbers), -1).sum(1), 1)
