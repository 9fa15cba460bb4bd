"""The official `depth_anything_v2_*.pth` files, and the same tensors under MonoDINO-DETR's names, as weights of `DepthAnythingV2`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from perception.errors import WeightsError
from perception.io.checkpoints import load_strictly
from perception.models.depth_anything.model import SIZES
from perception.models.layers.weight_files import rename, state_of

_ENCODER: list[tuple[str, str | None]] = [
    (r"mask_token$", None),
    (r"((cls_token|pos_embed)$|norm\.)", r"\1"),
    (r"patch_embed\.proj\.", "patch_embed."),
    (r"(blocks\.\d+\.norm[12]\.)", r"\1"),
    (r"(blocks\.\d+\.)attn\.", r"\1"),
    (r"(blocks\.\d+\.)ls([12])\.gamma$", r"\1scale\2"),
    (r"(blocks\.\d+\.)mlp\.(fc1|w12)\.", r"\1fc1."),
    (r"(blocks\.\d+\.)mlp\.(fc2|w3)\.", r"\1fc2."),
]
_HEAD: list[tuple[str, str | None]] = [
    (r"scratch\.refinenet4\.resConfUnit1\.", None),
    (r"projects\.", "project."),
    (r"resize_layers\.", "resize."),
    *((rf"scratch\.layer{i}_rn\.", f"reduce.{i - 1}.") for i in range(1, 5)),
    *((rf"scratch\.refinenet{i}\.out_conv\.", f"fuse.{i - 1}.project.") for i in range(1, 5)),
    *((rf"scratch\.refinenet{i}\.resConfUnit1\.", f"fuse.{i - 1}.skip_unit.") for i in range(1, 5)),
    *((rf"scratch\.refinenet{i}\.resConfUnit2\.", f"fuse.{i - 1}.unit.") for i in range(1, 5)),
    (r"scratch\.output_conv1\.", "narrow."),
    (r"scratch\.output_conv2\.0\.", "hidden."),
    (r"scratch\.output_conv2\.2\.", "out."),
]


def rules(
    encoder_prefix: str, head_prefix: str, our_encoder: str = "encoder.", our_head: str = "head."
) -> list[tuple[str, str | None]]:
    """Renaming rules for a file that keeps encoder and head under the given prefixes, into modules of the given names."""
    both = ((encoder_prefix, our_encoder, _ENCODER), (head_prefix, our_head, _HEAD))
    return [
        (re.escape(prefix) + pattern, None if target is None else ours + target)
        for prefix, ours, part in both
        for pattern, target in part
    ]


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official state -> state of `DepthAnythingV2`. Raises `WeightsError` for entries that no rule knows."""
    return rename(state, rules("pretrained.", "depth_head."))


def encoder_of(state: Mapping[str, Tensor]) -> str:
    """Which size ("vits" ...) an official state belongs to. Raises `WeightsError` if none."""
    table = state.get("pretrained.pos_embed")
    for name, (dim, *_) in SIZES.items():
        if table is not None and table.shape[-1] == dim:
            return name
    raise WeightsError(
        "the checkpoint holds no Depth Anything V2: an entry 'pretrained.pos_embed' of a known width was expected"
    )


def model_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The configuration of the RELATIVE `DepthAnythingV2` of an official state's size. Metric files have the same entries: for them give
    ``max_depth`` (20 for Hypersim, 80 for VKITTI) as their names say, or load them by their name of the zoo, which knows."""
    return {"type": "DepthAnythingV2", "size": encoder_of(state)}


def load_official(model: nn.Module, file_or_state: str | Path | Mapping) -> None:
    """Load an official file (or its dictionary) into a `DepthAnythingV2`, strictly. The file does not say whether it is a metric model: its name does."""
    load_strictly(model, convert(state_of(file_or_state)))
