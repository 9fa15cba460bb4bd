"""Token clustering and reconstruction for plain ViTs (Liang et al., "Expediting Large-Scale Vision Transformer for Dense Prediction without
Fine-tuning", NeurIPS 2022): after some block, H x W tokens become h x w cluster centres, the later blocks run on those alone, and the
reconstruction spreads their outputs over the original tokens again. Nothing is trained.

Tokens are (B, H*W, C), row-major, without class or register tokens; clusters are (B, h*w, C), row-major.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.errors import InputError
from perception.ops.constants import cached_constants

Grid = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Clustering:
    """What reconstruction needs: `tokens` (B, N, C) and `centres` (B, M, C) at the clustering point."""

    tokens: Tensor
    centres: Tensor

    def squared_distances(self) -> Tensor:
        """(B, N, M) squared Euclidean distance of every token to every centre, never below 0."""
        return squared_distances(self.tokens, self.centres)

    def hard_labels(self) -> Tensor:
        """(B, N) index of the nearest centre of all, without a window."""
        return self.squared_distances().argmin(-1)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(B, N, M) squared Euclidean distances between the rows of (B, N, C) and (B, M, C)."""
    return (a.square().sum(-1)[..., :, None] + b.square().sum(-1)[..., None, :] - 2 * a @ b.mT).clamp_min(0)


def cluster_tokens(
    tokens: Tensor, grid: Grid, clusters: Grid, iterations: int = 5, temperature: float = 0.02, window: int = 5
) -> Clustering:
    """Group the tokens of a feature map by windowed soft k-means.

    Args:
        tokens: (B, H*W, C).
        grid: (H, W).
        clusters: (h, w), at most the grid's size in each direction.
        iterations: updates of the centres.
        temperature: sharpness; a token's share of a centre is the softmax over centres of -temperature * squared distance.
        window: a token joins centres at most ``window // 2`` cells from its own cell, in rows and in columns.

    Raises `InputError` for sizes that do not fit.
    """
    batch, count, channels = tokens.shape
    if count != grid[0] * grid[1]:
        raise InputError(f"a grid of {grid[0]}x{grid[1]} has {grid[0] * grid[1]} tokens; found {count}")
    if not (1 <= clusters[0] <= grid[0] and 1 <= clusters[1] <= grid[1]):
        raise InputError(
            f"clusters should be between 1x1 and the grid's {grid[0]}x{grid[1]}; found {clusters[0]}x{clusters[1]}"
        )
    maps = tokens.mT.reshape(batch, channels, *grid)
    centres = F.adaptive_avg_pool2d(maps, clusters).flatten(2).mT
    outside = _outside_window(grid, clusters, window // 2, tokens.device)
    for _ in range(iterations):
        distance = squared_distances(tokens, centres)
        distance = distance.masked_fill(outside, torch.finfo(distance.dtype).max)  # no share of what is outside
        share = (-temperature * distance).softmax(-1).detach()  # (B, N, M)
        centres = share.mT @ tokens / share.sum(1).clamp_min(1e-16)[..., None]
    return Clustering(tokens, centres)


def reconstruct_tokens(
    processed: Tensor, clustering: Clustering, temperature: float = 0.02, neighbours: int = 20, normalise: str = "sum"
) -> Tensor:
    """Spread processed clusters (B, M, C') over the original tokens; returns (B, N, C').

    Args:
        neighbours: each token listens to its nearest centres, at most this many (ties are kept); fewer where there are fewer.
        normalise: "sum": weights of a token sum to 1, as the paper says; "l2": the row has unit Euclidean length, as the published code does
            (the weights then sum to more than 1); "nearest": copy the nearest centre.

    Raises `InputError` for another `normalise`.
    """
    if normalise == "nearest":
        index = clustering.hard_labels()[..., None].expand(-1, -1, processed.shape[-1])
        return processed.gather(1, index)
    if normalise not in ("sum", "l2"):
        raise InputError(f"normalise should be 'sum', 'l2' or 'nearest'; found {normalise!r}")
    logits = -temperature * clustering.squared_distances()
    weights = logits.exp() if normalise == "l2" else (logits - logits.amax(-1, keepdim=True)).exp()
    if 0 < neighbours < weights.shape[-1]:
        smallest = weights.topk(neighbours, dim=-1).values[..., -1:]
        weights = weights.masked_fill(weights < smallest, 0)
    return F.normalize(weights, p=2 if normalise == "l2" else 1, dim=-1) @ processed


@cached_constants(maxsize=32)
def _outside_window(grid: Grid, clusters: Grid, radius: int, device: torch.device) -> Tensor:
    """(N, M) bool: the centre lies more than `radius` cells from the cell that the token is in (nearest-neighbour upsampled cell index)."""
    offsets = []
    for length, cells in zip(grid, clusters, strict=True):
        home = torch.arange(length, device=device) * cells // length
        offsets.append((home[:, None] - torch.arange(cells, device=device)[None]).abs() > radius)  # (length, cells)
    rows, columns = offsets
    outside = rows[:, None, :, None] | columns[None, :, None, :]  # (H, W, h, w)
    return outside.reshape(grid[0] * grid[1], clusters[0] * clusters[1])
