"""CSWin Transformer: attention in cross-shaped windows (Dong et al., CVPR 2022, arXiv 2107.00652; github.com/microsoft/CSWin-Transformer, MIT).

Half of the heads of a block attend in vertical stripes (full height, `split` columns), half in horizontal ones; a depthwise 3x3
convolution of the values inside each stripe (zero at its border) is the position encoding and is added to the attention's output. The
last stage, and a stage whose training grid is one stripe wide, attends to the whole map with all heads.

A map whose side is no multiple of the stripe is padded with zero queries, keys and values on both sides, as the published dense models
do. The networks hold no table that depends on the picture's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import DropPath, Mlp
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.backbones.staged import (
    Stage,
    StagedTrunk,
    drop_path_rates,
    initialise,
    register_sizes,
)


class StripeAttention(nn.Module):
    """Attention inside stripes of a map, plus the locally enhanced position encoding.

    Args:
        dim, heads: of this branch.
        split: width of the stripes in cells.
        shape: "vertical", "horizontal", or "full" for one window of the map's size.
    """

    def __init__(self, dim: int, heads: int, split: int, shape: str) -> None:
        super().__init__()
        self.heads, self.split, self.shape = heads, split, shape
        self.position = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, qkv: Tensor) -> Tensor:
        """Map queries, keys and values (3, B, H, W, C) to (B, H, W, C)."""
        height, width = qkv.shape[2:4]
        down = -height % self.split if self.shape == "horizontal" else 0
        right = -width % self.split if self.shape == "vertical" else 0
        if down or right:
            qkv = F.pad(qkv, (0, 0, right // 2, right - right // 2, down // 2, down - down // 2))
        rows = self.split if self.shape == "horizontal" else height
        columns = self.split if self.shape == "vertical" else width
        # (3, B, stripes down, rows, stripes across, columns, C) -> (3, B * stripes, rows, columns, C)
        stripes = qkv.unflatten(3, (-1, columns)).unflatten(2, (-1, rows))
        batch, down_count, across = stripes.shape[1], stripes.shape[2], stripes.shape[4]
        stripes = stripes.permute(0, 1, 2, 4, 3, 5, 6).flatten(1, 3)
        q, k, v = (
            stripes.flatten(2, 3).unflatten(-1, (self.heads, -1)).transpose(2, 3)
        )  # (B * stripes, heads, N, C / heads)
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out = out.unflatten(1, (rows, columns)) + self.position(stripes[2].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        out = out.unflatten(0, (batch, down_count, across)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return out[:, down // 2 : down // 2 + height, right // 2 : right // 2 + width]


class CSWinBlock(nn.Module):
    """Cross-shaped window attention and MLP, each after a layer norm; maps are NHWC."""

    def __init__(
        self, dim: int, heads: int, split: int, full: bool, mlp_ratio: float, drop_path: float, bias: bool
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        shapes = ("full",) if full else ("vertical", "horizontal")
        self.branches = nn.ModuleList(
            StripeAttention(dim // len(shapes), heads // len(shapes), split, shape) for shape in shapes
        )
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        qkv = self.qkv(self.norm1(x)).unflatten(-1, (3, -1)).permute(3, 0, 1, 2, 4)
        parts = qkv.chunk(len(self.branches), -1)
        attended = torch.cat([branch(part) for branch, part in zip(self.branches, parts, strict=True)], -1)
        x = x + self.drop_path(self.proj(attended))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class _Embed(nn.Module):
    """Strided convolution of an NCHW map, then layer norm over the channels; returns NCHW."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, padding)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class CSWinStage(Stage):
    def __init__(self, downsample: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """NCHW to NCHW, half the size (first stage: the same)."""
        return self.run(self.downsample(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class CSWinTransformer(StagedTrunk):
    """CSWin.

    Args:
        img_size: training side; it says which stages are one stripe wide, and nothing else.
        embed_dim: channels of the first stage; they double from stage to stage.
        split_size: stripe width of each stage.
    """

    first_conv = "stem.conv"
    takes_img_size = True

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        embed_dim: int = 64,
        depths: Sequence[int] = (1, 2, 21, 1),
        split_size: Sequence[int] = (1, 2, 7, 7),
        num_heads: Sequence[int] = (2, 4, 8, 16),
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        side = img_size if isinstance(img_size, int) else min(img_size)
        widths = [embed_dim * 2**i for i in range(len(depths))]
        self.stem = _Embed(in_chans, embed_dim, 7, 4, 2)
        stages = []
        for i, (width, rates) in enumerate(zip(widths, drop_path_rates(drop_path_rate, depths), strict=True)):
            full = i == len(depths) - 1 or side // 4 // 2**i == split_size[i]
            blocks = [CSWinBlock(width, num_heads[i], split_size[i], full, mlp_ratio, rate, qkv_bias) for rate in rates]
            downsample = _Embed(widths[i - 1], width, 3, 2, 1) if i else nn.Identity()
            stages.append(CSWinStage(downsample, blocks))
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(widths[-1])
        self.describe(widths, [4 * 2**i for i in range(len(depths))], num_classes)
        self.apply(initialise)

    def normed_map(self, feature: Tensor) -> Tensor:
        return self.norm(feature.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


_RULES = [
    (r"stage1_conv_embed\.0\.", "stem.conv."),
    (r"stage1_conv_embed\.2\.", "stem.norm."),
    *(
        (rf"stage{i}\.(\d+)\.attns\.(\d+)\.get_v\.", rf"stages.{i - 1}.blocks.\1.branches.\2.position.")
        for i in (1, 2, 3, 4)
    ),
    *((rf"stage{i}\.(\d+)\.", rf"stages.{i - 1}.blocks.\1.") for i in (1, 2, 3, 4)),
    *((rf"merge{i}\.", f"stages.{i}.downsample.") for i in (1, 2, 3)),
    (r"norm\.", "norm."),
    (r"head\.", "head."),
]

_NARROW, _WIDE = [1, 2, 7, 7], [1, 2, 12, 12]
_DEEP = [2, 4, 32, 2]
SIZES: dict[str, dict[str, Any]] = {
    "cswin_tiny_224": {"embed_dim": 64, "depths": [1, 2, 21, 1], "num_heads": [2, 4, 8, 16]},
    "cswin_small_224": {"embed_dim": 64, "depths": _DEEP, "num_heads": [2, 4, 8, 16]},
    "cswin_base_224": {"embed_dim": 96, "depths": _DEEP, "num_heads": [4, 8, 16, 32]},
    "cswin_large_224": {"embed_dim": 144, "depths": _DEEP, "num_heads": [6, 12, 24, 24]},
    "cswin_base_384": {"embed_dim": 96, "depths": _DEEP, "num_heads": [4, 8, 16, 32]},
    "cswin_large_384": {"embed_dim": 144, "depths": _DEEP, "num_heads": [6, 12, 24, 24]},
}
for _name, _size in SIZES.items():
    _size["split_size"] = _WIDE if _name.endswith("384") else _NARROW
    _size["img_size"] = int(_name[-3:])


def _config(name: str) -> dict[str, Any]:
    address = "https://github.com/microsoft/CSWin-Transformer/releases/download/v0.1.0"
    return {"tag": "ms_in1k", "url": f"{address}/{name}.pth", "license": "mit", "side": int(name[-3:])}


register_sizes(__name__, CSWinTransformer, SIZES, _RULES, _config)
