"""Names -> architectures. A model is built from its registered name and literals alone, so a checkpoint rebuilds its own model.

Every registered model is an ``nn.Module`` with one shape of life:

``preprocess``            the object that turns pictures into the network's input and knows the exact way back
``inputs(batch)``         keyword arguments of ``forward`` taken from a collated training batch
``forward(**inputs)``     named tensors in, dictionary of named tensors out
``loss(outputs, batch)``  dictionary of scalar losses; the training objective is their sum
``predict(outputs, cameras, sizes)``  list of `perception.results` objects, one a picture, in float32
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from typing import Any

from perception.errors import RecipeError, nearest

# Registered name -> module that defines it. Modules are imported when their model is first asked for.
_HOMES: dict[str, str] = {
    "PolyMaX": "perception.models.polymax",
    "KMaXDeepLab": "perception.models.polymax",
    "DPT": "perception.models.dpt",
    "MonoDETR": "perception.models.monodetr",
    "MonoDINODETR": "perception.models.monodino_detr",
    "DepthAnythingV2": "perception.models.depth_anything",
    "OmniFusion": "perception.models.omnifusion",
    "Video360": "perception.models.video360",
    "SPIdepth": "perception.models.spidepth",
    "CroCo": "perception.models.croco",
    "CroCoCompletion": "perception.models.croco",
    "HyDRa": "perception.models.hydra",
    "RegisterDistillation": "perception.models.registers",
}
_CLASSES: dict[str, Callable[..., Any]] = {}


def register_model(cls: type) -> type:
    """Class decorator: make `cls` buildable by its class name. Raises `RecipeError` for a name taken by another class."""
    known = _CLASSES.setdefault(cls.__name__, cls)
    if known is not cls and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise RecipeError(
            f"model name {cls.__name__!r} is registered twice, by {known.__module__} and {cls.__module__}"
        )
    _CLASSES[cls.__name__] = cls
    return cls


def list_architectures() -> list[str]:
    """Return the registered names, sorted. Imports nothing."""
    return sorted({*_HOMES, *_CLASSES})


def model_class(name: str) -> Callable[..., Any]:
    """Return the class registered as `name`. Raises `RecipeError` with the nearest known name."""
    if name not in _CLASSES and name in _HOMES:
        importlib.import_module(_HOMES[name])
    if name not in _CLASSES:
        raise RecipeError(f"model type {name!r} is not registered.{nearest(name, list_architectures())}")
    return _CLASSES[name]


def build_model(config: dict[str, Any]) -> Any:
    """Build ``{"type": name, **keyword arguments}``; the model keeps that as `build_config`. Raises `RecipeError` for unknown names and arguments."""
    arguments = dict(config)
    name = arguments.pop("type", None)
    if name is None:
        raise RecipeError(f"a model configuration needs a 'type' key; found keys {sorted(arguments)}")
    cls = model_class(name)
    try:
        model = cls(**arguments)
    except TypeError as error:
        raise RecipeError(f"model {name!r} cannot be built from keys {sorted(arguments)}: {error}") from error
    model.build_config = copy.deepcopy(config)  # what `save_pretrained` and exports write down
    return model
