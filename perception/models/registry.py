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
from typing import Any

from perception.registry import Registry

MODELS = Registry(
    "model",
    {
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
    },
)
register_model = MODELS.register
list_architectures = MODELS.names
model_class = MODELS.find


def build_model(config: dict[str, Any]) -> Any:
    """Build ``{"type": name, **keyword arguments}``; the model keeps that as `build_config`. Raises `RecipeError` for unknown names and arguments."""
    model = MODELS.build(config)
    model.build_config = copy.deepcopy(config)  # what `save_pretrained` and exports write down
    return model
