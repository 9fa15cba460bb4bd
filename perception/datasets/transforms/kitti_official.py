"""MonoDETR's own target encoding for KITTI, with its approximations, for comparisons with the released training.

It differs from `Mono3DAugment` in that the mirrored picture keeps its calibration, the observation angle is measured at the middle of the 2D box with
that calibration, and 2D boxes are never cut. Frames whose labels pass through here carry ``centers2d`` and ``alpha3d`` beside the usual keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from perception.geometry.image_transform import ImageTransform
from perception.io.kitti import KittiLabels

LEVELS = (
    (40.0, 0.15, 0),
    (25.0, 0.30, 1),
    (25.0, 0.50, 2),
)  # smallest height [px], largest truncation, largest occlusion


def official_transform(
    size: tuple[int, int],
    network_size: tuple[int, int],
    flip: bool = False,
    crop_scale: float = 1.0,
    shift: Sequence[float] = (0.0, 0.0),
) -> ImageTransform:
    """The warp of a picture of `size` (width, height): mirror, then scale by the width alone around a moved middle.

    crop_scale: size of the window relative to the picture. shift: of its middle, fractions of the picture's width and height.
    """
    # The official code fits the map to three points that it keeps in float32; the last digits of its matrix come from there.
    half = size[0] * crop_scale / 2
    middle = [(0.5 + part) * full for part, full in zip(shift, size, strict=True)]
    x, y = np.float32(middle[0]), np.float32(middle[1])
    above = np.float32(middle[1] - half)
    left = np.float32(x - (y - above))
    scale_x = network_size[0] / 2 / (float(x) - float(left))
    scale_y = network_size[0] / 2 / (float(y) - float(above))
    move_x, move_y = network_size[0] / 2 - float(x) * scale_x, network_size[1] / 2 - float(y) * scale_y
    warp = ImageTransform(scale_x, scale_y, move_x, move_y, size, network_size)
    return ImageTransform.flip(size).then(warp) if flip else warp


def learnable_rows(
    labels: KittiLabels, classes: Sequence[str], depth_range: tuple[float, float] = (2.0, 65.0)
) -> np.ndarray:
    """(N,) bool: rows of the given classes, of a KITTI difficulty, and at a depth in the range, metres.

    A truncation of -1 (unknown) fits any difficulty, as in the official code.
    """
    # The official code adds a pixel to the height before it looks up the difficulty.
    height = labels.boxes2d[:, 3] - labels.boxes2d[:, 1] + 1
    level = labels.truncated == -1
    for least, truncation, occlusion in LEVELS:
        level |= (height >= least) & (labels.truncated <= truncation) & (labels.occluded <= occlusion)
    z = labels.location[:, 2]
    return np.isin(labels.types, list(classes)) & level & (z >= depth_range[0]) & (z <= depth_range[1])


def official_targets(
    labels: KittiLabels,
    projection: np.ndarray,
    size: tuple[int, int],
    network_size: tuple[int, int],
    classes: Sequence[str],
    *,
    wanted: Sequence[str] | None = None,
    flip: bool = False,
    crop_scale: float = 1.0,
    shift: Sequence[float] = (0.0, 0.0),
) -> dict[str, Any]:
    """Encode one frame.

    Args:
        labels: of the frame. projection: (3, 4) P2. size: (width, height) of the picture.
        network_size: (width, height) of the network's input.
        classes: names in the order of the logits. wanted: those that are learnt (all of `classes` if left out).
        flip, crop_scale, shift: the augmentation, see `official_transform`.

    Returns:
        Arrays with one row a label, float64: ``labels3d`` int64; ``centers2d`` (N, 2) and ``boxes2d`` (N, 4), network pixels; ``depths`` metres times
        `crop_scale`; ``sizes`` (N, 3) h, w, l; ``alpha3d`` radians; ``keep`` bool, rows that are learnt; and ``transform``.
    """
    transform = official_transform(size, network_size, flip, crop_scale, shift)
    names = list(classes)
    centre = labels.location - np.stack([np.zeros(len(labels)), labels.dimensions[:, 0] / 2, np.zeros(len(labels))], 1)
    image = centre @ projection[:, :3].T + projection[:, 3]
    pixels = image[:, :2] / np.where(
        centre[:, 2:] > 0, centre[:, 2:], np.nan
    )  # by the rectified z, as the official code does
    boxes = labels.boxes2d.copy()
    turn = labels.rotation_y
    if flip:
        boxes[:, [0, 2]] = size[0] - boxes[:, [2, 0]]
        turn = math.pi - turn
    # Measured with the calibration of the unmirrored picture, at the box of the mirrored one.
    alpha = turn - np.arctan2(boxes[:, [0, 2]].mean(1) - projection[0, 2], projection[0, 0])
    corners = np.sort(transform.points(labels.boxes2d.reshape(-1, 2, 2)), axis=1).reshape(-1, 4)
    centers2d = transform.points(pixels)
    u, v = centers2d.T
    with np.errstate(invalid="ignore"):
        inside = (u >= 0) & (u < network_size[0]) & (v >= 0) & (v < network_size[1])
        inside &= (u >= corners[:, 0]) & (u <= corners[:, 2]) & (v >= corners[:, 1]) & (v <= corners[:, 3])
    return {
        "labels3d": np.array([names.index(t) if t in names else -1 for t in labels.types], np.int64),
        "centers2d": centers2d,
        "boxes2d": corners,
        "depths": labels.location[:, 2] * crop_scale,
        "sizes": labels.dimensions.copy(),
        "alpha3d": (alpha + math.pi) % (2 * math.pi) - math.pi,
        "keep": learnable_rows(labels, wanted or classes) & inside,
        "transform": transform,
    }
