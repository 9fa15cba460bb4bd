"""`perception backbones`, the facts behind it, and the benchmark."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import timm
import torch

from perception.cli import main
from perception.models.backbones import facts
from perception.models.backbones.adapter import Backbone
from perception.models.backbones.facts import licence_of, probe_facts


def test_facts_are_what_the_trunk_has():
    found = probe_facts("resnet10t")
    assert found.strides == (2, 4, 8, 16, 32) and found.rule == "any, padded to multiples of 32"
    trunk = Backbone("resnet10t")
    assert found.parameters == sum(p.numel() for p in trunk.net.parameters())
    assert probe_facts("cvt_13_224").strides == (4, 8, 16)
    assert licence_of("cswin_tiny_224") == "mit" and licence_of("rmt_tiny") == "-"


def test_command(capsys):
    assert main(["backbones", "--filter", "cvt_13_2"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 and rows[0].split() == ["NAME", "PARAMS", "STRIDES", "LICENCE", "PICTURES"]
    assert rows[1].startswith("cvt_13_224") and " 4 8 16 " in rows[1] and "padded to multiples of 16" in rows[1]
    assert main(["backbones", "--filter", "cvt_13_224", "--probe"]) == 0
    assert capsys.readouterr().out.splitlines() == rows  # the stored facts are what probing finds
    assert main(["backbones", "--filter", "no such thing"]) == 1
    assert "no backbone matches" in capsys.readouterr().err


def test_the_whole_list_builds_nothing(capsys, monkeypatch):
    """All names, from stored facts; notes say which rows have none, and that the installed timm is another than the facts are of."""
    monkeypatch.setattr(timm, "create_model", None)
    monkeypatch.setattr(facts, "table_release", lambda: "0.9")
    assert main(["backbones"]) == 0
    out, note = capsys.readouterr()
    rows = out.splitlines()[1:]
    assert len(rows) == len(timm.list_models()) > 1000
    unknown = [name for name in timm.list_models() if not facts.is_known(name)]
    assert sum("?" in row for row in rows) == len(unknown) and ("not probed" in note) == bool(unknown)
    assert f"as of timm 0.9; --probe asks timm {timm.__version__}" in note


def test_probing_needs_no_numbers(monkeypatch):
    """Networks are probed on the meta device: only one is built for real."""
    built = []
    original = timm.create_model

    def spy(name, **arguments):
        net = original(name, **arguments)
        built.append(next(net.parameters()).device.type)
        return net

    monkeypatch.setattr(timm, "create_model", spy)
    trunk = Backbone("vit_tiny_patch16_224", model_args={"embed_dim": 32, "depth": 4, "num_heads": 2})
    assert built.count("cpu") == 1 and built.count("meta") >= 1
    assert all(torch.isfinite(p).all() for p in trunk.parameters())


@pytest.fixture(scope="module")
def benchmark():
    file = Path(__file__).parents[3] / "tools" / "benchmarks" / "backbones.py"
    spec = importlib.util.spec_from_file_location("benchmark_backbones", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_benchmark(benchmark, tmp_path, capsys):
    config = json.dumps({"name": "resnet10t", "model_args": {"channels": [8, 16, 24, 32], "stem_width": 8}})
    assert benchmark.main([config, "--size", "64x96", "--passes", "1", "--json", str(tmp_path / "out.json")]) == 0
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["strides"] == [4, 8, 16, 32] and row["seconds"] > 0 and row["gflops"] > 0
    assert benchmark.main(["nothing_like_it"]) == 1 and "timm has no model" in capsys.readouterr().err


def test_attention_is_counted(benchmark):
    """4 N^2 d operations a block and head for the products, beside the linear layers."""

    def flops(side: int) -> float:
        arguments = {"embed_dim": 32, "depth": 4, "num_heads": 2}
        trunk = Backbone("vit_tiny_patch16_224", model_args=arguments, mode="sfp", out_strides=(16,))
        trunk.pyramid = torch.nn.Identity()
        return 1e9 * benchmark.count_flops(trunk.eval(), torch.zeros(1, 3, 16 * side, 16 * side))

    def expected(side: int) -> float:
        tokens = side * side + 1
        linear = 2 * tokens * 32 * 32 * (3 + 1 + 4 + 4) * 4
        return 2 * side * side * 32 * 768 + linear + 4 * tokens * tokens * 32 * 4

    assert flops(6) == pytest.approx(expected(6), rel=1e-3)
