"""Encoder-decoders that give SPIdepth its map of pixel embeddings at half the picture's resolution.

`PyramidUNet`: any pyramid of the backbone zoo with a plain U-Net decoder (the ConvNeXt models). `ResNetUNet`: the ResNet of SQLdepth's first models
with the up-sampling blocks of AdaBins (arXiv 2011.14141).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.trunks import build_backbone

PYRAMID = (4, 8, 16, 32)
RESNET = (2, 4, 8, 16, 32)


def convolutions(in_channels: int, out_channels: int, bias: bool, activation: type[nn.Module]) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch norm and activation."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias),
            nn.BatchNorm2d(out_channels),
            activation(),
        ]
    return nn.Sequential(*layers)


class PyramidUNet(nn.Module):
    """U-Net over a backbone of the zoo; pictures enter as they are, RGB 0..1.

    Args:
        backbone: name or options for `build_backbone`. strides: of its maps. channels: of the decoder's blocks, deep to shallow: a block for each finer map, then
            one that doubles the resolution without one. dim: channels of the result. pretrained: load timm's weights.
    """

    def __init__(
        self,
        backbone: str | dict[str, Any],
        channels: Sequence[int],
        dim: int,
        strides: Sequence[int] = PYRAMID,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, out_strides=tuple(strides), pretrained=pretrained)
        deep_first = self.backbone.channels[::-1]
        skips = [*deep_first[1:], 0]
        before = [deep_first[0], *channels[:-1]]
        self.blocks = nn.ModuleList(
            convolutions(inner + skip, outer, False, nn.ReLU)
            for inner, skip, outer in zip(before, skips, channels, strict=False)
        )
        self.out = nn.Conv2d(channels[len(self.blocks) - 1], dim, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) 0..1 -> (B, dim, H / 2, W / 2) for the default strides."""
        x, *skips = self.backbone(image)[::-1]
        for index, block in enumerate(self.blocks):
            if index < len(skips):
                x = F.interpolate(x, skips[index].shape[-2:], mode="bilinear", align_corners=True)
                x = torch.cat((x, skips[index]), 1)
            else:
                size = (2 * x.shape[-2], 2 * x.shape[-1])
                x = F.interpolate(x, size, mode="bilinear", align_corners=False)
            x = block(x)
        return self.out(x)


class ResNetUNet(nn.Module):
    """ResNet with four up-sampling blocks; `width` channels after the bottleneck, halved by every block.

    The 1x1 bottleneck convolution pads, so its map is larger than its input by two: what the published weights were trained with.
    """

    def __init__(self, backbone: str | dict[str, Any], width: int, dim: int, pretrained: bool = False) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, out_strides=RESNET, pretrained=pretrained)
        *skips, deep = self.backbone.channels
        self.bottleneck = nn.Conv2d(deep, width, 1, padding=1)
        self.blocks = nn.ModuleList(
            convolutions((width >> i) + skip, width >> (i + 1), True, nn.LeakyReLU)
            for i, skip in enumerate(reversed(skips))
        )
        self.out = nn.Conv2d(width >> len(skips), dim, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) 0..1 -> (B, dim, H / 2, W / 2)."""
        deep, *skips = self.backbone((image - 0.45) / 0.225)[::-1]
        x = self.bottleneck(deep)
        for block, skip in zip(self.blocks, skips, strict=True):
            x = F.interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=True)
            x = block(torch.cat((x, skip), 1))
        return self.out(x)
