"""Lift-splat: sum what pixels see, weighted by how likely each depth is, into the cells of a grid (arXiv 2008.05711, section 3).

Every pixel of every camera owns D points along its ray. Point (pixel, depth bin) adds ``depth probability x pixel's context`` to the cell it lies in.
The (pixels x D x C) frustum of products is never made: the sum is a sparse (cells x pixels) matrix, whose values are the depth probabilities,
times the (pixels x C) table of contexts. Which point lies in which cell is geometry alone: a `LiftPlan`, made once for a fixed rig.

Two formulations give the same numbers:

``bags``     (eager mode on CPU and CUDA) one weighted bag of context rows a cell, read in one pass.
``scatter``  scattered additions, a few depth bins at a time; static shapes, for `torch.export`, ONNX, `torch.compile` and other devices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.errors import InputError
from perception.ops.constants import is_tracing

ROUNDINGS = ("floor", "trunc")
_PIECE = 1 << 20  # products a camera that "scatter" holds at a time


@dataclasses.dataclass(frozen=True)
class VoxelGrid:
    """Cells of a box of space: (lower bound, upper bound, cell size) in metres along x, y and z. One cell in z makes a bird's-eye view."""

    x: tuple[float, float, float]
    y: tuple[float, float, float]
    z: tuple[float, float, float]

    @classmethod
    def of(cls, bounds: dict[str, Sequence[float]]) -> VoxelGrid:
        """Build from ``{"x": [lower, upper, size], "y": ..., "z": ...}``. Raises `InputError` for a box without cells."""
        grid = cls(*(tuple(float(v) for v in bounds[axis]) for axis in "xyz"))
        for axis, (lower, upper, size) in zip("xyz", (grid.x, grid.y, grid.z), strict=True):
            if not (size > 0 and upper - lower >= 0.5 * size):
                raise InputError(
                    f"grid axis {axis} needs [lower, upper, cell size] with at least one cell; found {[lower, upper, size]}"
                )
        return grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along (z, y, x)."""
        return tuple(round((upper - lower) / size) for lower, upper, size in (self.z, self.y, self.x))  # type: ignore[return-value]

    @property
    def lower(self) -> tuple[float, float, float]:
        """Lower corner (x, y, z) in metres."""
        return (self.x[0], self.y[0], self.z[0])

    @property
    def size(self) -> tuple[float, float, float]:
        """Cell size (x, y, z) in metres."""
        return (self.x[2], self.y[2], self.z[2])


@dataclasses.dataclass(frozen=True)
class LiftPlan:
    """Which cell each point of a frustum lies in.

    cell: (B, N, D, h, w) int64, index of the cell in (B, Z, Y, X), or B Z Y X for points outside the grid.
    order: (K,) points inside the grid, sorted by cell; pixel: (K,) their pixel in (B, N, h, w); starts: (cells + 1,) where each cell's points
    begin in `order`. The last three are None in plans made while a graph is recorded.
    """

    cell: Tensor
    shape: tuple[int, int, int]
    order: Tensor | None = None
    pixel: Tensor | None = None
    starts: Tensor | None = None

    @property
    def cells(self) -> int:
        """Number of cells of the whole batch."""
        z, y, x = self.shape
        return self.cell.shape[0] * z * y * x


@torch.no_grad()
def plan_lift(points: Tensor, grid: VoxelGrid, rounding: str = "floor") -> LiftPlan:
    """Sort the points of a frustum into the cells of a grid.

    Args:
        points: (B, N, D, h, w, 3) metres, in the grid's frame.
        grid: the cells.
        rounding: "floor", or "trunc" (towards zero) as BEVDet and FB-BEV do, which also counts points up to one cell below a lower bound.

    Raises:
        InputError: an unknown rounding, or points of another shape.
    """
    if rounding not in ROUNDINGS:
        raise InputError(f"lift-splat rounds by one of {', '.join(ROUNDINGS)}; found {rounding!r}")
    if points.ndim != 6 or points.shape[-1] != 3:
        raise InputError(f"lift-splat needs points of shape (B, N, D, h, w, 3); found {tuple(points.shape)}")
    batch, cameras, bins, height, width, _ = points.shape
    deep, rows, columns = grid.shape
    cells = batch * deep * rows * columns
    cell = torch.arange(batch, device=points.device).view(batch, 1, 1, 1, 1)
    inside = torch.ones((), dtype=torch.bool, device=points.device)
    for axis, count in ((2, deep), (1, rows), (0, columns)):
        at = (points[..., axis] - grid.lower[axis]) / grid.size[axis]
        # Far away points and NaN must not overflow the integers; -2 lies outside by either rounding.
        at = torch.nan_to_num(at, nan=-2.0).clamp(-2, count + 1)
        at = (at.floor() if rounding == "floor" else at.trunc()).to(torch.int64)
        inside = inside & (at >= 0) & (at < count)
        cell = cell * count + at
    cell = torch.where(inside, cell, cells)
    if is_tracing():
        return LiftPlan(cell, grid.shape)
    flat = cell.flatten()
    kept = inside.expand_as(cell).flatten().nonzero().squeeze(1)
    chosen = flat[kept]
    by_cell = torch.sort(chosen.to(torch.int32) if cells < 2**31 else chosen, stable=True)[1]
    order = kept[by_cell]
    starts = torch.zeros(cells + 1, dtype=torch.int64, device=points.device)
    torch.cumsum(torch.bincount(chosen, minlength=cells), 0, out=starts[1:])
    pixels = height * width
    pixel = order // (bins * pixels) * pixels + order % pixels
    return LiftPlan(cell, grid.shape, order, pixel, starts)


def lift_splat(
    depth: Tensor, context: Tensor, plan: LiftPlan, reduce: str = "sum", method: str | None = None
) -> Tensor:
    """Add ``depth x context`` of every frustum point to its cell.

    Args:
        depth: (B, N, D, h, w) weight of each depth bin, normally a softmax over D.
        context: (B, N, C, h, w).
        plan: from `plan_lift`, for points of this shape.
        reduce: "sum", or "mean": divided by the number of points in the cell (CRN).
        method: "bags", "scatter" or None for the one that fits device and mode.

    Returns:
        (B, C, Z, Y, X) in `context`'s dtype; empty cells are 0.

    Raises:
        InputError: the shapes contradict each other, or `reduce` or `method` do not exist.
    """
    if depth.shape != plan.cell.shape or context.shape[:2] + context.shape[3:] != depth.shape[:2] + depth.shape[3:]:
        raise InputError(
            f"lift-splat needs depth {tuple(plan.cell.shape)} and context (B, N, C, h, w) of the same pixels; "
            f"found {tuple(depth.shape)} and {tuple(context.shape)}"
        )
    if reduce not in ("sum", "mean"):
        raise InputError(f"lift-splat reduces by 'sum' or 'mean'; found {reduce!r}")
    if method is None:
        method = "scatter" if is_tracing() or plan.order is None or depth.device.type not in ("cpu", "cuda") else "bags"
    if method not in ("bags", "scatter") or (method == "bags" and plan.order is None):
        raise InputError(
            f"lift-splat knows the methods 'bags' and 'scatter' (bags need an eager plan); found {method!r}"
        )
    batch, channels = context.shape[0], context.shape[2]
    table = context.permute(0, 1, 3, 4, 2).reshape(-1, channels)  # (B N h w, C)
    if method == "bags":
        weights = depth.to(table.dtype).reshape(-1).index_select(0, plan.order)
        summed = F.embedding_bag(
            plan.pixel, table, plan.starts, mode="sum", per_sample_weights=weights, include_last_offset=True
        )
    else:
        summed = table.new_zeros(plan.cells + 1, channels)
        together = max(1, _PIECE // (depth.shape[3] * depth.shape[4] * channels))
        for piece, cells in zip(depth.to(table.dtype).split(together, 2), plan.cell.split(together, 2), strict=True):
            products = context[:, :, None] * piece[:, :, :, None]  # (B, N, bins, C, h, w)
            rows = products.permute(0, 1, 2, 4, 5, 3).reshape(-1, channels)
            summed = summed.index_add(0, cells.reshape(-1), rows)
        summed = summed[: plan.cells]
    if reduce == "mean":
        summed = summed / _counts(plan).clamp(min=1).to(summed.dtype)[:, None]
    return summed.view(batch, *plan.shape, channels).permute(0, 4, 1, 2, 3)


def flatten_height(volume: Tensor) -> Tensor:
    """(B, C, Z, Y, X) -> (B, Z * C, Y, X): the levels one after the other, as BEVDet lays them out."""
    return volume.permute(0, 2, 1, 3, 4).flatten(1, 2)


def _counts(plan: LiftPlan) -> Tensor:
    """(cells,) points in each cell."""
    if plan.starts is not None:
        return plan.starts.diff()
    ones = torch.ones(plan.cell.numel(), dtype=torch.int64, device=plan.cell.device)
    counts = torch.zeros(plan.cells + 1, dtype=torch.int64, device=plan.cell.device)
    return counts.index_add(0, plan.cell.flatten(), ones)[: plan.cells]
