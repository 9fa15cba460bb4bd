"""Depth Anything V2 (arXiv 2406.09414): relative inverse depth or metric depth from one picture.

Relative models say how near things are, up to an unknown scale and shift: larger is nearer, 0 is far away. Metric models say z along the optical
axis in metres. `DepthResult.kind` tells them apart; `DepthResult.fit_metric` turns the first into the second with some known points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import InputError, RecipeError
from perception.models.depth_anything.dpt_head import DPTHead
from perception.models.depth_anything.losses import scale_shift_invariant, silog, valid_pixels
from perception.models.depth_anything.preprocess import DepthAnythingPreprocess
from perception.models.depth_anything.vit import PATCH, DinoV2
from perception.models.layers.token_clustering import TokenClustering
from perception.models.preprocess import Prepared
from perception.models.registry import register_model
from perception.options import check_choice

# dim, depth, heads, taps, feed-forward kind, features and channels of the head
SIZES: dict[str, tuple[int, int, int, tuple[int, ...], str, int, tuple[int, ...]]] = {
    "vits": (384, 12, 6, (2, 5, 8, 11), "mlp", 64, (48, 96, 192, 384)),
    "vitb": (768, 12, 12, (2, 5, 8, 11), "mlp", 128, (96, 192, 384, 768)),
    "vitl": (1024, 24, 16, (4, 11, 17, 23), "mlp", 256, (256, 512, 1024, 1024)),
    "vitg": (1536, 40, 24, (9, 19, 29, 39), "swiglu", 384, (1536, 1536, 1536, 1536)),
}


def build_encoder(size: str, token_clustering: bool | Mapping[str, Any] | None = None) -> tuple[DinoV2, DPTHead]:
    """The transformer, its tokens clustered at evaluation if asked for, and the head of "vits", "vitb", "vitl" or "vitg".

    Raises `RecipeError` for other names.
    """
    check_choice("Depth Anything V2's size", size, SIZES)
    dim, depth, heads, taps, ffn, features, channels = SIZES[size]
    encoder = DinoV2(dim, depth, heads, taps, ffn)
    if token_clustering:
        settings = {} if token_clustering is True else dict(token_clustering)
        TokenClustering(encoder, **{"taps": taps, **settings})
    return encoder, DPTHead(dim, features, channels)


@register_model
class DepthAnythingV2(nn.Module):
    """Depth from one picture of any size.

    Args:
        size: "vits", "vitb", "vitl" or "vitg".
        max_depth: None for the relative model; metres at which the metric model saturates: 20 for the Hypersim weights, 80 for the VKITTI ones. It
            belongs to the weights and is no knob: another value scales every answer.
        input_size: shorter side of the network's input, see `DepthAnythingPreprocess`.
        token_clustering: True or the settings of `TokenClustering`: fewer tokens in the later blocks at evaluation, nothing trained.
    """

    tasks = ("depth",)
    camera_kind = "pinhole"
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        size: str = "vits",
        *,
        max_depth: float | None = None,
        input_size: int = 518,
        token_clustering: bool | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if max_depth is not None and not max_depth > 0:
            raise RecipeError(f"max_depth must be positive metres, or None for the relative model; found {max_depth}")
        self.size, self.max_depth = size, max_depth
        self.preprocess = DepthAnythingPreprocess(input_size)
        self.encoder, self.head = build_encoder(size, token_clustering)
        self.register_buffer("pixel_mean", torch.tensor(self.mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("pixel_std", torch.tensor(self.std).view(3, 1, 1) * 255, persistent=False)

    @property
    def kind(self) -> str:
        """ "inverse" (relative model) or "metric"."""
        return "inverse" if self.max_depth is None else "metric"

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Arguments of `forward` from ``image`` (B, 3, H, W) 0..255; sides that are no multiples of 14 are resized to the nearest ones."""
        images = batch["image"]
        if not isinstance(images, Tensor):
            shapes = {tuple(x.shape) for x in images}
            if len(shapes) > 1:
                raise InputError(f"pictures of one batch must have one size; found {sorted(shapes)}")
            images = torch.stack(list(images))
        images = images.to(self.pixel_mean.device)
        size = tuple(max(1, round(n / PATCH)) * PATCH for n in images.shape[-2:])
        if size != tuple(images.shape[-2:]):
            images = F.interpolate(
                images.to(self.pixel_mean.dtype), size, mode="bilinear", align_corners=False, antialias=True
            )
        return {"image": images}

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) RGB 0..255 of any dtype, sides multiples of 14 -> ``depth`` (B, H, W): inverse depth >= 0 without unit, or metres."""
        return {"depth": self.infer((image.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std)}

    def infer(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, H, W) inverse depth or metres."""
        grid = (images.shape[-2] // PATCH, images.shape[-1] // PATCH)
        tokens, _ = self.encoder(images)
        return self.activate(self.head(tokens, grid)[:, 0])

    def activate(self, raw: Tensor) -> Tensor:
        """The head's numbers as inverse depth or metres."""
        return raw.relu() if self.max_depth is None else raw.float().sigmoid() * self.max_depth

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Against ``depth`` (B, H, W) metres along z and, if there, ``depth_valid``: SiLog (metric) or scale-and-shift-invariant errors (relative)."""
        depth = outputs["depth"].float()
        target = torch.stack(list(batch["depth"])).to(depth)
        valid = torch.stack(list(batch["depth_valid"])).to(depth.device) if "depth_valid" in batch else None
        valid = valid_pixels(target, valid, 1e-3, self.max_depth or float("inf"))
        if depth.shape != target.shape:
            depth = F.interpolate(depth[:, None], target.shape[-2:], mode="bilinear", align_corners=True)[:, 0]
        if self.max_depth is not None:
            return {"loss_depth": silog(depth, target, valid)}
        return scale_shift_invariant(depth, target, valid)

    @torch.no_grad()
    def predict(
        self, outputs: Mapping[str, Tensor], cameras: Sequence[Any], sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[Any]:
        """One `Prediction` with ``depth`` a picture, at the picture's size.

        cameras: what `preprocess` returned for each picture; or cameras of the pictures of a batch, with their `sizes` (height, width).
        """
        from perception.results import DepthResult, Prediction

        results = []
        for index, (depth, item) in enumerate(zip(outputs["depth"].detach().float(), cameras, strict=True)):
            prepared = isinstance(item, Prepared)
            camera, image = (item.camera, item.image) if prepared else (item, None)
            size = item.image.shape[:2] if prepared else sizes[index]
            depth = DepthResult(resize_to(depth, size).cpu().numpy(), kind=self.kind, camera=camera)
            results.append(Prediction(depth=depth, image=image, camera=depth.camera))
        return results


def resize_to(depth: Tensor, size: tuple[int, int]) -> Tensor:
    """(h, w) -> (H, W), bilinear with aligned corners as the official code does."""
    return F.interpolate(depth[None, None], tuple(size), mode="bilinear", align_corners=True)[0, 0]
