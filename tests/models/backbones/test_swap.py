"""Every head with every family of backbones: one training step and a prediction at an odd size."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np
import pytest
import torch

from perception.geometry import Equirectangular, Pinhole
from perception.geometry.rig import Rig
from perception.inference.predictor import Predictor
from perception.inference.rig_predictor import RigPredictor
from perception.models.registry import MODELS, build_model
from tests.models.backbones.test_architectures import SMALL
from tests.models.configs import CASES
from tests.models.hydra.conftest import TINY as HYDRA
from tests.models.hydra.conftest import make_batch, poses
from tests.models.monodetr.conftest import TINY as MONODETR

TRUNKS = re.compile(r"(backbone|trunk|encoder\.net)\.")
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
HEADS = (
    "dpt",
    "polymax-multi-canonical",
    "polymax-panoptic-shared",
    "kmax",
    "monodetr",
    "omnifusion-official",
    "spidepth",
    "hydra",
)
# Made of one network: MonoDINO-DETR and Depth Anything V2 of DINOv2's ViT and its depth head, 360 video and CroCo of encoders of their own.
ONE_NETWORK = {"MonoDINODETR", "DepthAnythingV2", "Video360", "CroCo", "CroCoCompletion", "RegisterDistillation"}
FAST = ("native pyramid", "plain ViT", "patch 14", "registers", "clustered tokens", "cswin_tiny_224", "cvt_13_224")
QUICK_HEADS = ("dpt", "monodetr")  # with all of FAST in every run; the others with one


def is_fast(head: str, family: str) -> bool:
    return family in FAST and (head in QUICK_HEADS or family == "patch 14")


SWAPS = [
    pytest.param(head, family, marks=() if is_fast(head, family) else pytest.mark.slow)
    for head in HEADS
    for family in (*FAMILIES, *LARGE)
]


def configuration(head: str, family: str) -> dict[str, Any]:
    base = {"monodetr": {**MONODETR, "image_size": (70, 118)}, "hydra": HYDRA}.get(head) or CASES[head].config
    return {**copy.deepcopy(base), "backbone": {**FAMILIES, **LARGE}[family]}


def training_batch(head: str) -> dict[str, Any]:
    if head == "hydra":
        return make_batch()
    if head.startswith("omnifusion"):
        return CASES[head].batch(2, 64, 96)  # the size that its layout of patches is made for
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


def predicted(model: torch.nn.Module, width: int, height: int) -> Any:
    """The answer to a random picture, panorama or rig of this size."""
    rng = np.random.default_rng(0)
    if model.camera_kind == "rig":
        images = rng.integers(0, 255, (3, height, width, 3), dtype=np.uint8)
        matrix = Pinhole.from_fov(width, height, 70).matrix
        rig = Rig.from_arrays(images, np.stack([matrix] * 3), poses(3), radar_points=None)
        return RigPredictor(model, torch.device("cpu"), torch.float32)(rig)
    image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    panorama = model.camera_kind == "equirectangular"
    camera = Equirectangular(width, height) if panorama else Pinhole.from_fov(width, height, 70)
    return Predictor(model, torch.device("cpu"), torch.float32)(image, camera)


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
    without = [n for n in without if not (head == "hydra" and "embed" in n)]  # of directions that no camera looks into
    assert not without, without[:5]  # distributed training hangs on parameters without a gradient
    trunk = [p for n, p in model.named_parameters() if TRUNKS.search(n) and p.grad is not None]
    assert any(p.grad.abs().sum() > 0 for p in trunk)
    optimiser.step()
    width, height = (134, 67) if head.startswith("omnifusion") else (133, 61)
    result = predicted(model.eval(), width, height)
    for part in ("depth", "normals", "segmentation"):
        value = getattr(result, part, None)
        assert value is None or value.shape == (height, width)
    parts = ("depth", "normals", "segmentation", "boxes3d", "occupancy")
    assert any(getattr(result, part, None) is not None for part in parts)


def test_every_head_that_takes_a_trunk_is_swapped() -> None:
    """A new head joins the test above, or says here that it is made of one network."""
    swapped = {configuration(head, "plain ViT")["type"] for head in HEADS}
    assert swapped | ONE_NETWORK == set(MODELS.homes)
