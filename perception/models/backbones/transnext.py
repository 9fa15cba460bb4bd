"""TransNeXt: aggregated attention, foveal and peripheral (Shi, CVPR 2024, arXiv 2311.17132; github.com/DaiShiResearch/TransNeXt, Apache-2.0).

Each query attends at once to its 3x3 neighbourhood and to a pooled copy of the whole map, in one softmax. Attention is cosine with a
learned temperature, scaled by the logarithm of the number of keys; a query embedding is added to the query, and learned tokens act on
the local part beside it. Position comes from an MLP on log-spaced relative coordinates (measured in cells of the training grid), whose
tables are made anew for every size, so any picture works. Feed-forward layers are gated by a depthwise convolution. The last stage is
ordinary attention with the same cosine form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.backbones.staged import Stage, StagedTrunk, drop_path_rates, initialise, register_sizes
from perception.ops.constants import cached_constants

Grid = tuple[int, int]


def _axis(length: int, cells: int, trained: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct scaled offsets between `length` queries and `cells` pooled keys on one axis, and the (length, cells) index of each pair."""
    place = np.arange(cells)
    start, end = place * length // cells, -(-(place + 1) * length // cells)  # adaptive pooling's bins
    offsets = (np.arange(length)[:, None] - (start + end - 1) / 2) * 8 / max(trained - 1, 1)
    values, index = np.unique(offsets, return_inverse=True)
    return np.sign(values) * np.log2(np.abs(values) + 1) / 3, index.reshape(length, cells)


