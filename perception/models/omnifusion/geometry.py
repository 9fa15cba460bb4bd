"""Geometry embedding: tells each patch feature where on the sphere (and, in later passes, where in space) it is (paper section 3.2).

``ray``      the unit direction of each pixel, times its depth in later passes: the released iterative model
``centre``   longitude and latitude of the patch's centre, twice, and a 1: what the released single-pass code does
``pixel``    longitude, latitude and distance on the tangent plane of each pixel, and the patch's centre: what the paper says
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.geometry.sphere import direction_angles
from perception.geometry.tangent import Size, TangentLayout
from perception.ops.constants import cached_constants

CHANNELS = {"ray": 3, "centre": 5, "pixel": 5}


class GeometryEmbedding(nn.Module):
    """Two 1x1 convolutions; the last one once for every map that the geometry joins.

    Args:
        kind: see the module.
        channels: widths of those maps, each at its own resolution.
        hidden: width between.
    """

    def __init__(self, kind: str, channels: Sequence[int], hidden: int = 16) -> None:
        super().__init__()
        self.kind = kind
        self.hidden = nn.Sequential(nn.Conv2d(CHANNELS[kind], hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU())
        self.outputs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(hidden, c, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU()) for c in channels
        )

    def forward(self, layout: TangentLayout, sizes: Sequence[Size], depth: Tensor | None, like: Tensor) -> list[Tensor]:
        """Return (N or B N, C_i, h_i, w_i) for map sizes (h_i, w_i).

        depth: (B, N, 1, h, w) range of each patch's pixels at the first of `sizes` in later passes (kind "ray"), else None. like: gives device and dtype.
        """
        found = []
        for size, output in zip(sizes, self.outputs, strict=True):
            places = geometry_input(self.kind, layout, tuple(size), like.device, like.dtype)  # (N, K, h, w)
            if depth is not None:
                here = depth if depth.shape[-2:] == tuple(size) else _shrink(depth, size)
                places = (places * here).flatten(0, 1)
            found.append(output(self.hidden(places)))
        return found


def _shrink(depth: Tensor, size: Size) -> Tensor:
    flat = F.interpolate(depth.flatten(0, 1), tuple(size), mode="bilinear", align_corners=False)
    return flat.unflatten(0, depth.shape[:2])


@cached_constants(maxsize=24)
def geometry_input(kind: str, layout: TangentLayout, size: Size, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(N, K, h, w) what the embedding sees; angles as shares of pi and pi / 2, latitude upwards."""
    rays = layout.rays(size, "cpu", torch.float64)  # (N, h, w, 3)
    if kind == "ray":
        return rays.permute(0, 3, 1, 2).to(device, dtype).contiguous()
    centres = torch.from_numpy(layout.centres() / [math.pi, math.pi / 2])[:, :, None, None].expand(-1, -1, *size)
    one = torch.ones_like(centres[:, :1])
    if kind == "centre":
        values = torch.cat([centres, one, centres], 1)
    else:
        longitude, latitude = direction_angles(rays)
        x, y = (torch.from_numpy(axis) for axis in layout.plane(size))
        distance = (x[None, :].square() + y[:, None].square()).sqrt().expand(len(rays), -1, -1)
        values = torch.cat([torch.stack([longitude / math.pi, latitude / (math.pi / 2), distance], 1), centres], 1)
    return values.to(device, dtype)
