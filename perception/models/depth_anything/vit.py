"""DINOv2's vision transformer as Depth Anything V2 uses it (arXiv 2304.07193; patch 14, layer scale, no registers)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import InputError
from perception.ops.constants import cached_constants, is_tracing

PATCH = 14
PIECE = 256  # tokens that go through a feed-forward together on a CPU: their hidden numbers fit its cache
TABLE = 37  # side of the grid that the published position tables cover (518 / 14)
OFFSET = 0.1  # the official resize asks for (size + 0.1) / 37 and samples with that factor


class Block(nn.Module):
    """Pre-norm transformer block with layer scale; `ffn` is "mlp" or "swiglu" (giant)."""

    def __init__(self, dim: int, heads: int, ffn: str = "mlp") -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.scale1, self.scale2 = nn.Parameter(torch.full((dim,), 1e-5)), nn.Parameter(torch.full((dim,), 1e-5))
        self.gated = ffn == "swiglu"
        hidden = (int(4 * dim * 2 / 3) + 7) // 8 * 8 if self.gated else 4 * dim
        self.fc1, self.fc2 = nn.Linear(dim, 2 * hidden if self.gated else hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, dim) -> (B, N, dim)."""
        qkv = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if x.device.type == "cpu" and not is_tracing():
            qkv = (
                qkv.contiguous()
            )  # each head's rows together: the CPU's kernel reads them many times over, 10 % faster
        q, k, v = qkv
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = torch.addcmul(x, self.proj(attended), self.scale1)
        normed = self.norm2(x)
        if x.device.type == "cpu" and not torch.is_grad_enabled() and not is_tracing():
            parts = [self._feed_forward(part) for part in normed.flatten(0, 1).split(PIECE)]
            return torch.addcmul(x, torch.cat(parts).view_as(x), self.scale2)
        return torch.addcmul(x, self._feed_forward(normed), self.scale2)

    def _feed_forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        hidden = self.fc1(x)
        if self.gated:
            gate, hidden = hidden.chunk(2, -1)
            hidden = F.silu(gate) * hidden
        else:
            hidden = F.gelu(hidden)
        return self.fc2(hidden)


class DinoV2(nn.Module):
    """Vision transformer that hands out several blocks' tokens.

    Args:
        dim, depth, heads, ffn: of the blocks.
        taps: 0-based blocks whose tokens are returned, each through the final norm; later blocks are not run.
    """

    def __init__(self, dim: int, depth: int, heads: int, taps: Sequence[int], ffn: str = "mlp") -> None:
        super().__init__()
        self.dim, self.taps = dim, tuple(taps)
        self.patch_embed = nn.Conv2d(3, dim, PATCH, PATCH)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + TABLE * TABLE, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, ffn) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.checkpointing = False
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B, 3, H, W) normalised, H and W multiples of 14 -> for each tap patch tokens (B, H/14 * W/14, dim) and class token (B, dim)."""
        height, width = images.shape[-2:]
        if not is_tracing() and (height % PATCH or width % PATCH or not height or not width):
            raise InputError(f"a DINOv2 picture needs sides that are multiples of {PATCH}; found {width}x{height}")
        x = self.patch_embed(images)
        grid = (x.shape[-2], x.shape[-1])
        x = x.flatten(2).transpose(1, 2)
        table = self.positions(grid).to(x.dtype)
        first = (self.cls_token.to(x.dtype) + table[:, :1]).expand(x.shape[0], -1, -1)
        x = torch.cat((first, x + table[:, 1:]), 1)
        tokens, classes = [], []
        for index, block in enumerate(self.blocks[: max(self.taps) + 1]):
            if self.checkpointing and self.training and torch.is_grad_enabled():
                x = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
            if index in self.taps:
                normed = self.norm(x)
                tokens.append(normed[:, 1:])
                classes.append(normed[:, 0])
        return tokens, classes

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """(1, 1 + gh gw, dim) position table for a grid of (rows, columns), resampled as the official code does."""
        rows, columns = grid
        table = self.pos_embed[:, 1:].float().unflatten(1, (TABLE, TABLE))[0]
        if is_tracing():  # a graph for any size
            counts = [torch.ones(count, device=table.device).sum() for count in (rows, columns)]
            same = (counts[0] == TABLE) & (counts[1] == TABLE)  # then without the offset, which makes it the identity
            offset = torch.where(same, 0.0, OFFSET)
            down, across = (cubic_matrix_of(TABLE, count, offset) for count in (rows, columns))
        elif rows == columns == TABLE:
            return self.pos_embed
        else:
            down = cubic_matrix(TABLE, rows, (rows + OFFSET) / TABLE, table.device)
            across = cubic_matrix(TABLE, columns, (columns + OFFSET) / TABLE, table.device)
        resized = torch.einsum("ia,abd,jb->ijd", down, table, across).flatten(0, 1)
        return torch.cat((self.pos_embed[:, :1].float(), resized[None]), 1)


@cached_constants(maxsize=64)
def cubic_matrix(n_in: int, n_out: int, scale: float, device: torch.device) -> Tensor:
    """(n_out, n_in) float32: bicubic resampling (a = -0.75, pixel centres at integer + 0.5, borders repeated, no antialias) at a given scale factor.

    The product with it equals `F.interpolate(mode="bicubic", scale_factor=scale)`, but it is differentiable in any mode and exports to any runtime.
    """
    matrix = [[0.0] * n_in for _ in range(n_out)]
    a = -0.75
    for i in range(n_out):
        at = (i + 0.5) / scale - 0.5
        low = math.floor(at)
        for k in range(low - 1, low + 3):
            d = abs(at - k)
            weight = ((a + 2) * d - (a + 3)) * d * d + 1 if d <= 1 else ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
            matrix[i][min(max(k, 0), n_in - 1)] += weight if d < 2 else 0.0
    return torch.tensor(matrix, dtype=torch.float32, device=device)


def cubic_matrix_of(n_in: int, n_out: int | torch.SymInt, offset: Tensor) -> Tensor:
    """`cubic_matrix` at the scale (n_out + offset) / n_in by tensor operations, so that `n_out` may stay free in an exported graph."""
    device = offset.device
    place = torch.arange(n_out, dtype=torch.float32, device=device)
    count = torch.ones_like(place).sum()
    at = (place + 0.5) * n_in / (count + offset) - 0.5
    beyond = 3  # cells outside the table that a sample near its border reads
    cells = torch.arange(-beyond, n_in + beyond, dtype=torch.float32, device=device)
    d = (at[:, None] - cells).abs()
    a = -0.75
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    weight = torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))
    first, inner, last = weight.split((beyond + 1, n_in - 2, beyond + 1), 1)
    return torch.cat((first.sum(1, keepdim=True), inner, last.sum(1, keepdim=True)), 1)
