"""What the latitude alone says about depth, and how large the scene is as a whole (log-space models)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LatitudePrior(nn.Module):
    """A learned table of log range by latitude for indoor and outdoor panoramas, mixed by the scene's probability, plus a global log scale.

    Starts as a level camera above a floor: no training is spent on what a constant picture knows already.
    """

    BINS = 37  # every 5 degrees

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale, self.scene = nn.Linear(channels, 1), nn.Linear(channels, 2)
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.scale.bias)
        latitude = torch.linspace(math.pi / 2, -math.pi / 2, self.BINS)
        down, up = (-latitude.sin()).clamp(min=1e-3), latitude.sin().clamp(min=1e-3)
        level = latitude.cos().clamp(min=1e-3)
        indoor = torch.minimum(torch.minimum(1.4 / down, 1.3 / up), 3.0 / level)
        outdoor = torch.minimum(1.6 / down, torch.tensor(25.0))
        self.table = nn.Parameter(torch.stack([indoor, outdoor]).log())  # (2, BINS)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, C) -> log range (B, 1, H, 1) by row of a panorama of `size`, and scene logits (B, 2)."""
        token = tokens.mean(1)
        scene = self.scene(token)
        rows = (torch.arange(size[0], device=tokens.device) + 0.5) / size[0] * (self.BINS - 1)
        bins = torch.arange(self.BINS, device=tokens.device)
        weights = (1 - (rows[:, None] - bins).abs()).clamp(min=0)  # (H, BINS), linear interpolation
        table = scene.softmax(-1) @ self.table
        return (table @ weights.T + self.scale(token))[:, None, :, None], scene
