"""Backward projection: BEV cells look into the pictures where they should appear (FB-BEV, arXiv 2308.02236, section 3.3).

Every cell has a few anchors, points at different heights. Each anchor is projected into the cameras that see it; deformable attention samples around
the projections. An anchor counts as much as the predicted depth distribution at its pixel agrees with the anchor's own depth (depth consistency,
w_c), so that a cell behind a car does not copy the car.

HyDRa adds radar-weighted depth consistency (RDC): cells with radar evidence count more. The authors' formula was not published; `RadarWeight` is this
project's: w = w_c * g, where g is a function of the radar's BEV features that is 1 everywhere at the start of training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from perception.errors import RecipeError
from perception.models.hydra.calibration import DepthAxis
from perception.models.hydra.visible import VisibleCells
from perception.models.layers.deformable_attention import MultiScaleDeformableAttention
from perception.models.layers.positions import directional_offsets
from perception.ops.deformable_attention import deformable_attention


def depth_consistency(distribution: Tensor, pixels: Tensor, depth: Tensor, axis: DepthAxis) -> Tensor:
    """How much the predicted depth at each pixel agrees with the depth that a point there has.

    Args:
        distribution: (M, D, h, w) depth probabilities of M pictures.
        pixels: (M, K, 2) fractions of the picture; between cells the distribution is interpolated, outside it is 0.
        depth: (M, K) metres; beyond the first or last bin they count as in it.

    Returns:
        (M, K): probability of the point's own bin.
    """
    pictures, bins, height, width = distribution.shape
    own = ((depth - axis.start) / axis.step).floor().clamp(0, bins - 1).long()
    table = distribution.reshape(pictures, -1)
    x = (pixels[..., 0] * width - 0.5).clamp(-1, width)  # far away points must not overflow the integers
    y = (pixels[..., 1] * height - 0.5).clamp(-1, height)
    left, top = x.floor(), y.floor()
    right_part, lower_part = x - left, y - top
    rows = [_along(row, weight, height) for row, weight in ((top, 1 - lower_part), (top + 1, lower_part))]
    columns = [_along(column, weight, width) for column, weight in ((left, 1 - right_part), (left + 1, right_part))]
    found = 0.0
    for row, row_weight in rows:
        for column, column_weight in columns:
            at = (own * height + row) * width + column
            found = found + (row_weight * column_weight).to(table.dtype) * table.gather(1, at)
    return found


def _along(index: Tensor, weight: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Whole-numbered coordinates as int64 inside 0 .. count - 1, and their weights, which are 0 outside."""
    inside = (index >= 0) & (index < count)
    return index.clamp(0, count - 1).long(), torch.where(inside, weight, 0.0)


