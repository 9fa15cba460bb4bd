"""Names, addresses, and what happens when weights are not there."""

import dataclasses
from pathlib import Path

import pytest
import torch

from perception.errors import InputError, WeightsError
from perception.inference import list_models, load
from perception.inference.loading import fetch, resolve_device, resolve_dtype
from perception.inference.zoo import Entry, entry
from perception.models.registry import build_model

TRUNK = {"backbone": {"name": "resnet10t", "model_args": {"channels": (8, 16, 24, 32), "stem_width": 8}}}
OFFICIAL = {"type": "OmniFusion", "size": (32, 64), "patch": 32, "depth": 1, "heads": 2, "geometry": "ray", "passes": 2}


def test_every_entry_says_licence_tasks_and_address() -> None:
    rows = list_models()
    assert len({row.name for row in rows}) == len(rows) > 0
    for row in rows:
        assert row.licence and row.title and row.tasks, row.name
        assert row.address == "bundled" or row.address.startswith(("https://", "hub:")), row.name


def test_tasks_filter_and_unknown_task() -> None:
    assert all("depth" in row.tasks for row in list_models("depth"))
    with pytest.raises(WeightsError, match="Did you mean 'depth'"):
        list_models("dept")


def test_unknown_name_proposes_the_nearest() -> None:
    with pytest.raises(WeightsError, match="Did you mean 'depth-anything-v2-vits'"):
        load("depth-anything-v2-vit")


def test_without_network_the_sentence_says_what_to_fetch_and_where_to_put_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PERCEPTION_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", _no_network)
    with pytest.raises(
        WeightsError, match=r"fetch https://huggingface\.co/.*vits\.pth and put it at .*vits\.pth"
    ) as caught:
        fetch(entry("depth-anything-v2-vits"))
    assert str(tmp_path) in str(caught.value)


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PERCEPTION_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="(NotADirectory|FileExists)Error.*put it at"):
        fetch(entry("croco-stereo"))


def test_files_that_only_people_can_fetch_are_asked_for_and_read_from_the_cache(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PERCEPTION_CACHE", str(tmp_path))
    place = tmp_path / "omnifusion-2iter-stanford2d3d" / "Stanford_2iter.pth"
    with pytest.raises(
        WeightsError, match=r"by hand from https://drive\.google\.com/\S+ .*Stanford_2iter\.pth"
    ) as caught:
        load("omnifusion-2iter-stanford2d3d")
    assert str(place) in str(caught.value) and not place.parent.exists()

    whole = build_model({**OFFICIAL, **TRUNK})
    monkeypatch.setattr("perception.models.omnifusion.weights.variant", lambda state: {**OFFICIAL, **TRUNK})
    monkeypatch.setattr("perception.models.omnifusion.weights.convert", lambda state: state)
    place.parent.mkdir()
    torch.save(whole.state_dict(), place)
    model = load("omnifusion-2iter-stanford2d3d", device="cpu").model
    assert torch.equal(model.pred.weight, whole.pred.weight) and model.passes == 2


def test_a_file_in_the_cache_is_used_only_when_its_digest_is_right(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PERCEPTION_CACHE", str(tmp_path))
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    row = Entry("x", ("depth",), "X", "MIT", "https://example.invalid/x.pth", sha256=known)
    place = tmp_path / "x" / "x.pth"
    place.parent.mkdir()
    place.write_text("abc")
    assert fetch(row) == place
    place.write_text("abd")
    with pytest.raises(WeightsError, match="SHA-256"):
        fetch(row)


def test_device_and_dtype_names() -> None:
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="device 'quantum'"):
        resolve_device("quantum")
    assert resolve_dtype(torch.bfloat16, torch.device("cpu")) is resolve_dtype("bfloat16", resolve_device("cpu"))
    with pytest.raises(InputError, match="dtype"):
        resolve_dtype("float64", resolve_device("cpu"))


def test_what_is_no_model_is_told_apart(tmp_path: Path) -> None:
    """A folder, a run folder, a recipe, a text and a picture: none is called unsafe, none asks for trust."""
    (tmp_path / "run" / "export").mkdir(parents=True)
    (tmp_path / "run" / "export" / "config.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "recipe.py").write_text("model = dict(type='DPT')\n")
    (tmp_path / "notes.pth").write_text("# weights to come\n")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(64))
    expected = {
        "run": "folder of a training run; load what it published, .*export",
        "empty": "no published model: expected config.json and model.safetensors",
        "recipe.py": "is a recipe and has no weights",
        "notes.pth": "'notes.pth' is no checkpoint",
        "photo.jpg": "'photo.jpg' is no checkpoint",
    }
    for name, sentence in expected.items():
        with pytest.raises(WeightsError, match=sentence) as caught:
            load(tmp_path / name)
        assert "trust" not in str(caught.value) and "\n" not in str(caught.value)


def _no_network(*_, **__):
    raise OSError("no network")


def test_weights_of_several_files_are_read_together(tmp_path: Path, monkeypatch) -> None:
    """SPIdepth publishes three files in a folder of its repository."""
    import torch

    from perception.models.registry import build_model
    from perception.models.spidepth import weights
    from tests.models.configs import CASES

    asked = []

    def download(repository: str, file_name: str, cache_dir: str) -> str:
        asked.append((repository, file_name))
        place = tmp_path / "hub" / file_name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        return str(place)

    config = CASES["spidepth"].config
    state = build_model(config).state_dict()
    monkeypatch.setenv("PERCEPTION_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr(weights, "read_folder", lambda folder, trust: {"folder": folder, **state})
    monkeypatch.setattr(weights, "convert", lambda entries: {k: v for k, v in entries.items() if k != "folder"})
    row = dataclasses.replace(entry("spidepth-kitti"), name="small", model=config)
    monkeypatch.setattr("perception.inference.loading.entry", lambda name: row)
    model = load("small", device="cpu").model
    assert asked == [("MykolaL/SPIdepth", f"kitti/{part}.pth") for part in ("encoder", "depth", "pose")]
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
