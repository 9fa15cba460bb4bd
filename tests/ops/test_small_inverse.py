"""Inverses of small matrices, eagerly and as graphs for ONNX see them."""

from __future__ import annotations

import pytest
import torch

from perception.errors import InputError
from perception.ops.small_inverse import adjugate_inverse, small_inverse


@pytest.mark.parametrize("shape", [(3, 3), (5, 3, 3), (2, 4, 2, 2)])
def test_both_ways_give_the_inverse(shape: tuple[int, ...]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    identity = torch.eye(shape[-1], dtype=torch.float64).expand(shape)
    for inverse in (small_inverse(matrix), adjugate_inverse(matrix)):
        torch.testing.assert_close(matrix @ inverse, identity, rtol=0, atol=1e-10)


def test_lens_matrices_in_float32() -> None:
    lens = torch.tensor([[721.5, 0.0, 609.6], [0.0, 721.5, 172.9], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(adjugate_inverse(lens), torch.linalg.inv(lens), rtol=1e-6, atol=1e-9)


def test_a_graph_holds_no_inverse() -> None:
    class Net(torch.nn.Module):
        def forward(self, matrix: torch.Tensor) -> torch.Tensor:
            return small_inverse(matrix)

    matrix = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(1))
    program = torch.export.export(Net(), (matrix,))
    assert not any("inv" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(matrix), torch.linalg.inv(matrix), rtol=1e-3, atol=1e-4)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="2x2 and 3x3"):
        small_inverse(torch.eye(4))
