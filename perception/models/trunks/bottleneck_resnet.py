"""ResNet-50/101 in the two layouts of kMaX-DeepLab: detectron2's and the TensorFlow one.

The TensorFlow network has no max-pool (the first block of stage 2 has stride 2 instead) and hands its stages out *before*
their last ReLU. Both layouts keep the stride in the 3x3 convolution and use batch norm with eps 1e-3.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError
from perception.models.layers.conv import ConvNorm
from perception.models.trunks.timm_weights import load_timm

_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Bottleneck(nn.Module):
    """1x1, 3x3 (stride), 1x1 with a projected shortcut where the shape changes. Returns the sum *before* its ReLU."""

    def __init__(self, in_channels: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, width, 1, activation="relu")
        self.conv2 = ConvNorm(width, width, 3, stride=stride, activation="relu")
        self.conv3 = ConvNorm(width, 4 * width, 1)
        self.shortcut = ConvNorm(in_channels, 4 * width, 1, stride=stride) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map the activated (B, in, H, W) to (B, 4 width, H / stride, W / stride) before activation."""
        return self.conv3(self.conv2(self.conv1(x))) + self.shortcut(x)


class BottleneckResNet(nn.Module):
    """ResNet with bottleneck blocks for dense prediction.

    Args:
        depth: 50, 101 or 152.
        stem_pool: max-pool after the stem (detectron2); otherwise the first block of stage 2 has stride 2 (TensorFlow).
        preact_features: return the maps before their last ReLU (TensorFlow).
        width: channels of the stem; the published networks have 64.
        blocks: blocks a stage, in place of those of `depth`.
        return_stem: also return the stem's map (Cityscapes models): first where it has stride 2; after stage 2, whose stride 4 it shares, where it
            is max-pooled. That is the order in which the official pixel decoders take them, deep to shallow and reversed.
        pretrained: name of a timm ResNet whose published weights to start from, such as "resnet50.a1_in1k".
    """

    activation = "relu"
    mean = (0.5, 0.5, 0.5)  # of pictures scaled to 0..1: the official (x - 127.5) / 127.5
    std = (0.5, 0.5, 0.5)

    def __init__(
        self,
        depth: int = 50,
        *,
        stem_pool: bool = True,
        preact_features: bool = False,
        width: int = 64,
        blocks: tuple[int, ...] | None = None,
        return_stem: bool = False,
        in_channels: int = 3,
        pretrained: str | bool = False,
    ) -> None:
        super().__init__()
        if blocks is None and depth not in _DEPTHS:
            raise RecipeError(f"a bottleneck ResNet has depth {sorted(_DEPTHS)}, found {depth}; or give `blocks`")
        self.stem_pool, self.preact_features, self.return_stem = stem_pool, preact_features, return_stem
        self.stem = ConvNorm(in_channels, width, 7, stride=2)
        self.stages = nn.ModuleList()
        channels = width
        for index, count in enumerate(blocks or _DEPTHS[depth]):
            stage_width = width * 2**index
            stride = 1 if index == 0 and stem_pool else 2
            stage = nn.ModuleList()
            for block in range(count):
                stage.append(Bottleneck(channels, stage_width, stride if block == 0 else 1, project=block == 0))
                channels = 4 * stage_width
            self.stages.append(stage)
        self.channels = [4 * width * 2**i for i in range(len(self.stages))]
        self.strides = [4 * 2**i for i in range(len(self.stages))]
        if return_stem:
            self.channels.insert(int(stem_pool), width)
            self.strides.insert(int(stem_pool), 4 if stem_pool else 2)
        if pretrained:
            load_timm(self, str(pretrained), _from_timm)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map normalised pictures (B, 3, H, W) to maps of strides 4, 8, 16, 32 (with the stem's if asked for)."""
        before = self.stem(image)
        x = torch.relu(before)
        if self.stem_pool:
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        stem = before if self.preact_features else x
        features: list[Tensor] = []
        for stage in self.stages:
            for block in stage:
                before = block(x)
                x = torch.relu(before)
            features.append(before if self.preact_features else x)
        if self.return_stem:
            features.insert(int(self.stem_pool), stem)
        return features


def _from_timm(key: str) -> str | None:
    """Our key of a timm ResNet's; None for its classifier."""
    if key.startswith("fc."):
        return None
    key = re.sub(r"^conv1\.", "stem.conv.", re.sub(r"^bn1\.", "stem.norm.", key))
    key = re.sub(r"^layer(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.", key)
    key = re.sub(r"\.downsample\.0\.", ".shortcut.conv.", re.sub(r"\.downsample\.1\.", ".shortcut.norm.", key))
    return re.sub(r"\.bn(\d)\.", r".conv\1.norm.", re.sub(r"(\d)\.conv(\d)\.", r"\1.conv\2.conv.", key))
