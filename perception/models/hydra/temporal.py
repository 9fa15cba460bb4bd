"""Temporal fusion: BEV features of past frames, moved to where the vehicle is now (SOLOFusion, arXiv 2210.02443; FB-OCC)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.hydra.bev import conv_block
from perception.models.layers.precision import full_precision
from perception.ops.lift_splat import VoxelGrid


@full_precision
def align_bev(past: Tensor, past_from_now: Tensor, grid: VoxelGrid) -> tuple[Tensor, Tensor]:
    """Resample the BEV of another vehicle pose.

    Args:
        past: (B, C, Y, X). past_from_now: (B, 4, 4), from the BEV frame now to the BEV frame then (augmentations included).

    Returns:
        (B, C, Y, X) in the BEV frame now, 0 where the past map does not reach; (B, 1, Y, X) share of each cell that it reaches.
    """
    rows, columns = past.shape[-2:]
    options = {"dtype": torch.float32, "device": past.device}
    (x0, x1, _), (y0, y1, _) = grid.x, grid.y
    x = (torch.arange(columns, **options) + 0.5) / columns * (x1 - x0) + x0
    y = (torch.arange(rows, **options) + 0.5) / rows * (y1 - y0) + y0
    y, x = torch.meshgrid(y, x, indexing="ij")
    here = torch.stack((x, y, torch.ones_like(x)), -1).view(1, -1, 3)
    # The motion in the plane: rows x, y of the matrix; heights do not move the map.
    plane = past_from_now.float()[:, :2][..., [0, 1, 3]]  # (B, 2, 3)
    there = here @ plane.mT  # (B, YX, 2)
    lower, extent = there.new_tensor([x0, y0]), there.new_tensor([x1 - x0, y1 - y0])
    places = (2 * (there - lower) / extent - 1).view(-1, rows, columns, 2)  # -1 and 1 are the outer edges of the map
    sampling = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": False}
    aligned = F.grid_sample(past.float(), places, **sampling).to(past.dtype)
    reach = F.grid_sample(torch.ones_like(past[:, :1], dtype=torch.float32), places, **sampling).to(past.dtype)
    return aligned, reach


class TemporalFusion(nn.Module):
    """Concatenate the BEV now and aligned past BEVs, each with a channel that tells its age, and mix them by convolutions.

    Where the past does not reach (or does not exist), the BEV now stands in for it, as at the first frame of a scene.
    """

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.mark = conv_block(channels + 1, channels, 1)
        self.mix = nn.Sequential(conv_block(channels * (frames + 1), channels, 1), conv_block(channels, channels))

    def forward(
        self,
        bev: Tensor,
        past: Sequence[Tensor],
        past_from_now: Sequence[Tensor],
        ages: Sequence[Tensor],
        grid: VoxelGrid,
    ) -> Tensor:
        """Fuse.

        Args:
            bev: (B, C, Y, X) now.
            past: up to `frames` (B, C, Y, X), newest first; past_from_now: (B, 4, 4) of each, see `align_bev`; ages: (B,) seconds of each, NaN
                for samples that have no such frame.
        """
        marked = [self._marked(bev, bev.new_zeros(len(bev)))]
        for index in range(self.frames):
            if index >= len(past):
                marked.append(marked[-1])
                continue
            age = ages[index]
            there = age.isfinite()
            moved, reach = align_bev(past[index].to(bev.dtype), past_from_now[index], grid)
            reach = reach * there.view(-1, 1, 1, 1)
            moved = torch.where(reach > 0, moved + (1 - reach) * bev, bev)
            marked.append(self._marked(moved, torch.where(there, age, 0.0)))
        return self.mix(torch.cat(marked, 1))

    def _marked(self, bev: Tensor, age: Tensor) -> Tensor:
        channel = age.to(bev.dtype).view(-1, 1, 1, 1).expand(-1, 1, *bev.shape[-2:])
        return self.mark(torch.cat((bev, channel), 1))
