"""Augmentations for monocular 3D boxes, on a collated batch: mirror, crop with depth, mix; and the choice of objects worth learning.

Everything that belongs to the picture moves with it: intrinsics, 3D boxes, 2D boxes. Per-pixel maps that would no longer fit are taken out of the batch.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.datasets.transforms.registry import register_batch_transform
from perception.errors import DatasetError

STALE = ("depth", "depth_valid", "normals", "semantic", "instance", "panoptic", "confidence", "points")
STALE += ("alpha", "kitti_labels", "projection", "ignored_boxes2d")
PER_OBJECT = (
    "boxes3d",
    "labels3d",
    "boxes2d",
    "boxes2d_full",
    "visibility",
    "truncation",
    "occlusion",
    "velocity",
    "track_ids",
    "alpha3d",
    "centers2d",
)


@register_batch_transform
class Mono3DFilter:
    """Keeps the objects that a detector can learn from one picture; the others become background, as in the official code.

    Args:
        min_height: of the 2D box, pixels of the batch's pictures.
        max_truncation, max_occlusion: applied where the batch has ``truncation`` and ``occlusion`` (KITTI's meaning).
        classes: labels to keep, all if left out.
    """

    def __init__(
        self,
        min_height: float = 25.0,
        max_truncation: float = 0.5,
        max_occlusion: int = 2,
        classes: list[int] | None = None,
    ) -> None:
        self.min_height, self.max_truncation, self.max_occlusion = min_height, max_truncation, max_occlusion
        self.classes = classes

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the batch with shorter object lists."""
        count = len(batch["boxes3d"])
        keeps = []
        for i in range(count):
            keep = torch.ones(
                len(batch["boxes3d"][i]), dtype=torch.bool, device=torch.as_tensor(batch["boxes3d"][i]).device
            )
            if "boxes2d" in batch:
                box = batch["boxes2d"][i]
                keep &= box[:, 3] - box[:, 1] >= self.min_height
            for name, limit in (("truncation", self.max_truncation), ("occlusion", self.max_occlusion)):
                if batch.get(name) is not None and batch[name][i] is not None:
                    keep &= batch[name][i] <= limit
            if self.classes is not None:
                keep &= torch.isin(batch["labels3d"][i], torch.tensor(self.classes, device=keep.device))
            keeps.append(keep)
        batch = dict(batch)
        for name in PER_OBJECT:
            if name in batch:
                batch[name] = [
                    rows if rows is None else rows[keep] for rows, keep in zip(batch[name], keeps, strict=True)
                ]
        return batch


@register_batch_transform
class Mono3DAugment:
    """Mirrors, crops and mixes the pictures of a batch.

    Args:
        flip: probability to mirror left to right.
        mirror_camera: mirror the calibration, too, so that the mirrored scene is seen exactly. Otherwise the calibration stays and objects are moved aside to
            where it projects them onto their mirrored pictures, as the official code does (its camera's centre is not the picture's middle).
        crop: probability to take a window of another size and place.
        scale, shift: standard deviations of the window's relative size and of its middle (fractions of the picture); sizes are cut at one deviation,
            shifts at two, as in the paper.
        scale_depth: keep the focal length and multiply depths by the window's size instead (a farther camera), as in the paper. Otherwise the
            focal length changes and the scene stays.
        mixup: probability to average a picture with another one of the batch that has the same calibration, keeping the objects of both (MixUp3D).
    """

    def __init__(
        self,
        flip: float = 0.5,
        crop: float = 0.5,
        scale: float = 0.05,
        shift: float = 0.05,
        scale_depth: bool = True,
        mixup: float = 0.0,
        mirror_camera: bool = True,
    ) -> None:
        self.flip, self.crop, self.scale, self.shift = flip, crop, scale, shift
        self.scale_depth, self.mixup, self.mirror_camera = scale_depth, mixup, mirror_camera

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a new batch; needs ``image`` (B, 3, H, W), ``intrinsics``, ``boxes3d``, ``labels3d`` and moves ``boxes2d`` where it is there.

        Raises `DatasetError` for pictures of different sizes.
        """
        image = batch["image"]
        if not isinstance(image, Tensor):
            raise DatasetError("pictures of a training batch must have one size; give the data set a `size`")
        batch = {name: value for name, value in batch.items() if name not in STALE}
        if self.mixup:
            batch = self._mix(batch)
        count, device = len(image), image.device
        flip = torch.rand(count, device=device) < self.flip
        window = torch.ones(count, device=device)
        moved = torch.zeros(count, 2, device=device)
        chosen = torch.rand(count, device=device) < self.crop
        spread = torch.randn(count, device=device) * self.scale
        window = torch.where(chosen, 1 + spread.clamp(-self.scale, self.scale), window)
        drift = (torch.randn(count, 2, device=device) * self.shift).clamp(-2 * self.shift, 2 * self.shift)
        moved = torch.where(chosen[:, None], drift, moved)
        return self.apply(batch, flip, window, moved)

    def apply(self, batch: dict[str, Any], flip: Tensor, window: Tensor, moved: Tensor) -> dict[str, Any]:
        """Warp with given numbers: (B,) bool, (B,) window sizes relative to the picture, (B, 2) shifts of its middle, fractions."""
        batch = dict(batch)
        image = batch["image"]
        height, width = image.shape[-2:]
        size = image.new_tensor([width, height], dtype=torch.float32)
        # Picture -> mirrored picture -> window: u' = (u_m - middle) / window + size / 2, u_m = u or W - u.
        middle = (0.5 + moved) * size  # (B, 2)
        sign = torch.stack((1 - 2 * flip.float(), torch.ones_like(window)), -1)  # (B, 2)
        origin = torch.stack((flip.float() * width, torch.zeros_like(window)), -1)
        batch["image"] = _warp(image, sign, origin, middle, window)
        intrinsics = torch.stack([torch.as_tensor(k) for k in batch["intrinsics"]]).clone()
        mirrored = intrinsics[:, :2, 2] * sign + origin
        kept = mirrored if self.mirror_camera else intrinsics[:, :2, 2]
        aside = (mirrored - kept)[:, 0] / intrinsics[:, 0, 0]  # of objects, metres for each metre of distance
        intrinsics[:, :2, 2] = ((kept - middle) / window[:, None] + size / 2).to(intrinsics.dtype)
        if not self.scale_depth:
            intrinsics[:, 0, 0] /= window
            intrinsics[:, 1, 1] /= window
        batch["intrinsics"] = intrinsics
        batch["boxes3d"] = [self._boxes(b, flip[i], window[i], aside[i]) for i, b in enumerate(batch["boxes3d"])]
        for name in ("boxes2d", "boxes2d_full"):
            if name not in batch:
                continue
            boxes2d = []
            for i, box in enumerate(batch[name]):
                corners = (box.reshape(-1, 2, 2) * sign[i] + origin[i] - middle[i]) / window[i] + size / 2
                corners = torch.minimum(corners.clamp(min=0), size)
                boxes2d.append(torch.cat((corners.amin(1), corners.amax(1)), -1).to(box.dtype))
            batch[name] = boxes2d
        return batch

    def _boxes(self, boxes: Tensor, flip: Tensor, window: Tensor, aside: Tensor) -> Tensor:
        x, y, z, length, width, height, yaw = boxes.unbind(-1)
        x = torch.where(flip, -x, x)
        yaw = torch.where(flip, math.pi - yaw, yaw)
        # What the picture shows is the view of the object, its angle to the ray; the ray turns, and the yaw with it.
        view = yaw + torch.atan2(x, z)
        x = x + aside * z
        if self.scale_depth:
            z = z * window
        yaw = view - torch.atan2(x, z)
        yaw = torch.remainder(yaw + math.pi, 2 * math.pi) - math.pi
        return torch.stack((x, y, z, length, width, height, yaw), -1)

    def _mix(self, batch: dict[str, Any]) -> dict[str, Any]:
        image = batch["image"]
        count = len(image)
        partner = torch.randperm(count, device=image.device)
        intrinsics = torch.stack([torch.as_tensor(k) for k in batch["intrinsics"]])
        same = (intrinsics - intrinsics[partner]).abs().amax((1, 2)) < 0.5
        wanted = (torch.rand(count, device=image.device) < self.mixup) & same
        wanted &= partner != torch.arange(count, device=image.device)
        batch = dict(batch)
        half = (image.float() + image[partner].float()) / 2
        batch["image"] = torch.where(wanted[:, None, None, None], half, image.float()).round().to(image.dtype)
        pairs = list(zip(wanted.tolist(), partner.tolist(), strict=True))
        for name in PER_OBJECT:
            if name in batch and all(rows is not None for rows in batch[name]):
                rows = batch[name]
                batch[name] = [torch.cat((rows[i], rows[j])) if mix else rows[i] for i, (mix, j) in enumerate(pairs)]
        return batch


def _warp(image: Tensor, sign: Tensor, origin: Tensor, middle: Tensor, window: Tensor) -> Tensor:
    """Bilinear resampling; black outside."""
    height, width = image.shape[-2:]
    u = torch.arange(width, device=image.device) + 0.5
    v = torch.arange(height, device=image.device) + 0.5
    # Back through the map, to the fractions -1..1 of `grid_sample`.
    x = ((u - width / 2) * window[:, None] + middle[:, :1] - origin[:, :1]) * sign[:, :1] * (2 / width) - 1
    y = ((v - height / 2) * window[:, None] + middle[:, 1:]) * (2 / height) - 1
    grid = torch.stack((x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)), -1)
    warped = F.grid_sample(image.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return warped.round().clamp(0, 255).to(image.dtype) if not image.is_floating_point() else warped.to(image.dtype)


@register_batch_transform
class Mono3DPhotometric:
    """The paper's colour changes, computed in float and cut to 0..255 (the official code lets them wrap around).

    Brightness +-32 of 255, contrast 0.5..1.5, saturation 0.5..1.5, hue +-18 degrees and a permutation of the channels, each with probability 0.5,
    the contrast before or after saturation and hue. strength: 1 is the paper's, less is milder; 0 leaves the pictures.
    """

    def __init__(self, strength: float = 1.0, permute: bool = True) -> None:
        self.strength, self.permute = strength, permute

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the batch with other colours in ``image`` (B, 3, H, W), 0..255."""
        image = batch["image"]
        count, device = len(image), image.device

        def maybe(value: Tensor, neutral: float) -> Tensor:
            chosen = torch.rand(count, device=device) < 0.5
            return torch.where(chosen, value, torch.full_like(value, neutral)).view(-1, 1, 1)

        def between(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, device=device)

        half = 0.5 * self.strength
        x = image.float()
        x = x + maybe(between(-32 * self.strength, 32 * self.strength), 0.0)[..., None]
        contrast = maybe(between(1 - half, 1 + half), 1.0)[..., None]
        early = (torch.rand(count, device=device) < 0.5).view(-1, 1, 1, 1)
        one = torch.ones_like(contrast)
        x = (x * torch.where(early, contrast, one)).clamp(0, 255)
        saturation = maybe(between(1 - half, 1 + half), 1.0)
        hue = maybe(between(-18.0 * self.strength, 18.0 * self.strength), 0.0)
        x = shift_hue_saturation(x, hue, saturation)
        x = (x * torch.where(early, one, contrast)).clamp(0, 255)
        if self.permute and self.strength:
            order = torch.stack([torch.randperm(3, device=device) for _ in range(count)])
            plain = torch.arange(3, device=device).expand(count, 3)
            order = torch.where((torch.rand(count, device=device) < 0.5)[:, None], order, plain)
            x = x.gather(1, order[:, :, None, None].expand_as(x))
        return {**batch, "image": x.round().to(image.dtype) if not image.is_floating_point() else x.to(image.dtype)}


def shift_hue_saturation(image: Tensor, hue: Tensor, saturation: Tensor) -> Tensor:
    """(B, 3, H, W) RGB 0..255 with the hue turned by (B, 1, 1) degrees and the saturation multiplied by (B, 1, 1); the largest channel (value) stays."""
    high, low = image.amax(1), image.amin(1)
    chroma = (high - low).clamp(min=1e-6)
    r, g, b = image.unbind(1)
    sector = torch.where(
        high == r, (g - b) / chroma, torch.where(high == g, (b - r) / chroma + 2, (r - g) / chroma + 4)
    )
    sector = sector + hue / 60
    strength = ((high - low) / high.clamp(min=1e-6) * saturation).clamp(0, 1) * high
    channels = []
    for offset in (5.0, 3.0, 1.0):
        k = torch.remainder(sector + offset, 6)
        channels.append(high - strength * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)
