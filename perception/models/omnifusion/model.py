"""OmniFusion: depth of a panorama through tangent images (Li et al., CVPR 2022, arXiv 2203.00838).

    panorama -> N tangent images -> encoder (+ geometry embedding) -> one token a patch, transformer over patches -> decoder -> depth and confidence
    of each patch -> merged into one panorama -> (passes after the first: the merged depth refines the geometry embedding)

Depth is the Euclidean range, metres. The defaults are the released single-pass model; `weights.build_official` reads the variant from a checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError
from perception.geometry.tangent import Size, TangentLayout
from perception.geometry.tangent_merge import ready
from perception.models.dense.losses import log_depth_losses, masked_mean
from perception.models.dense.losses import nearest as nearest_pixels
from perception.models.omnifusion.decoder import PatchDecoder
from perception.models.omnifusion.encoder import build_patch_encoder, stacked
from perception.models.omnifusion.fusion import PatchTransformer
from perception.models.omnifusion.geometry import CHANNELS, GeometryEmbedding
from perception.models.omnifusion.losses import KINDS, depth_loss
from perception.models.omnifusion.preprocess import PanoramaPreprocess, resize_panorama
from perception.models.omnifusion.prior import LatitudePrior
from perception.models.registry import register_model
from perception.ops.constants import is_tracing

_CHUNK_PIXELS = (
    6 * 128 * 128
)  # patch pixels that go through encoder and decoder together in evaluation: memory, not numbers


@register_model
class OmniFusion(nn.Module):
    """Range of every direction of a panorama.

    Args:
        backbone: patch encoder: a timm name, ``{"name", "pretrained", "model_args"}``, or any trunk of `build_backbone`.
        size: (H, W) of the panorama in the network; pictures of other sizes are resized to it and back.
        rings, fov, convention: of `TangentLayout`. patch: side of a patch, or (h, w), pixels.
        geometry: "ray", "centre" or "pixel" (`geometry.CHANNELS`). passes: number of passes; more than one needs "ray", and the attribute `passes` may then be set
            to any number.
        confidence: merge by the learned confidence. merge: "average" or "feathered".
        depth, heads: of the transformer over patches.
        full_resolution: decode to the patch's own pixels; False stops at half of them, which costs a third.
        space: "metric" (the patches' ReLU is the depth) or "log" (logarithms are merged; with the latitude prior and a global scale).
        validity: also predict where there is depth at all (no sky), trained on ``depth_valid``.
        normalise: "imagenet" (RGB) or "bgr" (0..1, as the released weights want it).
        loss: of `losses.KINDS`, or "log-gradient". max_depth: truth beyond it is not trained on, metres.
        allow_holes: accept layouts that do not see the whole sphere (the released 3-ring layout); those directions are invalid.
    """

    tasks = ("depth",)
    camera_kind = "equirectangular"

    def __init__(
        self,
        backbone: str | Mapping[str, Any] = "resnet34",
        size: Sequence[int] = (512, 1024),
        *,
        rings: int = 4,
        fov: float | Sequence[float] = 80.0,
        patch: int | Sequence[int] = 128,
        convention: str = "official",
        geometry: str = "centre",
        passes: int = 1,
        confidence: bool = True,
        merge: str = "average",
        depth: int = 6,
        heads: int = 4,
        full_resolution: bool = True,
        space: str = "metric",
        validity: bool = False,
        normalise: str = "bgr",
        loss: str = "berhu",
        max_depth: float = math.inf,
        allow_holes: bool = False,
    ) -> None:
        """Raises `RecipeError` for options that do not exist and `InputError` for layouts that leave holes."""
        super().__init__()
        for value, known, name in (
            (geometry, CHANNELS, "geometry"),
            (space, ("metric", "log"), "space"),
            (merge, ("average", "feathered"), "merge"),
            (normalise, ("bgr", "imagenet"), "normalise"),
            (loss, (*KINDS, "log-gradient"), "loss"),
        ):
            if value not in known:
                raise RecipeError(f"{name} of OmniFusion is one of {', '.join(known)}; found {value!r}")
        if passes < 1 or (passes > 1 and geometry != "ray"):
            raise RecipeError(
                f"OmniFusion makes one pass, or several with geometry='ray'; found {passes} with {geometry!r}"
            )
        self.layout = TangentLayout(rings, fov if isinstance(fov, int | float) else tuple(fov), convention)
        self.patch: Size = (patch, patch) if isinstance(patch, int) else tuple(patch)
        self.size: Size = (int(size[0]), int(size[1]))
        self.allow_holes = allow_holes
        self.passes, self.confidence, self.merge_mode = passes, confidence, merge
        self.space, self.loss_kind, self.max_depth, self.normalise_kind = space, loss, max_depth, normalise
        self.preprocess = PanoramaPreprocess(self.size)
        self.encoder = build_patch_encoder(backbone)
        widths = self.encoder.geometry_channels
        self.geometry = GeometryEmbedding(geometry, widths)
        self.geometry_again = GeometryEmbedding("ray", widths) if passes > 1 else None
        grid = tuple(-(-side // self.encoder.strides[-1]) for side in self.patch)
        self.fusion = PatchTransformer(self.encoder.channels[-1], grid, self.layout.patches, depth, heads)
        self.decoder = PatchDecoder(self.encoder.channels, full_resolution)
        self.pred = nn.Conv2d(self.decoder.out_channels, 1, 3, padding=1)
        self.weight_pred = nn.Conv2d(self.decoder.out_channels, 1, 3, padding=1)
        self.valid_pred = nn.Conv2d(self.decoder.out_channels, 1, 3, padding=1) if validity else None
        if self.valid_pred is not None:
            nn.init.constant_(self.valid_pred.bias, 2.0)  # most of a panorama has depth
        # Distributed training hangs on parameters without a gradient.
        if not confidence:
            self.weight_pred.requires_grad_(False)
        self.prior = LatitudePrior(self.encoder.channels[-1]) if space == "log" else None
        if space == "log":
            for head in (self.pred, self.weight_pred):
                nn.init.trunc_normal_(head.weight, std=0.01)
                nn.init.zeros_(head.bias)
        if not allow_holes:
            self.layout.check(self.patch, self.size)
        mean, std = (self.encoder.mean, self.encoder.std) if normalise == "imagenet" else ((0, 0, 0), (1, 1, 1))
        self.register_buffer("pixel_mean", 255 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer(
            "pixel_std", 255 * torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1), persistent=False
        )

    # -- the network ----------------------------------------------------------------------------------------------------

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """``image`` (B, 3, H, W), 0..255."""
        return {"image": batch["image"]}

    def normalise(self, image: Tensor) -> Tensor:
        """Map RGB in 0..255 to the encoder's input."""
        image = (image.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std
        return image.flip(1) if self.normalise_kind == "bgr" else image

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map panoramas (B, 3, H, W), RGB 0..255 of any dtype, to named maps of the same size.

        ``depth`` (B, 1, H, W) metres, of the last pass; ``depths`` (B, passes, H, W); ``confidence`` (B, 1, H, W) in 0..1 where it is used;
        ``valid_logits`` (B, 1, H, W) with `validity`; ``scene_logits`` (B, 2) in log space.
        """
        return self.infer(self.normalise(image))

    def infer(
        self, image: Tensor, passes: int | None = None, confidence: bool | None = None, trace: list | None = None
    ) -> dict[str, Tensor]:
        """The same on normalised panoramas. trace: receives each pass's inner values, for comparison with a reference."""
        batch, size = image.shape[0], tuple(image.shape[-2:])
        by_confidence = self.confidence if confidence is None else confidence
        if not torch.is_grad_enabled():
            ready(self.layout, self.patch, size, self.merge_mode, image.device)
        patches = self.layout.sample(image, self.patch).flatten(0, 1)  # (B N, 3, h, w)
        whole = torch.is_grad_enabled() or is_tracing()  # a recorded loop would fix the batch
        chunk = 0 if whole else max(1, _CHUNK_PIXELS // (self.patch[0] * self.patch[1]))
        begun = stacked(self.encoder.begin, [patches], chunk)
        like = patches.new_empty(0)
        del patches
        joined = begun if len(self.encoder.geometry_channels) > 1 else begun[1:2]
        sizes = [tuple(feature.shape[-2:]) for feature in joined]
        outputs: dict[str, Tensor] = {}
        depths: list[Tensor] = []
        for index in range(passes or self.passes):
            if index == 0:
                geometry = self.geometry(self.layout, sizes, None, like)
                geometry = geometry if batch == 1 else [g.repeat(batch, 1, 1, 1) for g in geometry]
            else:
                again = self.layout.sample(depths[-1].to(like.dtype), sizes[0])
                geometry = self.geometry_again(self.layout, sizes, again, like)
            raw, tokens = self._patch_maps(begun, geometry, chunk)
            outputs = self._merge(raw, tokens, batch, size, by_confidence)
            depths.append(outputs["depth"])
            if trace is not None:
                trace.append(
                    {"geometry": geometry[0], "transformer": tokens, "patch_depth": raw[0], "patch_weight": raw[1]}
                )
        return outputs | {"depths": torch.cat(depths, 1)}

    def _patch_maps(self, begun: list[Tensor], geometry: list[Tensor], chunk: int) -> tuple[list[Tensor], Tensor]:
        """Raw heads (B N, 1, h, w) and tokens (B, N, C) of one pass."""
        held = len(begun)
        same = held - len(geometry)  # the shallowest maps, which the geometry does not touch, are not copied

        def finish(*x: Tensor) -> list[Tensor]:
            return self.encoder.finish(list(x[:held]), x[held:])[same:]

        maps = begun[:same] + stacked(finish, [*begun, *geometry], chunk)
        tokens = self.fusion(maps[-1], self.layout.patches)
        maps[-1] = maps[-1] + tokens.flatten(0, 1)[:, :, None, None].to(maps[-1].dtype)
        heads = [self.pred, self.weight_pred] + ([self.valid_pred] if self.valid_pred is not None else [])

        def decode(*levels: Tensor) -> list[Tensor]:
            x = self.decoder(levels, self.patch)
            return [head(x) for head in heads]

        return stacked(decode, maps, chunk), tokens

    def _merge(
        self, raw: list[Tensor], tokens: Tensor, batch: int, size: Size, by_confidence: bool
    ) -> dict[str, Tensor]:
        """Merged maps of one pass, in float32."""
        count = self.layout.patches
        values = [value.float().unflatten(0, (batch, count)) for value in raw]  # (B, N, 1, h, w) each
        value = values[0].relu() if self.space == "metric" else values[0]
        mode = self.merge_mode
        outputs: dict[str, Tensor] = {}
        if by_confidence:
            weight = values[1].sigmoid()
            both = self.layout.merge(torch.cat([value * weight, weight], 2), size, mode, None, self.allow_holes)
            sure = both[:, 1:]
            merged = both[:, :1] / (sure + 1e-8 * (sure <= 1e-8))
            outputs["confidence"] = sure
        else:
            merged = self.layout.merge(value, size, mode, None, self.allow_holes)
        if self.valid_pred is not None:
            outputs["valid_logits"] = self.layout.merge(values[2], size, mode, None, self.allow_holes)
        if self.prior is not None:
            extra, outputs["scene_logits"] = self.prior(tokens.float(), size)
            merged = (merged + extra).clamp(-7, 7).exp()
        return outputs | {"depth": merged}

    # -- training and results -------------------------------------------------------------------------------------------

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Losses against ``depth`` (B, H, W) range, metres, and ``depth_valid``; the mean over the passes."""
        target = batch["depth"].float()
        depths = outputs["depths"]
        size = depths.shape[-2:]
        target = nearest_pixels(target, size)
        there = target > 0
        if "depth_valid" in batch:
            there = there & nearest_pixels(batch["depth_valid"], size)
        valid = there & (target <= self.max_depth)
        found: dict[str, Tensor] = {}
        if self.loss_kind == "log-gradient":
            logs = depths.clamp(min=1e-3).log().flatten(0, 1)
            repeat = depths.shape[1]
            wanted = target.clamp(min=1e-3).log().repeat_interleave(repeat, 0)
            parts = log_depth_losses(logs, wanted, valid.repeat_interleave(repeat, 0))
            weights = {"depth": 1.0, "shape": 0.5, "gradient": 1.0}
            found = {f"loss_{name}": weights[name] * value for name, value in parts.items()}
        else:
            each = [depth_loss(d[:, None], target[:, None], valid[:, None], self.loss_kind) for d in depths.unbind(1)]
            found["loss_depth"] = torch.stack(each).mean()
        if "valid_logits" in outputs:
            logits = outputs["valid_logits"][:, 0].float()
            error = F.binary_cross_entropy_with_logits(logits, there.float(), reduction="none")
            found["loss_valid"] = 0.2 * masked_mean(error, torch.ones_like(there))
        kinds = [meta.get("kind") for meta in batch.get("meta", ()) if isinstance(meta, Mapping)]
        if "scene_logits" in outputs and kinds and all(kind in ("room", "street") for kind in kinds):
            logits = outputs["scene_logits"]
            truth = torch.tensor([int(kind == "street") for kind in kinds], device=logits.device)
            found["loss_scene"] = 0.1 * F.cross_entropy(logits, truth)
        return found

    @torch.no_grad()
    def predict(
        self, outputs: Mapping[str, Tensor], cameras: Sequence[Any], sizes: Sequence[Size] | None = None
    ) -> list[Any]:
        """Return one `Prediction` a panorama, depth of kind "range" at the picture's own size.

        cameras: what `preprocess` returned for each panorama; or `Equirectangular` cameras (None: full panoramas) with the `sizes` (height, width).
        """
        from perception.models.omnifusion.predict import predictions

        return predictions(outputs, cameras, sizes)


__all__ = ["OmniFusion", "resize_panorama"]
