"""One optimiser wrapper for float32, bfloat16 and float16: clipping, accumulation, loss scaling and the finite guard.

mmengine's `AmpOptimWrapper` refuses to build on a CPU and waits for the GPU at every iteration to log the gradient's norm;
this one does neither. Autocast itself is entered around the network alone (`perception.engine.wrapper`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from perception.engine.guard import FiniteGuard


@OPTIM_WRAPPERS.register_module()
class GuardedOptimWrapper(OptimWrapper):
    """`OptimWrapper` whose steps are guarded.

    Args:
        optimizer: a torch optimiser.
        accumulative_counts: iterations that share one step.
        clip_grad: ``{"max_norm": x}`` or None.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, accumulative_counts: int = 1, clip_grad: dict | None = None):
        super().__init__(optimizer, accumulative_counts=accumulative_counts)
        self.max_norm = float((clip_grad or {}).get("max_norm", math.inf))
        self.guard = FiniteGuard()
        self.scaler: torch.amp.GradScaler | None = None
        self.stepped = False  # whether the last `update_params` moved the weights (the average follows it)

    def use_loss_scaling(self, device: str = "cuda") -> None:
        """Scale losses so that float16 gradients do not vanish."""
        self.scaler = torch.amp.GradScaler(device)

    @property
    def accumulating(self) -> bool:
        """Whether gradients of former iterations wait for their step."""
        return self._inner_count % self._accumulative_counts != 0 and self._inner_count != self._max_counts

    def guarded_update(
        self, losses: dict[str, torch.Tensor], objective: torch.Tensor, names: list[str], iteration: int
    ) -> torch.Tensor | None:
        """Backward, and a step when one is due. Returns the gradient's norm before clipping at steps, else None.

        Args:
            losses: every scalar that must be finite.
            objective: their sum, with its graph.

        Raises:
            TrainingError: by way of `FiniteGuard`.
        """
        self.stepped = False
        scaled = self.scale_loss(objective)
        (self.scaler.scale(scaled) if self.scaler else scaled).backward()
        self._inner_count += 1
        if not self.should_update():
            self.guard.check(losses, None, names, iteration)
            return None
        if self.scaler:
            self.scaler.unscale_(self.optimizer)
        norm = self._clip()
        # With loss scaling an infinite gradient is ordinary: the scaler leaves the step out and lowers the scale.
        if self.guard.check(losses, None if self.scaler else norm, names, iteration):
            if self.scaler:
                self.scaler.step(self.optimizer)
            else:
                self.optimizer.step()
            self.stepped = True  # a step that the scaler left out moves the average by nothing but the old weights
        if self.scaler:
            self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def _clip(self) -> torch.Tensor:
        parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not parameters:
            return torch.zeros(())
        if math.isinf(self.max_norm) and hasattr(torch.nn.utils, "get_total_norm"):
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        else:
            norm = torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)
        return norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # sharded gradients

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        if self.scaler:
            state["loss_scaler"] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state_dict = dict(state_dict)
        scaler = state_dict.pop("loss_scaler", None)
        if scaler and self.scaler:
            self.scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict)
