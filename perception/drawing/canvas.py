"""Text, lines and blending on (H, W, 3) uint8 RGB pictures. Functions that draw return a new array; inputs are never changed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from perception.errors import InputError

Color = tuple[int, int, int]
_SUBPIXEL_BITS = 4
_LIMIT = 1 << 24  # keeps OpenCV's fixed-point coordinates inside 32 bits


def checked(image: Any) -> np.ndarray:
    """A writable copy of an (H, W, 3) uint8 picture; raises `InputError` for anything else."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(
            f"a picture to draw on must be (H, W, 3) uint8 RGB; found {image.dtype} of shape {image.shape}"
        )
    return image.copy()


@lru_cache(maxsize=32)
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def font_size(shape: tuple[int, ...]) -> int:
    """Text height in pixels that suits a picture of that shape."""
    return int(np.clip(round(min(shape[0], 0.6 * shape[1]) / 26), 10, 40))


def text_size(text: str, size: int) -> tuple[int, int]:
    """(width, height) of a label with its margin, pixels."""
    left, _, right, _ = _font(size).getbbox(text)
    return int(right - left) + 2 * _margin(size), size + 2 * _margin(size)


def _margin(size: int) -> int:
    return max(2, size // 4)


def write_text(
    canvas: np.ndarray,
    text: str,
    x: float,
    y: float,
    size: int,
    *,
    color: Color = (255, 255, 255),
    back: Color | None = (0, 0, 0),
) -> None:
    """Write into `canvas` in place with the label's upper left corner at (x, y), moved so that it stays inside. back: box behind the text."""
    from PIL import Image, ImageDraw

    width, height = text_size(text, size)
    x = int(np.clip(x, 0, max(canvas.shape[1] - width, 0)))
    y = int(np.clip(y, 0, max(canvas.shape[0] - height, 0)))
    part = canvas[y : y + height, x : x + width]
    if not part.size:
        return
    image = Image.fromarray(np.ascontiguousarray(part))
    pen = ImageDraw.Draw(image)
    if back is not None:
        pen.rectangle((0, 0, width, height), fill=back)
    # The font's own descent lies below its nominal size; anchor in the middle of the box.
    pen.text((_margin(size), height / 2), text, fill=color, font=_font(size), anchor="lm")
    part[:] = np.asarray(image)


def readable_on(color: Color) -> Color:
    """Black or white, whichever is read better on `color`."""
    return (0, 0, 0) if 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 140 else (255, 255, 255)


def polylines(canvas: np.ndarray, lines: np.ndarray, color: Color, thickness: int = 1, closed: bool = False) -> None:
    """Draw (N, K, 2) lines in continuous pixel coordinates into `canvas` in place, antialiased; lines with NaN are skipped."""
    import cv2

    lines = np.asarray(lines, np.float64)
    lines = lines[np.isfinite(lines).all((1, 2))]
    if not len(lines):
        return
    # OpenCV's integer coordinate is a pixel's centre; ours is its corner.
    fixed = np.clip((lines - 0.5) * (1 << _SUBPIXEL_BITS), -_LIMIT, _LIMIT)
    cv2.polylines(canvas, list(np.rint(fixed).astype(np.int32)), closed, color, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def fill_polygon(canvas: np.ndarray, polygon: np.ndarray, color: Color, opacity: float = 1.0) -> None:
    """Fill one (K, 2) polygon in continuous pixel coordinates in place, blended by `opacity`."""
    import cv2

    polygon = np.asarray(polygon, np.float64)
    if not np.isfinite(polygon).all() or len(polygon) < 3:
        return
    low = np.clip(np.floor(polygon.min(0)).astype(int) - 1, 0, None)
    high = np.clip(np.ceil(polygon.max(0)).astype(int) + 2, 0, (canvas.shape[1], canvas.shape[0]))
    if (high <= low).any():
        return
    part = canvas[low[1] : high[1], low[0] : high[0]]
    painted = part.copy()
    fixed = np.clip((polygon - low - 0.5) * (1 << _SUBPIXEL_BITS), -_LIMIT, _LIMIT)
    cv2.fillPoly(painted, [np.rint(fixed).astype(np.int32)], color, cv2.LINE_AA, _SUBPIXEL_BITS)
    part[:] = cv2.addWeighted(painted, opacity, part, 1 - opacity, 0)


def blend(image: np.ndarray, layer: np.ndarray, opacity: float, mask: np.ndarray | None = None) -> np.ndarray:
    """`image` under `layer` of the same shape; only inside the (H, W) bool `mask` where given."""
    import cv2

    mixed = cv2.addWeighted(np.ascontiguousarray(layer), opacity, np.ascontiguousarray(image), 1 - opacity, 0)
    return mixed if mask is None else np.where(mask[..., None], mixed, image)


def fit(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """The picture scaled to lie inside (width, height), aspect kept."""
    import cv2

    ratio = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio))
    if size == (image.shape[1], image.shape[0]):
        return image
    return cv2.resize(
        np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    )
