"""ADE20K / SceneParse150: root/{images,annotations}/{training,validation}/ADE_*.{jpg,png}.

Annotations are 8-bit: 0 = other (ignored), 1..150 classes; samples have 0..149 and 255. ``objectInfo150.txt`` in the root gives the names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perception.datasets.files import (
    Entry,
    FileDataset,
    existing_folder,
    image_tensor,
    read_image,
    read_lines,
    read_rgb,
)
from perception.datasets.registry import register_dataset
from perception.errors import DatasetError

SPLITS = {"train": "training", "val": "validation", "training": "training", "validation": "validation"}


@register_dataset
class ADE20K(FileDataset):
    """SceneParse150 pictures with ``semantic`` labels 0..149, 255 = ignored. `split`: "train" | "val"."""

    num_classes = 150

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        missing: str = "raise",
        size: Sequence[int] | None = None,
        fit: str = "crop",
    ) -> None:
        root = existing_folder(root, "ADE20K")
        if split not in SPLITS:
            raise DatasetError(f"ADE20K: split must be 'train' or 'val'; found {split!r}")
        folder = existing_folder(root, "ADE20K", f"images/{SPLITS[split]}")
        labels = root / "annotations" / SPLITS[split]
        entries = [{"image": path, "label": labels / f"{path.stem}.png"} for path in sorted(folder.glob("*.jpg"))]
        super().__init__(entries, root, missing, size, fit)

    def layout(self) -> str:
        return "expected images/training/ADE_train_*.jpg with annotations/training/*.png"

    @property
    def class_names(self) -> list[str]:
        """Names from objectInfo150.txt (first synonym); numbers where it is absent."""
        path = self.root / "objectInfo150.txt"
        if not path.exists():
            return [str(i) for i in range(self.num_classes)]
        lines = read_lines(path, "ADE20K")[1:]
        return [line.split("\t")[-1].split(",")[0].strip() for line in lines]

    def load(self, entry: Entry, index: int) -> dict[str, Any]:
        rgb, raw = read_rgb(entry["image"]), read_image(entry["label"])
        if raw.ndim != 2 or raw.shape != rgb.shape[:2]:
            raise DatasetError(
                f"{str(entry['label'])!r}: expected one label a pixel of {rgb.shape[:2]}; found shape {raw.shape}"
            )
        if raw.max(initial=0) > self.num_classes:
            raise DatasetError(f"{str(entry['label'])!r}: labels must lie in 0..150; found {int(raw.max())}")
        semantic = np.where(raw == 0, 255, raw.astype(np.int64) - 1)
        return {"image": image_tensor(rgb), "semantic": torch.from_numpy(semantic)}
