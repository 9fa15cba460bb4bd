"""A tiny detector and a picture with two objects whose boxes project exactly."""

import pytest
import torch

from perception.geometry import Pinhole
from perception.models.registry import build_model

TINY = {
    "type": "MonoDETR",
    "image_size": (64, 128),
    "dim": 64,
    "heads": 4,
    "ffn_dim": 64,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "num_queries": 6,
    "query_groups": 3,
    "depth_bins": 16,
}


class ToyTrunk(torch.nn.Module):
    """Three maps of strides 8, 16, 32, in milliseconds."""

    channels, strides = (16, 24, 32), (8, 16, 32)

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 16, 8, 8, 4)
        self.steps = torch.nn.ModuleList(torch.nn.Conv2d(a, b, 3, 2, 1) for a, b in ((16, 24), (24, 32)))

    def forward(self, x):
        height, width = (-(-n // 8) for n in x.shape[-2:])
        maps = [self.stem(x)[..., :height, :width].relu()]
        for step in self.steps:
            maps.append(step(maps[-1]).relu())
        return maps


@pytest.fixture
def tiny(monkeypatch):
    def make(backbone="toy", **changes):
        torch.manual_seed(0)
        if backbone == "toy":
            monkeypatch.setattr("perception.models.monodetr.model.build_backbone", lambda *_: ToyTrunk())
        return build_model({**TINY, "backbone": backbone, **changes})

    return make


@pytest.fixture
def camera():
    return Pinhole(100.0, 100.0, 64.0, 32.0, 128, 64)


@pytest.fixture
def batch(camera):
    """One picture with objects, one without."""
    generator = torch.Generator().manual_seed(1)
    boxes = torch.tensor([[-2.0, 0.5, 12.0, 3.9, 1.6, 1.5, 0.4], [3.0, 0.6, 20.0, 0.8, 0.6, 1.7, -1.2]])
    return {
        "image": torch.randint(0, 256, (2, 3, 64, 128), dtype=torch.uint8, generator=generator),
        "intrinsics": torch.from_numpy(camera.matrix).float().expand(2, 3, 3),
        "boxes3d": [boxes, boxes[:0]],
        "labels3d": [torch.tensor([1, 0]), torch.zeros(0, dtype=torch.int64)],
    }
