"""PolyMaX (arXiv 2311.05770): dense prediction of any kind by clusters of pixels that stand for a value.

The network is kMaX-DeepLab's; instead of a class, each cluster predicts a depth, a normal, or class probabilities, and a pixel's
value is the mean of the clusters' values weighted by the pixel's cluster probabilities. The authors released neither code nor weights: the heads
below follow the paper's idea and are this project's own definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from perception.models.dense.camera import focal_of
from perception.models.dense.model import DenseModel
from perception.models.dpt.decoder import GlobalToken
from perception.models.layers.conv import resize, set_norm_momentum
from perception.models.polymax.aggregate import aggregate
from perception.models.polymax.criterion import KMaXCriterion, panoptic_targets
from perception.models.polymax.inference import MAPS, PanopticThresholds, check_inference, panoptic_result
from perception.models.polymax.kmax import ClusterTrunk
from perception.models.polymax.predictor import ClusterHead, Prediction
from perception.models.registry import register_model
from perception.options import check_choice


@register_model
class PolyMaX(DenseModel):
    """Depth, normals and segmentation by cluster values, one task or several in one pass over one shared trunk.

    Args:
        backbone: a timm name or ``{"type": ..., ...}`` (`build_backbone`).
        tasks: of "depth", "normals", "semantic", "panoptic" ("panoptic" brings the semantic map with it).
        variant: "tf" (what PolyMaX was built on) or "torch"; see `kmax`.
        depth_space: "metric": depths between `depth_range`, by sigmoid. "canonical": log canonical depth, to which the global scale and
            the vertical prior are added; works with any camera.
        depth_range: (nearest, farthest) metres of "metric"; of "canonical" only the ratio to the prior, exp(+-`log_range`).
        depth_focal: focal length in network pixels at which the range of "metric" holds; at another the result is scaled by focal / depth_focal,
            so that zooming augmentations stay consistent with one camera's data. None: depths do not depend on the camera.
        log_range: largest difference of a cluster's log depth from the prior.
        separate_heads: each task groups the pixels in its own way in the final prediction; otherwise one grouping serves all.
        mask_channels: width of the space in which pixels meet clusters.
        mask_gain: initial spread of the mask logits (published: 0.1).
        norm_momentum: of all batch norms; None keeps the published 0.01. Short trainings need about 0.1.
        pixel_decoder, decoder: keyword arguments of `PixelDecoder` and `KMeansDecoder` that differ from the published sizes.
        deep_weight: weight of the losses on the decoder layers' own predictions; 0 leaves them out.
        out_stride: stride of the outputs (the clusters group pixels at the stride of the trunk's shallowest map).
        thing_classes: classes that are things, for "panoptic".
        criterion, thresholds: keyword arguments of `KMaXCriterion` and `PanopticThresholds`, for "panoptic".
        inference: which segmentation maps results have, of "panoptic", "semantic", "instance"; for "panoptic".
        dense: further arguments of `DenseModel`, by keyword.
    """

    known_tasks = ("depth", "normals", "semantic", "panoptic")

    def __init__(
        self,
        backbone: str | Mapping[str, Any] = "convnext_tiny",
        tasks: Sequence[str] = ("depth",),
        *,
        variant: str = "tf",
        depth_space: str = "metric",
        depth_range: Sequence[float] = (1e-3, 10.0),
        depth_focal: float | None = None,
        log_range: float = 3.0,
        separate_heads: bool = True,
        mask_channels: int = 128,
        mask_gain: float = 0.1,
        norm_momentum: float | None = None,
        pixel_decoder: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        deep_weight: float = 1.0,
        out_stride: int = 1,
        thing_classes: Sequence[int] = (),
        criterion: Mapping[str, Any] | None = None,
        thresholds: Mapping[str, float] | None = None,
        inference: Sequence[str] = MAPS,
        **dense: Any,
    ) -> None:
        super().__init__(tasks, **dense)
        check_choice("PolyMaX's depth_space", depth_space, ("metric", "canonical"))
        self.depth_space, self.depth_range, self.log_range = depth_space, tuple(depth_range), log_range
        self.depth_focal = depth_focal
        self.deep_weight, self.out_stride = deep_weight, out_stride
        self.thing_classes, self.thresholds = tuple(thing_classes), PanopticThresholds(**(thresholds or {}))
        self.inference = check_inference(inference)
        self.segments = "panoptic" in self.tasks
        values = {task: size for task, size in (("depth", 1), ("normals", 3)) if task in self.tasks}
        has_classes = self.segments or "semantic" in self.tasks
        shared = {
            "mask_channels": mask_channels,
            "mask_gain": mask_gain,
            "values": values,
            "num_classes": self.num_classes if has_classes else 0,
        }
        self.trunk = ClusterTrunk(
            backbone, variant=variant, pixel_decoder=pixel_decoder, decoder=decoder, predictor=shared
        )
        self._build_camera(self.trunk.backbone)
        groups: dict[str, dict[str, Any]] = {}
        if separate_heads:
            groups |= {task: {"values": {task: size}} for task, size in values.items()}
            if has_classes:
                groups["segmentation"] = {"num_classes": self.num_classes}
        else:
            groups["all"] = {"values": values, "num_classes": shared["num_classes"]}
        self.heads = nn.ModuleDict(
            {
                name: ClusterHead(
                    self.trunk.pixel_decoder.channels[-1],
                    self.trunk.channels,
                    mask_channels=mask_channels,
                    mask_gain=mask_gain,
                    **arguments,
                )
                for name, arguments in groups.items()
            }
        )
        self.token = None
        if depth_space == "canonical" or "depth" not in self.tasks:
            self.token = GlobalToken(self.trunk.backbone.channels[-1], self.trunk.backbone.channels[-1])
        if depth_space == "metric":
            self.vertical_prior = None
        set_norm_momentum(self, norm_momentum)
        self.criterion = KMaXCriterion(self.num_classes, **(criterion or {})) if self.segments else None

    @classmethod
    def default_loss_weights(cls) -> dict[str, float]:
        """Weights of the losses by name; those of the clusters are kMaX-DeepLab's."""
        weights = super().default_loss_weights()
        return weights | {"class": 3.0, "dice": 3.0, "mask": 0.3, "instance": 1.0}

    def forward(
        self, image: Tensor, intrinsics: Tensor | None = None, camera_known: Tensor | None = None
    ) -> dict[str, Any]:
        """Map RGB 0..255 (B, 3, H, W) and intrinsics (B, 3, 3) in its pixels to the outputs listed in `dense.model`, at ceil(H / out_stride).

        In training also `layers`: the same outputs of every decoder layer, at that layer's stride. With "panoptic" also `mask_logits`
        (B, N, h, w), `class_logits` (B, N, num_classes + 1; void last) and `pixel_feature` at the trunk's stride.
        """
        size = tuple(image.shape[-2:])
        intrinsics, visible, seen = self.camera_of(image, intrinsics, camera_known)
        features = self.trunk.backbone(self.normalise(image))
        token = {} if self.token is None else self.token(features[-1])
        if self.token is not None:
            context = token["context"][:, :, None, None].to(features[-1].dtype)
            features = [*features[:-1], features[-1] + context]
        if self.rays is not None:
            features = self.rays(features, visible, seen, size)
        maps, clusters, layers = self.trunk.decode(features)
        final: Prediction = {}
        for name, head in self.heads.items():
            final |= {f"{name}/{key}": value for key, value in head(maps[-1], clusters).items()}
        out_size = (
            -(-size[0] // self.out_stride),
            -(-size[1] // self.out_stride),
        )  # whole numbers: math.ceil does not export
        outputs: dict[str, Any] = {"focal": focal_of(intrinsics)}
        if token:
            outputs["scene_logits"] = token["scene_logits"]
        outputs |= self._values(self._by_task(final), visible, token, size, out_size, outputs["focal"])
        if self.segments:
            group = self._by_task(final)["segmentation"]
            outputs |= {key: group[key] for key in ("mask_logits", "class_logits", "pixel_feature")}
        if self.training and self.deep_weight > 0:
            outputs["layers"] = [self._layer(layer, visible, token, size, outputs["focal"]) for layer in layers]
        return outputs

    # --- from clusters to maps --------------------------------------------------------------------------------------------

    def _by_task(self, final: Prediction) -> dict[str, Prediction]:
        """Group final predictions by task: "depth", "normals", "segmentation"; with one shared head they are the same."""
        groups: dict[str, Prediction] = {}
        for key, value in final.items():
            name, _, leaf = key.partition("/")
            for task in (name,) if name != "all" else ("depth", "normals", "segmentation"):
                groups.setdefault(task, {})[leaf] = value
        return groups

    def _layer(
        self, layer: Prediction, visible: Tensor, token: Mapping[str, Tensor], size: tuple[int, int], focal: Tensor
    ) -> dict[str, Any]:
        """The outputs of one decoder layer at its own resolution."""
        groups = {task: layer for task in ("depth", "normals", "segmentation")}
        outputs = self._values(groups, visible, token, size, tuple(layer["mask_logits"].shape[-2:]), focal)
        if self.segments:
            outputs |= {key: layer[key] for key in ("mask_logits", "class_logits", "pixel_feature")}
        return outputs

    def _values(
        self,
        groups: Mapping[str, Prediction],
        visible: Tensor,
        token: Mapping[str, Tensor],
        size: tuple[int, int],
        out_size: tuple[int, int],
        focal: Tensor,
    ) -> dict[str, Tensor]:
        """Aggregate the clusters' values, then enlarge to `out_size`."""
        outputs: dict[str, Tensor] = {}
        if "depth" in self.tasks:
            raw = groups["depth"]["value.depth"]
            if self.depth_space == "metric":
                near, far = self.depth_range
                values = near + (far - near) * raw.float().sigmoid()
                if self.depth_focal is not None:
                    values = values * (focal / self.depth_focal).view(-1, 1, 1)
                outputs["depth"] = resize(aggregate(groups["depth"]["mask_logits"], values), out_size)
            else:
                values = self.log_range * raw.float().tanh()
                dense = resize(aggregate(groups["depth"]["mask_logits"], values), out_size)
                outputs["log_depth"] = self.compose_log_depth(
                    dense, visible, token["scene_logits"], token["log_scale"], size
                )
        if "normals" in self.tasks:
            group = groups["normals"]
            outputs["normals"] = resize(aggregate(group["mask_logits"], group["value.normals"]), out_size)
        if "semantic" in self.tasks or self.segments:
            group = groups["segmentation"]
            classes = group["class_logits"].float().softmax(-1)[..., :-1]
            probability = resize(aggregate(group["mask_logits"], classes), out_size)
            outputs["semantic_logits"] = probability.clamp(min=1e-6).log()
        return outputs

    # --- losses -----------------------------------------------------------------------------------------------------------

    def loss(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Losses of the final maps ("loss_...") and, averaged over the decoder's layers, of theirs ("loss_..._layers")."""
        found = super().loss(outputs, batch)
        targets, assignment = None, None
        if self.segments and "semantic" in batch:
            targets = panoptic_targets(batch, outputs["mask_logits"].shape[-2:], self.num_classes, self.thing_classes)
            assignment = self.criterion.match(outputs, targets)
            found |= self._cluster_losses(outputs, targets, assignment)
        layers = outputs.get("layers", ())
        if layers and self.deep_weight > 0:
            totals: dict[str, Tensor] = {}
            for layer in layers:
                losses = {
                    f"loss_{name}": self.loss_weights[name] * value
                    for name, value in self._losses(layer, outputs["focal"], batch).items()
                }
                if targets is not None:
                    losses |= self._cluster_losses(layer, targets, assignment)
                for name, value in losses.items():
                    totals[name] = totals.get(name, 0) + value
            found |= {f"{name}_layers": self.deep_weight * value / len(layers) for name, value in totals.items()}
        return found

    def _cluster_losses(self, prediction: Mapping[str, Tensor], targets: Any, assignment: Any) -> dict[str, Tensor]:
        losses = self.criterion(prediction, targets, assignment)
        return {f"loss_{name}": self.loss_weights[name] * value for name, value in losses.items()}

    def extra_results(self, outputs: Mapping[str, Any], index: int, size: tuple[int, int]) -> dict[str, Any]:
        """The panoptic part of one picture's prediction."""
        if not self.segments:
            return {}
        result = panoptic_result(
            outputs["class_logits"][index],
            outputs["mask_logits"][index],
            size,
            self.thing_classes,
            self.class_names,
            self.thresholds,
            inference=self.inference,
        )
        return {"segmentation": result}
