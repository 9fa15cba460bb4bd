"""ResNet without timm: timm's keys and numbers, and no import of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from perception.models.trunks.light_resnet import LightResNet


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_keys_and_numbers_are_timms(name: str) -> None:
    import timm

    torch.manual_seed(0)
    theirs = timm.create_model(name, num_classes=0, features_only=True).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    ours = LightResNet(name).eval()
    ours.load_state_dict(theirs.state_dict())  # strict
    image = torch.rand(2, 3, 75, 66)
    with torch.no_grad():
        maps = [ours.act1(ours.bn1(ours.conv1(image)))]
        x = ours.maxpool(maps[0])
        for stage in (ours.layer1, ours.layer2, ours.layer3, ours.layer4):
            x = stage(x)
            maps.append(x)
        for ours_map, theirs_map in zip(maps, theirs(image), strict=True):
            torch.testing.assert_close(ours_map, theirs_map, rtol=1e-5, atol=1e-5)
    assert [m.shape[1] for m in maps] == list(ours.channels)
    assert [round(75 / m.shape[2]) for m in maps[:3]] == list(ours.strides[:3])


def test_the_released_omnifusion_is_built_without_timm() -> None:
    """Importing timm would be a sixth of the memory that a panorama needs."""
    code = (
        "import sys; from perception.models.registry import build_model;"
        "model = build_model({'type': 'OmniFusion', 'size': (32, 64), 'patch': 32});"
        "assert model.encoder.channels == [64, 64, 128, 256, 512];"
        "print([m for m in ('timm', 'torchvision', 'torch._dynamo', 'mmengine', 'scipy', 'cv2') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
