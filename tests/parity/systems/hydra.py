"""The released ancestors of HyDRa's parts (FB-BEV, mmdet3d), this project's height association, and DFA3D."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
import torch

from perception.io.checkpoints import load_strictly
from perception.models.hydra.backward_projection import DepthConsistentAttention
from perception.models.hydra.calibration import Calibration, DepthAxis
from perception.models.hydra.centerpoint import CenterGeometry, CenterHead, decode
from perception.models.hydra.centerpoint_targets import draw_gaussians, gaussian_radius
from perception.models.hydra.depth_loss import depth_bins, depth_loss, nearest_depth
from perception.models.hydra.depth_net import CameraAwareDepthNet
from perception.models.hydra.dfa3d import DeformableAttention3D
from perception.models.hydra.hat import HeightAssociation
from perception.models.hydra.visible import VisibleCells
from perception.models.hydra.weights import ATTENTION_3D, CENTER_HEAD, DEPTH_CONSISTENT_ATTENTION, DEPTH_NET, convert
from perception.ops.deformable_attention_3d import deformable_attention_3d
from perception.ops.lift_splat import VoxelGrid, flatten_height, lift_splat, plan_lift
from tests.parity.runner import Case, Check, kept_every


def tensors(values: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(np.array(value)) for key, value in values.items()}


def calibration_of(inputs: dict[str, torch.Tensor]) -> Calibration:
    ego_from_camera = torch.eye(4).expand(*inputs["trans"].shape[:2], 4, 4).clone()
    ego_from_camera[..., :3, :3], ego_from_camera[..., :3, 3] = inputs["rots"], inputs["trans"]
    names = ("post_rots", "post_trans", "bda")
    return Calibration.of(inputs["intrins"], ego_from_camera, *(inputs[name] for name in names))


def lift(case: Case) -> Iterator[Check]:
    inputs, about = tensors(case.inputs), case.reference["config"]
    bounds = dict(about["grid_config"])
    axis = DepthAxis.of(bounds.pop("depth"))
    depth = inputs["depth"]
    if "keep_bits" in inputs:
        bits = np.unpackbits(inputs["keep_bits"].numpy(), count=depth.numel())
        depth = depth * torch.from_numpy(bits.astype(np.float32)).view(depth.shape)
    points = calibration_of(inputs).frustum(axis, tuple(about["input_size"]), tuple(depth.shape[-2:]), "official")
    if "coor" in case.outputs:
        flat = points.reshape(-1, 3)
        yield Check("coor", flat[:: kept_every(len(flat), len(case.outputs["coor"]), 37)], case.outputs["coor"])
    plan = plan_lift(points, VoxelGrid.of(bounds), "trunc")
    for method in ("bags", "scatter"):
        volume = lift_splat(depth, inputs["feat"], plan, method=method)  # (B, C, Z, Y, X)
        bev = flatten_height(volume) if about["variant"] == "2D" else volume.permute(0, 1, 3, 4, 2)
        yield Check(f"bev ({method})", bev, case.outputs["bev"])


@torch.no_grad()
def depth_net(case: Case) -> Iterator[Check]:
    inputs, about, state = tensors(case.inputs), case.reference["config"], tensors(case.state)
    net = CameraAwareDepthNet(
        about["in_channels"],
        about["mid_channels"],
        about["context_channels"],
        about["depth_channels"],
        aspp=about.get("use_aspp", any(".aspp1." in key for key in state)),
        deformable=about["use_dcn"],
    )
    load_strictly(net, convert(state, DEPTH_NET))
    net.eval()
    vector = calibration_of(inputs).vector()
    yield Check("mlp_input", vector, case.outputs["mlp_input"])
    logits, context = net(inputs["x"], vector)
    probabilities = logits.softmax(2)
    yield Check("context", context, case.outputs["context"])
    yield Check("depth", probabilities, case.outputs["depth"])
    axis = DepthAxis.of(about["grid_config"]["depth"])
    truth = inputs["gt_depth"]
    bins = depth_bins(nearest_depth(truth, truth != 0, tuple(logits.shape[-2:])), axis, "official")
    yield Check("depth_label_index", bins.flatten(), case.outputs["depth_label_index"])
    yield Check("loss_depth", about["loss_depth_weight"] * depth_loss(probabilities, bins), case.outputs["loss_depth"])


@torch.no_grad()
def height_association(case: Case) -> Iterator[Check]:
    inputs, state = tensors(case.inputs), tensors(case.state)
    height, dim = state["height_embed"].shape
    layer = HeightAssociation(dim, case.reference["config"]["num_heads"], height, len(state["depth_embed"]))
    load_strictly(layer, state)
    out, attention = layer.eval()(inputs["img"], inputs["radar"], return_attention=True)
    yield Check("out", out, case.outputs["out"])
    yield Check("attention", attention, case.outputs["attention"])


@torch.no_grad()
def backward_projection(case: Case) -> Iterator[Check]:
    inputs, about, state = tensors(case.inputs), case.reference["config"], tensors(case.state)
    grid, axis = VoxelGrid.of(about["grid"]), DepthAxis.of(about["dbound"])
    features, query = inputs["feat"], inputs["query"]
    image_size = tuple(about["hw"])
    mask = inputs.get("bev_mask")
    wanted = None if mask is None else mask.reshape(query.shape[:2]) > 0
    cells = VisibleCells.of(grid, calibration_of(inputs), image_size, wanted)
    yield from reference_points(case, grid, calibration_of(inputs), image_size)
    attention = DepthConsistentAttention(
        about["E"], about["heads"], about["P"], about["Z"], layer_scale=1.0 if "layer_scale" in state else None
    )
    load_strictly(attention, convert(state, DEPTH_CONSISTENT_ATTENTION))
    out = attention.eval()(query, inputs["query_pos"], [features], cells, inputs["depth"].softmax(2), axis)
    yield Check("out", out, case.outputs["out"])
    yield Check("update", out - query, case.outputs["update"])


def reference_points(case: Case, grid: VoxelGrid, calibration: Calibration, size) -> Iterator[Check]:
    from perception.models.hydra.visible import cell_anchors

    anchors = cell_anchors(grid, torch.float32, torch.device("cpu"))
    batch = len(calibration.intrinsics)
    uv, depth = calibration.project(anchors.view(1, -1, 3).expand(batch, -1, -1))
    uv = (uv / torch.tensor([size[1], size[0]])).unflatten(2, anchors.shape[:2]).transpose(0, 1)
    depth = depth.unflatten(2, anchors.shape[:2]).transpose(0, 1)[..., None]  # (N, B, YX, Z, 1)
    mask = VisibleCells.of(grid, calibration, size).mask.transpose(0, 1)
    stride = kept_every(uv.shape[2], case.outputs["ref_uv"].shape[2], 7)
    seen = mask[..., None]
    yield Check("mask", np.packbits(mask.numpy()), case.outputs["mask_bits"])
    yield Check("ref_uv", torch.where(seen, uv, 0.0)[:, :, ::stride], case.outputs["ref_uv"])
    yield Check("ref_depth", torch.where(seen, depth, 0.0)[:, :, ::stride], case.outputs["ref_depth"])


@torch.no_grad()
def dfa3d(case: Case) -> Iterator[Check]:
    inputs, about, state = tensors(case.inputs), case.reference["config"], tensors(case.state)
    shapes = [(h, w) for h, w, _ in about["spatial_shapes_3d"]]
    given = [inputs[name] for name in ("op_value", "op_dist")]
    places = [inputs[name] for name in ("op_loc", "op_weight")]
    out, scores = deformable_attention_3d(*given, shapes, *places, return_scores=True)
    yield Check("op_out", out, case.outputs["op_out"])
    stride = kept_every(scores.shape[1], case.outputs["op_depth_score"].shape[1], 3)
    yield Check("op_depth_score", scores[:, ::stride], case.outputs["op_depth_score"])
    layer = DeformableAttention3D(about["embed_dims"], about["num_heads"], about["num_levels"], about["num_points"])
    load_strictly(layer, convert(state, ATTENTION_3D))
    call = [inputs[f"m_{name}"] for name in ("query", "value", "dist", "ref")]
    out, update = layer.eval()(*call, shapes, return_update=True)
    yield Check("m_out", out, case.outputs["m_out"])
    yield Check("m_update", update, case.outputs["m_update"])


def class_groups(state: dict[str, torch.Tensor]) -> list[list[str]]:
    """Names for the classes of every task; the state tells how many there are."""
    counts = []
    while (bias := state.get(f"task_heads.{len(counts)}.heatmap.1.bias")) is not None:
        counts.append(len(bias))
    return [[f"{task}.{place}" for place in range(count)] for task, count in enumerate(counts)]


@torch.no_grad()
def centerpoint_head(case: Case) -> Iterator[Check]:
    inputs, about, state = tensors(case.inputs), case.reference["config"], tensors(case.state)
    for pattern, offset in case.reference.get("state_offset", {}).items():
        state = {key: value + offset if re.search(pattern, key) else value for key, value in state.items()}
    tasks = class_groups(state)
    head = CenterHead(
        about["in_channels"],
        tasks,
        about["share_conv_channel"],
        state["task_heads.0.reg.0.conv.weight"].shape[0],
    )
    load_strictly(head, convert(state, CENTER_HEAD))
    outputs = head.eval()(inputs["x"])
    for task, maps in enumerate(outputs):
        for name, value in maps.items():
            expected = case.outputs[f"{name}_{task}"]
            rows, columns = (kept_every(*sizes, 3) for sizes in zip(value.shape[2:], expected.shape[2:], strict=True))
            yield Check(f"{name}_{task}", value[:, :, ::rows, ::columns], expected)
    cell = tuple(about["out_size_factor"] * size for size in about["voxel_size"][:2])
    geometry = CenterGeometry(tuple(about["pc_range"][:2]), cell, tuple(inputs["x"].shape[-2:]))
    found = decode(
        outputs,
        tasks,
        geometry,
        max_num=about["max_num"],
        score_threshold=-math.inf if about["score_threshold"] is None else about["score_threshold"],
        post_max=about["post_max_size"],
        min_radius=about["min_radius"],
        post_range=about["post_center_range"],
        max_log_size=math.inf,
    )[0]
    boxes = found.boxes.clone()
    boxes[:, 2] -= boxes[:, 5] / 2
    yield Check("boxes", torch.cat((boxes, found.velocity), 1), case.outputs["boxes"])
    yield Check("scores", found.scores, case.outputs["scores"])
    yield Check("labels", found.labels, case.outputs["labels"])
    radius = gaussian_radius(*inputs["gauss_wh"].unbind(1)).long().clamp(min=2)
    yield Check("gauss_radius", radius, case.outputs["gauss_radius"])
    column, row = inputs["gauss_ct"].unbind(1)
    maps = torch.zeros(1, *case.outputs["gauss_map"].shape)
    maps = draw_gaussians(maps, torch.zeros_like(row), row, column, radius[: len(row)])
    yield Check("gauss_map", maps[0], case.outputs["gauss_map"])


KINDS = {
    "hydra_lift_splat": lift,
    "hydra_depth_net": depth_net,
    "hydra_hat": height_association,
    "hydra_backward_projection": backward_projection,
    "hydra_centerpoint_head": centerpoint_head,
    "dfa3d": dfa3d,
}
