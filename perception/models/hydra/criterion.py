"""HyDRa's training objective: CenterPoint's losses, the depth distribution's, and the occupancy's, weighted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perception.errors import RecipeError
from perception.models.hydra.bev_frame import move_boxes
from perception.models.hydra.calibration import DepthAxis
from perception.models.hydra.centerpoint import CenterGeometry
from perception.models.hydra.centerpoint_targets import CODE_WEIGHTS, center_losses, center_targets
from perception.models.hydra.depth_loss import depth_bins, depth_loss, nearest_depth
from perception.models.hydra.occupancy import OCCUPANCY_LOSSES, focal_weights, occupancy_losses
from perception.options import with_changes

LOSS_WEIGHTS = {"heatmap": 1.0, "box": 0.25, "depth": 3.0, "occupancy": 1.0}


class HydraCriterion(nn.Module):
    """Losses of `HyDRa.forward`'s outputs against a batch.

    Args:
        classes: names of the data set's labels, in their order. tasks: classes of the CenterPoint head, grouped; geometry: cells of its maps.
        axis, convention: of the depth bins, see `calibration`.
        weights: changes to `LOSS_WEIGHTS`; a loss of weight 0 is not computed, but for the head's.
        code_weights: of the ten numbers of a box. overlap, min_radius: of the peaks in the heat maps, see `center_targets`.
        class_weights: how much objects of a class count, by its name, 1 where not named. velocity_beta: m/s, see `center_losses`.
        occupancy: as `HyDRa` takes it.

    It holds no parameters, and nothing of it is saved. Raises `RecipeError` for names that do not exist.
    """

    def __init__(
        self,
        classes: Sequence[str],
        tasks: Sequence[Sequence[str]],
        geometry: CenterGeometry,
        axis: DepthAxis,
        convention: str,
        weights: Mapping[str, float] | None = None,
        code_weights: Sequence[float] = CODE_WEIGHTS,
        overlap: float = 0.1,
        min_radius: int = 2,
        class_weights: Mapping[str, float] | None = None,
        velocity_beta: float = 0.0,
        occupancy: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.tasks, self.geometry, self.axis, self.convention = tasks, geometry, axis, convention
        self.weights = with_changes("the loss weights", LOSS_WEIGHTS, weights)
        self.code_weights, self.overlap, self.min_radius = tuple(code_weights), overlap, int(min_radius)
        self.velocity_beta = float(velocity_beta)
        place = {name: i for i, name in enumerate(name for task in tasks for name in task)}
        if missing := [name for name in place if name not in classes]:
            raise RecipeError(f"the head's class {missing[0]!r} is not one of the data set's {tuple(classes)}")
        of_class = with_changes("the box_class_weights of HyDRa's head", dict.fromkeys(place, 1.0), class_weights)
        self.class_weights = [[float(of_class[name]) for name in task] for task in tasks] if class_weights else None
        head_label = torch.tensor([place.get(name, -1) for name in classes])
        self.register_buffer("head_label", head_label, persistent=False)
        if occupancy is not None:
            self.register_buffer("occupancy_weights", focal_weights(occupancy), persistent=False)
            self.occupancy_losses = dict(occupancy.get("losses", OCCUPANCY_LOSSES))

    def forward(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Weighted losses; what the batch must hold, see `HyDRa.loss`."""
        losses = self.head_losses(outputs, batch)
        if "camera_depth" in batch and self.weights["depth"]:
            losses["depth"] = self.weights["depth"] * self.depth_loss(outputs["depth"], batch)
        if "occupancy" in outputs and "occupancy" in batch and self.weights["occupancy"]:
            found = self.occupancy_loss(outputs["occupancy"], batch)
            losses |= {f"occupancy_{name}": self.weights["occupancy"] * value for name, value in found.items()}
        return losses

    def head_losses(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Weighted ``heatmap`` and ``box`` losses, objects moved to the BEV frame."""
        device = self.head_label.device
        boxes, speeds, labels = [], [], []
        samples = zip(batch["boxes3d"], batch["velocity"], batch["labels3d"], outputs["bev_from_ego"], strict=True)
        for box, speed, label, bev_from_ego in samples:
            box, speed = move_boxes(box.to(device).float(), speed.to(device).float(), bev_from_ego)
            boxes.append(box)
            speeds.append(speed)
            labels.append(self.head_label[label.to(device).long()])
        targets = center_targets(
            boxes, labels, speeds, self.tasks, self.geometry, self.overlap, self.min_radius, device
        )
        found = center_losses(outputs["heads"], targets, self.code_weights, self.class_weights, self.velocity_beta)
        return {name: self.weights[name] * value for name, value in found.items()}

    def depth_loss(self, depth: Tensor, batch: Mapping[str, Any]) -> Tensor:
        """Of (B, N, D, h, w) probabilities, at the nearest point of each cell."""
        truth = batch["camera_depth"].to(depth.device).float()
        near = nearest_depth(truth, batch["camera_depth_valid"].to(depth.device), tuple(depth.shape[-2:]))
        return depth_loss(depth.float(), depth_bins(near, self.axis, self.convention))

    def occupancy_loss(self, logits: Tensor, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Each of `occupancy_losses`, of the voxels that a camera sees where the batch says which."""
        mask = batch.get("occupancy_mask_camera")
        mask = None if mask is None else mask.to(logits.device)
        target = batch["occupancy"].to(logits.device)
        return occupancy_losses(logits, target, mask, self.occupancy_weights, self.occupancy_losses)
