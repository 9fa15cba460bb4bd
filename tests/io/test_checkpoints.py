"""Weights files are data: whatever else is in them is refused with a sentence."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from perception.errors import WeightsError
from perception.io.checkpoints import load_strictly, read_checkpoint, read_json, sha256_of, state_dict_of


class Hostile:
    """Unpickling an instance makes the folder `target`."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_safetensors_and_torch_files_round_trip(tmp_path: Path) -> None:
    state = {"a.weight": torch.randn(3, 4), "b": torch.arange(5)}
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        read = state_dict_of(read_checkpoint(tmp_path / name))
        assert read.keys() == state.keys()
        assert all(torch.equal(read[key], state[key]) for key in state)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path, legacy: bool) -> None:
    target = tmp_path / "made_by_the_pickle"
    file = tmp_path / "evil.pth"
    torch.save({"state_dict": Hostile(target)}, file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match=r"evil\.pth.*--trust-checkpoint"):
        read_checkpoint(file)
    assert not target.exists()
    read_checkpoint(file, trust=True)  # the explicit way in does run it: this shows that the file is hostile indeed
    assert target.exists()


def test_plain_pickle_of_code_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plain.pkl"
    file.write_bytes(pickle.dumps(Hostile(tmp_path / "made")))
    with pytest.raises(WeightsError, match=r"plain\.pkl"):
        read_checkpoint(file)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.6, 0.99])
def test_truncated_files_get_a_sentence(tmp_path: Path, name: str, keep: float) -> None:
    file = tmp_path / name
    state = {"a": torch.randn(64, 64)}
    save_file(state, file) if name.endswith("safetensors") else torch.save(state, file)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(WeightsError, match=name):
        read_checkpoint(file)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nowhere.pth"):
        read_checkpoint(tmp_path / "nowhere.pth")


def test_load_strictly_lists_keys_and_leaves_the_model_alone() -> None:
    model = torch.nn.Linear(3, 2)
    before = model.weight.clone()
    with pytest.raises(
        WeightsError, match=r"missing \(bias\).*unexpected \(extra\).*shape \(weight \(5, 5\) for \(2, 3\)\)"
    ):
        load_strictly(model, {"weight": torch.zeros(5, 5), "extra": torch.zeros(1)})
    assert torch.equal(model.weight, before)
    load_strictly(model, {"weight": torch.zeros(2, 3), "bias": torch.ones(2)})
    assert model.weight.abs().sum() == 0


def test_state_dict_of_takes_the_module_prefix_off_and_refuses_other_things() -> None:
    tensor = torch.ones(1)
    assert state_dict_of({"model": {"module.a": tensor, "module.b": tensor}}).keys() == {"a", "b"}
    with pytest.raises(WeightsError, match="no state dictionary"):
        state_dict_of({"epoch": 3})
    with pytest.raises(WeightsError, match="no state dictionary"):
        state_dict_of([tensor])


def test_json_and_digest(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("[1]")
    with pytest.raises(WeightsError, match="JSON object"):
        read_json(file)
    file.write_text("{nonsense")
    with pytest.raises(WeightsError, match=r"config\.json"):
        read_json(file)
    file.write_text("abc")
    assert sha256_of(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_command_line_beside_the_weights_is_read(tmp_path: Path) -> None:
    """Official files often hold an `argparse.Namespace`: values, no code."""
    import argparse

    torch.save(
        {"model": {"w": torch.ones(2)}, "args": argparse.Namespace(task="stereo", crop=[1, 2])}, tmp_path / "w.pth"
    )
    read = read_checkpoint(tmp_path / "w.pth")
    assert read["args"].crop == [1, 2] and torch.equal(state_dict_of(read)["w"], torch.ones(2))
    torch.save({"args": argparse.Namespace(task=Hostile(tmp_path / "made"))}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="trust-checkpoint"):
        read_checkpoint(tmp_path / "evil.pth")
    assert not (tmp_path / "made").exists()
