"""Several pictures on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from perception.drawing import canvas
from perception.errors import InputError


def contact_sheet(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    tile: tuple[int, int] | None = None,
    gap: int = 4,
    background: tuple[int, int, int] = (24, 24, 24),
) -> np.ndarray:
    """Place (H, W, 3) uint8 pictures in a grid, each scaled into one tile, with a title in its corner.

    tile: (width, height) of a tile, by default the first picture's size with its longer side at most 640. columns: by default about square.
    """
    if not images:
        raise InputError("a contact sheet needs at least one picture")
    if titles is not None and len(titles) != len(images):
        raise InputError(f"{len(images)} pictures need {len(images)} titles; found {len(titles)}")
    pictures = [canvas.checked(image) for image in images]
    height, width = pictures[0].shape[:2]
    if tile is None:
        ratio = (
            min(1.0, 640 / max(width, height))
            if max(width, height) > 640
            else max(1.0, math.ceil(200 / max(width, height)))
        )
        tile = max(1, round(width * ratio)), max(1, round(height * ratio))
    if columns is None:
        # As near to a 3:2 sheet as whole tiles allow: wide pictures stand below each other, tall ones side by side.
        count = len(pictures)
        columns = min(
            range(1, count + 1), key=lambda c: abs(math.log(c * tile[0] / (math.ceil(count / c) * tile[1]) / 1.5))
        )
    rows = math.ceil(len(pictures) / columns)
    out = np.empty((rows * (tile[1] + gap) + gap, columns * (tile[0] + gap) + gap, 3), np.uint8)
    out[:] = background
    size = max(10, canvas.font_size((tile[1], tile[0])) * 3 // 4)
    for i, picture in enumerate(pictures):
        small = canvas.fit(picture, *tile)
        left = gap + (i % columns) * (tile[0] + gap)
        top = gap + (i // columns) * (tile[1] + gap)
        x, y = left + (tile[0] - small.shape[1]) // 2, top + (tile[1] - small.shape[0]) // 2
        out[y : y + small.shape[0], x : x + small.shape[1]] = small
        if titles is not None and titles[i]:
            canvas.write_text(out[top : top + tile[1], left : left + tile[0]], titles[i], 0, 0, size)
    return out


def grid(tiles: Sequence[np.ndarray], columns: int, gap: int) -> np.ndarray:
    """Put equal (H, W, 3) uint8 tiles, pixel for pixel, into rows of `columns` on white, `gap` pixels apart."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet
