"""Learning-rate schedules in closed form over the fraction of the run, so that a recipe states no iteration twice."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS


class _FractionLR(_ParamScheduler):
    """Base: multiplies every group's own learning rate by `factor(step)`. `max_iters` is filled in by the runner."""

    def __init__(self, optimizer: Any, max_iters: int, warmup: int | float, warmup_factor: float) -> None:
        # below 1 the warm-up is a fraction of the run
        self.warmup = int(round(warmup * max_iters)) if isinstance(warmup, float) and warmup < 1 else int(warmup)
        self.max_iters, self.warmup_factor = int(max_iters), float(warmup_factor)
        super().__init__(optimizer, "lr", by_epoch=False)

    def factor(self, progress: float) -> float:
        """Return the multiplier after the warm-up; `progress` goes from 0 to 1."""
        raise NotImplementedError

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the step from a checkpoint; length and shape stay the recipe's, so that a resumed run may be made longer or shorter."""
        keep = {"max_iters", "warmup", "warmup_factor", "end_factor", "power", "gamma", "milestones", "edges"}
        super().load_state_dict({key: value for key, value in state_dict.items() if key not in keep})

    def _get_value(self) -> list[float]:
        step = self.last_step
        if step < self.warmup:
            scale = self.warmup_factor + (1 - self.warmup_factor) * step / self.warmup
        else:
            scale = self.factor(min(1.0, (step - self.warmup) / max(1, self.max_iters - self.warmup)))
        return [base * scale for base in self.base_values]


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(_FractionLR):
    """Linear warm-up, then half a cosine down to `end_factor` at the last iteration."""

    def __init__(
        self,
        optimizer: Any,
        max_iters: int,
        warmup: int | float = 0.02,
        warmup_factor: float = 0.01,
        end_factor: float = 0.0,
        epoch_length: int | None = None,
    ) -> None:
        self.end_factor = float(end_factor)
        super().__init__(optimizer, max_iters, warmup, warmup_factor)

    def factor(self, progress: float) -> float:
        return self.end_factor + (1 - self.end_factor) * 0.5 * (1 + math.cos(math.pi * progress))


@PARAM_SCHEDULERS.register_module()
class WarmupPolyLR(_FractionLR):
    """Linear warm-up, then ``(1 - progress) ** power``, the schedule of the DeepLab family."""

    def __init__(
        self,
        optimizer: Any,
        max_iters: int,
        warmup: int | float = 0.02,
        warmup_factor: float = 0.01,
        power: float = 0.9,
        epoch_length: int | None = None,
    ) -> None:
        self.power = float(power)
        super().__init__(optimizer, max_iters, warmup, warmup_factor)

    def factor(self, progress: float) -> float:
        return (1 - progress) ** self.power


@PARAM_SCHEDULERS.register_module()
class WarmupStepLR(_FractionLR):
    """Linear warm-up, then the rate is multiplied by `gamma` at each of `milestones` (fractions of the run)."""

    def __init__(
        self,
        optimizer: Any,
        max_iters: int,
        milestones: list[float],
        gamma: float = 0.1,
        warmup: int | float = 0,
        warmup_factor: float = 0.01,
        epoch_length: int | None = None,
    ) -> None:
        self.milestones, self.gamma = [float(m) for m in milestones], float(gamma)
        super().__init__(optimizer, max_iters, warmup, warmup_factor)

    def factor(self, progress: float) -> float:
        done = self.warmup + progress * (self.max_iters - self.warmup)
        return self.gamma ** sum(done >= milestone * self.max_iters for milestone in self.milestones)


@PARAM_SCHEDULERS.register_module()
class CosineRestartsLR(_FractionLR):
    """Half a cosine down to `end_factor`, begun anew at each of `restarts` (fractions of the run); a period of n epochs is n / max_epochs of it."""

    def __init__(
        self,
        optimizer: Any,
        max_iters: int,
        restarts: list[float],
        end_factor: float = 0.0,
        warmup: int | float = 0,
        warmup_factor: float = 0.01,
        epoch_length: int | None = None,
    ) -> None:
        self.edges, self.end_factor = [0.0, *sorted(float(r) for r in restarts), 1.0], float(end_factor)
        super().__init__(optimizer, max_iters, warmup, warmup_factor)

    def factor(self, progress: float) -> float:
        start = max(edge for edge in self.edges[:-1] if edge <= progress)
        end = next(edge for edge in self.edges if edge > start)
        part = (progress - start) / (end - start)
        return self.end_factor + (1 - self.end_factor) * 0.5 * (1 + math.cos(math.pi * part))
