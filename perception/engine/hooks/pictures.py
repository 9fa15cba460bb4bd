"""Predictions as pictures, while training (validation samples) or testing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class SavePredictionsHook(Hook):
    """Saves the first `count` predictions of each validation or test with the results' own ``save``.

    Args:
        folder: where to; default ``<run folder>/pictures/iter_<n>``.
        count: how many samples.
    """

    def __init__(self, folder: str | None = None, count: int = 8) -> None:
        self.folder, self.count, self.done = folder, count, 0

    def before_val_epoch(self, runner: Any) -> None:
        self.done = 0

    before_test_epoch = before_val_epoch

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: list[Any] | None = None
    ) -> None:
        if runner.rank != 0:
            return
        iteration = runner.iter if runner.trains else 0
        root = Path(self.folder) if self.folder else Path(runner.work_dir) / "pictures" / f"iter_{iteration}"
        for index, result in enumerate(outputs or []):
            if self.done >= self.count:
                return
            if hasattr(result, "save"):
                place = root / f"{self.done:03d}"
                place.mkdir(parents=True, exist_ok=True)
                result.save(place)
                if "image" in data_batch:
                    _save_picture(data_batch["image"][index], place / "input.png")
            self.done += 1

    after_test_iter = after_val_iter


def _save_picture(image: torch.Tensor, path: Path) -> None:
    from PIL import Image

    Image.fromarray(image.detach().cpu().permute(1, 2, 0).contiguous().numpy()).save(path)
