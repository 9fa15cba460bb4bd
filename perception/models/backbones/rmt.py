"""RMT: retention with Manhattan-distance decay (Fan et al., CVPR 2024, arXiv 2309.11523). Written from the paper; no weights come with it.

Attention logits get a decay, head by head, that grows linearly with the Manhattan distance of the cells; queries and keys are rotated by
their raster index. In the early stages attention is decomposed: first along rows, then along columns. The late stages hold a decay of
(H*W)^2 entries a head: memory grows with the square of the number of cells. Nothing depends on the training size.

The authors' repository has no licence: only its checkpoints' layout is known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.backbones.staged import Stage, StagedTrunk, drop_path_rates, initialise, register_sizes
from perception.ops.constants import cached_constants

Grid = tuple[int, int]


@cached_constants(maxsize=32)
def _rotation(grid: Grid, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine (H, W, width / 2) of each cell's raster index times geometric frequencies from 1 to 1/10000."""
    frequencies = 10000.0 ** -torch.linspace(0, 1, width // 2, device=device)
    index = torch.arange(grid[0] * grid[1], device=device, dtype=torch.float32)
    angles = (index[:, None] * frequencies).unflatten(0, grid)
    return angles.cos(), angles.sin()


@cached_constants(maxsize=32)
def _distances(grid: Grid, device: torch.device) -> Tensor:
    """(N, N) Manhattan distances in cells, row-major."""
    rows, columns = (torch.arange(n, device=device, dtype=torch.float32) for n in grid)
    between = [(axis[:, None] - axis[None]).abs() for axis in (rows, columns)]
    total = between[0][:, None, :, None] + between[1][None, :, None, :]
    return total.reshape(grid[0] * grid[1], grid[0] * grid[1])


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate neighbouring channels (..., heads, 2 * pairs) of maps (B, H, W, heads, d) as complex numbers."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = cosine[:, :, None].to(x.dtype), sine[:, :, None].to(x.dtype)
    return torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], -1).flatten(-2)


def _depthwise(dim: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim)


def _over_nhwc(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class ManhattanAttention(nn.Module):
    """Rotary attention whose logits fall with Manhattan distance; `decomposed`: along rows, then along columns.

    Args:
        strength, spread: head h of H decays by log(1 - 2^-(strength + spread * h / H)) a cell.
    """

    def __init__(self, dim: int, heads: int, strength: float, spread: float, decomposed: bool) -> None:
        super().__init__()
        self.heads, self.decomposed = heads, decomposed
        decay = torch.log1p(-(2.0 ** (-strength - spread * torch.arange(heads) / heads)))
        self.register_buffer("decay", decay[:, None, None], persistent=False)  # negative
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.position = _depthwise(dim, 5)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        grid = (x.shape[1], x.shape[2])
        q, k, v = (linear(x) for linear in (self.q, self.k, self.v))
        local = _over_nhwc(self.position, v)
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in (q, k, v))  # (B, H, W, heads, d)
        cosine, sine = _rotation(grid, q.shape[-1], x.device)
        q, k = _rotate(q, cosine, sine), _rotate(k, cosine, sine)
        if self.decomposed:
            v = self._attend(*(part.transpose(2, 3) for part in (q, k, v)), (1, grid[1])).transpose(2, 3)
            columns = [part.permute(0, 2, 3, 1, 4) for part in (q, k, v)]  # (B, W, heads, H, d)
            out = self._attend(*columns, (1, grid[0])).permute(0, 3, 1, 2, 4)
        else:
            flat = [part.flatten(1, 2).transpose(1, 2) for part in (q, k, v)]  # (B, heads, N, d)
            out = self._attend(*flat, grid).transpose(1, 2).unflatten(1, grid)
        return self.proj(out.flatten(3) + local)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, grid: Grid) -> Tensor:
        mask = (self.decay * _distances(grid, q.device)).to(q.dtype)
        return F.scaled_dot_product_attention(q, k, v, mask)


