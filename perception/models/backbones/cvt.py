"""CvT: convolutions inside a vision transformer (Wu et al., ICCV 2021, arXiv 2103.15808; github.com/microsoft/CvT, MIT).

Three stages of strides 4, 8 and 16. Queries, keys and values come from depthwise 3x3 convolutions with batch norm (stride 2 for keys and
values), so no position table is needed and any size works. The last stage holds a class token, which passes by the convolutions. The
attention's scale is 1/sqrt of the full stage width, not of one head's.
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
    State,
    drop_path_rates,
    initialise,
    register_sizes,
)


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


def _depthwise(dim: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
    conv = nn.Conv2d(dim, dim, kernel, stride, padding, groups=dim, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(dim))


class ConvAttention(nn.Module):
    """Attention whose projections begin with a depthwise convolution of the map."""

    def __init__(
        self, dim: int, heads: int, kernel: int, q_steps: tuple[int, int], kv_steps: tuple[int, int], bias: bool
    ) -> None:
        super().__init__()
        self.heads, self.scale = heads, dim**-0.5
        self.conv_q = _depthwise(dim, kernel, *q_steps)
        self.conv_k = _depthwise(dim, kernel, *kv_steps)
        self.conv_v = _depthwise(dim, kernel, *kv_steps)
        self.q = nn.Linear(dim, dim, bias=bias)
        self.k = nn.Linear(dim, dim, bias=bias)
        self.v = nn.Linear(dim, dim, bias=bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """(B, N, C) to the same shape; N is h*w, or one more with a class token in front."""
        classes = tokens.shape[1] - grid[0] * grid[1]
        single, feature = tokens[:, :classes], tokens[:, classes:].mT.unflatten(2, grid)
        parts = []
        for conv, linear in ((self.conv_q, self.q), (self.conv_k, self.k), (self.conv_v, self.v)):
            mixed = linear(torch.cat([single, conv(feature).flatten(2).mT], 1))
            parts.append(mixed.unflatten(-1, (self.heads, -1)).transpose(1, 2))
        out = F.scaled_dot_product_attention(*parts, scale=self.scale)
        return self.proj(out.transpose(1, 2).flatten(2))


class CvTBlock(nn.Module):
    """Convolutional attention and MLP, each after a layer norm."""

    def __init__(self, dim: int, mlp_ratio: float, drop_path: float, **attention: Any) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-5)
        self.attn = ConvAttention(dim, **attention)
        self.norm2 = nn.LayerNorm(dim, eps=1e-5)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), act_layer=QuickGELU)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens), grid))
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))


class CvTStage(Stage):
    """Overlapping patch embedding, then blocks; in front of them a class token if `class_token`."""

    def __init__(self, embed: nn.Conv2d, class_token: bool, blocks: Sequence[nn.Module]) -> None:
        super().__init__(blocks)
        self.embed = embed
        self.norm = nn.LayerNorm(embed.out_channels, eps=1e-5)
        self.class_token = nn.Parameter(torch.zeros(1, 1, embed.out_channels)) if class_token else None

    def forward(self, x: Tensor) -> State:
        """NCHW to NCHW, with the class token (B, 1, C) beside it if there is one."""
        x = self.embed(x)
        grid = (x.shape[2], x.shape[3])
        tokens = self.norm(x.flatten(2).mT)
        if self.class_token is None:
            return self.run(tokens, grid).mT.unflatten(2, grid)
        tokens = self.run(torch.cat([self.class_token.expand(x.shape[0], -1, -1), tokens], 1), grid)
        return tokens[:, 1:].mT.unflatten(2, grid), tokens[:, :1]


class CvT(StagedTrunk):
    """CvT; every argument but `in_chans`, `num_classes` and `drop_path_rate` has one entry a stage.

    `drop_path_rate`: a number (the last stage's largest rate; the stages before it have none, as published), or one a stage.
    """

    first_conv = "stages.0.embed"

    def __init__(
        self,
        in_chans: int = 3,
        num_classes: int = 1000,
        widths: Sequence[int] = (64, 192, 384),
        num_heads: Sequence[int] = (1, 3, 6),
        depths: Sequence[int] = (1, 2, 10),
        mlp_ratios: Sequence[float] = (4.0, 4.0, 4.0),
        patch: Sequence[Sequence[int]] = ((7, 4, 2), (3, 2, 1), (3, 2, 1)),  # kernel, stride, padding
        kernels: Sequence[int] = (3, 3, 3),
        q_steps: Sequence[Sequence[int]] = ((1, 1), (1, 1), (1, 1)),  # stride, padding
        kv_steps: Sequence[Sequence[int]] = ((2, 1), (2, 1), (2, 1)),
        qkv_bias: Sequence[bool] = (True, True, True),
        class_token: Sequence[bool] = (False, False, True),
        drop_path_rate: float | Sequence[float] = 0.0,
    ) -> None:
        super().__init__()
        last = len(depths) - 1
        largest = drop_path_rate if isinstance(drop_path_rate, Sequence) else [0.0] * last + [drop_path_rate]
        self.stem = nn.Identity()
        stages, stride, strides = [], 1, []
        for i, width in enumerate(widths):
            embed = nn.Conv2d(widths[i - 1] if i else in_chans, width, *patch[i])
            attention = {
                "heads": num_heads[i],
                "kernel": kernels[i],
                "q_steps": tuple(q_steps[i]),
                "kv_steps": tuple(kv_steps[i]),
                "bias": qkv_bias[i],
            }
            rates = drop_path_rates(largest[i], [depths[i]])[0]
            stages.append(
                CvTStage(embed, class_token[i], [CvTBlock(width, mlp_ratios[i], rate, **attention) for rate in rates])
            )
            stride *= patch[i][1]
            strides.append(stride)
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(widths[-1], eps=1e-5)
        self.describe(widths, strides, num_classes)
        self.apply(initialise)
        for stage in stages:
            if stage.class_token is not None:
                nn.init.trunc_normal_(stage.class_token, std=0.02)

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        return {f"stages.{i}.class_token" for i, stage in enumerate(self.stages) if stage.class_token is not None}

    def normed_map(self, feature: Tensor) -> Tensor:
        return self.norm(feature.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def finish(self, state: State) -> Tensor:
        """Normed tokens (B, N, C), the class token first where there is one."""
        if isinstance(state, Tensor):
            return self.norm(state.flatten(2).mT)
        return self.norm(torch.cat([state[1], state[0].flatten(2).mT], 1))

    def pooled(self, features: Tensor) -> Tensor:
        return features[:, 0] if self.stages[-1].class_token is not None else features.mean(1)


_STAGE = r"stage(\d)"
_RULES = [
    (_STAGE + r"\.patch_embed\.proj\.", r"stages.\1.embed."),
    (_STAGE + r"\.patch_embed\.norm\.", r"stages.\1.norm."),
    (_STAGE + r"\.cls_token", r"stages.\1.class_token"),
    (_STAGE + r"\.blocks\.(\d+)\.attn\.conv_proj_([qkv])\.conv\.", r"stages.\1.blocks.\2.attn.conv_\3.0."),
    (_STAGE + r"\.blocks\.(\d+)\.attn\.conv_proj_([qkv])\.bn\.", r"stages.\1.blocks.\2.attn.conv_\3.1."),
    (_STAGE + r"\.blocks\.(\d+)\.attn\.proj_([qkv])\.", r"stages.\1.blocks.\2.attn.\3."),
    (_STAGE + r"\.blocks\.", r"stages.\1.blocks."),
    (r"norm\.", "norm."),
    (r"head\.", "head."),
]

_13 = {"widths": [64, 192, 384], "num_heads": [1, 3, 6], "depths": [1, 2, 10]}
_21 = {"widths": [64, 192, 384], "num_heads": [1, 3, 6], "depths": [1, 4, 16]}
_W24 = {"widths": [192, 768, 1024], "num_heads": [3, 12, 16], "depths": [2, 2, 20]}
SIZES: dict[str, dict[str, Any]] = {
    "cvt_13_224": _13,
    "cvt_13_384": _13,
    "cvt_21_224": _21,
    "cvt_21_384": _21,
    "cvt_w24_384": _W24,
}
register_sizes(__name__, CvT, SIZES, _RULES, lambda name: {"license": "mit", "side": int(name[-3:])})
