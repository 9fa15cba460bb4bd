"""Patch encoders: what a patch shows, split at the place where the geometry joins.

``begin`` computes what does not depend on the geometry and so is shared by all passes; ``finish`` adds the geometry and computes the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from perception.models.trunks import build_backbone
from perception.models.trunks.light_resnet import LightResNet, is_light_resnet

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class ResNetPatchEncoder(nn.Module):
    """A ResNet under timm's names; the geometry is added to the output of its first stage, as OmniFusion does (paper section 3.2).

    Attributes: channels and strides of the maps (stem, four stages); `geometry_channels`: widths at which geometry is added.
    """

    is_trunk = True  # for layer-wise learning rates

    def __init__(
        self, name: str = "resnet34", pretrained: bool = False, model_args: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        if is_light_resnet(name) and not pretrained and not model_args:
            self.net: nn.Module = LightResNet(name)
            self.channels, self.strides = list(self.net.channels), list(self.net.strides)
            self.mean, self.std = IMAGENET
        else:
            import timm

            self.net = timm.create_model(name, pretrained=pretrained, num_classes=0, **dict(model_args or {}))
            self.channels = [info["num_chs"] for info in self.net.feature_info]
            self.strides = [info["reduction"] for info in self.net.feature_info]
            self.mean, self.std = (
                tuple(self.net.pretrained_cfg.get(key) or usual)
                for key, usual in zip(("mean", "std"), IMAGENET, strict=True)
            )
        self.geometry_channels = [self.channels[1]]

    def begin(self, patches: Tensor) -> list[Tensor]:
        """Map normalised patches (M, 3, h, w) to the stem (M, C, h / 2, w / 2) and the first stage before the geometry joins."""
        stem = self.net.act1(self.net.bn1(self.net.conv1(patches)))
        return [stem, self.net.layer1(self.net.maxpool(stem))]

    def finish(self, begun: list[Tensor], geometry: Sequence[Tensor]) -> list[Tensor]:
        """Add `geometry` (M, C, h / 4, w / 4) and return all five maps."""
        maps = [begun[0], begun[1] + geometry[0]]
        for stage in (self.net.layer2, self.net.layer3, self.net.layer4):
            maps.append(stage(maps[-1]))
        return maps


class ZooPatchEncoder(nn.Module):
    """Any trunk of the zoo; the geometry is added to each of its maps, so that the trunk itself runs once for all passes."""

    is_trunk = True  # for layer-wise learning rates

    def __init__(self, config: str | Mapping[str, Any]) -> None:
        super().__init__()
        self.net = build_backbone(config if isinstance(config, str) else dict(config))
        self.channels, self.strides = list(self.net.channels), [int(round(s)) for s in self.net.strides]
        self.geometry_channels = list(self.channels)
        self.mean, self.std = self.net.mean, self.net.std

    def begin(self, patches: Tensor) -> list[Tensor]:
        """Map normalised patches (M, 3, h, w) to all maps."""
        return self.net(patches)

    def finish(self, begun: list[Tensor], geometry: Sequence[Tensor]) -> list[Tensor]:
        """Add one map of `geometry` (M, C_i, h_i, w_i) to each."""
        return [feature + extra.to(feature.dtype) for feature, extra in zip(begun, geometry, strict=True)]


def build_patch_encoder(config: str | Mapping[str, Any]) -> ResNetPatchEncoder | ZooPatchEncoder:
    """A timm ResNet by name or ``{"name", "pretrained", "model_args"}`` is split after its first stage; any other trunk is taken whole."""
    arguments = {"name": config} if isinstance(config, str) else dict(config)
    name = str(arguments.get("name", ""))
    plain = set(arguments) <= {"name", "pretrained", "model_args"}
    if plain and is_light_resnet(name):
        return ResNetPatchEncoder(**arguments)
    import timm
    from timm.models.resnet import ResNet

    if plain and timm.is_model(name):
        entry = timm.model_entrypoint(name)
        if entry.__module__ == ResNet.__module__:
            return ResNetPatchEncoder(**arguments)
    return ZooPatchEncoder(config)


def stacked(function: Any, inputs: Sequence[Tensor], chunk: int) -> list[Tensor]:
    """Call `function(*inputs)` -> list of tensors on `chunk` patches at a time (0: all at once): the same numbers in less memory."""
    if not chunk or len(inputs[0]) <= chunk:
        return function(*inputs)
    count = len(inputs[0])
    whole: list[Tensor] = []
    for start in range(0, count, chunk):
        part = function(*(value[start : start + chunk] for value in inputs))
        if not whole:
            whole = [value.new_empty(count, *value.shape[1:]) for value in part]
        for into, value in zip(whole, part, strict=True):
            into[start : start + chunk] = value
    return whole
