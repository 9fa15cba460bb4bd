"""Tangent images back to a panorama: a sparse matrix that is made once for a layout and its sizes, and kept in memory.

Row p of the matrix holds, for each patch that sees the panorama's pixel p, the four bilinear weights of its pixels. Rows sum to 1 (0 in holes), so
merging is one sparse product forwards and one with the transpose backwards. Nothing is ever written to disk.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from torch import Tensor

from perception.errors import InputError
from perception.geometry.tangent import MODES, Size, TangentLayout, panorama_angles, plane_position
from perception.ops.constants import cached_constants, is_tracing

_NEGLIGIBLE = (
    1e-5  # the official merge drops bilinear weights up to this, and the negative ones that its clamping makes
)
_FLOOR = 1e-4  # of the feathered weight, so that a pixel seen only by patch borders still has a value


class MergeOperator:
    """A sparse (H W, N h w) matrix with its transpose.

    rows: (H W + 1,), columns and values: (entries,): compressed sparse rows on the CPU, moved to `device`. `holes`: whether a row is empty.
    """

    def __init__(self, rows: Tensor, columns: Tensor, values: Tensor, width: int, device: torch.device) -> None:
        self.shape = (len(rows) - 1, width)
        self.holes = bool((rows[1:] == rows[:-1]).any())
        self.device = device
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls every sparse row tensor "beta" once a process
            matrix = torch.sparse_csr_tensor(rows, columns, values, self.shape, check_invariants=False)
        self._matrix = matrix.to(device)
        self._transposed: Tensor | None = None

    @property
    def matrix(self) -> Tensor:
        """(H W, N h w) sparse CSR tensor."""
        return self._matrix

    @property
    def transposed(self) -> Tensor:
        """(N h w, H W) sparse CSR tensor; made when first needed, by training."""
        if self._transposed is None:
            with torch.inference_mode(False), torch.no_grad():
                by_column = self._matrix.to_sparse_csc()
                self._transposed = torch.sparse_csr_tensor(
                    by_column.ccol_indices(),
                    by_column.row_indices(),
                    by_column.values(),
                    self.shape[::-1],
                    check_invariants=False,
                )
        return self._transposed

    def apply(self, values: Tensor) -> Tensor:
        """(K, N h w) -> (K, H W); differentiable."""
        if torch.is_grad_enabled() and values.requires_grad:
            return _Apply.apply(values, self)
        return _product(self._matrix, values)


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, operator: MergeOperator) -> Tensor:
        ctx.operator = operator
        return _product(operator.matrix, values)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return _product(ctx.operator.transposed, gradient), None


def _product(matrix: Tensor, values: Tensor) -> Tensor:
    """values (K, n) times the transpose of a sparse (m, n) matrix -> (K, m), in the matrix's precision."""
    kind = values.dtype
    with torch.autocast(values.device.type, enabled=False):
        values = values.to(matrix.dtype)
        if len(values) == 1:
            return (matrix @ values[0])[None].to(kind)
        return (matrix @ values.t().contiguous()).t().to(kind)


def merge(
    layout: TangentLayout, patches: Tensor, size: Size, mode: str, confidence: Tensor | None, allow_holes: bool
) -> Tensor:
    """See `TangentLayout.merge`."""
    if mode not in MODES:
        raise InputError(f"tangent images are merged by {', '.join(MODES)}; found {mode!r}")
    if (mode == "confidence" and confidence is None) or (mode == "average" and confidence is not None):
        raise InputError(f"merging by {mode!r} {'needs' if confidence is None else 'takes no'} confidence")
    if patches.ndim != 5 or patches.shape[1] != layout.patches:
        raise InputError(
            f"patches of this layout have shape (B, {layout.patches}, C, h, w); found {tuple(patches.shape)}"
        )
    batch, count, channels, height, width = patches.shape
    base = "feathered" if mode == "feathered" else "average"
    values = patches if confidence is None else torch.cat([patches * confidence, confidence], 2)
    flat = values.transpose(1, 2).reshape(batch * values.shape[2], count * height * width)
    if is_tracing() or flat.device.type == "mps":
        if not allow_holes:
            layout.check((height, width), size)
        indices, weights = gather_tables(layout, (height, width), size, base, flat.device, torch.float32)
        merged = (flat[:, indices] * weights).sum(1).to(flat.dtype)
    else:
        kind = torch.float64 if flat.dtype == torch.float64 else torch.float32
        operator = merge_operator(layout, (height, width), size, base, flat.device, kind)
        if operator.holes and not allow_holes:
            layout.check((height, width), size)
        merged = operator.apply(flat)
    merged = merged.view(batch, values.shape[2], *size)
    if confidence is None:
        return merged
    total = merged[:, -1:]
    return merged[:, :-1] / (total + 1e-8 * (total <= 1e-8))


