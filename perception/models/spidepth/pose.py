"""How the camera moved between two frames: a ResNet on both pictures, and its six numbers as a rigid transform."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from perception.models.trunks import build_backbone
from perception.models.video360.view_synthesis import rotation_from_axis_angle

SCALE = 0.01  # motions start small, so that the first warps stay inside the picture


class PoseNet(nn.Module):
    """Axis-angle and translation from two frames in the order of time.

    SPIdepth's finding is that a stronger pose network (`backbone`, or weights trained before) gives better depth.
    """

    def __init__(self, backbone: str | dict[str, Any] = "resnet18", width: int = 256, pretrained: bool = False) -> None:
        super().__init__()
        self.encoder = build_backbone(backbone, out_strides=(32,), in_channels=6, pretrained=pretrained)
        deep = self.encoder.channels[0]
        self.squeeze = nn.Conv2d(deep, width, 1)
        self.hidden = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.motion = nn.Conv2d(width, 6, 1)

    def forward(self, earlier: Tensor, later: Tensor) -> Tensor:
        """Two (B, 3, H, W) pictures 0..1 -> (B, 6): axis times angle [radians] and translation, later frame <- earlier frame, float32."""
        x = self.squeeze(self.encoder(torch.cat((earlier, later), 1))[-1]).relu()
        for layer in self.hidden:
            x = layer(x).relu()
        return SCALE * self.motion(x).float().mean((2, 3))


def transform_of(motion: Tensor, invert: bool = False) -> Tensor:
    """(..., 6) axis-angle and translation -> (..., 4, 4) rigid transform, or its inverse."""
    rotation = rotation_from_axis_angle(motion[..., :3])
    translation = motion[..., 3:, None]
    if invert:
        rotation = rotation.mT
        translation = -rotation @ translation
    top = torch.cat((rotation, translation), -1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 3] = 1
    return torch.cat((top, bottom), -2)


def scale_by_inverse_depth(motion: Tensor, depth: Tensor) -> Tensor:
    """(B, 6) motion with its translation times the mean inverse depth of (B, H, W): ties the scales of motion and depth in training on one camera."""
    factor = (1 / depth).mean((1, 2))[:, None]
    return torch.cat((motion[:, :3], motion[:, 3:] * factor), 1)
