"""SPIdepth: the true depth explains the neighbour best, auto-masking ignores what stands still, official folders load strictly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.errors import InputError, RecipeError, WeightsError
from perception.geometry import Pinhole
from perception.models.registry import build_model
from perception.models.spidepth import losses
from perception.models.spidepth.model import blend_mirrored
from perception.models.spidepth.pose import scale_by_inverse_depth, transform_of
from perception.models.spidepth.query_layer import SelfQueryLayer
from perception.models.spidepth.view_synthesis import sample, sampling_grid
from perception.models.spidepth.weights import model_config, read_folder
from tests.parity.case import load_case

SIZE = (48, 64)
INTRINSICS = torch.tensor([[[50.0, 0, 32], [0, 50.0, 24], [0, 0, 1]]])
TINY = dict(
    backbone={"name": "resnet10t", "model_args": {"channels": [8, 16, 24, 32], "stem_width": 8}},
    channels=[16, 16, 8, 8],
    size=[64, 96],
    dim=16,
    patch=8,
    queries=8,
    bins=12,
    ffn_dim=32,
    pose_backbone="resnet10t",
)


def colours(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(1, 3, ...) colours of places of a wall, metres."""
    return (
        0.5 + 0.4 * torch.stack([torch.sin(3 * x + y), torch.cos(2 * y - x), torch.sin(2 * x) * torch.cos(3 * y)])[None]
    )