def ready(layout: TangentLayout, patch: Size, size: Size, mode: str, device: torch.device) -> None:
    """Make the operator that `merge` of float32 patches will want: its making takes memory that a network may not have to spare in its midst."""
    if not is_tracing() and device.type != "mps":
        merge_operator(layout, patch, size, "feathered" if mode == "feathered" else "average", device, torch.float32)


@cached_constants(maxsize=6)
def merge_operator(
    layout: TangentLayout, patch: Size, size: Size, mode: str, device: torch.device, dtype: torch.dtype
) -> MergeOperator:
    """The operator for patches of (h, w) and a panorama of (H, W). mode: "average" or "feathered"."""
    rows, columns, values = _entries(layout, patch, size, mode)
    kind = torch.int32 if columns.dtype == np.int32 and len(columns) < 2**31 else torch.int64
    return MergeOperator(
        torch.from_numpy(rows).to(kind),
        torch.from_numpy(columns).to(kind),
        torch.from_numpy(values).to(dtype),
        layout.patches * patch[0] * patch[1],
        device,
    )


@cached_constants(maxsize=4)
def gather_tables(
    layout: TangentLayout, patch: Size, size: Size, mode: str, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The same operator as (K, H W) int64 indices and weights, padded with zeros: for exported graphs and devices without sparse products."""
    rows, columns, values = _entries(layout, patch, size, mode)
    length = np.diff(rows)
    depth = max(1, int(length.max()))
    place = np.arange(len(columns)) - np.repeat(rows[:-1], length)
    pixel = np.repeat(np.arange(len(length)), length)
    indices = np.zeros((depth, len(length)), np.int64)
    weights = np.zeros((depth, len(length)))
    indices[place, pixel], weights[place, pixel] = columns, values
    return torch.from_numpy(indices).to(device), torch.from_numpy(weights).to(device, dtype)


def _entries(layout: TangentLayout, patch: Size, size: Size, mode: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compressed sparse rows (rows int64, columns int32 or int64, values float32) of the operator. Raises `InputError` for patches without neighbours."""
    if min(patch) < 2:
        raise InputError(f"tangent images need at least 2x2 pixels to be merged; found {patch[1]}x{patch[0]}")
    longitude, latitude = panorama_angles(layout, size)
    pixels = size[0] * size[1]
    kind = np.int32 if layout.patches * patch[0] * patch[1] < 2**31 else np.int64
    seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    count = np.zeros(pixels, np.int64)
    total = np.zeros(pixels)
    for index, centre in enumerate(layout.centres(merging=True)):
        rows, columns = _window(layout, centre, longitude, latitude)
        if not len(rows) or not len(columns):
            continue
        x, y, cosine = plane_position(centre, longitude[columns], latitude[rows])
        inside, corners, values = (_official if layout.official else _consistent)(layout, patch, x, y, cosine, mode)
        row, column = np.divmod(inside, len(columns))
        where = rows[row] * size[1] + columns[column]
        count[where] += 1  # a patch holds a pixel once
        total[where] += values.sum(-1)
        corners += index * patch[0] * patch[1]
        seen.append((where.astype(np.int32), corners.astype(kind), values.astype(np.float32)))
    first = np.concatenate([[0], np.cumsum(count)])
    columns_out = np.empty((first[-1], 4), kind)
    values_out = np.empty((first[-1], 4), np.float32)
    filled = first[:-1].copy()
    inverse = 1 / np.maximum(total, 1e-12)
    for where, corners, values in seen:
        place = filled[where]
        columns_out[place] = corners
        values_out[place] = values * inverse[where, None]
        filled[where] += 1
    return 4 * first, columns_out.reshape(-1), values_out.reshape(-1)


def _window(
    layout: TangentLayout, centre: np.ndarray, longitude: np.ndarray, latitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the panorama that a patch can reach: those of the circle through its corners."""
    reach = math.atan(math.hypot(*layout.extent)) + 1e-6
    rows = np.flatnonzero(np.abs(latitude - centre[1]) <= reach)
    if abs(centre[1]) + reach >= math.pi / 2:  # the pole is inside: every longitude
        return rows, np.arange(len(longitude))
    across = math.asin(math.sin(reach) / math.cos(centre[1])) + 1e-6
    offset = np.mod(longitude - centre[0] + math.pi, 2 * math.pi) - math.pi
    return rows, np.flatnonzero(np.abs(offset) <= across)


def _consistent(
    layout: TangentLayout, patch: Size, x: np.ndarray, y: np.ndarray, cosine: np.ndarray, mode: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels that lie between a patch's pixel centres: (M,) flat places, (M, 4) patch pixels, (M, 4) weights."""
    height, width = patch
    px = (x / layout.extent[1] + 1) / 2 * width - 0.5
    py = (y / layout.extent[0] + 1) / 2 * height - 0.5
    slack = 1e-9  # a pixel exactly on a border must not fall between two patches by rounding
    inside = (cosine > 1e-9) & (px >= -slack) & (px <= width - 1 + slack) & (py >= -slack) & (py <= height - 1 + slack)
    where = np.flatnonzero(inside)
    px, py = np.clip(px.ravel()[where], 0, width - 1), np.clip(py.ravel()[where], 0, height - 1)
    x0 = np.minimum(px.astype(np.int64), max(width - 2, 0))
    y0 = np.minimum(py.astype(np.int64), max(height - 2, 0))
    fx, fy = px - x0, py - y0
    corner = y0 * width + x0
    columns = np.stack([corner, corner + 1, corner + width, corner + width + 1], -1)
    values = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], -1)
    if mode == "feathered":
        values *= np.maximum(_feather(px, width) * _feather(py, height), _FLOOR)[:, None]
    return where, columns, values


