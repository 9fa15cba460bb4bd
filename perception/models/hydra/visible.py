"""Which BEV cells each camera sees, and their coordinates there: reference points of camera-to-BEV attention."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from perception.models.hydra.calibration import Calibration
from perception.ops.constants import cached_constants, is_tracing
from perception.ops.lift_splat import VoxelGrid

_EDGE = 1e-5  # of the picture, and metres of depth


@cached_constants(maxsize=8)
def cell_anchors(grid: VoxelGrid, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(Y X, Z, 3) centres of the cells of a grid in metres, x fastest; Z heights each."""
    axes = []
    for (lower, _, size), count in zip((grid.x, grid.y, grid.z), reversed(grid.shape), strict=True):
        axes.append((torch.arange(count, dtype=dtype, device=device) + 0.5) * size + lower)
    y, x, z = torch.meshgrid(axes[1], axes[0], axes[2], indexing="ij")
    return torch.stack((x, y, z), -1).flatten(0, 1)


@dataclasses.dataclass(frozen=True)
class VisibleCells:
    """For each of B * N pictures the cells that it sees, packed.

    index: (B, N, K) int64 cell of each entry. valid: (B, N, K) bool, False for filling. pixels: (B, N, K, Z, 2) fractions of the picture. depth: (B, N, K, Z)
    metres. mask: (B, N, YX, Z) bool of all anchors. cameras: (B, YX) float number of cameras that see each cell, at least 1.
    """

    index: Tensor
    valid: Tensor
    pixels: Tensor
    depth: Tensor
    mask: Tensor
    cameras: Tensor

    @classmethod
    @torch.no_grad()
    def of(
        cls, grid: VoxelGrid, calibration: Calibration, image_size: tuple[int, int], wanted: Tensor | None = None
    ) -> VisibleCells:
        """Project the cells of `grid`. `wanted`: (B, YX) bool restricts them. While a graph is recorded, all cells stay (static shapes)."""
        anchors = cell_anchors(grid, calibration.intrinsics.dtype, calibration.intrinsics.device)
        batch, cameras = calibration.intrinsics.shape[:2]
        count, heights, _ = anchors.shape
        uv, depth = calibration.project(anchors.view(1, -1, 3).expand(batch, -1, -1))
        scale = uv.new_tensor([image_size[1], image_size[0]])
        pixels = (uv / scale).unflatten(2, (count, heights))
        depth = depth.unflatten(2, (count, heights))
        mask = ((pixels > _EDGE) & (pixels < 1 - _EDGE)).all(-1) & (depth > _EDGE)
        seen = mask.any(-1)  # (B, N, YX)
        if wanted is not None:
            seen = seen & wanted[:, None]
        number = seen.sum(1).clamp(min=1).to(pixels.dtype)
        if is_tracing():
            index = torch.arange(count, device=seen.device).expand(batch, cameras, count)
            return cls(index, seen, pixels, depth, mask, number)
        most = max(1, int(seen.sum(-1).max()))
        index = torch.argsort(~seen, dim=-1, stable=True)[..., :most]  # cells that are seen first, in order
        valid = seen.gather(2, index)
        rows = index[..., None].expand(-1, -1, -1, heights)
        pixels = pixels.gather(2, rows[..., None].expand(-1, -1, -1, -1, 2))
        return cls(index, valid, pixels, depth.gather(2, rows), mask, number)

    def gather(self, cells: Tensor) -> Tensor:
        """(B, YX, C) -> (B, N, K, C)."""
        rows = self.index[..., None].expand(-1, -1, -1, cells.shape[-1])
        return cells[:, None].expand(-1, self.index.shape[1], -1, -1).gather(2, rows)

    def scatter_mean(self, found: Tensor, cells: int) -> Tensor:
        """(B, N, K, C) -> (B, cells, C): mean over the cameras that see a cell; 0 where none does."""
        batch, channels = found.shape[0], found.shape[-1]
        found = torch.where(self.valid[..., None], found, 0.0)
        rows = self.index.flatten(1, 2)[..., None].expand(-1, -1, channels)
        out = found.new_zeros(batch, cells, channels).scatter_add(1, rows, found.flatten(1, 2))
        return out / self.cameras[..., None].to(out.dtype)
