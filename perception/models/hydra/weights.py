"""Official state dictionaries of HyDRa's released ancestors -> this package's modules, strictly.

HyDRa's own weights were never released. FB-BEV / FB-OCC (NVlabs), CRN and BEVDepth hold parts that HyDRa is made of; each rule list below maps the
keys of one part. Every entry must find its place: `perception.models.layers.weight_files` lists what does not.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from perception.errors import WeightsError
from perception.io.checkpoints import check_fit
from perception.models.layers.weight_files import rename, state_of

Rules = list[tuple[str, str | None]]

# CM_DepthNet of FB-BEV (and BEVDepth's, which has the same keys). Sequential places of the depth branch are the same in both.
DEPTH_NET: Rules = [
    (r"reduce_conv\.", "reduce."),
    (r"context_conv\.", "context."),
    (r"bn\.", "camera_norm."),
    (r"(depth|context)_mlp\.fc1\.", r"\1_mlp.layers.0."),
    (r"(depth|context)_mlp\.fc2\.", r"\1_mlp.layers.1."),
    (r"(depth|context)_se\.conv_(reduce|expand)\.", r"\1_gate.\2."),
    (r"depth_conv\.(\d+)\.conv_offset\.", r"depth.\1.offsets."),
    (r"depth_conv\.([012])\.conv([12])\.", r"depth.\1.conv\2."),
    (r"depth_conv\.([012])\.bn([12])\.", r"depth.\1.norm\2."),
    (r"depth_conv\.(\d+)\.aspp1\.atrous_conv\.", r"depth.\1.branches.0.0."),
    (r"depth_conv\.(\d+)\.aspp2\.atrous_conv\.", r"depth.\1.branches.1.0."),
    (r"depth_conv\.(\d+)\.aspp3\.atrous_conv\.", r"depth.\1.branches.2.0."),
    (r"depth_conv\.(\d+)\.aspp4\.atrous_conv\.", r"depth.\1.branches.3.0."),
    (r"depth_conv\.(\d+)\.aspp1\.bn\.", r"depth.\1.branches.0.1."),
    (r"depth_conv\.(\d+)\.aspp2\.bn\.", r"depth.\1.branches.1.1."),
    (r"depth_conv\.(\d+)\.aspp3\.bn\.", r"depth.\1.branches.2.1."),
    (r"depth_conv\.(\d+)\.aspp4\.bn\.", r"depth.\1.branches.3.1."),
    (r"depth_conv\.(\d+)\.global_avg_pool\.", r"depth.\1.pooled."),
    (r"depth_conv\.(\d+)\.conv1\.", r"depth.\1.project.0."),
    (r"depth_conv\.(\d+)\.bn1\.", r"depth.\1.project.1."),
    (r"depth_conv\.(\d+)\.(weight|bias)", r"depth.\1.\2"),
]


def convert(state: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Rename by the first fitting rule. Raises `WeightsError` for entries without one."""
    return rename(dict(state), rules)


def rules_of(model: Mapping[str, Any] | None) -> Rules:
    """What `tools/convert.py` asks for: there is nothing that it could convert. Raises `WeightsError` that says so."""
    raise WeightsError(
        "HyDRa's authors released no weights, so there is no file to convert; parts of its ancestors (FB-BEV, FB-OCC, CRN, BEVDepth) load with "
        "perception.models.hydra.weights.load_ancestor"
    )


# DA_SpatialCrossAttention of FB-BEV.
DEPTH_CONSISTENT_ATTENTION: Rules = [
    (r"deformable_attention\.sampling_offsets\.", "offsets."),
    (r"deformable_attention\.attention_weights\.", "weights."),
    (r"deformable_attention\.value_proj\.", "value_proj."),
    (r"output_proj\.", "output_proj."),
    (r"layer_scale", "layer_scale"),
]

# MSDeformableAttention3D_DFA3D of BEVFormer_DFA3D.
ATTENTION_3D: Rules = [
    (r"sampling_offsets\.", "offsets."),
    (r"sampling_offsets_depth\.", "depth_offsets."),
    (r"attention_weights\.", "weights."),
    (r"value_proj\.", "value_proj."),
]

# CenterPoint heads of mmdet3d (FB-BEV, CRN, BEVDepth).
CENTER_HEAD: Rules = [
    (r"shared_conv\.conv\.", "shared.0."),
    (r"shared_conv\.bn\.", "shared.1."),
    (r"task_heads\.(\d+)\.(\w+)\.0\.conv\.", r"heads.\1.branches.\2.0."),
    (r"task_heads\.(\d+)\.(\w+)\.0\.bn\.", r"heads.\1.branches.\2.1."),
    (r"task_heads\.(\d+)\.(\w+)\.1\.", r"heads.\1.branches.\2.3."),
]

