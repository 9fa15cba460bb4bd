"""Radar encoders: the same points as pillars of a camera's frustum (depth x image column) and as pillars of the bird's-eye view.

Points are (B, P, 8) in the order of `RADAR_COLUMNS`: x, y, z [m], rcs [dBsm], vx, vy [m/s, without the vehicle's own motion], sweep, lag [s], ego frame,
with a (B, P) mask. There is no limit of points a pillar. An empty cloud gives maps that do not depend on anything.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.hydra.calibration import Calibration, DepthAxis
from perception.models.layers.precision import full_precision
from perception.ops.lift_splat import VoxelGrid
from perception.ops.pillars import pillar_cells, pillar_reduce

RADAR_COLUMNS = ("x", "y", "z", "rcs", "vx", "vy", "sweep", "lag")
RCS, SPEED = (4.783, 7.576), (0.677, 1.976)  # mean and deviation of dBsm and m/s over nuScenes (CRN)


def pad_points(points: list[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Clouds of different sizes -> (B, P, 8) float32 and (B, P) bool mask; P is at least 1."""
    most = max(1, *(len(p) for p in points))
    out = torch.zeros(len(points), most, len(RADAR_COLUMNS))
    mask = torch.zeros(len(points), most, dtype=torch.bool)
    for i, cloud in enumerate(points):
        out[i, : len(cloud)] = cloud
        mask[i, : len(cloud)] = True
    return out.to(device), mask.to(device)


@full_precision
def _turned(points: Tensor, matrix: Tensor) -> Tensor:
    return points @ matrix.mT


class PointNet(nn.Module):
    """Linear, batch norm and ReLU on every point; statistics are those of the points that are there."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width, eps=1e-3) for width in widths[1:])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, P, C) and (B, P) -> (B, P, C')."""
        if self.training:
            chosen = mask.nonzero(as_tuple=True)
            if len(chosen[0]) > 1:  # only the points that are there are computed
                rows = x[chosen]
                for linear, norm in zip(self.linears, self.norms, strict=True):
                    rows = F.relu(norm(linear(rows)))
                return rows.new_zeros(*mask.shape, rows.shape[-1]).index_put(chosen, rows)
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = linear(x)
            if self.training:  # one point or none has no statistics
                x = F.batch_norm(
                    x.flatten(0, 1), norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
                ).view(x.shape)
            else:
                x = norm(x.flatten(0, 1)).view(x.shape)
            x = F.relu(x)
        return x


