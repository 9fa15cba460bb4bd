"""The detector that MonoDETR and MonoDINO-DETR share: from a pyramid and a depth map to boxes, their losses and their results.

Conventions: see `perception.models.monodetr.model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perception.errors import InputError, RecipeError
from perception.geometry.cameras import Pinhole
from perception.models.layers.deformable_attention import MultiScaleDeformableAttention
from perception.models.monodetr.decoder import DepthGuidedDecoder
from perception.models.monodetr.depth_bins import DepthBins
from perception.models.monodetr.encoder import DeformableEncoder
from perception.models.monodetr.heads import QueryHeads
from perception.models.monodetr.losses import MonoCriterion
from perception.models.monodetr.postprocess import MonoPostprocess, foreground_depth
from perception.models.monodetr.preprocess import MonoPreprocess
from perception.models.monodetr.proposals import CentreProposals
from perception.models.monodetr.targets import VirtualLens, encode_batch
from perception.models.preprocess import Prepared
from perception.options import check_choice

KITTI_CLASSES = ("Pedestrian", "Car", "Cyclist")


class MonoDetector(nn.Module):
    """What MonoDETR and MonoDINO-DETR share: encoder, decoder, heads, losses, prediction. Subclasses provide `features`.

    Args:
        classes: names of the object classes, in the order of the logits.
        image_size: (height, width) of the network's input, pixels.
        dim, heads, ffn_dim, points, dropout: widths and rates of the transformer.
        levels: maps in the pyramid.
        encoder_layers, decoder_layers: numbers of layers.
        num_queries: objects that can be found in one picture.
        query_groups: groups of queries in training; each is matched to all objects (group-wise one-to-many assignment). 1 switches it off.
        query_start: "learnt", as published; or "peaks": queries start at the peaks of a heat map of centres (`proposals`), which learns many times faster.
        depth_bins, depth_range: classes of the depth map between two depths, metres.
        object_depth_range: objects outside are not learnt, metres (as seen by `virtual_focal`, where that is set).
        heading_bins: bins over the full turn.
        virtual_focal: None, or a focal length in network pixels at which all depths are meant: pictures of other cameras are learnt and predicted as if
            taken with it, so that one network serves cameras of different focal lengths. Set the attribute to None to switch it off.
        focal_tolerance: cameras whose focal length differs from `virtual_focal` by at most this share are taken as they are.
        convention: "exact", or "official" for the arithmetic of the released code with all its approximations (see `MonoPreprocess`, `MonoPostprocess`).
        score_threshold, max_detections: what `predict` keeps.
        loss_weights: replaces some of `MonoCriterion.WEIGHTS`.
    """

    tasks = ("boxes3d",)
    camera_kind = "pinhole"
    dynamic_anchors = False
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        *,
        classes: Sequence[str] = KITTI_CLASSES,
        num_logits: int | None = None,
        image_size: tuple[int, int] = (384, 1280),
        dim: int = 256,
        heads: int = 8,
        ffn_dim: int = 256,
        points: int = 4,
        dropout: float = 0.1,
        levels: int = 4,
        encoder_layers: int = 3,
        decoder_layers: int = 3,
        num_queries: int = 50,
        query_groups: int = 11,
        query_start: str = "learnt",
        depth_bins: int = 80,
        depth_range: tuple[float, float] = (1e-3, 60.0),
        object_depth_range: tuple[float, float] = (2.0, 65.0),
        heading_bins: int = 12,
        virtual_focal: float | None = None,
        focal_tolerance: float = 0.0,
        convention: str = "exact",
        score_threshold: float = 0.2,
        max_detections: int = 50,
        loss_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        num_logits = len(classes) if num_logits is None else num_logits
        if num_logits < len(classes) or not classes:
            raise RecipeError(
                f"a detector needs at least one class and a logit for each; found {len(classes)} classes, {num_logits} logits"
            )
        if dim % 32 or min(num_queries, query_groups, decoder_layers) < 1:
            raise RecipeError(
                "a MonoDETR needs dim divisible by 32 and at least one query, group and decoder layer; "
                f"found dim {dim}, {num_queries} queries, {query_groups} groups, {decoder_layers} layers"
            )
        check_choice("MonoDETR's query_start", query_start, ("learnt", "peaks"))
        self.classes = tuple(classes)
        self.num_queries, self.query_groups = num_queries, query_groups
        self.bins = DepthBins(depth_bins, *depth_range)
        self.object_depth_range = tuple(object_depth_range)
        self.heading_bins = heading_bins
        self.virtual_focal, self.focal_tolerance = virtual_focal, focal_tolerance
        self.preprocess = MonoPreprocess(image_size, convention)
        self.postprocess = MonoPostprocess(self.classes, convention, score_threshold, max_detections)
        self.criterion = MonoCriterion(self.bins, heading_bins, loss_weights, convention)
        self.encoder = DeformableEncoder(encoder_layers, dim, heads, levels, points, ffn_dim, dropout)
        self.decoder = DepthGuidedDecoder(
            decoder_layers,
            dim,
            heads,
            levels,
            points,
            ffn_dim,
            dropout,
            num_queries * query_groups,
            "given" if query_start == "peaks" else "boxes" if self.dynamic_anchors else "points",
        )
        self.proposals = CentreProposals(dim, num_logits) if query_start == "peaks" else None
        self.heads = nn.ModuleList(
            QueryHeads(dim, num_logits, heading_bins, first=index == 0 and self.proposals is None)
            for index in range(decoder_layers)
        )
        for module in (*self.encoder.modules(), *self.decoder.layers.modules()):
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
        for module in self.modules():
            if isinstance(module, MultiScaleDeformableAttention):
                module.reset_parameters()
        self.register_buffer("pixel_mean", torch.tensor(self.mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("pixel_std", torch.tensor(self.std).view(3, 1, 1) * 255, persistent=False)

    @property
    def convention(self) -> str:
        """ "exact" or "official"."""
        return self.preprocess.convention

    @property
    def lens(self) -> VirtualLens | None:
        """The virtual camera of `virtual_focal`."""
        return None if self.virtual_focal is None else VirtualLens(self.virtual_focal, self.focal_tolerance)

    def features(self, images: Tensor) -> tuple[list[Tensor], tuple[Tensor, Tensor, Tensor]]:
        """(B, 3, H, W) normalised -> pyramid of (B, dim, h, w) maps, and (depth logits, expected depth, depth tokens)."""
        raise NotImplementedError

    # -- from pictures to outputs --------------------------------------------------------------------------------------

    def normalise(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) 0..255 -> float with zero mean and unit variance over ImageNet."""
        return (image.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Arguments of `forward` from a batch with ``image`` (B, 3, H, W) uint8 and ``intrinsics`` (B, 3, 3) of that image.

        In training, pictures go in as they are, whatever their one size; transforms have fitted them. Otherwise pictures of any sizes are fitted into
        `image_size`.
        """
        images, device = batch["image"], self.pixel_mean.device
        wanted = (self.preprocess.height, self.preprocess.width)
        if one_size(images) and (self.training or tuple(images[0].shape[-2:]) == wanted):
            images = _stacked(images).to(device)
            intrinsics = _stacked(batch["intrinsics"]).to(device, torch.float32)
            focal = intrinsics[:, 1, 1].contiguous()
            return {"image": images, "focal": focal, "height": torch.full_like(focal, float(images.shape[-2]))}
        prepared = [
            self.preprocess(x.permute(1, 2, 0).cpu().numpy(), Pinhole.from_matrix(k, x.shape[-1], x.shape[-2]))
            for x, k in zip(images, batch["intrinsics"], strict=True)
        ]
        return {name: torch.stack([p.inputs[name] for p in prepared]).to(device) for name in prepared[0].inputs}

    def forward(self, image: Tensor, focal: Tensor, height: Tensor) -> dict[str, Any]:
        """Find the objects.

        Args:
            image: (B, 3, H, W) RGB, 0..255, any dtype.
            focal: (B,) focal length in pixels, of a picture that is `height` pixels high and shows the same rows.
            height: (B,) that height: H when the focal length is the network input's.

        Returns:
            What `detect` returns.
        """
        if self.lens is not None:
            focal = focal * (image.shape[-2] / height)
            focal, height = focal / self.lens.ratio(focal), torch.full_like(height, float(image.shape[-2]))
        return self.detect(self.normalise(image), focal, height)

    def detect(self, images: Tensor, focal: Tensor, height: Tensor) -> dict[str, Any]:
        """`forward` on normalised pictures.

        Returns:
            What `QueryHeads` returns, for the last decoder layer; ``depth_logits`` (B, bins + 1, h, w); ``depth_map`` (B, h, w) expected depth, metres.
            In training all groups of queries (group after group), ``auxiliary``, a list with the heads' results of the earlier layers, and with
            query_start "peaks" ``proposals``, what `CentreProposals` returns.
        """
        maps, (depth_logits, depth_map, depth_tokens) = self.features(images)
        memory, shapes = self.encoder(maps)
        groups = self.query_groups if self.training else 1
        found = start = None
        if self.proposals is not None:
            found = self.proposals(memory, shapes[0])
            start = self.proposals.start(found, self.num_queries, groups)
        box_heads = [heads.box for heads in self.heads]
        states, boxes = self.decoder(memory, shapes, depth_tokens, box_heads, self.num_queries * groups, groups, start)
        wanted = range(len(states)) if self.training else [len(states) - 1]
        layers = [self.heads[i](states[i], boxes[i], depth_map, focal, height) for i in wanted]
        outputs = {**layers[-1], "depth_logits": depth_logits, "depth_map": depth_map}
        if self.training:
            outputs["auxiliary"] = layers[:-1]
            if found is not None:
                outputs["proposals"] = found
        return outputs

    # -- what the outputs are for --------------------------------------------------------------------------------------

    def loss(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Weighted losses of every decoder layer, and of the depth map.

        batch: ``boxes3d``, ``labels3d``, ``boxes2d`` as lists with (N, 7), (N,), (N, 4) for each picture (boxes2d in pixels of ``image``;
            projected from the 3D boxes where the batch has none), ``intrinsics`` and ``image``.
        """
        logits = outputs["logits"]
        if not one_size(batch["image"]):
            raise InputError("training needs pictures of one size; give the data set a `size`")
        height, width = (int(n) for n in batch["image"][0].shape[-2:])
        targets = encode_batch(
            batch,
            (width, height),
            heading_bins=self.heading_bins,
            depth_range=self.object_depth_range,
            lens=self.lens,
            convention=self.convention,
            device=logits.device,
        )
        groups = logits.shape[1] // self.num_queries
        return self.criterion.weighted(self.criterion(outputs, targets, groups))

    def predict(
        self, outputs: Mapping[str, Tensor], cameras: Sequence[Any], sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[Any]:
        """One `Prediction` with ``boxes3d`` a picture, in the pixels and the camera frame of the original pictures.

        Args:
            outputs: of `forward`.
            cameras: what `preprocess` returned for each picture (then the prediction has the foreground's ``depth`` too); or the `Pinhole` of each picture
                of a batch that went through `inputs`, with
            sizes: the (height, width) of those pictures.
        """
        from perception.results import Prediction

        if len(cameras) and isinstance(cameras[0], Prepared):
            depths = foreground_depth(outputs, cameras, self.lens)
            boxes = self.postprocess(outputs, [p.camera for p in cameras], [p.transform for p in cameras], self.lens)
            return [
                Prediction(boxes3d=b, depth=d, image=p.image, camera=p.camera, notes=doubts(p.camera))
                for b, d, p in zip(boxes, depths, cameras, strict=True)
            ]
        for camera, size in zip(cameras, sizes or (), strict=True):
            if not isinstance(camera, Pinhole) or (camera.height, camera.width) != tuple(size):
                raise InputError(
                    f"3D boxes need the pinhole camera of each picture; for one of {size[1]}x{size[0]} pixels found {camera}"
                )
        transforms = [self.preprocess.transform(*camera.size) for camera in cameras]
        boxes = self.postprocess(outputs, cameras, transforms, self.lens)
        return [Prediction(boxes3d=b, camera=camera) for b, camera in zip(boxes, cameras, strict=True)]


def doubts(camera: Pinhole) -> tuple[str, ...]:
    """Sentences for the user about a camera that makes places doubtful."""
    if 0 <= camera.cx <= camera.width and 0 <= camera.cy <= camera.height:
        return ()
    return (
        f"the camera's centre ({camera.cx:.0f}, {camera.cy:.0f}) lies outside the picture of {camera.width}x{camera.height} pixels; "
        "the calibration seems to be of another picture",
    )


def one_size(images: Any) -> bool:
    """Whether all pictures of a batch (tensor or list) have one size."""
    return isinstance(images, Tensor) or len({tuple(x.shape) for x in images}) == 1


def _stacked(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.stack([torch.as_tensor(x) for x in value])
