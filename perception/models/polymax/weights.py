"""Official kMaX-DeepLab weights -> ours: detectron2 checkpoints of the PyTorch port, and the TensorFlow checkpoints' variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perception.errors import WeightsError
from perception.io.checkpoints import load_strictly
from perception.models.polymax import official

_PIXEL = "sem_seg_head.pixel_decoder."
_PREDICTOR = "sem_seg_head.predictor."
_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

# (pattern, replacement) applied in order to a key of the PyTorch port.
_RULES: tuple[tuple[str, str], ...] = (
    # ResNet
    (r"^backbone\.stem\.conv1\.weight$", "trunk.backbone.stem.conv.weight"),
    (r"^backbone\.stem\.conv1\.norm\.", "trunk.backbone.stem.norm."),
    (
        r"^backbone\.res(\d)\.(\d+)\.(conv\d|shortcut)\.weight$",
        lambda m: f"trunk.backbone.stages.{int(m[1]) - 2}.{m[2]}.{m[3]}.conv.weight",
    ),
    (
        r"^backbone\.res(\d)\.(\d+)\.(conv\d|shortcut)\.norm\.",
        lambda m: f"trunk.backbone.stages.{int(m[1]) - 2}.{m[2]}.{m[3]}.norm.",
    ),
    # ConvNeXt
    (r"^backbone\.downsample_layers\.0\.0\.", "trunk.backbone.downsample.0.conv."),
    (r"^backbone\.downsample_layers\.0\.1\.", "trunk.backbone.downsample.0.norm."),
    (r"^backbone\.downsample_layers\.(\d)\.0\.", r"trunk.backbone.downsample.\1.norm."),
    (r"^backbone\.downsample_layers\.(\d)\.1\.", r"trunk.backbone.downsample.\1.conv."),
    (r"^backbone\.(stages\.\d+\.\d+)\.dwconv\.", r"trunk.backbone.\1.depthwise."),
    (r"^backbone\.(stages\.\d+\.\d+)\.pwconv1\.", r"trunk.backbone.\1.expand."),
    (r"^backbone\.(stages\.\d+\.\d+)\.pwconv2\.", r"trunk.backbone.\1.project."),
    (r"^backbone\.(stages\.\d+\.\d+)\.gamma$", r"trunk.backbone.\1.scale"),
    (r"^backbone\.(stages\.\d+\.\d+)\.norm\.", r"trunk.backbone.\1.norm."),
    # Pixel decoder
    (rf"^{re.escape(_PIXEL)}_in_norms\.", "trunk.pixel_decoder.input_norms."),
    (rf"^{re.escape(_PIXEL)}_resized_fuses\.(\d+)\._conv_bn_(low|high)\.", r"trunk.pixel_decoder.fuses.\1.\2."),
    (rf"^{re.escape(_PIXEL)}_stages\.(\d+)\._blocks\.(\d+)\.", r"trunk.pixel_decoder.stages.\1.\2."),
    (r"\._conv1_bn_act\.", ".reduce."),
    (r"\._conv2_bn_act\.", ".spatial."),
    (r"(pixel_decoder\.stages\.\d+\.\d+)\._conv3_bn\.", r"\1.expand."),
    (r"\._shortcut\.", ".shortcut."),
    (r"\._attention\._(height|width)_axis\.", r".attention.\1."),
    (r"\.qkv_transform\.conv\.", ".qkv."),
    (r"\._(query|key|value)_rpe\._embeddings\.weight$", r".\1_positions"),
    (r"\._batch_norm_qkv\.", ".qkv_norm."),
    (r"\._batch_norm_similarity\.", ".similarity_norm."),
    (r"\._batch_norm_retrieved_(?:output|value)\.", ".output_norm."),
    # Transformer decoder
    (rf"^{re.escape(_PREDICTOR)}_cluster_centers\.weight$", "trunk.decoder.centers"),
    (rf"^{re.escape(_PREDICTOR)}_kmax_transformer_layers\.", "trunk.decoder.layers."),
    (r"\._query_conv1_bn_act\.", ".cluster_reduce."),
    (r"\._pixel_conv1_bn_act\.", ".pixel_reduce."),
    (r"\._pixel_v_conv_bn\.", ".pixel_value."),
    (r"\._query_qkv_conv_bn\.", ".qkv."),
    (r"\._query_self_attention\.", ".attention."),
    (r"\._query_conv3_bn\.", ".attention_output."),
    (r"\._query_ffn_conv1_bn_act\.", ".ffn_hidden."),
    (r"\._query_ffn_conv2_bn\.", ".ffn_output."),
    (r"\._kmeans_query_batch_norm_retrieved_value\.", ".update_norm."),
    (r"\._kmeans_query_conv3_bn\.", ".update."),
    # Predictors (the official attribute is spelled so)
    (rf"^{re.escape(_PREDICTOR)}_(class|mask)_embedding_projection\.", r"head.\1_projection."),
    (rf"^{re.escape(_PREDICTOR)}_predcitor\.", "head.predictor."),
    (r"\._predcitor\.", ".predictor."),
    (r"\._pixel_space_head_conv0bnact\.", ".pixel_depthwise."),
    (r"\._pixel_space_head_conv1bnact\.", ".pixel_pointwise."),
    (r"\._pixel_space_head_last_convbn\.", ".pixel_output."),
    (r"\._transformer_mask_head\.", ".mask_kernel."),
    (r"\._transformer_class_head\.conv\.", ".class_logits."),
    (r"\._pixel_space_mask_batch_norm\.", ".mask_norm."),
    # Auxiliary semantic head: Cityscapes' is a plain sequence
    (rf"^{re.escape(_PREDICTOR)}_auxiliary_semantic_predictor\.0\.", "semantic_head.depthwise."),
    (rf"^{re.escape(_PREDICTOR)}_auxiliary_semantic_predictor\.1\.", "semantic_head.pointwise."),
    (rf"^{re.escape(_PREDICTOR)}_auxiliary_semantic_predictor\.2\.conv\.", "semantic_head.output."),
    (rf"^{re.escape(_PREDICTOR)}_auxiliary_semantic_predictor\.", "semantic_head."),
    (r"\._aspp\._aspp_conv(\d)\.", r".aspp.branches.\1."),
    (r"\._aspp\._aspp_pool\.", ".aspp.pool."),
    (r"\._aspp\._proj_conv_bn_act\.", ".aspp.project."),
    (r"\._low_level_projection_os(\d)\.", r".fuse\1.project."),
    (r"\._low_level_fusion_os(\d)_conv0_bn_act\.", r".fuse\1.depthwise."),
    (r"\._low_level_fusion_os(\d)_conv1_bn_act\.", r".fuse\1.pointwise."),
    (r"\.conv_block_0\.", ".depthwise."),
    (r"\.conv_block_1\.", ".pointwise."),
    (r"\.final_conv\.conv\.", ".output."),
)
_COMPILED = tuple((re.compile(pattern), replacement) for pattern, replacement in _RULES)


def translate_key(key: str) -> str:
    """Return our name of a key of the PyTorch port's state dict (which carries `backbone.` and `sem_seg_head.`)."""
    for pattern, replacement in _COMPILED:
        key = pattern.sub(replacement, key)
    return key


