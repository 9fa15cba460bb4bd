"""Exported files agree with the model, at other batches and sizes too, and predict the same results from the file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perception
from perception.cli import main
from perception.errors import InputError, WeightsError
from perception.inference.export import TOLERANCE, ExportError, OnnxModel, cached_export, export_model
from perception.inference.export.structure import flatten, unflatten
from perception.inference.hub import save_pretrained
from perception.inference.predictor import Predictor
from perception.models.registry import build_model
from tests.models.configs import CASES

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (extra `export`)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `export`)")

# What cannot be exported, and the reason that docs/training.md gives.
UNEXPORTABLE: dict[str, str] = {}


def model_of(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(CASES[name].config).eval()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pretrained(model_of("dpt"), tmp_path_factory.mktemp("published"), {"title": "Tiny"})


@pytest.fixture(scope="module")
def exported(published: Path, tmp_path_factory: pytest.TempPathFactory, module_cache: Path) -> Path:
    """Through the command line, as a user does."""
    place = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    assert main(["export", str(published), "--format", "onnx", "--out", str(place), "--size", "160x120"]) == 0
    return place


@pytest.fixture(scope="module")
def module_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("cache")
    patch.setenv("PERCEPTION_CACHE", str(folder))
    yield folder
    patch.undo()


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_file_alone_predicts_what_the_model_predicts(published: Path, exported: Path) -> None:
    ours, theirs = perception.load(published, device="cpu"), perception.load(exported)
    assert isinstance(theirs.model, OnnxModel) and theirs.about["title"] == "Tiny"
    pictures = [picture(160, 120), picture(200, 90), picture(160, 120), picture(90, 200)]
    for a, b in zip(ours(pictures, fov=70), theirs(pictures, fov=70), strict=True):
        assert type(a) is type(b) and a.parts.keys() == b.parts.keys()
        scale = max(1.0, float(np.nanmax(a.depth.depth)))
        np.testing.assert_allclose(b.depth.depth, a.depth.depth, atol=TOLERANCE * scale)
        np.testing.assert_allclose(b.normals.normals, a.normals.normals, atol=10 * TOLERANCE)
        assert (b.segmentation.semantic == a.segmentation.semantic).mean() > 0.999
        assert a.camera == b.camera


def test_predict_with_onnxruntime_saves_the_same_files(exported: Path, published: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(picture(64, 48)).save(tmp_path / "a.png")
    for name, model in (("torch", published), ("onnxruntime", exported)):
        words = ["predict", str(tmp_path / "a.png"), "--model", str(model), "--runtime", name, "--fov", "70"]
        assert main([*words, "--out", str(tmp_path / name), "--device", "cpu"]) == 0
    found = [sorted(p.name for p in (tmp_path / name / "a").rglob("*")) for name in ("torch", "onnxruntime")]
    assert found[0] == found[1] and "result.json" in found[0]


def test_outputs_are_taken_apart_and_put_together() -> None:
    value = {"a": torch.ones(1), "b": [torch.zeros(2), {"c": None, "d": 3}], "e": "text"}
    names, tensors, structure = flatten(value)
    assert names == ["a", "b/0"]
    again = unflatten(structure, tensors)
    assert again["b"][1] == {"c": None, "d": 3} and again["e"] == "text" and again["a"] is value["a"]
    with pytest.raises(TypeError, match="'x' is a set"):
        flatten({"x": set()})


def test_a_wrong_export_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perception.inference.export.files.write_onnx", lambda traced, text, path: path.touch())
    wrong = lambda path: lambda inputs: [np.zeros(1, np.float32)] * 99  # noqa: E731
    monkeypatch.setattr("perception.inference.export.files._onnx_runner", wrong)
    monkeypatch.setattr("perception.inference.export.files._compare", lambda *_: (("1 x 1x1",), {"log_depth": 0.1}))
    monkeypatch.setattr("perception.inference.export.files.trace", lambda *_: _traced())
    with pytest.raises(ExportError, match="'log_depth' by 1.00e-01, more than 0.001; nothing was written"):
        export_model(model_of("dpt"), "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def _traced() -> Any:
    from perception.inference.export.examples import Examples
    from perception.inference.export.program import Traced

    return Traced(None, Examples({}, {}), (), (), {"dict": {}}, {}, ())  # type: ignore[arg-type]


def test_files_that_are_no_exports_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not onnx")
    with pytest.raises(WeightsError, match="broken.onnx.* is not an ONNX model"):
        perception.load(tmp_path / "broken.onnx")
    with pytest.raises(ExportError, match="format should be one of onnx, torch-export"):
        export_model(model_of("dpt"), "tflite", tmp_path / "x")
    assert main(["export", "x", "--out", str(tmp_path / "x"), "--size", "big"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torch-export"])
@pytest.mark.parametrize("name", CASES)
def test_every_model_exports_or_says_why(name: str, format: str, tmp_path: Path) -> None:
    model = model_of(name)
    reason = UNEXPORTABLE.get(type(model).__name__)
    if reason:
        with pytest.raises(ExportError, match=reason):
            export_model(model, format, tmp_path / "model", width=160, height=120)
        return
    report = export_model(model, format, tmp_path / "model.onnx", width=160, height=120)
    assert report.free_batch and max(report.differences.values()) <= TOLERANCE


@pytest.mark.slow
def test_a_name_is_exported_once_into_the_cache(published: Path, module_cache: Path) -> None:
    predictor = perception.load(published, device="cpu")
    first = cached_export(predictor, 160, 120)
    time = first.stat().st_mtime_ns
    assert first.is_relative_to(module_cache) and cached_export(predictor, 160, 120) == first
    assert first.stat().st_mtime_ns == time
    with torch.no_grad():
        next(predictor.model.parameters()).add_(1)
    changed = Predictor(predictor.model, predictor.device, predictor.dtype, predictor.about)
    assert cached_export(changed, 160, 120) != first, "other weights are another file"


def test_a_fixed_size_is_told(exported: Path) -> None:
    model = OnnxModel(exported)
    model.free = {name: [0] for name in model.free}
    inputs = {name: torch.zeros(1, *shape[1:]) for name, shape in model.shapes.items()}
    inputs["image"] = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    with pytest.raises(InputError, match=r"takes 'image' of shape .*; its picture size is fixed"):
        model(**inputs)
