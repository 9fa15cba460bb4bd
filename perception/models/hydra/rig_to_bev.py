"""One moment of a rig, pictures and radar, to features of the bird's-eye view: everything in HyDRa before time and the heads.

6 pictures -> backbone, neck -> F_img
radar      -> frustum pillars -> F_pv          -> BEV pillars -> F_bev
height association (F_img asks F_pv) -> depth net -> depth distribution, context
forward projection (lift-splat) -> squeeze-excite fusion with F_bev -> B_0
backward projection: cells of B_0 look into the pictures, weighted by depth consistency and radar (RDC) -> B_1
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perception.errors import RecipeError
from perception.models.hydra.backward_projection import BackwardProjection, RadarWeight
from perception.models.hydra.bev import BevFusion, ImageNeck
from perception.models.hydra.calibration import Calibration, DepthAxis
from perception.models.hydra.depth_net import CameraAwareDepthNet, PlainDepth
from perception.models.hydra.dfa3d import DepthAttention
from perception.models.hydra.hat import HeightAssociation
from perception.models.hydra.radar import BevRadar, PerspectiveRadar
from perception.models.hydra.visible import VisibleCells
from perception.models.trunks import build_backbone
from perception.ops.constants import is_tracing
from perception.ops.lift_splat import LiftPlan, VoxelGrid, flatten_height, lift_splat, plan_lift
from perception.options import check_choice, with_changes

WIDTHS = {
    "image": 256, "mid": 256, "context": 80, "radar": 64, "bev": 80, "encoder": (160, 320, 640), "blocks": 2,
    "out": 256, "out_kernel": 3, "shared": 64, "head": 64,
}  # fmt: skip
DEPTH_NETS = {"camera": CameraAwareDepthNet, "plain": PlainDepth}
BACKWARD_OPTIONS = {"heads": 8, "points": 8, "anchors": 4}


class RigToBev(nn.Module):
    """Forward and backward projection of one moment (arXiv 2403.07746).

    Args:
        backbone: name or configuration of a trunk (`perception.models.backbones`), built for `backbone_strides`; pretrained: with timm's weights.
        image_size: (height, width) of the network's pictures; feature_stride: of the image features that are lifted.
        depth: (start, stop, step) of the depth bins, metres. depth_net: "camera" (camera-aware), "plain"; `depth_options` are its arguments.
        bev: {"x": (lower, upper, cell), "y": ...} metres; z: (lower, upper) of the lifted points.
        convention: of the frustum, see `calibration`; rounding: "floor" or "trunc"; pooling: "sum" or "mean".
        radar: use radars at all; radar_depth: (start, stop, step) of the perspective pillars; radar_layers: convolutions behind the pillars.
        hat, rdc: height association; radar weighting of the backward projection. Both need radar.
        backward: "attention" (depth-consistent attention), "dfa3d", or None. `backward_options` are its arguments: anchors (heights), points a head and
            level, heads ...
        cameras: learned camera embeddings; camera_ids: which picture gets which: by the "direction" it looks into (any number and order of
            cameras works), or by "index" (FB-BEV).
        widths: changes to `WIDTHS`. Channels: image, mid (depth net), context, radar, bev, encoder (list), out, shared, head; and the encoder's blocks and
            out_kernel.

    Raises `RecipeError` for choices that do not exist, and pictures that are no multiple of the stride.
    """

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        *,
        backbone: str | dict[str, Any] = "resnet50",
        pretrained: bool = False,
        backbone_strides: Sequence[int] = (8, 16, 32),
        image_size: tuple[int, int] = (256, 704),
        feature_stride: int = 16,
        depth: tuple[float, float, float] = (2.0, 58.0, 0.5),
        depth_net: str = "camera",
        depth_options: Mapping[str, Any] | None = None,
        bev: Mapping[str, Sequence[float]] | None = None,
        z: tuple[float, float] = (-5.0, 3.0),
        convention: str = "exact",
        rounding: str = "floor",
        pooling: str = "sum",
        radar: bool = True,
        radar_depth: tuple[float, float, float] = (2.0, 58.0, 0.8),
        radar_layers: int = 3,
        hat: bool = True,
        hat_heads: int = 4,
        rdc: bool = True,
        backward: str | None = "attention",
        backward_options: Mapping[str, Any] | None = None,
        cameras: int = 6,
        camera_ids: str = "direction",
        widths: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_choice("HyDRa's backward", backward, ("attention", "dfa3d", None))
        check_choice("HyDRa's depth_net", depth_net, DEPTH_NETS)
        check_choice("HyDRa's camera_ids", camera_ids, ("direction", "index"))
        if image_size[0] % feature_stride or image_size[1] % feature_stride:
            raise RecipeError(f"image_size {tuple(image_size)} must be a multiple of feature_stride {feature_stride}")
        self.widths = w = with_changes("the widths", WIDTHS, widths)
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.cells = (self.image_size[0] // feature_stride, self.image_size[1] // feature_stride)
        self.axis, self.convention, self.rounding, self.pooling = DepthAxis.of(depth), convention, rounding, pooling
        bounds = dict(bev or {"x": (-51.2, 51.2, 0.8), "y": (-51.2, 51.2, 0.8)})
        self.grid = VoxelGrid.of({**bounds, "z": (*z, z[1] - z[0])})
        self.cameras, self.camera_ids, self.radar = int(cameras), camera_ids, bool(radar)

        self.backbone = build_backbone(backbone, out_strides=tuple(backbone_strides), pretrained=pretrained)
        self.neck = ImageNeck(self.backbone.channels, self.backbone.strides, feature_stride, w["image"])
        self.perspective_radar = None
        if self.radar:
            if hat:
                radar_axis = DepthAxis.of(radar_depth)
                self.perspective_radar = PerspectiveRadar(w["image"], radar_axis, self.cells[1], radar_layers)
                self.hat = HeightAssociation(w["image"], hat_heads, self.cells[0], radar_axis.bins)
            self.bev_radar = BevRadar(w["radar"], self.grid, radar_layers)
        self.depth_net = DEPTH_NETS[depth_net](
            w["image"], w["mid"], w["context"], self.axis.bins, **dict(depth_options or {})
        )
        self.fusion = BevFusion((w["context"], w["radar"]) if self.radar else (w["context"],), w["bev"])
        self.backward_projection = None
        if backward is not None:
            options = BACKWARD_OPTIONS | dict(backward_options or {})
            self.anchor_grid = VoxelGrid.of({**bounds, "z": (*z, (z[1] - z[0]) / options["anchors"])})
            self.for_bev = nn.Conv2d(w["image"], w["bev"], 1) if w["image"] != w["bev"] else nn.Identity()
            self.backward_projection = _backward(backward, w["bev"], self.grid.shape[1:], cameras, options)
            self.rdc = RadarWeight(w["radar"]) if self.radar and rdc else None
        self.register_buffer("pixel_mean", torch.tensor(self.mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("pixel_std", torch.tensor(self.std).view(3, 1, 1) * 255, persistent=False)
        self._plan: tuple[Calibration, LiftPlan] | None = None

    def lift(
        self, images: Tensor, calibration: Calibration, radar: Tensor | None, radar_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """One moment -> (B, C, Y, X) BEV after both projections, (B, N, D, h, w) depth probabilities. Arguments: see `HyDRa.forward`."""
        batch, cameras = images.shape[:2]
        pictures = (images.flatten(0, 1).to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std
        features = self.neck(self.backbone(pictures), self.cells)  # (B N, C, h, w)
        if self.radar and radar is None:
            radar = images.new_zeros(batch, 1, 8, dtype=torch.float32)
            radar_mask = torch.zeros(batch, 1, dtype=torch.bool, device=images.device)
        if self.radar and self.perspective_radar is not None:
            cells, occupied = self.perspective_radar(radar, radar_mask, calibration, self.image_size)
            features = self.hat(features, cells, occupied)
        features = features.unflatten(0, (batch, cameras))
        logits, context = self.depth_net(features, calibration.vector())
        depth = logits.float().softmax(2)
        plan = self._lift_plan(calibration)
        lifted = flatten_height(lift_splat(depth.to(context.dtype), context, plan, self.pooling))
        maps, radar_map = [lifted], None
        if self.radar:
            radar_map, _ = self.bev_radar(radar, radar_mask, calibration.bev_from_ego)
            maps.append(radar_map)
        bev = self.fusion(maps)
        if self.backward_projection is not None:
            seen = VisibleCells.of(self.anchor_grid, calibration, self.image_size)
            factor = self.rdc(radar_map) if self.rdc is not None else None
            shared = self.for_bev(features.flatten(0, 1)).unflatten(0, (batch, cameras))
            bev = self.backward_projection(bev, [shared], seen, depth, self.axis, factor, self._camera_ids(calibration))
        return bev, depth

    def _camera_ids(self, calibration: Calibration) -> Tensor | None:
        """(B, N) which learned camera embedding each picture gets: by number, or by the direction it looks into (0 ahead, counting leftwards)."""
        if self.camera_ids == "index":
            return None
        forward = calibration.ego_from_camera[..., :2, 2]  # the optical axis over ground
        yaw = torch.atan2(forward[..., 1], forward[..., 0])
        return (yaw / (2 * math.pi / self.cameras)).round().long() % self.cameras

    def _lift_plan(self, calibration: Calibration) -> LiftPlan:
        """The plan of this calibration; the last one is kept, and used again only while all numbers are the same."""
        if not is_tracing() and self._plan is not None and self._plan[0].equals(calibration):
            return self._plan[1]
        points = calibration.frustum(self.axis, self.image_size, self.cells, self.convention)
        plan = plan_lift(points, self.grid, self.rounding)
        if not is_tracing() and not self.training:
            self._plan = (calibration, plan)
        return plan


def _backward(kind: str, dim: int, bev_size: tuple[int, int], cameras: int, options: Mapping[str, Any]) -> nn.Module:
    """The backward projection, of `kind` "dfa3d" with DFA3D in the place of its attention into the pictures."""
    module = BackwardProjection(dim, bev_size, cameras, **options)
    if kind == "dfa3d":
        module.camera_attention = DepthAttention(dim, *(options[name] for name in ("heads", "points", "anchors")))
    return module
