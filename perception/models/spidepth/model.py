"""SPIdepth (arXiv 2404.12501) on SQLdepth (arXiv 2309.00526): depth from one picture, learned from video without labels.

    picture -> U-Net embeddings at half resolution -> self query layer -> depth
    picture + its neighbours in time -> pose network -> motion
    loss: a neighbour, painted into the picture through depth and motion, must look like the picture

Depth and motion share one free scale, so results are of kind "relative" unless `metres_per_unit` is known. Training batches: ``image`` (B, 3, H, W),
``neighbours`` (B, T, 3, H, W) and ``intrinsics`` (B, 3, 3); with a stereo pair also ``stereo_image`` and ``stereo_from_camera`` (B, 4, 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import InputError, RecipeError
from perception.models.depth_anything.losses import silog, valid_pixels
from perception.models.layers.conv import resize_picture
from perception.models.preprocess import Prepared
from perception.models.registry import register_model
from perception.models.spidepth import losses
from perception.models.spidepth.encoder import PYRAMID, PyramidUNet, ResNetUNet
from perception.models.spidepth.pose import PoseNet, scale_by_inverse_depth, transform_of
from perception.models.spidepth.preprocess import StretchPreprocess
from perception.models.spidepth.query_layer import SelfQueryLayer
from perception.models.spidepth.view_synthesis import sample, sampling_grid

ENCODERS = ("unet", "resnet")
SUPERVISIONS = ("video", "depth")
MULTIPLE = 32
SMOOTHNESS = 1e-3


@register_model
class SPIdepth(nn.Module):
    """Depth from one picture.

    Args:
        backbone: name or options for `build_backbone`. encoder: "unet" (`PyramidUNet`) or "resnet" (`ResNetUNet`, the first SQLdepth models). pretrained: timm's weights.
        size: (H, W) of the picture in the network, multiples of 32. dim: channels of the embeddings.
        channels: of the U-Net's decoder. strides: of the backbone's maps. width: of the ResNet decoder.
        patch, queries, bins, min_depth, max_depth, ffn_dim, dropout: of `SelfQueryLayer`.
        supervision: "video", or "depth" to fine-tune on measured depth (SiLog); then there is no pose network.
        pose_backbone: of `PoseNet`. offsets: of the neighbouring frames; their signs say which come earlier.
        scale_motion: multiply translations by the mean inverse depth; None: where a batch has no stereo pair. metres_per_unit: None: the scale is free.
        flip_average: at evaluation average with the mirrored picture's depth (twice the cost).
    """

    tasks = ("depth",)
    camera_kind = "pinhole"

    def __init__(
        self,
        backbone: str | dict[str, Any] = "convnextv2_huge.fcmae_ft_in22k_in1k_384",
        *,
        encoder: str = "unet",
        pretrained: bool = False,
        size: Sequence[int] = (320, 1024),
        dim: int = 32,
        channels: Sequence[int] = (1024, 512, 256, 128),
        strides: Sequence[int] = PYRAMID,
        width: int = 512,
        patch: int = 32,
        queries: int = 64,
        bins: int = 64,
        min_depth: float = 0.001,
        max_depth: float = 80.0,
        ffn_dim: int = 1024,
        dropout: float = 0.1,
        supervision: str = "video",
        pose_backbone: str | dict[str, Any] = "resnet18",
        offsets: Sequence[int] = (-1, 1),
        scale_motion: bool | None = None,
        metres_per_unit: float | None = None,
        flip_average: bool = False,
    ) -> None:
        """Raises `RecipeError` for options that do not exist or do not fit."""
        super().__init__()
        for value, known, name in (
            (encoder, ENCODERS, "encoder"),
            (supervision, SUPERVISIONS, "supervision"),
        ):
            if value not in known:
                raise RecipeError(f"{name} of SPIdepth is one of {', '.join(known)}; found {value!r}")
        if any(side < MULTIPLE or side % MULTIPLE for side in size):
            raise RecipeError(f"the size of SPIdepth's pictures must be multiples of {MULTIPLE}; found {tuple(size)}")
        if 0 in offsets:
            raise RecipeError(f"offsets of SPIdepth are frames other than 0; found {tuple(offsets)}")
        patches = (size[0] // 2 // patch) * (size[1] // 2 // patch)
        if patches < queries:
            raise RecipeError(
                f"pictures of {tuple(size)} give {patches} patches of {patch}, which is less than {queries} queries; make patch or queries smaller"
            )
        self.preprocess = StretchPreprocess(size)
        self.supervision, self.offsets = supervision, tuple(int(step) for step in offsets)
        self.scale_motion, self.metres_per_unit, self.flip_average = scale_motion, metres_per_unit, flip_average
        if encoder == "unet":
            self.encoder: nn.Module = PyramidUNet(backbone, channels, dim, strides, pretrained)
        else:
            self.encoder = ResNetUNet(backbone, width, dim, pretrained)
        self.decoder = SelfQueryLayer(dim, patch, queries, bins, min_depth, max_depth, ffn_dim=ffn_dim, dropout=dropout)
        self.pose = PoseNet(pose_backbone, pretrained=pretrained) if supervision == "video" else None

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """``image`` (B, 3, H, W) 0..255 and, where the batch has them, ``neighbours`` (B, T, 3, H, W); sides go to the nearest multiples of 32."""
        image, neighbours = batch["image"], batch.get("neighbours") if self.pose is not None else None
        size = tuple(max(MULTIPLE, round(n / MULTIPLE) * MULTIPLE) for n in image.shape[-2:])
        if neighbours is not None:
            neighbours = resize_picture(neighbours.flatten(0, 1), size).unflatten(0, neighbours.shape[:2])
        return {"image": resize_picture(image, size), "neighbours": neighbours}

    def forward(self, image: Tensor, neighbours: Tensor | None = None) -> dict[str, Tensor]:
        """Pictures, RGB 0..255 of any dtype, sides multiples of 32.

        Returns ``depth`` (B, H / 2, W / 2), float32; with `neighbours` also ``motion`` (B, T, 6): what the pose network says about each pair of frames, in
        the order of time (`motions` makes transforms of it).
        """
        picture = self._unit(image)
        depth = self.decoder(self.encoder(picture))
        if self.flip_average and not self.training:
            depth = blend_mirrored(depth, self.decoder(self.encoder(picture.flip(-1))).flip(-1))
        if neighbours is None or self.pose is None:
            return {"depth": depth}
        if neighbours.shape[1] != len(self.offsets):
            raise InputError(
                f"this model is trained on {len(self.offsets)} neighbouring frames; found {neighbours.shape[1]}"
            )
        found = []
        for step, frame in zip(self.offsets, neighbours.unbind(1), strict=True):
            other = self._unit(frame)
            found.append(self.pose(other, picture) if step < 0 else self.pose(picture, other))
        return {"depth": depth, "motion": torch.stack(found, 1)}

    def _unit(self, image: Tensor) -> Tensor:
        return image.to(self.decoder.positions.dtype) / 255

    def motions(self, motion: Tensor, depth: Tensor | None = None) -> list[Tensor]:
        """Neighbour <- camera, (B, 4, 4) each, of ``motion`` (B, T, 6); with `depth` (B, H, W) translations are scaled by its inverse."""
        found = []
        for step, one in zip(self.offsets, motion.float().unbind(1), strict=True):
            scaled = one if depth is None else scale_by_inverse_depth(one, depth)
            found.append(transform_of(scaled, invert=step < 0))
        return found

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Losses from the pictures alone; with supervision "depth" SiLog against ``depth``."""
        depth = outputs["depth"].float()
        if self.supervision == "depth":
            target = batch["depth"].float()
            depth = F.interpolate(depth[:, None], target.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
            valid = valid_pixels(target, batch.get("depth_valid"), self.decoder.min_depth, self.decoder.max_depth)
            return {"loss_depth": silog(depth, target, valid, share=0.85)}
        sources = self._sources(outputs, batch)
        size = (2 * depth.shape[-2], 2 * depth.shape[-1])
        depth = F.interpolate(depth[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        reference = resize_picture(batch["image"], size).float() / 255
        intrinsics = _scaled(batch["intrinsics"].float(), batch["image"].shape[-2:], size)
        pair = "stereo_image" in batch
        scaled = not pair if self.scale_motion is None else self.scale_motion
        moves = self.motions(outputs["motion"], depth if scaled else None)
        moves += [batch["stereo_from_camera"].float()] if pair else []
        warped, still = [], []
        for picture, move in zip(sources, moves, strict=True):
            picture = resize_picture(picture, size).float() / 255
            grid = sampling_grid(depth, intrinsics, move)
            warped.append(losses.photometric_error(sample(picture, grid), reference))
            still.append(losses.photometric_error(picture, reference))
        noise = losses.TIE_BREAKING_NOISE if self.training else 0.0
        error = losses.masked_error(torch.cat(warped, 1), torch.cat(still, 1), noise)
        found = {
            "loss_photometric": error.mean(),
            "loss_smooth": SMOOTHNESS * losses.smoothness(depth, reference),
        }
        if "neighbour_from_camera" in batch:  # the true motion is watched, never learned from
            with torch.no_grad():
                truth = batch["neighbour_from_camera"].float()
                turns = [m[:, :3, :3].mT @ truth[:, i, :3, :3] for i, m in enumerate(moves[: truth.shape[1]])]
                trace = torch.stack(turns).diagonal(dim1=-2, dim2=-1).sum(-1)
                found["log_rotation_degrees"] = torch.rad2deg(((trace - 1) / 2).clamp(-1, 1).acos()).mean()
        return found

    def _sources(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> list[Tensor]:
        if "motion" not in outputs:
            raise InputError(
                "learning depth from video needs batches with 'neighbours', the frames before and after; found single pictures"
            )
        if "intrinsics" not in batch:
            raise InputError("learning depth from video needs the 'intrinsics' of every picture; the batch has none")
        pair = [batch["stereo_image"]] if "stereo_image" in batch else []
        return [*batch["neighbours"].unbind(1), *pair]

    @torch.no_grad()
    def predict(
        self, outputs: Mapping[str, Tensor], cameras: Sequence[Any], sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[Any]:
        """One `Prediction` with ``depth`` a picture, at the picture's size: "relative", or "metric" where `metres_per_unit` is known.

        cameras: what `preprocess` returned for each picture; or cameras of the pictures of a batch, with their `sizes` (height, width).
        """
        from perception.results import DepthResult, Prediction

        results = []
        known = self.metres_per_unit is not None
        for index, item in enumerate(cameras):
            prepared = isinstance(item, Prepared)
            camera = item.camera if prepared else item
            size = item.image.shape[:2] if prepared else sizes[index]
            depth = outputs["depth"][index].float()
            depth = F.interpolate(depth[None, None], tuple(size), mode="bilinear", align_corners=False)[0, 0]
            if known:
                depth = depth * self.metres_per_unit
            result = DepthResult(depth.cpu().numpy(), kind="metric" if known else "relative", camera=camera)
            notes = () if known else ("depth learned from video: its scale is not metric",)
            image = item.image if prepared else None
            results.append(Prediction(camera=camera, image=image, depth=result, notes=notes))
        return results


def blend_mirrored(direct: Tensor, mirrored: Tensor) -> Tensor:
    """Mean of two (B, h, w) maps, of the picture and of its mirror image flipped back; towards each border the map that saw more there (monodepth)."""
    ramp = torch.linspace(0, 1, direct.shape[-1], dtype=direct.dtype, device=direct.device)
    left = 1 - (20 * (ramp - 0.05)).clamp(0, 1)
    right = left.flip(0)
    return right * direct + left * mirrored + (1 - left - right) * (direct + mirrored) / 2


def _scaled(intrinsics: Tensor, source: Sequence[int], target: Sequence[int]) -> Tensor:
    """(B, 3, 3) intrinsics of pictures resized from `source` to `target`, both (H, W)."""
    factors = intrinsics.new_tensor([target[1] / source[1], target[0] / source[0], 1.0])
    return factors[:, None] * intrinsics