@cached_constants(maxsize=16)
def _relative_positions(grid: Grid, keys: Grid, trained: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
    """Coordinates (U, 2) of the distinct offsets, and which of them each query-key pair has (N, M)."""
    (rows, row_index), (columns, column_index) = (_axis(*sides) for sides in zip(grid, keys, trained, strict=True))
    table = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
    index = row_index[:, None, :, None] * len(columns) + column_index[None, :, None, :]
    index = index.reshape(grid[0] * grid[1], keys[0] * keys[1])
    return torch.from_numpy(table.astype(np.float32)).to(device), torch.from_numpy(index).to(device)


@cached_constants(maxsize=16)
def _neighbours(grid: Grid, window: int, device: torch.device) -> Tensor:
    """(N, window * window) bool: the neighbour lies outside the map."""
    radius = window // 2
    outside = []
    for length in grid:
        place = torch.arange(length, device=device)[:, None] + torch.arange(-radius, radius + 1, device=device)
        outside.append((place < 0) | (place >= length))
    rows, columns = outside
    return (rows[:, None, :, None] | columns[None, :, None, :]).reshape(grid[0] * grid[1], window * window)


class _CosineAttention(nn.Module):
    """What both kinds of attention share: temperature, query embedding and the position MLP."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), math.log(math.exp(1 / 0.24) - 1)))
        self.query_embedding = nn.Parameter(torch.empty(heads, 1, dim // heads))
        nn.init.trunc_normal_(self.query_embedding, std=0.02)
        self.bias_expand = nn.Linear(2, 512)
        self.bias_project = nn.Linear(512, heads)
        self.proj = nn.Linear(dim, dim)

    def position_bias(self, grid: Grid, keys: Grid, trained: Grid) -> Tensor:
        """(heads, N, M)."""
        table, index = _relative_positions(grid, keys, trained, self.proj.weight.device)
        bias = self.bias_project(F.relu(self.bias_expand(table)))  # (U, heads)
        return bias.T[:, index]

    def scaled(self, query: Tensor, count: Tensor | float) -> Tensor:
        """Normalised queries (B, heads, N, d) with embedding and scales; `count` is the number of keys a query sees."""
        scale = torch.log(torch.as_tensor(count, device=query.device, dtype=torch.float32)).to(query.dtype)
        return (query + self.query_embedding) * F.softplus(self.temperature) * scale

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FullAttention(_CosineAttention):
    """Cosine attention over the whole map."""

    def __init__(self, dim: int, heads: int, bias: bool) -> None:
        super().__init__(dim, heads)
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias)

    def forward(self, x: Tensor, grid: Grid, trained: Grid) -> Tensor:
        q, k, v = (self.split(part) for part in self.qkv(x).chunk(3, -1))
        q = self.scaled(F.normalize(q, dim=-1), grid[0] * grid[1])
        bias = self.position_bias(grid, grid, trained)
        out = F.scaled_dot_product_attention(q, F.normalize(k, dim=-1), v, bias.to(q.dtype), scale=1.0)
        return self.proj(out.transpose(1, 2).flatten(2))


class AggregatedAttention(_CosineAttention):
    """Neighbourhood and pooled map in one softmax.

    Args:
        reduction: the pooled map has 1/reduction of the map's rows and columns, or `pool` cells a side if that is given.
        window: side of the neighbourhood, odd.
    """

    def __init__(self, dim: int, heads: int, bias: bool, reduction: int, window: int, pool: int | None) -> None:
        super().__init__(dim, heads)
        self.reduction, self.window, self.pool = reduction, window, pool
        local, width = window * window, dim // heads
        self.q = nn.Linear(dim, dim, bias=bias)
        self.kv = nn.Linear(dim, 2 * dim, bias=bias)
        self.reduce = nn.Conv2d(dim, dim, 1)
        self.norm = nn.LayerNorm(dim)
        self.local_bias = nn.Parameter(torch.empty(heads, local))
        self.local_tokens = nn.Parameter(torch.empty(heads, width, local))
        self.local_tokens_bias = nn.Parameter(torch.zeros(heads, 1, local))
        for parameter, deviation in ((self.local_bias, 0.0004), (self.local_tokens, 0.02)):
            nn.init.trunc_normal_(parameter, std=deviation)

    def _keys(self, grid: Grid) -> Grid:
        if self.pool is not None:
            return self.pool, self.pool
        return max(grid[0] // self.reduction, 1), max(grid[1] // self.reduction, 1)

    def forward(self, x: Tensor, grid: Grid, trained: Grid) -> Tensor:
        keys, local = self._keys(grid), self.window**2
        outside = _neighbours(grid, self.window, x.device)
        unit = F.normalize(self.split(self.q(x)), dim=-1)  # (B, heads, N, d)
        count = (~outside).sum(1, keepdim=True) + keys[0] * keys[1]
        query = self.scaled(unit, count)

        k, v = self.kv(x).chunk(2, -1)
        k = F.normalize(k.unflatten(-1, (self.heads, -1)), dim=-1).flatten(2)
        near = F.unfold(torch.cat([k, v], -1).mT.unflatten(2, grid), self.window, padding=self.window // 2)
        near = near.unflatten(1, (2, self.heads, -1, local)).permute(1, 0, 2, 5, 3, 4)  # (2, B, heads, N, d, local)
        near_logits = (query[..., None, :] @ near[0]).squeeze(-2) + self.local_bias[:, None]
        near_logits = near_logits.masked_fill(outside, float("-inf"))

        pooled = F.gelu(self.reduce(x.mT.unflatten(2, grid)))
        pooled = self.norm(F.adaptive_avg_pool2d(pooled, keys).flatten(2).mT)
        far_k, far_v = (self.split(part) for part in self.kv(pooled).chunk(2, -1))
        far_logits = query @ F.normalize(far_k, dim=-1).mT + self.position_bias(grid, keys, trained)

        weights = torch.cat([near_logits, far_logits.to(near_logits.dtype)], -1).softmax(-1)
        near_weights, far_weights = weights.split([local, weights.shape[-1] - local], -1)
        near_weights = near_weights + unit @ self.local_tokens + self.local_tokens_bias
        out = (near[1] @ near_weights[..., None]).squeeze(-1) + far_weights @ far_v
        return self.proj(out.transpose(1, 2).flatten(2))


class ConvGLU(nn.Module):
    """Gated feed-forward layer: GELU of a depthwise 3x3 convolution of one half times the other half."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, 2 * hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.project = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        gate, value = self.expand(x).chunk(2, -1)
        gate = self.depthwise(gate.mT.unflatten(2, grid)).flatten(2).mT
        return self.project(F.gelu(gate) * value)


class TransNeXtBlock(nn.Module):
    def __init__(self, dim: int, attention: nn.Module, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = attention
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = ConvGLU(dim, int(2 * int(dim * mlp_ratio) / 3))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: Grid, trained: Grid) -> Tensor:
        """(B, N, C) row-major tokens of `grid`; `trained` is the grid of the training pictures."""
        x = x + self.drop_path(self.attn(self.norm1(x), grid, trained))
        return x + self.drop_path(self.mlp(self.norm2(x), grid))


class TransNeXtStage(Stage):
    def __init__(self, embed: nn.Conv2d, trained: int, blocks: Sequence[nn.Module]) -> None:
        super().__init__(blocks)
        self.embed, self.trained = embed, (trained, trained)
        self.embed_norm = nn.LayerNorm(embed.out_channels)
        self.norm = nn.LayerNorm(embed.out_channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """NCHW to NCHW."""
        x = self.embed(x)
        grid = (x.shape[2], x.shape[3])
        tokens = self.run(self.embed_norm(x.flatten(2).mT), grid, self.trained)
        return self.norm(tokens).mT.unflatten(2, grid)


class TransNeXt(StagedTrunk):
    """TransNeXt.

    Args:
        pretrain_size: side of the training pictures; relative coordinates are scaled by it.
        sr_ratios: reduction of the pooled map, per stage.
        window_size: side of the neighbourhood per stage; None for attention over the whole map.
        fixed_pool_size: cells a side of the pooled map, whatever the picture's size (linear cost), or None.
    """

    first_conv = "stages.0.embed"

    def __init__(
        self,
        in_chans: int = 3,
        num_classes: int = 1000,
        pretrain_size: int = 224,
        embed_dims: Sequence[int] = (48, 96, 192, 384),
        num_heads: Sequence[int] = (2, 4, 8, 16),
        mlp_ratios: Sequence[float] = (8, 8, 4, 4),
        depths: Sequence[int] = (2, 2, 15, 2),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        window_size: Sequence[int | None] = (3, 3, 3, None),
        qkv_bias: bool = True,
        fixed_pool_size: int | None = None,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = nn.Identity()
        stages = []
        for i, (dim, rates) in enumerate(zip(embed_dims, drop_path_rates(drop_path_rate, depths), strict=True)):
            embed = nn.Conv2d(embed_dims[i - 1], dim, 3, 2, 1) if i else nn.Conv2d(in_chans, dim, 7, 4, 3)
            blocks = []
            for rate in rates:
                if sr_ratios[i] == 1 or window_size[i] is None:
                    attention: nn.Module = FullAttention(dim, num_heads[i], qkv_bias)
                else:
                    attention = AggregatedAttention(
                        dim, num_heads[i], qkv_bias, sr_ratios[i], window_size[i], fixed_pool_size
                    )
                blocks.append(TransNeXtBlock(dim, attention, mlp_ratios[i], rate))
            stages.append(TransNeXtStage(embed, pretrain_size // 2 ** (i + 2), blocks))
        self.stages = nn.ModuleList(stages)
        self.norm = nn.Identity()  # every stage ends with its own
        self.describe(embed_dims, [4 * 2**i for i in range(len(depths))], num_classes)
        self.apply(initialise)

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        ends = ("temperature", "query_embedding", "local_bias", "local_tokens", "local_tokens_bias")
        return {name for name, _ in self.named_parameters() if name.endswith(ends)}


def _rules() -> list[tuple[str, str | None]]:
    rules: list[tuple[str, str | None]] = [
        (r".*(relative_pos_index|relative_coords_table|padding_mask|seq_length_scale).*", None)
    ]
    inner = {
        r"attn\.cpb_fc1\.": "attn.bias_expand.",
        r"attn\.cpb_fc2\.": "attn.bias_project.",
        r"attn\.sr\.": "attn.reduce.",
        r"attn\.relative_pos_bias_local": "attn.local_bias",
        r"attn\.learnable_tokens": "attn.local_tokens",
        r"attn\.learnable_bias": "attn.local_tokens_bias",
        r"mlp\.fc1\.": "mlp.expand.",
        r"mlp\.fc2\.": "mlp.project.",
        r"mlp\.dwconv\.dwconv\.": "mlp.depthwise.",
        "": "",
    }
    for i in range(4):
        rules += [
            (rf"patch_embed{i + 1}\.proj\.", f"stages.{i}.embed."),
            (rf"patch_embed{i + 1}\.norm\.", f"stages.{i}.embed_norm."),
            (rf"norm{i + 1}\.", f"stages.{i}.norm."),
            *((rf"block{i + 1}\.(\d+)\.{old}", rf"stages.{i}.blocks.\1.{new}") for old, new in inner.items()),
        ]
    return [*rules, (r"head\.", "head.")]


_MICRO = {"embed_dims": [48, 96, 192, 384], "num_heads": [2, 4, 8, 16], "depths": [2, 2, 15, 2]}
_SLIM = {"embed_dims": [72, 144, 288, 576], "num_heads": [3, 6, 12, 24]}
SIZES: dict[str, dict[str, Any]] = {
    "transnext_micro": _MICRO,
    "transnext_tiny": {**_SLIM, "depths": [2, 2, 15, 2]},
    "transnext_small": {**_SLIM, "depths": [5, 5, 22, 5]},
    "transnext_base": {"embed_dims": [96, 192, 384, 768], "num_heads": [4, 8, 16, 32], "depths": [5, 5, 23, 5]},
    "transnext_micro_aaaa": {
        **_MICRO,
        "sr_ratios": [16, 8, 4, 2],
        "window_size": [3, 3, 3, 3],
        "pretrain_size": 256,
    },
}


def _config(name: str) -> dict[str, Any]:
    size = name.removeprefix("transnext_").replace("aaaa", "AAAA").replace("_", "-")
    side = 256 if size.endswith("AAAA") else 224
    file = f"transnext_{size.replace('-', '_')}_{side}_1k.pth"
    url = f"https://huggingface.co/DaiShiResearch/transnext-{size}-{side}-1k/resolve/main/{file}"
    return {"tag": "in1k", "url": url, "license": "apache-2.0", "side": side}


register_sizes(__name__, TransNeXt, SIZES, _rules(), _config)