# One encoder layer of FB-BEV's backward projection. Offsets and weights of its self-attention are two layers there and one here.
BACKWARD_PROJECTION: Rules = [
    (r"bev_embedding\.", "bev_embedding."),
    (r"positional_encoding\.(row|col)_embed\.", r"\1_embed."),
    (r"transformer\.(level_embeds|cams_embeds)", r"\1"),
    (r"transformer\.encoder\.layers\.0\.attentions\.0\.sampling\.", "self_attention.sampling."),
    (r"transformer\.encoder\.layers\.0\.attentions\.0\.(value|output)_proj\.", r"self_attention.\1_proj."),
    *(
        (r"transformer\.encoder\.layers\.0\.attentions\.1\." + source, "camera_attention." + target)
        for source, target in DEPTH_CONSISTENT_ATTENTION
        if target is not None
    ),
    (r"transformer\.encoder\.layers\.0\.ffns\.0\.layers\.0\.0\.", "ffn.0."),
    (r"transformer\.encoder\.layers\.0\.ffns\.0\.layers\.1\.", "ffn.3."),
    (r"transformer\.encoder\.layers\.0\.norms\.", "norms."),
]

# Part of HyDRa -> (prefixes in released checkpoints, path of the module here, rules). None leaves entries out: BEVDepth keeps its BEV trunk in the head.
PARTS: dict[str, tuple[tuple[str, ...], str, Rules]] = {
    "backbone": (
        ("img_backbone.", "backbone.img_backbone.", "backbone_img.img_backbone."),
        "backbone.net",
        [(r"(.+)", r"\1")],
    ),
    "depth_net": (
        ("depth_net.", "img_view_transformer.depth_net.", "backbone.depth_net."),
        "depth_net",
        DEPTH_NET,
    ),
    "backward_projection": (("backward_projection.",), "backward_projection", BACKWARD_PROJECTION),
    "head": (("pts_bbox_head.", "head."), "head", [*CENTER_HEAD, (r"(trunk|neck)\.", None)]),
}


@dataclasses.dataclass(frozen=True)
class AncestorReport:
    """What `load_ancestor` took: parts; loaded: names of the checkpoint's entries that are now in the model; dropped: those that are not."""

    parts: tuple[str, ...]
    loaded: tuple[str, ...]
    dropped: tuple[str, ...]

    def __str__(self) -> str:
        groups = Counter(".".join(name.split(".")[:2]) for name in self.dropped)
        left = "; ".join(f"{group} ({count})" for group, count in groups.items()) or "none"
        total = len(self.loaded) + len(self.dropped)
        return (
            f"{', '.join(self.parts)}: {len(self.loaded)} of {total} entries of the checkpoint loaded; left out: {left}"
        )


def load_ancestor(
    model: nn.Module, file_or_state: str | Path | Mapping[str, Tensor], parts: Sequence[str] = ("backbone",)
) -> AncestorReport:
    """Take parts of a HyDRa from a checkpoint of FB-BEV / FB-OCC, BEVDepth or CRN; everything else keeps its values.

    Args:
        model: a `HyDRa` whose widths are the checkpoint's (and convention "official", rounding "trunc", camera_ids "index" to go with them).
        parts: of `PARTS`. CRN's depth net has other layers, so only its backbone and head have a place here.

    Returns:
        which entries of the checkpoint were taken and which were not; print it.

    Raises:
        WeightsError: a part is not in the checkpoint, or its entries or shapes do not fit one to one. The model is then unchanged.
    """
    state = state_of(file_or_state)
    if state and all(key.startswith("model.") for key in state):  # Lightning's (BEVDepth, CRN)
        state = {key.removeprefix("model."): value for key, value in state.items()}
    ready: list[tuple[nn.Module, dict[str, Tensor]]] = []
    loaded: list[str] = []
    for part in parts:
        if part not in PARTS:
            raise WeightsError(f"HyDRa takes the parts {', '.join(PARTS)} from other checkpoints; found {part!r}")
        prefixes, path, rules = PARTS[part]
        prefix = next((p for p in prefixes if any(key.startswith(p) for key in state)), None)
        if prefix is None:
            raise WeightsError(f"the checkpoint has no entries that begin with {' or '.join(prefixes)}")
        own = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
        try:
            module = model.get_submodule(path)
        except AttributeError:
            raise WeightsError(f"this HyDRa was built without {part!r}, so nothing can be loaded into it") from None
        converted = convert(_joined_sampling(own), rules)
        check_fit(module, converted)
        ready.append((module, converted))
        kept = [(pattern, target) for pattern, target in rules if target is None]
        loaded += [prefix + key for key in own if not any(re.match(pattern, key) for pattern, _ in kept)]
    for module, converted in ready:
        module.load_state_dict(converted)
    return AncestorReport(tuple(parts), tuple(loaded), tuple(sorted(set(state) - set(loaded))))


def _joined_sampling(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put the self-attention's two projections into one."""
    import torch

    out = dict(state)
    stem = "transformer.encoder.layers.0.attentions.0."
    for leaf in ("weight", "bias"):
        names = [f"{stem}{layer}.{leaf}" for layer in ("sampling_offsets", "attention_weights")]
        if all(name in out for name in names):
            out[f"{stem}sampling.{leaf}"] = torch.cat([out.pop(name) for name in names])
    return out
