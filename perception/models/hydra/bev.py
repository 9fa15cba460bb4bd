"""Parts on the BEV plane: squeeze-excite fusion of camera and radar, and the BEV encoder (ResNet and feature pyramid)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.hydra.depth_net import BasicBlock


def conv_block(in_channels: int, channels: int, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )


class SqueezeExcite(nn.Module):
    """Gate channels by their global mean (arXiv 1709.01507)."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, max(4, channels // reduction), 1)
        self.expand = nn.Conv2d(max(4, channels // reduction), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))).sigmoid()


class BevFusion(nn.Module):
    """Concatenate maps, 3x3 convolution, squeeze-excite."""

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.conv = conv_block(sum(in_channels), channels)
        self.gate = SqueezeExcite(channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return self.gate(self.conv(torch.cat(list(maps), 1)))


class BevEncoder(nn.Module):
    """Residual stages of falling resolution; each is brought back and concatenated with the input (BEVDepth's trunk and SECONDFPN).

    Args:
        in_channels: of the BEV.
        widths: of the stages; the first keeps the resolution, each other one halves it.
        blocks: residual blocks a stage.
        channels: of the output.
    """

    def __init__(
        self, in_channels: int, widths: Sequence[int], blocks: int, channels: int, out_kernel: int = 3
    ) -> None:
        super().__init__()
        self.stages, self.laterals = nn.ModuleList(), nn.ModuleList()
        before = in_channels
        for index, width in enumerate(widths):
            layers = [BasicBlock(before, width, 1 if index == 0 else 2)]
            layers += [BasicBlock(width, width) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*layers))
            self.laterals.append(conv_block(width, channels, 1))
            before = width
        self.skip = conv_block(in_channels, channels, 1)
        self.out = conv_block(channels * (len(widths) + 1), channels, out_kernel)

    def forward(self, bev: Tensor) -> Tensor:
        """(B, C, Y, X) -> (B, channels, Y, X)."""
        size = bev.shape[-2:]
        maps, x = [self.skip(bev)], bev
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            x = stage(x)
            small = lateral(x)
            if small.shape[-2:] != size:
                small = F.interpolate(small, size=size, mode="bilinear", align_corners=False)
            maps.append(small)
        return self.out(torch.cat(maps, 1))


class ImageNeck(nn.Module):
    """Backbone levels -> one map of the wanted stride: every level through a 1x1 convolution, resized, summed, then 3x3."""

    def __init__(self, in_channels: Sequence[int], strides: Sequence[float], stride: int, channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.laterals = nn.ModuleList(nn.Conv2d(c, channels, 1, bias=False) for c in in_channels)
        self.norm = nn.BatchNorm2d(channels)
        self.out = conv_block(channels, channels)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Maps of the backbone -> (B, channels, *size)."""
        total = 0.0
        for lateral, level in zip(self.laterals, maps, strict=True):
            x = lateral(level)
            if x.shape[-2] > size[0]:
                x = F.adaptive_avg_pool2d(x, size)
            elif tuple(x.shape[-2:]) != tuple(size):
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
            total = total + x
        return self.out(F.relu(self.norm(total)))
