"""The released MonoDETR checkpoints (``{"model_state": ...}``) as weights of `MonoDETR`, strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from perception.errors import WeightsError

# Official prefix or pattern -> ours. First match wins; None: stored twice or never used by the official code.
_LAYER = r"depthaware_transformer\.decoder\.layers\.(\d+)\."
_ENCODER = r"depthaware_transformer\.encoder\.layers\.(\d+)\."
_RULES: list[tuple[str, str | None]] = [
    (r"depthaware_transformer\.decoder\.(bbox_embed|dim_embed)\.", None),
    (r"label_enc\.|.*\.sa_v_proj\.|depthaware_transformer\.decoder\.query_scale_bbox\.", None),
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
    (r"depthaware_transformer\.decoder\.(query_scale|ref_point_head)\.", None),
    (r"backbone\.0\.body\.", "backbone."),
]


def official_state(file_or_state: str | Path | Mapping) -> dict[str, Tensor]:
    """Read a checkpoint file, or take a loaded one, and return its flat state without wrappers (``model_state``, ``module.``)."""
    state = file_or_state
    if isinstance(state, str | Path):
        try:
            state = torch.load(state, map_location="cpu", weights_only=True)
        except Exception as error:
            raise WeightsError(f"the checkpoint {Path(file_or_state).name!r} cannot be read safely: {error}") from error
    for key in ("model_state", "state_dict", "model"):
        if key in state and isinstance(state[key], Mapping):
            state = state[key]
    return {key.removeprefix("module."): value for key, value in state.items()}


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of `MonoDETR` for an official one. Raises `WeightsError` for entries that no rule knows."""
    return merge_projections(rename(state, _MONODETR_RULES + _RULES))


def rename(state: Mapping[str, Tensor], rules: list[tuple[str, str | None]]) -> dict[str, Tensor]:
    """Apply the first fitting rule to every key; entries whose rule is None are left out."""
    compiled = [(re.compile(pattern), target) for pattern, target in rules]
    out, unknown = {}, []
    for key, value in state.items():
        for pattern, target in compiled:
            match = pattern.match(key)
            if match:
                if target is not None:
                    out[match.expand(target) + key[match.end() :]] = value
                break
        else:
            unknown.append(key)
    if unknown:
        raise WeightsError(
            f"{len(unknown)} entries of the checkpoint are unknown, first {', '.join(sorted(unknown)[:3])}; it belongs to another model"
        )
    return out


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


def load_strictly(model: torch.nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a converted state. Raises `WeightsError` that lists the first missing, unexpected or misshapen entries."""
    own = model.state_dict()
    complaints = []
    for title, keys in (
        ("missing", sorted(set(own) - set(state))),
        ("unexpected", sorted(set(state) - set(own))),
        (
            "of another shape",
            [
                f"{k} {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
                for k in own
                if k in state and state[k].shape != own[k].shape
            ],
        ),
    ):
        if keys:
            complaints.append(f"{len(keys)} {title} ({', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''})")
    if complaints:
        raise WeightsError(f"the weights do not fit this {type(model).__name__}: entries {'; '.join(complaints)}")
    model.load_state_dict(state)


def load_official(model: torch.nn.Module, file_or_state: str | Path | Mapping) -> None:
    """Load an official MonoDETR checkpoint (file or dictionary) into `model`, strictly."""
    load_strictly(model, convert(official_state(file_or_state)))