class ConvEncoder(nn.Module):
    """Residual 3x3 convolutions at one resolution."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
            for _ in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return x


class PerspectiveRadar(nn.Module):
    """Radar points as pillars over (depth, image column) of each camera.

    Args:
        channels: of the output.
        axis: depth cells of the pillars.
        columns: of the image features.
        layers: convolutions behind the pillars.
        use_height: give the network the row where a point would be drawn. Radars measure no height: it follows from the mount alone.
    """

    def __init__(self, channels: int, axis: DepthAxis, columns: int, layers: int = 3, use_height: bool = False) -> None:
        super().__init__()
        self.axis, self.columns, self.use_height = axis, columns, use_height
        self.points = PointNet(8, channels // 2, channels)
        self.encoder = ConvEncoder(channels, layers)

    def forward(
        self, points: Tensor, mask: Tensor, calibration: Calibration, image_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """(B, P, 8), (B, P) -> (B N, C, D, W) features and (B N, D, W) bool occupied cells."""
        cameras = calibration.intrinsics.shape[1]
        height, width = image_size
        in_bev = _turned(points[..., :3], calibration.bev_from_ego)
        uv, depth = calibration.project(in_bev)  # (B, N, P, 2), (B, N, P)
        u, v = uv[..., 0] / width, uv[..., 1] / height
        seen = mask[:, None] & (depth > 0.1) & (u >= 0) & (u < 1) & (v > -1) & (v < 2)
        own = points[:, None].expand(-1, cameras, -1, -1)
        # The speed along the camera's axis tells approaching from leaving, which |v| does not.
        forward = calibration.ego_from_camera[..., :2, 2]  # (B, N, 2)
        ahead = (own[..., 4:6] * forward[:, :, None]).sum(-1)
        speed = own[..., 4:6].norm(dim=-1)
        cell_u = (u * self.columns - 0.5).clamp(-1e4, 1e4)
        cell_d = (depth - self.axis.start) / self.axis.step - 0.5
        features = torch.stack(
            (
                (u - 0.5) * 2,
                depth / self.axis.stop,
                (v - 0.5) * 2 if self.use_height else torch.zeros_like(v),
                (own[..., 3] - RCS[0]) / RCS[1],
                (speed - SPEED[0]) / SPEED[1],
                ahead / 5,
                cell_u - cell_u.round(),
                cell_d - cell_d.round(),
            ),
            -1,
        )
        features = torch.where(seen[..., None], features, 0.0).flatten(0, 1)
        seen = seen.flatten(0, 1)
        axis = (self.axis.start, self.axis.start + self.axis.bins * self.axis.step, self.axis.step)
        cell = pillar_cells(depth.flatten(0, 1), u.flatten(0, 1), axis, (0.0, 1.0, 1.0 / self.columns), seen)
        shape = (seen.shape[0], self.axis.bins, self.columns)
        embedded = self.points(features, seen)
        pillars = pillar_reduce(embedded, cell, shape, "max")
        occupied = pillar_reduce(torch.ones_like(embedded[..., :1]), cell, shape, "max")[:, 0] > 0
        return self.encoder(pillars), occupied


class BevRadar(nn.Module):
    """Radar points as pillars of the bird's-eye view, at the BEV's resolution."""

    def __init__(self, channels: int, grid: VoxelGrid, layers: int = 3) -> None:
        super().__init__()
        self.grid = grid
        self.points = PointNet(9, channels // 2, channels)
        self.encoder = ConvEncoder(channels, layers)

    def forward(self, points: Tensor, mask: Tensor, bev_from_ego: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P, 8), (B, P), (B, 3, 3) -> (B, C, Y, X) features and (B, Y, X) bool occupied cells."""
        places = _turned(points[..., :3], bev_from_ego)
        velocity = _turned(F.pad(points[..., 4:6], (0, 1)), bev_from_ego)
        offsets = []
        for axis, (lower, _, size) in enumerate((self.grid.x, self.grid.y)):
            at = ((places[..., axis] - lower) / size).clamp(-1e4, 1e4)
            offsets.append(at - at.floor() - 0.5)
        features = torch.stack(
            (
                *offsets,
                places[..., 0] / self.grid.x[1],
                places[..., 1] / self.grid.y[1],
                (points[..., 3] - RCS[0]) / RCS[1],
                velocity[..., 0] / 5,
                velocity[..., 1] / 5,
                points[..., 7],
                places[..., 2] / 5,
            ),
            -1,
        )
        features = torch.where(mask[..., None], features, 0.0)
        cell = pillar_cells(places[..., 1], places[..., 0], self.grid.y, self.grid.x, mask)
        shape = (points.shape[0], *self.grid.shape[1:])
        embedded = self.points(features, mask)
        pillars = pillar_reduce(embedded, cell, shape, "max")
        occupied = pillar_reduce(torch.ones_like(embedded[..., :1]), cell, shape, "max")[:, 0] > 0
        return self.encoder(pillars), occupied

    @torch.no_grad()
    def motion(self, points: Tensor, mask: Tensor, bev_from_ego: Tensor) -> Tensor:
        """(B, 2, Y, X) mean measured velocity of the points in the 3x3 cells around each cell, BEV frame [m/s]; 0 where there are none.

        Radars measure along the line of sight alone, so this is the radial part of an object's velocity.
        """
        places = _turned(points[..., :3], bev_from_ego)
        velocity = _turned(F.pad(points[..., 4:6], (0, 1)), bev_from_ego)[..., :2]
        cell = pillar_cells(places[..., 1], places[..., 0], self.grid.y, self.grid.x, mask)
        rows = torch.cat((velocity, torch.ones_like(velocity[..., :1])), -1)
        total = F.avg_pool2d(pillar_reduce(rows, cell, (points.shape[0], *self.grid.shape[1:]), "sum"), 3, 1, 1)
        return total[:, :2] / total[:, 2:].clamp(min=1e-6)
