"""SOFT: softmax-free attention (Lu et al., NeurIPS 2021, arXiv 2110.11945, and IJCV 2024, arXiv 2207.03341; github.com/fudan-zvg/SOFT, MIT).

Queries and keys are one projection; attention is the Gaussian kernel exp(-|q - k|^2 / 2), approximated through landmarks (a strided
convolution of the queries): K(q, l) K(l, l)^-1 K(l, q), so its cost is linear in the number of tokens. The inverse comes from Newton's
iteration, always in float32 and for each head and picture by itself, so a picture's result does not depend on its batch. Its gradient is
that of the exact inverse. The "norm" sizes normalise the inverse symmetrically by the row sums. These blocks normalise after the
addition; the last stage is an ordinary transformer with a class token. Position maps are resized to the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import DropPath, Mlp
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.backbones.staged import Stage, StagedTrunk, State, drop_path_rates, initialise, register_sizes

Grid = tuple[int, int]


def gaussian_kernel(a: Tensor, b: Tensor) -> Tensor:
    """exp(-|a_i - b_j|^2 / 2) of the rows of (..., N, d) and (..., M, d): (..., N, M)."""
    distance = a.square().sum(-1)[..., :, None] + b.square().sum(-1)[..., None, :] - 2 * a @ b.mT
    return (-distance / 2).exp()


class _NewtonInverse(torch.autograd.Function):
    """Newton's iteration V <- 2 V - V P V from V = alpha P; the gradient is that of the exact inverse."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, alpha: Tensor, iterations: int) -> Tensor:
        inverse = alpha * matrix
        for _ in range(iterations):
            inverse = 2 * inverse - inverse @ matrix @ inverse
        ctx.save_for_backward(inverse)
        return inverse

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = ctx.saved_tensors
        return -inverse.mT @ gradient @ inverse.mT, None, None


def newton_inverse(kernel: Tensor, iterations: int) -> Tensor:
    """Inverse of kernel + 0.01 I for positive symmetric (..., M, M)."""
    alpha = 1.8 / kernel.sum(-1).amax(-1)[..., None, None].square()
    regularised = kernel + 0.01 * torch.eye(kernel.shape[-1], device=kernel.device, dtype=kernel.dtype)
    return _NewtonInverse.apply(regularised, alpha.detach(), iterations)


def normalised_newton_inverse(kernel: Tensor, iterations: int) -> Tensor:
    """D^-1/2 K^-1 D^-1/2 with D the row sums of the kernel (..., M, M)."""
    with torch.no_grad():
        alpha = 2 / kernel.sum(-1).amax(-1)[..., None, None].square()
        square, eye = kernel @ kernel, torch.eye(kernel.shape[-1], device=kernel.device, dtype=kernel.dtype)
        for _ in range(10):  # start where the iteration contracts
            error = (eye - alpha * square).abs().sum(-2).amax(-1)[..., None, None]
            alpha = torch.where(error > 1.01, alpha / 2, alpha)
    scale = kernel.sum(-1, keepdim=True).rsqrt()
    return scale * _NewtonInverse.apply(kernel, alpha, iterations) * scale.mT


