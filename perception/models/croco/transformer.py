"""CroCo's transformers: an encoder that sees one picture, and a decoder whose tokens of the first picture ask those of the second.

The encoder is shared by both pictures. A decoder block is self-attention, cross-attention to the (normalised) tokens of the second picture, and a
feed-forward, each before-normalised and added (CroCo v2, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import InputError, RecipeError
from perception.models.croco.positions import (
    Rotation,
    cosine_table,
    grid_positions,
    rotary_base,
    rotate,
    rotation,
)

PATCH = 16

# Encoder's width, depth and heads; decoder's width, depth and heads.
SIZES: dict[str, tuple[int, int, int, int, int, int]] = {
    "vitb-small": (768, 12, 12, 512, 8, 16),
    "vitb-base": (768, 12, 12, 768, 12, 12),
    "vitl-base": (1024, 24, 16, 768, 12, 12),
}


class Attention(nn.Module):
    """Multi-head attention of queries to a memory, with rotary positions where there are any."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor, memory: Tensor, turn: Rotation | None, memory_turn: Rotation | None) -> Tensor:
        """(B, N, dim) and (B, M, dim) -> (B, N, dim)."""
        q, k, v = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, tokens in ((self.query, x), (self.key, memory), (self.value, memory))
        )
        if turn is not None and memory_turn is not None:
            q, k = rotate(q, turn), rotate(k, memory_turn)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """dim -> 4 dim -> dim with GELU."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def _norm(dim: int) -> nn.LayerNorm:
    return nn.LayerNorm(dim, eps=1e-6)


class EncoderBlock(nn.Module):
    """Self-attention and feed-forward."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = _norm(dim), Attention(dim, heads)
        self.norm2, self.mlp = _norm(dim), FeedForward(dim)

    def forward(self, x: Tensor, turn: Rotation | None) -> Tensor:
        """(B, N, dim) -> (B, N, dim)."""
        normed = self.norm1(x)
        x = x + self.attention(normed, normed, turn, turn)
        return x + self.mlp(self.norm2(x))


class DecoderBlock(nn.Module):
    """Self-attention, cross-attention to the second picture, feed-forward."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = _norm(dim), Attention(dim, heads)
        self.norm2, self.norm_memory, self.cross = _norm(dim), _norm(dim), Attention(dim, heads)
        self.norm3, self.mlp = _norm(dim), FeedForward(dim)

    def forward(self, x: Tensor, memory: Tensor, turn: Rotation | None, memory_turn: Rotation | None) -> Tensor:
        """(B, N, dim), second picture's (B, M, dim) -> (B, N, dim)."""
        normed = self.norm1(x)
        x = x + self.attention(normed, normed, turn, turn)
        x = x + self.cross(self.norm2(x), self.norm_memory(memory), turn, memory_turn)
        return x + self.mlp(self.norm3(x))


