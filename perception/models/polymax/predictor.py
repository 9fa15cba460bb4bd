"""From cluster embeddings and pixel features to mask logits and what each cluster stands for (a class, a depth, a normal)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.layers.conv import ConvNorm, batch_norm

Prediction = dict[str, Tensor]


class ValueHead(nn.Module):
    """Cluster embedding -> the value the cluster stands for: 1x1, GELU, 1x1 (PolyMaX)."""

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.hidden = nn.Conv1d(channels, channels, 1)
        self.output = nn.Conv1d(channels, values, 1)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map (B, C, N) to (B, N, values)."""
        return self.output(F.gelu(self.hidden(embedding))).transpose(1, 2)


class ClusterPredictor(nn.Module):
    """Mask logits of N clusters over the pixels, with class logits and values of each cluster.

    Args:
        pixel_channels: channels of the pixel feature.
        channels: width of the pixel branch and of the cluster embeddings.
        mask_channels: channels of the space in which pixels and clusters are compared.
        num_classes: real classes; void is added as the last one. 0 leaves the class head out.
        values: name -> number of components a cluster predicts by a `ValueHead`.
        mask_gain: initial spread of the mask logits; 0.1 as published, larger to start with sharper clusters.
    """

    def __init__(
        self,
        pixel_channels: int,
        channels: int = 256,
        mask_channels: int = 128,
        num_classes: int = 0,
        values: Mapping[str, int] | None = None,
        mask_gain: float = 0.1,
    ) -> None:
        super().__init__()
        self.pixel_depthwise = ConvNorm(pixel_channels, pixel_channels, 5, groups=pixel_channels, activation="gelu")
        self.pixel_pointwise = ConvNorm(pixel_channels, channels, activation="gelu")
        self.pixel_output = ConvNorm(channels, mask_channels, bias=True)
        self.mask_kernel = ConvNorm(channels, mask_channels, dims=1)
        self.mask_norm = batch_norm(1, gain=mask_gain)
        self.num_classes = num_classes
        # A prior of 0.9 for void, as if written into the bias.
        self.void_bias = math.log(num_classes * 0.9 / 0.1) if num_classes else 0.0
        self.class_logits = nn.Conv1d(channels, num_classes + 1, 1) if num_classes else None
        self.values = nn.ModuleDict({name: ValueHead(channels, size) for name, size in (values or {}).items()})
        nn.init.trunc_normal_(self.pixel_output.conv.weight, std=0.01)
        nn.init.zeros_(self.pixel_output.conv.bias)
        if self.class_logits is not None:
            nn.init.trunc_normal_(self.class_logits.weight, std=0.01)
            nn.init.zeros_(self.class_logits.bias)

    def forward(self, pixels: Tensor, class_embedding: Tensor, mask_embedding: Tensor) -> Prediction:
        """Predict from `pixels` (B, pixel_channels, H, W) and two embeddings (B, channels, N).

        Returns `mask_logits` (B, N, H, W), `pixel_feature` (B, mask_channels, H, W) of unit length, with a class head
        `class_logits` (B, N, num_classes + 1), and `value.<name>` (B, N, components) for each value.
        """
        feature = self.pixel_output(self.pixel_pointwise(self.pixel_depthwise(pixels)))
        feature = F.normalize(feature.float(), dim=1)
        kernel = self.mask_kernel(mask_embedding)
        logits = torch.einsum("bchw,bcn->bnhw", feature.to(kernel.dtype), kernel)
        logits = self.mask_norm(logits.flatten(2).unsqueeze(1)).squeeze(1).unflatten(2, feature.shape[-2:])
        prediction = {"mask_logits": logits, "pixel_feature": feature}
        if self.class_logits is not None:
            scores = self.class_logits(class_embedding).transpose(1, 2)
            void = torch.zeros(self.num_classes + 1, device=scores.device, dtype=scores.dtype)
            void[-1] = self.void_bias
            prediction["class_logits"] = scores + void
        for name, head in self.values.items():
            prediction[f"value.{name}"] = head(class_embedding)
        return prediction


class ClusterHead(nn.Module):
    """The final prediction: project the clusters for class and mask, then predict on the shallowest decoder map."""

    def __init__(self, pixel_channels: int, channels: int = 256, **predictor) -> None:
        super().__init__()
        self.class_projection = ConvNorm(channels, channels, dims=1, activation="gelu")
        self.mask_projection = ConvNorm(channels, channels, dims=1, activation="gelu")
        self.predictor = ClusterPredictor(pixel_channels, channels, **predictor)

    def forward(self, pixels: Tensor, clusters: Tensor) -> Prediction:
        """Predict from (B, pixel_channels, H, W) and cluster centres (B, channels, N); adds the two embeddings (B, N, channels)."""
        class_embedding, mask_embedding = self.class_projection(clusters), self.mask_projection(clusters)
        prediction = self.predictor(pixels, class_embedding, mask_embedding)
        prediction["class_embedding"] = class_embedding.transpose(1, 2)
        prediction["mask_embedding"] = mask_embedding.transpose(1, 2)
        return prediction
