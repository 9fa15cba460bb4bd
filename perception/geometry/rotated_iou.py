"""Exact overlap of rotated rectangles and upright 3D boxes, without loops over pairs.

The area of a convex intersection is a walk around its border (Green's theorem):

            B +-------+
        A     |       |              area = 1/2 sum over border segments p -> q of  p x q
      +-------*===+   |
      |       "   "   |              The border (=, ") is made of the parts of A's edges inside B and the parts of B's edges inside A.
      |       "===*---+              A part runs from parameter t0 to t1 of its edge a -> b, and p x q = (t1 - t0) (a x b),
      +-----------+                  so clipping four edges against four half-planes, twice, is all there is to do.

Where edges coincide, the part must count once, not twice or never: A's edge counts on B's border unless it runs the opposite way, B's never
does. Identical, nested, touching and zero-sized boxes thus come out right; the error is about `_SLACK` times the size of the box. Differentiable.

Footprints are (..., 5) [a, b, length, width, yaw] with yaw counter-clockwise from axis a to axis b; boxes are (..., 7) as in `boxes3d`.
NumPy in, NumPy out; tensors in, tensors out. Arithmetic is float64 (float32 on devices that lack it).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from perception.errors import InputError
from perception.geometry import boxes3d

_SLACK = {torch.float64: 1e-11, torch.float32: 2e-6}
_SIGNS = ((0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5))
_CHUNK = 1 << 16  # pairs that are clipped at once: about 100 MB of float64


def _tensors(*arrays: Any) -> tuple[list[torch.Tensor], torch.dtype | None, Any]:
    """Working-precision tensors, the tensor dtype to return (None = NumPy), and the NumPy dtype to return."""
    if all(isinstance(a, torch.Tensor) for a in arrays):
        work = torch.float32 if arrays[0].device.type == "mps" else torch.float64
        result = arrays[0].dtype if arrays[0].is_floating_point() else torch.float32
        return [a.to(work) for a in arrays], result, None
    dense = [np.asarray(a) for a in arrays]
    kind = np.float32 if all(a.dtype == np.float32 for a in dense) else np.float64
    return [torch.from_numpy(np.array(a, dtype=np.float64)) for a in dense], None, kind


def _give_back(value: torch.Tensor, dtype: torch.dtype | None, kind: Any) -> Any:
    return value.numpy().astype(kind) if dtype is None else value.to(dtype)


def _check_rows(boxes: torch.Tensor, columns: int) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != columns:
        raise InputError(f"boxes must have shape (N, {columns}); found {tuple(boxes.shape)}")


def _rectangle(footprint: torch.Tensor, origin: torch.Tensor) -> torch.Tensor:
    """(P, 5) -> (P, 4, 2) corners, counter-clockwise, relative to (P, 2) `origin`."""
    signs = footprint.new_tensor(_SIGNS)
    local = footprint[:, None, 2:4].clamp(min=0) * signs  # (P, 4, 2)
    cos, sin = footprint[:, 4:5].cos(), footprint[:, 4:5].sin()
    turned = torch.stack([local[..., 0] * cos - local[..., 1] * sin, local[..., 0] * sin + local[..., 1] * cos], -1)
    return turned + (footprint[:, None, :2] - origin[:, None])


def _cross(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _border(a: torch.Tensor, b: torch.Tensor, slack: torch.Tensor, coincident: bool) -> torch.Tensor:
    """Twice the area swept by the parts of polygon a's edges (P, 4, 2) inside polygon b; (P,)."""
    start, edge = a, a.roll(-1, 1) - a
    b_edge = b.roll(-1, 1) - b
    normal_length = b_edge.norm(dim=-1).clamp(min=torch.finfo(a.dtype).tiny)
    # Signed distance (P, 4 edges of a, 4 half-planes of b) of each edge's start from each border of b, positive inside.
    distance = _cross(b_edge[:, None], start[:, :, None] - b[:, None]) / normal_length[:, None]
    rise = _cross(b_edge[:, None], edge[:, :, None]) / normal_length[:, None]
    if coincident:
        along = (edge[:, :, None] * b_edge[:, None]).sum(-1)
        opposite = along < -0.5 * edge.norm(dim=-1)[:, :, None] * normal_length[:, None]
        distance = distance + torch.where(opposite, -slack, slack)
    else:
        distance = distance - slack
    parallel = rise == 0
    at = -distance / torch.where(parallel, torch.ones_like(rise), rise)
    zero, one = torch.zeros_like(at), torch.ones_like(at)
    t0 = torch.where(~parallel & (rise > 0), at, zero).clamp(min=0).amax(-1)
    t1 = torch.where(~parallel & (rise < 0), at, one).clamp(max=1).amin(-1)
    inside = ~(parallel & (distance < 0)).any(-1)
    part = torch.where(inside, (t1 - t0).clamp(min=0), torch.zeros_like(t0))
    return (part * _cross(start, start + edge)).sum(-1)


