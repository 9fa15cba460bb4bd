"""Exported files agree with the model, at other batches and sizes too, and predict the same results from the file alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perception
from perception.cli import main
from perception.errors import InputError, OutputError, WeightsError
from perception.inference.export import TOLERANCE, ExportError, OnnxModel, cached_export, export_model
from perception.inference.export.files import _program_runner
from perception.inference.export.structure import flatten, unflatten
from perception.inference.hub import save_pretrained
from perception.inference.predictor import Predictor
from perception.models.registry import build_model, list_architectures, model_class
from tests.inference.export import tiny  # noqa: F401  (registers TinyDepth)
from tests.models.configs import CASES
from tests.models.hydra.conftest import TINY as HYDRA
from tests.models.hydra.conftest import make_rig

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (extra `export`)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `export`)")

DOCS = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
CONFIGS = {**{name: case.config for name, case in CASES.items()}, "hydra": HYDRA}
# What cannot be exported, and the reason that docs/training.md gives.
UNEXPORTABLE = {
    "CroCoCompletion": ({"size": {"enc_dim": 32, "enc_depth": 1, "enc_heads": 2, "dec_dim": 16, "dec_depth": 1, "dec_heads": 2}}, "it hides patches at random"),
    "RegisterDistillation": ({"backbone": "vit_tiny_patch16_224", "model_args": {"embed_dim": 32, "depth": 1, "num_heads": 2}}, "it trains a backbone"),
}  # fmt: skip


def model_of(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(CONFIGS[name]).eval()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = build_model({"type": "TinyDepth", "width": 4}).eval()
    return save_pretrained(model, tmp_path_factory.mktemp("published"), {"title": "Tiny"})


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
    def slightly_wrong(path: Path) -> Any:
        run = _program_runner(path)
        return lambda inputs: [value + 0.01 for value in run(inputs)]

    monkeypatch.setattr("perception.inference.export.files._program_runner", slightly_wrong)
    with pytest.raises(ExportError, match="differs from the model: output .* more than 0.001; nothing was written"):
        export_model(build_model({"type": "TinyDepth"}), "torch-export", tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_torch_export_programs_agree(tmp_path: Path) -> None:
    report = export_model(build_model({"type": "TinyDepth"}), "torch-export", tmp_path / "model.pt2")
    assert report.free_batch and report.free_size and max(report.differences.values()) < 1e-5
    assert report.differences.keys() == {"depth", "focal", "layers/0/mean"} and "picture size: any" in report.text


def test_files_that_are_no_exports_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not onnx")
    with pytest.raises(WeightsError, match="broken.onnx.* is not an ONNX model"):
        perception.load(tmp_path / "broken.onnx")
    with pytest.raises(ExportError, match="format should be one of onnx, torch-export"):
        export_model(build_model({"type": "TinyDepth"}), "tflite", tmp_path / "x")
    assert main(["export", "x", "--out", str(tmp_path / "x"), "--size", "big"]) == 1
    with pytest.raises(ExportError, match="Linear has no preprocessing for single pictures"):
        export_model(torch.nn.Linear(1, 1), "onnx", tmp_path / "x.onnx")
    with pytest.raises(ExportError, match=r"must end in \.onnx; found 'model\.txt'"):
        export_model(build_model({"type": "TinyDepth"}), "onnx", tmp_path / "model.txt")
    with pytest.raises(OutputError, match="/proc/model.onnx' cannot be written"):
        export_model(build_model({"type": "TinyDepth"}), "onnx", "/proc/model.onnx")


@pytest.mark.parametrize("kind", UNEXPORTABLE)
def test_what_cannot_be_exported_says_why(kind: str, tmp_path: Path) -> None:
    arguments, reason = UNEXPORTABLE[kind]
    with pytest.raises(ExportError, match=f"{kind} cannot be exported: {reason}"):
        export_model(build_model({"type": kind, **arguments}), "onnx", tmp_path / "model.onnx")


def test_every_model_is_exported_or_says_why() -> None:
    kinds = {name for name in list_architectures() if model_class(name).__module__.startswith("perception.")}
    assert {config["type"] for config in CONFIGS.values()} | set(UNEXPORTABLE) == kinds
    for kind in kinds:
        assert f"`{kind}`" in DOCS, f"the table of exports in docs/training.md lacks {kind}"


def answers(predictor: Predictor, free_size: bool = True) -> list[Any]:
    """What a user gets for other pictures (panoramas, pairs, rigs) than the traced ones; without `free_size` of the traced size alone."""
    kind = getattr(predictor.model, "camera_kind", "pinhole")
    if kind == "rig":
        return [predictor(make_rig(cameras, points)) for cameras, points in ((3, 40), (2, None))]
    if kind == "pair":
        height, width = (
            predictor.model.tile
        )  # a file has the tile's size, and larger pictures are cut into tiles in Python
        return [predictor((picture(width, height), picture(width + 1, height)[:, :width]), fov=70)]
    if kind == "equirectangular":
        return predictor([picture(200, 100), picture(128, 64)])
    return predictor([picture(160, 120), picture(200, 90)] if free_size else [picture(160, 120)] * 2, fov=70)


def same_results(ours: Any, theirs: Any) -> None:
    """The same objects with the same parts, whose arrays agree but for a few entries that rounding pushes over a threshold."""
    assert type(ours) is type(theirs)
    if dataclasses.is_dataclass(ours):
        for field in dataclasses.fields(ours):
            same_results(getattr(ours, field.name), getattr(theirs, field.name))
    elif isinstance(ours, Mapping):
        assert ours.keys() == theirs.keys()
        for key in ours:
            same_results(ours[key], theirs[key])
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same_results(a, b)
    elif isinstance(ours, np.ndarray):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        if ours.size and ours.dtype.kind in "fiub":
            a, b = ours.astype(np.float64), theirs.astype(np.float64)
            finite = np.isfinite(a)
            assert (finite == np.isfinite(b)).mean() > 0.99
            both = finite & np.isfinite(b)
            scale = max(1.0, np.abs(a[both]).max(initial=0))
            assert (np.abs(a[both] - b[both]) <= TOLERANCE * scale).mean() > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torch-export"])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_model_exports(name: str, format: str, tmp_path: Path) -> None:
    model = model_of(name)
    report = export_model(model, format, tmp_path / "model.onnx", width=160, height=120)
    print(f"\n{name}: {report.text}")
    assert report.free_batch and max(report.differences.values()) <= TOLERANCE
    if format == "onnx":
        eager = perception.load(save_pretrained(model, tmp_path / "folder"), device="cpu")
        sizes = report.free_size or not hasattr(model.preprocess, "multiple")  # others fit every picture to one size
        same_results(answers(eager, sizes), answers(perception.load(tmp_path / "model.onnx"), sizes))


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
