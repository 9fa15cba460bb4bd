"""What the network found as results: boxes in the ego frame, coloured voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from perception.models.hydra.attributes import attributes_of
from perception.models.hydra.bev_frame import move_boxes
from perception.models.hydra.centerpoint import Detections
from perception.ops.lift_splat import VoxelGrid


def boxes_result(
    detection: Detections,
    bev_from_ego: Tensor,
    head_classes: Sequence[str],
    classes: Sequence[str],
    least: Mapping[str, float],
) -> Any:
    """`Boxes3DResult` in the ego frame, labels into `classes`; boxes below their class's score in `least` are left out."""
    from perception.results.boxes import Boxes3DResult

    boxes, velocity = move_boxes(detection.boxes, detection.velocity, torch.linalg.inv(bev_from_ego.float()))
    names = [head_classes[int(k)] for k in detection.labels]
    held = Boxes3DResult(
        boxes=boxes.cpu().numpy(),
        labels=[classes.index(name) for name in names],
        scores=detection.scores.cpu().numpy(),
        frame="ego",
        class_names=tuple(classes),
        velocity=velocity.cpu().numpy(),
        attributes=attributes_of(names, velocity.cpu().numpy()),
    )
    return held[held.scores >= [least.get(name, 0.0) for name in held.names]] if least else held


def occupancy_result(labels: Tensor, voxels: VoxelGrid) -> Any:
    """`OccupancyResult` of (X, Y, Z) labels."""
    from perception.results.occupancy import OccupancyResult

    return OccupancyResult(labels.to(torch.uint8).cpu().numpy(), voxels.lower, voxels.size)
