"""ResNet-18 and 34 under timm's names, without timm: importing it takes 3 s and 0.2 GB, more than such a network's work on a picture.

State dictionaries and numbers are timm's. Pretrained weights and every other variant come from timm itself.
"""

from __future__ import annotations

from torch import Tensor, nn

_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}


def is_light_resnet(name: str) -> bool:
    """Whether `LightResNet` knows the name."""
    return name in _BLOCKS


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.act2 = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, width, h / stride, w / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        x += shortcut
        return self.act2(x)


class LightResNet(nn.Module):
    """Stem ``conv1 bn1 act1 maxpool`` and stages ``layer1`` to ``layer4`` of widths 64 to 512, for callers that run them one by one."""

    channels = (64, 64, 128, 256, 512)  # of the stem and the stages
    strides = (2, 4, 8, 16, 32)

    def __init__(self, name: str = "resnet34") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for stage, count in enumerate(_BLOCKS[name], 1):
            below, width = self.channels[stage - 1], self.channels[stage]
            blocks = [
                BasicBlock(below if i == 0 else width, width, 2 if stage > 1 and i == 0 else 1) for i in range(count)
            ]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)  # each block starts as its shortcut
