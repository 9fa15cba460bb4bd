"""The switch on plain vision transformers; the numerics are pinned by the parity case `token_clustering`."""

from __future__ import annotations

import copy
import importlib.util
import json
import threading
from pathlib import Path

import pytest
import torch

from perception.errors import RecipeError
from perception.models.backbones.adapter import Backbone
from perception.models.depth_anything import DepthAnythingV2

TINY = {"embed_dim": 32, "depth": 6, "num_heads": 2}


def trunk(name: str = "vit_tiny_patch16_224", clustering=None, **arguments) -> Backbone:
    torch.manual_seed(0)
    return Backbone(name, model_args={**TINY, **arguments}, token_clustering=clustering).eval()


def picture(*size: int) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3"])
def test_as_many_clusters_as_tokens_change_nothing_and_fewer_do(name):
    x = picture(1, 3, 112, 160)
    with torch.no_grad():
        plain = trunk(name)(x)
        for share, same in ((1.0, True), (0.5, False)):
            maps = trunk(name, {"after": 1, "clusters": share})(x)
            for a, b in zip(maps, plain, strict=True):
                assert a.shape == b.shape and a.isfinite().all()
            assert torch.equal(maps[-1], plain[-1]) == same
            assert torch.equal(maps[0], plain[0])  # tapped before the clustering


def test_exact_where_clusters_are_exact():
    """Tokens that are equal in blocks of 2 x 2 cells, and no positions: clusters of 4 stand for them without loss."""
    torch.manual_seed(0)
    settings = {"after": 2, "clusters": 0.5, "temperature": 1e4, "normalise": "nearest"}
    model = trunk(clustering=settings, pos_embed="none", class_token=False, global_pool="avg")
    patches = picture(1, 3, 32, 48)[:, :, ::16, ::16].repeat_interleave(32, 2).repeat_interleave(32, 3)
    patches = patches + picture(1, 3, 16, 16).repeat(1, 1, 4, 6)  # a texture inside every patch
    clustered = model(patches)
    model.token_clustering.enabled = False
    for a, b in zip(clustered, model(patches), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_it_saves_attention():
    """Blocks after the clustering see the class token and the centres alone."""
    model = trunk(clustering={"after": 1, "clusters": [4, 5]})
    seen = []
    for block in model.net.model.blocks:
        block.attn.register_forward_hook(lambda m, i, o: seen.append(o.shape[1]))
    model(picture(1, 3, 112, 160))
    assert seen == [71, 71, 21, 21, 21, 21]


def test_training_is_untouched_and_copies_are_their_own():
    model = trunk(clustering={"after": 1, "clusters": 0.5})
    x = picture(1, 3, 96, 96)
    twin = copy.deepcopy(model)
    torch.testing.assert_close(twin(x)[-1], model(x)[-1])
    assert not model.token_clustering._calls
    model.train()
    model.token_clustering.enabled = False
    off = model(x)[-1]
    model.token_clustering.enabled = True
    torch.testing.assert_close(model(x)[-1], off)
    assert set(model.state_dict()) == set(trunk().state_dict())


def test_threads_do_not_meet():
    model = trunk(clustering={"after": 1, "clusters": 0.5})
    pictures = [picture(1, 3, 96, 96), picture(1, 3, 64, 160), picture(1, 3, 128, 64)]
    with torch.no_grad():
        wanted = [model(x)[-1] for x in pictures]
    wrong: list[int] = []

    def work(number: int) -> None:
        with torch.no_grad():
            for _ in range(5):
                if not torch.allclose(model(pictures[number])[-1], wanted[number], atol=1e-5):
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_depth_anything_takes_it(monkeypatch):
    monkeypatch.setitem(
        __import__("perception.models.depth_anything.model", fromlist=["SIZES"]).SIZES,
        "tiny",
        (32, 4, 2, (0, 1, 2, 3), "mlp", 16, (8, 8, 8, 8)),
    )
    torch.manual_seed(0)
    plain = DepthAnythingV2("tiny").eval()
    image = 255 * picture(1, 3, 70, 98).sigmoid()
    with torch.no_grad():
        for settings, same in (({"after": 0, "clusters": 1.0}, True), ({"after": 0, "clusters": 0.5}, False)):
            model = DepthAnythingV2("tiny", token_clustering=settings).eval()
            model.load_state_dict(plain.state_dict())
            assert torch.equal(model.infer(image), plain.infer(image)) == same


def test_benchmark_tool(monkeypatch, tmp_path, capsys):
    """One command: figures as a table, as JSON and as a picture."""
    monkeypatch.setitem(
        __import__("perception.models.depth_anything.model", fromlist=["SIZES"]).SIZES,
        "tiny",
        (32, 4, 2, (0, 1, 2, 3), "mlp", 16, (8, 8, 8, 8)),
    )
    file = Path(__file__).parents[3] / "tools" / "benchmarks" / "token_clustering.py"
    spec = importlib.util.spec_from_file_location("benchmark_token_clustering", file)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    words = ["--shape", "tiny", "--size", "70x98", "--passes", "1", "--setting", '{"after": 1, "clusters": 0.5}']
    out = tmp_path / "out.json"
    assert tool.main([*words, "--json", str(out), "--plot", str(tmp_path / "curve.png")]) == 0
    ((title, (off, on)),) = json.loads(out.read_text()).items()
    assert "70 x 98" in title and off["setting"] == {} and off["change"] == 0 and on["change"] > 0
    assert off["seconds"] > 0 and (tmp_path / "curve.png").stat().st_size > 5000
    assert "| `after=1, clusters=0.5` |" in capsys.readouterr().out
    rows = [{**row, "abs_rel": 0.1} for row in (off, on)]
    assert tool.table("x", rows).splitlines()[2].count("|") == 6


def test_refusals():
    with pytest.raises(RecipeError, match="plain vision transformer"):
        Backbone("resnet10t", token_clustering=True)
    with pytest.raises(RecipeError, match="nothing to save"):
        trunk(clustering={"after": 5})
    with pytest.raises(RecipeError, match="share"):
        trunk(clustering={"clusters": 1.5})
