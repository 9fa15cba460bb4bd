"""What a network eats: example inputs made by the model's own preprocessing, and which of their axes follow the picture."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from perception.errors import PerceptionError
from perception.geometry import Equirectangular, Pinhole

OTHER_PICTURES = ((640, 480), (1242, 375), (480, 640))  # width, height: wide, landscape and portrait


class ExportError(PerceptionError):
    """A model that cannot be exported, or an export that does not agree with the model."""


@dataclasses.dataclass(frozen=True)
class Examples:
    """Inputs by name for pictures of one size, and for each input the axes (beside the batch) that follow the picture's size."""

    inputs: dict[str, torch.Tensor]
    size_axes: dict[str, tuple[int, ...]]


def example_inputs(model: Any, width: int, height: int, batch: int = 2, seed: int = 0) -> Examples:
    """Return what `model.preprocess` makes of `batch` random pictures of `width` x `height`.

    Axes whose length changes with pictures of other sizes are the ones that follow the size. A model of something else than single pictures
    offers ``export_inputs(batch, seed) -> dict`` and, in ``export_axes``, the axes that follow what it takes (a rig: cameras and radar points).
    Raises `ExportError` when it has neither, and for models that say in ``unexportable`` why they cannot be.
    """
    reason = getattr(model, "unexportable", None)
    if reason:
        raise ExportError(f"{type(model).__name__} cannot be exported: {reason}")
    own = getattr(model, "export_inputs", None)
    if callable(own):
        inputs = dict(own(batch, seed))
        axes = getattr(model, "export_axes", {})
        return Examples(inputs, {name: tuple(axes[name]) for name in inputs if name in axes})
    if not callable(getattr(model, "preprocess", None)):
        raise ExportError(
            f"{type(model).__name__} has no preprocessing for single pictures, so there is nothing to export"
        )
    rng = np.random.default_rng(seed)
    items = [_prepare(model, rng, width, height) for _ in range(batch)]
    inputs = {name: torch.stack([item[name] for item in items]) for name in items[0]}
    axes: dict[str, set[int]] = {name: set() for name in inputs}
    for other_width, other_height in OTHER_PICTURES:
        try:
            other = _prepare(model, rng, other_width, other_height)
        except PerceptionError:
            continue  # panoramas have one shape
        for name, value in inputs.items():
            changed = zip(value.shape[1:], other[name].shape, strict=True)
            axes[name] |= {axis for axis, (a, b) in enumerate(changed, 1) if a != b}
    return Examples(inputs, {name: tuple(sorted(found)) for name, found in axes.items() if found})


def _prepare(model: Any, rng: np.random.Generator, width: int, height: int) -> dict[str, torch.Tensor]:
    panorama = getattr(model, "camera_kind", "pinhole") == "equirectangular"
    height = width // 2 if panorama else height
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    camera = Equirectangular(width, height) if panorama else Pinhole.from_fov(width, height, 70.0)
    return dict(model.preprocess(picture, camera).inputs)
