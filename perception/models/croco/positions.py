"""Where a patch is: rotary codes of rows and columns in every attention (CroCo v2), or fixed cosine tables added once (CroCo).

Positions are whole patch coordinates (row, column).
"""

from __future__ import annotations

import torch
from torch import Tensor

from perception.errors import RecipeError
from perception.ops.constants import cached_constants

Rotation = tuple[Tensor, Tensor]


def rotary_base(name: str) -> float | None:
    """Base of the rotary frequencies that "RoPE100" names; None for "cosine". Raises `RecipeError` for anything else."""
    if name == "cosine":
        return None
    if name.startswith("RoPE") and name[4:].isdigit():
        return float(name[4:])
    raise RecipeError(f"positions of CroCo are 'cosine' or 'RoPE' with a base, such as 'RoPE100'; found {name!r}")


@cached_constants(maxsize=64)
def grid_positions(rows: int, columns: int, device: torch.device) -> Tensor:
    """(1, rows * columns, 2) int64: row and column of each patch, row by row."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack((y, x), -1).flatten(0, 1)[None].to(device)


def rotation(positions: Tensor, head_dim: int, base: float) -> Rotation:
    """Cosine and sine (B, 1, N, head_dim) of each patch's rotations: the first half of a head turns with the row, the second with the column.

    Within a half of d channels, channels i and i + d / 2 form a plane that turns by position / base^(2i / d).
    """
    half = head_dim // 2
    exponent = torch.arange(0, half, 2, dtype=torch.float32, device=positions.device) / half
    angle = positions[..., None].float() * base**-exponent  # (B, N, 2, half / 2)
    angle = torch.cat((angle, angle), -1).flatten(-2)[:, None]
    return angle.cos(), angle.sin()


def rotate(x: Tensor, turn: Rotation) -> Tensor:
    """Turn queries or keys (B, heads, N, head_dim)."""
    cosine, sine = turn
    first, second = x.unflatten(-1, (2, 2, -1)).unbind(-2)
    across = torch.stack((-second, first), -2).flatten(-3)
    return x * cosine.to(x.dtype) + across * sine.to(x.dtype)


def cosine_table(rows: int, columns: int, dim: int) -> Tensor:
    """(rows * columns, dim) fixed codes as in masked autoencoders: sine and cosine of the column, then of the row, frequencies down to 1 / 10000."""
    frequency = 10000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim / 4))
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    codes = []
    for at in (x, y):
        angle = at.flatten().double()[:, None] * frequency
        codes += [angle.sin(), angle.cos()]
    return torch.cat(codes, 1).float()
