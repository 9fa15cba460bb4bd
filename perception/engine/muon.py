"""Muon: momentum whose matrices are made orthogonal before each step (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).

A step along an orthogonal matrix moves every direction of a layer equally far, the rare ones too: from random weights that takes fewer iterations
than AdamW. Steps are scaled to AdamW's usual size (arXiv 2502.16982, section 2.2), so rates and decays of AdamW recipes are a good start.
In a recipe: ``optim_wrapper = dict(optimizer=dict(type="MuonAdamW", lr=...))``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from mmengine.registry import OPTIMIZERS
from torch import Tensor

# Five rounds of x -> a x + b x^3 + c x^5 bring all but the smallest singular values to about 0.7 .. 1.2 (Jordan et al.).
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
STEP_SIZE = 0.2  # root mean square of a step at rate 1: AdamW's is 0.2 to 0.4 (arXiv 2502.16982, section 2.2)


def orthogonalised(matrix: Tensor) -> Tensor:
    """(m, n) = U S V^T -> roughly U V^T, by Newton-Schulz iterations: matrix products only. A matrix of zeros stays."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide is matrix else x.T


@OPTIMIZERS.register_module()
class MuonAdamW(torch.optim.Optimizer):
    """Muon for weights of two and more dimensions, each a matrix (first dimension, all others); AdamW for vectors and thin matrices.

    Thin are the last layers of dense heads, position tables and depth-wise kernels: there is little to make orthogonal in them.

    Args:
        params: parameters or groups.
        lr: learning rate of both.
        momentum: Muon's, in Nesterov's form.
        betas, eps: AdamW's.
        weight_decay: of both, decoupled.
        thin: matrices whose smaller side is below this take AdamW's step.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        thin: int = 16,
    ) -> None:
        super().__init__(
            params,
            dict(lr=lr, momentum=momentum, betas=tuple(betas), eps=eps, weight_decay=weight_decay, thin=thin),
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient. Returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                first = parameter.shape[0] if parameter.ndim > 1 else 1
                thin = min(first, parameter.numel() // max(first, 1)) < group["thin"]
                direction = (_adam if thin else _muon)(parameter, self.state[parameter], group)
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"])
        return loss


def _muon(parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    momentum = _like(parameter, state, "momentum").lerp_(parameter.grad, 1 - group["momentum"])
    ahead = parameter.grad.lerp(momentum, group["momentum"])
    if hasattr(ahead, "full_tensor"):  # sharded: rows of a matrix know nothing of the other processes' rows
        from torch.distributed.tensor import distribute_tensor

        whole = _matrix_direction(ahead.full_tensor())
        return distribute_tensor(whole, ahead.device_mesh, ahead.placements, src_data_rank=None)
    return _matrix_direction(ahead)


def _matrix_direction(ahead: Tensor) -> Tensor:
    matrix = ahead.flatten(1)
    return orthogonalised(matrix).mul(STEP_SIZE * max(matrix.shape) ** 0.5).reshape(ahead.shape)


def _adam(parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    beta1, beta2 = group["betas"]
    state["step"] = count = state.get("step", 0) + 1
    mean = _like(parameter, state, "mean").lerp_(parameter.grad, 1 - beta1)
    square = _like(parameter, state, "square").lerp_(parameter.grad.square(), 1 - beta2)
    return (mean / (1 - beta1**count)).div_((square / (1 - beta2**count)).sqrt_().add_(group["eps"]))


def _like(parameter: Tensor, state: dict[str, Any], name: str) -> Tensor:
    if name not in state:
        state[name] = torch.zeros_like(parameter)
    return state[name]
