"""Auxiliary per-pixel semantic head of kMaX-DeepLab (training only): ASPP on stride 32, fused with strides 8 and 4."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from perception.models.layers.conv import ACTIVATIONS, ConvNorm, resize
from perception.models.polymax.pixel_decoder import align_corners_for


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: 1x1, three dilated 3x3 and the image mean, concatenated and projected."""

    def __init__(self, in_channels: int, channels: int = 256, rates: Sequence[int] = (6, 12, 18)) -> None:
        super().__init__()
        self.branches = nn.ModuleList([ConvNorm(in_channels, channels, activation="gelu")])
        self.branches.extend(ConvNorm(in_channels, channels, 3, dilation=r, activation="gelu") for r in rates)
        self.pool = ConvNorm(in_channels, channels, activation="gelu")
        self.project = ConvNorm(channels * (len(rates) + 2), channels, activation="gelu")
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, channels, H, W)."""
        mean = x.mean((2, 3), keepdim=True)
        # One vector has no variance: a batch of one picture takes the running statistics.
        alone = self.training and mean.shape[0] == 1
        pooled = self.pool.eval()(mean) if alone else self.pool.train(self.training)(mean)
        pooled = pooled.expand(-1, -1, *x.shape[-2:])
        return self.dropout(self.project(torch.cat([branch(x) for branch in self.branches] + [pooled], dim=1)))


class _FuseLowLevel(nn.Module):
    """Concatenate an enlarged map with a projected shallow one; depthwise 5x5, pointwise."""

    def __init__(self, in_channels: int, low_channels: int, projection: int, channels: int) -> None:
        super().__init__()
        self.project = ConvNorm(low_channels, projection, activation="gelu")
        self.depthwise = ConvNorm(
            in_channels + projection, in_channels + projection, 5, groups=in_channels + projection, activation="gelu"
        )
        self.pointwise = ConvNorm(in_channels + projection, channels, activation="gelu")

    def forward(self, x: Tensor, low: Tensor, align_corners: bool) -> Tensor:
        low = self.project(low)
        x = resize(x, low.shape[-2:], align_corners=align_corners)
        return self.pointwise(self.depthwise(torch.cat([x, low], dim=1)))


class SemanticHead(nn.Module):
    """The COCO/ADE20K auxiliary head.

    Args:
        in_channels: channels of the backbone's maps at strides 32, 8 and 4.
        num_classes: output channels (with void).
        low_level_activation: "relu" or "gelu" on the stride-8 and stride-4 maps (TensorFlow), None for the PyTorch port.
        align_corners: of both enlargements: True (TensorFlow), False, or "parity": whether the width at stride 32 is odd (PyTorch port).
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        channels: int = 256,
        projections: Sequence[int] = (64, 32),
        low_level_activation: str | None = None,
        align_corners: bool | str = "parity",
    ) -> None:
        super().__init__()
        self.low_level_activation, self.align_corners = low_level_activation, align_corners
        self.aspp = ASPP(in_channels[0], channels)
        self.fuse8 = _FuseLowLevel(channels, in_channels[1], projections[0], channels)
        self.fuse4 = _FuseLowLevel(channels, in_channels[2], projections[1], channels)
        self.depthwise = ConvNorm(channels, channels, 5, groups=channels, activation="gelu")
        self.pointwise = ConvNorm(channels, channels, activation="gelu")
        self.output = nn.Conv2d(channels, num_classes, 1)

    def forward(self, deep: Tensor, stride8: Tensor, stride4: Tensor) -> Tensor:
        """Map the backbone's maps at strides 32, 8, 4 to logits (B, num_classes, H/4, W/4)."""
        if self.low_level_activation is not None:
            activation = ACTIVATIONS[self.low_level_activation]
            stride8, stride4 = activation(stride8), activation(stride4)
        rule = align_corners_for(deep, self.align_corners)
        x = self.fuse4(self.fuse8(self.aspp(deep), stride8, rule), stride4, rule)
        return self.output(self.pointwise(self.depthwise(x)))


class CityscapesSemanticHead(nn.Module):
    """The Cityscapes auxiliary head: depthwise 5x5, 1x1 and the classifier on stride 32 alone."""

    def __init__(self, in_channels: int, num_classes: int, *, channels: int = 256) -> None:
        super().__init__()
        self.depthwise = ConvNorm(in_channels, in_channels, 5, groups=in_channels, activation="gelu")
        self.pointwise = ConvNorm(in_channels, channels, activation="gelu")
        self.output = nn.Conv2d(channels, num_classes, 1)

    def forward(self, deep: Tensor) -> Tensor:
        """Map (B, C, H, W) at stride 32 to logits (B, num_classes, H, W)."""
        return self.output(self.pointwise(self.depthwise(deep)))
