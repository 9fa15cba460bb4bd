"""Inverses of 2x2 and 3x3 matrices, also in graphs for ONNX, which has no operator for them."""

from __future__ import annotations

import torch
from torch import Tensor

from perception.errors import InputError
from perception.ops.constants import is_tracing


def small_inverse(matrix: Tensor) -> Tensor:
    """(..., n, n) -> (..., n, n) with n 2 or 3: `torch.linalg.inv`, and the adjugate over the determinant while a graph is recorded.

    Raises `InputError` for another n.
    """
    side = matrix.shape[-1]
    if matrix.shape[-2] != side or side not in (2, 3):
        raise InputError(f"small_inverse takes 2x2 and 3x3 matrices; found {tuple(matrix.shape)}")
    if not is_tracing():
        return torch.linalg.inv(matrix)
    return adjugate_inverse(matrix)


def adjugate_inverse(matrix: Tensor) -> Tensor:
    """(..., n, n) -> (..., n, n) with n 2 or 3, by products and one division."""
    if matrix.shape[-1] == 2:
        (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
        return torch.stack((d, -b, -c, a), -1).unflatten(-1, (2, 2)) / (a * d - b * c)[..., None, None]
    first, second, third = matrix.unbind(-1)  # columns
    rows = torch.stack((_cross(second, third), _cross(third, first), _cross(first, second)), -2)
    return rows / (first * rows[..., 0, :]).sum(-1)[..., None, None]


def _cross(a: Tensor, b: Tensor) -> Tensor:
    (ax, ay, az), (bx, by, bz) = a.unbind(-1), b.unbind(-1)
    return torch.stack((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx), -1)
