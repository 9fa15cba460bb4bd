"""MonoDINO-DETR checkpoints, and the Depth Anything V2 files that training starts from.

The authors released no trained weights; this reads what their training code writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from perception.errors import WeightsError
from perception.io.checkpoints import load_strictly
from perception.models.depth_anything import weights as depth_anything
from perception.models.depth_anything.model import SIZES
from perception.models.layers.weight_files import rename, state_of
from perception.models.monodetr.weights import SHARED_RULES, merge_projections, shared_config

_DEPTH = "depth_predictor_2\\."
_RULES: list[tuple[str, str | None]] = [
    (r"backbone\.(backbone|dpt_head)\.", None),  # a second copy of both
    *depth_anything.rules("backbone.0.backbone.", "backbone.0.dpt_head.", "vit.", "depth_head."),
    (r"input_proj\.", "fusion.levels."),
    (_DEPTH + r"depth_input_proj\.", "depth_input."),
    (_DEPTH + r"depth_head\.", "depth_distribution.head."),
    (_DEPTH + r"depth_classifier\.", "depth_distribution.classifier."),
    (_DEPTH + r"depth_encoder\.layers\.0\.self_attn\.", "depth_distribution.encoder.attention."),
    (_DEPTH + r"depth_encoder\.layers\.0\.", "depth_distribution.encoder."),
    (_DEPTH + r"depth_pos_embed\.weight$", "depth_distribution.metre_embedding"),
]
_ANCHOR_RULES: list[tuple[str, str | None]] = [
    (r"depthaware_transformer\.decoder\.query_scale\.", "decoder.position_scale."),
    (r"depthaware_transformer\.decoder\.ref_point_head\.", "decoder.position_head."),
]


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official state -> state of `MonoDINODETR`. Raises `WeightsError` for entries that no rule knows."""
    anchors = _ANCHOR_RULES if "tgt_embed.weight" in state else []
    return merge_projections(rename(state, _RULES + anchors + SHARED_RULES))


def model_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The configuration of `MonoDINODETR` that an official state belongs to, as far as its shapes tell; the input is the released 518 x 518."""
    try:
        width = state["backbone.0.backbone.pos_embed"].shape[-1]
        return {
            "type": "MonoDINODETR",
            "encoder": next(name for name, (dim, *_) in SIZES.items() if dim == width),
            "dynamic_anchors": "tgt_embed.weight" in state,
            **shared_config(state, "depth_predictor_2."),
        }
    except (KeyError, StopIteration) as error:
        raise WeightsError(f"the checkpoint is no MonoDINO-DETR: its entries do not fit ({error})") from error


def load_official(model: nn.Module, file_or_state: str | Path | Mapping) -> None:
    """Load a checkpoint of the official training code into `model`, strictly."""
    load_strictly(model, convert(state_of(file_or_state)))


def load_depth_anything(model: nn.Module, file_or_state: str | Path | Mapping) -> None:
    """Load a Depth Anything V2 file into the transformer and the depth head of a `MonoDINODETR`, strictly: where its training starts."""
    state = depth_anything.convert(state_of(file_or_state))
    parts = {"encoder.": model.vit, "head.": model.depth_head}
    for prefix, module in parts.items():
        load_strictly(module, {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)})
