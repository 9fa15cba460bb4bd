"""CenterPoint head (arXiv 2006.11275, section 4): each object is a peak on a BEV map of its class, with its properties read off at the peak.

Tasks are groups of classes that share properties; nuScenes' published grouping is `NUSCENES_TASKS`. Maps are (B, channels, Y, X): rows along y, columns along x.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError

NUSCENES_TASKS: tuple[tuple[str, ...], ...] = (
    ("car",),
    ("truck", "construction_vehicle"),
    ("bus", "trailer"),
    ("barrier",),
    ("motorcycle", "bicycle"),
    ("pedestrian", "traffic_cone"),
)
BRANCHES = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2}


class SeparateHead(nn.Module):
    """One small convolutional branch for each property."""

    def __init__(self, in_channels: int, channels: int, outputs: dict[str, int]) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
                    nn.BatchNorm2d(channels),
                    nn.ReLU(),
                    nn.Conv2d(channels, count, 3, padding=1),
                )
                for name, count in outputs.items()
            }
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: branch(x) for name, branch in self.branches.items()}


class CenterHead(nn.Module):
    """Shared convolution and one `SeparateHead` a task.

    Args:
        in_channels: of the BEV features.
        tasks: names of the classes, grouped. Labels count through the flattened groups.
        shared_channels, head_channels: widths.
    """

    def __init__(
        self,
        in_channels: int,
        tasks: Sequence[Sequence[str]] = NUSCENES_TASKS,
        shared_channels: int = 64,
        head_channels: int = 64,
    ) -> None:
        super().__init__()
        self.tasks = tuple(tuple(task) for task in tasks)
        self.classes = tuple(name for task in self.tasks for name in task)
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise RecipeError(
                f"a CenterPoint head needs classes that occur once each, grouped into tasks; found {self.tasks}"
            )
        self.shared = nn.Sequential(
            nn.Conv2d(in_channels, shared_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(shared_channels),
            nn.ReLU(),
        )
        self.heads = nn.ModuleList(
            SeparateHead(shared_channels, head_channels, {**BRANCHES, "heatmap": len(task)}) for task in self.tasks
        )
        for head in self.heads:
            nn.init.constant_(head.branches["heatmap"][-1].bias, -2.19)

    def forward(self, bev: Tensor) -> list[dict[str, Tensor]]:
        """(B, C, Y, X) -> for each task ``heatmap`` logits, ``reg``, ``height``, ``dim`` (logarithms), ``rot`` (sine, cosine), ``vel``."""
        x = self.shared(bev)
        return [head(x) for head in self.heads]


@dataclasses.dataclass(frozen=True)
class CenterGeometry:
    """Cells of the head's maps: lower corner and size of a cell along x and y, metres, and (rows, columns)."""

    lower: tuple[float, float]
    size: tuple[float, float]
    shape: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Detections:
    """Boxes of one sample: (K, 7) [x, y, z centre, l, w, h, yaw], (K, 2) velocity, (K,) scores, (K,) labels into the head's classes."""

    boxes: Tensor
    velocity: Tensor
    scores: Tensor
    labels: Tensor

    def take(self, rows: Tensor) -> Detections:
        """Some of the boxes."""
        return Detections(self.boxes[rows], self.velocity[rows], self.scores[rows], self.labels[rows])


