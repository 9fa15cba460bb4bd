"""From the deepest map back to the patch's pixels: upsample, join the encoder's map of that size, convolve (paper section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from perception.models.layers.conv import resize


def block(in_channels: int, out_channels: int) -> nn.Sequential:
    """3x3 convolution without bias, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class PatchDecoder(nn.Module):
    """A U-Net decoder whose widths follow from the encoder's.

    Args:
        channels: of the maps, shallow to deep.
        last: upsample once more to the patch's own pixels; False stops at the stride of the shallowest map.
    """

    def __init__(self, channels: Sequence[int], last: bool = True) -> None:
        super().__init__()
        skips = list(channels[:-1])
        below, self.up, self.fuse = channels[-1], nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(skips))):
            out = skips[level - 1] if level else max(8, skips[0] // 2)
            self.up.append(block(below, skips[level]))
            self.fuse.append(block(2 * skips[level], out))
            below = out
        self.final = block(below, below) if last else None
        self.out_channels = below

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Map (M, C_i, h_i, w_i), shallow to deep, to (M, out_channels, *size) or, without `last`, to the size of the shallowest map."""
        x = maps[-1]
        for skip, up, fuse in zip(reversed(maps[:-1]), self.up, self.fuse, strict=True):
            x = fuse(torch.cat([up(resize(x, skip.shape[-2:])), skip], 1))
        return x if self.final is None else self.final(resize(x, size))
