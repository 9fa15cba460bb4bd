"""Names -> batch transforms: augmentations of a whole collated batch on the device that trains.

A recipe says ``batch_transform = [dict(type="RandomHorizontalFlip"), ...]``. A transform is a callable that takes the batch
(keys of `perception.datasets.registry`) and returns it, drawing its random numbers from torch's global generator of the
batch's device, whose state checkpoints carry.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from perception.errors import RecipeError, nearest

# Registered name -> module that defines it. Modules are imported when their transform is first asked for.
_HOMES: dict[str, str] = {
    "RandomHorizontalFlip": "perception.datasets.transforms.batch_geometry",
    "RandomZoomCrop": "perception.datasets.transforms.batch_geometry",
    "ResizeBatch": "perception.datasets.transforms.batch_geometry",
    "RandomColour": "perception.datasets.transforms.batch_colour",
    "RandomBlur": "perception.datasets.transforms.batch_colour",
    "Mono3DFilter": "perception.datasets.transforms.mono3d",
    "Mono3DAugment": "perception.datasets.transforms.mono3d",
    "Mono3DPhotometric": "perception.datasets.transforms.mono3d",
    "RandomNoise": "perception.datasets.transforms.batch_colour",
    "RigBevAugment": "perception.datasets.transforms.rig",
    "RigPhotometric": "perception.datasets.transforms.rig",
    "RigImageFlip": "perception.datasets.transforms.rig",
    "RadarDropout": "perception.datasets.transforms.rig",
    "RandomPanoramaRoll": "perception.datasets.transforms.batch_panorama",
    "RandomFramesFlip": "perception.datasets.transforms.batch_frames",
    "RandomFramesColour": "perception.datasets.transforms.batch_frames",
}
_CLASSES: dict[str, Callable[..., Any]] = {}


def register_batch_transform(cls: type) -> type:
    """Class decorator: make `cls` buildable by its class name. Raises `RecipeError` for a name taken by another class."""
    known = _CLASSES.setdefault(cls.__name__, cls)
    if known is not cls and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise RecipeError(
            f"batch transform {cls.__name__!r} is registered twice, by {known.__module__} and {cls.__module__}"
        )
    _CLASSES[cls.__name__] = cls
    return cls


def list_batch_transforms() -> list[str]:
    """Return the registered names, sorted. Imports nothing."""
    return sorted({*_HOMES, *_CLASSES})


def batch_transform_class(name: str) -> Callable[..., Any]:
    """Return the class registered as `name`. Raises `RecipeError` with the nearest known name."""
    if name not in _CLASSES and name in _HOMES:
        importlib.import_module(_HOMES[name])
    if name not in _CLASSES:
        raise RecipeError(f"batch transform {name!r} is not registered.{nearest(name, list_batch_transforms())}")
    return _CLASSES[name]


def build_batch_transform(config: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Build ``{"type": name, **keyword arguments}``. Raises `RecipeError` for unknown names and arguments."""
    arguments = dict(config)
    cls = batch_transform_class(arguments.pop("type", ""))
    try:
        return cls(**arguments)
    except TypeError as error:
        raise RecipeError(
            f"batch transform {cls.__name__!r} cannot be built from keys {sorted(arguments)}: {error}"
        ) from error
