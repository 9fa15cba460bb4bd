"""What a CenterPoint head should say: heat maps of Gaussians, properties at the centres; and its losses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from perception.models.hydra.centerpoint import BRANCHES, CenterGeometry
from perception.models.layers.gaussian_focal import gaussian_focal_loss

CODE_WEIGHTS = (1.0,) * 10


def gaussian_radius(width: Tensor, height: Tensor, overlap: float = 0.1, convention: str = "official") -> Tensor:
    """Radius within which a shifted box still overlaps a (width, height) box by `overlap` (IoU), in the units of the sizes.

    "official" divides the roots of all three quadratic equations by 2, as CornerNet's code and everything after it does; "exact" by 2a.
    """
    area, around = width * height, width + height
    one = (1.0, around, area * (1 - overlap) / (1 + overlap))
    two = (4.0, 2 * around, (1 - overlap) * area)
    three = (4 * overlap, -2 * overlap * around, (overlap - 1) * area)
    official = convention == "official"
    roots = []
    for index, (a, b, c) in enumerate((one, two, three)):
        root = (b * b - 4 * a * c).clamp(min=0).sqrt()
        if official:
            roots.append((b + root) / 2)
        else:  # the small root of the first two, the positive one of the third
            roots.append((b - root) / (2 * a) if index < 2 else (b + root) / (2 * a))
    return torch.stack(roots).amin(0)


def draw_gaussians(maps: Tensor, plane: Tensor, row: Tensor, column: Tensor, radius: Tensor) -> Tensor:
    """Maximum of Gaussians (sigma = (2 r + 1) / 6, cut to a square of radius r) on (P, Y, X) planes; K objects: plane, row, column, radius (K,)."""
    planes, rows, columns = maps.shape
    if not len(plane):
        return maps
    dy = torch.arange(rows, device=maps.device) - row[:, None]  # (K, Y)
    dx = torch.arange(columns, device=maps.device) - column[:, None]
    sigma = (2 * radius.to(maps.dtype) + 1) / 6
    along = torch.exp(-(dx.to(maps.dtype) ** 2) / (2 * sigma[:, None] ** 2)) * (dx.abs() <= radius[:, None])
    across = torch.exp(-(dy.to(maps.dtype) ** 2) / (2 * sigma[:, None] ** 2)) * (dy.abs() <= radius[:, None])
    drawn = (across[:, :, None] * along[:, None]).flatten(1)  # (K, Y X)
    out = maps.flatten(1).scatter_reduce(0, plane[:, None].expand_as(drawn), drawn, "amax")
    return out.view(planes, rows, columns)


@dataclasses.dataclass(frozen=True)
class CenterTargets:
    """Of one task: heatmap (B, classes, Y, X); batch, cell (K,): where the objects' centres are; values (K, 10) in the order of `BRANCHES`, NaN unknown;
    label (K,) class within the task."""

    heatmap: Tensor
    batch: Tensor
    cell: Tensor
    values: Tensor
    label: Tensor


@torch.no_grad()
def center_targets(
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    velocity: Sequence[Tensor],
    tasks: Sequence[Sequence[str]],
    geometry: CenterGeometry,
    overlap: float = 0.1,
    min_radius: int = 2,
    device: torch.device | None = None,
) -> list[CenterTargets]:
    """Encode the objects of B samples.

    Args:
        boxes, velocity: (N, 7) and (N, 2) of each sample, BEV frame. labels: (N,) into the flattened `tasks`; others are left out.
    """
    device = device or (boxes[0].device if boxes else torch.device("cpu"))
    sample = torch.cat([torch.full((len(b),), i, dtype=torch.int64) for i, b in enumerate(boxes)]).to(device)
    box = torch.cat([b.to(device).float() for b in boxes])
    label = torch.cat([x.to(device).long() for x in labels])
    speed = torch.cat([x.to(device).float() for x in velocity])
    rows, columns = geometry.shape
    x = (box[:, 0] - geometry.lower[0]) / geometry.size[0]
    y = (box[:, 1] - geometry.lower[1]) / geometry.size[1]
    column, row = x.floor().long(), y.floor().long()
    total = sum(len(task) for task in tasks)
    good = (box[:, 3:6] > 0).all(1) & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    good &= (label >= 0) & (label < total)
    # The box's own length and width, not its footprint along the axes, as published.
    radius = gaussian_radius(box[:, 3] / geometry.size[0], box[:, 4] / geometry.size[1], overlap)
    radius = radius.floor().long().clamp(min=min_radius)
    values = torch.cat(
        (
            torch.stack((x - column, y - row, box[:, 2]), -1),
            box[:, 3:6].clamp(min=1e-3).log(),
            torch.stack((box[:, 6].sin(), box[:, 6].cos()), -1),
            speed,
        ),
        -1,
    )
    out, first = [], 0
    for task in tasks:
        own = (good & (label >= first) & (label < first + len(task))).nonzero().squeeze(1)
        maps = box.new_zeros(len(boxes) * len(task), rows, columns)
        plane = sample[own] * len(task) + label[own] - first
        maps = draw_gaussians(maps, plane, row[own], column[own], radius[own])
        cell = row[own] * columns + column[own]
        maps = maps.view(len(boxes), len(task), rows, columns)
        out.append(CenterTargets(maps, sample[own], cell, values[own], label[own] - first))
        first += len(task)
    return out


def center_losses(
    outputs: Sequence[dict[str, Tensor]],
    targets: Sequence[CenterTargets],
    code_weights: Sequence[float] = CODE_WEIGHTS,
    class_weights: Sequence[Sequence[float]] | None = None,
    velocity_beta: float = 0.0,
) -> dict[str, Tensor]:
    """``heatmap`` and ``box`` losses, summed over the tasks; values that are unknown (NaN velocity) count nothing.

    class_weights: for each task those of its classes: how much an object counts in both losses. None: all the same.
    velocity_beta: m/s below which the error of a velocity counts as its square (over 2 beta). Most objects stand still, and the absolute error's best
        answer to doubt is then 0; the square's is the mean, from which velocities can be learnt.
    """
    heat = boxes = 0.0
    for number, (maps, target) in enumerate(zip(outputs, targets, strict=True)):
        weights = None if class_weights is None else target.heatmap.new_tensor(class_weights[number])
        heat = heat + gaussian_focal_loss(maps["heatmap"].float(), target.heatmap, weights=weights)
        table = torch.cat([maps[name] for name in BRANCHES], 1).float().flatten(2)
        found = table[target.batch, :, target.cell]  # (K, 10)
        known = ~target.values.isnan()
        difference = torch.where(known, (found - target.values.nan_to_num()).abs(), 0.0)
        if velocity_beta > 0:
            slow = difference[:, -2:]
            slow = torch.where(slow < velocity_beta, slow.square() / (2 * velocity_beta), slow - velocity_beta / 2)
            difference = torch.cat((difference[:, :-2], slow), -1)
        each = (difference * difference.new_tensor(code_weights)).sum(-1)
        if weights is None:
            boxes = boxes + each.sum() / max(1, len(each))
        else:
            own = weights[target.label]
            boxes = boxes + (each * own).sum() / own.sum().clamp(min=1)
    return {"heatmap": heat, "box": boxes}
