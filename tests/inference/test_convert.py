"""`tools/convert.py`: what became of every entry, and weights that fit or a sentence."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

import perception
from perception.errors import WeightsError
from perception.inference.convert import SYSTEMS, convert_checkpoint, weights_module
from perception.io.checkpoints import read_checkpoint, read_json
from perception.models.registry import build_model
from tests.engine.helpers import ROOT, run
from tests.helpers import SHARED
from tests.models.configs import CASES
from tests.parity.case import load_case

MODEL = CASES["dpt-depth-no-camera"].config
MODELS: dict[str, dict] = {}  # configurations of cases whose shapes do not tell all


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """A made-up system: names begin with ``net.``, one kernel is cut in two, one buffer is unused, one tensor is stored twice."""
    torch.manual_seed(0)
    state = {f"net.{key}": value for key, value in build_model(MODEL).state_dict().items()}
    whole = next(key for key, value in state.items() if value.ndim == 4 and value.shape[0] % 2 == 0)
    first, second = state.pop(whole).chunk(2)
    state |= {f"{whole}.first": first.clone(), f"{whole}.second": second.clone(), "anchors": torch.arange(3.0)}
    state["twice"] = next(value for value in state.values() if value.numel() > 1)

    def convert(entries: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        out = {k.removeprefix("net."): v for k, v in entries.items() if k not in ("anchors", "twice")}
        name = whole.removeprefix("net.")
        out[name] = torch.cat([out.pop(f"{name}.first"), out.pop(f"{name}.second")])
        return out

    module = types.ModuleType("perception.models.made_up.weights")
    module.convert = convert  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "perception.models.made_up", types.ModuleType("perception.models.made_up"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(SYSTEMS, "made_up", "made_up")
    return state


def test_every_entry_is_accounted_for(official: dict[str, torch.Tensor], tmp_path: Path) -> None:
    trained = {
        f"module.{key}": value for key, value in official.items()
    }  # MonoDETR's layout: of a wrapped model, beside counters
    torch.save({"epoch": 195, "model_state": trained, "best_result": 0.5}, tmp_path / "official.pth")
    folder, report = convert_checkpoint("made_up", tmp_path / "official.pth", tmp_path / "out", MODEL)
    assert report.dropped == ["anchors"]
    assert [key.rsplit(".", 1)[1] for key in report.merged] == ["first", "second"]
    assert len(report.mapped) + len(report.merged) + len(report.dropped) == len(official)
    assert len(report.shared) == 1 and "twice" in report.shared[0]
    assert all(ours == theirs.removeprefix("net.") for theirs, ours in report.mapped.items() if theirs != "twice")
    again = perception.load(folder, device="cpu").model.state_dict()
    torch.manual_seed(0)
    wanted = build_model(MODEL).state_dict()
    assert again.keys() == wanted.keys() and all(torch.equal(again[key], wanted[key]) for key in wanted)
    assert "1 dropped" in report.text and "anchors" in report.text


def test_command_line(official: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(official, tmp_path / "official.pth")
    model = {**MODEL, "backbone": {**MODEL["backbone"], "pretrained": True}}  # for training: nothing is downloaded here
    (tmp_path / "recipe.py").write_text(f"model = {model!r}\n")
    done = run("convert", "made_up", tmp_path / "official.pth", tmp_path / "out", "--recipe", tmp_path / "recipe.py")
    assert done.returncode == 0 and "2 merged, 1 dropped, 1 groups stored more than once" in done.stdout, done.stdout
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model"] == model
    refused = run("convert", "made_up", tmp_path / "official.pth", tmp_path / "out")
    assert refused.returncode == 2 and "give its recipe" in refused.stdout
    refused = run("convert", "monodeter", tmp_path / "official.pth", tmp_path / "out")
    assert refused.returncode == 2 and "Did you mean 'monodetr'?" in refused.stdout


def test_weights_of_another_model_are_refused(official: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(official, tmp_path / "official.pth")
    other = {**MODEL, "head_channels": 24}
    with pytest.raises(WeightsError, match="does not fit DPT: keys .* of another shape"):
        convert_checkpoint("made_up", tmp_path / "official.pth", tmp_path / "out", other)
    assert not (tmp_path / "out").exists()


# One parity case a system: its manifest lists the entries of an official checkpoint.
OFFICIAL = {
    "kmax": "kmax",
    "polymax": "polymax",
    "monodetr": "monodetr",
    "monodino_detr": "monodino_detr",
    "depth_anything": "depth_anything_v2",
    "omnifusion": "omnifusion",
    "spidepth": "spidepth",
    "croco": "croco",
}


def test_every_system_has_a_converter_and_a_case() -> None:
    systems = {path.parent.name for path in (ROOT / "perception" / "models").glob("*/weights.py")}
    assert set(SYSTEMS.values()) == systems and set(OFFICIAL) | {"hydra"} == set(SYSTEMS)
    assert all(callable(weights_module(system).convert) for system in SYSTEMS)


def official_state_of(system: str) -> dict[str, torch.Tensor]:
    folders = [place / OFFICIAL[system] for place in (ROOT / "tests" / "parity" / "cases", SHARED / "parity")]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        pytest.skip(f"the parity case {OFFICIAL[system]!r} is not on this machine")
    return {key: torch.from_numpy(np.array(value)) for key, value in load_case(folder)[1].items()}


# How the authors' files hold their entries, where it is not plainly.
WRAPPED = {
    "monodetr": lambda state: {"epoch": 195, "model_state": {f"module.{key}": value for key, value in state.items()}},
    "croco": lambda state: {"model": state},
}
LARGE = ("kmax", "monodetr", "monodino_detr", "croco")


@pytest.mark.parametrize("system", [pytest.param(s, marks=[pytest.mark.slow] * (s in LARGE)) for s in OFFICIAL])
def test_an_official_file_of_every_system_becomes_a_folder(system: str, tmp_path: Path) -> None:
    """Every entry is accounted for, and what is published is what the system's own loader makes of the file."""
    state = official_state_of(system)
    source = tmp_path / "official.pth"
    module = weights_module(system)
    if hasattr(module, "FILES"):  # SPIdepth publishes three files
        source = tmp_path / "official"
        source.mkdir()
        for name, prefix in module.FILES.items():
            part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            torch.save(part, source / name)
    else:
        torch.save(WRAPPED.get(system, dict)(state), source)
    folder, report = convert_checkpoint(system, source, tmp_path / "out", MODELS.get(system))
    assert len(report.mapped) + len(report.merged) + len(report.dropped) == len(state)
    assert len(report.mapped) > len(state) / 2
    values = read_checkpoint(folder / "model.safetensors")
    for theirs, ours in report.mapped.items():
        if state[theirs].is_floating_point() and state[theirs].numel() == values[ours].numel():
            torch.testing.assert_close(values[ours].flatten(), state[theirs].flatten(), rtol=1e-3, atol=1e-4)
    build_model(read_json(folder / "config.json")["model"]).load_state_dict(values, strict=True)


def test_a_system_without_published_weights_says_so(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "official.pth")
    with pytest.raises(WeightsError, match="HyDRa's authors released no weights"):
        convert_checkpoint("hydra", tmp_path / "official.pth", tmp_path / "out")
