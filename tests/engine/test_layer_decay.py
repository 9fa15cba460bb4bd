"""Layer-wise learning rates through the recipe's `paramwise_cfg`."""

from __future__ import annotations

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from perception.engine import layer_decay  # noqa: F401  (registers the constructor)
from perception.errors import RecipeError
from perception.models.backbones.adapter import Backbone


class Model(torch.nn.Module):
    def __init__(self, name: str, **arguments) -> None:
        super().__init__()
        self.backbone = Backbone(name, **arguments)
        self.head = torch.nn.Linear(4, 4)


TINY_VIT = {"embed_dim": 32, "depth": 4, "num_heads": 2}


def rates(model: torch.nn.Module, **paramwise) -> dict[str, tuple[float, float]]:
    wrapper = build_optim_wrapper(
        model,
        {
            "type": "OptimWrapper",
            "constructor": "LayerDecayConstructor",
            "optimizer": {"type": "AdamW", "lr": 1.0, "weight_decay": 0.1},
            "paramwise_cfg": {"layer_decay": 0.5, **paramwise},
        },
    )
    names = {id(p): name for name, p in model.named_parameters()}
    groups = wrapper.optimizer.param_groups
    return {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("vit_tiny_patch16_224", {"model_args": TINY_VIT}),
        ("convnext_atto", {}),
        ("cvt_13_224", {"model_args": {"widths": [32, 64, 96], "num_heads": [1, 2, 3], "depths": [1, 1, 2]}}),
    ],
)
def test_rates_fall_towards_the_input(name, arguments):
    model = Model(name, **arguments)
    found = rates(model, norm_decay_mult=0.0, bias_decay_mult=0.0)
    assert set(found) == {name for name, p in model.named_parameters()}
    assert found["head.weight"] == (1.0, 0.1) and found["head.bias"] == (1.0, 0.0)
    for key, (rate, _) in found.items():
        if key.startswith("backbone.net."):
            assert rate <= 0.5
        else:
            assert rate == 1.0  # a head, or the adapter's new pyramid
    if name.startswith("vit"):
        blocks = [found[f"backbone.net.model.blocks.{i}.attn.qkv.weight"][0] for i in range(4)]
        assert blocks == [0.5**4, 0.5**3, 0.5**2, 0.5]
        assert found["backbone.net.model.pos_embed"][0] == 0.5**5


def test_refusals():
    with pytest.raises(RecipeError, match="layer_decay"):
        rates(Model("convnext_atto"), layer_decay=1.5)
    with pytest.raises(RecipeError, match="no backbone"):
        rates(torch.nn.Sequential(torch.nn.Linear(2, 2)))
