"""The released MonoDETR checkpoints (``{"model_state": ...}``) as weights of `MonoDETR`, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perception.errors import WeightsError
from perception.io.checkpoints import load_strictly
from perception.models.layers.weight_files import rename, state_of

# Official prefix or pattern -> ours. First match wins; None: stored twice or never used by the official code.
_LAYER = r"depthaware_transformer\.decoder\.layers\.(\d+)\."
_ENCODER = r"depthaware_transformer\.encoder\.layers\.(\d+)\."
SHARED_RULES: list[tuple[str, str | None]] = [
    (r"depthaware_transformer\.decoder\.(bbox_embed|dim_embed)\.", None),
    (r"label_enc\.|.*\.sa_v_proj\.|depthaware_transformer\.decoder\.query_scale_bbox\.", None),
    (r"depthaware_transformer\.decoder\.(query_scale|ref_point_head)\.", None),  # of dynamic anchors alone
    (r"depth_predictor(_2)?\.depth_bin_values$", None),
    (r"depth_predictor\.downsample\.", "depth_predictor.fine."),
    (r"depth_predictor\.proj\.", "depth_predictor.middle."),
    (r"depth_predictor\.upsample\.", "depth_predictor.coarse."),
    (r"depth_predictor\.depth_head\.", "depth_predictor.distribution.head."),
    (r"depth_predictor\.depth_classifier\.", "depth_predictor.distribution.classifier."),
    (r"depth_predictor\.depth_encoder\.layers\.0\.self_attn\.", "depth_predictor.distribution.encoder.attention."),
    (r"depth_predictor\.depth_encoder\.layers\.0\.", "depth_predictor.distribution.encoder."),
    (r"depth_predictor\.depth_pos_embed\.weight$", "depth_predictor.distribution.metre_embedding"),
    (r"depthaware_transformer\.level_embed$", "encoder.level_embed"),
    (_ENCODER + r"self_attn\.", r"encoder.layers.\1.attention."),
    (_ENCODER, r"encoder.layers.\1."),
    (_LAYER + r"cross_attn\.", r"decoder.layers.\1.visual_attention."),
    (_LAYER + r"cross_attn_depth\.", r"decoder.layers.\1.depth_attention."),
    (_LAYER + r"self_attn\.", r"decoder.layers.\1.self_attention."),
    (_LAYER + r"norm1\.", r"decoder.layers.\1.norm_visual."),
    (_LAYER + r"norm2\.", r"decoder.layers.\1.norm_self."),
    (_LAYER + r"norm3\.", r"decoder.layers.\1.norm_ffn."),
    (_LAYER, r"decoder.layers.\1."),
    (r"depthaware_transformer\.reference_points\.", "decoder.reference_head."),
    (r"class_embed\.(\d+)\.", r"heads.\1.classes."),
    (r"bbox_embed\.(\d+)\.", r"heads.\1.box."),
    (r"dim_embed_3d\.(\d+)\.", r"heads.\1.size."),
    (r"angle_embed\.(\d+)\.", r"heads.\1.heading."),
    (r"depth_embed\.(\d+)\.", r"heads.\1.depth."),
    (r"input_proj\.", "neck."),
    (r"((query|tgt|refpoint)_embed\.weight)$", r"\1"),
]
_MONODETR_RULES: list[tuple[str, str | None]] = [
    (r"backbone\.0\.body\.", "backbone."),
]


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of `MonoDETR` for an official one. Raises `WeightsError` for entries that no rule knows."""
    return merge_projections(rename(state, _MONODETR_RULES + SHARED_RULES))


