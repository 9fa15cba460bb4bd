"""Position-sensitive axial attention: each column attends along itself, then each row (Axial-DeepLab, arXiv 2003.07853).

Differences from ordinary attention that released weights depend on: no 1/sqrt(d) scaling; the content, query-position and
key-position similarities are batch-normalised separately and summed; so are the content and position parts of the output.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perception.errors import InputError
from perception.models.layers.conv import batch_norm


class AxisAttention(nn.Module):
    """Self-attention along one axis with learned relative positions.

    Args:
        in_channels: channels of the input.
        key_channels, value_channels: totals over all heads; the output has `value_channels`.
        heads: number of heads.
        max_length: longest sequence; the position tables have 2 max_length - 1 rows.
    """

    def __init__(
        self, in_channels: int, key_channels: int, value_channels: int, heads: int = 8, max_length: int = 255
    ) -> None:
        super().__init__()
        self.heads, self.max_length = heads, max_length
        self.split = (key_channels, key_channels, value_channels)
        rows = 2 * max_length - 1
        self.qkv = nn.Conv1d(in_channels, sum(self.split), 1, bias=False)
        self.qkv_norm = batch_norm(sum(self.split), dims=1)
        self.query_positions = nn.Parameter(torch.randn(rows, key_channels // heads))
        self.key_positions = nn.Parameter(torch.randn(rows, key_channels // heads))
        self.value_positions = nn.Parameter(torch.randn(rows, value_channels // heads))
        self.similarity_norm = batch_norm(3 * heads)
        self.output_norm = batch_norm(2 * value_channels, dims=1)
        nn.init.normal_(self.qkv.weight, std=in_channels**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map sequences (S, in_channels, L) to (S, value_channels, L). Raises `InputError` for L above `max_length`."""
        count, _, length = x.shape
        if length > self.max_length:
            raise InputError(
                f"axial attention has positions for sequences of at most {self.max_length} cells, found {length}: use a smaller picture"
            )
        q, k, v = self.qkv_norm(self.qkv(x)).split(self.split, dim=1)
        q, k, v = (t.unflatten(1, (self.heads, -1)) for t in (q, k, v))  # (S, heads, d, L)
        index = torch.arange(length, device=x.device)
        index = index[None, :] - index[:, None] + self.max_length - 1  # (query, key): key - query
        rq, rk, rv = self.query_positions[index], self.key_positions[index], self.value_positions[index]
        similarity = torch.cat(
            [
                torch.einsum("shdl,shdm->shlm", q, k),
                torch.einsum("shdl,lmd->shlm", q, rq),
                torch.einsum("shdm,lmd->shlm", k, rk),
            ],
            dim=1,
        )
        similarity = self.similarity_norm(similarity).unflatten(1, (3, self.heads)).sum(1)
        weights = similarity.float().softmax(-1).to(v.dtype)  # (S, heads, L, L)
        content = torch.einsum("shlm,shdm->shdl", weights, v)
        position = torch.einsum("shlm,lmd->shdl", weights, rv.to(v.dtype))
        output = torch.cat([content, position], dim=1).reshape(count, -1, length)
        return self.output_norm(output).unflatten(1, (2, -1)).sum(1)


class AxialAttention(nn.Module):
    """Height axis (each column by itself), then width axis on its output."""

    def __init__(self, in_channels: int, key_channels: int, value_channels: int, heads: int = 8) -> None:
        super().__init__()
        self.height = AxisAttention(in_channels, key_channels, value_channels, heads)
        self.width = AxisAttention(value_channels, key_channels, value_channels, heads)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, value_channels, H, W)."""
        batch, _, height, width = x.shape
        x = self.height(x.permute(0, 3, 1, 2).flatten(0, 1))  # (B W, C, H)
        x = x.unflatten(0, (batch, width)).permute(0, 3, 2, 1).flatten(0, 1)  # (B H, C, W)
        return self.width(x).unflatten(0, (batch, height)).permute(0, 2, 1, 3)
