"""Crop, resize, letterbox and flip as one small, exactly invertible map of continuous pixel coordinates.

    input picture                       output picture (letterbox)
    (0,0)          u ->                 (0,0)
      +----------------+                  +----------------+
      |                |                  |::::::::::::::::|  <- fill
    v |       *        |   u' = sx u + tx +----------------+
    | |                |   v' = sy v + ty |       *        |
    v +----------------+                  +----------------+
                     (W,H)                |::::::::::::::::|

Pixel (row i, column j) covers [j, j+1) x [i, i+1); its centre is (j + 0.5, i + 0.5). A resize by s is therefore u' = s u, without any
half-pixel term, and a horizontal flip is u' = W - u. `apply` moves pictures and maps forwards, `undo` moves a network's output back to the
original pixels; `points` and `undo_points` do the same for coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perception.errors import InputError

Size = tuple[int, int]  # (width, height), pixels


@dataclass(frozen=True)
class ImageTransform:
    """Axis-aligned affine map from a picture of `source` size to one of `target` size (both (width, height), pixels).

    Negative `scale_x` or `scale_y` mirrors. All of `matrix` is these four numbers.
    """

    scale_x: float
    scale_y: float
    shift_x: float
    shift_y: float
    source: Size
    target: Size

    def __post_init__(self) -> None:
        if self.scale_x == 0 or self.scale_y == 0 or min(*self.source, *self.target) < 1:
            raise InputError(f"an image transform needs non-zero scales and sizes of at least 1 pixel; found {self}")

    @classmethod
    def identity(cls, size: Size) -> ImageTransform:
        """The map that changes nothing, for a picture of (width, height)."""
        return cls(1.0, 1.0, 0.0, 0.0, size, size)

    @classmethod
    def crop(cls, size: Size, left: int, top: int, width: int, height: int) -> ImageTransform:
        """Cut the window whose upper left pixel is (left, top); it may reach beyond the picture, which pads."""
        return cls(1.0, 1.0, -float(left), -float(top), size, (int(width), int(height)))

    @classmethod
    def pad(cls, size: Size, left: int = 0, top: int = 0, right: int = 0, bottom: int = 0) -> ImageTransform:
        """Add that many pixels on each side."""
        return cls.crop(size, -left, -top, size[0] + left + right, size[1] + top + bottom)

    @classmethod
    def resize(cls, size: Size, width: int, height: int) -> ImageTransform:
        """Stretch to exactly (width, height)."""
        return cls(width / size[0], height / size[1], 0.0, 0.0, size, (int(width), int(height)))

    @classmethod
    def letterbox(cls, size: Size, width: int, height: int) -> ImageTransform:
        """Fit the whole picture into (width, height) and centre it; whole pixels, so the aspect may change by half a pixel."""
        ratio = min(width / size[0], height / size[1])
        inner_w = min(width, max(1, round(size[0] * ratio)))
        inner_h = min(height, max(1, round(size[1] * ratio)))
        left, top = (width - inner_w) // 2, (height - inner_h) // 2
        return cls(inner_w / size[0], inner_h / size[1], float(left), float(top), size, (int(width), int(height)))

    @classmethod
    def flip(cls, size: Size, horizontal: bool = True, vertical: bool = False) -> ImageTransform:
        """Mirror left-right and/or top-bottom."""
        sx, tx = (-1.0, float(size[0])) if horizontal else (1.0, 0.0)
        sy, ty = (-1.0, float(size[1])) if vertical else (1.0, 0.0)
        return cls(sx, sy, tx, ty, size, size)

    def then(self, other: ImageTransform) -> ImageTransform:
        """Return the map that does `self` first and `other` second. Raises `InputError` when the sizes do not meet."""
        if self.target != other.source:
            raise InputError(
                f"the second image transform starts from {other.source} but the first ends at {self.target}"
            )
        return ImageTransform(
            self.scale_x * other.scale_x,
            self.scale_y * other.scale_y,
            self.shift_x * other.scale_x + other.shift_x,
            self.shift_y * other.scale_y + other.shift_y,
            self.source,
            other.target,
        )

    def inverse(self) -> ImageTransform:
        """Return the map from the target's pixels back to the source's."""
        return ImageTransform(
            1 / self.scale_x,
            1 / self.scale_y,
            -self.shift_x / self.scale_x,
            -self.shift_y / self.scale_y,
            self.target,
            self.source,
        )

    @property
    def matrix(self) -> np.ndarray:
        """(2, 3) float64: target = matrix @ [u, v, 1]."""
        return np.array([[self.scale_x, 0.0, self.shift_x], [0.0, self.scale_y, self.shift_y]])

    @property
    def mirrors(self) -> bool:
        """Whether left and right (or top and bottom, but not both) are exchanged."""
        return (self.scale_x < 0) != (self.scale_y < 0)

    def points(self, xy: Any) -> Any:
        """Map (..., 2) continuous pixel coordinates (array or tensor) from source to target."""
        scale, shift = _like(xy, (self.scale_x, self.scale_y)), _like(xy, (self.shift_x, self.shift_y))
        return xy * scale + shift

    def undo_points(self, xy: Any) -> Any:
        """Map (..., 2) continuous pixel coordinates (array or tensor) from target back to source."""
        scale, shift = _like(xy, (self.scale_x, self.scale_y)), _like(xy, (self.shift_x, self.shift_y))
        return (xy - shift) / scale

    def apply(self, image: np.ndarray, mode: str = "area", fill: float = 0) -> np.ndarray:
        """Resample an (H, W) or (H, W, C) array of source size into a new one of target size; `fill` lies outside.

        mode: "area" averages when shrinking and interpolates when enlarging (pictures); "linear"; "nearest" (depth, labels, masks).
        """
        _check_size(image.shape[:2], self.source)
        if mode == "area":
            image, step = self._shrunk(image)
            return step.apply(image, "linear", fill)
        return _resample(image, self, mode, fill, row_axis=0)

    def undo(self, value: Any, mode: str = "linear", fill: float = 0) -> Any:
        """Bring a map from target pixels back to source pixels; `fill` where the target never saw the source pixel.

        value: array (H, W) or (H, W, C), or tensor (..., H, W). mode: "linear" or "nearest".
        """
        row_axis = 0 if isinstance(value, np.ndarray) else value.ndim - 2
        _check_size(tuple(value.shape[row_axis : row_axis + 2]), self.target)
        return _resample(value, self.inverse(), mode, fill, row_axis)

    def _shrunk(self, image: np.ndarray) -> tuple[np.ndarray, ImageTransform]:
        """Area-average to the nearest whole size that the scale asks for; return it with the map that is left to do."""
        width, height = (
            min(n, max(1, round(n * abs(s)))) for n, s in zip(self.source, (self.scale_x, self.scale_y), strict=True)
        )
        if (width, height) == self.source:
            return image, self
        import cv2

        kind = image.dtype
        work = image if kind in (np.uint8, np.uint16, np.float32, np.float64) else image.astype(np.float32)
        small = cv2.resize(np.ascontiguousarray(work), (width, height), interpolation=cv2.INTER_AREA)
        small = small.reshape(height, width, *image.shape[2:])
        small = (np.rint(small) if kind.kind in "iub" else small).astype(kind)
        return small, ImageTransform.resize(self.source, width, height).inverse().then(self)


def _like(xy: Any, values: tuple[float, float]) -> Any:
    if isinstance(xy, np.ndarray):
        return np.asarray(values, dtype=xy.dtype if xy.dtype.kind == "f" else np.float64)
    import torch

    return torch.tensor(values, dtype=xy.dtype if xy.is_floating_point() else torch.float64, device=xy.device)


def _check_size(shape: tuple[int, ...], expected: Size) -> None:
    if (shape[1], shape[0]) != expected:
        raise InputError(
            f"the map is {shape[1]}x{shape[0]} pixels but this transform expects {expected[0]}x{expected[1]}"
        )


def _axis(n_out: int, n_in: int, scale: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Continuous source coordinate of each target pixel centre along one axis, and whether it lies inside the source."""
    at = (np.arange(n_out) + 0.5 - shift) / scale
    # Round away the last bits, so that undoing a whole-pixel move hits the pixel centres exactly.
    at = np.round(at, 9)
    return at, (at >= 0) & (at < n_in)


