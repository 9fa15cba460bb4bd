"""Radar pillars: per-point features gathered into the cells of a 2D grid (arXiv 1812.05784, section 2.1), without a limit of points a pillar.

Points of a batch lie in one padded tensor with a mask, so shapes are static; an empty cloud is a mask without a point, and all cells are 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from perception.errors import InputError
from perception.ops.constants import is_tracing


def pillar_cells(
    rows: Tensor,
    columns: Tensor,
    row_axis: tuple[float, float, float],
    column_axis: tuple[float, float, float],
    valid: Tensor,
) -> Tensor:
    """Sort points into cells.

    Args:
        rows, columns: (B, P) coordinates of the points along the two axes.
        row_axis, column_axis: (lower bound, upper bound, cell size) of each axis.
        valid: (B, P) bool, False for padding.

    Returns:
        (B, P) int64 index into (B, Y, X), or B Y X for points that are padding or outside.
    """
    index = torch.arange(rows.shape[0], device=rows.device)[:, None]
    inside = valid
    cells = rows.shape[0]
    for at, (lower, upper, size) in ((rows, row_axis), (columns, column_axis)):
        count = round((upper - lower) / size)
        at = torch.nan_to_num((at - lower) / size, nan=-1.0).clamp(-1, count).floor().to(torch.int64)
        inside = inside & (at >= 0) & (at < count)
        index = index * count + at
        cells *= count
    return torch.where(inside, index, cells)


def pillar_reduce(features: Tensor, cell: Tensor, shape: tuple[int, int, int], reduce: str = "max") -> Tensor:
    """Reduce the points of each cell.

    Args:
        features: (B, P, C).
        cell: (B, P) from `pillar_cells`.
        shape: (B, Y, X).
        reduce: "max", "sum" or "mean".

    Returns:
        (B, C, Y, X); cells without points are 0.

    Raises:
        InputError: `reduce` does not exist.
    """
    modes = {"max": "amax", "sum": "sum", "mean": "mean"}
    if reduce not in modes:
        raise InputError(f"pillars are reduced by one of {', '.join(modes)}; found {reduce!r}")
    batch, height, width = shape
    channels = features.shape[-1]
    index = cell.reshape(-1, 1).expand(-1, channels)
    rows = (batch * height * width + 1, channels)
    if reduce == "max" and is_tracing():  # ONNX scatters into what is there already, and knows no other way
        out = features.new_full(rows, torch.finfo(features.dtype).min)
        out = out.scatter_reduce(0, index, features.reshape(-1, channels), "amax")
        out = torch.where(out == torch.finfo(features.dtype).min, 0.0, out)
    else:
        alone = reduce == "sum" and is_tracing()  # zeros change no sum
        out = features.new_zeros(rows)
        out = out.scatter_reduce(0, index, features.reshape(-1, channels), modes[reduce], include_self=alone)
    return out[:-1].view(batch, height, width, channels).permute(0, 3, 1, 2)