@torch.no_grad()
def decode(
    outputs: Sequence[dict[str, Tensor]],
    tasks: Sequence[Sequence[str]],
    geometry: CenterGeometry,
    *,
    max_num: int = 500,
    score_threshold: float = 0.1,
    post_max: int = 500,
    min_radius: Sequence[float] | dict[str, float] = (4, 12, 10, 1, 0.85, 0.175),
    post_range: Sequence[float] = (-61.2, -61.2, -10.0, 61.2, 61.2, 10.0),
    squared_radius: bool = True,
    peaks: bool = False,
    max_log_size: float = 5.0,
) -> list[Detections]:
    """Read the boxes off the maps, in float32.

    Args:
        outputs: of `CenterHead`.
        max_num: peaks a task that are looked at; post_max: boxes a task that are kept.
        min_radius: circle NMS, a number for each task, or for each class by name (then boxes of different classes do not suppress each other).
        post_range: (x, y, z) lower and upper bounds of centres, metres.
        squared_radius: compare the SQUARED distance with the radius, as the published setting does; False compares the distance.
        peaks: keep only cells that are the maximum of their 3 x 3 neighbourhood.
        max_log_size: logarithms of sizes are cut here, so that an untrained network gives no infinite boxes.

    Returns:
        One `Detections` a sample, the tasks one after the other, each by descending score.
    """
    found: list[list[Detections]] = [[] for _ in outputs[0]["heatmap"]]
    first = 0
    for number, (task, maps) in enumerate(zip(tasks, outputs, strict=True)):
        radii = torch.tensor(  # of each class
            [min_radius.get(name, 0.0) if isinstance(min_radius, dict) else min_radius[number] for name in task],
            dtype=torch.float32,
            device=maps["heatmap"].device,
        )
        for b, seen in enumerate(_read_maps(maps, geometry, max_num, peaks, max_log_size)):
            limits = seen.boxes.new_tensor(post_range)
            inside = ((seen.boxes[:, :3] >= limits[:3]) & (seen.boxes[:, :3] <= limits[3:])).all(-1)
            seen = seen.take((inside & (seen.scores > score_threshold)).nonzero().squeeze(1))
            groups = seen.labels if isinstance(min_radius, dict) else None
            kept = circle_nms(seen.boxes[:, :2], radii[seen.labels], post_max, squared_radius, groups)
            kept = seen.take(kept)
            found[b].append(dataclasses.replace(kept, labels=kept.labels + first))
        first += len(task)
    names = [field.name for field in dataclasses.fields(Detections)]
    return [Detections(**{n: torch.cat([getattr(d, n) for d in parts]) for n in names}) for parts in found]


def _read_maps(
    maps: dict[str, Tensor], geometry: CenterGeometry, max_num: int, peaks: bool, max_log_size: float
) -> list[Detections]:
    """The `max_num` strongest cells of one task's maps in each sample, by descending score; labels within the task."""
    maps = {name: value.float() for name, value in maps.items()}
    heat = maps["heatmap"].sigmoid()
    if peaks:
        heat = heat * (F.max_pool2d(heat, 3, 1, 1) == heat)
    _, _, rows, columns = heat.shape
    count = min(max_num, rows * columns)
    score, at = heat.flatten(2).topk(count)  # (B, classes, count)
    score, best = score.flatten(1).topk(count)
    at = at.flatten(1).gather(1, best)
    table = torch.cat([maps[name] for name in BRANCHES], 1).flatten(2)  # (B, 10, Y X)
    values = table.gather(2, at[:, None].expand(-1, table.shape[1], -1)).mT  # (B, count, 10)
    column, row = at % columns, at // columns
    x = (column + values[..., 0]) * geometry.size[0] + geometry.lower[0]
    y = (row + values[..., 1]) * geometry.size[1] + geometry.lower[1]
    size = values[..., 3:6].clamp(max=max_log_size).exp()
    yaw = torch.atan2(values[..., 6], values[..., 7])
    boxes = torch.cat((torch.stack((x, y, values[..., 2]), -1), size, yaw[..., None]), -1)
    return [Detections(*parts) for parts in zip(boxes, values[..., 8:], score, best // count, strict=True)]


def circle_nms(
    centres: Tensor, radius: float | Tensor, post_max: int, squared: bool = True, groups: Tensor | None = None
) -> Tensor:
    """Indices of (K, 2) centres, given by descending score, that no kept earlier one of the same group lies within `radius` of.

    squared: `radius` is compared with the squared distance. radius: a number, or (K,).
    """
    difference = centres[:, None] - centres[None]
    distance = difference.square().sum(-1)
    if not squared:
        distance = distance.sqrt()
    limit = radius[:, None] if isinstance(radius, Tensor) else radius
    near = distance <= limit
    if groups is not None:
        near &= groups[:, None] == groups[None]
    near_rows = near.cpu().numpy()

    kept: list[int] = []
    suppressed = np.zeros(len(near_rows), bool)
    for i in range(len(near_rows)):
        if suppressed[i]:
            continue
        kept.append(i)
        if len(kept) == post_max:
            break
        suppressed |= near_rows[i]
    return torch.tensor(kept, dtype=torch.int64, device=centres.device)
