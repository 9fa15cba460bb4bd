"""Occupancy from the BEV: the plane is resampled to the voxels' columns, and each column's channels become its heights (channel to height).

Voxel volumes are (B, X, Y, Z) labels as Occ3D stores them: index order x, y, z in the ego frame; the last label is free space, 255 is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError
from perception.models.hydra.bev import conv_block
from perception.models.layers.precision import full_precision
from perception.ops.lift_splat import VoxelGrid

IGNORE = 255
CLASSES = 18  # of Occ3D, with free space
OCCUPANCY_LOSSES = {"focal": 1.0, "semantic": 1.0, "geometric": 1.0, "lovasz": 1.0}


class OccupancyHead(nn.Module):
    """BEV features -> logits of every voxel.

    Args:
        in_channels: of the BEV features, which lie on `bev_grid`.
        grid: the voxels.
        classes: labels with free space.
    """

    def __init__(
        self, in_channels: int, bev_grid: VoxelGrid, grid: VoxelGrid, classes: int = CLASSES, channels: int = 32
    ) -> None:
        super().__init__()
        self.bev_grid, self.grid, self.classes = bev_grid, grid, classes
        self.before = conv_block(in_channels, channels)
        self.after = conv_block(channels, channels)
        self.logits = nn.Conv2d(channels, classes * grid.shape[0], 1)

    def forward(self, bev: Tensor, bev_from_ego: Tensor) -> Tensor:
        """(B, C, Y, X), (B, 3, 3) -> (B, classes, Z, Y', X') logits in the EGO frame (the BEV augmentation is undone)."""
        x = self.before(bev)
        places = self._places(bev_from_ego)  # in float32, whatever x is
        x = F.grid_sample(x.float(), places, mode="bilinear", padding_mode="zeros", align_corners=False).to(x.dtype)
        x = self.after(x)
        # Heights before classes: in channels-last memory the classes of a voxel lie side by side, as the losses read them.
        weight = self.logits.weight.unflatten(0, (self.classes, -1)).transpose(0, 1).flatten(0, 1)
        bias = self.logits.bias.unflatten(0, (self.classes, -1)).mT.flatten()
        return F.conv2d(x, weight, bias).unflatten(1, (-1, self.classes)).transpose(1, 2)

    @full_precision
    def _places(self, bev_from_ego: Tensor) -> Tensor:
        _, rows, columns = self.grid.shape
        options = {"dtype": torch.float32, "device": bev_from_ego.device}
        x = (torch.arange(columns, **options) + 0.5) * self.grid.x[2] + self.grid.x[0]
        y = (torch.arange(rows, **options) + 0.5) * self.grid.y[2] + self.grid.y[0]
        y, x = torch.meshgrid(y, x, indexing="ij")
        ego = torch.stack((x, y), -1).view(1, -1, 2)
        there = ego @ bev_from_ego.float()[:, :2, :2].mT
        (x0, x1, _), (y0, y1, _) = self.bev_grid.x, self.bev_grid.y
        scaled = 2 * (there - there.new_tensor([x0, y0])) / there.new_tensor([x1 - x0, y1 - y0]) - 1
        return scaled.view(-1, rows, columns, 2)


def focal_weights(about: Mapping[str, Any]) -> Tensor:
    """(classes,) how much a voxel of each class counts in the focal loss, from what `HyDRa` takes as `occupancy`.

    Its ``weights``; else by its ``counts``, the voxels of each class in the training set, 1 / log(count + 1), so that rare classes count more; else 1.
    Raises `RecipeError` for another number of them than of classes.
    """
    classes = int(about.get("classes", CLASSES))
    if "weights" in about:
        weights = torch.tensor([float(v) for v in about["weights"]])
    elif "counts" in about:
        weights = 1 / torch.tensor(about["counts"], dtype=torch.float32).clamp(min=1).add(1).log()
    else:
        weights = torch.ones(classes)
    if len(weights) != classes:
        raise RecipeError(f"HyDRa's occupancy has {classes} classes; found {len(weights)} counts or weights")
    return weights


def occupancy_losses(
    logits: Tensor, target: Tensor, mask: Tensor | None, weights: Tensor, wanted: dict[str, float], gamma: float = 2.0
) -> dict[str, Tensor]:
    """Focal cross-entropy, semantic and geometric scene affinity (MonoScene), Lovasz softmax; those with a weight above 0.

    Args:
        logits: (B, classes, Z, Y, X). target: (B, X, Y, Z) labels. mask: (B, X, Y, Z) bool, voxels that count; None: all.
        weights: (classes,). wanted: weight of ``focal``, ``semantic``, ``geometric``, ``lovasz``.
    """
    target = target.transpose(1, 2)  # (B, Y, X, Z)
    counted = target != IGNORE
    if mask is not None:
        counted = counted & mask.transpose(1, 2)
    rows = logits.permute(0, 3, 4, 2, 1).reshape(
        -1, logits.shape[1]
    )  # one a voxel, without a copy as `OccupancyHead` lays them out
    chosen = rows.index_select(0, counted.flatten().nonzero().squeeze(1)).float()  # (V, classes)
    label = target[counted].long()
    if not len(label):
        return {name: logits.sum() * 0.0 for name, weight in wanted.items() if weight}
    log_probability = chosen.log_softmax(-1)
    losses = {}
    if wanted.get("focal"):
        own = log_probability.gather(1, label[:, None]).squeeze(1)
        weight = weights.to(own.device)[label]
        losses["focal"] = wanted["focal"] * (-weight * (1 - own.exp()) ** gamma * own).sum() / weight.sum()
    probability = log_probability.exp()
    if wanted.get("semantic"):
        losses["semantic"] = wanted["semantic"] * semantic_affinity(probability, label)
    if wanted.get("geometric"):
        losses["geometric"] = wanted["geometric"] * geometric_affinity(probability, label)
    if wanted.get("lovasz"):
        losses["lovasz"] = wanted["lovasz"] * lovasz_softmax(probability, label)
    return losses


def _negative_log(value: Tensor) -> Tensor:
    return -value.clamp(1e-6, 1.0).log()


def semantic_affinity(probability: Tensor, label: Tensor) -> Tensor:
    """Mean over the classes that occur of -log precision, -log recall and -log specificity (MonoScene, arXiv 2112.00726, eq. 3-5)."""
    classes = probability.shape[1]
    truth = F.one_hot(label, classes).to(probability.dtype)
    hit, said, there = (probability * truth).sum(0), probability.sum(0), truth.sum(0)
    absent = len(label) - there
    correct_no = ((1 - probability) * (1 - truth)).sum(0)
    loss = _negative_log(hit / said.clamp(min=1e-6)) + _negative_log(hit / there.clamp(min=1))
    loss = loss + torch.where(absent > 0, _negative_log(correct_no / absent.clamp(min=1)), 0.0)
    occurs = (there > 0).to(loss.dtype)
    return (loss * occurs).sum() / occurs.sum().clamp(min=1)


def geometric_affinity(probability: Tensor, label: Tensor) -> Tensor:
    """The same for occupied against free."""
    occupied = 1 - probability[:, -1]
    truth = (label != probability.shape[1] - 1).to(occupied.dtype)
    hit = (occupied * truth).sum()
    no = ((1 - occupied) * (1 - truth)).sum()
    return (
        _negative_log(hit / occupied.sum().clamp(min=1e-6))
        + _negative_log(hit / truth.sum().clamp(min=1))
        + _negative_log(no / (1 - truth).sum().clamp(min=1))
    )


def lovasz_softmax(probability: Tensor, label: Tensor) -> Tensor:
    """Convex surrogate of the Jaccard loss (arXiv 1705.08790), mean over the classes that occur."""
    classes = probability.shape[1]
    truth = F.one_hot(label, classes).to(probability.dtype)
    errors, order = (truth - probability).abs().sort(0, descending=True)
    sorted_truth = truth.gather(0, order)
    total = sorted_truth.sum(0)
    intersection = total - sorted_truth.cumsum(0)
    union = total + (1 - sorted_truth).cumsum(0)
    jaccard = 1 - intersection / union
    gradient = torch.cat((jaccard[:1], jaccard[1:] - jaccard[:-1]))
    occurs = (total > 0).to(probability.dtype)
    return ((errors * gradient.detach()).sum(0) * occurs).sum() / occurs.sum().clamp(min=1)
