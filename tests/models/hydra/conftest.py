"""A HyDRa small enough for a test, and a made-up rig."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.geometry.rig import Rig
from perception.models.registry import build_model

TINY = dict(
    type="HyDRa",
    backbone=dict(name="resnet10t", model_args=dict(channels=(8, 8, 16, 16), stem_width=8)),
    backbone_strides=(8, 16, 32),
    image_size=(32, 64),
    feature_stride=8,
    depth=(1.0, 33.0, 4.0),
    depth_options=dict(blocks=1, aspp=False),
    bev=dict(x=(-32.0, 32.0, 4.0), y=(-32.0, 32.0, 4.0)),
    radar_depth=(1.0, 33.0, 4.0),
    radar_layers=1,
    backward_options=dict(heads=2, points=4, anchors=2, ffn_ratio=1),
    widths=dict(image=16, mid=16, context=8, radar=8, bev=16, encoder=(16, 16), blocks=1, out=16, shared=16, head=8),
    tasks=(("car", "truck"), ("pedestrian",)),
    nms_radius=(4, 1),
    occupancy=dict(x=(-16.0, 16.0, 4.0), y=(-16.0, 16.0, 4.0), z=(-1.0, 5.0, 3.0), channels=8),
)


def poses(count: int) -> np.ndarray:
    """Cameras that look around, 1.5 m above the ground."""
    out = np.zeros((count, 4, 4))
    for i in range(count):
        yaw = 2 * np.pi * i / count
        ahead, left = np.array([np.cos(yaw), np.sin(yaw), 0]), np.array([-np.sin(yaw), np.cos(yaw), 0])
        out[i, :3, :3] = np.stack([-left, [0, 0, -1], ahead], 1)
        out[i, :3, 3] = (*ahead[:2], 1.5)
        out[i, 3, 3] = 1
    return out


def make_rig(cameras: int = 3, points: int = 40, seed: int = 0, **options) -> Rig:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (cameras, 48, 64, 3), dtype=np.uint8)
    matrix = np.array([[40.0, 0, 32], [0, 40, 24], [0, 0, 1]])
    cloud = None
    if points is not None:
        cloud = rng.normal(size=(points, 8)).astype(np.float32) * (12, 12, 0.1, 5, 3, 3, 0, 0)
    return Rig.from_arrays(images, np.stack([matrix] * cameras), poses(cameras), radar_points=cloud, **options)


@pytest.fixture(scope="session")
def tiny():
    torch.manual_seed(0)
    return build_model(TINY)


def make_batch(samples: int = 2, cameras: int = 3, history: int = 0, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    matrix = torch.tensor([[40.0, 0, 32], [0, 40, 16], [0, 0, 1]])

    def frame() -> dict:
        return {
            "images": torch.randint(0, 255, (samples, cameras, 3, 32, 64), dtype=torch.uint8),
            "intrinsics": matrix.expand(samples, cameras, 3, 3),
            "ego_from_camera": torch.from_numpy(poses(cameras)).float().expand(samples, -1, -1, -1),
            "radar_points": [
                torch.randn(30 + i, 8) * torch.tensor([12, 12, 0.1, 5, 3, 3, 0, 0]) for i in range(samples)
            ],
        }

    batch = frame()
    batch["boxes3d"] = [torch.tensor([[8.0 + i, -3, 0.8, 4, 2, 1.5, 0.4]]) for i in range(samples)]
    batch["velocity"] = [torch.tensor([[2.0, float("nan")]]) for _ in range(samples)]
    batch["labels3d"] = [torch.tensor([0]) for _ in range(samples)]
    batch["camera_depth"] = torch.rand(samples, cameras, 32, 64) * 40
    batch["camera_depth_valid"] = torch.rand(samples, cameras, 32, 64) > 0.5
    batch["occupancy"] = torch.randint(0, 18, (samples, 8, 8, 2), dtype=torch.uint8)
    batch["occupancy_mask_camera"] = torch.rand(samples, 8, 8, 2) > 0.3
    if history:
        past = [frame() for _ in range(history)]
        batch["history"] = [
            [{k: v[i] for k, v in p.items()} | {"past_from_now": torch.eye(4), "age": torch.tensor(0.5)} for p in past]
            for i in range(samples)
        ]
    return batch
