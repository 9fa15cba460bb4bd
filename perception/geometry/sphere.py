"""Pictures of the whole sphere as tensors: sampling without a seam or poles, the sphere's own measure, padding.

    column 0 and column W - 1 are neighbours          above row 0 lies row 0 again, half a turn further

          +--+-----------------+--+                        c d a b        row -1 (rolled by W / 2)
       ...|W-1|  0  1 ...  W-1 |0 |...                     a b c d        row 0
          +--+-----------------+--+

Panoramas here are full ones: (B, C, H, W), pixel centres at + 0.5, longitude -pi .. pi to the right, latitude pi/2 .. -pi/2 downwards; directions in
camera axes x right, y down, z forward (`cameras`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.ops.constants import cached_constants


def pad_circular(image: Tensor, pad: int) -> Tensor:
    """(..., H, W) -> (..., H, W + 2 pad): columns go on around the sphere."""
    if pad == 0:
        return image
    return torch.cat([image[..., -pad:], image, image[..., :pad]], dim=-1)


def pad_sphere(image: Tensor, pad: int) -> Tensor:
    """(..., H, W) -> (..., H + 2 pad, W + 2 pad): columns go on around the sphere, rows go on beyond the poles on the opposite meridian."""
    if pad == 0:
        return image
    above, below = image[..., :pad, :].flip(-2), image[..., -pad:, :].flip(-2)
    return pad_circular(torch.cat([_opposite(above), image, _opposite(below)], dim=-2), pad)


def _opposite(rows: Tensor) -> Tensor:
    """The rows seen from half a turn further; an odd width has no pixel exactly opposite, so its two nearest are averaged."""
    half = rows.shape[-1] // 2
    turned = rows.roll(half, -1)
    return turned if rows.shape[-1] % 2 == 0 else (turned + rows.roll(half + 1, -1)) / 2


def direction_angles(rays: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 3) directions of any length -> longitude and latitude (...), radians; exact and differentiable near the poles too."""
    dtype = rays.dtype
    if torch.compiler.is_exporting():
        rays = rays.float()  # ONNX Runtime has no arctangent of float64
    x, y, z = rays.unbind(-1)
    across = torch.linalg.vector_norm(rays[..., ::2], dim=-1)  # of x and z; ONNX has no hypot
    return torch.atan2(x, z).to(dtype), torch.atan2(-y, across).to(dtype)


def directions(longitude: Tensor, latitude: Tensor) -> Tensor:
    """Longitude and latitude (...), radians -> (..., 3) unit directions."""
    flat = latitude.cos()
    return torch.stack([flat * longitude.sin(), -latitude.sin(), flat * longitude.cos()], -1)


def padded_grid(rays: Tensor, height: int, width: int) -> Tensor:
    """Where (..., 3) directions lie in a panorama that `pad_sphere` padded by 1: (..., 2) coordinates for `grid_sample`, align_corners=False."""
    longitude, latitude = direction_angles(rays)
    u = (longitude / (2 * math.pi) + 0.5) * width
    v = (0.5 - latitude / math.pi) * height
    return torch.stack([(u + 1) / (width + 2) * 2 - 1, (v + 1) / (height + 2) * 2 - 1], -1)


def sample_sphere(image: Tensor, rays: Tensor, mode: str = "bilinear") -> Tensor:
    """Look a panorama up along directions.

    image: (B, C, H, W). rays: (h, w, 3), or (B, h, w, 3), of any length. mode: of `grid_sample`. Returns (B, C, h, w) in the dtype of `image`; places are
    computed in float32 or better. No seam, no border.
    """
    work = at_least_float32(image.dtype)
    grid = padded_grid(rays.to(at_least_float32(rays.dtype)), *image.shape[-2:]).to(work)
    if grid.ndim == 3:
        grid = grid.expand(image.shape[0], -1, -1, -1)
    return F.grid_sample(pad_sphere(image, 1).to(work), grid, mode=mode, align_corners=False).to(image.dtype)


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """The precision in which places are computed: in half precision they would be whole pixels off."""
    return torch.promote_types(dtype, torch.float32)


@cached_constants()
def solid_angles(height: int, width: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """(H, 1) solid angle of a pixel of each row, steradians; the sum over all pixels is 4 pi."""
    edges = torch.linspace(math.pi / 2, -math.pi / 2, height + 1, dtype=torch.float64).sin()
    return ((edges[:-1] - edges[1:]) * (2 * math.pi / width)).to(device, dtype)[:, None]


@cached_constants()
def equirectangular_directions(
    height: int, width: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(H, W, 3) unit directions of a full panorama's pixel centres. Shared and cached: do not write into it."""
    longitude = ((torch.arange(width, dtype=torch.float64) + 0.5) / width - 0.5) * (2 * math.pi)
    latitude = (0.5 - (torch.arange(height, dtype=torch.float64) + 0.5) / height) * math.pi
    longitude, latitude = torch.meshgrid(longitude, latitude, indexing="xy")
    return directions(longitude, latitude).to(device, dtype)
