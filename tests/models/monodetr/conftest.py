"""A tiny detector and a picture with two objects whose boxes project exactly."""

import pytest
import torch

from perception.geometry import Pinhole
from perception.models.registry import build_model

TINY = {
    "type": "MonoDETR",
    "backbone": "resnet18",
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


@pytest.fixture
def tiny():
    def make(**changes):
        torch.manual_seed(0)
        return build_model({**TINY, **changes})

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
