"""Zero-shot table: a model that knows the depth up to a factor, opponents that know nothing, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.datasets.folder import ImageFolder
from perception.errors import DatasetError, InputError
from perception.inference.hub import save_pretrained
from perception.inference.zero_shot import ALIGNMENTS, OWN, zero_shot
from perception.io.depth_files import write_depth_png
from perception.io.images import write_image
from perception.models.registry import build_model
from perception.results import DepthResult, Prediction
from tests.evaluation.test_command import load_tool
from tests.models.configs import CASES


class Oracle:
    """Reads the depth out of the picture's red channel (decimetres), doubled; in the second frame as 1/(0.1 + 2/z)."""

    tasks = ("depth",)
    model = type("Net", (), {"sky_class": 0})()

    def __call__(self, image: torch.Tensor, camera: np.ndarray) -> Prediction:
        assert camera.shape == (3, 3) and self.model.sky_class is None, "what lies behind a sky label is scored"
        metres = image[0].float().numpy() / 10
        values = 2 * metres if image[1, 0, 0] == 0 else 1 / (0.1 + 2 / metres)
        return Prediction(depth=DepthResult(values.astype(np.float32), np.ones(values.shape, bool), kind="metric"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    for number in range(2):
        tenths = rng.integers(10, 99, (36, 48), dtype=np.uint8)
        image = np.stack([tenths, np.full_like(tenths, number), np.zeros_like(tenths)], -1)
        write_image(root / str(number) / "image.png", image)
        write_depth_png(root / str(number) / "depth.png", tenths.astype(np.float32) / 10, scale=1000.0)
        (root / str(number) / "meta.json").write_text('{"fx": 40, "fy": 40, "cx": 24, "cy": 18}')
    return root


def test_alignments_take_away_what_they_say(folder: Path) -> None:
    found = zero_shot({"a": Oracle()}, "frames", ImageFolder(folder))
    row = found.rows["a"]
    assert found.frames == 2 and Oracle.model.sky_class == 0, "the caller's model is as it was"
    assert row["none/abs_rel"] > 0.5
    assert row["affine-disparity/abs_rel"] < 1e-3, "both frames are affine in 1/depth"
    assert 0.01 < row["median/abs_rel"] < 0.3, "one of them is more than a factor away"
    assert list(found.rows) == ["a", f"constant ({OWN})", f"vertical prior ({OWN})"]
    constant = found.rows[f"constant ({OWN})"]
    assert constant["none/delta1"] < 0.5 < row["affine-log/delta1"]


def test_every_prior_is_an_opponent_of_its_own(folder: Path) -> None:
    far = {"log_depth": [np.log(50.0)] * 180, "mean": float(np.log(50.0))}
    found = zero_shot({"a": Oracle()}, "frames", ImageFolder(folder), priors={OWN: None, "far": far})
    own, other = (found.rows[f"vertical prior ({name})"] for name in (OWN, "far"))
    assert other["none/abs_rel"] > 5 > own["none/abs_rel"]
    assert other["median/abs_rel"] == pytest.approx(found.rows["constant (far)"]["median/abs_rel"])
    lines = found.table().splitlines()
    assert len(lines) == 3 + 1 + 4 and all(name in lines[1] for name in ALIGNMENTS)
    assert lines[3].split()[1:3] == [f"{found.rows['a'][f'none/{name}']:.3f}" for name in ("abs_rel", "delta1")]


def test_what_cannot_be_scored_is_a_sentence(folder: Path) -> None:
    boxes = Oracle()
    boxes.tasks = ("boxes3d",)
    with pytest.raises(InputError, match="'b' predicts boxes3d; expected a model with depth"):
        zero_shot({"b": boxes}, "frames", ImageFolder(folder))
    with pytest.raises(DatasetError, match="none of the 2 frames has a pixel"):
        zero_shot({"a": Oracle()}, "frames", ImageFolder(folder), {"base": "none", "min_depth": 100.0})


def test_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model = save_pretrained(build_model(CASES["dpt-depth-no-camera"].config).eval(), tmp_path / "model")
    tool, out = load_tool("zero_shot"), tmp_path / "out.json"
    words = [str(model), "--folder", str(folder), "--device", "cpu", "--json", str(out)]
    assert tool.main([*words, "--preset", "nyu_full", "--align", "median"]) == 0
    (result,) = json.loads(out.read_text())
    assert result["frames"] == 2 and "protocol nyu_full" in result["protocol"] and len(result["rows"]) == 3
    assert "vertical prior (these frames)" in capsys.readouterr().out
    assert tool.main([str(model), "--device", "cpu"]) == 2 and "no frames to evaluate on" in capsys.readouterr().err
    assert tool.main([*words, "--data", "{"]) == 2 and "--data takes a JSON object" in capsys.readouterr().err