def convert(state: Mapping[str, Tensor | np.ndarray]) -> dict[str, Tensor]:
    """Rename an official state: a PyTorch state dict, or the variables of a TensorFlow checkpoint (names with slashes).

    The PyTorch port's normalisation constants are left out; they belong to the architecture.
    """
    if _is_tensorflow(state):
        return convert_tensorflow(state)
    return _renamed(state)


def model_config(state: Mapping[str, Tensor | np.ndarray]) -> dict[str, Any]:
    """Return the configuration of the `KMaXDeepLab` that an official state of either kind belongs to. Raises `WeightsError`."""
    if _is_tensorflow(state):
        return official.model_config({key: tuple(v.shape) for key, v in _port_state(state).items()}, "tf")
    return official.model_config({key: tuple(value.shape) for key, value in state.items()}, "torch")


def _is_tensorflow(state: Mapping[str, Any]) -> bool:
    return any(key.startswith("transformer_decoder/") for key in state)


def _renamed(state: Mapping[str, Tensor | np.ndarray]) -> dict[str, Tensor]:
    return {
        translate_key(key): torch.as_tensor(value)
        for key, value in state.items()
        if not key.startswith(("pixel_mean", "pixel_std", "criterion."))
    }


def load_official(network: nn.Module, state: Mapping[str, Tensor], origin: str = "the checkpoint") -> None:
    """Load a converted state strictly, or raise `WeightsError`.

    Keys of the training-only auxiliary head may be there when the network was built without it; counters of batch norms may be missing.
    """
    own = network.state_dict()
    without_head = not any(key.startswith("semantic_head.") for key in own)
    counters = {key: value for key, value in own.items() if key.endswith("num_batches_tracked")}
    state = {k: v for k, v in state.items() if not (without_head and k.startswith("semantic_head."))}
    load_strictly(network, counters | state, origin)


# --- TensorFlow ---------------------------------------------------------------------------------------------------------

