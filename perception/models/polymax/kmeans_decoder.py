"""The k-means transformer decoder: cluster centres gather the pixels that are nearest to them (arXiv 2207.04044, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.layers.conv import ConvNorm, batch_norm
from perception.models.polymax.predictor import ClusterPredictor, Prediction


class ClusterSelfAttention(nn.Module):
    """Attention among the clusters with batch-normalised logits and no 1/sqrt(d) scaling."""

    def __init__(self, value_channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.similarity_norm = batch_norm(heads)
        self.output_norm = batch_norm(value_channels, dims=1)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Map q, k (B, Ck, N) and v (B, Cv, N) to (B, Cv, N)."""
        q, k, v = (t.unflatten(1, (self.heads, -1)) for t in (q, k, v))  # (B, heads, d, N)
        similarity = self.similarity_norm(torch.einsum("bhdn,bhdm->bhnm", q, k))
        weights = similarity.float().softmax(-1).to(v.dtype)
        return F.gelu(self.output_norm(torch.einsum("bhnm,bhdm->bhdn", weights, v).flatten(1, 2)))


def kmeans_update(mask_logits: Tensor, values: Tensor) -> Tensor:
    """Sum the values of the pixels assigned to each cluster; the assignment (argmax) has no gradient.

    Args:
        mask_logits: (B, N, H, W).
        values: (B, C, H, W).

    Returns:
        (B, C, N) float32.
    """
    assignment = mask_logits.detach().flatten(2).argmax(1)  # (B, HW)
    with torch.autocast(values.device.type, enabled=False):
        one_hot = F.one_hot(assignment, mask_logits.shape[1]).float()  # (B, HW, N)
        return values.flatten(2).float() @ one_hot


class KMeansLayer(nn.Module):
    """One round: predict and assign, update the centres, let them attend to each other, feed-forward."""

    def __init__(
        self,
        pixel_channels: int,
        channels: int = 256,
        *,
        ffn_channels: int = 2048,
        key_channels: int | None = None,
        heads: int = 8,
        drop_path: float = 0.0,
        predictor: Mapping | None = None,
    ) -> None:
        super().__init__()
        key_channels = key_channels or channels // 2
        self.split = (key_channels, key_channels, channels)
        self.pixel_reduce = ConvNorm(pixel_channels, channels, activation="gelu")
        self.pixel_value = ConvNorm(channels, channels)
        self.cluster_reduce = ConvNorm(channels, channels, dims=1, activation="gelu")
        self.predictor = ClusterPredictor(channels, channels, **(predictor or {}))
        self.update_norm = batch_norm(channels, dims=1)
        self.update = ConvNorm(channels, channels, dims=1, gain=0.0)
        self.qkv = ConvNorm(channels, sum(self.split), dims=1)
        self.attention = ClusterSelfAttention(channels, heads)
        self.attention_output = ConvNorm(channels, channels, dims=1, gain=0.0)
        self.ffn_hidden = ConvNorm(channels, ffn_channels, dims=1, activation="gelu")
        self.ffn_output = ConvNorm(ffn_channels, channels, dims=1, gain=0.0)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, pixels: Tensor, clusters: Tensor) -> tuple[Tensor, Prediction]:
        """Map pre-activation pixels (B, Cp, H, W) and centres (B, C, N) to new centres and this layer's prediction."""
        reduced = self.pixel_reduce(F.gelu(pixels))
        query = self.cluster_reduce(clusters)
        prediction = self.predictor(reduced, query, query)
        update = kmeans_update(prediction["mask_logits"], self.pixel_value(reduced))
        clusters = clusters + self.drop_path(self.update(self.update_norm(update)))
        attended = self.attention(*self.qkv(query).split(self.split, dim=1))
        clusters = F.gelu(clusters + self.drop_path(self.attention_output(attended)))
        clusters = F.gelu(clusters + self.drop_path(self.ffn_output(self.ffn_hidden(clusters))))
        return clusters, prediction


class KMeansDecoder(nn.Module):
    """Learned initial centres and a few `KMeansLayer` a pixel-decoder map, deep to shallow.

    Args:
        pixel_channels: channels of the maps the layers see, deep to shallow.
        channels: width of the centres.
        num_queries: number of clusters N.
        layers: rounds a map.
        predictor: keyword arguments of every layer's `ClusterPredictor`.
        layer: further keyword arguments of `KMeansLayer`.
    """

    def __init__(
        self,
        pixel_channels: Sequence[int],
        channels: int = 256,
        *,
        num_queries: int = 128,
        layers: Sequence[int] = (2, 2, 2),
        predictor: Mapping | None = None,
        **layer,
    ) -> None:
        super().__init__()
        self.layers_per_map = tuple(layers)
        self.centers = nn.Parameter(torch.empty(channels, num_queries))
        nn.init.trunc_normal_(self.centers, std=1.0)
        self.layers = nn.ModuleList(
            KMeansLayer(width, channels, predictor=predictor, **layer)
            for width, count in zip(pixel_channels, layers, strict=True)
            for _ in range(count)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Prediction]]:
        """Map pixel-decoder maps, deep to shallow, to the final centres (B, C, N) and one prediction a layer."""
        clusters = self.centers.expand(maps[0].shape[0], -1, -1)
        predictions: list[Prediction] = []
        layers = iter(self.layers)
        for pixels, count in zip(maps, self.layers_per_map, strict=True):
            for _ in range(count):
                clusters, prediction = next(layers)(pixels, clusters)
                predictions.append(prediction | {"clusters": clusters})
        return clusters, predictions
