"""Token clustering as an op: half precision, and training after inference."""

from __future__ import annotations

import torch

from perception.ops.token_clustering import cluster_tokens


def test_float16_tokens_are_clustered() -> None:
    tokens = torch.rand(1, 16, 4, generator=torch.Generator().manual_seed(0))
    found = cluster_tokens(tokens.half(), (4, 4), (2, 2)).centres
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), cluster_tokens(tokens, (4, 4), (2, 2)).centres, atol=3e-3, rtol=0)


def test_gradients_flow_after_an_inference_of_the_same_size() -> None:
    with torch.inference_mode():
        cluster_tokens(torch.rand(1, 15, 2), (3, 5), (2, 2))  # what it keeps must be ordinary tensors
    tokens = torch.rand(1, 15, 2, requires_grad=True)
    cluster_tokens(tokens, (3, 5), (2, 2)).centres.square().sum().backward()
    assert float(tokens.grad.abs().min()) > 0
