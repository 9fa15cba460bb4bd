"""DFA3D against the explicit volume, and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from perception.errors import InputError
from perception.ops.deformable_attention_3d import deformable_attention_3d

SHAPES = ((4, 5), (2, 3))
TOKENS = 26


def problem(dtype=torch.float64, queries=6, points=3, bins=4, shared=True):
    torch.manual_seed(1)
    value = torch.randn(2, TOKENS, 2, 3, dtype=dtype)
    distribution = torch.rand(2, TOKENS, *(() if shared else (2,)), bins, dtype=dtype)
    locations = torch.rand(2, queries, 2, 2, points, 3, dtype=dtype) * 1.6 - 0.3
    weights = torch.rand(2, queries, 2, 2, points, dtype=dtype)
    return value, distribution, locations, weights


def by_volume(value, distribution, locations, weights):
    batch, _, heads, head_dim = value.shape
    if distribution.ndim == 3:
        distribution = distribution[:, :, None].expand(-1, -1, heads, -1)
    volume = torch.einsum("bsmc,bsmd->bmcds", value, distribution)
    out, begin = 0, 0
    for level, (height, width) in enumerate(SHAPES):
        part = volume[..., begin : begin + height * width].unflatten(-1, (height, width)).flatten(0, 1)
        grid = (2 * locations[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1)[:, None]  # (B M, 1, Q, P, 3)
        sampled = F.grid_sample(part, grid, align_corners=False)[:, :, 0]  # (B M, C, Q, P)
        weight = weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None]
        out = out + (sampled * weight).sum(-1)
        begin += height * width
    return out.view(batch, heads * head_dim, -1).transpose(1, 2)


@pytest.mark.parametrize("shared", [True, False])
def test_equals_the_sampled_volume(shared: bool) -> None:
    inputs = problem(queries=50, shared=shared)
    torch.testing.assert_close(deformable_attention_3d(inputs[0], inputs[1], SHAPES, *inputs[2:]), by_volume(*inputs))


@pytest.mark.parametrize("shared", [True, False])
def test_gradients_of_everything_with_x_y_and_z(shared: bool) -> None:
    value, distribution, locations, weights = (t.requires_grad_() for t in problem(queries=2, points=2, shared=shared))
    run = lambda v, d, p, w: deformable_attention_3d(v, d, SHAPES, p, w)  # noqa: E731
    assert torch.autograd.gradcheck(run, (value, distribution, locations, weights))
    run(value, distribution, locations, weights).sum().backward()
    assert (locations.grad.abs().sum((0, 1, 2, 3, 4)) > 0).all()


def test_exports_to_the_same_numbers() -> None:
    class Layer(torch.nn.Module):
        def forward(self, value, distribution, locations, weights):
            return deformable_attention_3d(value, distribution, SHAPES, locations, weights)

    inputs = problem(torch.float32)
    program = torch.export.export(Layer(), inputs)
    torch.testing.assert_close(program.module()(*inputs), Layer()(*inputs))


def test_bad_shapes_say_what_is_wrong() -> None:
    value, distribution, locations, weights = problem()
    with pytest.raises(InputError, match="depth distributions"):
        deformable_attention_3d(value, distribution[:, 1:], SHAPES, locations, weights)
    with pytest.raises(InputError, match="sampling locations"):
        deformable_attention_3d(value, distribution, SHAPES, locations[..., :2], weights)
