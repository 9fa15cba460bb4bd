"""The folded ResNet equals torchvision's, and refuses what does not belong to it."""

import pytest
import torch
import torchvision

from perception.errors import RecipeError, WeightsError
from perception.models.trunks.frozen_resnet import FrozenResNet


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_equals_torchvision(name):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(weights=None).double().eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.uniform_(module.bias, -0.1, 0.1)
    ours = FrozenResNet(name).double()
    ours.load_torchvision(theirs.state_dict())
    image = torch.randn(1, 3, 50, 67, dtype=torch.float64)
    with torch.no_grad():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(image))))
        expected = []
        for stage in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
            x = stage(x)
            expected.append(x)
        for found, wanted in zip(ours(image), expected[1:], strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)
    with pytest.raises(WeightsError, match="resnet"):
        ours.load_torchvision({k: v for k, v in theirs.state_dict().items() if "layer3" not in k})


def test_frozen_parts_get_no_gradient():
    net = FrozenResNet("resnet18", levels=(2, 3))
    sum(x.sum() for x in net(torch.randn(1, 3, 32, 32))).backward()
    assert net.conv1.weight.grad is None and net.layer1[0].conv1.weight.grad is None
    assert net.layer2[0].conv1.weight.grad is not None and not hasattr(net, "layer4")
    assert net.channels == [128, 256] and net.strides == [8, 16]


def test_unknown_name_suggests():
    with pytest.raises(RecipeError, match="resnet50"):
        FrozenResNet("resnet5o")
