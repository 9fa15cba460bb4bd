"""Upright 3D boxes: corners, projection, change of frame, points inside.

A box is seven numbers ``[x, y, z, length, width, height, yaw]``: geometric centre (never the bottom), metres, and the yaw about the UP axis,
radians, counter-clockwise seen from above. The frame says which axis is up and where yaw is 0:

    frame "ego" (also "global", "lidar"):            frame "camera":
    up = +z, yaw 0 = heading along +x                up = -y, yaw 0 = heading along +x

    from above:                                      from above:
                x, yaw 0                                         z forward, yaw +pi/2
                ^                                                ^
                |  front                                         |
             0--+--3                                             |
             |  |  |  length                                     o------> x right, yaw 0
             |  o  |                                        (y into the page)
             1-----2
              width                                  heading = (cos yaw, 0, sin yaw);  KITTI's rotation_y is -yaw
    y <---      heading = (cos yaw, sin yaw, 0)

Corners: 0 front left, 1 rear left, 2 rear right, 3 front right of the bottom face, then 4-7 the same of the top face.
All functions take NumPy arrays or torch tensors (..., 7) and return the same kind; whole numbers become floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.errors import InputError
from perception.geometry import transforms

EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
FACES = {
    "bottom": (0, 3, 2, 1),
    "top": (4, 5, 6, 7),
    "front": (0, 4, 7, 3),
    "rear": (1, 2, 6, 5),
    "left": (0, 1, 5, 4),
    "right": (3, 7, 6, 2),
}
_SIGNS = 0.5 * np.array(
    [[1, 1, -1], [-1, 1, -1], [-1, -1, -1], [1, -1, -1], [1, 1, 1], [-1, 1, 1], [-1, -1, 1], [1, -1, 1]]
)
# Index and sign of each frame's axes (first ground axis, second ground axis, up): a right-handed triple in every frame.
_GROUND = {
    "camera": ((0, 2, 1), (1.0, 1.0, -1.0)),
    "ego": ((0, 1, 2), (1.0, 1.0, 1.0)),
    "lidar": ((0, 1, 2), (1.0, 1.0, 1.0)),
    "global": ((0, 1, 2), (1.0, 1.0, 1.0)),
}
FRAMES = tuple(_GROUND)


def _ground(frame: str) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    if frame not in _GROUND:
        raise InputError(f"the frame of 3D boxes must be one of {', '.join(FRAMES)}; found {frame!r}")
    return _GROUND[frame]


def _checked(boxes: Any) -> Any:
    """The boxes as floats: half a whole number is none. Raises `InputError` for another shape."""
    if hasattr(boxes, "is_floating_point"):
        boxes = boxes if boxes.is_floating_point() else boxes.float()
    else:
        boxes = np.asarray(boxes)
        boxes = boxes if boxes.dtype.kind == "f" else boxes.astype(np.float64)
    if boxes.ndim < 1 or boxes.shape[-1] != 7:
        raise InputError(
            f"3D boxes must have shape (..., 7): x, y, z, length, width, height, yaw; found {tuple(boxes.shape)}"
        )
    return boxes


def _stack(parts: list[Any]) -> Any:
    if isinstance(parts[0], np.ndarray | np.floating):
        return np.stack(parts, -1)
    import torch

    return torch.stack(parts, -1)


def to_ground(points: Any, frame: str) -> Any:
    """(..., 3) in `frame` -> (..., 3) as (ground axis 1, ground axis 2, up): a right-handed frame with the third axis up."""
    index, sign = _ground(frame)
    return _stack([points[..., i] * s for i, s in zip(index, sign, strict=True)])


def from_ground(points: Any, frame: str) -> Any:
    """Inverse of `to_ground`."""
    index, sign = _ground(frame)
    return _stack([points[..., index.index(axis)] * sign[index.index(axis)] for axis in range(3)])


def bev(boxes: Any, frame: str) -> Any:
    """(..., 7) boxes -> (..., 5) footprints: centre on the two ground axes, length, width, yaw (for `rotated_iou`)."""
    boxes = _checked(boxes)
    (first, second, _), _ = _ground(frame)
    return _stack([boxes[..., i] for i in (first, second, 3, 4, 6)])


def height_span(boxes: Any, frame: str) -> tuple[Any, Any]:
    """(...) lowest and (...) highest coordinate along the up axis, metres."""
    boxes = _checked(boxes)
    (_, _, up), (_, _, sign) = _ground(frame)
    middle = boxes[..., up] * sign
    return middle - boxes[..., 5] / 2, middle + boxes[..., 5] / 2


def heading(boxes: Any, frame: str) -> Any:
    """(..., 3) unit vector in which each box looks, in `frame`."""
    boxes = _checked(boxes)
    yaw = boxes[..., 6]
    cos, sin = _cos_sin(yaw)
    return from_ground(_stack([cos, sin, 0 * yaw]), frame)


def _cos_sin(yaw: Any) -> tuple[Any, Any]:
    if isinstance(yaw, np.ndarray | np.floating):
        return np.cos(yaw), np.sin(yaw)
    return yaw.cos(), yaw.sin()


def corners(boxes: Any, frame: str) -> Any:
    """(..., 7) boxes -> (..., 8, 3) corners in `frame`, metres, in the order drawn above."""
    boxes = _checked(boxes)
    signs = _SIGNS.astype(boxes.dtype) if isinstance(boxes, np.ndarray) else boxes.new_tensor(_SIGNS)
    local = boxes[..., None, 3:6] * signs
    cos, sin = _cos_sin(boxes[..., 6, None])
    a, b = local[..., 0] * cos - local[..., 1] * sin, local[..., 0] * sin + local[..., 1] * cos
    return from_ground(_stack([a, b, local[..., 2]]), frame) + boxes[..., None, :3]


def change_frame(boxes: Any, target_from_source: Any, source: str, target: str) -> Any:
    """Move (..., 7) boxes between frames by a rigid (4, 4) transform, array or tensor like the boxes.

    The box stays upright: its heading is projected onto the target's ground plane, which is exact when both up axes agree. A tilted camera
    (pitch, roll) tilts the box by as much, and that part is dropped.
    """
    boxes = _checked(boxes)
    if not isinstance(boxes, np.ndarray):
        target_from_source = _as_tensor(target_from_source, boxes)
    centre = transforms.apply(target_from_source, boxes[..., None, :3])[..., 0, :]
    direction = to_ground(
        transforms.rotate(target_from_source, heading(boxes, source)[..., None, :])[..., 0, :], target
    )
    if isinstance(boxes, np.ndarray):
        yaw = np.arctan2(direction[..., 1], direction[..., 0])
        return np.concatenate([centre, boxes[..., 3:6], yaw[..., None]], -1).astype(boxes.dtype)
    import torch

    yaw = torch.atan2(direction[..., 1], direction[..., 0])
    return torch.cat([centre, boxes[..., 3:6], yaw[..., None]], -1)


def _as_tensor(matrix: Any, like: Any) -> Any:
    import torch

    return torch.as_tensor(matrix, dtype=like.dtype, device=like.device)


def camera_to_ego(boxes: Any, ego_from_camera: Any = transforms.EGO_FROM_CAMERA) -> Any:
    """Boxes from the camera frame into the ego frame; by default the axes turn and the origin stays."""
    return change_frame(boxes, ego_from_camera, "camera", "ego")


def ego_to_camera(boxes: Any, camera_from_ego: Any = transforms.CAMERA_FROM_EGO) -> Any:
    """Boxes from the ego frame into the camera frame; by default the axes turn and the origin stays."""
    return change_frame(boxes, camera_from_ego, "ego", "camera")


def flip(boxes: Any, frame: str) -> Any:
    """Mirror left to right: x -> -x and yaw -> pi - yaw in the camera frame, y -> -y and yaw -> -yaw in the others."""
    boxes = _checked(boxes)
    out = boxes.copy() if isinstance(boxes, np.ndarray) else boxes.clone()
    if frame == "camera":
        out[..., 0] = -out[..., 0]
        out[..., 6] = transforms.wrap_angle(np.pi - out[..., 6])
    else:
        _ground(frame)
        out[..., 1] = -out[..., 1]
        out[..., 6] = transforms.wrap_angle(-out[..., 6])
    return out


def points_in_boxes(points: Any, boxes: Any, frame: str, margin: float = 0.0) -> Any:
    """(N, 3) points and (M, 7) boxes in one frame -> (N, M) bool, faces included; `margin` metres widen every side."""
    boxes = _checked(boxes)
    offset = to_ground(points[:, None, :] - boxes[None, :, :3], frame)
    cos, sin = _cos_sin(boxes[:, 6])
    along = abs(offset[..., 0] * cos + offset[..., 1] * sin)
    across = abs(offset[..., 1] * cos - offset[..., 0] * sin)
    half = boxes[:, 3:6] / 2 + margin
    return (along <= half[:, 0]) & (across <= half[:, 1]) & (abs(offset[..., 2]) <= half[:, 2])


def ray_entries(rays: np.ndarray, boxes: np.ndarray, frame: str) -> np.ndarray:
    """(N, 3) rays from the origin and (M, 7) boxes in one frame -> (N, M) float64: how many times its ray the first point on each box is away.

    Infinite where the ray misses the box, and for boxes that hold the origin.
    """
    boxes = _checked(boxes)
    cos, sin = _cos_sin(boxes[:, 6].astype(np.float64))

    def turned(vectors: np.ndarray) -> np.ndarray:
        a, b, up = np.moveaxis(to_ground(vectors.astype(np.float64), frame), -1, 0)
        return np.stack([a * cos + b * sin, b * cos - a * sin, up + 0 * cos], -1)

    start, step = turned(-boxes[:, :3]), turned(rays[:, None])  # (M, 3) and (N, M, 3), along the boxes' own axes
    step = np.where(np.abs(step) < 1e-12, 1e-12, step)
    near, far = ((side * boxes[:, 3:6] / 2 - start) / step for side in (-1, 1))
    enter, leave = np.minimum(near, far).max(-1), np.maximum(near, far).min(-1)
    return np.where((enter > 0) & (enter <= leave), enter, np.inf)


def clipped_edges(boxes: np.ndarray, near: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """The 12 edges of camera-frame boxes, cut at the plane z = near, metres.

    Returns (N, 12, 2, 3) end points and (N, 12) bool: whether any of the edge lies in front of the plane.
    """
    points = corners(np.asarray(boxes, dtype=np.float64), "camera")
    ends = points[..., np.array(EDGES), :]  # (N, 12, 2, 3)
    first, second = ends[..., 0, :], ends[..., 1, :]
    depth = ends[..., 2]
    step = depth[..., 1] - depth[..., 0]
    crosses = (depth[..., 0] < near) != (depth[..., 1] < near)
    at = np.where(crosses, (near - depth[..., 0]) / np.where(crosses, step, 1.0), 0.0)
    crossing = first + at[..., None] * (second - first)
    crossing[..., 2] = near
    new_first = np.where((crosses & (depth[..., 0] < near))[..., None], crossing, first)
    new_second = np.where((crosses & (depth[..., 1] < near))[..., None], crossing, second)
    return np.stack([new_first, new_second], -2), (depth >= near).any(-1)


def image_boxes(boxes: np.ndarray, camera: Any, clip: bool = True, near: float = 0.05) -> np.ndarray:
    """Camera-frame boxes -> (N, 4) float64 [left, top, right, bottom], continuous pixels, tight around the visible part of the box.

    Boxes are cut at the near plane, so one that reaches beside the camera gives a finite rectangle. With `clip` they are cut to the picture
    (whose edges are 0 and W, 0 and H). NaN rows are boxes entirely behind the camera or, with `clip`, outside the picture.
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 7)
    ends, visible = clipped_edges(boxes, near)
    pixels, _ = camera.project(ends)
    pixels = np.where(visible[..., None, None], pixels, np.nan).reshape(len(boxes), 24, 2)
    some = visible.any(-1)
    low = np.where(np.isnan(pixels), np.inf, pixels).min(1)
    high = np.where(np.isnan(pixels), -np.inf, pixels).max(1)
    out = np.concatenate([low, high], -1)
    if clip:
        size = np.array([camera.width, camera.height, camera.width, camera.height], dtype=np.float64)
        out = np.clip(out, 0, size)
        some &= (out[:, 2] > out[:, 0]) & (out[:, 3] > out[:, 1])
    out[~some] = np.nan
    return out
