"""Layer-wise learning rates: the nearer to the input, the slower (after BEiT, arXiv 2106.08254).

In a recipe: ``optim_wrapper = dict(..., paramwise_cfg=dict(layer_decay=0.8))``. A backbone's last block learns at `layer_decay` times the base
rate, the block before at `layer_decay` squared, and so on to the stem; everything outside of backbones learns at the base rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from perception.errors import RecipeError
from perception.models.layers.depth_order import layer_numbers


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor with the further key `layer_decay` in `paramwise_cfg`, a factor in (0, 1]."""

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        paramwise_cfg = dict(paramwise_cfg or {})
        self.decay = paramwise_cfg.pop("layer_decay", 1.0)
        if not isinstance(self.decay, int | float) or not 0 < self.decay <= 1:
            raise RecipeError(f"paramwise_cfg.layer_decay should be in (0, 1]; found {self.decay!r}")
        paramwise_cfg.setdefault(
            "bias_lr_mult", 1.0
        )  # an empty configuration would not look at single parameters at all
        super().__init__(optim_wrapper_cfg, paramwise_cfg)

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = "", **kwargs: Any) -> None:
        super().add_params(params, module, prefix, **kwargs)
        if prefix:
            return
        scales = layer_scales(module, self.decay)
        if not scales:
            raise RecipeError(f"layer_decay finds no backbone with numbered blocks in {type(module).__name__}")
        for group in params:
            scale = scales.get(id(group["params"][0]), 1.0)
            group["lr"] = group.get("lr", self.base_lr) * scale
            group["lr_scale"] = scale


def layer_scales(model: nn.Module, decay: float) -> dict[int, float]:
    """id of each backbone parameter -> factor on its learning rate."""
    scales = {}
    for trunk in trunks(model):
        parameters = dict(trunk.named_parameters())
        numbers = layer_numbers(parameters)
        top = max(numbers.values(), default=0)
        scales |= {id(parameters[name]): decay ** (top + 1 - number) for name, number in numbers.items() if top}
    return scales


def trunks(model: nn.Module) -> Iterator[nn.Module]:
    """The networks below a model's heads: what is called `backbone` or `vit`, says that it ``is_trunk``, or looks like a vision transformer; of the
    adapter to timm only the timm model, since its pyramid is new."""
    inside: list[str] = []
    for name, module in model.named_modules():
        if any(name.startswith(f"{outer}.") for outer in inside):
            continue
        called = name.rsplit(".", 1)[-1] in ("backbone", "vit") or getattr(module, "is_trunk", False) is True
        if called or (hasattr(module, "patch_embed") and hasattr(module, "blocks")):
            inside.append(name)
            while isinstance(getattr(module, "net", None), nn.Module):
                module = module.net
            yield module
