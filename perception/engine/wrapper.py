"""Any registered model as mmengine's runner wants it: ``forward(batch, mode="loss" | "predict")``.

The network runs under autocast where mixed precision is on; losses and predictions are computed in float32 outside of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.model.base_model import BaseDataPreprocessor
from torch import nn

from perception.engine.collate import sample_names, to_device
from perception.errors import TrainingError

LOG_PREFIX = "log_"  # losses whose names begin so are shown and not trained on


class TrainingModel(BaseModel):
    """Holds a registered model as `net` and trains, validates and predicts with it.

    Args:
        net: a model of `perception.models.registry`.
        batch_transforms: augmentations of a training batch on the device, in order.
        amp_dtype: ``torch.bfloat16`` or ``torch.float16`` for mixed precision, None for float32.
        channels_last: keep pictures and weights in channels-last memory (faster convolutions on GPUs).
        compile_options: keyword arguments of ``torch.compile`` for the network's forward, or None.
    """

    def __init__(
        self,
        net: nn.Module,
        batch_transforms: Sequence[Callable[[dict], dict]] = (),
        amp_dtype: torch.dtype | None = None,
        channels_last: bool = False,
        compile_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=BaseDataPreprocessor())
        self.net = net.to(memory_format=torch.channels_last) if channels_last else net
        self.batch_transforms = list(batch_transforms)
        self.amp_dtype, self.channels_last = amp_dtype, channels_last
        # torch.compile(module) shares the parameters; it is kept out of the module tree so that names do not change
        self._run: list[Callable[..., Any]] = [
            net if compile_options is None else torch.compile(net, **compile_options)
        ]

    def init_weights(self) -> None:
        """Registered models come initialised (perhaps with trained weights): nothing to do, and nothing to undo."""

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device

    def forward(self, batch: dict[str, Any], mode: str = "loss") -> Any:
        """``"loss"``: dictionary of scalars. ``"predict"``: one result a picture. ``"tensor"``: the network's outputs."""
        with self._autocast():
            outputs = self._run[0](**self.net.inputs(batch))
        if mode == "tensor":
            return outputs
        outputs = to_float32(outputs)
        if mode == "loss":
            return self.net.loss(outputs, batch)
        views = getattr(self.net, "views", cameras_and_sizes)  # models of whole rigs know better what `predict` needs
        return self.net.predict(outputs, *views(batch))

    def prepare(
        self, batch: dict[str, Any], training: bool, unpack: Callable[[dict], dict] | None = None
    ) -> dict[str, Any]:
        """Move a collated batch to the model's device, unpack it and, in training, augment it there."""
        batch = to_device(batch, self.device)
        batch = unpack(batch) if unpack is not None else batch
        batch = to_device(batch, self.device, self.channels_last)
        if training:
            with torch.no_grad():
                for transform in self.batch_transforms:
                    batch = transform(batch)
        return batch

    def val_step(self, data: dict[str, Any]) -> list[Any]:
        """Predict a batch that `prepare` made."""
        return self(data, mode="predict")

    test_step = val_step

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.amp_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.amp_dtype)


def train_step(model: nn.Module, batch: dict[str, Any], optimiser: Any, iteration: int) -> dict[str, torch.Tensor]:
    """One iteration on a prepared batch: losses, backward and, when due, the guarded step.

    Args:
        model: a `TrainingModel`, or that wrapped for distributed training.
        optimiser: `GuardedOptimWrapper`.

    Returns:
        the losses by name, their sum as ``"loss"`` and, at steps, ``"grad_norm"``: detached scalars on the device.
    """
    with optimiser.optim_context(model):  # no gradient exchange while gradients accumulate
        losses = model(batch, mode="loss")
    losses = {name: _scalar(name, value) for name, value in losses.items()}
    objective = sum(value for name, value in losses.items() if not name.startswith(LOG_PREFIX))
    if not isinstance(objective, torch.Tensor):
        raise TrainingError("the model returned no loss to train on")
    checked = {name: value for name, value in losses.items() if not name.startswith(LOG_PREFIX)}
    norm = optimiser.guarded_update(checked, objective, sample_names(batch), iteration)
    shown = {"loss": objective.detach(), **{name: value.detach() for name, value in losses.items() if name != "loss"}}
    if norm is not None:
        shown["grad_norm"] = norm.detach()
    return shown


def cameras_and_sizes(batch: dict[str, Any]) -> tuple[list[Any], list[tuple[int, int]]]:
    """Return one camera (or None) and one size ``(height, width)`` a picture of the batch."""
    from perception.geometry.cameras import Pinhole

    image = batch["image"]
    sizes = [(int(picture.shape[-2]), int(picture.shape[-1])) for picture in image]
    if "camera" in batch:
        return list(batch["camera"]), sizes
    if "intrinsics" in batch:
        matrices = batch["intrinsics"]
        return [
            Pinhole.from_matrix(matrix, width, height, source="file")
            for matrix, (height, width) in zip(matrices, sizes, strict=True)
        ], sizes
    return [None] * len(sizes), sizes


def to_float32(value: Any) -> Any:
    """Return `value` with every half-precision tensor inside as float32."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if isinstance(value, dict):
        return {key: to_float32(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(to_float32(item) for item in value)
    return value


def _scalar(name: str, value: torch.Tensor) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise TrainingError(f"loss {name!r} should be a tensor, found {type(value).__name__}")
    return value if value.ndim == 0 else value.mean()
