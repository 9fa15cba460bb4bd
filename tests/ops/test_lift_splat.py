"""Lift-splat against its definition, gradients, rounding, both formulations."""

from __future__ import annotations

import pytest
import torch

from perception.errors import InputError
from perception.ops.lift_splat import VoxelGrid, flatten_height, lift_splat, plan_lift

GRID = VoxelGrid.of({"x": [-4, 4, 1], "y": [-3, 3, 1], "z": [-2, 2, 2]})


def problem(dtype=torch.float32, cameras=2, bins=5, height=3, width=4, channels=3):
    torch.manual_seed(0)
    points = (torch.rand(2, cameras, bins, height, width, 3) - 0.5) * torch.tensor([12.0, 9.0, 6.0])
    depth = torch.rand(2, cameras, bins, height, width, dtype=dtype)
    context = torch.randn(2, cameras, channels, height, width, dtype=dtype)
    return points, depth, context


def definition(points, depth, context, reduce):
    out = torch.zeros(2, context.shape[2], *GRID.shape, dtype=context.dtype)
    count = torch.zeros(2, *GRID.shape)
    at = ((points - torch.tensor(GRID.lower)) / torch.tensor(GRID.size)).floor().long()
    for b, n, d, h, w in torch.cartesian_prod(*[torch.arange(s) for s in depth.shape]).tolist():
        x, y, z = at[b, n, d, h, w].tolist()
        deep, rows, columns = GRID.shape
        if 0 <= x < columns and 0 <= y < rows and 0 <= z < deep:
            out[b, :, z, y, x] += depth[b, n, d, h, w] * context[b, n, :, h, w]
            count[b, z, y, x] += 1
    return out if reduce == "sum" else out / count.clamp(min=1)[:, None]


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("method", ["bags", "scatter"])
def test_equals_the_definition(reduce: str, method: str) -> None:
    points, depth, context = problem()
    plan = plan_lift(points, GRID)
    actual = lift_splat(depth, context, plan, reduce, method)
    expected = definition(points, depth, context, reduce)
    assert expected.abs().sum() > 0
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    flat = flatten_height(actual)
    channels = context.shape[2]
    assert torch.equal(flat[:, channels : 2 * channels], actual[:, :, 1])


@pytest.mark.parametrize("together", [1, 2, 5])
def test_scattering_some_bins_at_a_time(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    points, depth, context = problem()
    monkeypatch.setattr("perception.ops.lift_splat._PIECE", together * 3 * 4 * 3)
    actual = lift_splat(depth, context, plan_lift(points, GRID), "sum", "scatter")
    torch.testing.assert_close(actual, definition(points, depth, context, "sum"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["bags", "scatter"])
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_gradients(method: str, reduce: str) -> None:
    points, depth, context = problem(torch.float64, 2, 3, 2, 2, 2)
    plan = plan_lift(points, GRID)
    run = lambda d, c: lift_splat(d, c, plan, reduce, method)  # noqa: E731
    assert torch.autograd.gradcheck(run, (depth.requires_grad_(), context.requires_grad_()))


def test_trunc_folds_the_points_below_the_lower_bound_into_the_first_cell() -> None:
    points = torch.tensor([-4.5, 0.5, 0.5]).view(1, 1, 1, 1, 1, 3)
    depth, context = torch.ones(1, 1, 1, 1, 1), torch.ones(1, 1, 1, 1, 1)
    assert lift_splat(depth, context, plan_lift(points, GRID)).sum() == 0
    folded = lift_splat(depth, context, plan_lift(points, GRID, "trunc"))
    assert folded[0, 0, 1, 3, 0] == 1


def test_points_nowhere_and_far_away_are_left_out() -> None:
    points = torch.tensor([[float("nan"), 0, 0], [float("inf"), 0, 0], [1e30, 0, 0]]).view(1, 1, 3, 1, 1, 3)
    plan = plan_lift(points, GRID)
    assert len(plan.order) == 0
    assert lift_splat(torch.ones(1, 1, 3, 1, 1), torch.ones(1, 1, 2, 1, 1), plan).abs().sum() == 0


def test_bad_calls_say_what_is_wrong() -> None:
    points, depth, context = problem()
    with pytest.raises(InputError, match="floor, trunc"):
        plan_lift(points, GRID, "round")
    plan = plan_lift(points, GRID)
    with pytest.raises(InputError, match="needs depth"):
        lift_splat(depth[:, :1], context, plan)
    with pytest.raises(InputError, match="at least one cell"):
        VoxelGrid.of({"x": [4, -4, 1], "y": [-3, 3, 1], "z": [-2, 2, 2]})
