"""One panorama seen from another place: what the self-supervised losses compare.

    reference pixel -> ray * range -> [R|t] -> direction in the neighbouring frame -> its colour there

On the sphere no point ever leaves the picture. ``convention="official"`` keeps BiFuse++'s sampling: pixel centres on a grid that includes both ends, no
wrap at the seam, latitudes beyond 81.9 degrees cut off; ``"consistent"`` is the right geometry (Wang et al. 2018, section 3.2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.errors import InputError
from perception.geometry import sphere

CONVENTIONS = ("consistent", "official")


def rotation_from_axis_angle(vector: Tensor) -> Tensor:
    """(..., 3) axis times angle, radians -> (..., 3, 3) rotation (Rodrigues); differentiable at 0 too."""
    square = (vector * vector).sum(-1)[..., None, None]
    small = square < 1e-8
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    first = torch.where(small, 1 - square / 6, angle.sin() / angle)
    second = torch.where(small, 0.5 - square / 24, (1 - angle.cos()) / safe)
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + first * cross + second * (cross @ cross)


def transform_points(points: Tensor, rotation: Tensor, translation: Tensor) -> Tensor:
    """(B, H, W, 3) points, (B, 3, 3) rotation and (B, 3) translation target <- reference -> (B, H, W, 3)."""
    return torch.einsum("bij,bhwj->bhwi", rotation, points) + translation[:, None, None]


def warp_panorama(
    target: Tensor, depth: Tensor, rotation: Tensor, translation: Tensor, convention: str = "consistent"
) -> Tensor:
    """Paint the reference view with the colours of a neighbouring frame.

    target: (B, C, H, W) neighbouring panorama. depth: (B, 1, H, W) range of the reference, metres. rotation (B, 3, 3), translation (B, 3) metres:
    target <- reference, camera axes. Returns (B, C, H, W).
    """
    if convention not in CONVENTIONS:
        raise InputError(f"the convention of a panoramic warp is {' or '.join(CONVENTIONS)}; found {convention!r}")
    height, width = depth.shape[-2:]
    rays = sphere.equirectangular_directions(height, width, depth.device, depth.dtype)
    points = transform_points(rays * depth[:, 0, ..., None], rotation, translation)
    if convention == "consistent":
        return sphere.sample_sphere(target, points)
    x, y, z = points.unbind(-1)
    longitude = torch.atan2(x, z)
    latitude = torch.asin((y / points.norm(dim=-1).clamp(min=1e-12)).clamp(-0.99, 0.99))
    grid = torch.stack([longitude / math.pi, latitude / (math.pi / 2)], -1)
    return F.grid_sample(target, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
