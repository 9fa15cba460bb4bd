"""What a vehicle's cameras and radars see, with boxes: the pictures around, the bird's-eye view beside them.

+---------+---------+---------+------------+
| front   | front   | front   |            |
| left    |         | right   |   bird's   |
+---------+---------+---------+   eye      |
| back    | back    | back    |   view     |
| right   |         | left    |            |      the lower row as in a mirror: what is at the left of the vehicle is at the left of the sheet
+---------+---------+---------+------------+
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.drawing import canvas
from perception.drawing.birds_eye import BirdsEye
from perception.drawing.boxes import draw_bev, draw_boxes3d
from perception.geometry import boxes3d as geometry
from perception.geometry import transforms

_RADAR = (255, 140, 0)


def draw_rig(
    rig: Any,
    boxes: Any | None = None,
    *,
    reference: Any | None = None,
    tile_width: int = 480,
    extent: float = 52.0,
    radar_in_pictures: bool = True,
    labels: bool = True,
) -> np.ndarray:
    """(H, W, 3) uint8 sheet of a `perception.geometry.rig.Rig`.

    boxes: `Boxes3DResult` in the ego frame; reference: true boxes, drawn white from above. extent: metres to each side from above.
    """
    sheet = draw_cameras(rig, boxes, tile_width=tile_width, radar_in_pictures=radar_in_pictures, labels=labels)
    side = max(sheet.shape[0], 360)
    bev = draw_bev_of_rig(rig, boxes, reference=reference, extent=extent, height=side)
    if sheet.shape[0] < side:
        sheet = np.concatenate([sheet, np.full((side - sheet.shape[0], sheet.shape[1], 3), 24, np.uint8)])
    return np.concatenate([sheet, bev], 1)


def draw_cameras(
    rig: Any,
    boxes: Any | None = None,
    *,
    tile_width: int = 480,
    columns: int = 3,
    radar_in_pictures: bool = True,
    labels: bool = True,
) -> np.ndarray:
    """(H, W, 3) uint8 sheet of a rig's pictures alone, with the boxes (ego frame) drawn in. columns: pictures side by side."""
    order = _around(rig)
    tiles = []
    for index in order:
        camera = rig.cameras[index]
        small = _fit(camera, tile_width)
        picture = small[0]
        if boxes is not None and len(boxes):
            seen = boxes.to_frame("camera", transforms.inverse(camera.ego_from_camera))
            ahead = geometry.corners(seen.boxes.astype(np.float64), "camera")[..., 2].max(1) > 0.5
            picture = draw_boxes3d(picture, seen[ahead], small[1], labels=labels, text_height=max(9, tile_width // 34))
        if radar_in_pictures and rig.radar_points is not None:
            picture = _draw_radar(picture, rig.radar_points, camera, small[1])
        canvas.write_text(picture, camera.name or f"camera {index}", 0, 0, 14)
        tiles.append(picture)
    height = max(tile.shape[0] for tile in tiles)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height, columns * tile_width, 3), 24, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * height, number % columns * tile_width
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def draw_bev_of_rig(
    rig: Any, boxes: Any | None = None, *, reference: Any | None = None, extent: float = 52.0, height: int = 640
) -> np.ndarray:
    """Bird's-eye view with boxes, velocities, track ids and radar points; a radar point has a line for one second of its motion."""
    points, view = rig.radar_points, view_of_rig(extent, height)
    out = draw_bev(
        boxes,
        points=None if points is None else points[:, :3],
        point_colors=None if points is None else np.tile(np.array([_RADAR], np.uint8), (len(points), 1)),
        reference=reference,
        frame="ego",
        extent=(view.half, view.near, view.far),
        height=height,
        ids=True,
    )
    if points is not None and len(points):
        fast = np.hypot(points[:, 4], points[:, 5]) > 0.5
        ends = np.stack([points[fast, :2], points[fast, :2] + points[fast, 4:6]], 1).astype(np.float64)
        if len(ends):
            canvas.polylines(out, view.pixels(np.stack([-ends[..., 1], ends[..., 0]], -1)), _RADAR)
    return out


def view_of_rig(extent: float, height: int) -> BirdsEye:
    """The ground that `draw_bev_of_rig` shows: a square around the vehicle."""
    return BirdsEye(extent, -extent, extent, height)


def _around(rig: Any) -> list[int]:
    """Cameras from left to right: those that look forward first, then those that look back, mirrored."""
    yaw = np.array([np.arctan2(c.ego_from_camera[1, 2], c.ego_from_camera[0, 2]) for c in rig.cameras])
    front = [i for i in np.argsort(-yaw, kind="stable") if abs(yaw[i]) <= np.deg2rad(75)]
    behind = np.where(yaw >= 0, yaw, yaw + 2 * np.pi)
    back = [i for i in np.argsort(behind, kind="stable") if i not in front]
    return [int(i) for i in (*front, *back)]


def _fit(camera: Any, width: int) -> tuple[np.ndarray, Any]:
    height = max(1, round(camera.camera.height * width / camera.camera.width))
    small = canvas.fit(camera.image, width, height)
    return np.ascontiguousarray(small).copy(), camera.camera.resize(small.shape[1], small.shape[0])


def _draw_radar(picture: np.ndarray, points: np.ndarray, camera: Any, pinhole: Any) -> np.ndarray:
    seen = transforms.apply(transforms.inverse(camera.ego_from_camera), points[:, :3].astype(np.float64))
    pixels, depth = pinhole.project(seen)
    inside = (depth > 1) & (pixels >= 0).all(1) & (pixels[:, 0] < picture.shape[1] - 1)
    inside &= pixels[:, 1] < picture.shape[0] - 1
    for u, v in pixels[inside].astype(int):
        picture[max(v - 1, 0) : v + 2, max(u - 1, 0) : u + 2] = _RADAR
    return picture
