"""One entry to every trunk: the timm adapter and the trunks written here, built from literals.

A trunk maps normalised pictures (B, 3, H, W) to a list of NCHW maps, shallow to deep, and has `channels`, `strides`, `mean` and
`std` (of pictures scaled to 0..1).
"""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn

from perception.errors import RecipeError
from perception.options import check_choice

_HOMES: dict[str, str] = {
    "Backbone": "perception.models.backbones.adapter",
    "BottleneckResNet": "perception.models.trunks.bottleneck_resnet",
    "PaddedConvNeXt": "perception.models.trunks.padded_convnext",
}


def build_backbone(config: str | dict[str, Any], **defaults: Any) -> nn.Module:
    """Build a trunk from a timm model's name, or from ``{"type": ..., **arguments}`` (type "Backbone", the timm adapter, if left out).

    `defaults` fill in arguments that the configuration leaves out. Raises `RecipeError` for unknown types and arguments.
    """
    arguments = {"name": config} if isinstance(config, str) else dict(config)
    kind = arguments.pop("type", "Backbone")
    check_choice("a backbone's type", kind, _HOMES)
    cls = getattr(importlib.import_module(_HOMES[kind]), kind)
    try:
        return cls(**{**defaults, **arguments})
    except TypeError as error:
        raise RecipeError(f"backbone {kind!r} cannot be built from keys {sorted(arguments)}: {error}") from error
