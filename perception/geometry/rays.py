"""Cameras as pure tensor functions, for networks: batched, differentiable, on any device. Conventions and drawings: `cameras`.

intrinsics: (B, 3, 3) or (3, 3), pixels, first pixel's centre at (0.5, 0.5). Depth is z for pinhole cameras and Euclidean range for panoramas, metres.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from perception.errors import InputError


@lru_cache(maxsize=32)
def _grid(height: int, width: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    y = torch.arange(height, device=device, dtype=dtype) + 0.5
    x = torch.arange(width, device=device, dtype=dtype) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def pixel_grid(
    height: int, width: int, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """(H, W, 2) continuous (u, v) of the pixel centres. Shared and cached: do not write into it."""
    place = torch.empty(0, device=device).device
    if torch.compiler.is_compiling():
        return _grid.__wrapped__(height, width, place, dtype)
    return _grid(height, width, place, dtype)


def pinhole_rays(intrinsics: torch.Tensor, height: int, width: int, unit: bool = False) -> torch.Tensor:
    """(..., 3, 3) intrinsics -> (..., 3, H, W) directions with z = 1, or of length 1 with `unit`."""
    if intrinsics.shape[-2:] != (3, 3):
        raise InputError(f"intrinsics must have shape (..., 3, 3); found {tuple(intrinsics.shape)}")
    grid = pixel_grid(height, width, intrinsics.device, intrinsics.dtype)
    k = intrinsics[..., None, None]
    x = (grid[..., 0] - k[..., 0, 2, :, :]) / k[..., 0, 0, :, :]
    y = (grid[..., 1] - k[..., 1, 2, :, :]) / k[..., 1, 1, :, :]
    rays = torch.stack([x, y, torch.ones_like(x)], -3)
    return rays / rays.norm(dim=-3, keepdim=True) if unit else rays


def unproject(depth: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
    """(..., H, W) depth z and (..., 3, 3) intrinsics -> (..., 3, H, W) points, camera frame, metres."""
    return pinhole_rays(intrinsics, *depth.shape[-2:]) * depth.unsqueeze(-3)


def project(points: torch.Tensor, intrinsics: torch.Tensor, near: float = 1e-3) -> tuple[torch.Tensor, torch.Tensor]:
    """(..., N, 3) points, camera frame -> (..., N, 2) continuous pixels and (..., N) depth z; z is held at `near` in the division."""
    z = points[..., 2]
    plane = points[..., :2] / z.clamp(min=near)[..., None]
    focal = torch.stack([intrinsics[..., 0, 0], intrinsics[..., 1, 1]], -1)
    return plane * focal[..., None, :] + intrinsics[..., None, :2, 2], z


@lru_cache(maxsize=16)
def _sphere(height: int, width: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    lon = ((torch.arange(width, device=device, dtype=dtype) + 0.5) / width - 0.5) * (2 * math.pi)
    lat = (0.5 - (torch.arange(height, device=device, dtype=dtype) + 0.5) / height) * math.pi
    lon, lat = torch.meshgrid(lon, lat, indexing="xy")
    return torch.stack([lon.sin() * lat.cos(), -lat.sin(), lon.cos() * lat.cos()], 0)


def equirectangular_rays(
    height: int, width: int, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """(3, H, W) unit directions of a full panorama's pixel centres. Shared and cached: do not write into it."""
    place = torch.empty(0, device=device).device
    if torch.compiler.is_compiling():
        return _sphere.__wrapped__(height, width, place, dtype)
    return _sphere(height, width, place, dtype)


def equirectangular_project(points: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(..., 3) points, camera frame -> (..., 2) continuous pixels of a full panorama and (...) Euclidean range."""
    distance = points.norm(dim=-1)
    lon = torch.atan2(points[..., 0], points[..., 2])
    lat = torch.atan2(-points[..., 1], torch.linalg.vector_norm(points[..., ::2], dim=-1))
    return torch.stack([(lon / (2 * math.pi) + 0.5) * width, (0.5 - lat / math.pi) * height], -1), distance


def normals_from_points(points: torch.Tensor) -> torch.Tensor:
    """(..., 3, H, W) points -> (..., 3, H, W) unit normals towards the camera by central differences (one-sided at the border)."""
    du = torch.gradient(points, dim=-1)[0]
    dv = torch.gradient(points, dim=-2)[0]
    normal = torch.linalg.cross(dv, du, dim=-3)
    return normal / normal.norm(dim=-3, keepdim=True).clamp(min=torch.finfo(points.dtype).tiny)
