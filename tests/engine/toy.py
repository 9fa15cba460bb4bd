"""A model and data sets small enough to train through the real command line in seconds. Recipes name this module in `imports`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from perception.datasets.registry import register_dataset
from perception.datasets.transforms.registry import register_batch_transform
from perception.evaluation.base import Evaluator
from perception.evaluation.registry import register_evaluator
from perception.models.registry import register_model


class ToyResult(dict):
    """What `ToyNet` predicts for one picture."""

    def preview(self, image: np.ndarray) -> np.ndarray:
        return np.repeat((100 * self["depth"].clamp(0, 2.5)).byte().cpu().numpy()[..., None], 3, axis=2)

    def save(self, folder: Path, image: np.ndarray) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "depth.npy", self["depth"].cpu().numpy())


@register_model
class ToyNet(nn.Module):
    """Mean colour -> one number a pixel column; has dropout, so that random states matter."""

    def __init__(self, width: int = 8, dropout: float = 0.2, batch_norm: bool = False) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(width) if batch_norm else nn.Identity()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), norm, nn.GELU(), nn.Dropout(dropout))
        self.head = nn.Conv2d(width, 1, 1)

    def inputs(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {"image": batch["image"]}

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"depth": self.head(self.body(image.float() / 255))[:, 0]}

    def loss(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        error = outputs["depth"] - batch["depth"]
        return {"depth": error.abs().mean(), "square": 0.1 * error.square().mean(), "log_bias": error.mean()}

    def predict(self, outputs: dict[str, torch.Tensor], cameras: list, sizes: list) -> list[ToyResult]:
        return [ToyResult(depth=depth) for depth in outputs["depth"]]


@register_dataset
class ToyData:
    """Random pictures whose depth is twice their brightness plus noise drawn at reading time.

    Faults for tests: `nan_at` (depth of that sample is NaN), `broken_at` (raises), `kill_at` (kills its process),
    `hang_at` (sleeps), `slow` (seconds a sample).
    """

    def __init__(
        self,
        length: int = 24,
        size: int = 8,
        noise: float = 0.01,
        nan_at: int = -1,
        broken_at: int = -1,
        kill_at: int = -1,
        hang_at: int = -1,
        slow: float = 0.0,
        seed: int = 0,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.images = rng.integers(0, 256, (length, 3, size, size), dtype=np.uint8)
        self.noise, self.slow = noise, slow
        self.nan_at, self.broken_at, self.kill_at, self.hang_at = nan_at, broken_at, kill_at, hang_at

    def __len__(self) -> int:
        return len(self.images)

    def describe(self, index: int) -> str:
        return f"toy/{index:03d}.png"

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index == self.broken_at:
            raise OSError("image file is truncated")
        if index == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == self.hang_at:
            time.sleep(600)
        if self.slow:
            time.sleep(self.slow)
        image = torch.from_numpy(self.images[index])
        depth = 2 * image.float().mean(0) / 255 + self.noise * torch.randn(image.shape[1:])
        depth = depth + self.noise * float(np.random.rand())  # noqa: NPY002
        if index == self.nan_at:
            depth = depth * float("nan")
        return {"image": image, "depth": depth, "meta": {"name": f"toy/{index:03d}", "index": index}}


@register_dataset
class ToyBatches(ToyData):
    """`ToyData` that hands out finished batches."""

    def __getitems__(self, indices: list[int]) -> dict[str, Any]:
        image = torch.from_numpy(self.images[indices])
        depth = 2 * image.float().mean(1) / 255 + self.noise * torch.randn(image[:, 0].shape)
        return {"image": image, "depth": depth, "meta": [{"name": f"toy/{i:03d}", "index": i} for i in indices]}


@register_batch_transform
class ToyJitter:
    """Adds a random offset to each depth of the batch."""

    def __init__(self, amount: float = 0.01) -> None:
        self.amount = amount

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        offset = self.amount * torch.randn(len(batch["depth"]), 1, 1, device=batch["depth"].device)
        return {**batch, "depth": batch["depth"] + offset}


@register_evaluator
class ToyEvaluator(Evaluator):
    """Mean absolute error over all pixels."""

    def record(self, prediction: Any, sample: dict[str, Any]) -> tuple[float, int]:
        error = (prediction["depth"] - sample["depth"]).abs().double()
        return float(error.sum()), error.numel()

    def compute(self) -> dict[str, float]:
        rows = self.ordered()
        return {"mae": sum(r[0] for r in rows) / sum(r[1] for r in rows), "images": len(rows)}