def _feather(at: np.ndarray, size: int) -> np.ndarray:
    """1 in the middle of a side of `size` pixels, 0 at its first and last pixel centre, smooth at both."""
    inward = 1 - np.abs(2 * at / (size - 1) - 1)
    return np.sin(0.5 * math.pi * inward) ** 2


def _official(
    layout: TangentLayout, patch: Size, x: np.ndarray, y: np.ndarray, cosine: np.ndarray, mode: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The released weights' merge: half a pixel off, height and width exchanged, corners clamped before their weights are formed."""
    height, width = patch
    px = (x / layout.extent[1] + 1) / 2 * height
    py = (y / layout.extent[0] + 1) / 2 * width
    inside = (cosine > 1e-9) & (px > 0) & (px < width) & (py > 0) & (py < height)
    where = np.flatnonzero(inside)
    px, py = px.ravel()[where], py.ravel()[where]
    low_x, low_y = np.floor(px).astype(np.int64), np.floor(py).astype(np.int64)
    x0, x1 = np.clip(low_x, 0, width - 1), np.clip(low_x + 1, 0, width - 1)
    y0, y1 = np.clip(low_y, 0, height - 1), np.clip(low_y + 1, 0, height - 1)
    columns = np.stack([y0 * width + x0, y1 * width + x0, y0 * width + x1, y1 * width + x1], -1)
    values = np.stack([(x1 - px) * (y1 - py), (x1 - px) * (py - y0), (px - x0) * (y1 - py), (px - x0) * (py - y0)], -1)
    values[values <= _NEGLIGIBLE] = 0
    if mode == "feathered":
        values *= np.maximum(_feather(px - 0.5, width) * _feather(py - 0.5, height), _FLOOR)[:, None]
    return where, columns, values
