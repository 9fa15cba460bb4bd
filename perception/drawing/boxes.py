"""3D boxes on the photo and from above.

On the photo every edge is cut at a plane just before the camera, so boxes beside or around the camera are drawn as far as they are seen. The front of
a box (where it is heading) is filled lightly. From above, forward is up:

            +------------------+
            |     30 m         |          rings and grid every few metres, the camera's wedge, boxes with a stroke from the centre
            |    [/]           |          to the front, arrows for velocity (1 s of motion)
            |        ^         |
            +------------------+
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perception.drawing import canvas
from perception.drawing.birds_eye import BirdsEye
from perception.drawing.colors import color_of
from perception.geometry import boxes3d as geometry
from perception.geometry.cameras import Camera, Equirectangular

NEAR = 0.05  # metres before the camera where boxes are cut


def _edge_lines(corners: np.ndarray, camera: Camera, edges: tuple[tuple[int, int], ...]) -> np.ndarray:
    """(8, 3) corners -> (N, K, 2) drawable pixel lines of these edges (cut at the near plane; curved and split at the seam in panoramas)."""
    ends = corners[np.array(edges)]
    if isinstance(camera, Equirectangular):
        steps = np.linspace(0, 1, 33)[:, None]
        pixels, _ = camera.project(ends[:, :1] * (1 - steps) + ends[:, 1:] * steps)
        lines = np.stack([pixels[:, :-1], pixels[:, 1:]], 2).reshape(-1, 2, 2)
        return lines[np.abs(lines[:, 0, 0] - lines[:, 1, 0]) < camera.width / 2]
    depth = ends[..., 2]
    ends, depth = ends[(depth > NEAR).any(1)], depth[(depth > NEAR).any(1)]
    out = ends.copy()
    for this, other in ((0, 1), (1, 0)):
        behind = depth[:, this] < NEAR
        step = depth[:, other] - depth[:, this]
        at = np.where(behind, (NEAR - depth[:, this]) / np.where(behind, step, 1), 0)
        out[:, this] = ends[:, this] + at[:, None] * (ends[:, other] - ends[:, this])
        out[behind, this, 2] = NEAR * (1 + 1e-9)
    return camera.project(out)[0]


def draw_boxes3d(
    image: np.ndarray,
    boxes: Any,
    camera: Camera | None = None,
    *,
    color: tuple[int, int, int] | None = None,
    labels: bool = True,
    thickness: int | None = None,
    text_height: int | None = None,
) -> np.ndarray:
    """Draw a camera-frame `Boxes3DResult` on (H, W, 3) uint8; the farthest first. color: one for all, by default one a class (or a track).

    thickness of lines, text_height of labels: pixels, by default as they suit the picture at its own size.
    """
    from perception.errors import InputError

    camera = camera or boxes.camera
    if boxes.frame != "camera" or camera is None:
        raise InputError(
            f"drawing boxes on a picture needs the camera frame and a camera; these are in the {boxes.frame} frame, camera {camera}"
        )
    out = canvas.checked(image)
    thickness = thickness or max(1, round(min(out.shape[:2]) / 300))
    size = text_height or max(9, canvas.font_size(out.shape) * 3 // 4)
    corners = geometry.corners(boxes.boxes.astype(np.float64), "camera")
    order = np.argsort(-np.linalg.norm(boxes.centres, axis=-1), kind="stable")
    tags = []
    for i in order:
        shown = color or color_of(int(boxes.labels[i] if boxes.track_ids is None else boxes.track_ids[i]))
        lines = _edge_lines(corners[i], camera, geometry.EDGES)
        if not len(lines) or not _touches(lines, out.shape):
            continue
        front = corners[i][list(geometry.FACES["front"])]
        if not isinstance(camera, Equirectangular) and (front[:, 2] > NEAR).all():
            canvas.fill_polygon(out, camera.project(front)[0], shown, 0.35)
        canvas.polylines(out, lines, (0, 0, 0), thickness + 2)
        canvas.polylines(out, lines, shown, thickness)
        tags.append((i, lines, shown))
    if labels:
        for i, lines, shown in tags:
            text = boxes.names[i] + (f" {boxes.scores[i]:.2f}" if boxes.scores[i] < 1 else "")
            text = text if boxes.track_ids is None else f"{text} #{boxes.track_ids[i]}"
            inside = np.clip(lines.reshape(-1, 2), 0, (out.shape[1], out.shape[0]))
            _, height = canvas.text_size(text, size)
            canvas.write_text(
                out,
                text,
                inside[:, 0].min(),
                inside[:, 1].min() - height,
                size,
                color=canvas.readable_on(shown),
                back=shown,
            )
    return out


def _touches(lines: np.ndarray, shape: tuple[int, ...]) -> bool:
    low, high = lines.reshape(-1, 2).min(0), lines.reshape(-1, 2).max(0)
    return bool((high > 0).all() and low[0] < shape[1] and low[1] < shape[0])


def _reach(boxes: Any | None, points: np.ndarray | None, frame: str) -> tuple[float, float, float]:
    """(half width, near, far) in metres around what there is to see: lateral to both sides, and forwards from `near` (<= 0) to `far`."""
    seen = [np.array([[0.0, 5.0], [0.0, 0.0]])]
    if boxes is not None and len(boxes):
        seen.append(_plane(geometry.corners(boxes.boxes.astype(np.float64), frame), frame).reshape(-1, 2))
    if points is not None and len(points):
        flat = _plane(np.asarray(points, np.float64), frame)
        seen.append(np.percentile(flat[np.isfinite(flat).all(-1)], (2, 98), axis=0))
    every = np.concatenate(seen)
    half = max(5.0, float(np.abs(every[:, 0]).max()) * 1.05)
    far, near = float(every[:, 1].max()) * 1.05 + 1, min(0.0, float(every[:, 1].min()) * 1.05)
    return half, near - 1, far


def _plane(points: np.ndarray, frame: str) -> np.ndarray:
    """(..., 3) in `frame` -> (..., 2) metres (to the right, forwards)."""
    if frame == "camera":
        return np.stack([points[..., 0], points[..., 2]], -1)
    return np.stack([-points[..., 1], points[..., 0]], -1)


def draw_bev(
    boxes: Any | None = None,
    *,
    points: np.ndarray | None = None,
    point_colors: np.ndarray | None = None,
    reference: Any | None = None,
    frame: str | None = None,
    extent: tuple[float, float, float] | None = None,
    height: int = 640,
    ids: bool = False,
) -> np.ndarray:
    """Bird's-eye view, forward is up: a `Boxes3DResult`, (N, 3) points and `reference` boxes (ground truth, white). ids: write the boxes' track ids beside them.

    extent: (half width, from, to) metres, by default around what there is. height: of the picture in pixels; its width follows.
    Boxes in the "global" frame are shown around their mean.
    """
    frame = frame or (boxes.frame if boxes is not None else "camera")
    if frame == "global" and boxes is not None and len(boxes):
        from dataclasses import replace

        shifted = boxes.boxes.copy()
        shifted[:, :3] -= shifted[:, :3].mean(0)
        boxes = replace(boxes, boxes=shifted)
    view = BirdsEye(*(extent or _reach(boxes, points, frame)), height)
    out = np.full((height, view.width, 3), 24, np.uint8)
    _rings(out, view)
    if points is not None and len(points):
        _points(out, view.pixels(_plane(np.asarray(points, np.float64), frame)), point_colors)
    for group, plain in ((reference, (235, 235, 235)), (boxes, None)):
        if group is not None and len(group):
            _footprints(out, group, view, frame, plain, max(1, height // 400))
    if ids and boxes is not None and boxes.track_ids is not None and len(boxes):
        size = max(9, height // 56)
        middles = view.pixels(_plane(boxes.centres.astype(np.float64), frame))
        for (x, y), number in zip(middles, boxes.track_ids, strict=True):
            if number >= 0 and 0 <= x < view.width and 0 <= y < height:
                canvas.write_text(out, f"#{number}", x + 4, y + 2, size, color=color_of(int(number)), back=None)
    return out


def _rings(out: np.ndarray, view: BirdsEye) -> None:
    half, near, far, pixel = view.half, view.near, view.far, view.pixels
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if s * view.scale >= 56)
    angle = np.linspace(0, 2 * math.pi, 97)
    rings = range(1, int(math.hypot(half, max(far, -near)) // step) + 1) if step < 10**9 else range(0)
    for ring in list(rings)[:200]:
        circle = ring * step * np.stack([np.sin(angle), np.cos(angle)], -1)
        canvas.polylines(out, pixel(circle)[None], (58, 58, 58))
    cross = np.array([[[-half, 0], [half, 0]], [[0, near], [0, far]]], np.float64)
    canvas.polylines(out, pixel(cross), (58, 58, 58))
    size = max(12, out.shape[0] // 50)
    for ring in list(rings)[:200]:
        if ring * step < far:
            x, y = pixel(np.array([0.0, ring * step]))
            canvas.write_text(out, f"{ring * step} m", x + 2, y - size, size, color=(170, 170, 170), back=None)
    me = pixel(np.zeros(2)) + np.array([[0, -9], [-6, 6], [6, 6]])
    canvas.fill_polygon(out, me, (255, 255, 255))


def _points(out: np.ndarray, pixels: np.ndarray, colors: np.ndarray | None) -> None:
    with np.errstate(invalid="ignore"):
        inside = (pixels >= 0).all(-1) & (pixels[:, 0] < out.shape[1]) & (pixels[:, 1] < out.shape[0])
    column, row = pixels[inside].astype(np.int64).T
    out[row, column] = (120, 170, 200) if colors is None else np.asarray(colors)[inside]


def _footprints(
    out: np.ndarray, boxes: Any, view: BirdsEye, frame: str, plain: tuple[int, int, int] | None, thickness: int
) -> None:
    corners = geometry.corners(boxes.boxes.astype(np.float64), boxes.frame)
    square = view.pixels(_plane(corners[:, :4], frame))
    centre = square.mean(1)
    front = square[:, [0, 3]].mean(1)
    for i in range(len(boxes)):
        color = plain or color_of(int(boxes.labels[i] if boxes.track_ids is None else boxes.track_ids[i]))
        if plain is None:
            canvas.fill_polygon(out, square[i], color, 0.35)
        canvas.polylines(out, square[i][None], color, thickness, closed=True)
        canvas.polylines(out, np.stack([centre[i], front[i]])[None], color, thickness)
        if boxes.velocity is not None and plain is None and np.isfinite(boxes.velocity[i]).all():
            flat = np.array([*boxes.velocity[i], 0.0])
            tip = view.pixels(_plane(boxes.centres[i] + geometry.from_ground(flat, boxes.frame), frame))
            if np.linalg.norm(tip - centre[i]) > 3:
                _arrow(out, centre[i], tip, (255, 255, 255))


def _arrow(out: np.ndarray, start: np.ndarray, tip: np.ndarray, color: tuple[int, int, int]) -> None:
    along = (tip - start) / np.linalg.norm(tip - start)
    across = np.array([-along[1], along[0]])
    canvas.polylines(
        out, np.array([[start, tip], [tip, tip - 5 * along + 3 * across], [tip, tip - 5 * along - 3 * across]]), color
    )
