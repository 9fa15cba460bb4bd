"""Flow attention (Wu et al., "Flowformer: Linearizing Transformers with Conservation Flows", ICML 2022, arXiv 2202.06258).

Attention as a flow from sources (values) to sinks (queries) with non-negative capacities sigmoid(q) and sigmoid(k). Fixing each source's
outgoing flow to 1 makes sources compete by what the sinks take from them; fixing each sink's incoming flow to 1 decides how much a sink
may take. Cost and memory are linear in the number of tokens. Weights of softmax attention do not carry over: train from scratch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_EPS = 1e-6


class Flows(NamedTuple):
    """Flows of a sink (B, heads, N, 1) or a source (B, heads, M, 1).

    incoming, outgoing: before conservation. conserved_incoming: of each sink when every source gives out exactly 1 (they add up to M);
    conserved_outgoing: of each source when every sink takes in exactly 1 (they add up to N).
    """

    incoming: Tensor
    outgoing: Tensor
    conserved_incoming: Tensor
    conserved_outgoing: Tensor


def flows(sinks: Tensor, sources: Tensor) -> Flows:
    """Flows between non-negative sinks (B, heads, N, d) and sources (B, heads, M, d)."""
    incoming = sinks @ (sources.sum(2, keepdim=True).mT + _EPS)
    outgoing = sources @ (sinks.sum(2, keepdim=True).mT + _EPS)
    conserved_incoming = sinks @ (sources / outgoing).sum(2, keepdim=True).mT
    conserved_outgoing = sources @ (sinks / incoming).sum(2, keepdim=True).mT
    return Flows(incoming, outgoing, conserved_incoming, conserved_outgoing)


def flow_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(B, heads, N, d), (B, heads, M, d), (B, heads, M, e) -> (B, heads, N, e), computed in float32."""
    with torch.autocast(query.device.type, enabled=False):
        sinks, sources = query.float().sigmoid(), key.float().sigmoid()
        flow = flows(sinks, sources)
        count = key.shape[2]
        # Sums of positive numbers stay small for any input, but a long sequence may concentrate them: hence the bounds.
        competition = flow.conserved_outgoing.clamp(-1, 1).softmax(2) * count
        allocation = (flow.conserved_incoming * (query.shape[2] / count)).sigmoid()
        gathered = sources.mT @ (value.float() * competition)  # (B, heads, d, e)
        return ((sinks / flow.incoming) @ gathered * allocation).to(value.dtype)


class FlowAttention(nn.Module):
    """Self-attention with timm's parameter names (`qkv`, `proj`), to stand in for a vision transformer's attention."""

    def __init__(self, dim: int, heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        """(B, N, dim) to the same shape; masks and rotary tables of the caller are not used."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(flow_attention(q, k, v).transpose(1, 2).flatten(2))


def use_flow_attention(network: nn.Module) -> int:
    """Replace every timm self-attention (a module with `qkv`, `proj` and `num_heads` over (B, N, C) tokens) of a plain vision transformer;
    returns how many. Weights of `qkv` and `proj` are kept where their shapes allow."""
    replaced = 0
    for block in network.modules():
        old = getattr(block, "attn", None)
        if not isinstance(old, nn.Module) or not isinstance(getattr(old, "qkv", None), nn.Linear):
            continue
        dim = old.qkv.in_features
        if not hasattr(old, "num_heads") or old.qkv.out_features != 3 * dim:
            continue
        new = FlowAttention(dim, old.num_heads, old.qkv.bias is not None)
        new.qkv, new.proj = old.qkv, old.proj
        block.attn = new.train(old.training)
        replaced += 1
    return replaced
