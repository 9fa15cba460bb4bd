"""Samples -> batches, and batches -> device."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from perception.errors import DatasetError


@dataclasses.dataclass(frozen=True)
class BrokenSample:
    """What a worker sends instead of a sample that could not be read; the main process turns it into an error."""

    index: int
    message: str


def collate(samples: Sequence[Any] | dict[str, Any]) -> Any:
    """Stack equal-shaped tensors and arrays of the samples; everything else becomes a list.

    A dictionary is a batch already (from a data set's ``__getitems__``) and passes through. Keys that only some samples
    have become lists with None in the gaps. Broken samples come out under the key ``_broken``.
    """
    if isinstance(samples, dict):
        return samples
    broken = [sample for sample in samples if isinstance(sample, BrokenSample)]
    samples = [sample for sample in samples if not isinstance(sample, BrokenSample)]
    batch: dict[str, Any] = {}
    if samples and not isinstance(samples[0], dict):
        raise DatasetError(f"a sample should be a dictionary of tensors, found {type(samples[0]).__name__}")
    for key in dict.fromkeys(key for sample in samples for key in sample):
        batch[key] = _stack([sample.get(key) for sample in samples])
    if broken:
        batch["_broken"] = broken
    return batch


def _stack(values: list[Any]) -> Any:
    values = [torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in values]
    first = values[0]
    if isinstance(first, torch.Tensor) and all(
        isinstance(value, torch.Tensor) and value.shape == first.shape and value.dtype == first.dtype
        for value in values
    ):
        return torch.stack(values)
    return values


def to_device(value: Any, device: torch.device, channels_last: bool = False) -> Any:
    """Move every tensor inside `value`; four-dimensional ones to channels-last memory where asked."""
    if isinstance(value, torch.Tensor):
        value = value.to(device, non_blocking=True)
        return value.contiguous(memory_format=torch.channels_last) if channels_last and value.ndim == 4 else value
    if isinstance(value, dict):
        return {key: to_device(item, device, channels_last) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_device(item, device, channels_last) for item in value)
    return value


def batch_size(batch: dict[str, Any]) -> int:
    """Return the number of samples of a collated batch."""
    for value in batch.values():
        if isinstance(value, torch.Tensor) and value.ndim or isinstance(value, list):
            return len(value)
    return 0


def sample_names(batch: dict[str, Any]) -> list[str]:
    """Return what identifies the batch's samples: ``meta.name`` where present, else their index."""
    meta = batch.get("meta")
    if isinstance(meta, dict):  # columns
        names = meta.get("name", meta.get("index"))
        return [str(name) for name in (names.tolist() if isinstance(names, torch.Tensor) else names or [])]
    if isinstance(meta, list):
        return [
            str(entry.get("name", entry.get("index", "?"))) if isinstance(entry, dict) else str(entry) for entry in meta
        ]
    return [f"#{draw[0]}" for draw in batch.get("_draws", [])] or [f"{batch_size(batch)} samples without names"]
