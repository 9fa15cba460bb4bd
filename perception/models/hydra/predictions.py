"""What the network found as results: boxes in the ego frame, coloured voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from perception.models.hydra.attributes import attributes_of
from perception.models.hydra.bev_frame import move_boxes
from perception.models.hydra.centerpoint import CenterGeometry, Detections, decode
from perception.ops.lift_splat import VoxelGrid

MARGIN = 10.0  # metres around the BEV, and above and below the vehicle, within which a centre may lie


class HydraPostprocess:
    """`HyDRa.forward`'s outputs -> one `RigPrediction` a sample.

    Args:
        classes: names of the data set's labels. tasks: classes of the CenterPoint head, grouped; geometry: cells of its maps; grid: the BEV.
        voxels: of the occupancy, where there is one.
        score_thresholds: least score by class name, beside the one in `decoding`.
        **decoding: see `decode`.
    """

    def __init__(
        self,
        classes: Sequence[str],
        tasks: Sequence[Sequence[str]],
        geometry: CenterGeometry,
        grid: VoxelGrid,
        voxels: VoxelGrid | None,
        score_thresholds: Mapping[str, float] | None = None,
        **decoding: Any,
    ) -> None:
        self.classes, self.tasks, self.geometry, self.voxels = tuple(classes), tasks, geometry, voxels
        self.score_thresholds = dict(score_thresholds or {})
        lower = (grid.x[0] - MARGIN, grid.y[0] - MARGIN, -MARGIN)
        self.decoding = {**decoding, "post_range": (*lower, grid.x[1] + MARGIN, grid.y[1] + MARGIN, MARGIN)}

    @torch.no_grad()
    def __call__(self, outputs: Mapping[str, Any]) -> list[Any]:
        """Boxes with velocities and attributes in the ego frame, and occupancy labels."""
        from perception.results.rig import RigPrediction

        found = decode(outputs["heads"], self.tasks, self.geometry, **self.decoding)
        boxes = [self._boxes(*one) for one in zip(found, outputs["bev_from_ego"], strict=True)]
        voxels: list[Any] = [None] * len(boxes)
        if "occupancy" in outputs:
            voxels = [self._occupancy(labels) for labels in outputs["occupancy"].argmax(1)]
        return [RigPrediction(boxes3d=b, occupancy=v) for b, v in zip(boxes, voxels, strict=True)]

    def _boxes(self, detection: Detections, bev_from_ego: Tensor) -> Any:
        """`Boxes3DResult` in the ego frame; boxes below their class's score are left out."""
        from perception.results.boxes import Boxes3DResult

        boxes, velocity = move_boxes(detection.boxes, detection.velocity, torch.linalg.inv(bev_from_ego.float()))
        head_classes = [name for task in self.tasks for name in task]
        names = [head_classes[int(k)] for k in detection.labels]
        held = Boxes3DResult(
            boxes=boxes.cpu().numpy(),
            labels=[self.classes.index(name) for name in names],
            scores=detection.scores.cpu().numpy(),
            frame="ego",
            class_names=self.classes,
            velocity=velocity.cpu().numpy(),
            attributes=attributes_of(names, velocity.cpu().numpy()),
        )
        least = self.score_thresholds
        return held[held.scores >= [least.get(name, 0.0) for name in held.names]] if least else held

    def _occupancy(self, labels: Tensor) -> Any:
        """`OccupancyResult` of (Z, Y, X) labels."""
        from perception.results.occupancy import OccupancyResult

        return OccupancyResult(
            labels.permute(2, 1, 0).to(torch.uint8).cpu().numpy(), self.voxels.lower, self.voxels.size
        )
