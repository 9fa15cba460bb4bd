"""Pillars: cells, reductions, empty clouds, gradients."""

from __future__ import annotations

import pytest
import torch

from perception.ops.pillars import pillar_cells, pillar_reduce

AXES = ((-2.0, 2.0, 1.0), (0.0, 3.0, 1.5))


def test_points_fall_into_their_cells() -> None:
    y = torch.tensor([[-1.5, 1.9, -2.1, 0.0]])
    x = torch.tensor([[0.1, 2.9, 1.0, 1.0]])
    valid = torch.tensor([[True, True, True, False]])
    assert pillar_cells(y, x, *AXES, valid).tolist() == [[0, 7, 8, 8]]


def test_reductions_ignore_what_is_outside() -> None:
    cell = torch.tensor([[0, 0, 8], [9, 16, 16]])
    cell[0, 2] = 16
    features = torch.tensor([[[1.0], [-5.0], [9.0]], [[-2.0], [9.0], [9.0]]])
    for reduce, first in (("max", 1.0), ("sum", -4.0), ("mean", -2.0)):
        out = pillar_reduce(features, cell, (2, 4, 2), reduce)
        assert out.shape == (2, 1, 4, 2)
        assert out[0, 0, 0, 0] == first and out[1, 0, 0, 1] == -2.0
        assert out.count_nonzero() == 2


def test_recorded_graphs_reduce_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX cannot leave out what is there before it scatters; the graph's way round that gives the same, empty cells included."""
    generator = torch.Generator().manual_seed(0)
    cell = torch.randint(0, 9, (2, 12), generator=generator)
    features = torch.randn(2, 12, 3, generator=generator) - 5  # all below zero
    eager = {reduce: pillar_reduce(features, cell, (1, 4, 2), reduce) for reduce in ("max", "sum")}
    monkeypatch.setattr("perception.ops.pillars.is_tracing", lambda: True)
    for reduce, expected in eager.items():
        torch.testing.assert_close(pillar_reduce(features, cell, (1, 4, 2), reduce), expected)


def test_an_empty_cloud_gives_zeros() -> None:
    nothing = torch.zeros(1, 0)
    cell = pillar_cells(nothing, nothing, *AXES, nothing.bool())
    assert pillar_reduce(torch.zeros(1, 0, 3), cell, (1, 4, 2)).abs().sum() == 0


def test_gradients() -> None:
    torch.manual_seed(0)
    cell = torch.randint(0, 9, (1, 12))
    features = torch.randn(1, 12, 2, dtype=torch.float64, requires_grad=True)
    for reduce in ("max", "sum", "mean"):
        assert torch.autograd.gradcheck(lambda f, r=reduce: pillar_reduce(f, cell, (1, 4, 2), r), (features,))
