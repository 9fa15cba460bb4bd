"""The released OmniFusion checkpoints as weights of `OmniFusion`: variant, patch size and layout are read from their shapes.

Released as DataParallel state dicts (keys start with ``module.``); every convolution is 3-D with a last kernel side of 1. Licence of the code: MIT.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perception.errors import InputError, WeightsError
from perception.geometry.tangent import rings_of
from perception.io.checkpoints import load_strictly
from perception.models.layers.weight_files import rename, state_of

_RULES: list[tuple[str, str | None]] = [
    (r"(conv1|bn1|layer[1-4])\.", r"encoder.net.\1."),
    (r"down1?\.", "fusion.down."),
    (r"transformer\.pos_emb$", "fusion.pos_emb"),
    (r"transformer\.layer\.(\d+)\.mlp\.fc1\.", r"fusion.layers.\1.mlp.0."),
    (r"transformer\.layer\.(\d+)\.mlp\.fc2\.", r"fusion.layers.\1.mlp.2."),
    (r"transformer\.layer\.(\d+)\.", r"fusion.layers.\1."),
    (r"transformer\.encoder_norm\.", "fusion.norm."),
    (r"de_conv4_0\.conv\.", "decoder.final.0."),
    (r"de_conv4_0\.bn\.", "decoder.final.1."),
    (r"de_conv(\d)_0\.conv\.", r"decoder.up.\1.0."),
    (r"de_conv(\d)_0\.bn\.", r"decoder.up.\1.1."),
    (r"de_conv(\d)_1\.conv\.", r"decoder.fuse.\1.0."),
    (r"de_conv(\d)_1\.bn\.", r"decoder.fuse.\1.1."),
    (r"(pred|weight_pred)\.", r"\1."),
    (r"mlp_points1?\.0\.", "geometry.hidden.0."),
    (r"mlp_points1?\.1\.", "geometry.hidden.1."),
    (r"mlp_points1?\.3\.", "geometry.outputs.0.0."),
    (r"mlp_points1?\.4\.", "geometry.outputs.0.1."),
    (r"mlp_points2\.0\.", "geometry_again.hidden.0."),
    (r"mlp_points2\.1\.", "geometry_again.hidden.1."),
    (r"mlp_points2\.3\.", "geometry_again.outputs.0.0."),
    (r"mlp_points2\.4\.", "geometry_again.outputs.0.1."),
]


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of `OmniFusion` for an official one. Raises `WeightsError` for entries that no rule knows."""
    out = {}
    for key, value in rename(state_of(dict(state)), _RULES).items():
        out[key] = value.squeeze(-1) if value.ndim == 5 else value
    for name in ("geometry", "geometry_again"):
        key = f"{name}.hidden.0.weight"
        if key not in out:
            continue
        if out[key].shape[1] == 3:  # the official rays are (x, z, y)
            out[key] = out[key][:, [0, 2, 1]].contiguous()
        else:  # the official latitude grows downwards
            out[key] = out[key] * out[key].new_tensor([1.0, -1.0, 1.0, 1.0, -1.0]).view(1, 5, 1, 1)
    return out


def variant(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read an official checkpoint's configuration for `build_model` off its shapes.

    The released scripts never use the learned confidence of iterative models, so it is off there. Raises `WeightsError` when it is no OmniFusion.
    """
    state = state_of(dict(state))
    iterative = "mlp_points1.0.weight" in state
    down = state.get("down1.weight" if iterative else "down.weight")
    position = state.get("transformer.pos_emb")
    if down is None or position is None:
        raise WeightsError(
            "the checkpoint is no OmniFusion: it should have entries 'transformer.pos_emb' and 'down.weight' or 'down1.weight'"
        )
    token, side = position.shape[-1], math.sqrt(position.shape[-1] / down.shape[0])
    if side != int(side):
        raise WeightsError(
            f"the checkpoint's {down.shape[0]} 'down' channels fit no square patch of a token of {token}"
        )
    try:
        rings = rings_of(position.shape[1])
    except InputError as error:
        raise WeightsError(f"the checkpoint fits no layout: {error}") from None
    patch = 32 * int(side)
    return {
        "type": "OmniFusion",
        "backbone": "resnet34",
        "size": [256, 512] if patch <= 128 else [512, 1024],
        "rings": rings,
        "fov": 80.0,
        "patch": patch,
        "convention": "official",
        "geometry": "ray" if iterative else "centre",
        "passes": 2 if iterative else 1,
        "confidence": not iterative,
        "depth": 1 + max(int(key.split(".")[2]) for key in state if key.startswith("transformer.layer.")),
        "normalise": "bgr",
        "allow_holes": rings == 3,
    }


model_config = variant  # by the name that `tools/convert.py` asks every system for


def build_official(file_or_state: str | Path | Mapping, **changes: Any) -> torch.nn.Module:
    """Build the model that a released checkpoint belongs to and load it, strictly. changes: other arguments of `OmniFusion`, such as `size`."""
    from perception.models.registry import build_model

    state = state_of(file_or_state)
    model = build_model({**variant(state), **changes})
    load_strictly(model, convert(state))
    return model