_TF_LEAVES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "bias": "bias",
    "embeddings": "weight",
}
_AUX = "_auxiliary_semantic_predictor"
_TF_RULES: tuple[tuple[str, str], ...] = (
    # ResNet encoder
    (r"^encoder/_stem/_conv/", "backbone.stem.conv1/"),
    (r"^encoder/_stem/_batch_norm/", "backbone.stem.conv1.norm/"),
    (r"^encoder/_stage(\d)/_block(\d+)/", lambda m: f"backbone.res{m[1]}.{int(m[2]) - 1}/"),
    (r"^(backbone\.res\d\.\d+)/_(conv\d|shortcut)(?:_bn)?(?:_act)?/_conv/", r"\1.\2/"),
    (r"^(backbone\.res\d\.\d+)/_(conv\d|shortcut)(?:_bn)?(?:_act)?/_batch_norm/", r"\1.\2.norm/"),
    # ConvNeXt encoder
    (r"^encoder/downsample_layers/(\d)/layer_with_weights-(\d)/", r"backbone.downsample_layers.\1.\2/"),
    (r"^encoder/stages/(\d)/layer_with_weights-(\d+)/", r"backbone.stages.\1.\2/"),
    (r"/depthwise_conv/", ".dwconv/"),
    (r"/pointwise_conv(\d)/", r".pwconv\1/"),
    (r"^(backbone\.stages\.\d\.\d+)/norm/", r"\1.norm/"),
    (r"^(backbone\.stages\.\d\.\d+)/layer_scale$", r"\1.gamma"),
    # Pixel decoder
    (r"^pixel_decoder/_backbone_norms/(\d)/", r"sem_seg_head.pixel_decoder._in_norms.\1/"),
    (
        r"^pixel_decoder/_skip_connections/(\d)/_resized_conv_bn(\d)/",
        lambda m: f"sem_seg_head.pixel_decoder._resized_fuses.{m[1]}._conv_bn_{'low' if m[2] == '1' else 'high'}/",
    ),
    (
        r"^pixel_decoder/_stages/(\d)/_block(\d+)/",
        lambda m: f"sem_seg_head.pixel_decoder._stages.{m[1]}._blocks.{int(m[2]) - 1}/",
    ),
    (r"/_attention/_(height|width)_axis/", r"._attention._\1_axis/"),
    (r"/qkv_kernel$", ".qkv_transform.conv.weight"),
    (r"/_(query|key|value)_rpe/embeddings$", r"._\1_rpe._embeddings.weight"),
    # Transformer decoder
    (r"^transformer_decoder/cluster_centers$", "sem_seg_head.predictor._cluster_centers.weight"),
    (
        r"^transformer_decoder/_(class|mask)_embedding_projection/",
        r"sem_seg_head.predictor._\1_embedding_projection/",
    ),
    (
        r"^transformer_decoder/_kmax_decoder/(\d)/_block1_transformer/",
        r"sem_seg_head.predictor._kmax_transformer_layers.\1/",
    ),
    (r"/_auxiliary_clustering_predictor/_", "._predcitor/"),
    (r"/_memory_attention/", "._query_self_attention/"),
    (r"/_kmeans_memory_", "/_kmeans_query_"),
    (r"/_memory_", "/_query_"),
    # Final predictor: its parts lie at the top level
    (
        r"^(pixel_space_head|pixel_space_feature_batch_norm|pixel_space_mask_batch_norm|transformer_mask_head|transformer_class_head)/",
        r"sem_seg_head.predictor._predcitor/\1/",
    ),
    (r"_predcitor/pixel_space_head/conv_block/_conv1_bn_act/_depthwise/", "_predcitor._pixel_space_head_conv0bnact/"),
    (r"_predcitor/pixel_space_head/conv_block/_conv1_bn_act/_pointwise/", "_predcitor._pixel_space_head_conv1bnact/"),
    (r"_predcitor/pixel_space_head/final_conv/", "_predcitor._pixel_space_head_last_convbn/_conv/"),
    (r"_predcitor/pixel_space_feature_batch_norm/", "_predcitor._pixel_space_head_last_convbn/_batch_norm/"),
    (r"_predcitor/(pixel_space_mask_batch_norm|transformer_mask_head|transformer_class_head)/", r"_predcitor._\1/"),
    # Auxiliary semantic head
    (r"^semantic_decoder/_aspp/_aspp_conv(\d)/_conv_bn_act/", rf"sem_seg_head.predictor.{_AUX}._aspp._aspp_conv\1/"),
    (r"^semantic_decoder/_aspp/_aspp_pool/_conv_bn_act/", f"sem_seg_head.predictor.{_AUX}._aspp._aspp_pool/"),
    (r"^semantic_decoder/_aspp/_conv_bn_act/", f"sem_seg_head.predictor.{_AUX}._aspp._aspp_conv0/"),
    (r"^semantic_decoder/_aspp/_proj_conv_bn_act/", f"sem_seg_head.predictor.{_AUX}._aspp._proj_conv_bn_act/"),
    (
        r"^semantic_decoder/_fusion_conv(\d)/_conv1_bn_act/_(depthwise|pointwise)/",
        lambda m: (
            f"sem_seg_head.predictor.{_AUX}._low_level_fusion_os{8 if m[1] == '1' else 4}"
            f"_conv{0 if m[2] == 'depthwise' else 1}_bn_act/"
        ),
    ),
    (
        r"^semantic_decoder/_low_level_conv(\d)/",
        lambda m: f"sem_seg_head.predictor.{_AUX}._low_level_projection_os{8 if m[1] == '1' else 4}/",
    ),
    (
        r"^semantic_head_without_last_layer/_conv1_bn_act/_(depthwise|pointwise)/",
        lambda m: f"sem_seg_head.predictor.{_AUX}.conv_block_{0 if m[1] == 'depthwise' else 1}/",
    ),
    (r"^semantic_last_layer/", f"sem_seg_head.predictor.{_AUX}.final_conv/_conv/"),
    # What is common to all
    (r"/_depthwise_conv/", ".conv/"),
    (r"/_conv/", ".conv/"),
    (r"/_batch_norm/", ".norm/"),
)
_TF_COMPILED = tuple((re.compile(pattern), replacement) for pattern, replacement in _TF_RULES)
_TF_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def tf_variable_to_key(name: str) -> str:
    """Return the PyTorch port's key of a TensorFlow variable (object-graph name, with or without its suffix)."""
    name = name.removesuffix(_TF_SUFFIX)
    for pattern, replacement in _TF_COMPILED:
        name = pattern.sub(replacement, name)
    stem, _, leaf = name.rpartition("/")
    return f"{stem.replace('/', '.')}.{_TF_LEAVES.get(leaf, leaf)}" if stem else name