class SoftmaxFreeAttention(nn.Module):
    """Gaussian-kernel attention through landmarks, plus a depthwise convolution of the values over space.

    Args:
        reduction: a landmark stands for reduction x reduction cells.
        kernel: side of the convolution.
        normalised: symmetric normalisation of the landmark kernel's inverse.
    """

    def __init__(self, dim: int, heads: int, reduction: int, kernel: int, normalised: bool, iterations: int) -> None:
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.normalised, self.iterations = normalised, iterations
        width = dim // heads
        self.q = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.landmarks = nn.Conv2d(width, width, reduction, reduction, bias=False)
        self.landmark_norm = nn.LayerNorm(width)
        self.local = nn.Conv2d(heads, heads, kernel, padding=kernel // 2, groups=heads, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """(B, N, C) row-major tokens of `grid` to the same shape."""
        q, v = (linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for linear in (self.q, self.v))
        q = q / math.sqrt(math.sqrt(q.shape[-1]))
        marks = q.flatten(0, 1).mT.unflatten(2, grid)  # (B * heads, d, h, w)
        marks = F.pad(marks, (0, -grid[1] % self.reduction, 0, -grid[0] % self.reduction), mode="replicate")
        marks = F.gelu(self.landmark_norm(self.landmarks(marks).flatten(2).mT)).unflatten(0, (-1, self.heads))
        with torch.autocast(x.device.type, enabled=False):
            q32, marks, v32 = q.float(), marks.float(), v.float()
            near = gaussian_kernel(q32, marks)  # (B, heads, N, M)
            invert = normalised_newton_inverse if self.normalised else newton_inverse
            inverse = invert(gaussian_kernel(marks, marks), self.iterations)
            out = (near @ inverse) @ (near.mT @ v32)
        images = v.permute(0, 3, 1, 2).flatten(0, 1).unflatten(2, grid)  # (B * d, heads, h, w)
        local = self.local(images).flatten(2).unflatten(0, (x.shape[0], -1)).permute(0, 2, 3, 1)
        out = out.to(local.dtype) + local
        return self.proj(out.transpose(1, 2).flatten(2))


class SoftBlock(nn.Module):
    """Softmax-free attention and MLP (tanh GELU), normalised after each addition."""

    def __init__(self, dim: int, attention: nn.Module, drop_path: float) -> None:
        super().__init__()
        self.attn = attention
        self.norm1 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim, act_layer=lambda: nn.GELU(approximate="tanh"))
        self.norm2 = nn.LayerNorm(dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        x = self.norm1(x + self.drop_path(self.attn(x, grid)))
        return self.norm2(x + self.drop_path(self.mlp(x)))


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim, bias=bias)
        self.kv = nn.Linear(dim, 2 * dim, bias=bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        parts = (self.q(x), *self.kv(x).chunk(2, -1))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class PlainBlock(nn.Module):
    """The last stage's ordinary transformer block."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float, drop_path: float, bias: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = _Attention(dim, heads, bias)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class SoftStage(Stage):
    """Convolutional embedding, position map (stored for `side` x `side` cells, row-major), blocks; a class token in front if asked for."""

    def __init__(self, embed: nn.Module, dim: int, side: int, class_token: bool, blocks: Sequence[nn.Module]) -> None:
        super().__init__(blocks)
        self.embed, self.side = embed, side
        self.position = nn.Parameter(torch.empty(1, side * side + class_token, dim))
        self.class_token = nn.Parameter(torch.empty(1, 1, dim)) if class_token else None
        nn.init.trunc_normal_(self.position, std=0.02)
        if class_token:
            nn.init.trunc_normal_(self.class_token, std=0.02)

    def forward(self, x: Tensor) -> State:
        """NCHW to NCHW, with the class token (B, 1, C) beside it if there is one."""
        x = self.embed(x)
        grid = (x.shape[2], x.shape[3])
        extra = self.position.shape[1] - self.side**2
        position = self.position[:, extra:].mT.unflatten(2, (self.side, self.side))
        if grid != (self.side, self.side):
            position = F.interpolate(position, grid, mode="bilinear", align_corners=False)
        tokens = (x + position).flatten(2).mT
        if self.class_token is None:
            return self.run(tokens, grid).mT.unflatten(2, grid)
        first = (self.class_token + self.position[:, :1]).expand(x.shape[0], -1, -1)
        tokens = self.run(torch.cat([first, tokens], 1), grid)
        return tokens[:, 1:].mT.unflatten(2, grid), tokens[:, :1]


def _embedding(in_channels: int, channels: int, first: bool) -> nn.Sequential:
    steps = ((32, 2), (32, 1), (channels, 2)) if first else ((channels, 2),)
    layers: list[nn.Module] = []
    for width, stride in steps:
        layers += [nn.Conv2d(in_channels, width, 3, stride, 1), nn.BatchNorm2d(width), nn.ReLU()]
        in_channels = width
    return nn.Sequential(*layers)


class SOFT(StagedTrunk):
    """SOFT; sequences have one entry a stage (the last is the ordinary transformer).

    Args:
        reductions: side of a landmark's cells.
        normalised: the "norm" variant.
        iterations: of Newton's method.
    """

    first_conv = "stages.0.embed.0"

    def __init__(
        self,
        in_chans: int = 3,
        num_classes: int = 1000,
        embed_dims: Sequence[int] = (64, 128, 320, 512),
        num_heads: Sequence[int] = (2, 4, 10, 16),
        depths: Sequence[int] = (1, 2, 3, 2),
        reductions: Sequence[int] = (8, 4, 2, 1),
        kernels: Sequence[int] = (9, 5, 3),
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        normalised: bool = False,
        iterations: int = 20,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = nn.Identity()
        stages = []
        for i, (dim, rates) in enumerate(zip(embed_dims, drop_path_rates(drop_path_rate, depths), strict=True)):
            last = i == len(depths) - 1
            blocks: list[nn.Module] = []
            for rate in rates:
                if last:
                    blocks.append(PlainBlock(dim, num_heads[i], mlp_ratio, rate, qkv_bias))
                else:
                    attention = SoftmaxFreeAttention(
                        dim, num_heads[i], reductions[i], kernels[i], normalised, iterations
                    )
                    blocks.append(SoftBlock(dim, attention, rate))
            embed = _embedding(embed_dims[i - 1] if i else in_chans, dim, i == 0)
            stages.append(SoftStage(embed, dim, 56 // 2**i, last, blocks))
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(embed_dims[-1], eps=1e-6)
        self.describe(embed_dims, [4 * 2**i for i in range(len(depths))], num_classes)
        self.apply(initialise)

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        return {name for name, _ in self.named_parameters() if name.endswith((".position", ".class_token"))}

    def normed_map(self, feature: Tensor) -> Tensor:
        return self.norm(feature.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def finish(self, state: State) -> Tensor:
        """Normed tokens (B, 1 + N, C), the class token first."""
        return self.norm(torch.cat([state[1], state[0].flatten(2).mT], 1))

    def pooled(self, features: Tensor) -> Tensor:
        return features[:, 0]


def _rules() -> list[tuple[str, str | None]]:
    inner = {
        r"att\.mha\.W_": "attn.",
        r"att\.mha\.attn\.Qlandmark_op\.": "attn.landmarks.",
        r"att\.mha\.attn\.Qnorm_act\.0\.": "attn.landmark_norm.",
        r"att\.mha\.attn\.conv\.": "attn.local.",
        r"att\.mha\.ff\.": "attn.proj.",
        r"att\.ff(\d)\.": r"mlp.fc\2.",
        r"att\.": "",
        "": "",
    }
    rules: list[tuple[str, str | None]] = []
    for i in range(4):
        rules += [
            (rf"pos_embed{i + 1}", f"stages.{i}.position"),
            (rf"patch_embed{i + 1}\.proj\.", f"stages.{i}.embed."),
            *((rf"block{i + 1}\.(\d+)\.{old}", rf"stages.{i}.blocks.\1.{new}") for old, new in inner.items()),
        ]
    return [*rules, (r"cls_token", "stages.3.class_token"), (r"norm\.", "norm."), (r"head\.", "head.")]


_PLAIN: dict[str, dict[str, Any]] = {
    "tiny": {"depths": [1, 2, 3, 2]},
    "small": {"depths": [1, 3, 20, 4]},
    "medium": {"depths": [1, 3, 29, 5], "embed_dims": [64, 128, 288, 512], "num_heads": [2, 4, 9, 16]},
    "large": {"depths": [1, 3, 40, 5]},
    "huge": {"depths": [1, 5, 49, 5], "embed_dims": [64, 128, 352, 512], "num_heads": [2, 4, 11, 16]},
}
SIZES: dict[str, dict[str, Any]] = {f"soft_{name}": size for name, size in _PLAIN.items()}
SIZES |= {f"soft_norm_{name}": {**size, "normalised": True} for name, size in _PLAIN.items()}
register_sizes(__name__, SOFT, SIZES, _rules(), lambda name: {"license": "mit"})
