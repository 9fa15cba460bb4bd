"""PolyMaX's aggregation: a pixel's value is the mean of the clusters' values, weighted by the pixel's cluster probabilities."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def aggregate(mask_logits: Tensor, values: Tensor) -> Tensor:
    """Return sum_k softmax_k(mask_logits)[k, x] values[k].

    Args:
        mask_logits: (B, N, H, W).
        values: (B, N, V), one value a cluster.

    Returns:
        (B, V, H, W) float32.
    """
    with torch.autocast(mask_logits.device.type, enabled=False):
        probability = mask_logits.float().softmax(1)
        return torch.einsum("bnhw,bnv->bvhw", probability, values.float())


def unit(vectors: Tensor) -> Tensor:
    """Divide (B, 3, H, W) by its length over the channels (at least 1e-12)."""
    return F.normalize(vectors.float(), dim=1, eps=1e-12)
