"""CroCo for stereo and flow: losses, tiles, sizes, units, weights and use."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from perception.errors import InputError, RecipeError
from perception.geometry import Pinhole
from perception.inference.pair_predictor import PairPredictor
from perception.models.croco.dpt_head import default_taps
from perception.models.croco.losses import laplacian, laplacian_bounded, laplacian_bounded_log
from perception.models.croco.tiling import certainty, enlarged_size, predict_tiled, resize_displacements, tile_starts
from perception.models.registry import build_model
from tests.models.configs import CASES as MODELS
from tests.models.configs import pair_batch

STEREO, FLOW = MODELS["croco-stereo"].config, MODELS["croco-flow"].config


def test_published_taps() -> None:
    assert default_taps(12, 8) == (10, 13, 16, 19)
    assert default_taps(12, 12) == (11, 15, 19, 23)
    assert default_taps(24, 12) == (23, 27, 31, 35)


def test_losses() -> None:
    values, truth = torch.zeros(1, 2, 1, 3), torch.tensor([[[[3.0, 1.0, torch.inf]], [[-1.0, 1.0, 0.0]]]])
    valid = torch.isfinite(truth).all(1)
    scale = torch.zeros(1, 1, 3)
    assert laplacian(values, scale, truth, valid) == pytest.approx(3)  # |du| + |dv|, unknown pixels left out
    assert laplacian(values, scale + 1, truth, valid) == pytest.approx(3 / np.e + 1)
    assert laplacian_bounded_log(values, scale, truth, valid) == pytest.approx(3)
    assert laplacian_bounded_log(values, scale + 1000, truth, valid) == pytest.approx(3 / np.e**3 + 3, rel=1e-4)
    middle = 0.25 + 3.75 / 2
    assert laplacian_bounded(values, scale, truth, valid) == pytest.approx(3 / middle + np.log(middle), rel=1e-5)
    truth[0, 0, 0, 1] = 20000.0  # an error of the truth
    assert laplacian_bounded(values, scale, truth, valid) == pytest.approx(4 / middle + np.log(middle), rel=1e-5)
    free = torch.zeros(1, 2, 1, 3, requires_grad=True)
    for loss in (laplacian, laplacian_bounded_log, laplacian_bounded):
        loss(free, scale, truth, valid).backward()
    assert torch.isfinite(free.grad).all() and free.grad[..., 2].abs().max() == 0
    assert laplacian(values, scale, truth, valid & False) == 0


def test_tiles_cover_and_blend_by_certainty() -> None:
    assert tile_starts(96, 96, 0.5) == [0] and tile_starts(80, 96, 0.5) == [0]
    assert tile_starts(176, 96, 0.5) == [0, 40, 80]
    for total, overlap in ((500, 0.7), (97, 0.0), (1000, 0.9)):
        starts = tile_starts(total, 96, overlap)
        assert starts[0] == 0 and starts[-1] == total - 96
        assert max(np.diff(starts)) <= np.ceil((1 - overlap) * 96) + 1
    weigh = certainty("conf_expsigmoid_15_3")
    assert weigh(torch.tensor(0.0)) == 1 and weigh(torch.tensor(2.0)) < 0.01 < 100 < weigh(torch.tensor(-2.0))
    assert certainty("conf_expbeta3")(torch.tensor(1.0)) == pytest.approx(np.exp(-3))
    with pytest.raises(RecipeError, match="conf_expsigmoid_BETA_WIDTH"):
        certainty("mean")
    picture = torch.rand(1, 3, 40, 70)

    def run(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Each tile's value is its own colour, sure in bright tiles."""
        return torch.cat((first[:, :1], first[:, 1:2] - second[:, 1:2]), 1)

    values, confidence = predict_tiled(run, picture, picture, (32, 32), 0.5, "conf_expsigmoid_10_5")
    assert torch.allclose(values[0, 0], picture[0, 0], atol=1e-6) and confidence.abs().max() < 1e-6
    calls = []

    def unsure(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """The first tile says 1 and is sure, all others say 0 and are not."""
        out = torch.zeros(len(first), 2, 32, 32)
        out[:, 1] = 5.0
        if not calls:
            out[0, 0], out[0, 1] = 1.0, -5.0
        calls.append(len(first))
        return out

    values, _ = predict_tiled(unsure, picture, picture, (32, 32), 0.5, "conf_expsigmoid_10_5", batch=1)
    assert values[0, 0, :32, :32].min() > 0.99 and values[0, 0, 33:].max() == 0


@pytest.mark.parametrize("config", [STEREO, FLOW], ids=["stereo", "flow"])
def test_results_have_the_picture_s_size_and_pixels(config: dict) -> None:
    torch.manual_seed(0)
    model = build_model(config).eval()
    predictor = PairPredictor(model, torch.device("cpu"), torch.float32, {"name": "tiny"})
    rng = np.random.default_rng(0)
    for height, width in ((64, 96), (40, 50), (70, 130)):
        left, right = rng.integers(0, 255, (2, height, width, 3), dtype=np.uint8)
        result = predictor(left, right, fov=70, **({"baseline": 0.5} if config is STEREO else {}))
        part = result.disparity if config is STEREO else result.flow
        assert part.shape == (height, width) and 0 < part.confidence.min() <= part.confidence.max() < 1
    if config is STEREO:
        fx = Pinhole.from_fov(130, 70, 70).fx
        row, column = np.argwhere(result.depth.valid)[0] if result.depth.valid.any() else (0, 0)
        if result.depth.valid.any():
            assert result.depth.depth[row, column] == pytest.approx(
                fx * 0.5 / result.disparity.disparity[row, column], rel=1e-5
            )
        assert "baseline" in predictor(left, right).notes[-1]
    assert [r.name for r in predictor([(left, right), (left, right)])] == [result.name] * 2
    for wrong, text in (((left,), "two pictures"), ((left, right[:-1]), "one size")):
        with pytest.raises(InputError, match=text):
            predictor(*wrong)


def test_values_scale_with_the_picture() -> None:
    """What the network says in its pixels is told in the original's."""
    model = build_model(STEREO).eval()
    prepared = model.preprocess([np.zeros((32, 40, 3), np.uint8)] * 2, Pinhole.default(40, 32))
    height, width = prepared.inputs["image"].shape[-2:]
    assert (height, width) == (77, 96)  # enlarged 2.4 times, both sides alike: the smallest that holds a tile
    outputs = {"disparity": torch.full((1, 1, height, width), 12.0), "confidence": torch.zeros(1, height, width)}
    assert model.predict(outputs, [prepared])[0].disparity.disparity[5, 5] == pytest.approx(5.0)
    batch = pair_batch(1, 32, 40)
    outputs["disparity"] = torch.full((1, 1, 64, 80), 6.0)
    outputs["confidence"] = torch.zeros(1, 64, 80)
    assert model.loss(outputs, batch)["log_error_pixels"] < 1e-5  # 6 pixels at twice the size are 3


def test_small_pictures_are_enlarged_just_enough() -> None:
    """Alike from arrays and from batches, whichever side is short; the values come back to the picture's pixels."""
    for size, wanted in (((80, 80), (96, 96)), ((200, 48), (400, 96)), ((40, 300), (64, 480)), ((64, 96), (64, 96))):
        assert enlarged_size(size, (64, 96)) == wanted
    model = build_model(STEREO).eval()
    left, right = np.random.default_rng(0).integers(100, 150, (2, 40, 50, 3), dtype=np.uint8)
    prepared = model.preprocess([left, right], Pinhole.default(50, 40)).inputs["image"].float()
    batch = {key: torch.from_numpy(a.copy()).permute(2, 0, 1)[None] for key, a in (("image", left), ("second", right))}
    torch.testing.assert_close(prepared[None], model.inputs(batch)["image"], rtol=0, atol=1.0)
    ramp = torch.linspace(0, 1, 96).expand(1, 2, 64, 96) * torch.tensor([8.0, 4.0])[:, None, None]
    small = resize_displacements(ramp, (32, 24))
    assert small[0, :, 16, 12].tolist() == pytest.approx([1.0, 1.0], rel=0.05)


def test_learns_a_shift() -> None:
    torch.manual_seed(0)
    model = build_model({**STEREO, "criterion": "laplacian"})
    batch, history = pair_batch(2, 64, 96), []
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(8):
        losses = model.loss(model(**model.inputs(batch)), batch)
        optimiser.zero_grad()
        losses["loss_match"].backward()
        optimiser.step()
        history.append(losses["log_error_pixels"].item())
    assert history[-1] < 0.8 * history[0]
    with pytest.raises(InputError, match="'flow'"):
        build_model(FLOW).loss({}, {"image": batch["image"]})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"task": "depth"}, "one of 'stereo', 'flow'"),
        ({"tile": [60, 96]}, "multiples of 32"),
        ({"overlap": 1.0}, "overlap"),
        ({"criterion": "l2"}, "laplacian-bounded"),
        ({"taps": [0, 1, 2, 9]}, "four of its 5 blocks"),
    ],
    ids=str,
)
def test_options_that_do_not_fit(changes: dict, text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        build_model({**STEREO, **changes})


def test_command_line_takes_pairs(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from perception.cli import main
    from perception.inference.hub import save_pretrained

    torch.manual_seed(0)
    save_pretrained(build_model(STEREO).eval(), tmp_path / "model")
    for name in ("left.png", "right.png"):
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    call = ["predict", "left.png", "right.png", "--model", "model", "--out", "out", "--fov", "80", "--baseline", "0.5"]
    assert main(call) == 0
    names = {path.name for path in (tmp_path / "out" / "left").iterdir()}
    assert {"disparity.npy", "disparity.pfm", "disparity.png", "depth.npy", "result.json"} <= names
    assert main(["predict", "left.png", "--model", "model"]) == 1 and "in pairs" in capsys.readouterr().err
