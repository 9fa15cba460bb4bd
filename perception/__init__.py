"""Depth and 3D perception: from an image (or six cameras and five radars) to metric 3D.

    import perception

    model = perception.load("polymax-world-tiny")
    result = model("street.jpg", camera=perception.Pinhole.from_fov(width=1242, height=375, horizontal_degrees=82))
    result.save("out/")

Names are imported when they are first used, so ``import perception`` costs milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers, which do not run `__getattr__`
    from perception.datasets.world import World as World
    from perception.errors import PerceptionError as PerceptionError
    from perception.geometry import Equirectangular as Equirectangular
    from perception.geometry import Pinhole as Pinhole
    from perception.geometry.rig import Rig as Rig
    from perception.inference import Predictor as Predictor
    from perception.inference import list_models as list_models
    from perception.inference import load as load
    from perception.inference.hub import from_pretrained as from_pretrained
    from perception.io import load_image as load_image
    from perception.models.backbones import list_backbones as list_backbones
    from perception.results import Prediction as Prediction

__version__ = "0.1.0"

_LAZY = {
    "load": "perception.inference",
    "list_models": "perception.inference",
    "from_pretrained": "perception.inference.hub",
    "list_backbones": "perception.models.backbones",
    "load_image": "perception.io",
    "Predictor": "perception.inference",
    "Prediction": "perception.results",
    "Pinhole": "perception.geometry",
    "Equirectangular": "perception.geometry",
    "Rig": "perception.geometry.rig",
    "World": "perception.datasets.world",
    "PerceptionError": "perception.errors",
}
__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'perception' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
