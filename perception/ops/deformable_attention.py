"""Multi-scale deformable attention without a compiled extension (Deformable DETR, section 4.1).

Each query of each head reads a few points of a feature pyramid, bilinearly, and adds them up with its own weights.

Two formulations give the same numbers:

``rows``  (eager mode on CPU and CUDA) all levels at once, as a weighted bag of table rows: the pyramid stays channels-last, as the value projection
          leaves it, each bilinear corner is one row of `head_dim` contiguous numbers, and `embedding_bag` adds rows up without materialising them.
          A frame of zeros around each level makes tests for the border needless, and the four corners of a sample lie at fixed distances.
          On a CPU the table's gradient is one sparse product (`_TableGradient`); torch's own sorts all indices first and is 20 times slower.
``grid``  one `grid_sample` a level. Used where the first cannot go: ONNX (opset >= 16), `torch.export`, `torch.compile`, other devices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.errors import InputError
from perception.ops.constants import cached_constants, is_tracing

_ENTRIES = 1 << 24  # of the sparse matrix in the backward pass
_PIECE = 4096  # bags of rows read at a time on a CPU: the indices and weights of one piece fit its cache

Shapes = Sequence[tuple[int, int]]  # (height, width) of each level, fine to coarse or in any other order


def deformable_attention(
    value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor, method: str | None = None
) -> Tensor:
    """Sum `value` at `locations` with `weights`. Samples outside a level count as zeros.

    Args:
        value: (B, S, heads, head_dim), the levels' pixels one level after the other, row by row; S is the sum of height x width.
        shapes: (height, width) of each of the L levels.
        locations: (B, Q, heads, L, P, 2) as (x, y) fractions of the level: 0 and 1 are the outer edges of the outermost pixels.
        weights: (B, Q, heads, L, P).
        method: "rows", "grid" or None for the one that fits device and mode.

    Returns:
        (B, Q, heads * head_dim) in `value`'s dtype.

    Raises:
        InputError: the shapes contradict each other, or the method does not exist.
    """
    shapes = [(int(height), int(width)) for height, width in shapes]
    if not is_tracing():
        _check(value, shapes, locations, weights)
    if method is None:
        method = "grid" if is_tracing() or value.device.type not in ("cpu", "cuda") else "rows"
    if method == "rows":
        return _by_rows(value, shapes, locations, weights)
    if method == "grid":
        return _by_grid(value, shapes, locations, weights)
    raise InputError(f"deformable attention knows the methods 'rows' and 'grid'; found {method!r}")


def _by_rows(value: Tensor, shapes: list[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    batch, _, heads, head_dim = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    # Pixel coordinates need float32 at least: bfloat16 cannot tell neighbouring columns of a wide level apart.
    precise = torch.promote_types(locations.dtype, torch.float32)
    layout = _RowLayout.of(tuple(shapes), heads, points, precise, value.device)
    table = _padded_rows(value, shapes, layout.rows)  # (B * rows * heads, head_dim)
    locations = locations.to(precise).flatten(0, 1).flatten(2, 3)  # (B Q, heads, L P, 2)
    weights = weights.to(precise).flatten(0, 1).flatten(2, 3)  # (B Q, heads, L P)
    first = None
    if batch > 1:
        first = torch.arange(batch, dtype=torch.int32, device=value.device) * (layout.rows * heads)
        first = first.repeat_interleave(queries).view(-1, 1, 1)
    # Pieces small enough for the processor's cache; a GPU does better in one go.
    step = max(1, (_PIECE if value.device.type == "cpu" else batch * queries * heads) // heads)
    # The product below replaces the table's gradient where the processor does the work in float32 or better.
    replace = (
        table.device.type == "cpu"
        and torch.is_grad_enabled()
        and table.requires_grad
        and table.dtype in (torch.float32, torch.float64)
    )
    read, pieces, used = table.detach() if replace else table, [], []
    for begin in range(0, batch * queries, step):
        end = begin + step
        start = None if first is None else first[begin:end]
        index, corner_weights = _corners(layout, len(table), locations[begin:end], weights[begin:end], start)
        corner_weights = corner_weights.to(table.dtype)
        pieces.append(F.embedding_bag(index, read, mode="sum", per_sample_weights=corner_weights))
        if replace:
            used += [index, corner_weights.detach()]
    out = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
    if replace:
        out = _TableGradient.apply(out, table, *used)
    return out.view(batch, queries, heads * head_dim)


class _TableGradient(torch.autograd.Function):
    """Passes sums of table rows through and adds the gradient of the table: the transposed sparse matrix of row weights times the sums' gradient."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor, table: Tensor, *used: Tensor) -> Tensor:
        """sums (N, head_dim); used: (n, K) int32 rows of `table` and (n, K) weights, in turn, for all pieces of the N sums."""
        ctx.rows = len(table)
        ctx.save_for_backward(*used)
        return sums.view_as(sums)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        import numpy as np
        from scipy.sparse import csc_matrix

        used = ctx.saved_tensors
        indices, weights = used[::2], used[1::2]
        bound = max(1, _ENTRIES // max(1, indices[0].numel()))  # pieces whose entries are joined
        total, begin = None, 0
        for piece in range(0, len(indices), bound):
            index, weight = torch.cat(indices[piece : piece + bound]), torch.cat(weights[piece : piece + bound])
            count, each = index.shape
            starts = np.arange(count + 1, dtype=np.int32) * each
            shape = (ctx.rows, count)
            matrix = csc_matrix((weight.view(-1).numpy(), index.view(-1).numpy(), starts), shape=shape, copy=False)
            part = matrix @ gradient[begin : begin + count].numpy()
            total, begin = part if total is None else total + part, begin + count
        return (gradient, torch.from_numpy(total), *[None] * len(used))


def _corners(
    layout: _RowLayout, rows: int, at: Tensor, weights: Tensor, first: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(N, heads, LP, 2) locations and (N, heads, LP) weights -> (N heads, 4 LP) int32 rows of a table of `rows` rows, and their weights.

    first: table row where the picture of a query begins.
    """
    # Coordinates in the padded level: pixel (0, 0) has its centre at 1; whatever lies outside is moved onto the zeros around the level.
    x = torch.minimum(torch.addcmul(layout.half, at[..., 0], layout.width).clamp(min=0), layout.right)
    y = torch.minimum(torch.addcmul(layout.half, at[..., 1], layout.height).clamp(min=0), layout.bottom)
    left, top = x.floor(), y.floor()
    upper_left = torch.addcmul(layout.origin, top.to(torch.int32), layout.pitch)
    upper_left.add_(left.to(torch.int32), alpha=layout.heads)
    if first is not None:
        upper_left.add_(first)
    upper_left.clamp_(0, rows - layout.reach)  # NaN must give NaN and not a wild address
    lower_left = upper_left + layout.pitch
    index = torch.cat((upper_left, upper_left + layout.heads, lower_left, lower_left + layout.heads), -1)
    right_part = x - left
    lower = (y - top) * weights
    upper = weights - lower
    upper_right, lower_right = upper * right_part, lower * right_part
    corner_weights = torch.cat((upper - upper_right, upper_right, lower - lower_right, lower_right), -1)
    per_bag = index.shape[-1]
    return index.view(-1, per_bag), corner_weights.view(-1, per_bag)


def _padded_rows(value: Tensor, shapes: list[tuple[int, int]], rows: int) -> Tensor:
    """Lay (B, S, heads, head_dim) out as (B * rows * heads, head_dim) with a frame of zeros around each level."""
    batch, _, heads, head_dim = value.shape
    table = value.new_zeros(batch, rows, heads * head_dim)
    begin = 0
    for level, (height, width) in zip(value.flatten(2).split([h * w for h, w in shapes], 1), shapes, strict=True):
        end = begin + (height + 2) * (width + 2)
        frame = table[:, begin:end].view(batch, height + 2, width + 2, -1)
        frame[:, 1:-1, 1:-1] = level.reshape(batch, height, width, -1)
        begin = end
    return table.view(-1, head_dim)


@dataclasses.dataclass(frozen=True)
class _RowLayout:
    """Where the pixels of the padded levels lie in the table. Tensors are (L P,) or (heads, L P), one entry a sampling point."""

    heads: int
    rows: int  # pixels of one picture, frames included
    reach: int  # table rows from the upper left corner to the last one that it reads
    half: Tensor  # (), 0.5
    width: Tensor
    height: Tensor
    right: Tensor  # width + 1: the frame's right column
    bottom: Tensor
    pitch: Tensor  # int32, table rows from one pixel row to the next
    origin: Tensor  # int32, (heads, L P), table row of the frame's upper left pixel

    @staticmethod
    @cached_constants(maxsize=32)
    def of(
        shapes: tuple[tuple[int, int], ...], heads: int, points: int, dtype: torch.dtype, device: torch.device
    ) -> _RowLayout:
        """Return the layout for the (height, width) of each level."""
        begins = [0]
        for height, width in shapes:
            begins.append(begins[-1] + (height + 2) * (width + 2))
        # A sample on the lower right frame pixel reads one row and one pixel further.
        reach_pixels = max(width for _, width in shapes) + 4
        integer = {"dtype": torch.int32, "device": device}
        size = torch.tensor(shapes, dtype=dtype, device=device).repeat_interleave(points, 0)  # (L P, 2)
        origin = torch.tensor(begins[:-1], **integer).repeat_interleave(points) * heads
        return _RowLayout(
            heads=heads,
            rows=begins[-1] + reach_pixels,
            reach=reach_pixels * heads,
            half=torch.tensor(0.5, dtype=dtype, device=device),
            width=size[:, 1].contiguous(),
            height=size[:, 0].contiguous(),
            right=size[:, 1] + 1,
            bottom=size[:, 0] + 1,
            pitch=torch.tensor([(w + 2) * heads for _, w in shapes], **integer).repeat_interleave(points),
            origin=origin + torch.arange(heads, **integer).view(-1, 1),
        )


def _by_grid(value: Tensor, shapes: list[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    batch, _, heads, head_dim = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    grids = (2 * locations - 1).to(value.dtype).transpose(1, 2).flatten(0, 1)  # (B heads, Q, L, P, 2)
    levels = value.permute(0, 2, 3, 1).flatten(0, 1).split([h * w for h, w in shapes], -1)  # (B heads, head_dim, h w)
    weights = weights.to(value.dtype).transpose(1, 2).reshape(batch * heads, 1, queries, len(shapes) * points)
    samples = [
        F.grid_sample(
            level.unflatten(-1, shape), grids[:, :, index], mode="bilinear", padding_mode="zeros", align_corners=False
        )
        for index, (level, shape) in enumerate(zip(levels, shapes, strict=True))
    ]  # each (B heads, head_dim, Q, P)
    out = (torch.cat(samples, -1) * weights).sum(-1)  # (B heads, head_dim, Q)
    return out.view(batch, heads * head_dim, queries).transpose(1, 2)


def _check(value: Tensor, shapes: list[tuple[int, int]], locations: Tensor, weights: Tensor) -> None:
    tokens = sum(h * w for h, w in shapes)
    if value.ndim != 4 or value.shape[1] != tokens:
        raise InputError(
            f"deformable attention needs values of shape (B, {tokens}, heads, head_dim) for levels {shapes}; found {tuple(value.shape)}"
        )
    batch, _, heads, _ = value.shape
    if locations.ndim != 6 or (*locations.shape[:1], *locations.shape[2:4], locations.shape[5]) != (
        batch,
        heads,
        len(shapes),
        2,
    ):
        raise InputError(
            f"sampling locations must have shape ({batch}, Q, {heads}, {len(shapes)}, P, 2); found {tuple(locations.shape)}"
        )
    if weights.shape != locations.shape[:-1]:
        raise InputError(
            f"attention weights must have shape {tuple(locations.shape[:-1])}; found {tuple(weights.shape)}"
        )
    if batch * tokens * heads >= 2**31:
        raise InputError(
            f"deformable attention over {batch} x {tokens} x {heads} table rows exceeds 32-bit indices; split the batch"
        )
