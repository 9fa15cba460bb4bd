"""Pictures of any size -> the network's size, as the recipes have it: scaled to the width, then cut (or filled) above."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from perception.models.hydra.radar import pad_points


def fit_picture(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 and its (3, 3) intrinsics -> picture of `size` (height, width) and its intrinsics; the lower edge stays."""
    import cv2

    height, width = size
    scale = width / image.shape[1]
    rows = max(1, round(image.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = image if (rows, width) == image.shape[:2] else cv2.resize(image, (width, rows), interpolation=method)
    shift = height - rows
    if shift <= 0:
        fitted = small[-shift:]
    else:
        fitted = np.concatenate([np.zeros((shift, width, 3), np.uint8), small])
    change = np.array([[scale, 0, 0], [0, rows / image.shape[0], shift], [0, 0, 1.0]])
    return np.ascontiguousarray(fitted), change @ matrix


def rig_inputs(rig: Any, size: tuple[int, int], radar: bool) -> dict[str, torch.Tensor]:
    """Arguments of `HyDRa.forward` (batch of 1) from a `perception.geometry.rig.Rig`."""
    fitted = [fit_picture(camera.image, camera.camera.matrix, size) for camera in rig.cameras]
    out = {
        "images": torch.from_numpy(np.stack([f[0] for f in fitted]).transpose(0, 3, 1, 2).copy())[None],
        "intrinsics": torch.from_numpy(np.stack([f[1] for f in fitted])).float()[None],
        "ego_from_camera": torch.from_numpy(np.stack([c.ego_from_camera for c in rig.cameras])).float()[None],
    }
    if radar:
        points = np.zeros((0, 8), np.float32) if rig.radar_points is None else rig.radar_points
        out["radar"], out["radar_mask"] = pad_points([torch.from_numpy(points.copy())], torch.device("cpu"))
    return out


def example_rigs(
    batch: int, cameras: int, size: tuple[int, int], radar: bool, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Arguments of `HyDRa.forward` for `batch` random rigs of cameras that look around from 1.5 m above the road; for tracing and tests."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    yaw = torch.arange(cameras) * (2 * math.pi / cameras)
    ahead = torch.stack((yaw.cos(), yaw.sin(), torch.zeros(cameras)), -1)
    right = torch.stack((yaw.sin(), -yaw.cos(), torch.zeros(cameras)), -1)
    pose = torch.eye(4).repeat(cameras, 1, 1)
    pose[:, :3, :3] = torch.stack((right, torch.tensor([0.0, 0.0, -1.0]).expand(cameras, 3), ahead), -1)
    pose[:, :3, 3] = ahead + torch.tensor([0.0, 0.0, 1.5])
    matrix = torch.tensor([[0.7 * width, 0, width / 2], [0, 0.7 * width, height / 2], [0, 0, 1.0]])
    out = {
        "images": torch.randint(0, 256, (batch, cameras, 3, height, width), generator=generator, dtype=torch.uint8),
        "intrinsics": matrix.repeat(batch, cameras, 1, 1),
        "ego_from_camera": pose.repeat(batch, 1, 1, 1),
    }
    if radar:
        spread = torch.tensor([25.0, 25, 0.5, 8, 4, 4, 0, 0.1])
        out["radar"] = torch.randn(batch, 90 + 10 * seed, 8, generator=generator) * spread
        out["radar_mask"] = torch.rand(batch, 90 + 10 * seed, generator=generator) < 0.8
    return out
