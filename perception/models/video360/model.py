"""Depth and camera motion from 360-degree video without labels (Wang et al., ACCV 2018; formulas of its successor BiFuse++).

    reference panorama -> cube map -> cube-padding U-Net -> range of every face, at several scales
    reference + neighbours -> cube maps -> pose network -> motion to each neighbour, explainability
    loss: the neighbour, painted into the reference through range and motion, must look like the reference

Range and translation share one free scale: compare depth after median alignment. Training batches: ``image`` (B, 3, H, W) and ``neighbours``
(B, T, 3, H, W), consecutive frames; prediction takes single panoramas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import InputError, RecipeError
from perception.geometry.cubemap import cube_to_equirectangular, equirectangular_to_cube
from perception.models.omnifusion.preprocess import PanoramaPreprocess
from perception.models.registry import register_model
from perception.models.video360 import losses
from perception.models.video360.network import CubeDepthNet, CubePoseNet
from perception.models.video360.view_synthesis import CONVENTIONS, rotation_from_axis_angle, warp_panorama
from perception.options import check_choice, with_changes

LOSS_WEIGHTS = {"photometric": 1.0, "explain": 0.1, "smooth": 0.01, "pose": 0.1}


@register_model
class Video360(nn.Module):
    """Self-supervised range of a panorama, and motion between panoramas.

    Args:
        size: (H, W) of the panorama in the network. face: side of the cube's faces; None: H / 2, at least 32 and a multiple of 2^levels.
        widths, scales, near, far, latitude: of `CubeDepthNet`. pose_widths, pose_scale, pose_flow: of `CubePoseNet`. targets: neighbouring frames.
        padding: "cube" or "zeros". explainability: learn what the motion cannot explain. photometric: "plain" (SPL) or "contrast" (CAPL of BiFuse++).
        convention: "consistent", or "official" for BiFuse++'s sampling with its flaws (`view_synthesis`). loss_weights: changes to `LOSS_WEIGHTS`.
    """

    tasks = ("depth",)
    camera_kind = "equirectangular"

    def __init__(
        self,
        size: Sequence[int] = (512, 1024),
        face: int | None = None,
        *,
        widths: Sequence[int] = (32, 64, 128, 256, 256),
        scales: int = 4,
        near: float = 0.1,
        far: float = 50.0,
        pose_widths: Sequence[int] = (16, 32, 64, 128, 128),
        pose_scale: float = 0.01,
        pose_flow: bool = False,
        latitude: bool = False,
        targets: int = 2,
        padding: str = "cube",
        explainability: bool = True,
        photometric: str = "plain",
        convention: str = "consistent",
        loss_weights: Mapping[str, float] | None = None,
    ) -> None:
        """Raises `RecipeError` for options that do not exist or do not fit."""
        super().__init__()
        check_choice("Video360's photometric", photometric, ("plain", "contrast"))
        check_choice("Video360's convention", convention, CONVENTIONS)
        step = 2 ** max(len(widths), len(pose_widths))
        self.size = (int(size[0]), int(size[1]))
        self.face = face or max(step, round(self.size[0] / 2 / step) * step)
        if self.face % step:
            raise RecipeError(
                f"the side of the cube's faces must be a multiple of {step} for these widths; found {self.face}"
            )
        self.targets, self.photometric, self.convention = targets, photometric, convention
        self.loss_weights = with_changes("the loss weights", LOSS_WEIGHTS, loss_weights)
        self.preprocess = PanoramaPreprocess(self.size)
        self.depth_net = CubeDepthNet(widths, scales, near, far, padding, latitude)
        self.pose_net = CubePoseNet(
            targets, pose_widths, scales if explainability else 0, padding, pose_scale, pose_flow
        )
        self.register_buffer("pixel_mean", 255 * torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", 255 * torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """``image`` (B, 3, H, W) and, where the batch has them, ``neighbours`` (B, T, 3, H, W)."""
        return {"image": batch["image"], "neighbours": batch.get("neighbours")}

    def forward(self, image: Tensor, neighbours: Tensor | None = None) -> dict[str, Tensor]:
        """Map panoramas, RGB 0..255, to named maps.

        ``depth`` (B, 1, H, W) range, free scale; ``depth_1`` ... smaller ones (in training); with `neighbours` ``motion`` (B, T, 6) axis-angle and
        translation target <- reference, ``face_motion`` (B, 6, T, 6) and ``mask_0`` ... (B, T, H / 2^s, W / 2^s).
        """
        size = tuple(image.shape[-2:])
        reference = self._faces(image)
        ranges = self.depth_net(reference)
        wanted = ranges if neighbours is not None else ranges[:1]
        outputs = {
            f"depth_{s}" if s else "depth": cube_to_equirectangular(r.unflatten(0, (-1, 6)), _scaled(size, s))
            for s, r in enumerate(wanted)
        }
        if neighbours is None:
            return outputs
        if neighbours.shape[1] != self.targets:
            raise InputError(
                f"this model is trained on {self.targets} neighbouring frames; found {neighbours.shape[1]}"
            )
        others = [self._faces(frame) for frame in neighbours.unbind(1)]
        motions, masks = self.pose_net(torch.cat([reference, *others], 1))
        outputs |= {"face_motion": motions, "motion": motions.mean(1)}
        for s, mask in enumerate(masks):
            outputs[f"mask_{s}"] = cube_to_equirectangular(mask.unflatten(0, (-1, 6)), _scaled(size, s))
        return outputs

    def _faces(self, image: Tensor) -> Tensor:
        image = (image.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std
        return equirectangular_to_cube(image, self.face).flatten(0, 1)

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Losses of frames and their neighbours; labels are never looked at."""
        if "motion" not in outputs:
            raise InputError(
                "learning depth from video needs batches with 'neighbours', the frames before and after; found single panoramas"
            )
        reference = batch["image"].float() / 255
        neighbours = batch["neighbours"].float() / 255
        motion = outputs["motion"].float()
        rotation = rotation_from_axis_angle(motion[..., :3])  # (B, T, 3, 3)
        right = self.convention == "consistent"
        photo, smooth, explain = [], [], []
        scales = sum(name == "depth" or name.startswith("depth_") for name in outputs)
        for s in range(scales):
            depth = outputs[f"depth_{s}" if s else "depth"].float()
            size = tuple(depth.shape[-2:])
            small = F.interpolate(reference, size, mode="area")
            mask = outputs.get(f"mask_{s}")
            weight = losses.contrast(small, wrap=right) if self.photometric == "contrast" else None
            for j in range(self.targets):
                other = F.interpolate(neighbours[:, j], size, mode="area")
                warped = warp_panorama(other, depth, rotation[:, j], motion[:, j, 3:], self.convention)
                explained = None if mask is None else mask[:, j : j + 1]
                photo.append(losses.photometric_loss(small, warped, explained, weight))
            smooth.append(losses.smoothness_loss(depth / depth.mean((1, 2, 3), keepdim=True), right) / 2.3**s)
            if mask is not None:
                explain.append(losses.explainability_loss(mask))
        found = {"photometric": torch.stack(photo).sum(), "smooth": torch.stack(smooth).sum()}
        if explain:
            found["explain"] = torch.stack(explain).sum()
        faces = outputs["face_motion"]
        spread = [losses.pose_consistency_loss(faces[:, :, j, :3], faces[:, :, j, 3:]) for j in range(self.targets)]
        found["pose"] = torch.stack(spread).sum()
        weighted = {f"loss_{name}": self.loss_weights[name] * value for name, value in found.items()}
        if "neighbour_from_camera" in batch:  # the true motion is watched, never learned from
            with torch.no_grad():
                turn = rotation.mT @ batch["neighbour_from_camera"][..., :3, :3].to(rotation)
                trace = turn.diagonal(dim1=-2, dim2=-1).sum(-1)
                weighted["log_rotation_degrees"] = torch.rad2deg(((trace - 1) / 2).clamp(-1, 1).acos()).mean()
        return weighted

    @torch.no_grad()
    def predict(
        self, outputs: Mapping[str, Tensor], cameras: Sequence[Any], sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[Any]:
        """Return one `VideoPrediction` a panorama: depth of kind "range", its scale free, and the ``motion`` to its neighbours where they were given."""
        from perception.models.omnifusion.predict import predictions
        from perception.results.video import VideoPrediction

        note = "depth learned from video: its scale is not metric"
        motions = outputs["motion"].float().cpu().numpy() if "motion" in outputs else None
        return [
            VideoPrediction(
                depth=found.depth,
                image=found.image,
                camera=found.camera,
                notes=(*found.notes, note),
                motion=None if motions is None else motions[index],
            )
            for index, found in enumerate(predictions({"depth": outputs["depth"]}, cameras, sizes))
        ]


def _scaled(size: tuple[int, int], scale: int) -> tuple[int, int]:
    return max(8, size[0] >> scale), max(16, size[1] >> scale)
