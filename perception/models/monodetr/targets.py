"""From labelled boxes to what the network learns (spec: MonoDETR, section 4.1).

For each object: class; (cx, cy, l, r, t, b), the projected 3D centre and its distances to the sides of the 2D box, as fractions of the picture;
depth of the centre; size (height, width, length); and the observation angle alpha as a bin and a residual. Alpha is the heading relative to the ray
through the object, KITTI's sign: rotation about the DOWN axis, alpha = -yaw - atan2(x, z).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from perception.errors import DatasetError


@dataclasses.dataclass(frozen=True)
class MonoTargets:
    """Encoded objects of B pictures, padded to the largest count N. `valid` (B, N) says which rows are objects; they come first.

    labels (B, N) int64; boxes (B, N, 6) and boxes2d (B, N, 4) (left, top, right, bottom), fractions; depths (B, N) metres;
    sizes (B, N, 3) (h, w, l) metres; heading_bins (B, N) int64; heading_residuals (B, N) radians; counts: objects of each picture.
    """

    labels: Tensor
    boxes: Tensor
    boxes2d: Tensor
    depths: Tensor
    sizes: Tensor
    heading_bins: Tensor
    heading_residuals: Tensor
    valid: Tensor
    counts: tuple[int, ...]


def wrap(angle: Tensor) -> Tensor:
    """Angles, radians, moved into [-pi, pi)."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def encode_heading(alpha: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """(...) radians -> bin (...) int64 and residual (...): bin k is centred on k turns / bins."""
    width = 2 * math.pi / bins
    shifted = torch.remainder(alpha + width / 2, 2 * math.pi)
    index = (shifted / width).long().clamp(max=bins - 1)
    return index, shifted - (index.to(shifted.dtype) + 0.5) * width


def decode_heading(headings: Tensor, bins: int) -> Tensor:
    """(..., 2 bins) logits and residuals -> (...) alpha in [-pi, pi)."""
    index = headings[..., :bins].argmax(-1, keepdim=True)
    residual = headings[..., bins:].gather(-1, index)
    return wrap((index.to(residual.dtype) * (2 * math.pi / bins) + residual).squeeze(-1))


def centre_boxes(centres: Tensor, boxes2d: Tensor, size: tuple[int, int]) -> Tensor:
    """Projected centres (..., 2) and 2D boxes (..., 4) in pixels -> (..., 6) fractions of a picture of `size` (width, height)."""
    u, v = centres.unbind(-1)
    left, top, right, bottom = boxes2d.unbind(-1)
    scale = centres.new_tensor([size[0], size[1], size[0], size[0], size[1], size[1]])
    return torch.stack((u, v, u - left, right - u, v - top, bottom - v), -1) / scale


def learnable(boxes: Tensor, depths: Tensor, depth_range: tuple[float, float]) -> Tensor:
    """(..., 6) encoded boxes, (...) depths -> (...) bool: the centre lies in the picture and in its 2D box, the depth in the range, metres."""
    u, v = boxes[..., 0], boxes[..., 1]
    inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1) & (boxes[..., 2:] >= 0).all(-1)
    return inside & (depths >= depth_range[0]) & (depths <= depth_range[1])


@dataclasses.dataclass(frozen=True)
class VirtualLens:
    """One focal length, in network pixels, at which the network means all depths ("virtual camera").

    A picture taken through a lens twice as long shows the same object twice as far away. The network cannot see the lens, so distances are learnt and
    predicted as if all pictures were taken with `focal`, and multiplied by `ratio` afterwards.

    tolerance: cameras within this share of `focal` count as they are. For networks that were trained without the virtual camera, on cameras that
    differ little among themselves.
    """

    focal: float
    tolerance: float = 0.0

    def ratio(self, focal: Tensor) -> Tensor:
        """Focal lengths of pictures, network pixels -> true distance over the network's, same shape."""
        ratio = focal / self.focal
        return torch.where((ratio - 1).abs() <= self.tolerance, torch.ones_like(ratio), ratio)


