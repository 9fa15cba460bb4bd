"""Sine position codes of DETR (section 3.1 of "End-to-End Object Detection with Transformers") for maps and for coordinates."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from perception.ops.constants import cached_constants

TEMPERATURE = 10000.0


@cached_constants(maxsize=64)
def sine_position_map(height: int, width: int, dim: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(1, height * width, dim): the first half codes the row, the second the column; sine on even, cosine on odd channels.

    Positions count from 1 and are scaled so that the last row or column lies at 2 pi.
    """
    codes = []
    for size in (height, width):
        at = torch.arange(1, size + 1, dtype=torch.float32, device=device) / (size + 1e-6) * (2 * math.pi)
        codes.append(_interleaved(at, dim // 2))
    rows, columns = codes
    full = torch.cat((rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)), -1)
    return full.reshape(1, height * width, dim).to(dtype)


def sine_of_coordinates(values: Tensor, dim: int) -> Tensor:
    """Code each of (..., K) fractions by `dim` channels: (..., K * dim)."""
    return _interleaved(values * (2 * math.pi), dim).flatten(-2)


def _interleaved(angle: Tensor, dim: int) -> Tensor:
    """(...,) -> (..., dim), channels 2i and 2i + 1 are sine and cosine of angle / temperature^(2i / dim)."""
    frequency = _frequencies(dim, angle.device).to(angle.dtype)
    phase = angle[..., None] / frequency
    return torch.stack((phase.sin(), phase.cos()), -1).flatten(-2)


@cached_constants(maxsize=16)
def _frequencies(dim: int, device: torch.device) -> Tensor:
    return TEMPERATURE ** (torch.arange(0, dim, 2, dtype=torch.float32, device=device) / dim)
