"""How a result is shown, and what of it is kept: colours, their ends in metres, limits. Drawn from a kept prediction, without its model."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from perception.drawing import depth_limits, draw_depth
from perception.errors import InputError

COLORMAPS = ("spectral_r", "turbo", "magma", "inferno", "viridis", "cividis", "gray")


@dataclasses.dataclass(frozen=True)
class Look:
    """How depth is shown and what of it is kept. near, far: metres, the ends of the colours; `hide` also leaves out what lies beyond them.

    confidence: pixels below are left out (only where the model gives a confidence). score: 3D boxes below are left out.
    """

    colormap: str = COLORMAPS[0]
    near: float = 0.0
    far: float = 0.0
    hide: bool = False
    confidence: float = 0.0
    score: float = 0.0

    @property
    def limits(self) -> tuple[float, float] | None:
        """(near, far), or None for "as the depth itself suggests"."""
        return (max(self.near, 1e-3), self.far) if self.far > max(self.near, 1e-3) else None


def checked_look(
    colormap: str, near: float, far: float, hide: bool = False, confidence: float = 0, score: float = 0
) -> Look:
    """A `Look` from the page's controls. Raises `InputError` for a range that is empty."""
    if colormap not in COLORMAPS:
        raise InputError(f"the colour map must be one of {', '.join(COLORMAPS)}; found {colormap!r}")
    near, far = float(near or 0), float(far or 0)
    if far <= near and (far > 0 or near > 0):
        raise InputError(f"the near limit must be smaller than the far one; found {near:g} m and {far:g} m")
    return Look(colormap, near, far, bool(hide), float(confidence or 0), float(score or 0))


def range_of(depth: Any) -> tuple[float, float]:
    """(near, far) that suit a `DepthResult`, metres; (0, 0) where there is none in metres."""
    return (0.0, 0.0) if depth is None or depth.kind == "inverse" else depth_limits(depth.depth, depth.valid)


def kept(result: Any, look: Look) -> Any:
    """The prediction without the depth that `look` leaves out."""
    depth = result.depth
    if depth is None:
        return result
    valid = depth.valid
    if look.hide and look.limits is not None and depth.kind != "inverse":
        valid = valid & (depth.depth >= look.limits[0]) & (depth.depth <= look.limits[1])
    if look.confidence > 0 and depth.confidence is not None:
        valid = valid & (depth.confidence >= look.confidence)
    return result if valid is depth.valid else result.with_parts(depth=dataclasses.replace(depth, valid=valid))


def depth_view(result: Any, look: Look) -> np.ndarray | None:
    """(H, W, 3) uint8: coloured depth with its legend in metres."""
    depth = kept(result, look).depth
    if depth is None:
        return None
    if depth.kind == "inverse":
        from perception.drawing import draw_inverse_depth

        return draw_inverse_depth(depth.depth, depth.valid, cmap=look.colormap)
    return draw_depth(depth.depth, depth.valid, unit=depth.unit, limits=look.limits, cmap=look.colormap)
