"""Sizes, preprocessing, losses, results; the numbers of the network itself are checked by the parity case."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from perception.errors import InputError, RecipeError
from perception.geometry import Pinhole
from perception.models.depth_anything import model as module
from perception.models.depth_anything.dpt_head import DPTHead
from perception.models.depth_anything.losses import scale_shift_invariant, silog
from perception.models.depth_anything.preprocess import DepthAnythingPreprocess
from perception.models.depth_anything.vit import OFFSET, TABLE, DinoV2, cubic_matrix, cubic_matrix_of
from perception.models.depth_anything.weights import convert
from perception.models.registry import build_model


@pytest.fixture
def small(monkeypatch):
    """A network of the same build in milliseconds."""
    sizes = {
        "vits": (24, 4, 2, (0, 1, 2, 3), "mlp", 16, (8, 8, 12, 12)),
        "vitg": (24, 4, 2, (0, 1, 2, 3), "swiglu", 16, (8,) * 4),
    }
    monkeypatch.setattr(module, "SIZES", sizes)
    torch.manual_seed(0)
    return lambda **kw: build_model({"type": "DepthAnythingV2", "input_size": 42, **kw}).eval()


@pytest.mark.parametrize("count", [1, 3, 36, 38, 60])
def test_graphs_make_the_same_cubic_matrix(count):
    """By tensor operations, for exported files of any size; without an offset the table's own size is the identity."""
    device = torch.device("cpu")
    expected = cubic_matrix(TABLE, count, (count + OFFSET) / TABLE, device)
    torch.testing.assert_close(cubic_matrix_of(TABLE, count, torch.tensor(OFFSET)), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(cubic_matrix_of(TABLE, TABLE, torch.tensor(0.0)), torch.eye(TABLE), rtol=0, atol=1e-5)


def test_an_exported_graph_takes_any_size(small):
    """Traced at 42 x 70; another size (of three patches at least), and the table's own, whose positions are taken as they are."""
    model = small(max_depth=20.0)
    image = torch.rand(2, 3, 42, 70) * 255
    axes = {"image": {axis: torch.export.Dim.AUTO for axis in (0, 2, 3)}}
    with torch.no_grad():
        graph = torch.export.export(model, (), {"image": image}, dynamic_shapes=axes, strict=False).module()
        for shape in ((1, 3, 56, 42), (1, 3, 518, 518)):
            picture = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 255
            expected = model(image=picture)["depth"]
            torch.testing.assert_close(graph(image=picture)["depth"], expected, rtol=1e-4, atol=1e-4)


def test_cubic_matrix_is_pytorchs_resize():
    table = torch.randn(1, 3, 37, 37)
    for rows, columns in ((37, 49), (5, 7), (60, 37), (1, 2)):
        factors = ((rows + 0.1) / 37, (columns + 0.1) / 37)
        expected = F.interpolate(table, scale_factor=factors, mode="bicubic", align_corners=False)
        device = torch.device("cpu")
        down, across = cubic_matrix(37, rows, factors[0], device), cubic_matrix(37, columns, factors[1], device)
        torch.testing.assert_close(
            torch.einsum("ia,zcab,jb->zcij", down, table, across), expected, atol=1e-4, rtol=1e-4
        )


def test_patch_centres_are_the_reduced_full_map():
    torch.manual_seed(0)
    head = DPTHead(24, 16, (8, 8, 12, 12)).eval()
    for grid in ((3, 5), (1, 1), (4, 2)):
        tokens = [torch.randn(2, grid[0] * grid[1], 24) for _ in range(4)]
        with torch.no_grad():
            full = head(tokens, grid)
            expected = F.interpolate(full, grid, mode="bilinear", align_corners=False)[:, 0]
            torch.testing.assert_close(head.patch_centres(tokens, grid).mean(1), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "width,height,expected",
    [
        (640, 480, (686, 518)),
        (480, 640, (518, 686)),
        (518, 518, (518, 518)),
        (100, 99, (518, 518)),
        (1242, 375, (1722, 518)),
    ],
)
def test_network_size(width, height, expected):
    assert DepthAnythingPreprocess(518).network_size(width, height) == expected


@pytest.mark.parametrize("width,height", [(60, 40), (41, 97), (1, 1), (300, 4)])
@pytest.mark.parametrize("size", ["vits", "vitg"])
def test_any_picture(small, width, height, size):
    model = small(size=size)
    prepared = model.preprocess(np.full((height, width, 3), 90, np.uint8), Pinhole.default(width, height))
    with torch.no_grad():
        (prediction,) = model.predict(model(prepared.inputs["image"][None]), [prepared])
    assert prediction.depth.shape == (height, width) and prediction.depth.kind == "inverse"


def test_metric_depth_is_bounded_and_batches_work(small):
    model = small(max_depth=20.0)
    images = torch.randint(0, 256, (2, 3, 50, 64), dtype=torch.uint8)
    with torch.no_grad():
        outputs = model(**model.inputs({"image": images}))
    depth = outputs["depth"]
    assert depth.shape == (2, 56, 70) and (depth > 0).all() and (depth < 20).all()
    results = model.predict(outputs, [None, None], [(50, 64)] * 2)
    assert [r.depth.kind for r in results] == ["metric"] * 2 and results[0].depth.guessed_intrinsics


@pytest.mark.parametrize("max_depth", [None, 20.0])
def test_fine_tuning_learns(small, max_depth):
    model = small(max_depth=max_depth).train()
    torch.nn.init.ones_(model.head.out.bias)  # untrained, the relative head would begin below its ReLU
    ramp = torch.linspace(2, 15, 56).view(1, 56, 1).expand(1, 56, 70)
    batch = {"image": (ramp * 10).round().to(torch.uint8).expand(3, 56, 70)[None].contiguous(), "depth": ramp.clone()}
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    values = []
    for _ in range(15):
        loss = sum(model.loss(model(**model.inputs(batch)), batch).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert values[-1] < 0.7 * values[0]


def test_losses_ignore_what_they_should():
    depth = torch.rand(2, 8, 9) * 10 + 1
    valid = torch.rand(2, 8, 9) > 0.3
    assert silog(depth, depth, valid) < 1e-5
    assert silog(3 * depth, depth, valid, share=1.0) < 1e-2  # blind to scale
    for value in scale_shift_invariant(2.5 / depth + 4, depth, valid).values():
        assert value < 1e-4  # blind to scale and shift of the inverse
    broken = torch.where(valid, depth, torch.full_like(depth, 77.0))
    assert silog(broken, depth, valid) < 1e-5
    nothing = torch.zeros_like(valid)
    assert silog(depth, depth, nothing) == 0
    assert all(v.isfinite() for v in scale_shift_invariant(depth, depth, nothing).values())


def test_later_blocks_are_not_run():
    net = DinoV2(24, 3, 2, (0, 1)).eval()
    net.blocks[2].forward = None
    tokens, classes = net(torch.randn(1, 3, 28, 42))
    assert [t.shape for t in tokens] == [(1, 6, 24)] * 2 and classes[0].shape == (1, 24)
    with pytest.raises(InputError, match="multiples of 14"):
        net(torch.randn(1, 3, 28, 43))


def test_wrong_arguments_name_the_fix():
    with pytest.raises(RecipeError, match="vits"):
        build_model({"type": "DepthAnythingV2", "size": "vit"})
    with pytest.raises(RecipeError, match="multiple of 14"):
        build_model({"type": "DepthAnythingV2", "input_size": 500})
    with pytest.raises(InputError, match="long and thin"):
        DepthAnythingPreprocess()(np.zeros((1, 3000, 3), np.uint8), Pinhole.default(3000, 1))


def test_official_names_are_all_known():
    import json

    from tests.helpers import SHARED

    path = SHARED / "parity" / "depth_anything_v2" / "manifest.json"
    if not path.exists():
        pytest.skip("the folder with the parity cases is not there")
    keys = json.loads(path.read_text())["state"]
    model = build_model({"type": "DepthAnythingV2", "size": "vits"})
    assert set(convert({k: torch.zeros(1) for k in keys})) == set(model.state_dict())