def merge_projections(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Multiply out what the official layers compute with several linear maps in a row or side by side."""
    out = dict(state)
    try:
        for key in [k for k in state if k.endswith("sampling_offsets.weight")]:
            stem = key.removesuffix("sampling_offsets.weight")
            for leaf in ("weight", "bias"):
                parts = (out.pop(f"{stem}sampling_offsets.{leaf}"), out.pop(f"{stem}attention_weights.{leaf}"))
                out[f"{stem}sampling.{leaf}"] = torch.cat(parts)
        for key in [k for k in state if k.endswith("sa_qcontent_proj.weight")]:
            _merge_self_attention(out, key.removesuffix("sa_qcontent_proj.weight"))
        if "query_embed.weight" in out:
            both = out.pop("query_embed.weight")
            out["decoder.position"], out["decoder.content"] = both.chunk(2, 1)
        if "tgt_embed.weight" in out:
            out["decoder.content"] = out.pop("tgt_embed.weight")
            out["decoder.anchors"] = out.pop("refpoint_embed.weight")
    except KeyError as error:
        raise WeightsError(
            f"the checkpoint is incomplete: it lacks an entry that belongs with {error.args[0]!r}"
        ) from error
    return out


def _merge_self_attention(state: dict[str, Tensor], stem: str) -> None:
    """q = A (Wc u + Wp u + b) + a has one weight A (Wc + Wp) and one bias A b + a; products in float64."""
    weight = state[f"{stem}self_attention.in_proj_weight"].double().clone()
    bias = state[f"{stem}self_attention.in_proj_bias"].double().clone()
    dim = weight.shape[1]
    for index, letter in enumerate("qk"):
        rows = slice(index * dim, (index + 1) * dim)
        inner = sum(state.pop(f"{stem}sa_{letter}{part}_proj.weight").double() for part in ("content", "pos"))
        inner_bias = sum(state.pop(f"{stem}sa_{letter}{part}_proj.bias").double() for part in ("content", "pos"))
        bias[rows] += weight[rows] @ inner_bias
        weight[rows] = weight[rows] @ inner
    state[f"{stem}self_attention.in_proj_weight"] = weight.float()
    state[f"{stem}self_attention.in_proj_bias"] = bias.float()


def load_official(model: torch.nn.Module, file_or_state: str | Path | Mapping) -> None:
    """Load an official MonoDETR checkpoint (file or dictionary) into `model`, strictly."""
    load_strictly(model, convert(state_of(file_or_state)))


def model_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The configuration of `MonoDETR` that an official state belongs to, as far as its shapes tell.

    What they do not tell is as released: 8 heads, 11 groups of queries where their number allows, classes Pedestrian, Car, Cyclist, 384 x 1280. The virtual
    camera is KITTI's (721 pixels at a width of 1242); its own cameras, which differ by 2 %, count as they are.
    """
    try:
        layers = [sum(f"backbone.0.body.layer{i}.{k}.conv1.weight" in state for k in range(99)) for i in (1, 2, 3, 4)]
        deep = "backbone.0.body.layer1.0.conv3.weight" in state
        names = {
            (2, 2, 2, 2): "resnet18",
            (3, 4, 6, 3): "resnet50" if deep else "resnet34",
            (3, 4, 23, 3): "resnet101",
        }
        return {
            "type": "MonoDETR",
            "backbone": names[tuple(layers)],
            "levels": state["depthaware_transformer.level_embed"].shape[0],
            **shared_config(state, "depth_predictor."),
        }
    except KeyError as error:
        raise WeightsError(f"the checkpoint is no MonoDETR: {error.args[0]} is not among its entries") from error


def shared_config(state: Mapping[str, Tensor], depth: str) -> dict[str, Any]:
    """What MonoDETR and MonoDINO-DETR checkpoints say alike; `depth`: prefix of the depth predictor. Raises `KeyError`."""
    transformer = "depthaware_transformer."
    queries = state["query_embed.weight" if "query_embed.weight" in state else "tgt_embed.weight"].shape[0]
    groups = 11 if queries % 11 == 0 else 1
    values = state[f"{depth}depth_bin_values"]
    sampling = state[f"{transformer}encoder.layers.0.self_attn.attention_weights.weight"].shape[0]
    return {
        "num_logits": max(3, state["class_embed.0.weight"].shape[0]),
        "dim": state["class_embed.0.weight"].shape[1],
        "ffn_dim": state[f"{transformer}encoder.layers.0.linear1.weight"].shape[0],
        "points": sampling // (8 * state[f"{transformer}level_embed"].shape[0]),
        "encoder_layers": sum(f"{transformer}encoder.layers.{i}.norm1.weight" in state for i in range(99)),
        "decoder_layers": sum(f"class_embed.{i}.weight" in state for i in range(99)),
        "num_queries": queries // groups,
        "query_groups": groups,
        "depth_bins": len(values) - 1,
        "depth_range": [round(float(values[0]), 6), round(float(values[-1]), 6)],
        "heading_bins": state["angle_embed.0.layers.1.weight"].shape[0] // 2,
        "virtual_focal": 743.6,
        "focal_tolerance": 0.06,
    }
