"""ConvNeXt as kMaX-DeepLab uses it: every strided convolution sees a zero-padded map, so that 32k + 1 pixels give k + 1 cells.

The padding is always applied, for odd and even sizes alike. In the downsampling layers it comes *before* the layer norm,
whose value on the zero border is its bias. There are no norms on the outputs. Paper: arXiv 2201.03545.
"""

from __future__ import annotations

import re

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.layers.conv import ChannelLayerNorm
from perception.models.trunks.timm_weights import load_timm
from perception.options import check_choice

# size -> (blocks a stage, channels a stage)
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
}


class ConvNeXtBlock(nn.Module):
    """Depthwise 7x7, layer norm, pointwise x4, exact GELU, pointwise, layer scale; residual."""

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, 4 * channels)
        self.project = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 1e-6))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        y = self.depthwise(x).permute(0, 2, 3, 1)  # (B, H, W, C)
        y = self.scale * self.project(F.gelu(self.expand(self.norm(y))))
        return x + self.drop_path(y.permute(0, 3, 1, 2))


class _Stem(nn.Module):
    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 4, stride=4)
        self.norm = ChannelLayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(F.pad(x, (1, 2, 1, 2))))


class _Downsample(nn.Module):
    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.norm = ChannelLayerNorm(in_channels)
        self.conv = nn.Conv2d(in_channels, channels, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(F.pad(x, (0, 1, 0, 1))))


class PaddedConvNeXt(nn.Module):
    """ConvNeXt (tiny, small, base, large, or `depths`/`widths` of one's own) with the padding described above.

    Args:
        size: a key of `SIZES`.
        drop_path: largest stochastic depth; it grows linearly with depth from 0.
        return_stem: also return the stem's map (stride 4), first (Cityscapes models).
        pretrained: name of a timm ConvNeXt whose published weights to start from, such as "convnext_tiny.fb_in22k".
    """

    activation = "gelu"
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(
        self,
        size: str = "tiny",
        *,
        depths: tuple[int, ...] | None = None,
        widths: tuple[int, ...] | None = None,
        drop_path: float = 0.0,
        return_stem: bool = False,
        in_channels: int = 3,
        pretrained: str | bool = False,
    ) -> None:
        super().__init__()
        check_choice("ConvNeXt's size", size, SIZES)
        depths, widths = depths or SIZES[size][0], widths or SIZES[size][1]
        self.return_stem = return_stem
        self.downsample = nn.ModuleList([_Stem(in_channels, widths[0])])
        self.downsample.extend(_Downsample(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        rates = torch.linspace(0, drop_path, sum(depths), device="cpu").tolist()
        self.stages = nn.ModuleList()
        for depth, width in zip(depths, widths, strict=True):
            self.stages.append(nn.Sequential(*(ConvNeXtBlock(width, rates.pop(0)) for _ in range(depth))))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        self.channels = list(widths)
        self.strides = [4 * 2**i for i in range(len(widths))]
        if return_stem:
            self.channels.insert(0, widths[0])
            self.strides.insert(0, 4)
        if pretrained:
            load_timm(self, str(pretrained), _from_timm)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map normalised pictures (B, 3, H, W) to maps of strides 4, 8, 16, 32 (the stem first if asked for)."""
        x, features = image, []
        for downsample, stage in zip(self.downsample, self.stages, strict=True):
            x = downsample(x)
            if self.return_stem and not features:
                features.append(x)
            x = stage(x)
            features.append(x)
        return features


def _from_timm(key: str) -> str | None:
    """Our key of a timm ConvNeXt's; None for its head."""
    if key.startswith(("head.", "norm_pre.")):
        return None
    key = re.sub(r"^stem\.0\.", "downsample.0.conv.", re.sub(r"^stem\.1\.", "downsample.0.norm.", key))
    key = re.sub(
        r"^stages\.(\d)\.downsample\.(\d)\.", lambda m: f"downsample.{m[1]}.{'conv' if m[2] == '1' else 'norm'}.", key
    )
    for theirs, ours in (("conv_dw", "depthwise"), ("mlp.fc1", "expand"), ("mlp.fc2", "project"), ("gamma", "scale")):
        key = re.sub(rf"(stages\.\d\.)blocks\.(\d+\.){re.escape(theirs)}", rf"\1\2{ours}", key)
    return re.sub(r"(stages\.\d\.)blocks\.", r"\1", key)
