"""Exact motion truth of a picture: optical flow, scene flow, disparity.

Every pixel's surface point is carried along with the object that it belongs to, so flow is exact for rigid objects and the static world.
"""

from __future__ import annotations

import numpy as np

from perception.datasets.world.raycast import Hits
from perception.datasets.world.scene import Scene
from perception.geometry import transforms
from perception.geometry.cameras import Equirectangular, Pinhole


def carried(scene: Scene, hits: Hits, time: float, other_time: float) -> np.ndarray:
    """Return (N, 3) float64: where the hit points are in the world at `other_time`."""
    points = hits.position.astype(np.float64)
    instance = hits.instance
    moving = [item for item in scene.objects if item.motion.moving]
    if not moving or other_time == time:
        return points
    for item in moving:
        rows = np.flatnonzero(instance == item.id)
        if len(rows):
            now, then = item.pose(time).astype(np.float64), item.pose(other_time).astype(np.float64)
            points[rows] = transforms.apply(then @ np.linalg.inv(now), points[rows])
    return points


def flow(
    scene: Scene,
    hits: Hits,
    camera: Pinhole | Equirectangular,
    time: float,
    other_time: float,
    other_camera: Pinhole | Equirectangular,
    world_from_camera: np.ndarray,
    world_from_other: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the motion of every pixel from the picture at `time` to the other picture (another time, place or camera).

    ``flow`` (H, W, 2) float32 pixels (u, v), the sky's included (it turns with the camera); ``flow_valid`` (H, W) bool: the point lies inside
    the other picture and nothing covers it there; ``scene_flow`` (H, W, 3) float32 metres: the point in the other camera's frame minus
    the point in this camera's frame (so it holds the ego motion too), 0 on the sky.
    """
    shape = (camera.height, camera.width)
    points = carried(scene, hits, time, other_time)
    other_from_world = transforms.inverse(np.asarray(world_from_other, np.float64))
    camera_from_world = transforms.inverse(np.asarray(world_from_camera, np.float64))
    there = transforms.apply(other_from_world, points)
    sky = ~hits.valid
    if sky.any():
        there[sky] = hits.directions[sky].astype(np.float64) @ other_from_world[:3, :3].T
    pixels, depth = other_camera.project(there)
    column, row = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    motion = pixels.reshape(*shape, 2) - np.stack([column, row], -1)
    if isinstance(other_camera, Equirectangular) and other_camera.wraps:
        motion[..., 0] = (motion[..., 0] + other_camera.width / 2) % other_camera.width - other_camera.width / 2
    u, v = pixels[:, 0], pixels[:, 1]
    inside = np.isfinite(u) & (depth > 0) & (u >= 0) & (v >= 0) & (u < other_camera.width) & (v < other_camera.height)
    rows = np.flatnonzero(inside)
    eye = np.asarray(world_from_other)[:3, 3]
    towards = np.where(sky[rows, None], hits.directions[rows] * 1e4, points[rows] - eye).astype(np.float32)
    # Stop a little before the point itself: 1 % of the way, which grazing surfaces need.
    covered = scene.at(other_time).blocked_between(eye.astype(np.float32), towards * np.float32(0.99))
    visible = inside.copy()
    visible[rows[covered]] = False
    shift = there - transforms.apply(camera_from_world, hits.position.astype(np.float64))
    shift[sky] = 0
    return {
        "flow": np.nan_to_num(motion, nan=0.0).astype(np.float32),
        "flow_valid": visible.reshape(shape),
        "scene_flow": shift.reshape(*shape, 3).astype(np.float32),
    }


def disparity(depth: np.ndarray, valid: np.ndarray, focal: float, baseline: float) -> np.ndarray:
    """Return (H, W) float32 pixels: ``focal * baseline / depth`` where valid, else 0 (also the sky, which lies at infinity)."""
    return np.where(valid, focal * baseline / np.maximum(depth, 1e-6), 0).astype(np.float32)
