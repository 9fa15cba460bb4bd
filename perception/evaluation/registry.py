"""Names -> evaluators. A recipe says ``{"type": "DepthEvaluator", "protocol": "nyu_eigen"}``; literals only."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from perception.errors import RecipeError, nearest

# Registered name -> module that defines it. Modules are imported when their evaluator is first asked for.
_HOMES: dict[str, str] = {
    "DepthEvaluator": "perception.evaluation.depth",
    "NormalsEvaluator": "perception.evaluation.normals",
    "SemanticEvaluator": "perception.evaluation.segmentation",
    "PanopticEvaluator": "perception.evaluation.panoptic",
    "KittiEvaluator": "perception.evaluation.kitti",
    "NuScenesDetectionEvaluator": "perception.evaluation.nuscenes_detection",
    "NuScenesTrackingEvaluator": "perception.evaluation.nuscenes_tracking",
    "OccupancyEvaluator": "perception.evaluation.occupancy",
    "MotionEvaluator": "perception.evaluation.motion",
    "StereoEvaluator": "perception.evaluation.matching",
    "FlowEvaluator": "perception.evaluation.matching",
}
_CLASSES: dict[str, Callable[..., Any]] = {}


def register_evaluator(cls: type) -> type:
    """Class decorator: make `cls` buildable by its class name. Raises `RecipeError` for a name taken by another class."""
    known = _CLASSES.setdefault(cls.__name__, cls)
    if known is not cls and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise RecipeError(
            f"evaluator name {cls.__name__!r} is registered twice, by {known.__module__} and {cls.__module__}"
        )
    _CLASSES[cls.__name__] = cls
    return cls


def list_evaluators() -> list[str]:
    """Return the registered names, sorted. Imports nothing."""
    return sorted({*_HOMES, *_CLASSES})


def evaluator_class(name: str) -> Callable[..., Any]:
    """Return the class registered as `name`. Raises `RecipeError` with the nearest known name."""
    if name not in _CLASSES and name in _HOMES:
        importlib.import_module(_HOMES[name])
    if name not in _CLASSES:
        raise RecipeError(f"evaluator type {name!r} is not registered.{nearest(name, list_evaluators())}")
    return _CLASSES[name]


def build_evaluator(config: dict[str, Any]) -> Any:
    """Build ``{"type": name, **keyword arguments}``. Raises `RecipeError` for unknown names and arguments."""
    arguments = dict(config)
    name = arguments.pop("type", None)
    if name is None:
        raise RecipeError(f"an evaluator configuration needs a 'type' key; found keys {sorted(arguments)}")
    cls = evaluator_class(name)
    try:
        return cls(**arguments)
    except TypeError as error:
        raise RecipeError(f"evaluator {name!r} cannot be built from keys {sorted(arguments)}: {error}") from error
