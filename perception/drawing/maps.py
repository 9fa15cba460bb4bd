"""Depth and normal maps as pictures.

Depth is coloured by its inverse (near things differ more than far ones), warm = near, between limits that are rounded to 1-2-5 numbers: frames of a
video thus keep the same colours for the same metres. Invalid pixels are dark grey.
"""

from __future__ import annotations

import math

import numpy as np

from perception.drawing import canvas
from perception.drawing.colors import apply_colormap, colormap
from perception.errors import InputError

INVALID = (38, 38, 38)


def depth_limits(depth: np.ndarray, valid: np.ndarray | None = None) -> tuple[float, float]:
    """(near, far) for colouring: the 1st and 99th percentile of the valid depth, rounded outwards to 1, 1.5, 2, 3, 5, 7 times a power of ten.

    Always finite with 0 < near < far, for empty and constant maps too.
    """
    depth = np.asarray(depth)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(depth) & (depth > 0)
    values = depth[known if valid is None else known & np.asarray(valid, bool)]
    if not values.size:
        return 1.0, 2.0
    step = max(1, values.size // 200_000)
    near, far = np.percentile(values[::step].astype(np.float64), (1, 99))
    near, far = _nice(float(near), down=True), _nice(float(far), down=False)
    return (near, far) if far > near else (near, near * 2)


class SteadyLimits:
    """Limits of the colours of one frame after another, so that a film does not flicker: the first frame's, until `patience` frames in a row have others.

    Then they are the widest of those frames. For a film of known length, one range for all frames is better still.
    """

    def __init__(self, patience: int = 10) -> None:
        if patience < 1:
            raise InputError(f"patience is a number of frames, at least 1; found {patience}")
        self.patience = patience
        self._limits: tuple[float, float] | None = None
        self._others: list[tuple[float, float]] = []

    def __call__(self, depth: np.ndarray, valid: np.ndarray | None = None) -> tuple[float, float]:
        """(near, far) for this frame's (H, W) depth."""
        found = depth_limits(depth, valid)
        self._others = [] if found == self._limits else [*self._others, found]
        if self._limits is None or len(self._others) >= self.patience:
            self._limits = min(near for near, _ in self._others), max(far for _, far in self._others)
            self._others = []
        return self._limits


def _nice(value: float, down: bool) -> float:
    steps = (1, 1.5, 2, 3, 5, 7, 10)
    power = 10.0 ** math.floor(math.log10(value))
    scaled = value / power
    if down:
        return power * max(s for s in steps if s <= scaled + 1e-9)
    return power * min(s for s in steps if s >= scaled - 1e-9)


def _position(depth: np.ndarray, near: float, far: float) -> np.ndarray:
    """0 at the far limit, 1 at the near one, linear in inverse depth."""
    return (1 / np.maximum(depth, 1e-12) - 1 / far) / (1 / near - 1 / far)


def colorize_depth(
    depth: np.ndarray,
    valid: np.ndarray | None = None,
    limits: tuple[float, float] | None = None,
    cmap: str = "spectral_r",
) -> np.ndarray:
    """(H, W) depth -> (H, W, 3) uint8 RGB, warm = near; `limits` = (near, far), by default those of `depth_limits`."""
    depth = np.asarray(depth)
    if depth.ndim != 2:
        raise InputError(f"a depth map must have shape (H, W); found {depth.shape}")
    near, far = _checked_limits(limits) if limits is not None else depth_limits(depth, valid)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(depth) & (depth > 0)
    known = known if valid is None else known & np.asarray(valid, bool)
    out = apply_colormap(_position(np.where(known, depth, far).astype(np.float32), near, far), cmap)
    out[~known] = INVALID
    return out


def _checked_limits(limits: tuple[float, float]) -> tuple[float, float]:
    near, far = map(float, limits)
    if not 0 < near < far < math.inf:
        raise InputError(f"the limits for colouring depth must be 0 < near < far; found {limits}")
    return near, far


def draw_depth(
    depth: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    unit: str = "m",
    limits: tuple[float, float] | None = None,
    cmap: str = "spectral_r",
    legend: bool = True,
) -> np.ndarray:
    """Coloured depth of the picture's own size, with a legend inside its lower edge where there is room."""
    limits = _checked_limits(limits) if limits is not None else depth_limits(depth, valid)
    out = colorize_depth(depth, valid, limits, cmap)
    if legend and out.shape[1] >= 160 and out.shape[0] >= 96:
        _legend(out, limits, unit, cmap)
    return out


def draw_inverse_depth(
    values: np.ndarray, valid: np.ndarray | None = None, *, cmap: str = "spectral_r", legend: bool = True
) -> np.ndarray:
    """(H, W) inverse depth of unknown scale and shift, larger = nearer -> (H, W, 3) uint8 of the same size, warm = near, invalid dark grey."""
    values = np.asarray(values)
    if values.ndim != 2:
        raise InputError(f"a map of inverse depth must have shape (H, W); found {values.shape}")
    known = np.isfinite(values) if valid is None else np.isfinite(values) & np.asarray(valid, bool)
    seen = values[known].astype(np.float64)
    low, high = np.percentile(seen[:: max(1, seen.size // 200_000)], (1, 99)) if seen.size else (0.0, 1.0)
    out = apply_colormap((np.where(known, values, low) - low) / max(high - low, 1e-12), cmap)
    out[~known] = INVALID
    if legend and out.shape[1] >= 160 and out.shape[0] >= 96:
        _bar(out, cmap, [(0.0, "near"), (1.0, "far")])
    return out


def draw_values(
    values: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    limits: tuple[float, float],
    unit: str = "",
    cmap: str = "balance",
    legend: bool = True,
) -> np.ndarray:
    """(H, W) numbers -> (H, W, 3) uint8, coloured linearly between `limits` = (low, high), with a legend; unknown pixels are dark grey.

    Differences: limits (-x, x) and the colour map "balance": blue is below 0, white 0, red above. Raises `InputError` for another shape or limits.
    """
    values = np.asarray(values)
    low, high = map(float, limits)
    if values.ndim != 2:
        raise InputError(f"a map of values must have shape (H, W); found {values.shape}")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"the limits for colouring values must be low < high; found {limits}")
    known = np.isfinite(values) if valid is None else np.isfinite(values) & np.asarray(valid, bool)
    out = apply_colormap((np.where(known, values, low) - low) / (high - low), cmap)
    out[~known] = INVALID
    if legend and out.shape[1] >= 160 and out.shape[0] >= 96:
        middle = (low + high) / 2
        sign = "+" if low < 0 else ""
        marks = [(0.0, f"{low:g}"), (1.0, f"{sign}{high:g}" + (f" {unit}" if unit else "")), (0.5, f"{middle:g}")]
        _bar(out, cmap.removesuffix("_r") if cmap.endswith("_r") else f"{cmap}_r", marks)  # low on the left
    return out


def rounded_up(value: float) -> float:
    """The next 1, 1.5, 2, 3, 5, 7 times a power of ten: a limit for colours that stays the same for like pictures. 1 for what is not positive."""
    return _nice(float(value), down=False) if math.isfinite(value) and value > 0 else 1.0


def _legend(image: np.ndarray, limits: tuple[float, float], unit: str, cmap: str) -> None:
    near, far = limits
    ticks = [near, far, *_ticks(near, far)]  # the ends first, then whatever fits between them
    marks = [
        (float(1 - _position(np.float64(v), near, far)), f"{v:g}" + (f" {unit}" if unit and v == far else ""))
        for v in ticks
    ]
    _bar(image, cmap, marks)


def _bar(image: np.ndarray, cmap: str, marks: list[tuple[float, str]]) -> None:
    """Colour bar inside the lower right corner, warm on the left; marks: (place in 0..1, text), those that would overlap are left out."""
    height, width = image.shape[:2]
    size = canvas.font_size(image.shape)
    bar_w, bar_h = int(min(width * 0.42, 460)), max(6, size // 2)
    pad = max(4, size // 2)
    box_w, box_h = bar_w + 2 * pad, bar_h + size + 3 * pad
    left, top = width - box_w - pad, height - box_h - pad
    region = image[top : top + box_h, left : left + box_w]
    region[:] = (region.astype(np.float32) * 0.3).astype(np.uint8)
    ramp = colormap(cmap)[np.linspace(255, 0, bar_w).astype(np.uint8)]
    image[top + pad : top + pad + bar_h, left + pad : left + pad + bar_w] = ramp
    taken: list[tuple[float, float]] = []
    for place, text in marks:
        text_w, _ = canvas.text_size(text, size)
        at = left + pad + place * bar_w
        start = float(np.clip(at - text_w / 2, left, left + box_w - text_w))
        if any(start < end and start + text_w > begin for begin, end in taken):
            continue
        taken.append((start - 2, start + text_w + 2))
        column = int(np.clip(at, left + pad, left + pad + bar_w - 1))
        image[top + pad + bar_h : top + pad + bar_h + 3, column] = 255
        canvas.write_text(image, text, start, top + pad + bar_h + pad // 2, size, back=None)


def _ticks(near: float, far: float) -> list[float]:
    values = [
        s * 10.0**p
        for p in range(math.floor(math.log10(near)), math.ceil(math.log10(far)) + 1)
        for s in (1, 2, 3, 5, 7, 1.5)
    ]
    return [v for v in values if near < v < far]


def draw_normals(normals: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """(H, W, 3) unit normals, camera frame -> (H, W, 3) uint8: red = right, green = up, blue = towards the camera; invalid dark grey."""
    normals = np.asarray(normals, np.float32)
    if normals.ndim != 3 or normals.shape[2] != 3:
        raise InputError(f"a normal map must have shape (H, W, 3); found {normals.shape}")
    with np.errstate(invalid="ignore"):
        known = np.isfinite(normals).all(-1) & (np.abs(normals).max(-1) > 0)
    known = known if valid is None else known & np.asarray(valid, bool)
    clean = np.where(known[..., None], normals, 0)
    out = np.rint(np.clip((clean * np.float32([1, -1, -1]) + 1) / 2, 0, 1) * 255).astype(np.uint8)
    out[~known] = INVALID
    return out
