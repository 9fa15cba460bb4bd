"""One-to-one assignment of queries to objects, within each group of queries (DETR, section 3.1; MonoDETR, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from perception.models.monodetr.targets import MonoTargets

FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0


def edges(boxes: Tensor) -> Tensor:
    """(..., 6) (cx, cy, l, r, t, b) -> (..., 4) (left, top, right, bottom)."""
    cx, cy, left, right, top, bottom = boxes.unbind(-1)
    return torch.stack((cx - left, cy - top, cx + right, cy + bottom), -1)


def generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """GIoU of (..., 4) boxes (left, top, right, bottom), shapes broadcast: (...), from -1 to 1."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    overlap = (high - low).clamp(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - overlap
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    # Boxes of no extent have no union: their quotient counts as 0 instead of NaN.
    tiny = torch.finfo(union.dtype).tiny
    return overlap / union.clamp(min=tiny) - (hull - union) / hull.clamp(min=tiny)


class GroupMatcher:
    """Hungarian matching on class, 3D centre, box sides and GIoU; depth, size and heading take no part."""

    def __init__(
        self, class_cost: float = 2, centre_cost: float = 10, sides_cost: float = 5, giou_cost: float = 2
    ) -> None:
        self.class_cost, self.centre_cost, self.sides_cost, self.giou_cost = (
            class_cost,
            centre_cost,
            sides_cost,
            giou_cost,
        )

    @torch.no_grad()
    def costs(self, outputs: dict[str, Tensor], targets: MonoTargets) -> Tensor:
        """(B, Q, N) cost of giving object n to query q; objects that are padding cost anything."""
        p = outputs["logits"].float().sigmoid()
        found = FOCAL_ALPHA * (1 - p) ** FOCAL_GAMMA * -(p + 1e-8).log()
        missed = (1 - FOCAL_ALPHA) * p**FOCAL_GAMMA * -(1 - p + 1e-8).log()
        labels = targets.labels.clamp(max=p.shape[-1] - 1)
        by_class = (found - missed).gather(2, labels[:, None].expand(-1, p.shape[1], -1))
        boxes = outputs["boxes"].float()
        distance = (boxes[:, :, None] - targets.boxes[:, None]).abs()  # (B, Q, N, 6)
        giou = generalised_iou(edges(boxes)[:, :, None], edges(targets.boxes)[:, None])
        return (
            self.class_cost * by_class
            + self.centre_cost * distance[..., :2].sum(-1)
            + self.sides_cost * distance[..., 2:].sum(-1)
            - self.giou_cost * giou
        )

    @torch.no_grad()
    def __call__(
        self, layers: Sequence[dict[str, Tensor]], targets: MonoTargets, groups: int
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Match every decoder layer with one copy to the host.

        Returns:
            For each layer int64 indices (picture, query, object) of all pairs: pictures in order, in each the groups in order.
        """
        from scipy.optimize import linear_sum_assignment

        counts = targets.counts
        costs = torch.stack([self.costs(outputs, targets) for outputs in layers])
        # A query that became NaN must not stop the run: it takes the worst place instead.
        costs = costs.nan_to_num(1e9, 1e9, -1e9).cpu().numpy()
        size = costs.shape[2] // groups
        matches = []
        for layer in costs:
            pictures, queries, objects = [], [], []
            for picture, count in enumerate(counts):
                for group in range(groups if count else 0):
                    rows, columns = linear_sum_assignment(layer[picture, group * size : (group + 1) * size, :count])
                    pictures.append(np.full_like(rows, picture))
                    queries.append(rows + group * size)
                    objects.append(columns)
            indices = (np.concatenate(x) if x else np.zeros(0, np.int64) for x in (pictures, queries, objects))
            device = targets.boxes.device
            matches.append(tuple(torch.from_numpy(x.astype(np.int64)).to(device) for x in indices))
        return matches
