"""Official SPIdepth and SQLdepth checkpoints (a folder of ``encoder.pth``, ``depth.pth``, ``pose.pth``) as weights of `SPIdepth`.

The three files become one state with the prefixes ``encoder.``, ``depth_decoder.`` and ``pose.`` (`read_folder`). ``encoder.pth`` also
holds numbers (height, width, use_stereo), which are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perception.errors import WeightsError
from perception.io.checkpoints import load_strictly, read_checkpoint
from perception.models.layers.weight_files import rename, state_of
from perception.models.spidepth.encoder import RESNET

FILES = {"encoder.pth": "encoder.", "depth.pth": "depth_decoder.", "pose.pth": "pose."}

_DECODER: list[tuple[str, str | None]] = [
    (r"depth_decoder\.positional_encodings$", "decoder.positions"),
    (r"depth_decoder\.embedding_convPxP\.", "decoder.patches."),
    (r"depth_decoder\.conv3x3\.", "decoder.pixels."),
    (r"depth_decoder\.bins_regressor\.", "decoder.bins."),
    (r"depth_decoder\.convert_to_prob\.0\.", "decoder.probabilities."),
    (r"depth_decoder\.transformer_encoder\.layers\.(\d+)\.self_attn\.in_proj_", r"decoder.layers.\1.qkv."),
    (r"depth_decoder\.transformer_encoder\.layers\.(\d+)\.self_attn\.out_proj\.", r"decoder.layers.\1.proj."),
    (r"depth_decoder\.transformer_encoder\.layers\.(\d+)\.linear([12])\.", r"decoder.layers.\1.fc\2."),
    (r"depth_decoder\.transformer_encoder\.layers\.(\d+)\.norm([12])\.", r"decoder.layers.\1.norm\2."),
]
_POSE: list[tuple[str, str | None]] = [
    (r"pose\.encoder\.", "pose.encoder.net."),
    (r"pose\.squeeze\.0\.", "pose.squeeze."),
    (r"pose\.decoder\.([01])\.0\.", r"pose.hidden.\1."),
    (r"pose\.decoder\.2\.", "pose.motion."),
]
_UNET: list[tuple[str, str | None]] = [
    (r"encoder\.encoder\.", "encoder.backbone.net."),
    *(
        (rf"encoder\.decoder\.blocks\.(\d+)\.conv{i + 1}\.{part}\.", rf"encoder.blocks.\1.{3 * i + j}.")
        for i in (0, 1)
        for j, part in enumerate(("conv", "bn"))
    ),
    (r"encoder\.decoder\.final_conv\.", "encoder.out."),
]
_RESNET: list[tuple[str, str | None]] = [
    (r"encoder\.encoder\.(encoder\.)?fc\.", None),
    (r"encoder\.encoder\.encoder\.", "encoder.backbone.net."),
    (r"encoder\.decoder\.conv2\.", "encoder.bottleneck."),
    *((rf"encoder\.decoder\.up{i + 1}\._net\.", f"encoder.blocks.{i}.") for i in range(4)),
    (r"encoder\.decoder\.conv3\.", "encoder.out."),
]
_FAMILIES = {
    True: tuple(f"convnextv2_{size}" for size in ("atto", "femto", "pico", "nano", "tiny", "base", "large", "huge")),
    False: tuple(f"convnext_{size}" for size in ("atto", "femto", "pico", "nano", "tiny", "small", "base", "large")),
}
_RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def read_folder(folder: str | Path, trust: bool = False) -> dict[str, Tensor]:
    """Read the official files of a run's folder into one state. ``pose.pth`` may be missing. Raises `WeightsError`."""
    state: dict[str, Tensor] = {}
    for name, prefix in FILES.items():
        path = Path(folder) / name
        if not path.is_file():
            if name == "pose.pth":
                continue
            raise WeightsError(f"the folder {str(folder)!r} should hold {', '.join(FILES)}; {name} is not there")
        entries = state_of(read_checkpoint(path, trust))
        state |= {prefix + key: value for key, value in entries.items() if isinstance(value, Tensor)}
    return state


def is_resnet(state: Mapping[str, Tensor]) -> bool:
    """Whether an official state belongs to the ResNet of the first SQLdepth models."""
    return "encoder.decoder.conv2.weight" in state


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official state -> state of `SPIdepth`. Raises `WeightsError` for entries that no rule knows."""
    encoder = _RESNET if is_resnet(state) else _UNET
    return rename(state, [*_DECODER, *_POSE, *encoder])


def model_config(state: Mapping[str, Tensor], backbone: str | None = None) -> dict[str, Any]:
    """The configuration of the `SPIdepth` that an official state belongs to. Limits of the bins are not stored: the published 0.001 and 80 are taken.

    backbone: its name, where it is known. Raises `WeightsError` for a state of no known backbone.
    """
    try:
        dim, _, patch, _ = state["depth_decoder.embedding_convPxP.weight"].shape
        bins, queries = state["depth_decoder.convert_to_prob.0.weight"].shape[:2]
        ffn_dim = state["depth_decoder.transformer_encoder.layers.0.linear1.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(f"the checkpoint holds no SPIdepth: the entry {error} was expected") from None
    config: dict[str, Any] = {
        "type": "SPIdepth",
        "backbone": backbone or backbone_of(state),
        "dim": dim,
        "patch": patch,
        "queries": queries,
        "bins": bins,
        "ffn_dim": ffn_dim,
    }
    if is_resnet(state):
        config |= {"encoder": "resnet", "width": state["encoder.decoder.conv2.weight"].shape[0]}
    else:
        blocks = sorted(key for key in state if key.startswith("encoder.decoder.blocks.") and "conv1.conv.w" in key)
        config["channels"] = [state[key].shape[0] for key in blocks]
        above = config["channels"][-2] if len(blocks) > 1 else 0
        if state[blocks[-1]].shape[1] != above:  # the last block has a skip map too: the backbone begins at stride 2
            config["strides"] = list(RESNET)
    if not any(key.startswith("pose.") for key in state):
        config["supervision"] = "depth"
    return config


def backbone_of(state: Mapping[str, Tensor]) -> str:
    """timm's name of the encoder in an official state: a ConvNeXt or a ResNet. Raises `WeightsError` where the recipe has to say it."""
    import timm

    resnet = is_resnet(state)
    prefix = "encoder.encoder.encoder." if resnet else "encoder.encoder."
    held = {key.removeprefix(prefix): tuple(value.shape) for key, value in state.items() if key.startswith(prefix)}
    held = {key: shape for key, shape in held.items() if not key.startswith("fc.")}
    names = _RESNETS if resnet else _FAMILIES[any(".grn." in key for key in held)]
    for name in names:
        with torch.device("meta"):
            net = timm.create_model(name, features_only=True)
        if {key: tuple(value.shape) for key, value in net.state_dict().items()} == held:
            return name
    raise WeightsError("the checkpoint's encoder is none of timm's ConvNeXt or ResNet models; give its recipe")


def load_official(model: nn.Module, folder_or_state: str | Path | Mapping) -> None:
    """Load an official folder, or its entries as `read_folder` names them, into an `SPIdepth`, strictly."""
    state = folder_or_state if isinstance(folder_or_state, Mapping) else read_folder(folder_or_state)
    load_strictly(model, convert(state))
