"""SReT: sliced recursive transformer (Shen et al., ECCV 2022, arXiv 2111.05297; github.com/szq0214/SReT, MIT).

Three stages of strides 8, 16 and 32. Each transformer block is applied several times with shared weights, with a small MLP of its own
after every pass ("non-linear projection"). Attention runs inside groups of consecutive tokens; on every second pass the tokens are
shuffled first where that pass has more than one group, so that groups mix.

The shuffle is random in training. At evaluation it is one fixed, well scattered order of the tokens, so that the network is
deterministic (upstream draws it anew there too). The position map is resized to the picture; tokens that fill up the last group are
masked. So any size works.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from timm.layers import DropPath, Mlp
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.backbones.staged import Stage, StagedTrunk, drop_path_rates, initialise, register_sizes
from perception.ops.constants import cached_constants


@cached_constants(maxsize=16)
def _scattered(count: int, device: torch.device) -> Tensor:
    """A fixed order of `count` tokens in which neighbours lie far apart (ranks of a Weyl sequence, golden ratio)."""
    order = np.argsort(np.arange(count, dtype=np.uint64) * np.uint64(2654435769) % np.uint64(2**32), kind="stable")
    return torch.from_numpy(order.astype(np.int64)).to(device)


@cached_constants(maxsize=16)
def _fillers_hidden(count: int, groups: int, device: torch.device) -> Tensor:
    """(groups, 1, 1, L) bool: which keys count when `count` tokens fill `groups` groups of L; a group of fillers alone sees itself."""
    length = -(-count // groups)
    real = (torch.arange(groups * length, device=device) < count).view(groups, length)
    return (real | ~real.any(1, keepdim=True))[:, None, None]


class GroupAttention(nn.Module):
    """Attention inside groups of consecutive tokens.

    Args:
        groups: number of groups on plain passes and on shuffled passes.
    """

    def __init__(self, dim: int, heads: int, groups: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.groups = heads, groups
        self.order: Tensor | None = None  # set by `SReT.set_order`
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, shuffled: bool) -> Tensor:
        """(B, N, C) to the same shape."""
        groups, count = self.groups[shuffled], x.shape[1]
        order = None
        if shuffled and groups > 1:
            order = self.order
            if order is None:
                order = torch.randperm(count, device=x.device) if self.training else _scattered(count, x.device)
            x = x[:, order]
        fill = -count % groups
        x = F.pad(x, (0, 0, 0, fill)).unflatten(1, (groups, -1))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(2, 3) for part in self.qkv(x).chunk(3, -1))
        mask = _fillers_hidden(count, groups, x.device) if fill else None
        out = F.scaled_dot_product_attention(q, k, v, mask)  # (B, groups, heads, L, d)
        out = out.transpose(2, 3).flatten(3).flatten(1, 2)[:, :count]
        if order is not None:
            out = out[:, order.argsort()]
        return self.proj(out)


class WeightedSum(nn.Module):
    """a * x + b * y with learned a and b."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.ones(1))
        self.b = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.a * x + self.b * y


class TransformerLayer(nn.Module):
    """Attention and MLP, each after a layer norm, added with learned weights."""

    def __init__(self, dim: int, heads: int, groups: tuple[int, int], mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = GroupAttention(dim, heads, groups)
        self.sum1 = WeightedSum()
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.sum2 = WeightedSum()
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, shuffled: bool) -> Tensor:
        x = self.sum1(x, self.drop_path(self.attn(self.norm1(x), shuffled)))
        return self.sum2(x, self.drop_path(self.mlp(self.norm2(x))))


