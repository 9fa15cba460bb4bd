"""Predictions as pictures, while training (validation samples) or testing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class SavePredictionsHook(Hook):
    """Saves the first `count` predictions of each validation or test.

    Args:
        folder: where to; default ``<run folder>/pictures/iter_<n>``.
        count: how many samples; 0 saves none.
        previews: one small picture a sample instead of everything that the results' own ``save`` writes.
    """

    priority = "LOW"

    def __init__(self, folder: str | None = None, count: int = 8, previews: bool = False) -> None:
        self.folder, self.count, self.previews, self.done = folder, count, previews, 0

    def before_val_epoch(self, runner: Any) -> None:
        self.done = 0

    before_test_epoch = before_val_epoch

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: list[Any] | None = None
    ) -> None:
        if runner.rank != 0:
            return
        from perception.io.images import write_image

        iteration = runner.iter if runner.trains else 0
        root = Path(self.folder) if self.folder else Path(runner.work_dir) / "pictures" / f"iter_{iteration}"
        for index, result in enumerate(outputs or []):
            if self.done >= self.count:
                return
            image = _as_array(data_batch["image"][index]) if "image" in (data_batch or {}) else None
            if self.previews and hasattr(result, "preview"):
                root.mkdir(parents=True, exist_ok=True)
                write_image(root / f"{self.done:03d}.png", result.preview(image))
            elif not self.previews and hasattr(result, "save"):
                result.save(root / f"{self.done:03d}", *([] if image is None else [image]))
            self.done += 1

    after_test_iter = after_val_iter


def _as_array(image: torch.Tensor) -> np.ndarray:
    """(3, H, W) uint8 of any device -> (H, W, 3); of several cameras (N, 3, H, W) the first."""
    image = image[0] if image.ndim == 4 else image
    return image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
