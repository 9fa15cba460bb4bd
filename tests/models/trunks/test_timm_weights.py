"""The trunks written here take timm's ImageNet weights: every tensor has a place, and the features agree where padding plays no part."""

import pytest
import timm
import torch

from perception.errors import RecipeError
from perception.models.trunks import bottleneck_resnet, padded_convnext
from perception.models.trunks.timm_weights import load_timm


def test_resnet_takes_timm_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = timm.create_model("resnet26").eval()
    ours = bottleneck_resnet.BottleneckResNet(blocks=(2, 2, 2, 2)).eval()
    monkeypatch.setattr(timm, "create_model", lambda *args, **kwargs: theirs)
    load_timm(ours, "resnet26", bottleneck_resnet._from_timm, pretrained=False)
    for module in ours.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-5  # timm's; the published kMaX-DeepLab has 1e-3
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected = theirs.forward_intermediates(picture, intermediates_only=True)[-4:]
        actual = ours(picture)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_convnext_takes_every_timm_tensor() -> None:
    ours = padded_convnext.PaddedConvNeXt(depths=(2, 2, 6, 2), widths=(40, 80, 160, 320)).eval()
    names = [padded_convnext._from_timm(key) for key in timm.create_model("convnext_atto").state_dict()]
    assert len({name for name in names if name}) == len([name for name in names if name])
    assert {name for name in names if name and "expand" not in name and "project" not in name} == {
        key for key in ours.state_dict() if "expand" not in key and "project" not in key
    }


def test_unknown_name_is_a_sentence() -> None:
    with pytest.raises(RecipeError, match="timm has no model 'resnet51'"):
        padded_convnext.PaddedConvNeXt(pretrained="resnet51")
