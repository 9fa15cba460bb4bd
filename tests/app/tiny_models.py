"""Published folders of networks with random weights, small enough for a test: what the app offers before anything is trained."""

from __future__ import annotations

from pathlib import Path

import torch

from perception.engine.publish import publish
from perception.models.registry import build_model

_TRUNK = {"name": "resnet10t", "model_args": {"channels": (8, 8, 16, 16), "stem_width": 8}}
MONODETR = {
    "type": "MonoDETR",
    "backbone": _TRUNK,
    "classes": ("Pedestrian", "Car", "Cyclist"),
    "image_size": (64, 192),
    "dim": 32,
    "heads": 4,
    "ffn_dim": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "num_queries": 12,
    "query_groups": 1,
    "depth_bins": 16,
    "score_threshold": 0.0,
}
HYDRA = {
    "type": "HyDRa",
    "backbone": _TRUNK,
    "backbone_strides": (8, 16, 32),
    "image_size": (32, 64),
    "feature_stride": 8,
    "depth": (1.0, 33.0, 4.0),
    "depth_options": {"blocks": 1, "aspp": False},
    "bev": {"x": (-32.0, 32.0, 4.0), "y": (-32.0, 32.0, 4.0)},
    "radar_depth": (1.0, 33.0, 4.0),
    "radar_layers": 1,
    "backward_options": {"heads": 2, "points": 4, "anchors": 2, "ffn_ratio": 1},
    "widths": {
        "image": 16, "mid": 16, "context": 8, "radar": 8, "bev": 16, "encoder": (16, 16), "blocks": 1, "out": 16, "shared": 16, "head": 8,
    },
    "tasks": (("car", "truck"), ("pedestrian",)),
    "nms_radius": (4, 1),
    "occupancy": {"x": (-16.0, 16.0, 4.0), "y": (-16.0, 16.0, 4.0), "z": (-1.0, 5.0, 3.0), "channels": 8},
}  # fmt: skip


def published(config: dict, folder: Path, tasks: list[str]) -> str:
    """Write a model of random weights; return the folder, which `perception.load` takes as a name."""
    torch.manual_seed(0)
    model = build_model(config)
    with torch.no_grad():
        for (
            name,
            value,
        ) in model.named_parameters():  # every query finds something of a car's size: negative sizes are no boxes
            if ".size." in name and name.endswith("bias") and value.shape == (3,):
                value.copy_(torch.tensor([1.5, 1.7, 4.0]))
    publish(folder, config, model.state_dict(), about={"name": folder.name, "tasks": tasks, "licence": "Apache-2.0"})
    return str(folder)


def monodetr(folder: Path) -> str:
    """3D boxes of one picture, at random."""
    return published(MONODETR, folder / "monodetr-random", ["boxes3d"])


def hydra(folder: Path) -> str:
    """Boxes and occupancy around a vehicle, at random."""
    return published(HYDRA, folder / "hydra-random", ["boxes3d", "occupancy"])