class ConvFeedForward(nn.Module):
    """MLP whose hidden map adds a depthwise 3x3 convolution of itself."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.depthwise = _depthwise(hidden, 3)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.fc1(x))
        return self.fc2(x + _over_nhwc(self.depthwise, x))


class RMTBlock(nn.Module):
    """Convolutional position, attention, feed-forward layer; each is added to its input. Maps are NHWC."""

    def __init__(
        self, dim: int, attention: nn.Module, hidden: int, drop_path: float, layer_scale: float | None
    ) -> None:
        super().__init__()
        self.position = _depthwise(dim, 3)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = attention
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = ConvFeedForward(dim, hidden)
        self.drop_path = DropPath(drop_path)
        scaled = layer_scale is not None
        self.scale1 = nn.Parameter(torch.full((dim,), layer_scale)) if scaled else None
        self.scale2 = nn.Parameter(torch.full((dim,), layer_scale)) if scaled else None

    def forward(self, x: Tensor) -> Tensor:
        x = x + _over_nhwc(self.position, x)
        for norm, part, scale in ((self.norm1, self.attn, self.scale1), (self.norm2, self.mlp, self.scale2)):
            y = part(norm(x))
            x = x + self.drop_path(y if scale is None else scale * y)
        return x


class RMTStage(Stage):
    def __init__(self, downsample: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """NCHW to NCHW, half the size (first stage: the same)."""
        return self.run(self.downsample(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class RMT(StagedTrunk):
    """RMT; sequences have one entry a stage.

    Args:
        decay_strength, decay_spread: see `ManhattanAttention`.
        decomposed: attention along rows and columns in turn.
        layer_scale: initial value of learned scales on the branches, None for no scales.
        projection: width before the classifier.
    """

    first_conv = "stem.0"

    def __init__(
        self,
        in_chans: int = 3,
        num_classes: int = 1000,
        embed_dims: Sequence[int] = (64, 128, 256, 512),
        depths: Sequence[int] = (2, 2, 8, 2),
        num_heads: Sequence[int] = (4, 4, 8, 16),
        decay_strength: Sequence[float] = (2, 2, 2, 2),
        decay_spread: Sequence[float] = (4, 4, 6, 6),
        mlp_ratios: Sequence[float] = (3, 3, 3, 3),
        decomposed: Sequence[bool] = (True, True, False, False),
        layer_scale: Sequence[float | None] = (None, None, None, None),
        projection: int = 1024,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        first = embed_dims[0]
        layers: list[nn.Module] = []
        for channels, stride in ((first // 2, 2), (first // 2, 1), (first, 2), (first, 1)):
            layers += [nn.Conv2d(in_chans, channels, 3, stride, 1), nn.BatchNorm2d(channels), nn.GELU()]
            in_chans = channels
        self.stem = nn.Sequential(*layers[:-1])
        stages = []
        for i, (dim, rates) in enumerate(zip(embed_dims, drop_path_rates(drop_path_rate, depths), strict=True)):
            downsample: nn.Module = nn.Identity()
            if i:
                downsample = nn.Sequential(nn.Conv2d(embed_dims[i - 1], dim, 3, 2, 1), nn.BatchNorm2d(dim))
            blocks = []
            for rate in rates:
                attention = ManhattanAttention(dim, num_heads[i], decay_strength[i], decay_spread[i], decomposed[i])
                blocks.append(RMTBlock(dim, attention, int(dim * mlp_ratios[i]), rate, layer_scale[i]))
            stages.append(RMTStage(downsample, blocks))
        self.stages = nn.ModuleList(stages)
        self.projection = nn.Linear(embed_dims[-1], projection)
        self.norm = nn.BatchNorm2d(projection)
        self.describe(embed_dims, [4 * 2**i for i in range(len(depths))], num_classes, projection)
        self.apply(initialise)
        for module in self.modules():
            if isinstance(module, ManhattanAttention):  # narrower starts for the logits, as for other gated attention
                for linear in (module.q, module.k, module.v):
                    nn.init.xavier_normal_(linear.weight, gain=2**-2.5)

    def pooled(self, features: Tensor) -> Tensor:
        x = self.projection(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return F.silu(self.norm(x)).mean((2, 3))

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        if prune_head:  # the norm belongs to the projection before the classifier
            self.projection, prune_norm = nn.Identity(), True
        return super().prune_intermediate_layers(indices, prune_norm, prune_head)


def _flatten_scales(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    return {key: value.flatten() if ".gamma_" in key else value for key, value in state.items()}


_BLOCK = r"layers\.(\d+)\.blocks\.(\d+)"
_OURS = r"stages.\1.blocks.\2"
_RULES = [
    (r"patch_embed\.proj\.", "stem."),
    (r"layers\.\d+\.Relpos\.", None),  # made from the configuration
    (_BLOCK + r"\.retention_layer_norm\.", _OURS + ".norm1."),
    (_BLOCK + r"\.final_layer_norm\.", _OURS + ".norm2."),
    (_BLOCK + r"\.retention\.([qkv])_proj\.", _OURS + r".attn.\3."),
    (_BLOCK + r"\.retention\.lepe\.conv\.", _OURS + ".attn.position."),
    (_BLOCK + r"\.retention\.out_proj\.", _OURS + ".attn.proj."),
    (_BLOCK + r"\.ffn\.dwconv\.conv\.", _OURS + ".mlp.depthwise."),
    (_BLOCK + r"\.ffn\.", _OURS + ".mlp."),
    (_BLOCK + r"\.pos\.conv\.", _OURS + ".position."),
    (_BLOCK + r"\.gamma_", _OURS + ".scale"),
    *((rf"layers\.{i}\.downsample\.reduction\.", f"stages.{i + 1}.downsample.0.") for i in range(3)),
    *((rf"layers\.{i}\.downsample\.norm\.", f"stages.{i + 1}.downsample.1.") for i in range(3)),
    (r"proj\.", "projection."),
    (r"norm\.", "norm."),
    (r"head\.", "head."),
]

_MIXED = {"decomposed": [True, True, True, False], "mlp_ratios": [4, 4, 3, 3]}
_SCALED = {"layer_scale": [None, None, 1e-6, 1e-6], "depths": [4, 8, 25, 8], **_MIXED}
SIZES: dict[str, dict[str, Any]] = {
    "rmt_tiny": {"depths": [2, 2, 8, 2]},
    "rmt_small": {"depths": [3, 4, 18, 4], **_MIXED},
    "rmt_base": {
        "embed_dims": [80, 160, 320, 512],
        "num_heads": [5, 5, 10, 16],
        "decay_spread": [5, 5, 6, 6],
        **_SCALED,
    },
    "rmt_large": {
        "embed_dims": [112, 224, 448, 640],
        "num_heads": [7, 7, 14, 20],
        "decay_spread": [6, 6, 6, 6],
        **_SCALED,
    },
}
register_sizes(__name__, RMT, SIZES, _RULES, prepare=_flatten_scales)
