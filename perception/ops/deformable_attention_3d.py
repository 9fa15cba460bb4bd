"""3D deformable attention in the factorised form of DFA3D (arXiv 2307.12972, section 3).

A pixel's feature, repeated along its ray and weighted by the pixel's depth distribution, makes a volume (H, W, D). A query samples the volume
trilinearly at a few (x, y, z). Because the volume is an outer product at each pixel, the sample is

    sum over the 4 pixels around (x, y) of  bilinear weight * (distribution of that pixel, interpolated linearly at z) * feature

so the volume is never made, and gradients for x, y, z, features and distributions follow from automatic differentiation. Everything outside the
volume counts as zeros, on all three axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.errors import InputError
from perception.ops.constants import is_tracing
from perception.ops.deformable_attention import _padded_rows, _RowLayout

_PIECE = 4096  # bags of rows read at a time on a CPU


def deformable_attention_3d(
    value: Tensor,
    distribution: Tensor,
    shapes: Sequence[tuple[int, int]],
    locations: Tensor,
    weights: Tensor,
    return_scores: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Sum the volume ``value x distribution`` at `locations` with `weights`.

    Args:
        value: (B, S, heads, head_dim), the levels' pixels one level after the other, row by row; S is the sum of height x width.
        distribution: (B, S, D) shared by the heads, or (B, S, heads, D); not necessarily normalised.
        shapes: (height, width) of each of the L levels.
        locations: (B, Q, heads, L, P, 3) as (x, y, z) fractions of the volume: 0 and 1 are its outer faces.
        weights: (B, Q, heads, L, P).
        return_scores: also return the depth scores.

    Returns:
        (B, Q, heads * head_dim) in `value`'s dtype; with `return_scores` also (B, Q, heads, L, P, 4), the distribution at z of the four pixels
        in the order left top, right top, right bottom, left bottom (0 for pixels outside the map).

    Raises:
        InputError: the shapes contradict each other.
    """
    shapes = tuple((int(height), int(width)) for height, width in shapes)
    _check(value, distribution, shapes, locations, weights)
    batch, _, heads, head_dim = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    shared = distribution.ndim == 3
    bins = distribution.shape[-1]
    precise = torch.promote_types(locations.dtype, torch.float32)
    layout = _RowLayout.of(shapes, heads, points, precise, value.device)
    table = _padded_rows(value, list(shapes), layout.rows)  # (B rows heads, head_dim)
    # Zeros before the first bin and after the last one: a sample on the last frame bin reads one further.
    framed = F.pad(distribution[:, :, None] if shared else distribution, (1, 2))
    bars = _padded_rows(framed, list(shapes), layout.rows).flatten().to(precise)  # (B rows [heads] (D + 3),)
    at = locations.to(precise).flatten(0, 1).flatten(2, 3)  # (B Q, heads, L P, 3)
    weights = weights.to(precise).flatten(0, 1).flatten(2, 3)  # (B Q, heads, L P)
    first = torch.arange(batch, dtype=torch.int32, device=value.device) * (layout.rows * heads)
    first = first.repeat_interleave(queries).view(-1, 1, 1)
    total = batch * queries
    # The gradient of every piece is a whole table: training does better in one go.
    whole = value.device.type != "cpu" or is_tracing() or (torch.is_grad_enabled() and value.requires_grad)
    step = max(total, 1) if whole else max(1, _PIECE // heads)
    outs, scores = [], []
    for begin in range(0, total, step) if total else [0]:
        piece = slice(begin, begin + step)
        index, bilinear, score = _corners(bars, bins, layout, at[piece], first[piece], heads, shared)
        corner_weights = bilinear * score * weights[piece].unsqueeze(-2)  # (n, heads, 4, L P)
        outs.append(_weighted_rows(table, index.flatten(-2), corner_weights.flatten(-2)))
        if return_scores:
            scores.append(score)
    out = (outs[0] if len(outs) == 1 else torch.cat(outs)).view(batch, queries, heads * head_dim)
    if not return_scores:
        return out
    score = scores[0] if len(scores) == 1 else torch.cat(scores)
    score = score[:, :, [0, 1, 3, 2]].view(batch, queries, heads, 4, len(shapes), points)
    return out, score.permute(0, 1, 2, 4, 5, 3)


def _corners(
    bars: Tensor, bins: int, layout: _RowLayout, at: Tensor, first: Tensor, heads: int, shared: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Table rows, bilinear weights and depth scores, each (n, heads, 4, L P): upper left, upper right, lower left, lower right."""
    # Coordinates in the framed level and bar: pixel and bin 0 have their centres at 1; what lies outside moves onto the zeros.
    x = torch.minimum((layout.half + at[..., 0] * layout.width).clamp(min=0), layout.right)
    y = torch.minimum((layout.half + at[..., 1] * layout.height).clamp(min=0), layout.bottom)
    z = (layout.half + at[..., 2] * bins).clamp(0, bins + 1)
    left, top, near = x.detach().floor(), y.detach().floor(), z.detach().floor()
    upper = layout.origin + top.to(torch.int32) * layout.pitch + left.to(torch.int32) * heads + first
    lower = upper + layout.pitch
    index = torch.stack((upper, upper + heads, lower, lower + heads), -2)
    right_part, lower_part, far_part = x - left, y - top, z - near
    upper_part, left_part = 1 - lower_part, 1 - right_part
    bilinear = torch.stack(
        (upper_part * left_part, upper_part * right_part, lower_part * left_part, lower_part * right_part), -2
    )
    bar = (index // heads if shared else index).to(torch.int64) * (bins + 3) + near.to(torch.int64).unsqueeze(-2)
    flat = bar.flatten()
    here, next_one = bars.index_select(0, flat).view(index.shape), bars.index_select(0, flat + 1).view(index.shape)
    # A point exactly on the frame is outside. It weighs nothing, but its right or lower neighbours are pixels of this level or of the next.
    inside = ((x > 0) & (y > 0) & (x < layout.right) & (y < layout.bottom)).unsqueeze(-2)
    return index, bilinear, torch.where(inside, here + (next_one - here) * far_part.unsqueeze(-2), 0.0)


def _weighted_rows(table: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """(n, heads, K) rows and weights -> (n heads, head_dim)."""
    rows = index.shape[-1]
    if is_tracing() or table.device.type not in ("cpu", "cuda"):
        chosen = table.index_select(0, index.flatten()).view(-1, rows, table.shape[-1])
        return (chosen * weights.to(table.dtype).view(-1, rows, 1)).sum(1)
    return F.embedding_bag(
        index.view(-1, rows), table, mode="sum", per_sample_weights=weights.reshape(-1, rows).to(table.dtype)
    )


def _check(value: Tensor, distribution: Tensor, shapes: tuple, locations: Tensor, weights: Tensor) -> None:
    tokens = sum(h * w for h, w in shapes)
    if value.ndim != 4 or value.shape[1] != tokens:
        raise InputError(
            f"3D deformable attention needs values of shape (B, {tokens}, heads, head_dim) for levels {list(shapes)}; found {tuple(value.shape)}"
        )
    batch, _, heads, _ = value.shape
    if tuple(distribution.shape[:-1]) not in ((batch, tokens), (batch, tokens, heads)):
        raise InputError(
            f"depth distributions must have shape ({batch}, {tokens}, D) or ({batch}, {tokens}, {heads}, D); found {tuple(distribution.shape)}"
        )
    expected = (batch, heads, len(shapes), 3)
    if locations.ndim != 6 or (locations.shape[0], *locations.shape[2:4], locations.shape[5]) != expected:
        raise InputError(
            f"sampling locations must have shape ({batch}, Q, {heads}, {len(shapes)}, P, 3); found {tuple(locations.shape)}"
        )
    if weights.shape != locations.shape[:-1]:
        raise InputError(
            f"attention weights must have shape {tuple(locations.shape[:-1])}; found {tuple(weights.shape)}"
        )
