"""Results as pictures: (H, W, 3) uint8 RGB in and out, nothing shown, nothing written, inputs never changed."""

from __future__ import annotations

from perception.drawing.boxes import draw_bev, draw_boxes3d
from perception.drawing.colors import COLORMAPS, apply_colormap, color_of, colormap, palette
from perception.drawing.maps import (
    SteadyLimits,
    colorize_depth,
    depth_limits,
    draw_depth,
    draw_inverse_depth,
    draw_normals,
    draw_values,
    rounded_up,
)
from perception.drawing.motion import draw_disparity, draw_flow
from perception.drawing.segmentation import colorize_ids, draw_segmentation
from perception.drawing.sheet import contact_sheet, grid

__all__ = [
    "COLORMAPS",
    "SteadyLimits",
    "apply_colormap",
    "color_of",
    "colorize_depth",
    "colorize_ids",
    "colormap",
    "contact_sheet",
    "depth_limits",
    "draw_bev",
    "draw_boxes3d",
    "draw_depth",
    "draw_disparity",
    "draw_flow",
    "draw_inverse_depth",
    "draw_normals",
    "draw_segmentation",
    "draw_values",
    "grid",
    "palette",
    "rounded_up",
]
