"""Both formulations against each other, gradients, borders, NaN, export."""

import io

import pytest
import torch

from perception.errors import InputError
from perception.ops.constants import cached_constants
from perception.ops.deformable_attention import deformable_attention

SHAPES = [(5, 7), (3, 4), (1, 2)]


def arguments(batch=2, queries=6, heads=3, points=2, width=4, shapes=SHAPES, dtype=torch.float32, spread=1.6):
    generator = torch.Generator().manual_seed(0)
    tokens = sum(h * w for h, w in shapes)
    value = torch.randn(batch, tokens, heads, width, generator=generator, dtype=dtype)
    # reaches far outside on purpose
    locations = (
        torch.rand(batch, queries, heads, len(shapes), points, 2, generator=generator, dtype=dtype) - 0.5
    ) * spread + 0.5
    weights = torch.rand(batch, queries, heads, len(shapes), points, generator=generator, dtype=dtype)
    return value, shapes, locations, weights


@pytest.mark.parametrize("shapes", [SHAPES, [(1, 1)], [(2, 9), (9, 2)]])
@pytest.mark.parametrize("batch", [1, 3])
def test_rows_equal_grid_sample(shapes, batch):
    given = arguments(batch=batch, queries=50, shapes=shapes, spread=3.0)
    torch.testing.assert_close(deformable_attention(*given, "rows"), deformable_attention(*given, "grid"))


def test_pieces_do_not_show():
    given = arguments(
        batch=2, queries=3000, heads=2, spread=1.2
    )  # several pieces that begin in the middle of a picture
    torch.testing.assert_close(deformable_attention(*given, "rows"), deformable_attention(*given, "grid"))


def test_pixel_centres_return_pixels():
    value, shapes, _, _ = arguments(batch=1, heads=1, shapes=[(2, 3)])
    centres = torch.tensor([[(x + 0.5) / 3, (y + 0.5) / 2] for y in range(2) for x in range(3)])
    out = deformable_attention(value, shapes, centres.view(1, 6, 1, 1, 1, 2), torch.ones(1, 6, 1, 1, 1))
    torch.testing.assert_close(out, value.view(1, 6, -1))


@pytest.mark.parametrize("method", ["rows", "grid"])
def test_gradients(method):
    value, shapes, locations, weights = arguments(batch=2, queries=3, heads=2, width=2, dtype=torch.float64)
    inputs = [x.requires_grad_() for x in (value, locations, weights)]
    assert torch.autograd.gradcheck(lambda v, l, w: deformable_attention(v, shapes, l, w, method), inputs)


def test_half_precision_keeps_float_positions():
    value, shapes, locations, weights = arguments(shapes=[(4, 400)], spread=1.0)
    exact = deformable_attention(value, shapes, locations, weights)
    half = deformable_attention(value.bfloat16(), shapes, locations, weights)
    assert half.dtype == torch.bfloat16
    assert (half - exact).abs().max() < 0.05


def test_nan_stays_nan_and_far_away_is_zero():
    value, shapes, locations, weights = arguments()
    locations[0, 0] = float("nan")
    locations[0, 1] = 1e30
    locations[0, 2] = -1e30
    out = deformable_attention(value, shapes, locations, weights, "rows")
    assert out[0, 0].isnan().all() and (out[0, 1:3] == 0).all() and out[:, 3:].isfinite().all()


def test_wrong_shapes_are_one_sentence():
    value, shapes, locations, weights = arguments()
    with pytest.raises(InputError, match="values of shape"):
        deformable_attention(value[:, 1:], shapes, locations, weights)
    with pytest.raises(InputError, match="locations"):
        deformable_attention(value, shapes, locations[:, :, :2], weights)
    with pytest.raises(InputError, match="weights"):
        deformable_attention(value, shapes, locations, weights[..., :1])
    with pytest.raises(InputError, match="methods"):
        deformable_attention(value, shapes, locations, weights, "magic")


class Operation(torch.nn.Module):
    def forward(self, value, locations, weights):
        return deformable_attention(value, SHAPES, locations, weights)


def test_export_keeps_the_numbers():
    value, _, locations, weights = arguments()
    program = torch.export.export(Operation(), (value, locations, weights))
    torch.testing.assert_close(program.module()(value, locations, weights), Operation()(value, locations, weights))


def test_onnx():
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    value, _, locations, weights = arguments()
    buffer = io.BytesIO()
    torch.onnx.export(Operation(), (value, locations, weights), dynamo=True, opset_version=18, verbose=False).save(
        buffer
    )
    session = onnxruntime.InferenceSession(buffer.getvalue())
    feeds = {i.name: x.numpy() for i, x in zip(session.get_inputs(), (value, locations, weights), strict=True)}
    torch.testing.assert_close(torch.from_numpy(session.run(None, feeds)[0]), Operation()(value, locations, weights))


def test_constants_made_in_inference_mode_can_be_trained_with():
    @cached_constants(maxsize=1)
    def make(n):
        return torch.arange(n, dtype=torch.float32)

    with torch.inference_mode():
        make(3)
    x = torch.ones(3, requires_grad=True)
    (x * make(3)).sum().backward()
    assert x.grad.tolist() == [0, 1, 2]
