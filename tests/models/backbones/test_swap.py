"""Every head with every family of backbones: one training step and a prediction at an odd size."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from perception.geometry import Pinhole
from perception.models.registry import build_model
from tests.models.backbones.test_architectures import SMALL
from tests.models.configs import CASES
from tests.models.monodetr.conftest import TINY as MONODETR

_VIT = {"embed_dim": 32, "depth": 4, "num_heads": 2}
FAMILIES: dict[str, dict[str, Any]] = {
    "native pyramid": {"name": "convnext_atto", "model_args": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]}},
    "plain ViT": {"name": "vit_tiny_patch16_224", "model_args": _VIT},
    "patch 14": {"name": "vit_small_patch14_dinov2", "model_args": _VIT},
    "registers": {"name": "vit_small_patch14_reg4_dinov2", "model_args": _VIT, "mode": "sfp"},
    "rotary, registers": {"name": "vit_small_patch16_dinov3", "model_args": _VIT},
    "clustered tokens": {"name": "vit_tiny_patch16_224", "model_args": _VIT, "token_clustering": {"after": 1}},
    "flow attention": {"name": "vit_tiny_patch16_224", "model_args": _VIT, "attention": "flow"},
    "polyphase": {
        "name": "convnext_atto",
        "model_args": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]},
        "shift_equivariant": True,
    },
    **{name: {"name": name, "model_args": arguments} for name, arguments in SMALL.items()},
}
LARGE: dict[str, dict[str, Any]] = {
    "channels last": {"name": "swin_tiny_patch4_window7_224"},
    "one size only": {"name": "levit_128s"},
    "strides from 2": {"name": "resnet18"},
}
HEADS = ("dpt", "polymax-multi-canonical", "polymax-panoptic-shared", "monodetr")
FAST = ("native pyramid", "plain ViT", "patch 14", "registers", "clustered tokens", "cswin_tiny_224", "cvt_13_224")
SWAPS = [
    pytest.param(
        head,
        family,
        marks=() if family in FAST and (head in ("dpt", "monodetr") or family == "patch 14") else pytest.mark.slow,
    )
    for head in HEADS
    for family in (*FAMILIES, *LARGE)
]


def configuration(head: str, family: str) -> dict[str, Any]:
    base = {**MONODETR, "image_size": (70, 118)} if head == "monodetr" else CASES[head].config
    return {**copy.deepcopy(base), "backbone": {**FAMILIES, **LARGE}[family]}


def training_batch(head: str) -> dict[str, Any]:
    if head != "monodetr":
        return CASES[head].batch(2, 75, 118)
    camera = Pinhole(100.0, 100.0, 59.0, 35.0, 118, 70)
    box = torch.tensor([[-2.0, 0.5, 12.0, 3.9, 1.6, 1.5, 0.4]])
    return {
        "image": torch.randint(0, 256, (2, 3, 70, 118), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
        "intrinsics": torch.from_numpy(camera.matrix).float().expand(2, 3, 3),
        "boxes3d": [box, box[:0]],
        "labels3d": [torch.tensor([1]), torch.zeros(0, dtype=torch.int64)],
    }


@pytest.mark.parametrize(("head", "family"), SWAPS)
def test_swap(head: str, family: str) -> None:
    torch.manual_seed(0)
    model = build_model(configuration(head, family)).train()
    batch = training_batch(head)
    optimiser = torch.optim.SGD(model.parameters(), 1e-3)
    losses = model.loss(model(**model.inputs(batch)), batch)
    total = sum(value for name, value in losses.items() if not name.startswith("log_"))
    total.backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not without, without[:5]  # distributed training hangs on parameters without a gradient
    trunk = [p for n, p in model.named_parameters() if "backbone." in n and p.grad is not None]
    assert any(p.grad.abs().sum() > 0 for p in trunk)
    optimiser.step()
    model.eval()
    image = np.random.default_rng(0).integers(0, 255, (61, 133, 3), dtype=np.uint8)
    prepared = model.preprocess(image, Pinhole.from_fov(133, 61, 70))
    with torch.no_grad():
        outputs = model(**{name: value[None] for name, value in prepared.inputs.items()})
        result = model.predict(outputs, [prepared])[0]
    for part in ("depth", "normals", "segmentation"):
        value = getattr(result, part)
        assert value is None or value.shape == (61, 133)
    assert any(getattr(result, part) is not None for part in ("depth", "normals", "segmentation", "boxes3d"))
