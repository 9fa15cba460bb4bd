"""Exponential moving average of a model's weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


class WeightAverage:
    """A running average of parameters and floating-point buffers; whole-number buffers are copied.

    Args:
        model: its present weights start the average.
        decay: share of the old average that an update keeps.
        warmup: the decay of update n is at most ``(1 + n) / (10 + n)``, so that a short run forgets its random start.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999, warmup: bool = True) -> None:
        self.decay, self.warmup = float(decay), warmup
        self.updates = 0
        self.average = {name: value.detach().clone() for name, value in _state(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        old, new = [], []
        for name, value in _state(model).items():
            if value.is_floating_point():
                old.append(self.average[name])
                new.append(value)
            else:
                self.average[name].copy_(value)
        torch._foreach_lerp_(old, new, 1 - decay)

    @contextlib.contextmanager
    @torch.no_grad()
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Let the model hold the averaged weights inside the block; the very same ones are back afterwards."""
        kept = {name: value.clone() for name, value in _state(model).items()}
        self._copy_to(model, self.average)
        try:
            yield
        finally:
            self._copy_to(model, kept)

    @torch.no_grad()
    def load(self, average: dict[str, torch.Tensor], updates: int) -> None:
        """Put back a saved average."""
        self.updates = int(updates)
        for name, value in self.average.items():
            value.copy_(average[name])

    @staticmethod
    @torch.no_grad()
    def _copy_to(model: nn.Module, values: dict[str, torch.Tensor]) -> None:
        for name, value in _state(model).items():
            value.copy_(values[name])


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return parameters and persistent buffers by name, without copying."""
    return {name: value for name, value in model.state_dict(keep_vars=True).items() if isinstance(value, torch.Tensor)}