def _intersection(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Intersection area of matched footprints (P, 5), (P, 5) -> (P,)."""
    origin = (a[:, :2] + b[:, :2]) / 2
    first, second = _rectangle(a, origin), _rectangle(b, origin)
    size = torch.cat([a[:, 2:4], b[:, 2:4]], 1).amax(1)
    slack = (size * _SLACK[a.dtype])[:, None, None]
    area = 0.5 * (_border(first, second, slack, True) + _border(second, first, slack, False))
    bound = torch.minimum(_area(a), _area(b))
    return torch.minimum(area.clamp(min=0), bound)


def _area(footprint: torch.Tensor) -> torch.Tensor:
    return footprint[..., 2].clamp(min=0) * footprint[..., 3].clamp(min=0)


def _pairwise(a: torch.Tensor, b: torch.Tensor, overlap: Any) -> torch.Tensor:
    """(N, M) from a function of matched rows, called only for pairs whose circumscribed circles meet."""
    out = a.new_zeros(len(a), len(b))
    if not out.numel():
        return out
    reach = a[:, 2:4].norm(dim=1)[:, None] / 2 + b[:, 2:4].norm(dim=1)[None] / 2
    near = (a[:, None, :2] - b[None, :, :2]).norm(dim=-1) <= reach
    rows, columns = near.nonzero(as_tuple=True)
    values = [overlap(r, c) for r, c in zip(rows.split(_CHUNK), columns.split(_CHUNK), strict=True)]
    return out.index_put((rows, columns), torch.cat(values)) if values else out


def bev_intersection(a: Any, b: Any) -> Any:
    """Pairwise intersection areas of footprints (N, 5) and (M, 5) -> (N, M), square metres."""
    (ta, tb), dtype, kind = _tensors(a, b)
    _check_rows(ta, 5), _check_rows(tb, 5)
    return _give_back(_pairwise(ta, tb, lambda r, c: _intersection(ta[r], tb[c])), dtype, kind)


def bev_iou(a: Any, b: Any) -> Any:
    """Pairwise IoU of footprints (N, 5) and (M, 5) -> (N, M); 0 where both areas are 0."""
    (ta, tb), dtype, kind = _tensors(a, b)
    _check_rows(ta, 5), _check_rows(tb, 5)
    common = _pairwise(ta, tb, lambda r, c: _intersection(ta[r], tb[c]))
    return _give_back(_ratio(common, _area(ta)[:, None], _area(tb)[None]), dtype, kind)


def bev_iou_matched(a: Any, b: Any) -> Any:
    """IoU of footprints row by row, (N, 5) and (N, 5) -> (N,)."""
    (ta, tb), dtype, kind = _tensors(a, b)
    _check_matched(ta, tb, 5)
    return _give_back(_ratio(_intersection(ta, tb), _area(ta), _area(tb)), dtype, kind)


def iou3d(a: Any, b: Any, frame: str) -> Any:
    """Pairwise 3D IoU of boxes (N, 7) and (M, 7) in `frame` ("camera", "ego", ...) -> (N, M)."""
    (ta, tb), dtype, kind = _tensors(a, b)
    _check_rows(ta, 7), _check_rows(tb, 7)
    fa, fb = boxes3d.bev(ta, frame), boxes3d.bev(tb, frame)
    common = _pairwise(fa, fb, lambda r, c: _intersection(fa[r], fb[c]) * _common_height(ta[r], tb[c], frame))
    return _give_back(_ratio(common, _volume(ta)[:, None], _volume(tb)[None]), dtype, kind)


def iou3d_matched(a: Any, b: Any, frame: str) -> Any:
    """3D IoU row by row, (N, 7) and (N, 7) -> (N,)."""
    (ta, tb), dtype, kind = _tensors(a, b)
    _check_matched(ta, tb, 7)
    common = _intersection(boxes3d.bev(ta, frame), boxes3d.bev(tb, frame)) * _common_height(ta, tb, frame)
    return _give_back(_ratio(common, _volume(ta), _volume(tb)), dtype, kind)


def _check_matched(a: torch.Tensor, b: torch.Tensor, columns: int) -> None:
    _check_rows(a, columns), _check_rows(b, columns)
    if len(a) != len(b):
        raise InputError(f"matched boxes must come in pairs; found {len(a)} and {len(b)}")


def _common_height(a: torch.Tensor, b: torch.Tensor, frame: str) -> torch.Tensor:
    (a_low, a_high), (b_low, b_high) = boxes3d.height_span(a, frame), boxes3d.height_span(b, frame)
    return (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0)


def _volume(boxes: torch.Tensor) -> torch.Tensor:
    return boxes[:, 3:6].clamp(min=0).prod(-1)


def _ratio(common: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    union = a + b - common
    return torch.where(
        union > 0, common / torch.where(union > 0, union, torch.ones_like(union)), torch.zeros_like(common)
    )