class DepthConsistentAttention(nn.Module):
    """Deformable attention from BEV cells into pictures of several cameras, weighted by depth consistency; residual included.

    Args:
        dim, heads: of the queries and of the features.
        points: samples a head and level, a multiple of `anchors`.
        anchors: heights of a cell.
        levels: feature levels.
        layer_scale: None, or the start of a learned factor for the update.
    """

    def __init__(
        self,
        dim: int,
        heads: int = 8,
        points: int = 8,
        anchors: int = 4,
        levels: int = 1,
        layer_scale: float | None = None,
    ) -> None:
        super().__init__()
        if dim % heads or points % anchors:
            raise RecipeError(
                f"heads must divide dim and anchors must divide points; found dim {dim}, heads {heads}, points {points}, anchors {anchors}"
            )
        self.heads, self.points, self.anchors, self.levels = heads, points, anchors, levels
        samples = heads * levels * points
        self.offsets = nn.Linear(dim, 2 * samples)
        self.weights = nn.Linear(dim, samples)
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self.layer_scale = None if layer_scale is None else nn.Parameter(torch.full((dim,), float(layer_scale)))
        for layer in (self.offsets, self.weights):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.offsets.bias.copy_(directional_offsets(heads, levels, points).flatten())
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        query: Tensor,
        position: Tensor,
        features: Sequence[Tensor],
        cells: VisibleCells,
        distribution: Tensor | None,
        axis: DepthAxis,
        factor: Tensor | None = None,
    ) -> Tensor:
        """Update the queries.

        Args:
            query: (B, YX, C). position: (B or 1, YX, C), added to the queries where offsets and weights are made.
            features: levels of (B, N, C, h, w).
            cells: who is seen where.
            distribution: (B, N, D, h, w) depth probabilities; None leaves the depth consistency out (plain BEVFormer attention).
            axis: their bins.
            factor: (B, YX) further weight of every cell, or None (RDC).

        Returns:
            (B, YX, C).
        """
        batch, cameras, most = cells.index.shape
        chosen = cells.gather(query + position).flatten(0, 1)  # (B N, K, C)
        layout = (batch * cameras, most, self.heads, self.levels, self.points // self.anchors, self.anchors)
        shapes = [tuple(level.shape[-2:]) for level in features]
        size = query.new_tensor([[w, h] for h, w in shapes])[:, None, None]  # (L, 1, 1, 2)
        offsets = self.offsets(chosen).view(*layout, 2) / size
        pixels = cells.pixels.flatten(0, 1).to(query.dtype)  # (B N, K, Z, 2)
        locations = (pixels[:, :, None, None, None] + offsets).flatten(4, 5)
        weights = self.weights(chosen).unflatten(-1, (self.heads, -1)).softmax(-1).view(layout)
        if distribution is not None or factor is not None:
            anchor = torch.ones_like(pixels[..., 0])  # (B N, K, Z)
            if distribution is not None:
                points = cells.pixels.flatten(0, 1).flatten(1, 2), cells.depth.flatten(0, 1).flatten(1, 2)
                anchor = depth_consistency(distribution.flatten(0, 1), *points, axis).view(anchor.shape)
            if factor is not None:
                anchor = anchor * cells.gather(factor[..., None]).flatten(0, 1)
            weights = weights * anchor[:, :, None, None, None].to(weights.dtype)
        memory = torch.cat([level.flatten(3) for level in features], 3).flatten(0, 1).mT  # (B N, sum h w, C)
        value = self.value_proj(memory).unflatten(-1, (self.heads, -1))
        found = deformable_attention(value, shapes, locations, weights.flatten(4, 5))
        update = self.output_proj(cells.scatter_mean(found.unflatten(0, (batch, cameras)), query.shape[1]))
        return query + (update if self.layer_scale is None else self.layer_scale * update)


class RadarWeight(nn.Module):
    """RDC: a positive factor for every BEV cell from the radar's BEV features; 1 everywhere at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 3, padding=1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, radar: Tensor) -> Tensor:
        """(B, C, Y, X) -> (B, YX), between 0 and 2."""
        return 2 * self.score(radar).sigmoid().flatten(1)


class BackwardProjection(nn.Module):
    """One encoder layer over the BEV cells: self-attention, camera attention, feed-forward, each with its post-norm.

    Queries are a learned table plus the lifted BEV. Positions are learned for rows and columns.
    """

    def __init__(
        self,
        dim: int,
        bev_size: tuple[int, int],
        cameras: int,
        heads: int = 8,
        points: int = 8,
        anchors: int = 4,
        levels: int = 1,
        self_points: int = 4,
        ffn_ratio: int = 4,
        dropout: float = 0.0,
        self_attention: bool = True,
    ) -> None:
        super().__init__()
        rows, columns = bev_size
        self.bev_size = (rows, columns)
        self.bev_embedding = nn.Embedding(rows * columns, dim)
        self.row_embed = nn.Embedding(rows, dim // 2)
        self.col_embed = nn.Embedding(columns, dim - dim // 2)
        self.level_embeds = nn.Parameter(torch.zeros(levels, dim))
        self.cams_embeds = nn.Parameter(torch.zeros(cameras, dim))
        self.self_attention = MultiScaleDeformableAttention(dim, heads, 1, self_points) if self_attention else None
        self.camera_attention = DepthConsistentAttention(dim, heads, points, anchors, levels)
        self.ffn = nn.Sequential(
            nn.Linear(dim, ffn_ratio * dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(ffn_ratio * dim, dim)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        for embedding in (self.bev_embedding, self.row_embed, self.col_embed):
            nn.init.uniform_(embedding.weight, -0.1, 0.1)

    def forward(
        self,
        bev: Tensor,
        features: Sequence[Tensor],
        cells: VisibleCells,
        distribution: Tensor | None,
        axis: DepthAxis,
        factor: Tensor | None = None,
        camera_ids: Tensor | None = None,
    ) -> Tensor:
        """(B, C, Y, X) lifted BEV -> the same shape. See `DepthConsistentAttention`; camera_ids: (N,) or (B, N) place of each camera on the vehicle."""
        batch, channels, rows, columns = bev.shape
        query = bev.flatten(2).mT + self.bev_embedding.weight
        x = self.col_embed.weight[None].expand(rows, -1, -1)
        y = self.row_embed.weight[:, None].expand(-1, columns, -1)
        position = torch.cat((x, y), -1).flatten(0, 1)[None]  # (1, YX, C)
        if self.self_attention is not None:
            spots = _cell_fractions(rows, columns, query)
            query = query + self.self_attention(query + position, spots, query, ((rows, columns),))
            query = self.norms[0](query)
        number = features[0].shape[1]
        ids = torch.arange(number, device=query.device) if camera_ids is None else camera_ids
        who = self.cams_embeds[ids.clamp(max=len(self.cams_embeds) - 1)]
        who = who[..., None, None] if who.ndim == 3 else who[None, ..., None, None]
        levels = [level + who + self.level_embeds[i][:, None, None] for i, level in enumerate(features)]
        query = self.norms[1](self.camera_attention(query, position, levels, cells, distribution, axis, factor))
        query = self.norms[2](query + self.ffn(query))
        return query.mT.reshape(batch, channels, rows, columns)


def _cell_fractions(rows: int, columns: int, like: Tensor) -> Tensor:
    """(1, YX, 2) centres of the cells as fractions of the map."""
    y = (torch.arange(rows, dtype=like.dtype, device=like.device) + 0.5) / rows
    x = (torch.arange(columns, dtype=like.dtype, device=like.device) + 0.5) / columns
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((x, y), -1).view(1, -1, 2)
