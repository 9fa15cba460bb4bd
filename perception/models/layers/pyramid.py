"""Pyramids from a network of one stride: ViTDet's simple feature pyramid and DPT's reassemble blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from perception.models.layers.conv import ChannelLayerNorm


def _rescale(in_channels: int, channels: int, scale: float) -> nn.Module:
    """A learned change of resolution by a power of two: transposed convolutions up, one strided convolution down."""
    if scale > 1:
        factor = int(scale)
        return nn.ConvTranspose2d(in_channels, channels, factor, stride=factor)
    if scale == 1:
        return nn.Identity() if in_channels == channels else nn.Conv2d(in_channels, channels, 1)
    return nn.Conv2d(in_channels, channels, 3, stride=round(1 / scale), padding=1)


class SimplePyramid(nn.Module):
    """ViTDet (arXiv 2203.16527): every level from the last map alone, then 1x1 and 3x3 convolutions with layer norm.

    Args:
        in_channels: of the map.
        stride: of the map.
        scales: resolution of each level against the map, fine to coarse (4 for a quarter of the stride).
        channels: width of the levels; None for min(256, in_channels).
    """

    def __init__(self, in_channels: int, stride: int, scales: Sequence[float], channels: int | None = None) -> None:
        super().__init__()
        channels = channels or min(256, in_channels)
        self.levels = nn.ModuleList()
        for scale in scales:
            level = nn.Sequential()
            width, left = in_channels, scale
            while left > 1:
                level.append(nn.ConvTranspose2d(width, width // 2, 2, stride=2))
                width, left = width // 2, left / 2
                if left > 1:
                    level.append(ChannelLayerNorm(width))
                    level.append(nn.GELU())
            while left < 1:
                level.append(nn.MaxPool2d(2, ceil_mode=True))
                left *= 2
            level.append(nn.Conv2d(width, channels, 1, bias=False))
            level.append(ChannelLayerNorm(channels))
            level.append(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
            level.append(ChannelLayerNorm(channels))
            self.levels.append(level)
        self.channels = [channels] * len(scales)
        self.strides = [_exact(stride / scale) for scale in scales]

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Map [(B, in_channels, h, w)] to one map a scale."""
        return [level(maps[-1]) for level in self.levels]


class ReassemblePyramid(nn.Module):
    """DPT (arXiv 2103.13413): level i from depth i of the network, shallow to deep; each normalised, projected, rescaled.

    Args:
        in_channels: of each tapped map.
        stride: of all of them.
        scales: resolution of each level against the maps, fine to coarse.
        channels: width of the deepest level, halved a level up (at least 16); None for the network's own.
    """

    def __init__(
        self, in_channels: Sequence[int], stride: int, scales: Sequence[float], channels: int | None = None
    ) -> None:
        super().__init__()
        widest = channels or in_channels[-1]
        count = len(scales)
        self.channels = [max(16, widest // 2 ** (count - 1 - i)) for i in range(count)]
        self.strides = [_exact(stride / scale) for scale in scales]
        self.norms = nn.ModuleList(ChannelLayerNorm(c) for c in in_channels)
        self.projects = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(in_channels, self.channels, strict=True))
        self.rescales = nn.ModuleList(_rescale(w, w, s) for w, s in zip(self.channels, scales, strict=True))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Map one (B, C_i, h, w) a level to maps of the levels' scales."""
        return [
            rescale(project(norm(feature)))
            for feature, norm, project, rescale in zip(maps, self.norms, self.projects, self.rescales, strict=True)
        ]


def _exact(stride: float) -> float | int:
    return int(stride) if stride == math.floor(stride) else stride
