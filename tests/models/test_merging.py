"""LiNeS merging, and the depth of parameters that it and layer-wise learning rates read off their names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

import perception.models.backbones  # noqa: F401  (registers what timm lacks)
from perception.errors import WeightsError
from perception.models.layers.depth_order import layer_numbers
from perception.models.merging import depth_factors, lines_merge


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("vit_tiny_patch16_224", 12),
        ("swin_tiny_patch4_window7_224", 12),
        ("convnext_atto", 12),
        ("resnet18", 8),
        ("efficientnet_b0", 16),
        ("pvt_v2_b0", 8),
        ("cswin_tiny_224", 25),
        ("densenet121", None),
    ],
)
@pytest.mark.parametrize("features_only", [False, True])
def test_depth_of_timm_models(name, blocks, features_only):
    with torch.device("meta"):
        net = timm.create_model(name, features_only=features_only)
    names = [key for key, _ in net.named_parameters()]
    numbers = layer_numbers(names)
    order = list(numbers.values())
    assert min(order) == 0
    if blocks is not None:
        top = max(order) - (0 if features_only and max(order) == blocks else 1)
        assert top == blocks
    if name.startswith(("vit", "swin", "resnet", "cswin")):
        assert layer_numbers(sorted(names)) == numbers  # files may hold names sorted as text


def test_depth_of_mixed_names():
    numbers = layer_numbers(
        ["cls_token", "stem.0.weight", "stages.0.blocks.0.mlp.fc1.weight", "stages.0.blocks.1.mlp.0.weight"]
        + ["stages.1.downsample.0.weight", "stages.1.blocks.0.norm1.weight", "norm.weight", "head.weight"]
    )
    assert list(numbers.values()) == [0, 0, 1, 2, 3, 3, 4, 4]


def states(count: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    names = ["patch_embed.weight", *(f"blocks.{i}.weight" for i in range(12)), "norm.weight"]
    return [{name: torch.randn(3, generator=generator) for name in names} for _ in range(count)]


def test_factors_grow_linearly_with_depth():
    base, tuned = states(2)
    factors = depth_factors(list(base), 0.25, 1.0)
    assert factors["patch_embed.weight"] == 0.25 and factors["norm.weight"] == 1.0
    steps = torch.tensor(list(factors.values())).diff()
    torch.testing.assert_close(steps, steps[:1].expand_as(steps))
    merged = lines_merge(base, [tuned], 0.25)
    for name, factor in factors.items():
        torch.testing.assert_close(merged[name] - base[name], factor * (tuned[name] - base[name]))


def test_ends_are_the_base_and_the_sum():
    base, a, b = states(3)
    for name, value in lines_merge(base, [a], 0, 0).items():
        torch.testing.assert_close(value, base[name])
    for name, value in lines_merge(base, [a]).items():
        torch.testing.assert_close(value, a[name])
    merged = lines_merge(base, [a, b])
    torch.testing.assert_close(merged["norm.weight"], a["norm.weight"] + b["norm.weight"] - base["norm.weight"])
    torch.testing.assert_close(merged["patch_embed.weight"], (a["patch_embed.weight"] + b["patch_embed.weight"]) / 2)


def test_heads_of_their_own_and_strangers():
    base, a, b = states(3)
    a["head.weight"] = torch.ones(5)
    assert torch.equal(lines_merge(base, [a])["head.weight"], a["head.weight"])
    with pytest.raises(WeightsError, match="other entries"):
        lines_merge(base, [a, b])
    with pytest.raises(WeightsError, match="lack"):
        lines_merge(base, [{"norm.weight": torch.zeros(3)}])


def test_tool(tmp_path):
    base, a, b = states(3)
    for name, state in (("base", base), ("a", a), ("b", b)):
        torch.save({"state_dict": state}, tmp_path / f"{name}.pth")
    tool = Path(__file__).parents[2] / "tools" / "merge.py"
    command = [sys.executable, tool, "--base", tmp_path / "base.pth", "--tuned", tmp_path / "a.pth", tmp_path / "b.pth"]
    done = subprocess.run([*command, "--out", tmp_path / "m.safetensors"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wrong = subprocess.run([*command, "--out", "/proc/no/m.safetensors"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "cannot be written" in wrong.stderr and "Traceback" not in wrong.stderr
    from safetensors.torch import load_file

    for name, value in load_file(tmp_path / "m.safetensors").items():
        torch.testing.assert_close(value, lines_merge(base, [a, b])[name])


def test_published_models_are_merged_into_one_that_predicts(tmp_path):
    """Folders as training publishes them: a base and two fine-tunings of it; what comes out is loaded and used."""
    import numpy as np

    import perception
    from perception.inference.hub import save_pretrained
    from perception.models.registry import build_model
    from tests.models.configs import CASES
    from tools.merge import main

    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    states = {}
    for number, name in enumerate(("base", "first", "second")):
        torch.manual_seed(0)
        model = build_model(CASES["dpt-depth-no-camera"].config).eval()
        torch.manual_seed(number)
        with torch.no_grad():
            for parameter in model.parameters() if number else ():
                parameter.add_(0.02 * torch.randn_like(parameter))
        save_pretrained(model, tmp_path / name, {"title": name})
        states[name] = model.state_dict()
    words = [
        "--base",
        tmp_path / "base",
        "--tuned",
        tmp_path / "first",
        tmp_path / "second",
        "--out",
        tmp_path / "merged",
    ]
    assert main([str(word) for word in words]) == 0
    merged = perception.load(tmp_path / "merged", device="cpu")
    expected = lines_merge(states["base"], [states["first"], states["second"]])
    for name, value in merged.model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-3)  # published in half precision
    depths = {
        name: perception.load(tmp_path / name, device="cpu")(picture, fov=70).depth.depth for name in ("base", "merged")
    }
    assert np.isfinite(depths["merged"]).all() and not np.allclose(depths["merged"], depths["base"])
    only = ["--base", str(tmp_path / "base"), "--tuned", str(tmp_path / "first"), "--shallow", "0", "--deep", "0"]
    assert main([*only, "--out", str(tmp_path / "same")]) == 0
    same = perception.load(tmp_path / "same", device="cpu")(picture, fov=70).depth.depth
    np.testing.assert_allclose(same, depths["base"], rtol=1e-2)