def _resample(value: Any, transform: ImageTransform, mode: str, fill: float, row_axis: int) -> Any:
    """Separable nearest or linear resampling of arrays and tensors; edges are clamped, the outside is filled."""
    if mode not in ("nearest", "linear"):
        raise InputError(f"resampling mode must be 'area', 'linear' or 'nearest'; found {mode!r}")
    (w_in, h_in), (w_out, h_out) = transform.source, transform.target
    x, x_inside = _axis(w_out, w_in, transform.scale_x, transform.shift_x)
    y, y_inside = _axis(h_out, h_in, transform.scale_y, transform.shift_y)
    whole = np.array_equal(x[x_inside] % 1, np.full(x_inside.sum(), 0.5)) and np.array_equal(
        y[y_inside] % 1, np.full(y_inside.sum(), 0.5)
    )
    out = value
    for axis, at, n in ((row_axis, y, h_in), (row_axis + 1, x, w_in)):
        out = _nearest(out, axis, at, n) if mode == "nearest" or whole else _linear(out, axis, at, n)
    if isinstance(value, np.ndarray):
        if out.dtype != value.dtype:
            out = (np.rint(out) if value.dtype.kind in "iub" else out).astype(value.dtype)
        if not (x_inside.all() and y_inside.all()):
            out[~(y_inside[:, None] & x_inside[None, :])] = fill
        return out
    if not (x_inside.all() and y_inside.all()):
        import torch

        outside = torch.from_numpy(~(y_inside[:, None] & x_inside[None, :])).to(value.device)
        out = out.masked_fill(outside, fill)
    return out


def _take(value: Any, index: np.ndarray, axis: int) -> Any:
    if isinstance(value, np.ndarray):
        return np.take(value, index, axis=axis)
    import torch

    return value.index_select(axis, torch.from_numpy(index).to(value.device))


def _nearest(value: Any, axis: int, at: np.ndarray, n: int) -> Any:
    return _take(value, np.clip(np.floor(at), 0, n - 1).astype(np.int64), axis)


def _linear(value: Any, axis: int, at: np.ndarray, n: int) -> Any:
    low = np.floor(at - 0.5)
    weight = at - 0.5 - low
    first = _take(value, np.clip(low, 0, n - 1).astype(np.int64), axis)
    second = _take(value, np.clip(low + 1, 0, n - 1).astype(np.int64), axis)
    shape = [1] * value.ndim
    shape[axis] = -1
    if isinstance(value, np.ndarray):
        kind = np.float64 if value.dtype == np.float64 else np.float32
        w = weight.reshape(shape).astype(kind)
        return first.astype(kind) * (1 - w) + second.astype(kind) * w
    import torch

    dtype = value.dtype if value.is_floating_point() else torch.float32
    w = torch.from_numpy(weight).to(device=value.device, dtype=dtype).view(shape)
    return first.to(dtype) * (1 - w) + second.to(dtype) * w
