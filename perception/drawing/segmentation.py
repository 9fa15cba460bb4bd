"""Segments over the photo: class colours, outlines, names."""

from __future__ import annotations

from typing import Any

import numpy as np

from perception.drawing import canvas
from perception.drawing.colors import color_of
from perception.errors import InputError


def colorize_ids(ids: np.ndarray, colors: dict[int, tuple[int, int, int]] | None = None) -> np.ndarray:
    """(H, W) integer map -> (H, W, 3) uint8; ids that `colors` lacks take `color_of`, negative ones are grey."""
    ids = np.asarray(ids)
    found, where = np.unique(ids, return_inverse=True)
    table = np.array([(colors or {}).get(int(i)) or color_of(int(i)) for i in found], np.uint8).reshape(-1, 3)
    return table[where.reshape(ids.shape)]


def outlines(ids: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels whose right or lower neighbour has another id."""
    edge = np.zeros(ids.shape, bool)
    edge[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    edge[:-1] |= ids[:-1] != ids[1:]
    return edge


def _middle(mask: np.ndarray) -> tuple[float, float, float]:
    """(x, y) of the point deepest inside a mask and its distance to the rim, pixels."""
    import cv2

    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    step = max(1, max(part.shape) // 256)
    small = np.pad(np.ascontiguousarray(part[::step, ::step]).astype(np.uint8), 1)
    distance = cv2.distanceTransform(small, cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return columns[0] + (x - 1) * step + 0.5, rows[0] + (y - 1) * step + 0.5, float(distance.max()) * step


def _regions(result: Any) -> tuple[np.ndarray, dict[int, tuple[str, tuple[int, int, int]]], int]:
    """The map to draw, {id: (name, colour)}, and the id that stands for nothing."""
    if result.panoptic is not None:
        shades: dict[int, int] = {}
        described = {}
        for segment in result.segments:
            shade = shades.get(segment.label, 0)
            shades[segment.label] = shade + 1
            described[segment.id] = (result.name_of(segment.label), color_of(segment.label, shade))
        return result.panoptic, described, 0
    if result.semantic is not None:
        labels = [int(n) for n in np.unique(result.semantic) if n != result.ignore_label and n >= 0]
        return result.semantic, {n: (result.name_of(n), color_of(n)) for n in labels}, result.ignore_label
    ids = [int(n) for n in np.unique(result.instance) if n > 0]
    return result.instance, {n: (f"#{n}", color_of(n)) for n in ids}, 0


def draw_segmentation(
    result: Any,
    image: np.ndarray | None = None,
    *,
    opacity: float = 0.55,
    labels: bool = True,
    min_share: float = 0.004,
) -> np.ndarray:
    """A `SegmentationResult` as (H, W, 3) uint8: panoptic before semantic before instance map, blended over `image` where given.

    labels: write class names into regions that are large enough (at least `min_share` of the picture). Nothing is painted on unlabelled pixels.
    """
    ids, described, nothing = _regions(result)
    if image is not None and np.shape(image)[:2] != ids.shape:
        raise InputError(f"the segmentation is {ids.shape} but the picture has shape {np.shape(image)}")
    layer = colorize_ids(ids, {key: color for key, (_, color) in described.items()} | {nothing: (64, 64, 64)})
    known = (ids != nothing) & (ids >= 0)
    out = layer if image is None else canvas.blend(canvas.checked(image), layer, opacity, known)
    edge = outlines(ids)
    out = np.where(edge[..., None], (out * 0.35).astype(np.uint8), out)
    if labels and min(ids.shape) >= 96:
        out = np.ascontiguousarray(out)
        size = max(9, canvas.font_size(out.shape) * 3 // 4)
        for key, (name, color) in described.items():
            mask = ids == key
            if mask.mean() < min_share:
                continue
            x, y, room = _middle(mask)
            width, height = canvas.text_size(name, size)
            if room * 2 >= height * 0.7:
                canvas.write_text(
                    out, name, x - width / 2, y - height / 2, size, color=canvas.readable_on(color), back=color
                )
    return np.ascontiguousarray(out)
