"""At least one model of every family of timm as a trunk: a picture that is no square and no multiple of anything, forward and backward."""

from __future__ import annotations

import math

import pytest
import torch

import perception
from perception.errors import InputError, RecipeError
from perception.models.backbones.adapter import Backbone

# The smallest model of each family; what runs in a second or so is tested every time.
FAST = ["convnext_atto", "resnet10t", "mambaout_femto", "repvit_m0_9", "efficientvit_b0", "pvt_v2_b0"]
SLOW = [
    "convnextv2_atto",
    "swin_tiny_patch4_window7_224",  # channels last, one size at construction
    "swinv2_tiny_window8_256",
    "focalnet_tiny_srf",
    "davit_tiny",
    "fastvit_t8",
    "nextvit_small",
    "twins_pcpvt_small",
    "xcit_nano_12_p8_224",
    "vit_tiny_patch16_224",
    "vit_small_patch14_dinov2",  # patch 14
    "vit_small_patch14_reg4_dinov2",  # registers
    "vit_small_patch16_dinov3",  # rotary positions
    "eva02_tiny_patch14_224",
    "samvit_base_patch16_224",
    "sam2_hiera_tiny",
    "hiera_tiny_224",
    "beit_base_patch16_224",
    "cait_xxs24_224",
    "tnt_s_patch16_224",
    "gcvit_xxtiny",
    "maxvit_tiny_tf_224",
    "coat_lite_tiny",
    "levit_128s",
    "efficientformerv2_s0",
    "inception_next_atto",
]


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_family(name: str) -> None:
    torch.manual_seed(0)
    trunk = Backbone(name)
    picture = torch.rand(2, 3, 75, 118, requires_grad=True)
    maps = trunk(picture)
    assert len(maps) == len(trunk.channels) == len(trunk.strides) == 4
    for feature, channels, stride in zip(maps, trunk.channels, trunk.strides, strict=True):
        assert feature.shape == (2, channels, math.ceil(75 / stride), math.ceil(118 / stride))
        assert torch.isfinite(feature).all()
    sum(feature.square().mean() for feature in maps).backward()
    assert (
        picture.grad is not None and picture.grad.abs().amax(dim=(1, 3))[0].min() > 0
    )  # every row of the picture counts


def test_names_are_listed_and_unknown_ones_are_a_sentence() -> None:
    names = perception.list_backbones("convnext*")
    assert "convnext_tiny" in names and all(name.startswith("convnext") for name in names)
    assert set(FAST + SLOW) <= set(perception.list_backbones())
    with pytest.raises(RecipeError, match="timm has no model 'convnext_tinny'"):
        Backbone("convnext_tinny")
    with pytest.raises(RecipeError, match="mode 'native' cannot work"):
        Backbone("vit_tiny_patch16_224", mode="native", model_args={"embed_dim": 32, "depth": 4, "num_heads": 2})


@pytest.mark.slow
def test_model_that_cannot_serve_is_a_sentence() -> None:
    with pytest.raises(InputError, match="cannot serve as a trunk"):
        Backbone("mvitv2_tiny", img_size=(96, 160))
