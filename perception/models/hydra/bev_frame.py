"""Boxes between the ego frame and the BEV frame, which augmentation turns, mirrors and scales."""

from __future__ import annotations

import torch
from torch import Tensor

from perception.models.layers.precision import full_precision


def move_boxes(boxes: Tensor, velocity: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (N, 7) and velocities (N, 2) after the linear map `turn` (3, 3) of the ground plane: rotation, flips and one scale for all axes."""
    scale = torch.linalg.det(turn).abs() ** (1 / 3)
    centres = boxes[:, :3] @ turn.mT
    heading = torch.stack((boxes[:, 6].cos(), boxes[:, 6].sin()), -1) @ turn[:2, :2].mT
    yaw = torch.atan2(heading[:, 1], heading[:, 0])
    return (
        torch.cat((centres, boxes[:, 3:6] * scale, yaw[:, None]), -1),
        velocity @ turn[:2, :2].mT,
    )


@full_precision
def motion_in_bev(past_from_now: Tensor, bev_from_ego: Tensor) -> Tensor:
    """The motion between two ego frames as one between their BEV frames, (B, 4, 4)."""
    outer = torch.eye(4, dtype=past_from_now.dtype, device=past_from_now.device).repeat(len(past_from_now), 1, 1)
    outer[:, :3, :3] = bev_from_ego
    return outer @ past_from_now @ torch.linalg.inv(outer)
