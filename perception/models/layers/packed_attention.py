"""Multi-head attention with one packed input projection, on PyTorch's fused kernel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PackedAttention(nn.Module):
    """The arithmetic and the parameter layout of `nn.MultiheadAttention` (batch first, without masks), without its overhead.

    Inputs that are the same object are projected together: all three (self-attention), query and key (position on both), or key and value.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B, Q, dim), (B, K, dim), (B, K, dim) -> (B, Q, dim)."""
        q, k, v = self._project(query, key, value)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weight, bias, dim = self.in_proj_weight, self.in_proj_bias, self.out_proj.in_features
        if query is key and key is value:
            return F.linear(query, weight, bias).chunk(3, -1)  # type: ignore[return-value]
        if query is key:
            q, k = F.linear(query, weight[: 2 * dim], bias[: 2 * dim]).chunk(2, -1)
            return q, k, F.linear(value, weight[2 * dim :], bias[2 * dim :])
        q = F.linear(query, weight[:dim], bias[:dim])
        if key is value:
            k, v = F.linear(key, weight[dim:], bias[dim:]).chunk(2, -1)
            return q, k, v
        return (
            q,
            F.linear(key, weight[dim : 2 * dim], bias[dim : 2 * dim]),
            F.linear(value, weight[2 * dim :], bias[2 * dim :]),
        )