def encode_batch(
    batch: Mapping[str, Any],
    size: tuple[int, int],
    *,
    heading_bins: int,
    depth_range: tuple[float, float],
    lens: VirtualLens | None = None,
    convention: str = "exact",
    max_objects: int | None = None,
    device: torch.device | str = "cpu",
) -> MonoTargets:
    """Encode the objects of a batch.

    Args:
        batch: ``boxes3d`` list of (N, 7) camera-frame boxes; ``labels3d`` list of (N,); ``intrinsics`` (B, 3, 3); optional ``boxes2d_full`` or ``boxes2d``
            list of (N, 4) pixels; optional ``centers2d`` list of (N, 2) pixels and ``alpha3d`` list of (N,), which replace the projection of the centre and the angle
            computed from the yaw (`KittiOfficialTargets` provides them).
        size: (width, height) of the picture, pixels.
        lens: depths are divided by its ratio for the picture's focal length.
        convention: "official" measures alpha at the middle of the 2D box, "exact" at the projected 3D centre.
        max_objects: keep only the first so many of each picture.

    Raises:
        DatasetError: lists of different lengths.
    """
    boxes3d = [torch.as_tensor(b, dtype=torch.float32).reshape(-1, 7) for b in batch["boxes3d"]]
    counts = [len(b) for b in boxes3d]
    boxes3d = _pad(boxes3d, device)  # (B, N, 7)
    labels = _pad([torch.as_tensor(x).long().reshape(-1) for x in batch["labels3d"]], device, counts, "labels3d")
    intrinsics = torch.stack([torch.as_tensor(k) for k in batch["intrinsics"]]).to(device, torch.float32)
    present = torch.arange(boxes3d.shape[1], device=device) < torch.tensor(counts, device=device)[:, None]
    fx, fy, cx, cy = (intrinsics[:, i, j, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    z = boxes3d[..., 2]
    safe = z.clamp(min=1e-3)
    if "centers2d" in batch:
        centres = _pad(
            [torch.as_tensor(x).float().reshape(-1, 2) for x in batch["centers2d"]], device, counts, "centers2d"
        )
    else:
        centres = torch.stack((boxes3d[..., 0] / safe * fx + cx, boxes3d[..., 1] / safe * fy + cy), -1)
    # The whole object's box where it is known: the height of its visible part says little about its distance.
    name = next((key for key in ("boxes2d_full", "boxes2d") if key in batch), None)
    if name is not None:
        boxes2d = _pad([torch.as_tensor(x).float().reshape(-1, 4) for x in batch[name]], device, counts, name)
    else:
        boxes2d = projected_boxes(boxes3d, intrinsics, size)
    if "alpha3d" in batch:
        alpha = _pad([torch.as_tensor(x).float().reshape(-1) for x in batch["alpha3d"]], device, counts, "alpha3d")
    else:
        u = (boxes2d[..., 0] + boxes2d[..., 2]) / 2 if convention == "official" else centres[..., 0]
        alpha = -boxes3d[..., 6] - torch.atan2(u - cx, fx.expand_as(u))
    depths = z if lens is None else z / lens.ratio(fy)
    boxes = centre_boxes(centres, boxes2d, size)
    valid = present & learnable(boxes, depths, depth_range) & (labels >= 0)
    heading, residual = encode_heading(alpha, heading_bins)
    fractions = boxes2d / boxes2d.new_tensor([*size, *size])
    fields = (labels, boxes, fractions, depths, boxes3d[..., [5, 4, 3]], heading, residual, valid)
    return _compact(fields, max_objects)


def _compact(fields: Sequence[Tensor], max_objects: int | None) -> MonoTargets:
    """Move the valid rows of each picture to the front, in their order, and cut the padding off."""
    valid = fields[-1]
    order = (~valid).to(torch.int8).argsort(dim=1, stable=True)
    counts = valid.sum(1).tolist()
    if max_objects is not None:
        counts = [min(count, max_objects) for count in counts]
    longest = max(counts, default=0)
    order = order[:, :longest]
    moved = [
        x.gather(1, order.reshape(*order.shape, *[1] * (x.ndim - 2)).expand(*order.shape, *x.shape[2:])) for x in fields
    ]
    keep = torch.arange(longest, device=valid.device) < torch.tensor(counts, device=valid.device)[:, None]
    moved[-1] = keep
    return MonoTargets(*moved, counts=tuple(counts))


def _pad(rows: list[Tensor], device: torch.device | str, counts: list[int] | None = None, name: str = "") -> Tensor:
    if counts is not None and [len(r) for r in rows] != counts:
        raise DatasetError(f"{name!r} must have as many rows as 'boxes3d', {counts}; found {[len(r) for r in rows]}")
    longest = max((len(r) for r in rows), default=0)
    out = torch.zeros(len(rows), longest, *rows[0].shape[1:], dtype=rows[0].dtype, device=rows[0].device)
    for index, row in enumerate(rows):
        out[index, : len(row)] = row
    return out.to(device, non_blocking=True)


def projected_boxes(boxes3d: Tensor, intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, N, 7) camera-frame boxes and (B, 3, 3) -> (B, N, 4) pixels around the projected corners, cut to a picture of (width, height)."""
    from perception.geometry.boxes3d import corners

    points = corners(boxes3d, "camera") @ intrinsics[:, None].transpose(-1, -2)  # (B, N, 8, 3)
    pixels = points[..., :2] / points[..., 2:].clamp(min=0.05)
    limit = pixels.new_tensor(size)
    low, high = pixels.amin(2), pixels.amax(2)
    return torch.cat((torch.minimum(low.clamp(min=0), limit), torch.minimum(high.clamp(min=0), limit)), -1)
