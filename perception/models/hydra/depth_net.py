"""Camera-aware depth net (BEVDepth, arXiv 2206.10092, section 3.3; FB-BEV's variant): a depth distribution and a context vector for every cell.

The 27 numbers of a camera (`Calibration.vector`) gate the channels of two branches, so that one network serves cameras of different lenses and mounts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError
from perception.models.layers.mlp import MLP

CAMERA_NUMBERS = 27


class Gate(nn.Module):
    """Squeeze-excitation by a given vector instead of the pooled map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels, 1)
        self.expand = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """(N, C, h, w) maps, (N, C) vectors."""
        return x * self.expand(F.relu(self.reduce(vector[..., None, None]))).sigmoid()


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (ResNet-18)."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = None
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.shortcut is None else self.shortcut(x)
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))) + short)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: dilations 1, 6, 12, 18 and the global mean."""

    DILATIONS = (1, 6, 12, 18)

    def __init__(self, channels: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(
                    channels,
                    channels,
                    1 if d == 1 else 3,
                    padding=0 if d == 1 else d,
                    dilation=d,
                    bias=False,
                ),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            )
            for d in self.DILATIONS
        )
        self.pooled = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.project = nn.Sequential(
            nn.Conv2d(5 * channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        parts = [branch(x) for branch in self.branches]
        parts.append(self.pooled(x).expand_as(parts[0]))  # what bilinear resizing of one pixel gives
        return self.dropout(self.project(torch.cat(parts, 1)))


class DeformableConv(nn.Module):
    """Deformable convolution v1, 3x3: the sampling offsets come from a plain convolution, which starts at zero."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels // groups, 3, 3))
        self.offsets = nn.Conv2d(channels, 18, 3, padding=1)
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)

    def forward(self, x: Tensor) -> Tensor:
        from torchvision.ops import deform_conv2d

        return deform_conv2d(x, self.offsets(x), self.weight, padding=1)


class CameraAwareDepthNet(nn.Module):
    """Image features -> depth logits and context.

    Args:
        in_channels: of the image features.
        mid_channels: width inside.
        context_channels, depth_bins: of the outputs.
        blocks: residual blocks of the depth branch.
        aspp, deformable: parts of the depth branch behind them; `dropout` is the ASPP's.
        camera_aware: False leaves the gates out (CRN's R50 setting).
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        context_channels: int,
        depth_bins: int,
        blocks: int = 3,
        aspp: bool = True,
        deformable: bool = False,
        deformable_groups: int = 4,
        dropout: float = 0.5,
        camera_aware: bool = True,
    ) -> None:
        super().__init__()
        if deformable and mid_channels % deformable_groups:
            raise RecipeError(
                f"the deformable convolution's {deformable_groups} groups must divide mid_channels; found {mid_channels}"
            )
        self.reduce = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, 3, padding=1), nn.BatchNorm2d(mid_channels), nn.ReLU()
        )
        self.camera_aware = camera_aware
        if camera_aware:
            self.camera_norm = nn.BatchNorm1d(CAMERA_NUMBERS)
            self.depth_mlp = MLP(CAMERA_NUMBERS, mid_channels, mid_channels)
            self.context_mlp = MLP(CAMERA_NUMBERS, mid_channels, mid_channels)
            self.depth_gate, self.context_gate = Gate(mid_channels), Gate(mid_channels)
        self.context = nn.Conv2d(mid_channels, context_channels, 1)
        layers: list[nn.Module] = [BasicBlock(mid_channels, mid_channels) for _ in range(blocks)]
        if aspp:
            layers.append(ASPP(mid_channels, dropout))
        if deformable:
            layers.append(DeformableConv(mid_channels, deformable_groups))
        self.depth = nn.Sequential(*layers, nn.Conv2d(mid_channels, depth_bins, 1))

    def forward(self, features: Tensor, cameras: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, C, h, w) features, (B, N, 27) camera vectors -> (B, N, D, h, w) depth logits, (B, N, C', h, w) context."""
        lead = features.shape[:2]
        x = self.reduce(features.flatten(0, 1))
        for_depth = for_context = x
        if self.camera_aware:
            vector = self.camera_norm(cameras.flatten(0, 1))
            for_context = self.context_gate(x, self.context_mlp(vector))
            for_depth = self.depth_gate(x, self.depth_mlp(vector))
        logits, context = self.depth(for_depth), self.context(for_context)
        return logits.unflatten(0, lead), context.unflatten(0, lead)


class PlainDepth(nn.Module):
    """The smallest thing that gives depth and context: one shared 3x3 convolution (LSS). For ablations and very small models."""

    def __init__(self, in_channels: int, mid_channels: int, context_channels: int, depth_bins: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, 3, padding=1, bias=False), nn.BatchNorm2d(mid_channels), nn.ReLU()
        )
        self.both = nn.Conv2d(mid_channels, depth_bins + context_channels, 1)
        self.depth_bins = depth_bins

    def forward(self, features: Tensor, cameras: Tensor) -> tuple[Tensor, Tensor]:
        """As `CameraAwareDepthNet`."""
        out = self.both(self.reduce(features.flatten(0, 1))).unflatten(0, features.shape[:2])
        return out[:, :, : self.depth_bins], out[:, :, self.depth_bins :]