class Projection(nn.Module):
    """The MLP that follows one pass."""

    def __init__(self, dim: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.sum = WeightedSum()

    def forward(self, x: Tensor) -> Tensor:
        return self.sum(x, self.mlp(self.norm(x)))


class RecursiveBlock(nn.Module):
    """One layer, applied once a projection.

    `first`: number of passes in the stage before this block's; every second pass of the stage is a shuffled one.
    """

    def __init__(self, layer: nn.Module, projections: Sequence[nn.Module], first: int) -> None:
        super().__init__()
        self.layer, self.projections, self.first = layer, nn.ModuleList(projections), first

    def forward(self, x: Tensor) -> Tensor:
        for number, projection in enumerate(self.projections, self.first):
            x = projection(self.layer(x, number % 2 == 1))
        return x


class SReTStage(Stage):
    def __init__(self, downsample: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """NCHW to NCHW, half the size (first stage: the same)."""
        x = self.downsample(x)
        return self.run(x.flatten(2).mT).mT.unflatten(2, tuple(x.shape[2:]))


class SReT(StagedTrunk):
    """SReT; sequences have one entry a stage.

    Args:
        img_size: sizes the position map; pictures may have any other size.
        head_dims, num_heads: a stage's width is their product.
        depths: passes; recursive_num: distinct layers, so each layer runs depths / recursive_num times.
        groups1, groups2: groups of tokens on plain and on shuffled passes.
        mlp_ratio, projection_ratio: hidden width of the layers' and the projections' MLPs.
    """

    first_conv = "stem.0"
    takes_img_size = True

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        head_dims: Sequence[int] = (32, 32, 32),
        num_heads: Sequence[int] = (2, 4, 8),
        depths: Sequence[int] = (4, 10, 6),
        recursive_num: Sequence[int] = (2, 5, 3),
        groups1: Sequence[int] = (8, 4, 1),
        groups2: Sequence[int] = (2, 1, 1),
        mlp_ratio: float = 3.6,
        projection_ratio: float = 1.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        widths = [d * h for d, h in zip(head_dims, num_heads, strict=True)]
        layers: list[nn.Module] = []
        channels = in_chans
        for target in (widths[0] // 2, widths[0], widths[0]):
            layers += [nn.Conv2d(channels, target, 3, 2, 1), nn.BatchNorm2d(target), nn.ReLU()]
            channels = target
        self.stem = nn.Sequential(*layers)
        self.position = nn.Parameter(torch.empty(1, widths[0], height // 8, width // 8))
        nn.init.trunc_normal_(self.position, std=0.02)
        stages = []
        for i, dim in enumerate(widths):
            rates = drop_path_rates(drop_path_rate, recursive_num)[i]
            loops = depths[i] // recursive_num[i]
            downsample = nn.Conv2d(widths[i - 1], dim, 3, 2, 1, groups=widths[i - 1]) if i else nn.Identity()
            blocks = []
            for number in range(recursive_num[i]):
                layer = TransformerLayer(dim, num_heads[i], (groups1[i], groups2[i]), mlp_ratio, rates[number])
                projections = [Projection(dim, projection_ratio) for _ in range(loops)]
                blocks.append(RecursiveBlock(layer, projections, number * loops))
            stages.append(SReTStage(downsample, blocks))
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.describe(widths, [8 * 2**i for i in range(len(depths))], num_classes)
        self.apply(initialise)

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        return {"position"}

    def set_order(self, order: Tensor | None) -> None:
        """Fix the order (N,) of the first stage's tokens on shuffled passes; None: random in training, scattered at evaluation."""
        for module in self.modules():
            if isinstance(module, GroupAttention):
                module.order = order

    def embed(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        position = self.position
        if position.shape[2:] != x.shape[2:]:
            position = F.interpolate(position, tuple(x.shape[2:]), mode="bicubic", align_corners=False)
        return x + position

    def pooled(self, features: Tensor) -> Tensor:
        return self.norm(features.mean((2, 3)))


_SUMS = {
    "coefficient1.bias": "sum1.a",
    "coefficient2.bias": "sum1.b",
    "coefficient3.bias": "sum2.a",
    "coefficient4.bias": "sum2.b",
}


def _unroll(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Official blocks are a flat list: layer, projection, the same layer again, next projection ..."""
    out = {}
    for key, value in state.items():
        if not key.startswith("transformers."):
            out[key] = value
            continue
        _, stage, _, place, name = key.split(".", 4)
        loops = len(model.stages[int(stage)].blocks[0].projections)
        number, is_projection = divmod(int(place), 2)
        home = f"stages.{stage}.blocks.{number // loops}"
        name = _SUMS.get(name, name)
        if is_projection:
            name = name.replace("sum1.", "sum.").replace("norm1.", "norm.")
            out[f"{home}.projections.{number % loops}.{name}"] = value
        else:
            out[f"{home}.layer.{name}"] = value
    return out


_RULES = [
    (r"pos_embed", "position"),
    *((rf"patch_embed\.conv{i + 1}\.", f"stem.{3 * i}.") for i in range(3)),
    *((rf"patch_embed\.bn{i + 1}\.", f"stem.{3 * i + 1}.") for i in range(3)),
    *((rf"pools\.{i}\.conv\.", f"stages.{i + 1}.downsample.") for i in range(2)),
    (r"stages\.", "stages."),
    (r"norm\.", "norm."),
    (r"head\.", "head."),
]

_DEPTHS = {"depths": [4, 10, 6], "img_size": 224}
SIZES: dict[str, dict[str, Any]] = {
    "sret_tiny": {"mlp_ratio": 3.6, **_DEPTHS},
    "sret_tiny_large": {"mlp_ratio": 4.0, **_DEPTHS},  # published as "LT"
    "sret_small": {
        "head_dims": [42, 42, 42],
        "num_heads": [3, 6, 12],
        "mlp_ratio": 3.0,
        "projection_ratio": 2.0,
        **_DEPTHS,
    },
}
_WHOLE = {"groups1": [1, 1, 1], "groups2": [1, 1, 1]}
SIZES |= {f"{name}_wo_slice": {**size, **_WHOLE} for name, size in SIZES.items()}
SIZES["sret_small_wo_slice_384"] = {**SIZES["sret_small_wo_slice"], "img_size": 384}
register_sizes(__name__, SReT, SIZES, _RULES, lambda name: {"license": "mit", "side": SIZES[name]["img_size"]}, _unroll)
