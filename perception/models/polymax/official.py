"""Which network an official kMaX-DeepLab state belongs to: everything is read off the names and shapes of its entries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perception.errors import WeightsError

_DECODER = "sem_seg_head.pixel_decoder._stages."
_PREDICTOR = "sem_seg_head.predictor."
# Number of classes -> things among them, in the order of each kind of checkpoint (TensorFlow: things first).
_THINGS = {"torch": {133: range(80), 19: range(11, 19)}, "tf": {133: range(80), 19: range(8), 150: range(100)}}


def network_config(shapes: Mapping[str, tuple[int, ...]], variant: str) -> dict[str, Any]:
    """Return keyword arguments of `KMaXNetwork` for entries (names of the PyTorch port -> shape).

    Raises `WeightsError` when an entry that tells a size is missing.
    """
    try:
        channels, queries = shapes[f"{_PREDICTOR}_cluster_centers.weight"]
        stages = _count(shapes, rf"{re.escape(_DECODER)}(\d+)\.")
        layers = f"{_PREDICTOR}_kmax_transformer_layers."
        widths = [shapes[f"{_DECODER}{s}._blocks.0._conv3_bn.conv.weight"][0] // 4 for s in range(stages)]
        reads = [  # channels of the decoder map that each layer looks at
            shapes[f"{layers}{i}._pixel_conv1_bn_act.conv.weight"][1]
            for i in range(_count(shapes, rf"{re.escape(layers)}(\d+)\."))
        ]
        auxiliary = [key for key in shapes if "_auxiliary_semantic_predictor" in key]
        height = "_blocks.0._attention._height_axis."
        return {
            "backbone": _backbone(shapes, with_stem=stages == 5),
            "num_classes": shapes[f"{_PREDICTOR}_predcitor._transformer_class_head.conv.weight"][0] - 1,
            "variant": variant,
            "mask_channels": shapes[f"{_PREDICTOR}_predcitor._transformer_mask_head.conv.weight"][0],
            "semantic_head": None
            if not auxiliary
            else "aspp"
            if any("_aspp." in k for k in auxiliary)
            else "cityscapes",
            "pixel_decoder": {
                "widths": widths,
                "blocks": [_count(shapes, rf"{re.escape(_DECODER)}{s}\._blocks\.(\d+)\.") for s in range(stages)],
                "axial": [f"{_DECODER}{s}.{height}qkv_transform.conv.weight" in shapes for s in range(stages)],
                "heads": shapes[f"{_DECODER}0.{height}_batch_norm_similarity.weight"][0] // 3,
            },
            "decoder": {
                "channels": channels,
                "num_queries": queries,
                "layers": [reads.count(4 * width) for width in widths[:3]],
                "ffn_channels": shapes[f"{layers}0._query_ffn_conv1_bn_act.conv.weight"][0],
                "heads": shapes[f"{layers}0._query_self_attention._batch_norm_similarity.weight"][0],
            },
        }
    except (KeyError, ValueError) as error:
        raise WeightsError(f"the checkpoint is no complete kMaX-DeepLab: it lacks {error.args[0]!r}") from error


def _backbone(shapes: Mapping[str, tuple[int, ...]], with_stem: bool) -> dict[str, Any]:
    if "backbone.stem.conv1.weight" in shapes:
        blocks = [_count(shapes, rf"backbone\.res{s}\.(\d+)\.") for s in range(2, 6)]
        width = shapes["backbone.stem.conv1.weight"][0]
        return {"type": "BottleneckResNet", "blocks": blocks, "width": width, "return_stem": with_stem}
    depths = [_count(shapes, rf"backbone\.stages\.{s}\.(\d+)\.") for s in range(4)]
    widths = [shapes[f"backbone.stages.{s}.0.dwconv.weight"][0] for s in range(4)]
    return {"type": "PaddedConvNeXt", "depths": depths, "widths": widths, "return_stem": with_stem}


def model_config(shapes: Mapping[str, tuple[int, ...]], variant: str) -> dict[str, Any]:
    """Return the configuration of `KMaXDeepLab`; class names and thresholds are not in a checkpoint and stay at their defaults."""
    config = {"type": "KMaXDeepLab", **network_config(shapes, variant)}
    return config | {"thing_classes": list(_THINGS[variant].get(config["num_classes"], ()))}


def _count(shapes: Mapping[str, Any], pattern: str) -> int:
    compiled = re.compile(pattern)
    return len({match[1] for key in shapes if (match := compiled.match(key))})
