"""Official state dictionaries of HyDRa's released ancestors -> this package's modules, strictly.

HyDRa's own weights were never released. FB-BEV / FB-OCC (NVlabs), CRN and BEVDepth hold parts that HyDRa is made of; each rule list below maps the
keys of one part. Every entry must find its place: `perception.models.layers.weight_files` lists what does not.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

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
    from perception.models.layers.weight_files import rename

    return rename(dict(state), rules)


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
