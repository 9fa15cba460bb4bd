"""The released ancestors of HyDRa's parts (FB-BEV, mmdet3d), this project's height association, and DFA3D."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from perception.models.hydra.calibration import Calibration, DepthAxis
from perception.ops.lift_splat import VoxelGrid, flatten_height, lift_splat, plan_lift
from tests.parity.runner import Case, Check


def tensors(values: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in values.items()}


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
        stride = -(-len(flat) // len(case.outputs["coor"]))
        stride = 37 if len(flat[::37]) == len(case.outputs["coor"]) else stride
        yield Check("coor", flat[::stride], case.outputs["coor"])
    plan = plan_lift(points, VoxelGrid.of(bounds), "trunc")
    for method in ("bags", "scatter"):
        volume = lift_splat(depth, inputs["feat"], plan, method=method)  # (B, C, Z, Y, X)
        bev = flatten_height(volume) if about["variant"] == "2D" else volume.permute(0, 1, 3, 4, 2)
        yield Check(f"bev ({method})", bev, case.outputs["bev"])


KINDS = {"hydra_lift_splat": lift}
