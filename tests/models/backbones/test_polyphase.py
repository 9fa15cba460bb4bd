"""Polyphase anchoring: circular shifts of a picture move its tokens and change nothing else, always."""

from __future__ import annotations

import timm
import torch

from perception.models.backbones.adapter import Backbone
from perception.models.backbones.polyphase import PolyphasePatchEmbed, polyphase_anchor, unroll_map


def picture(*size: int) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


def test_every_circular_shift_is_consistent():
    """All 8 x 8 shifts of a patch, and far ones: 100 % of the token grids are circular shifts of the first."""
    x = picture(1, 3, 32, 40)
    stem = torch.nn.Conv2d(3, 6, 8, 8)
    wrapped = PolyphasePatchEmbed(stem, 8)
    tokens = wrapped(x)
    moved = [torch.roll(tokens, (a, b), (2, 3)) for a in range(4) for b in range(5)]
    consistent = plain = total = 0
    for dy in [*range(9), 21]:
        for dx in [*range(9), 35]:
            shifted = torch.roll(x, (dy, dx), (2, 3))
            total += 1
            consistent += any(torch.allclose(wrapped(shifted), m, atol=1e-5) for m in moved)
            plain += any(torch.allclose(stem(shifted), torch.roll(stem(x), s, (2, 3)), atol=1e-5) for s in [(0, 0)])
    assert consistent == total == 100
    assert plain < 10  # the bare stem only follows shifts by whole pictures


def test_a_transformer_without_positions_classifies_all_shifts_alike():
    torch.manual_seed(0)
    net = timm.create_model(
        "vit_tiny_patch16_224",
        embed_dim=32,
        depth=2,
        num_heads=2,
        pos_embed="none",
        class_token=False,
        global_pool="avg",
        img_size=64,
        num_classes=7,
    ).eval()
    x = picture(1, 3, 64, 64)
    bare = net(x)
    net.patch_embed = PolyphasePatchEmbed(net.patch_embed, 16)
    with torch.no_grad():
        first = net(x)
        changed = 0
        for dy, dx in ((1, 0), (0, 5), (7, 3), (15, 15), (31, 50)):
            shifted = torch.roll(x, (dy, dx), (2, 3))
            torch.testing.assert_close(net(shifted), first, rtol=1e-4, atol=1e-5)
            changed += not torch.allclose(net.patch_embed.stem(shifted).mean(1), net.patch_embed.stem(x).mean(1))
    assert changed and bare.shape == first.shape


def test_anchoring_is_for_each_picture_alone():
    x = picture(3, 2, 16, 24)
    together, offsets = polyphase_anchor(x, 8)
    assert len({tuple(o.tolist()) for o in offsets}) > 1
    for i in range(3):
        alone, offset = polyphase_anchor(x[i : i + 1], 8)
        assert torch.equal(alone[0], together[i]) and torch.equal(offset[0], offsets[i])


def test_maps_come_back_over_the_picture():
    """Of stride 1 exactly; of stride 8 whole cells exactly, and half cells by their neighbours' mean."""
    x = picture(1, 1, 16, 24)
    rolled, offset = polyphase_anchor(x, 8)
    torch.testing.assert_close(unroll_map(rolled, offset, 1), x)
    ramp = picture(1, 1, 4, 4)
    torch.testing.assert_close(unroll_map(ramp, torch.tensor([[8, 0]]), 8), torch.roll(ramp, 1, 2))
    half = (ramp + torch.roll(ramp, 1, 3)) / 2
    torch.testing.assert_close(unroll_map(ramp, torch.tensor([[0, 4]]), 8), half)


def test_as_an_option_of_a_trunk():
    """Shifts by whole strides of the picture shift the maps of a network without positions."""
    torch.manual_seed(0)
    arguments = {"embed_dim": 32, "depth": 4, "num_heads": 2, "pos_embed": "none"}
    trunk = Backbone(
        "vit_tiny_patch16_224", model_args=arguments, shift_equivariant=True, mode="sfp", out_strides=(16,)
    )
    trunk.eval().pyramid = torch.nn.Identity()
    x = picture(1, 3, 64, 96)
    for steps in ((16, 0), (0, 32), (48, 80)):
        moved = trunk(torch.roll(x, steps, (2, 3)))[0]
        wanted = torch.roll(trunk(x)[0], tuple(s // 16 for s in steps), (2, 3))
        torch.testing.assert_close(moved, wanted, rtol=1e-4, atol=1e-4)
