"""3D deformable attention as a layer (DFA3D, arXiv 2307.12972): what `DepthConsistentAttention` approximates by one weight an anchor.

Samples move in depth, too: every point has an offset along z, and each of the four pixels around it is weighted by its own depth distribution at that depth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from perception.errors import RecipeError
from perception.models.hydra.calibration import DepthAxis
from perception.models.hydra.visible import VisibleCells
from perception.models.layers.positions import directional_offsets
from perception.ops.deformable_attention_3d import deformable_attention_3d


class DeformableAttention3D(nn.Module):
    """Sampling part: offsets in x, y (pixels) and z (bins), weights, value projection. The output projection belongs to the caller.

    Args:
        dim, heads, levels: as in deformable attention.
        points: samples a head and level, a multiple of the number of reference points that `forward` gets.
    """

    def __init__(self, dim: int, heads: int = 8, levels: int = 1, points: int = 8) -> None:
        super().__init__()
        if dim % heads:
            raise RecipeError(f"3D deformable attention needs a width divisible by its heads; found {dim} and {heads}")
        self.heads, self.levels, self.points = heads, levels, points
        samples = heads * levels * points
        self.offsets = nn.Linear(dim, 2 * samples)
        self.depth_offsets = nn.Linear(dim, samples)
        self.weights = nn.Linear(dim, samples)
        self.value_proj = nn.Linear(dim, dim)
        for layer in (self.offsets, self.depth_offsets, self.weights):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        angle = torch.arange(heads) * (2 * math.pi / heads)
        along = ((angle.cos() + angle.sin()) / 2)[:, None, None] * torch.arange(1, points + 1)
        with torch.no_grad():
            self.offsets.bias.copy_(directional_offsets(heads, levels, points).flatten())
            self.depth_offsets.bias.copy_(along.expand(-1, levels, -1).flatten())
        nn.init.xavier_uniform_(self.value_proj.weight)
        nn.init.zeros_(self.value_proj.bias)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        distribution: Tensor,
        references: Tensor,
        shapes: Sequence[tuple[int, int]],
        return_update: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Read the volume.

        Args:
            query: (B, Q, C). memory: (B, S, C). distribution: (B, S, D). shapes: (height, width) of each level.
            references: (B, Q, Z, 3) as (x, y, z) fractions; z = (depth - first depth) / (last depth - first depth).
            return_update: also return (B, Q, heads, 1), how much depth evidence each head met.

        Returns:
            (B, Q, C).
        """
        batch, queries, _ = query.shape
        anchors, bins = references.shape[2], distribution.shape[-1]
        layout = (batch, queries, self.heads, self.levels, self.points // anchors, anchors)
        offsets = torch.cat((self.offsets(query).view(*layout, 2), self.depth_offsets(query).view(*layout, 1)), -1)
        size = query.new_tensor([[w, h, bins] for h, w in shapes])[:, None, None]
        locations = (references[:, :, None, None, None] + offsets / size).flatten(4, 5)
        weights = self.weights(query).unflatten(-1, (self.heads, -1)).softmax(-1)
        weights = weights.view(batch, queries, self.heads, self.levels, self.points)
        value = self.value_proj(memory).unflatten(-1, (self.heads, -1))
        if not return_update:
            return deformable_attention_3d(value, distribution, shapes, locations, weights)
        out, scores = deformable_attention_3d(value, distribution, shapes, locations, weights, return_scores=True)
        update = (scores.mean(-1) * weights).sum((-2, -1))
        return out, update[..., None]


class DepthAttention(nn.Module):
    """`DepthConsistentAttention` with DFA3D inside: the same call, so that a model can exchange them."""

    def __init__(self, dim: int, heads: int = 8, points: int = 8, anchors: int = 4, levels: int = 1) -> None:
        super().__init__()
        if points % anchors:
            raise RecipeError(f"anchors must divide points; found {points} points, {anchors} anchors")
        self.attention = DeformableAttention3D(dim, heads, levels, points)
        self.output_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.output_proj.weight)
        nn.init.zeros_(self.output_proj.bias)

    def forward(
        self,
        query: Tensor,
        position: Tensor,
        features: Sequence[Tensor],
        cells: VisibleCells,
        distribution: Tensor,
        axis: DepthAxis,
        factor: Tensor | None = None,
    ) -> Tensor:
        """See `DepthConsistentAttention.forward`; all levels share one distribution's pixels, so there is one level."""
        batch, cameras, _ = cells.index.shape
        chosen = cells.gather(query + position).flatten(0, 1)
        z = (cells.depth - axis.start) / (axis.bins * axis.step)
        references = torch.cat((cells.pixels, z[..., None]), -1).flatten(0, 1).to(query.dtype)
        memory = torch.cat([level.flatten(3) for level in features], 3).flatten(0, 1).mT
        spread = distribution.flatten(3).flatten(0, 1).mT.to(memory.dtype)
        found = self.attention(chosen, memory, spread, references, [tuple(f.shape[-2:]) for f in features])
        if factor is not None:
            found = found * cells.gather(factor[..., None]).flatten(0, 1)
        found = found.unflatten(0, (batch, cameras))
        return query + self.output_proj(cells.scatter_mean(found, query.shape[1]))
