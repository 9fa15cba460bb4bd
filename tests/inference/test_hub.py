"""Published folders: written, read back offline, and through huggingface_hub (stubbed: nothing leaves this machine)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perception
from perception.errors import WeightsError
from perception.inference.hub import from_pretrained, push_to_hub, save_pretrained
from perception.models.registry import build_model
from tests.models.configs import CASES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("hub") / "model"
    about = {"title": "Tiny", "licence": "Apache-2.0"}
    return save_pretrained(build_model(CASES["dpt"].config).eval(), place, about)


def predict(model: Any) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return model(image, fov=70).depth.depth


def test_a_published_folder_has_configuration_weights_and_card(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    assert config["model"] == CASES["dpt"].config
    text = (folder / "README.md").read_text()
    assert text.startswith("---\n") and "license: apache-2.0" in text and "# Tiny" in text


def test_offline_round_trip_predicts_the_same(folder: Path, tmp_path: Path) -> None:
    first = from_pretrained(folder, device="cpu")
    again = perception.from_pretrained(first.save_pretrained(tmp_path / "again"), device="cpu")
    assert np.array_equal(predict(first), predict(again))
    assert again.about["title"] == "Tiny"


def test_a_card_that_somebody_wrote_is_kept(folder: Path, tmp_path: Path) -> None:
    model = from_pretrained(folder, device="cpu")
    (tmp_path / "README.md").write_text("mine")
    model.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_from_the_hub_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def snapshot(repository: str, **options: Any) -> str:
        asked.update(options, repository=repository)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    model = from_pretrained("somebody/tiny", revision="v1", device="cpu")
    assert asked["repository"] == "somebody/tiny" and asked["revision"] == "v1"
    assert "*.bin" not in asked["allow_patterns"] and "model.safetensors" in asked["allow_patterns"]
    assert np.array_equal(predict(model), predict(perception.load("hub:somebody/tiny", device="cpu")))


def test_push_uploads_the_folder_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    class Api:
        def __init__(self, token: str | None = None) -> None:
            pass

        def create_repo(self, repository: str, **options: Any) -> None:
            calls.append(("create", {"repository": repository, **options}))

        def upload_folder(self, **options: Any) -> None:
            names = sorted(path.name for path in Path(options["folder_path"]).iterdir())
            calls.append(("upload", {**options, "names": names}))

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    model = from_pretrained(folder, device="cpu")
    for what in (folder, model):
        calls.clear()
        address = push_to_hub(what, "me/tiny", private=True) if what is folder else model.push_to_hub("me/tiny")
        assert address == "https://huggingface.co/me/tiny"
        assert [name for name, _ in calls] == ["create", "upload"]
        assert calls[1][1]["repo_id"] == "me/tiny"
        assert calls[1][1]["names"] == ["README.md", "config.json", "model.safetensors"]


def test_errors_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="has no config.json and no model.safetensors"):
        from_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="neither an existing folder nor a repository"):
        from_pretrained("nothing-like-it")

    def away(*_: Any, **__: Any) -> str:
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", away)
    with pytest.raises(WeightsError, match="download config.json, model.safetensors, README.md from https://hugg"):
        from_pretrained("somebody/tiny")
    with pytest.raises(WeightsError, match="is no published model"):
        push_to_hub(tmp_path, "me/tiny")
