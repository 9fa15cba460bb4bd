"""How a dense network learns from the camera: canonical depth, ray embedding, vertical prior.

Canonical depth (Metric3D, arXiv 2307.10984): a network that sees no focal length cannot know metres, because zooming in by two halves
the apparent distance. It predicts log z - log(f / f0) instead, f the focal length in network pixels, f0 `CANONICAL_FOCAL`; z is put
together afterwards. Focal lengths are the geometric mean of fx and fy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

CANONICAL_FOCAL = 256.0
DEFAULT_FOV = math.radians(60.0)  # horizontal, where no camera is known


def focal_of(intrinsics: Tensor) -> Tensor:
    """Return sqrt(fx fy) (B,) of (B, 3, 3) intrinsics, pixels."""
    return (intrinsics[:, 0, 0] * intrinsics[:, 1, 1]).sqrt()


def default_intrinsics(batch: int, height: int, width: int, device: torch.device) -> Tensor:
    """Return (B, 3, 3) intrinsics of a centred camera with `DEFAULT_FOV`."""
    matrix = torch.eye(3, device=device).repeat(batch, 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 0.5 * width / math.tan(0.5 * DEFAULT_FOV)
    matrix[:, 0, 2], matrix[:, 1, 2] = 0.5 * width, 0.5 * height
    return matrix


def slopes(intrinsics: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return ray slopes x/z (B, w) of the columns and y/z (B, h) of the rows of a `grid` (h, w) that covers a picture of `size` (H, W)."""
    device = intrinsics.device
    u = (torch.arange(grid[1], device=device) + 0.5) * (size[1] / grid[1])
    v = (torch.arange(grid[0], device=device) + 0.5) * (size[0] / grid[0])
    x = (u[None] - intrinsics[:, 0, 2, None]) / intrinsics[:, 0, 0, None]
    y = (v[None] - intrinsics[:, 1, 2, None]) / intrinsics[:, 1, 1, None]
    return x, y


class RayEmbedding(nn.Module):
    """Add a linear function of each pixel's ray to the maps of a trunk. Starts as zero, so that any trunk's weights fit.

    Args:
        channels: channels of the maps.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.projects = nn.ModuleList(nn.Conv2d(4, c, 1, bias=False) for c in channels)
        for project in self.projects:
            nn.init.zeros_(project.weight)

    def forward(
        self, features: Sequence[Tensor], intrinsics: Tensor, known: Tensor, size: tuple[int, int]
    ) -> list[Tensor]:
        """Return `features` (B, C_i, h_i, w_i) plus their embedding; where `known` (B,) is 0 nothing is added.

        intrinsics: (B, 3, 3) of the picture of `size` (H, W), pixels.
        """
        outputs = []
        focal = (focal_of(intrinsics) / CANONICAL_FOCAL).log()
        for feature, project in zip(features, self.projects, strict=True):
            height, width = feature.shape[-2:]
            x, y = slopes(intrinsics, size, (height, width))
            shape = (-1, height, width)
            rays = torch.stack(
                [
                    x[:, None, :].expand(*shape),
                    y[:, :, None].expand(*shape),
                    focal[:, None, None].expand(*shape),
                    torch.ones_like(focal)[:, None, None].expand(*shape),
                ],
                dim=1,
            )
            embedding = project(rays * known.view(-1, 1, 1, 1).to(rays.dtype))
            outputs.append(feature + embedding.to(feature.dtype))
        return outputs


class VerticalPrior(nn.Module):
    """Depth by the ray's elevation alone: a learned table for each kind of scene (indoor, outdoor), mixed by the scene's probability.

    Starts as a level camera above a floor or road: below the horizon height / slope, above it a wall or the far end of a street; so no
    training is spent on what a constant picture knows already, and the network can only improve on this baseline.
    """

    BINS, LIMIT = 33, math.radians(64.0)

    def __init__(self) -> None:
        super().__init__()
        elevation = torch.linspace(-self.LIMIT, self.LIMIT, self.BINS)
        slope = elevation.tan()  # grows downwards, as y does
        down = slope.clamp(min=1e-3)
        up = (-slope).clamp(min=1e-3)
        indoor = torch.minimum(torch.minimum(1.4 / down, 1.3 / up), torch.tensor(4.0))
        outdoor = torch.minimum(1.6 / down, torch.tensor(30.0))
        self.table = nn.Parameter(torch.stack([indoor, outdoor]).log())  # (2, BINS), log metres

    def forward(self, intrinsics: Tensor, scene: Tensor, size: tuple[int, int], rows: int) -> Tensor:
        """Return the prior's log canonical depth (B, 1, rows, 1).

        intrinsics: (B, 3, 3) of a picture of `size`; scene: (B, 2) probability of indoor and outdoor.
        """
        _, slope = slopes(intrinsics, size, (rows, 1))
        place = (slope.atan() / self.LIMIT).clamp(-1, 1) * 0.5 * (self.BINS - 1) + 0.5 * (self.BINS - 1)  # (B, rows)
        bins = torch.arange(self.BINS, device=place.device)
        weights = (1 - (place[..., None] - bins).abs()).clamp(min=0)  # (B, rows, BINS), linear interpolation
        table = scene.float() @ self.table.float()  # (B, BINS)
        metric = (weights * table[:, None]).sum(-1)  # (B, rows)
        canonical = metric - (focal_of(intrinsics) / CANONICAL_FOCAL).log()[:, None]
        return canonical[:, None, :, None]
