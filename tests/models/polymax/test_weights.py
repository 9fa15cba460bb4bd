"""Official kMaX-DeepLab files become a folder that `perception.load` reads, from either framework's names, and say which network they are."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import perception
from perception.errors import WeightsError
from perception.inference.convert import convert_checkpoint
from perception.models.polymax.official import network_config
from perception.models.polymax.weights import convert, model_config
from perception.models.registry import build_model
from tests.parity.runner import Case
from tests.parity.systems.polymax import _to_tf

CASES = Path(__file__).parents[2] / "parity" / "cases"


@pytest.mark.parametrize("name", ["kmax_cityscapes", "kmax_tf_r50", "polymax"])
def test_configuration_is_read_off_the_state(name: str) -> None:
    case = Case(CASES / name)
    variables = case.reference.get("tf_variables")
    state = (
        {n: _to_tf(case.state[key], key, shape) for n, (key, shape) in variables.items()} if variables else case.state
    )
    config = model_config(state)
    assert config["variant"] == ("tf" if variables else "torch")
    assert config["num_classes"] == {"kmax_cityscapes": 19}.get(name, 133)
    assert config["decoder"]["num_queries"] == {"kmax_cityscapes": 256}.get(name, 128)
    with torch.device("meta"):
        network = build_model(config)
    converted = convert(state)
    assert converted.keys() == network.state_dict().keys()
    assert all(converted[key].shape == value.shape for key, value in network.state_dict().items())


def test_layers_a_map_are_told_by_the_channels_they_read() -> None:
    """A decoder of 1, 2 and 1 layers for strides 32, 16 and 8 instead of the published 2, 2 and 2."""
    kept = {"0": "0", "2": "1", "3": "2", "4": "3"}
    shapes = {}
    for key, spec in Case(CASES / "kmax").manifest["state"].items():
        layer = re.search(r"(?<=_kmax_transformer_layers\.)\d", key)
        if not layer or layer[0] in kept:
            name = key if not layer else key[: layer.start()] + kept[layer[0]] + key[layer.end() :]
            shapes[name] = tuple(spec["shape"])
    assert network_config(shapes, "torch")["decoder"]["layers"] == [1, 2, 1]


@pytest.mark.slow
def test_tensorflow_variables_are_published(tmp_path: Path) -> None:
    """Variables saved as tensors become a folder; all are told to be mapped."""
    case = Case(CASES / "kmax_tf_r50")
    variables = {
        name: torch.from_numpy(np.ascontiguousarray(_to_tf(case.state[key], key, shape)))
        for name, (key, shape) in case.reference["tf_variables"].items()
    }
    torch.save(variables, tmp_path / "variables.pth")
    folder, report = convert_checkpoint("kmax", tmp_path / "variables.pth", tmp_path / "out")
    assert len(report.mapped) == len(variables) and not report.dropped and not report.merged
    assert perception.load(folder, device="cpu").model.trunk.align_corners is True


def test_another_file_is_refused() -> None:
    with pytest.raises(WeightsError, match="no complete kMaX-DeepLab"):
        model_config({"backbone.weight": torch.zeros(1)})
