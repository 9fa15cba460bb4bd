"""Flow attention: what is conserved, and that it is linear attention."""

from __future__ import annotations

import torch

from perception.models.backbones.adapter import Backbone
from perception.models.layers.flow_attention import FlowAttention, flow_attention, flows


def rand(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def test_flows_are_conserved():
    """Once every source gives 1, what the sinks take adds up to the number of sources, and the other way round."""
    sinks, sources = rand(2, 3, 7, 5).sigmoid(), rand(2, 3, 11, 5, seed=1).sigmoid()
    flow = flows(sinks, sources)
    total = flow.incoming.sum((2, 3))
    torch.testing.assert_close(total, flow.outgoing.sum((2, 3)), rtol=1e-4, atol=1e-4)  # nothing gets lost between them
    torch.testing.assert_close(flow.conserved_incoming.sum((2, 3)), torch.full((2, 3), 11.0), rtol=1e-4, atol=0)
    torch.testing.assert_close(flow.conserved_outgoing.sum((2, 3)), torch.full((2, 3), 7.0), rtol=1e-4, atol=0)


def test_against_the_definition_with_all_pairs():
    q, k, v = (rand(1, 2, 6, 4, seed=s).double() for s in range(3))
    capacity = q.sigmoid() @ k.sigmoid().mT  # (1, 2, N, M)
    incoming, outgoing = capacity.sum(3, keepdim=True), capacity.sum(2, keepdim=True)
    taken = (capacity / outgoing).sum(3, keepdim=True)
    given = (capacity / incoming).sum(2).clamp(-1, 1)
    weights = given.softmax(2)[:, :, None] * 6
    wanted = taken.sigmoid() * ((capacity / incoming * weights) @ v)
    torch.testing.assert_close(flow_attention(q, k, v), wanted, rtol=1e-4, atol=1e-4)


def test_tokens_have_no_order_and_gradients_flow():
    layer = FlowAttention(8, 2)
    x = rand(2, 9, 8).requires_grad_()
    order = torch.randperm(9)
    torch.testing.assert_close(layer(x)[:, order], layer(x[:, order]), rtol=1e-4, atol=1e-5)
    layer(x).square().sum().backward()
    assert x.grad.isfinite().all() and x.grad.abs().sum() > 0


def test_as_an_option_of_a_trunk():
    arguments = {"embed_dim": 32, "depth": 4, "num_heads": 2}
    trunk = Backbone("vit_tiny_patch16_224", model_args=arguments, attention="flow")
    layers = [m for m in trunk.modules() if isinstance(m, FlowAttention)]
    assert len(layers) == 4
    sum(m.sum() for m in trunk(rand(1, 3, 50, 70))).backward()
    assert all(layer.qkv.weight.grad is not None for layer in layers)
