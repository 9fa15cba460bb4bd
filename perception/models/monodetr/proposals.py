"""Queries that start at objects: peaks of a heat map of projected 3D centres. Not in the MonoDETR paper, where queries learn fixed places.

A transformer with learnt places needs hundreds of passes over the data until its queries find objects; a heat map finds them within a few (CenterNet,
arXiv 1904.07850; as the start of queries: TransFusion, arXiv 2203.11496, section 3.2). For small budgets and for training without pretrained weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.layers.gaussian_focal import gaussian_focal_loss
from perception.models.monodetr.matcher import edges, generalised_iou
from perception.models.monodetr.targets import MonoTargets

JITTER = 0.15  # shifts of the start boxes of the further groups in training, as a share of the boxes' size


class CentreProposals(nn.Module):
    """Heat map of centres and a 2D box at each cell, on the finest level of the encoder's memory; the best peaks become the queries' first boxes.

    Args:
        dim: width of the memory and of the queries.
        num_classes: classes, one heat map each.
    """

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(dim, dim, 3, padding=1)
        self.heat = nn.Conv2d(dim, num_classes, 1)
        self.box = nn.Conv2d(dim, 6, 1)
        self.content = nn.Linear(dim, dim)
        nn.init.constant_(self.heat.bias, -math.log(99))
        nn.init.normal_(self.heat.weight, std=0.01)
        nn.init.zeros_(self.box.weight)
        nn.init.zeros_(self.box.bias)
        with torch.no_grad():
            self.box.bias[2:] = -3.0

    def forward(self, memory: Tensor, shape: tuple[int, int]) -> dict[str, Tensor]:
        """Read the finest level.

        Args:
            memory: (B, S, dim) with the finest level first.
            shape: its (height, width).

        Returns:
            ``heat`` (B, classes, h, w) logits; ``boxes`` (B, h w, 6) as (cx, cy, l, r, t, b), fractions, the centre within one cell of the cell's own;
            ``tokens`` (B, h w, dim), what was read.
        """
        height, width = shape
        tokens = memory[:, : height * width]
        x = F.relu(self.mix(tokens.transpose(1, 2).unflatten(2, (height, width))))
        raw = self.box(x).flatten(2).transpose(1, 2).float()
        row = (torch.arange(height, device=x.device) + 0.5).repeat_interleave(width)
        column = (torch.arange(width, device=x.device) + 0.5).repeat(height)
        offset = raw[..., :2].tanh()
        centre = torch.stack(((column + offset[..., 0]) / width, (row + offset[..., 1]) / height), -1)
        boxes = torch.cat((centre, raw[..., 2:].sigmoid()), -1)
        return {"heat": self.heat(x).float(), "boxes": boxes, "tokens": x.flatten(2).transpose(1, 2)}

    def start(self, maps: dict[str, Tensor], queries: int, groups: int) -> tuple[Tensor, Tensor]:
        """Choose the queries.

        Args:
            maps: of `forward`. queries: in each group. groups: all start at the same peaks; in training the boxes of all but the first are jittered,
                so that the decoder learns to repair them.

        Returns:
            boxes (B, groups Q, 6) and content (B, groups Q, dim); no gradient goes through the choice or the boxes.
        """
        heat = maps["heat"].detach().sigmoid()
        peaks = torch.where(
            heat >= F.max_pool2d(heat, 3, 1, 1), heat, heat * 1e-3
        )  # no peak: only when there are too few
        best = peaks.amax(1).flatten(1)
        wanted = min(queries, best.shape[1])
        index = best.topk(wanted, dim=1).indices
        if wanted < queries:
            index = index.repeat(1, -(-queries // wanted))[:, :queries]
        boxes = maps["boxes"].detach().gather(1, index[..., None].expand(-1, -1, 6))
        tokens = maps["tokens"].gather(1, index[..., None].expand(-1, -1, maps["tokens"].shape[-1]))
        content = self.content(tokens).repeat(1, groups, 1)
        boxes = boxes.repeat(1, groups, 1)
        if self.training and groups > 1:
            extent = torch.stack((boxes[..., 2] + boxes[..., 3], boxes[..., 4] + boxes[..., 5]), -1)
            noise = torch.randn_like(boxes) * JITTER * torch.cat((extent, extent[..., [0, 0, 1, 1]] * 0.5), -1)
            noise[:, :queries] = 0
            boxes = (boxes + noise).clamp(1e-3, 1 - 1e-3)
        return boxes, content


def proposal_losses(maps: dict[str, Tensor], targets: MonoTargets) -> dict[str, Tensor]:
    """Unweighted losses ``heat`` (penalty-reduced focal, CornerNet) and ``start`` (boxes at the cells of the objects' centres), each a mean over objects."""
    heat = maps["heat"]
    height, width = heat.shape[-2:]
    count = max(float(sum(targets.counts)), 1.0)
    wanted = centre_heat(targets, heat.shape[1], (height, width))
    picture, item = targets.valid.nonzero(as_tuple=True)
    true = targets.boxes[picture, item]
    cell = (true[:, 1] * height).long().clamp(max=height - 1) * width + (true[:, 0] * width).long().clamp(max=width - 1)
    boxes = maps["boxes"][picture, cell]
    distance = (boxes - true).abs().sum() + 0.2 * (1 - generalised_iou(edges(boxes), edges(true))).sum()
    return {"heat": gaussian_focal_loss(heat, wanted), "start": distance / count}


@torch.no_grad()
def centre_heat(targets: MonoTargets, classes: int, size: tuple[int, int]) -> Tensor:
    """(B, classes, h, w): 1 at the cell of each centre, around it a Gaussian with a sixth of the object's width and height as its deviations."""
    height, width = size
    u, v, left, right, top, bottom = targets.boxes.unbind(-1)  # (B, N)
    column, row = (u * width).long().clamp(0, width - 1), (v * height).long().clamp(0, height - 1)
    sigma_x = ((left + right) * width / 6).clamp(min=0.4)[..., None]
    sigma_y = ((top + bottom) * height / 6).clamp(min=0.4)[..., None]
    x = torch.arange(width, device=u.device) - column[..., None]
    y = torch.arange(height, device=u.device) - row[..., None]
    gauss = torch.exp(-0.5 * (y / sigma_y) ** 2)[..., None] * torch.exp(-0.5 * (x / sigma_x) ** 2)[..., None, :]
    gauss = gauss * targets.valid[..., None, None]
    heat = gauss.new_zeros(len(u), classes, height, width)
    labels = targets.labels.clamp(0, classes - 1)[..., None, None].expand_as(gauss)
    return heat.scatter_reduce_(1, labels, gauss, "amax")