class CroCoTransformer(nn.Module):
    """Encoder and decoder.

    Args:
        size: a name of `SIZES`, or a mapping with enc_dim, enc_depth, enc_heads, dec_dim, dec_depth, dec_heads. positions: "RoPE100" or "cosine".
        grid: (rows, columns) of patches that the cosine tables are for.
    """

    is_trunk = True  # for layer-wise learning rates

    def __init__(
        self, size: str | Mapping[str, int] = "vitl-base", positions: str = "RoPE100", grid: Any = None
    ) -> None:
        """Raises `RecipeError` for sizes and positions that do not exist or do not fit."""
        super().__init__()
        names = ("enc_dim", "enc_depth", "enc_heads", "dec_dim", "dec_depth", "dec_heads")
        if isinstance(size, str):
            if size not in SIZES:
                raise RecipeError(f"CroCo comes as {', '.join(SIZES)}; found {size!r}")
            sizes = dict(zip(names, SIZES[size], strict=True))
        else:
            sizes = dict(size)
            if set(sizes) != set(names):
                raise RecipeError(f"a size of CroCo has the keys {', '.join(names)}; found {sorted(sizes)}")
        for part in ("enc", "dec"):
            dim, heads = sizes[f"{part}_dim"], sizes[f"{part}_heads"]
            if dim % (4 * heads):
                raise RecipeError(f"{part}_dim of CroCo must be a multiple of 4 {part}_heads; found {dim} and {heads}")
        self.enc_dim, self.dec_dim = sizes["enc_dim"], sizes["dec_dim"]
        self.enc_heads, self.dec_heads = sizes["enc_heads"], sizes["dec_heads"]
        self.base, self.grid = rotary_base(positions), None if grid is None else (int(grid[0]), int(grid[1]))
        self.patch_embed = nn.Conv2d(3, self.enc_dim, PATCH, PATCH)
        self.encoder = nn.ModuleList(EncoderBlock(self.enc_dim, self.enc_heads) for _ in range(sizes["enc_depth"]))
        self.encoder_norm = _norm(self.enc_dim)
        self.to_decoder = nn.Linear(self.enc_dim, self.dec_dim)
        self.decoder = nn.ModuleList(DecoderBlock(self.dec_dim, self.dec_heads) for _ in range(sizes["dec_depth"]))
        self.decoder_norm = _norm(self.dec_dim)
        if self.base is None:
            if self.grid is None:
                raise RecipeError("cosine positions of CroCo need the size of the pictures")
            self.register_buffer("encoder_positions", cosine_table(*self.grid, self.enc_dim))
            self.register_buffer("decoder_positions", cosine_table(*self.grid, self.dec_dim))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def positions(self, image: Tensor) -> Tensor:
        """(1, N, 2) row and column of each patch of pictures (B, 3, H, W). Raises `InputError` for sides that do not fit."""
        height, width = (int(n) for n in image.shape[-2:])
        if height % PATCH or width % PATCH or not height or not width:
            raise InputError(f"a CroCo picture needs sides that are multiples of {PATCH}; found {width}x{height}")
        grid = (height // PATCH, width // PATCH)
        if self.base is None and grid != self.grid:
            raise InputError(f"with cosine positions CroCo takes {self.grid} patches; found {grid}")
        return grid_positions(*grid, image.device)

    def encode(self, image: Tensor, visible: Tensor | None = None) -> list[Tensor]:
        """Tokens after every encoder block, the last ones normalised.

        image: (B, 3, H, W) normalised. visible: (B, K) int64, patches to look at; None: all. Returns (B, K or N, enc_dim) each.
        """
        places = self.positions(image).expand(image.shape[0], -1, -1)
        x = self.patch_embed(image).flatten(2).transpose(1, 2)
        if self.base is None:
            x = x + self.encoder_positions.to(x.dtype)
        if visible is not None:
            x, places = (t.gather(1, visible[..., None].expand(-1, -1, t.shape[-1])) for t in (x, places))
        turn = None if self.base is None else rotation(places, self.enc_dim // self.enc_heads, self.base)
        outputs = []
        for block in self.encoder:
            x = block(x, turn)
            outputs.append(x)
        outputs[-1] = self.encoder_norm(outputs[-1])
        return outputs

    def decode(self, x: Tensor, memory: Tensor, places: Tensor, memory_places: Tensor) -> list[Tensor]:
        """Tokens after every decoder block, the last ones normalised.

        x, memory: (B, N, dec_dim), (B, M, dec_dim) of the first and the second picture, through `to_decoder`. places: (1, N, 2), (1, M, 2).
        """
        if self.base is None:
            table = self.decoder_positions.to(x.dtype)
            x, memory = x + table, memory + table
            turn = memory_turn = None
        else:
            head_dim = self.dec_dim // self.dec_heads
            turn, memory_turn = (rotation(p, head_dim, self.base) for p in (places, memory_places))
        outputs = []
        for block in self.decoder:
            x = block(x, memory, turn, memory_turn)
            outputs.append(x)
        outputs[-1] = self.decoder_norm(outputs[-1])
        return outputs


def patches_of(image: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, N, 16 * 16 * 3): pixels of each patch by row, column, channel."""
    x = image.unflatten(3, (-1, PATCH)).unflatten(2, (-1, PATCH))  # (B, 3, h, 16, w, 16)
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def image_of(patches: Tensor, grid: tuple[int, int]) -> Tensor:
    """Inverse of `patches_of` for a grid of (rows, columns)."""
    x = patches.unflatten(2, (PATCH, PATCH, 3)).unflatten(1, grid)  # (B, h, w, 16, 16, 3)
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


def masked_tokens(count: int, masked: int, pictures: int, device: torch.device) -> Tensor:
    """(pictures, count) bool: for each picture `masked` patches drawn at random."""
    order = torch.rand(pictures, count, device=device).argsort(1)
    mask = torch.zeros(pictures, count, dtype=torch.bool, device=device)
    return mask.scatter_(1, order[:, :masked], True)