def slanted_wall(offset: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Picture (1, 3, H, W) and depth (1, H, W) of the wall z = 4 + x / 2 from a camera `offset` metres to the right."""
    v, u = torch.meshgrid(torch.arange(SIZE[0]) + 0.5, torch.arange(SIZE[1]) + 0.5, indexing="ij")
    rx, ry = (u - 32) / 50, (v - 24) / 50
    depth = (4 + offset / 2) / (1 - rx / 2)
    return colours(depth * rx + offset, depth * ry), depth[None]


def test_the_true_depth_and_motion_explain_the_picture() -> None:
    reference, depth = slanted_wall(0.0)
    neighbour, _ = slanted_wall(0.4)
    motion = torch.tensor([[0.0, 0, 0, -0.4, 0, 0]])

    def cost(d: torch.Tensor, m: torch.Tensor) -> float:
        warped = sample(neighbour, sampling_grid(d, INTRINSICS, transform_of(m)))
        return losses.photometric_error(warped, reference)[..., 6:-6, 8:-8].mean().item()

    truth = cost(depth, motion)
    assert truth < 0.01
    assert truth < 0.2 * cost(1.3 * depth, motion) and truth < 0.2 * cost(depth, -motion)
    assert cost(2 * depth, 2 * motion) == pytest.approx(truth, rel=1e-2)  # one free scale


def test_transforms() -> None:
    motion = torch.tensor([[0.2, -0.1, 0.3, 1.0, 2.0, -0.5]], dtype=torch.float64)
    forward, back = transform_of(motion), transform_of(motion, invert=True)
    assert torch.allclose(forward @ back, torch.eye(4, dtype=torch.float64)[None], atol=1e-12)
    depth = torch.tensor([[[1.0, 2.0], [4.0, 4.0]]], dtype=torch.float64)
    assert scale_by_inverse_depth(motion, depth)[0, 3:].tolist() == pytest.approx([0.5, 1.0, -0.25])


def test_losses() -> None:
    a = torch.rand(2, 3, 16, 20)
    assert losses.dissimilarity(a, a).abs().max() < 1e-5 and losses.photometric_error(a, a).abs().max() < 1e-5
    assert losses.photometric_error(a, a.flip(-1)).mean() > 0.2
    warped, still = torch.tensor([0.3, 0.1]).view(1, 2, 1, 1), torch.tensor([0.2, 0.4]).view(1, 2, 1, 1)
    assert losses.masked_error(warped, None).item() == pytest.approx(0.1)
    assert losses.masked_error(warped + 0.2, still).item() == pytest.approx(0.2)  # standing still explains it better
    depth = torch.ones(1, 8, 8)
    depth[..., 4:] = 2
    flat, edged = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    edged[..., 4:] = 1
    assert losses.smoothness(depth, edged) < 0.5 * losses.smoothness(depth, flat)
    assert losses.smoothness(3 * depth, flat) == pytest.approx(losses.smoothness(depth, flat).item(), rel=1e-4)


def test_bins_cover_the_range_and_patches_are_counted() -> None:
    layer = SelfQueryLayer(8, 4, queries=6, bins=10, min_depth=0.5, max_depth=20.0, ffn_dim=16, positions=20).eval()
    centres = layer.bin_centres(torch.randn(3, 6, 8))
    assert (centres.diff(dim=1) > 0).all() and centres.min() > 0.5 and centres.max() < 20
    depth = layer(torch.randn(2, 8, 12, 16))
    assert depth.shape == (2, 12, 16) and depth.min() > 0.5 and depth.max() < 20
    for size in ((8, 8), (40, 40)):
        with pytest.raises(InputError, match="between 6 and 20 patches"):
            layer(torch.randn(1, 8, *size))


def test_mirrored_maps_blend_to_each_ones_better_side() -> None:
    blended = blend_mirrored(torch.ones(1, 2, 100), torch.full((1, 2, 100), 3.0))
    assert blended[0, 0, 0] == 3 and blended[0, 0, -1] == 1 and blended[0, 0, 50] == 2


def test_predicts_relative_depth_and_stereo_fixes_the_scale() -> None:
    torch.manual_seed(0)
    model = build_model({"type": "SPIdepth", **TINY})
    batch = {
        "image": torch.randint(0, 255, (2, 3, 64, 96), dtype=torch.uint8),
        "neighbours": torch.randint(0, 255, (2, 2, 3, 64, 96), dtype=torch.uint8),
        "intrinsics": torch.tensor([[80.0, 0, 48], [0, 80, 32], [0, 0, 1]]).repeat(2, 1, 1),
    }
    outputs = model(**model.inputs(batch))
    alone = model.loss(outputs, batch)
    move = torch.eye(4).repeat(2, 1, 1)
    move[:, 0, 3] = -0.5
    pair = batch | {"stereo_image": batch["image"], "stereo_from_camera": move}
    assert model.loss(outputs, pair)["loss_photometric"] < alone["loss_photometric"]  # the smallest over more sources
    for missing in ("neighbours", "intrinsics"):
        lacking = {key: value for key, value in batch.items() if key != missing}
        with pytest.raises(InputError, match=missing):
            model.loss(model(**model.inputs(lacking)), lacking)
    model.eval()
    image = np.random.default_rng(0).integers(0, 255, (50, 90, 3), dtype=np.uint8)
    prepared = model.preprocess(image, Pinhole.default(90, 50))
    with torch.no_grad():
        result = model.predict(model(prepared.inputs["image"][None]), [prepared])[0]
    assert result.depth.kind == "relative" and result.depth.shape == (50, 90) and "not metric" in result.notes[0]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"encoder": "vit"}, "unet, resnet"),
        ({"supervision": "none"}, "video, depth"),
        ({"size": [60, 96]}, "multiples of 32"),
        ({"offsets": [0]}, "other than 0"),
        ({"queries": 64}, "24 patches"),
    ],
    ids=str,
)
def test_options_that_do_not_fit(changes: dict, text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        build_model({"type": "SPIdepth", **TINY, **changes})


def test_official_folder_is_read_strictly(tmp_path) -> None:
    from perception.inference.convert import convert_checkpoint
    from tests.parity.test_parity import CASES

    _, state, _, _ = load_case(CASES / "spidepth")
    parts: dict[str, dict] = {"encoder": {"height": 128, "width": 192, "use_stereo": False}, "depth": {}, "pose": {}}
    for key, value in state.items():
        part = {"depth_decoder": "depth"}.get(key.split(".")[0], key.split(".")[0])
        parts[part][key.split(".", 1)[1]] = torch.from_numpy(np.array(value))
    for name, entries in parts.items():
        torch.save(entries, tmp_path / f"{name}.pth")
    config = model_config(read_folder(tmp_path))
    assert (
        config["backbone"] == "convnextv2_atto" and config["queries"] == 16 and config["channels"] == [128, 64, 48, 32]
    )
    folder, report = convert_checkpoint("spidepth", tmp_path, tmp_path / "out", config | {"size": [128, 192]})
    assert (folder / "config.json").is_file() and len(report.mapped) == len(state) and not report.dropped
    parts["depth"].pop("conv3x3.bias")
    torch.save(parts["depth"], tmp_path / "depth.pth")
    with pytest.raises(WeightsError, match=r"decoder\.pixels\.bias"):
        convert_checkpoint("spidepth", tmp_path, tmp_path / "out2", config | {"size": [128, 192]})
    (tmp_path / "depth.pth").unlink()
    with pytest.raises(WeightsError, match=r"depth\.pth is not there"):
        read_folder(tmp_path)
