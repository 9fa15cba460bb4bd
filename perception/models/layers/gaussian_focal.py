"""Focal loss for heat maps whose peaks are surrounded by Gaussians (CornerNet, arXiv 1808.01244, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_focal_loss(
    logits: Tensor, target: Tensor, alpha: float = 2.0, beta: float = 4.0, weights: Tensor | None = None
) -> Tensor:
    """CornerNet's focal loss for maps of Gaussians, summed and divided by the number of peaks (at least 1).

    weights: (classes,) of the maps' channels; peaks then count as much as their class.
    """
    positive = target == 1
    log_yes, log_no = F.logsigmoid(logits), F.logsigmoid(-logits)
    probability = logits.sigmoid()
    loss = torch.where(
        positive, -((1 - probability) ** alpha) * log_yes, -(probability**alpha) * (1 - target) ** beta * log_no
    )
    if weights is None:
        return loss.sum() / positive.sum().clamp(min=1)
    peaks = (positive.sum((0, 2, 3)) * weights).sum()
    return (loss.sum((0, 2, 3)) * weights).sum() / peaks.clamp(min=1)
