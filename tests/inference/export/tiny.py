"""A depth model of two convolutions: exporting it takes a moment, so the fast tests use it; the slow ones export the real models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.dense.model import DenseModel
from perception.models.registry import register_model


@register_model
class TinyDepth(DenseModel):
    """Metric depth at half the picture's size; nested and constant outputs beside it, as larger models have them."""

    def __init__(self, width: int = 4) -> None:
        super().__init__(["depth"], camera=False, prior=False, preprocess={"pixels": 48 * 64, "multiple": 16})
        self.body = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.head = nn.Conv2d(width, 1, 3, padding=1)

    def forward(
        self, image: Tensor, intrinsics: Tensor | None = None, camera_known: Tensor | None = None
    ) -> dict[str, Any]:
        x = F.gelu(self.body(image.float() / 255))
        _, _, height, width = image.shape
        depth = F.softplus(F.interpolate(self.head(x), (height // 2, width // 2), mode="bilinear")) + 0.1
        focal = torch.ones(len(image)) if intrinsics is None else intrinsics[:, 0, 0]
        return {"depth": depth, "focal": focal, "layers": [{"mean": x.mean((2, 3)), "kind": "tiny"}]}
