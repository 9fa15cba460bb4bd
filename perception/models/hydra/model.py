"""HyDRa: cameras and radars to boxes, velocities and occupancy around the vehicle (arXiv 2403.07746).

    pictures, radar -> `RigToBev`: forward and backward projection -> B_1
    temporal fusion with past B_1 -> BEV encoder -> CenterPoint heads | occupancy head

The authors released neither code nor weights. Parts with a released ancestor (FB-BEV, BEVDepth, mmdet3d, DFA3D) reproduce it to the digit; height
association, RDC and the widths are this project's reading of the paper. Every part can be switched off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from perception.io.nuscenes_results import DETECTION_CLASSES
from perception.models.hydra.batches import frame_arguments, past_arguments
from perception.models.hydra.bev import BevEncoder
from perception.models.hydra.bev_frame import motion_in_bev
from perception.models.hydra.calibration import Calibration
from perception.models.hydra.centerpoint import NUSCENES_TASKS, CenterGeometry, CenterHead
from perception.models.hydra.centerpoint_targets import CODE_WEIGHTS
from perception.models.hydra.criterion import HydraCriterion
from perception.models.hydra.occupancy import CLASSES, OccupancyHead
from perception.models.hydra.predictions import HydraPostprocess
from perception.models.hydra.preprocess import example_rigs, rig_inputs
from perception.models.hydra.rig_to_bev import RigToBev
from perception.models.hydra.temporal import TemporalFusion
from perception.models.registry import register_model
from perception.ops.lift_splat import VoxelGrid


@register_model
class HyDRa(RigToBev):
    """Camera-radar BEV detector.

    Args:
        radar_motion: add what the radars measured around a cell to the velocity that the head says there, so that the head learns the rest.
        history: past frames that are fused.
        tasks: classes of the CenterPoint head, grouped; classes: names of the data set's labels, in their order.
        occupancy: None, or {"x": ..., "y": ..., "z": (lower, upper, voxel), "classes": 18, "channels": 32, "losses": {...}}, and either
            "counts" (voxels of each class in the training set: weights 1 / log) or "weights" of the classes in the focal loss.
        loss_weights, code_weights, overlap, min_radius, velocity_beta: see `HydraCriterion`; box_class_weights: how much objects of a class count in the
            losses, 1 where not named.
        nms_radius: circle NMS, by class name or a number a task; score_threshold, max_per_task, post_max, peaks, squared_radius: see `decode`;
            score_thresholds: least score by class name.
        **options: of the projections, see `RigToBev`.
    """

    tasks = ("boxes3d", "occupancy")
    camera_kind = "rig"

    def __init__(
        self,
        *,
        radar_motion: bool = False,
        history: int = 0,
        classes: Sequence[str] = DETECTION_CLASSES,
        tasks: Sequence[Sequence[str]] = NUSCENES_TASKS,
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
        **options: Any,
    ) -> None:
        super().__init__(**options)
        w = self.widths
        self.history, self.radar_motion = int(history), self.radar and bool(radar_motion)
        self.temporal = TemporalFusion(w["bev"], self.history) if self.history else None
        self.encoder = BevEncoder(w["bev"], w["encoder"], w["blocks"], w["out"], w["out_kernel"])
        self.head = CenterHead(w["out"], tasks, w["shared"], w["head"])
        self.geometry = CenterGeometry(self.grid.lower[:2], self.grid.size[:2], tuple(self.grid.shape[1:]))
        self.occupancy, voxels = None, None
        if occupancy is not None:
            voxels = VoxelGrid.of({axis: occupancy[axis] for axis in "xyz"})
            number, channels = int(occupancy.get("classes", CLASSES)), int(occupancy.get("channels", 32))
            self.occupancy = OccupancyHead(w["out"], self.grid, voxels, number, channels)
        self.criterion = HydraCriterion(
            classes,
            self.head.tasks,
            self.geometry,
            self.axis,
            self.convention,
            weights=loss_weights,
            code_weights=code_weights,
            overlap=overlap,
            min_radius=min_radius,
            class_weights=box_class_weights,
            velocity_beta=velocity_beta,
            occupancy=occupancy,
        )
        self.postprocess = HydraPostprocess(
            classes,
            self.head.tasks,
            self.geometry,
            self.grid,
            voxels,
            score_thresholds=score_thresholds,
            score_threshold=score_threshold,
            max_num=max_per_task,
            post_max=post_max,
            min_radius=dict(nms_radius) if isinstance(nms_radius, Mapping) else tuple(nms_radius),
            peaks=peaks,
            squared_radius=squared_radius,
        )

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

    # -- what the outputs are for --------------------------------------------------------------------------------------

    def loss(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Weighted losses.

        batch: ``boxes3d``, ``velocity``, ``labels3d`` (ego frame) a sample; where there, ``camera_depth`` and ``camera_depth_valid`` (B, N, H, W) at the
        network's size, and ``occupancy`` with ``occupancy_mask_camera``.
        """
        return self.criterion(outputs, batch)

    def views(self, batch: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
        """What `predict` needs of a batch beside the outputs: nothing, since boxes are in the ego frame."""
        count = len(batch["images"])
        return [None] * count, [None] * count

    def predict(
        self, outputs: Mapping[str, Any], cameras: Sequence[Any] | None = None, sizes: Sequence[Any] | None = None
    ) -> list[Any]:
        """One `RigPrediction` a sample: boxes with velocities and attributes in the ego frame, and occupancy labels."""
        return self.postprocess(outputs)
