"""3D scenes for the viewer: boxes as bars on a ground that is painted with the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.geometry import boxes3d as geometry
from perception.geometry import transforms
from perception.geometry.box_mesh import bars_mesh, joined
from perception.geometry.cameras import Pinhole
from perception.geometry.mesh import Mesh
from perception.io import glb

_GREY = (150, 155, 165)
_EYE_HEIGHT = 1.6  # metres, where nothing else tells how high the camera is


def eye_height(boxes: Any) -> float:
    """Metres from the camera down to the ground on which most boxes stand, a little below them; a person's where there are none."""
    if boxes is None or len(boxes) == 0:
        return _EYE_HEIGHT
    bottom = boxes.boxes[:, 1] + boxes.boxes[:, 5] / 2
    return float(np.clip(np.percentile(bottom, 80) + 0.05, 0.3, 12.0))


def street_scene(
    path: Path, image: np.ndarray, camera: Pinhole, boxes: Any, reach: tuple[float, float] = (24.0, 64.0)
) -> Path:
    """Write a GLB of camera-frame boxes on the ground before the camera, painted with the picture. reach: metres to each side and ahead."""
    height = eye_height(boxes)
    ground = painted_ground([(image, camera, np.eye(4))], "camera", height, (-reach[0], reach[0]), (1.0, reach[1]))
    return write_scene(path, "camera", [ground, *_bars(boxes), _frustum(camera)])


def rig_scene(path: Path, rig: Any, boxes: Any, occupancy: Any = None, reach: float = 40.0) -> Path:
    """Write a GLB around a vehicle: occupied voxels where they are known, else the painted ground; boxes (ego frame) as bars."""
    parts: list[Mesh] = []
    if occupancy is not None and occupancy.occupied.any():
        vertices, faces, colors = occupancy.mesh()
        parts.append(Mesh(vertices, faces, colors))
    elif rig is not None:
        cameras = [(c.image, c.camera, c.ego_from_camera) for c in rig.cameras]
        parts.append(painted_ground(cameras, "ego", 0.0, (-reach, reach), (-reach, reach)))
    own = np.array([[1.0, 0.0, 0.8, 4.6, 1.9, 1.6, 0.0]])
    ends = geometry.corners(own, "ego")[0][np.array(geometry.EDGES)]
    parts.append(bars_mesh(ends[:, 0], ends[:, 1], np.full((12, 3), 40, np.uint8), 0.08))
    return write_scene(path, "ego", [*parts, *_bars(boxes)])


def write_scene(path: Path, frame: str, meshes: Sequence[Mesh]) -> Path:
    """Join coloured meshes of one frame and write them upright."""
    mesh = joined([mesh for mesh in meshes if len(mesh.vertices)] or [Mesh(np.zeros((0, 3)), np.zeros((0, 3), int))])
    return glb.write_glb(path, glb.camera_axes(mesh.vertices, frame), colors=mesh.colors, faces=mesh.faces)


def painted_ground(
    cameras: Sequence[tuple[np.ndarray, Pinhole, np.ndarray]],
    frame: str,
    below: float,
    across: tuple[float, float],
    along: tuple[float, float],
    step: float = 0.25,
) -> Mesh:
    """A flat ground `below` metres under the frame's origin, with the colours that the pictures show there; what none shows is left out.

    cameras: (image (H, W, 3) uint8, its `Pinhole`, (4, 4) frame_from_camera). across, along: metres, from and to: on the frame's ground axes to the
    right and ahead ("camera": x and z; "ego": -y and x).
    """
    right = np.arange(across[0], across[1] + step / 2, step)
    ahead = np.arange(along[0], along[1] + step / 2, step)
    flat = np.stack(np.meshgrid(right, ahead, indexing="xy"), -1).reshape(-1, 2)
    level = np.full(len(flat), -float(below))
    ego = np.stack([flat[:, 1], -flat[:, 0], level], 1)
    points = transforms.apply(transforms.CAMERA_FROM_EGO, ego) if frame == "camera" else ego
    colors, seen = np.zeros((len(points), 3), np.uint8), np.zeros(len(points), bool)  # paler than the boxes on it
    for image, camera, frame_from_camera in cameras:
        pixels, depth = camera.project(transforms.apply(transforms.inverse(frame_from_camera), points))
        with np.errstate(invalid="ignore"):
            inside = (depth > 0.3) & (pixels >= 0).all(1) & (pixels < camera.size).all(1) & ~seen
        column, row = pixels[inside].astype(np.int64).T
        colors[inside] = 255 - (255 - image[row, column].astype(np.uint16)) * 3 // 5
        seen |= inside
    index = np.arange(len(points)).reshape(len(ahead), len(right))
    a, b, c, d = (m.reshape(-1) for m in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    faces = faces[seen[faces].all(1)]
    used = np.zeros(len(points), bool)
    used[faces.reshape(-1)] = True
    number = np.cumsum(used) - 1
    return Mesh(points[used].astype(np.float32), number[faces].astype(np.int32), colors[used])


def _bars(boxes: Any) -> list[Mesh]:
    return [] if boxes is None or len(boxes) == 0 else [boxes.mesh(0.08)]


def _frustum(camera: Pinhole, length: float = 1.0) -> Mesh:
    """The camera as a pyramid of bars."""
    corners = np.array([[0, 0], [camera.width, 0], [camera.width, camera.height], [0, camera.height]], np.float64)
    ends = camera.unproject_pixels(corners, np.full(4, length))
    starts = np.concatenate([np.zeros((4, 3)), ends])
    stops = np.concatenate([ends, np.roll(ends, -1, 0)])
    return bars_mesh(starts, stops, np.full((8, 3), _GREY, np.uint8), 0.03)
