"""Multi-scale deformable attention as a layer (Deformable DETR, section 4.1), with one projection for offsets and weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from perception.errors import RecipeError
from perception.ops.constants import cached_constants
from perception.ops.deformable_attention import Shapes, deformable_attention


class MultiScaleDeformableAttention(nn.Module):
    """Every head of every query reads `points` samples of each of `levels` maps.

    References with 2 numbers are points (offsets count in pixels of the level); with 6 numbers (cx, cy, l, r, t, b) they are boxes around a point
    (offsets count in fractions of half the box, as MonoDETR does).
    """

    def __init__(self, dim: int = 256, heads: int = 8, levels: int = 4, points: int = 4) -> None:
        super().__init__()
        if dim % heads:
            raise RecipeError(f"deformable attention needs a width divisible by its heads; found {dim} and {heads}")
        self.heads, self.levels, self.points = heads, levels, points
        self.samples = heads * levels * points
        self.sampling = nn.Linear(dim, 3 * self.samples)  # first the offsets (head, level, point, xy), then the weights
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with the heads looking into as many directions, point k at k pixels, all with the same weight."""
        nn.init.zeros_(self.sampling.weight)
        nn.init.zeros_(self.sampling.bias)
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        direction = torch.stack((angle.cos(), angle.sin()), -1)
        direction = direction / direction.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1, dtype=torch.float32)
        offsets = direction[:, None, None] * steps[:, None]  # (heads, 1, points, 2)
        with torch.no_grad():
            self.sampling.bias[: 2 * self.samples] = offsets.expand(-1, self.levels, -1, -1).reshape(-1)
        for projection in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(self, query: Tensor, references: Tensor, memory: Tensor, shapes: Shapes) -> Tensor:
        """Read the memory around the references.

        Args:
            query: (B, Q, dim), position included.
            references: (B or 1, Q, 2) points or (B or 1, Q, 6) boxes around points, fractions of the picture.
            memory: (B, S, dim), the levels' pixels one level after the other.
            shapes: (height, width) of each level.

        Returns:
            (B, Q, dim).
        """
        batch, queries, _ = query.shape
        layout = (batch, queries, self.heads, self.levels, self.points)
        sampling = self.sampling(query)
        offsets = sampling[..., : 2 * self.samples].reshape(*layout, 2)
        weights = sampling[..., 2 * self.samples :].reshape(batch, queries, self.heads, -1).softmax(-1).reshape(layout)
        centre = references[:, :, None, None, None, :2]
        if references.shape[-1] == 2:
            scale = _pixel_sizes(tuple((int(h), int(w)) for h, w in shapes), query.device).to(references.dtype)
        else:
            extent = references[..., 2::2] + references[..., 3::2]  # (B, Q, 2): l + r, t + b
            scale = (extent * (0.5 / self.points))[:, :, None, None, None]
        locations = centre + offsets * scale
        value = self.value_proj(memory).unflatten(-1, (self.heads, -1))
        return self.output_proj(deformable_attention(value, shapes, locations, weights))


@cached_constants(maxsize=32)
def _pixel_sizes(shapes: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    """(L, 1, 2): width and height of a pixel of each level, fractions of the picture."""
    return torch.tensor([[[1 / w, 1 / h]] for h, w in shapes], dtype=torch.float32, device=device)
