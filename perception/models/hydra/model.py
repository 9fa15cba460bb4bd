"""HyDRa: cameras and radars to boxes, velocities and occupancy around the vehicle (arXiv 2403.07746).

    6 pictures -> backbone, neck -> F_img
    radar      -> frustum pillars -> F_pv          -> BEV pillars -> F_bev
    height association (F_img asks F_pv) -> depth net -> depth distribution, context
    forward projection (lift-splat) -> squeeze-excite fusion with F_bev -> B_0
    backward projection: cells of B_0 look into the pictures, weighted by depth consistency and radar (RDC) -> B_1
    temporal fusion with past B_1 -> BEV encoder -> CenterPoint heads | occupancy head

The authors released neither code nor weights. Parts with a released ancestor (FB-BEV, BEVDepth, mmdet3d, DFA3D) reproduce it to the digit; height
association, RDC and the widths are this project's reading of the paper. Every part can be switched off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from perception.errors import RecipeError
from perception.models.hydra.backward_projection import BackwardProjection, RadarWeight
from perception.models.hydra.batches import frame_arguments, past_arguments
from perception.models.hydra.bev import BevEncoder, BevFusion, ImageNeck
from perception.models.hydra.bev_frame import motion_in_bev, move_boxes
from perception.models.hydra.calibration import Calibration, DepthAxis
from perception.models.hydra.centerpoint import NUSCENES_TASKS, CenterGeometry, CenterHead, decode
from perception.models.hydra.centerpoint_targets import CODE_WEIGHTS, center_losses, center_targets
from perception.models.hydra.depth_loss import depth_bins, depth_loss, nearest_depth
from perception.models.hydra.depth_net import CameraAwareDepthNet, PlainDepth
from perception.models.hydra.dfa3d import DepthAttention
from perception.models.hydra.hat import HeightAssociation
from perception.models.hydra.occupancy import OccupancyHead, class_weights, occupancy_losses
from perception.models.hydra.predictions import boxes_result, occupancy_result
from perception.models.hydra.preprocess import example_rigs, rig_inputs
from perception.models.hydra.radar import BevRadar, PerspectiveRadar
from perception.models.hydra.temporal import TemporalFusion
from perception.models.hydra.visible import VisibleCells
from perception.models.registry import register_model
from perception.models.trunks import build_backbone
from perception.ops.constants import is_tracing
from perception.ops.lift_splat import LiftPlan, VoxelGrid, flatten_height, lift_splat, plan_lift

DETECTION_CLASSES = (
    "car", "truck", "bus", "trailer", "construction_vehicle", "pedestrian", "motorcycle", "bicycle", "traffic_cone", "barrier",
)  # fmt: skip
PUBLISHED_RADII = {
    "car": 4.0, "truck": 12.0, "construction_vehicle": 12.0, "bus": 10.0, "trailer": 10.0, "barrier": 1.0,
    "motorcycle": 0.85, "bicycle": 0.85, "pedestrian": 0.175, "traffic_cone": 0.175,
}  # fmt: skip
LOSS_WEIGHTS = {"heatmap": 1.0, "box": 0.25, "depth": 3.0, "occupancy": 1.0}
OCCUPANCY_LOSSES = {"focal": 1.0, "semantic": 1.0, "geometric": 1.0, "lovasz": 1.0}


@register_model
class HyDRa(nn.Module):
    """Camera-radar BEV detector.

    Args:
        backbone: name or configuration of a trunk (`perception.models.backbones`), built for `backbone_strides`; pretrained: with timm's weights.
        image_size: (height, width) of the network's pictures; feature_stride: of the image features that are lifted.
        depth: (start, stop, step) of the depth bins, metres. depth_net: "camera" (camera-aware), "plain"; `depth_options` are its arguments.
        bev: {"x": (lower, upper, cell), "y": ...} metres; z: (lower, upper) of the lifted points.
        convention: of the frustum, see `calibration`; rounding: "floor" or "trunc"; pooling: "sum" or "mean".
        radar: use radars at all; radar_depth: (start, stop, step) of the perspective pillars.
        radar_motion: add what the radars measured around a cell to the velocity that the head says there, so that the head learns the rest.
        hat, rdc: height association; radar weighting of the backward projection. Both need radar.
        backward: "attention" (depth-consistent attention), "dfa3d", or None. anchors: heights, points a head and level, heads.
        cameras: learned camera embeddings; camera_ids: which picture gets which: by the "direction" it looks into (any number and order of
            cameras works), or by "index" (FB-BEV).
        history: past frames that are fused.
        widths: channels: image, mid (depth net), context, radar, bev, encoder (list), out, shared, head.
        tasks: classes of the CenterPoint head, grouped; classes: names of the data set's labels, in their order.
        occupancy: None, or {"x": ..., "y": ..., "z": (lower, upper, voxel), "classes": 18, "channels": 32, "losses": {...}}, and either
            "counts" (voxels of each class in the training set: weights 1 / log) or "weights" of the classes in the focal loss.
        loss_weights, code_weights: of the losses; box_class_weights: how much objects of a class count in them, 1 where not named;
            velocity_beta: m/s, see `center_losses`. nms_radius: circle NMS, by class name or a number a task.
    """

    tasks = ("boxes3d", "occupancy")
    camera_kind = "rig"
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
        radar_motion: bool = False,
        hat: bool = True,
        hat_heads: int = 4,
        rdc: bool = True,
        backward: str | None = "attention",
        backward_options: Mapping[str, Any] | None = None,
        cameras: int = 6,
        camera_ids: str = "direction",
        history: int = 0,
        widths: Mapping[str, Any] | None = None,
        classes: Sequence[str] = DETECTION_CLASSES,
        tasks: Sequence[Sequence[str]] = NUSCENES_TASKS,
        head_stride: int = 1,
        occupancy: Mapping[str, Any] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        code_weights: Sequence[float] = CODE_WEIGHTS,
        box_class_weights: Mapping[str, float] | None = None,
        velocity_beta: float = 0.0,
        overlap: float = 0.1,
        min_radius: int = 2,
        nms_radius: Sequence[float] | Mapping[str, float] = (4, 12, 10, 1, 0.85, 0.175),
        score_threshold: float = 0.1,
        max_per_task: int = 500,
        post_max: int = 500,
        peaks: bool = False,
        squared_radius: bool = True,
        score_thresholds: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        if backward not in ("attention", "dfa3d", None):
            raise RecipeError(f"HyDRa's backward projection is 'attention', 'dfa3d' or None; found {backward!r}")
        if depth_net not in ("camera", "plain"):
            raise RecipeError(f"HyDRa's depth_net is 'camera' or 'plain'; found {depth_net!r}")
        if image_size[0] % feature_stride or image_size[1] % feature_stride:
            raise RecipeError(f"image_size {tuple(image_size)} must be a multiple of feature_stride {feature_stride}")
        w = {"image": 256, "mid": 256, "context": 80, "radar": 64, "bev": 80, "encoder": (160, 320, 640), "blocks": 2}
        w |= {"out": 256, "out_kernel": 3, "shared": 64, "head": 64} | dict(widths or {})
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.cells = (self.image_size[0] // feature_stride, self.image_size[1] // feature_stride)
        self.axis, self.convention, self.rounding, self.pooling = DepthAxis.of(depth), convention, rounding, pooling
        bounds = dict(bev or {"x": (-51.2, 51.2, 0.8), "y": (-51.2, 51.2, 0.8)})
        self.grid = VoxelGrid.of({**bounds, "z": (z[0], z[1], z[1] - z[0])})
        self.classes = tuple(classes)
        if camera_ids not in ("direction", "index"):
            raise RecipeError(f"HyDRa's camera_ids are given by 'direction' or 'index'; found {camera_ids!r}")
        self.cameras, self.camera_ids = int(cameras), camera_ids
        self.radar, self.history = bool(radar), int(history)
        self.radar_motion = self.radar and bool(radar_motion)
        self.velocity_beta = float(velocity_beta)
        self.loss_weights = LOSS_WEIGHTS | dict(loss_weights or {})
        self.code_weights, self.overlap, self.min_radius = tuple(code_weights), overlap, int(min_radius)
        self.decoding = {
            "max_num": max_per_task,
            "score_threshold": score_threshold,
            "post_max": post_max,
            "min_radius": dict(nms_radius) if isinstance(nms_radius, Mapping) else tuple(nms_radius),
            "peaks": peaks,
            "squared_radius": squared_radius,
        }
        self.score_thresholds = dict(score_thresholds or {})

        self.backbone = build_backbone(backbone, out_strides=tuple(backbone_strides), pretrained=pretrained)
        self.neck = ImageNeck(self.backbone.channels, self.backbone.strides, feature_stride, w["image"])
        if self.radar:
            self.perspective_radar = None
            if hat:
                self.perspective_radar = PerspectiveRadar(
                    w["image"], DepthAxis.of(radar_depth), self.cells[1], radar_layers
                )
                self.hat = HeightAssociation(w["image"], hat_heads, self.cells[0], self.perspective_radar.axis.bins)
            self.bev_radar = BevRadar(w["radar"], self.grid, radar_layers)
        net = CameraAwareDepthNet if depth_net == "camera" else PlainDepth
        self.depth_net = net(w["image"], w["mid"], w["context"], self.axis.bins, **dict(depth_options or {}))
        if self.radar:
            self.fusion: nn.Module = BevFusion((w["context"], w["radar"]), w["bev"])
        else:
            self.fusion = BevFusion((w["context"],), w["bev"])
        self.backward_kind = backward
        if backward is not None:
            options = {"heads": 8, "points": 8, "anchors": 4} | dict(backward_options or {})
            self.anchor_grid = VoxelGrid.of({**bounds, "z": (z[0], z[1], (z[1] - z[0]) / options["anchors"])})
            self.for_bev = nn.Conv2d(w["image"], w["bev"], 1) if w["image"] != w["bev"] else nn.Identity()
            self.backward_projection = BackwardProjection(w["bev"], self.grid.shape[1:], cameras, **options)
            if backward == "dfa3d":
                self.backward_projection.camera_attention = DepthAttention(
                    w["bev"], options["heads"], options["points"], options["anchors"]
                )
            self.rdc = RadarWeight(w["radar"]) if self.radar and rdc else None
        self.temporal = TemporalFusion(w["bev"], self.history) if self.history else None
        self.encoder = BevEncoder(w["bev"], w["encoder"], w["blocks"], w["out"], w["out_kernel"])
        self.head = CenterHead(w["out"], tasks, w["shared"], w["head"])
        unknown = [name for name in self.head.classes if name not in self.classes]
        if unknown:
            raise RecipeError(f"the head's class {unknown[0]!r} is not one of the data set's {self.classes}")
        wanted = dict(box_class_weights or {})
        unknown = [name for name in wanted if name not in self.head.classes]
        if unknown:
            raise RecipeError(f"box_class_weights: {unknown[0]!r} is not one of the head's classes {self.head.classes}")
        self.box_class_weights = None
        if wanted:
            self.box_class_weights = [[float(wanted.get(name, 1.0)) for name in task] for task in self.head.tasks]
        self.geometry = CenterGeometry(self.grid.lower[:2], self.grid.size[:2], tuple(self.grid.shape[1:]))
        self.occupancy = None
        if occupancy is not None:
            about = dict(occupancy)
            number = int(about.get("classes", 18))
            self.voxels = VoxelGrid.of({axis: about[axis] for axis in "xyz"})
            self.occupancy = OccupancyHead(w["out"], self.grid, self.voxels, number, int(about.get("channels", 32)))
            weights = class_weights(about["counts"]) if "counts" in about else torch.ones(number)
            if "weights" in about:
                weights = torch.tensor([float(v) for v in about["weights"]])
            if len(weights) != number:
                raise RecipeError(f"HyDRa's occupancy has {number} classes; found {len(weights)} counts or weights")
            self.register_buffer("occupancy_weights", weights, persistent=False)
            self.occupancy_losses = dict(about.get("losses", OCCUPANCY_LOSSES))
        self.register_buffer("pixel_mean", torch.tensor(self.mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("pixel_std", torch.tensor(self.std).view(3, 1, 1) * 255, persistent=False)
        order = {name: i for i, name in enumerate(self.head.classes)}
        self._label_to_head = [order.get(name, -1) for name in self.classes]
        self._plan: tuple[Calibration, LiftPlan] | None = None

    # -- from a batch to outputs ---------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        return self.pixel_mean.device

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of `forward` from a collated batch of rig samples (see `perception.datasets.rig`).

        Raises `InputError` for pictures of another size than the network's.
        """
        about = (self.image_size, self.radar, self.device)
        arguments = frame_arguments(batch, *about)
        if self.temporal is not None and batch.get("history") is not None:
            arguments["past"] = past_arguments(batch, self.history, *about)
        return arguments

    export_size_means = "number of cameras and radar points"
    export_axes: ClassVar[dict[str, tuple[int, ...]]] = {
        "images": (1,), "intrinsics": (1,), "ego_from_camera": (1,), "radar": (1,), "radar_mask": (1,),
    }  # fmt: skip

    @property
    def export_notes(self) -> tuple[str, ...]:
        """What an exported file leaves out."""
        note = "earlier moments are left out: the file sees each moment alone, as at the first frame of a scene"
        return (note,) if self.history else ()

    def export_inputs(self, batch: int, seed: int = 0) -> dict[str, Tensor]:
        """Example arguments of `forward`: random rigs of one moment. Number of cameras and of radar points follow `seed` and may be any."""
        return example_rigs(batch, max(2, self.cameras - seed), self.image_size, self.radar, seed)

    def prepare_rig(self, rig: Any) -> dict[str, Tensor]:
        """Arguments of `forward` from a `perception.geometry.rig.Rig` of any number of cameras and picture sizes."""
        return rig_inputs(rig, self.image_size, self.radar)

    def forward(
        self,
        images: Tensor,
        intrinsics: Tensor,
        ego_from_camera: Tensor,
        image_rotation: Tensor | None = None,
        image_shift: Tensor | None = None,
        bev_from_ego: Tensor | None = None,
        radar: Tensor | None = None,
        radar_mask: Tensor | None = None,
        past: Sequence[Mapping[str, Any]] | None = None,
        past_bev: Sequence[Tensor] | None = None,
        past_from_now: Sequence[Tensor] | None = None,
        past_age: Sequence[Tensor] | None = None,
    ) -> dict[str, Any]:
        """Detect.

        Args:
            images: (B, N, 3, H, W) RGB 0..255. intrinsics, ego_from_camera and the augmentations: see `Calibration`.
            radar, radar_mask: (B, P, 8) and (B, P), see `perception.models.hydra.radar`.
            past: arguments of past frames, newest first, with ``past_from_now`` (B, 4, 4), ego then from ego now, and ``age`` (B,) seconds
                (training). Or, in streaming, past_bev: their ``bev``, past_from_now and past_age lists.

        Returns:
            ``heads`` (see `CenterHead`), ``depth`` (B, N, D, h, w) probabilities, ``bev`` (B, C, Y, X) to keep for later frames, ``bev_from_ego``,
            and ``occupancy`` logits (B, classes, Z, Y, X).
        """
        calibration = Calibration.of(intrinsics, ego_from_camera, image_rotation, image_shift, bev_from_ego)
        bev, depth = self.lift(images, calibration, radar, radar_mask)
        fused = bev
        if self.temporal is not None:
            bevs, moves, ages = list(past_bev or ()), list(past_from_now or ()), list(past_age or ())
            for frame in past or ():
                frame = dict(frame)
                moves.append(frame.pop("past_from_now"))
                ages.append(frame.pop("age"))
                with torch.no_grad():
                    then = Calibration.of(
                        *(frame.get(name) for name in ("intrinsics", "ego_from_camera")),
                        *(frame.get(name) for name in ("image_rotation", "image_shift", "bev_from_ego")),
                    )
                    bevs.append(self.lift(frame["images"], then, frame.get("radar"), frame.get("radar_mask"))[0])
            moves = [motion_in_bev(move, calibration.bev_from_ego) for move in moves]
            fused = self.temporal(bev, [b.detach() for b in bevs], moves, ages, self.grid)
        features = self.encoder(fused)
        heads = self.head(features)
        if self.radar_motion and radar is not None:
            motion = self.bev_radar.motion(radar, radar_mask, calibration.bev_from_ego)
            heads = [{**maps, "vel": maps["vel"] + motion.to(maps["vel"].dtype)} for maps in heads]
        out = {
            "heads": heads,
            "depth": depth,
            "bev": bev.detach(),
            "bev_from_ego": calibration.bev_from_ego,
        }
        if self.occupancy is not None:
            out["occupancy"] = self.occupancy(features, calibration.bev_from_ego)
        return out

    def lift(
        self, images: Tensor, calibration: Calibration, radar: Tensor | None, radar_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """One frame: (B, C, Y, X) BEV after both projections, (B, N, D, h, w) depth probabilities."""
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
        if self.backward_kind is not None:
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

    # -- what the outputs are for --------------------------------------------------------------------------------------

    def loss(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Weighted losses.

        batch: ``boxes3d``, ``velocity``, ``labels3d`` (ego frame) a sample; where there, ``camera_depth`` and ``camera_depth_valid`` (B, N, H, W) at the
        network's size, and ``occupancy`` with ``occupancy_mask_camera``.
        """
        bev_from_ego = outputs["bev_from_ego"]
        lookup = torch.tensor(self._label_to_head, device=self.device)
        boxes, speeds, labels = [], [], []
        for i, (box, speed, label) in enumerate(
            zip(batch["boxes3d"], batch["velocity"], batch["labels3d"], strict=True)
        ):
            box, speed = move_boxes(box.to(self.device).float(), speed.to(self.device).float(), bev_from_ego[i])
            boxes.append(box)
            speeds.append(speed)
            labels.append(lookup[label.to(self.device).long()])
        targets = center_targets(
            boxes, labels, speeds, self.head.tasks, self.geometry, self.overlap, self.min_radius, self.device
        )
        found = center_losses(
            outputs["heads"], targets, 1.0, self.code_weights, self.box_class_weights, self.velocity_beta
        )
        losses = {name: self.loss_weights[name] * value for name, value in found.items()}
        if "camera_depth" in batch and self.loss_weights["depth"]:
            truth = batch["camera_depth"].to(self.device).float()
            valid = batch["camera_depth_valid"].to(self.device)
            bins = depth_bins(nearest_depth(truth, valid, self.cells), self.axis, self.convention)
            losses["depth"] = self.loss_weights["depth"] * depth_loss(outputs["depth"].float(), bins)
        if self.occupancy is not None and "occupancy" in batch and self.loss_weights["occupancy"]:
            mask = batch.get("occupancy_mask_camera")
            parts = occupancy_losses(
                outputs["occupancy"],
                batch["occupancy"].to(self.device),
                None if mask is None else mask.to(self.device),
                self.occupancy_weights,
                self.occupancy_losses,
            )
            losses |= {f"occupancy_{k}": self.loss_weights["occupancy"] * v for k, v in parts.items()}
        return losses

    def views(self, batch: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
        """What `predict` needs of a batch beside the outputs: nothing, since boxes are in the ego frame."""
        count = len(batch["images"])
        return [None] * count, [None] * count

    @torch.no_grad()
    def predict(
        self, outputs: Mapping[str, Any], cameras: Sequence[Any] | None = None, sizes: Sequence[Any] | None = None
    ) -> list[Any]:
        """One `RigPrediction` a sample: boxes with velocities and attributes in the ego frame, and occupancy labels."""
        from perception.results.rig import RigPrediction

        found = decode(
            outputs["heads"],
            self.head.tasks,
            self.geometry,
            post_range=(
                self.grid.x[0] - 10, self.grid.y[0] - 10, -10.0, self.grid.x[1] + 10, self.grid.y[1] + 10, 10.0,
            ),
            **self.decoding,
        )  # fmt: skip
        labels = None if self.occupancy is None else outputs["occupancy"].argmax(1).permute(0, 3, 2, 1)
        results = []
        for i, detection in enumerate(found):
            boxes = boxes_result(
                detection, outputs["bev_from_ego"][i], self.head.classes, self.classes, self.score_thresholds
            )
            voxels = None if labels is None else occupancy_result(labels[i], self.voxels)
            results.append(RigPrediction(boxes3d=boxes, occupancy=voxels))
        return results