def tf_layout_to_torch(key: str, value: np.ndarray) -> np.ndarray:
    """Bring a TensorFlow array to the layout of the PyTorch port's `key`."""
    if key.endswith("_cluster_centers.weight"):
        return value[0].T  # [1, N, C] -> [C, N]
    if key.endswith(".qkv_transform.conv.weight"):
        return value.T[..., None]  # [in, out] -> [out, in, 1]
    if key.endswith("_rpe._embeddings.weight"):
        return value
    if value.ndim == 4 and key.endswith(".weight") and ".norm." not in key and "batch_norm" not in key:
        if value.shape[3] == 1 and value.shape[2] > 1 and not key.endswith("dwconv.weight"):
            return value.transpose(2, 3, 0, 1)  # depthwise [h, w, C, 1] -> [C, 1, h, w]
        return value.transpose(3, 2, 0, 1)  # [h, w, in, out] -> [out, in, h, w]
    if value.ndim == 3 and key.endswith(".conv.weight"):
        weight = value.transpose(2, 1, 0)  # [1, in, out] -> [out, in, 1]
        # The pixel branches are 2D convolutions in PyTorch.
        return weight[..., None] if "_pixel_conv1_bn_act" in key or "_pixel_v_conv_bn" in key else weight
    if value.ndim == 2 and re.search(r"pwconv\d\.weight$", key):
        return value.T
    return value.reshape(-1)  # norms over [3, 1, 8, 1, 1] and the like


_IGNORED_TF = re.compile(r"(^|/)(optimizer|save_counter|global_step|step|_CHECKPOINTABLE_OBJECT_GRAPH)(/|$)")


def convert_tensorflow(
    variables: Mapping[str, np.ndarray], *, class_order: Iterable[int] | None = None
) -> dict[str, Tensor]:
    """Convert the variables of an official TensorFlow checkpoint (name -> array) to our state dict.

    Args:
        variables: object-graph names, as ``tf.train.load_checkpoint(path).get_tensor(name)`` reads them. Optimizer state and
            counters are ignored.
        class_order: where our class i stands among the checkpoint's (void excluded, it is last in both). TensorFlow orders
            ADE20K and Cityscapes things first, then stuff; COCO's order is the same. None keeps the order.
    """
    port = _port_state(variables)
    if class_order is not None:
        order = list(class_order)
        for key, value in port.items():
            if "_transformer_class_head" in key:
                if sorted(order) != list(range(value.shape[0] - 1)):
                    raise WeightsError(
                        f"class_order must be a permutation of 0..{value.shape[0] - 2}; found {len(order)} entries"
                    )
                port[key] = value[[*order, value.shape[0] - 1]]
    converted = _renamed(port)
    counters = [key.replace("running_mean", "num_batches_tracked") for key in converted if key.endswith("running_mean")]
    return converted | {key: torch.zeros((), dtype=torch.int64) for key in counters}


def _port_state(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """TensorFlow variables under the PyTorch port's names and in its layout, as views."""
    port = {}
    for name, value in variables.items():
        if not _IGNORED_TF.search(name):
            key = tf_variable_to_key(name)
            port[key] = tf_layout_to_torch(key, np.asarray(value))
    return port
