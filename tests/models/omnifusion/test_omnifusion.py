"""OmniFusion: variants read from checkpoints, sizes, the seam, losses, learning, results."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from perception.errors import InputError, RecipeError, WeightsError
from perception.geometry import Equirectangular
from perception.models.omnifusion import OmniFusion
from perception.models.omnifusion.losses import depth_loss
from perception.models.omnifusion.preprocess import resize_panorama
from perception.models.omnifusion.weights import build_official, variant
from perception.models.registry import build_model

TRUNK = {"name": "resnet10t", "model_args": {"channels": (8, 16, 24, 32), "stem_width": 8}}
TINY = dict(
    backbone=TRUNK, size=(32, 64), fov=80, patch=32, depth=1, convention="consistent", normalise="imagenet", heads=2
)


def batch_of(count: int = 2, size: tuple[int, int] = (32, 64)) -> dict:
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.randint(0, 255, (count, 3, *size), generator=generator, dtype=torch.uint8),
        "depth": 0.5 + 5 * torch.rand(count, *size, generator=generator),
        "depth_valid": torch.rand(count, *size, generator=generator) > 0.2,
        "meta": [{"name": str(i), "kind": "room"} for i in range(count)],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"geometry": "ray", "passes": 3},
        {"geometry": "centre", "loss": "l1"},
        {"geometry": "pixel", "space": "log", "merge": "feathered", "validity": True, "loss": "log-gradient"},
        {"confidence": False, "full_resolution": False, "convention": "official"},
        {"rings": 3, "fov": 130},
        {"backbone": "mobilenetv3_small_050", "geometry": "ray", "passes": 2, "patch": 64},
        {
            "backbone": {"name": "vit_tiny_patch16_224", "out_strides": (4, 8, 16, 32), "pyramid_channels": 32},
            "geometry": "ray",
        },
    ],
    ids=lambda c: "-".join(map(str, c)),
)
def test_variants_learn_and_answer_at_the_size_of_the_picture(changes: dict) -> None:
    torch.manual_seed(0)
    model = build_model({"type": "OmniFusion", **TINY, **changes})
    batch = batch_of()
    losses = model.loss(model(**model.inputs(batch)), batch)
    sum(losses.values()).backward()
    assert all(math.isfinite(v.item()) for v in losses.values())
    unused = {n for n, p in model.named_parameters() if p.grad is None}
    allowed = ("weight_pred",) if not model.confidence else ()
    assert all(n.startswith(("encoder", *allowed)) for n in unused), unused
    model.eval()
    picture = np.random.default_rng(0).integers(0, 255, (50, 100, 3), dtype=np.uint8)
    prepared = model.preprocess(picture, Equirectangular(100, 50))
    with torch.no_grad():
        outputs = model(prepared.inputs["image"][None])
    result = model.predict(outputs, [prepared])[0].depth
    assert result.shape == (50, 100) and result.kind == "range"
    assert outputs["depths"].shape == (1, model.passes, 32, 64)


def test_turning_the_panorama_turns_the_depth() -> None:
    """Without the learned position of each patch and with geometry that knows no heading, a third of a turn is exact."""
    torch.manual_seed(0)
    model = OmniFusion(**{**TINY, "size": (48, 96)}, geometry="centre", merge="feathered").eval()
    with torch.no_grad():
        model.fusion.pos_emb.zero_()
        model.geometry.hidden[0].weight[:, [0, 3]] = 0
        image = 255 * torch.rand(1, 3, 48, 96)
        turned = model(image.roll(32, -1))["depth"]
        assert torch.allclose(turned, model(image)["depth"].roll(32, -1), atol=1e-5)


def test_chunks_change_memory_not_numbers() -> None:
    torch.manual_seed(0)
    model = OmniFusion(**TINY, geometry="ray", passes=2).eval()
    image = 255 * torch.rand(1, 3, 32, 64)
    whole = model(image)["depth"]  # gradients are on: all patches at once
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("perception.models.omnifusion.model._CHUNK_PIXELS", 5 * 32 * 32)
        assert torch.allclose(model(image)["depth"], whole, atol=1e-6)


def official_state(down: int = 32, rings_patches: int = 18, iterative: bool = False) -> dict[str, torch.Tensor]:
    """An official state dict of that variant, random numbers."""
    patch = 32 * int(math.sqrt(512 / down))
    rings = {10: 3, 18: 4, 26: 5, 46: 6}[rings_patches]
    model = OmniFusion(
        size=(64, 128),
        rings=rings,
        patch=patch,
        geometry="ray" if iterative else "centre",
        passes=1 + iterative,
        allow_holes=True,
    )
    names = [
        ("encoder.net.", ""),
        ("fusion.down.", "down1." if iterative else "down."),
        ("fusion.pos_emb", "transformer.pos_emb"),
        ("fusion.norm.", "transformer.encoder_norm."),
        ("fusion.layers.", "transformer.layer."),
        (".mlp.0.", ".mlp.fc1."),
        (".mlp.2.", ".mlp.fc2."),
        ("geometry_again.hidden.", "mlp_points2."),
        ("geometry_again.outputs.0.0.", "mlp_points2.3."),
        ("geometry_again.outputs.0.1.", "mlp_points2.4."),
        ("geometry.hidden.", "mlp_points1." if iterative else "mlp_points."),
        ("geometry.outputs.0.0.", "mlp_points1.3." if iterative else "mlp_points.3."),
        ("geometry.outputs.0.1.", "mlp_points1.4." if iterative else "mlp_points.4."),
        ("decoder.final.0.", "de_conv4_0.conv."),
        ("decoder.final.1.", "de_conv4_0.bn."),
    ]
    for level in range(4):
        for ours, theirs in (("up", 0), ("fuse", 1)):
            names += [
                (f"decoder.{ours}.{level}.0.", f"de_conv{level}_{theirs}.conv."),
                (f"decoder.{ours}.{level}.1.", f"de_conv{level}_{theirs}.bn."),
            ]
    state = {}
    for key, value in model.state_dict().items():
        for ours, theirs in names:
            key = key.replace(ours, theirs)
        flat = value.ndim == 4 and not key.startswith("mlp_points")
        state[f"module.{key}"] = value[..., None] if flat else value
    return state


def test_released_variants_are_read_from_shapes() -> None:
    released = variant(official_state(8, 18, iterative=True))  # Stanford_2iter.pth: 8 channels, patch 256
    assert (released["patch"], released["rings"], released["passes"], released["confidence"]) == (256, 4, 2, False)
    smaller = variant(official_state(32, 26))
    assert (smaller["patch"], smaller["rings"], smaller["passes"], smaller["geometry"]) == (128, 5, 1, "centre")
    state = official_state(128, 10)
    model = build_official(state, size=(64, 128))
    assert model.patch == (64, 64) and model.layout.rings == 3 and model.allow_holes
    state.pop("module.pred.bias")
    with pytest.raises(WeightsError, match="pred.bias"):
        build_official(state, size=(64, 128))
    with pytest.raises(WeightsError, match="no OmniFusion"):
        variant({"head.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="no square patch"):
        variant({"down.weight": torch.zeros(3, 512, 1, 1, 1), "transformer.pos_emb": torch.zeros(1, 18, 512)})


def test_colours_reach_the_released_weights_in_their_order() -> None:
    model = OmniFusion(**{**TINY, "normalise": "bgr"})
    image = torch.zeros(1, 3, 2, 4, dtype=torch.uint8)
    image[:, 0] = 255  # red
    assert torch.equal(model.normalise(image)[0, :, 0, 0], torch.tensor([0.0, 0.0, 1.0]))


def test_berhu_and_its_official_flaw() -> None:
    truth = torch.full((2, 1, 4, 4), 2.0)
    valid = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    valid[0, 0, 0, 0] = False
    prediction = truth + 0.1
    prediction[1, 0, 0, 0] = 7.0  # c = 1 in the second picture
    fixed = depth_loss(prediction, truth, valid)
    expected = (0.1**2 + 0.02**2) / 0.04, (15 * 0.1 + (25 + 1) / 2) / 16
    assert fixed.item() == pytest.approx(sum(expected) / 2, rel=1e-5)
    outlier = prediction.clone()
    outlier[0, 0, 0, 0] = 900.0  # where there is no truth
    assert torch.equal(depth_loss(outlier, truth, valid), fixed)
    assert not torch.isclose(
        depth_loss(outlier, truth, valid, "berhu-official"), depth_loss(prediction, truth, valid, "berhu-official")
    )
    assert depth_loss(prediction, truth, torch.zeros_like(valid)).item() == 0
    with pytest.raises(RecipeError, match="berhu"):
        depth_loss(prediction, truth, valid, "huber")


def test_partial_panoramas_and_warnings() -> None:
    model = OmniFusion(**TINY).eval()
    lat = (-math.pi / 6, math.pi / 4)
    part = Equirectangular(60, 25, (math.pi - 1, math.pi + 1), lat)  # across the seam
    picture = np.full((25, 60, 3), 90, np.uint8)
    prepared = model.preprocess(picture, part)
    assert prepared.inputs["image"].shape == (3, 32, 64)
    with torch.no_grad():
        result = model.predict(model(prepared.inputs["image"][None]), [prepared])[0]
    assert result.depth.shape == (25, 60)
    with pytest.warns(UserWarning, match="twice as wide as high"):
        model.preprocess(np.zeros((60, 60, 3), np.uint8), Equirectangular(60, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.preprocess(np.zeros((30, 60, 3), np.uint8), Equirectangular(60, 30))
    with pytest.raises(InputError, match="60x30"):
        model.preprocess(np.zeros((25, 60, 3), np.uint8), Equirectangular(60, 30))


def test_resizing_crosses_the_seam() -> None:
    image = torch.zeros(1, 1, 8, 16)
    image[..., 0] = 1
    wide = resize_panorama(image, (16, 32))[0, 0, 8]
    assert torch.allclose(wide[[-1, 2]], torch.full((2,), 0.25), atol=1e-4)


def test_options_that_do_not_exist() -> None:
    for changes, error, text in (
        ({"geometry": "none"}, RecipeError, "geometry"),
        ({"geometry": "centre", "passes": 2}, RecipeError, "several with geometry='ray'"),
        ({"fov": 40}, InputError, "holes"),
        ({"patch": 96}, RecipeError, "token"),
    ):
        with pytest.raises(error, match=text):
            OmniFusion(**{**TINY, **changes})
