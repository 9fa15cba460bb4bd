"""Several data sets as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from perception.datasets.registry import build_dataset, register_dataset
from perception.errors import RecipeError


@register_dataset
class Concat(torch.utils.data.Dataset):
    """The samples of `datasets` one after the other.

    Args:
        datasets: configurations ``{"type": ..., ...}``.
        repeats: how often each is listed in one epoch, whole numbers; left out, once. A way to weigh small sets against large ones.

    Raises `RecipeError` for an empty list, or parts whose semantic classes differ.
    """

    def __init__(self, datasets: Sequence[dict[str, Any]], repeats: Sequence[int] | None = None) -> None:
        if not datasets:
            raise RecipeError("a Concat data set needs at least one part; found none")
        repeats = [1] * len(datasets) if repeats is None else list(repeats)
        if len(repeats) != len(datasets) or min(repeats) < 1:
            raise RecipeError(f"repeats should be {len(datasets)} whole numbers of at least 1; found {repeats}")
        self.parts = [build_dataset(dict(config)) for config in datasets]
        names = {tuple(part.class_names) for part in self.parts if getattr(part, "class_names", None)}
        if len(names) > 1:
            raise RecipeError(f"the parts of a Concat data set should have the same classes; found {sorted(names)}")
        self.class_names = next(iter(names), ())
        lengths = [len(part) for part, times in zip(self.parts, repeats, strict=True) for _ in range(times)]
        self._owner = [part for part, times in enumerate(repeats) for _ in range(times)]
        self._ends = np.cumsum(lengths)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def locate(self, index: int) -> tuple[int, int]:
        """Return (number of the part, index within it). Raises `IndexError` outside the data set."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} is outside 0..{len(self) - 1}")
        place = int(np.searchsorted(self._ends, index, side="right"))
        return self._owner[place], index - (int(self._ends[place - 1]) if place else 0)

    def __getitem__(self, index: int) -> dict[str, Any]:
        part, inner = self.locate(index)
        sample = dict(self.parts[part][inner])
        if "meta" in sample:  # evaluators tell samples apart by this number, which each part counts from 0
            sample["meta"] = {**sample["meta"], "index": index}
        return sample
