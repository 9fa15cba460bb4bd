"""kMaX-DeepLab as a registered model: network, preprocessing, losses and panoptic results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from perception.models.dense.preprocess import Preprocess
from perception.models.polymax.criterion import KMaXCriterion, auxiliary_semantic_loss, panoptic_targets
from perception.models.polymax.inference import MAPS, PanopticThresholds, check_inference, panoptic_result
from perception.models.polymax.kmax import KMaXNetwork
from perception.models.preprocess import Prepared
from perception.models.registry import register_model
from perception.options import with_changes

LOSS_WEIGHTS = {"class": 3.0, "dice": 3.0, "mask": 0.3, "instance": 1.0, "semantic": 1.0}


@register_model
class KMaXDeepLab(KMaXNetwork):
    """Panoptic segmentation (arXiv 2207.04044). Its state dict is what `weights.convert` makes of the official checkpoints.

    Args:
        backbone: ``{"type": "BottleneckResNet"}`` and ``{"type": "PaddedConvNeXt", "size": "tiny"}`` for the published weights; any timm name.
        num_classes: real classes (void is added): COCO 133, ADE20K 150, Cityscapes 19.
        thing_classes: classes that are things; COCO: the first 80.
        variant: "torch" for checkpoints of the PyTorch port, "tf" for TensorFlow's (see `kmax`).
        semantic_head: the auxiliary head of training: "aspp", "cityscapes" or None.
        mask_channels, pixel_decoder, decoder, decoder_dilation, align_corners, aux_low_level_activation: see `KMaXNetwork`, `ClusterTrunk`.
        class_names: names of the classes.
        thresholds: keyword arguments of `PanopticThresholds`.
        inference: which maps results have, of "panoptic", "semantic", "instance".
        criterion: keyword arguments of `KMaXCriterion`.
        preprocess: keyword arguments of `Preprocess`; both sides are 32 k + 1 by default, where every stride halves exactly.
        loss_weights: entries of `LOSS_WEIGHTS` to change.
        semantic_samples: pixels a picture of the auxiliary loss; None takes all (Cityscapes).
    """

    camera_kind = "pinhole"
    tasks = ("segmentation",)

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        *,
        num_classes: int,
        thing_classes: Sequence[int] = (),
        class_names: Sequence[str] = (),
        thresholds: Mapping[str, float] | None = None,
        inference: Sequence[str] = MAPS,
        criterion: Mapping[str, Any] | None = None,
        preprocess: Mapping[str, Any] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        semantic_samples: int | None = 4096,
        **network: Any,
    ) -> None:
        super().__init__(backbone, num_classes=num_classes, **network)
        self.num_classes = num_classes
        self.thing_classes, self.class_names = tuple(thing_classes), tuple(class_names)
        self.thresholds = PanopticThresholds(**(thresholds or {}))
        self.inference = check_inference(inference)
        self.criterion = KMaXCriterion(num_classes, **(criterion or {}))
        self.preprocess = Preprocess(**{"pixels": 641 * 641, "offset": 1, **(preprocess or {})})
        self.loss_weights = with_changes("the loss weights", LOSS_WEIGHTS, loss_weights)
        self.semantic_samples = semantic_samples

    def forward(
        self,
        image: Tensor,
        intrinsics: Tensor | None = None,
        camera_known: Tensor | None = None,
        auxiliary: bool | None = None,
    ) -> dict[str, Any]:
        """As `KMaXNetwork.forward`; the camera is accepted and not used."""
        return super().forward(image, auxiliary)

    def inputs(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of `forward` from a collated batch."""
        return {"image": batch["image"]}

    def loss(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Weighted losses ("loss_..."): final prediction, decoder layers (summed, as published) and the auxiliary semantic head."""
        size = outputs["mask_logits"].shape[-2:]
        targets = panoptic_targets(batch, size, self.num_classes, self.thing_classes)
        assignment = self.criterion.match(outputs, targets)
        found = {f"loss_{k}": v for k, v in self.criterion(outputs, targets, assignment).items()}
        for layer in outputs.get("layers", ()):
            for name, value in self.criterion(layer, targets, assignment).items():
                found[f"loss_{name}_layers"] = found.get(f"loss_{name}_layers", 0) + value
        if "semantic_logits" in outputs:
            truth = batch["semantic"].long()
            found["loss_semantic"] = auxiliary_semantic_loss(
                outputs["semantic_logits"], truth, samples=self.semantic_samples, ignore=255
            )
        weights = self.loss_weights
        return {k: weights[k.removeprefix("loss_").removesuffix("_layers")] * v for k, v in found.items()}

    def predict(
        self, outputs: Mapping[str, Any], cameras: Sequence[Any], sizes: Sequence[Any] | None = None
    ) -> list[Any]:
        """Return one `Prediction` with a segmentation a picture; arguments as in `DenseModel.predict`."""
        from perception.results import Prediction

        results = []
        for index, item in enumerate(cameras):
            prepared = isinstance(item, Prepared)
            size = item.image.shape[:2] if prepared else tuple(sizes[index])
            target = item.transform.target[::-1] if prepared else size
            masks = outputs["mask_logits"][index]
            segmentation = panoptic_result(
                outputs["class_logits"][index],
                masks,
                size,
                self.thing_classes,
                self.class_names,
                self.thresholds,
                network_size=target,
                align_corners=self._align_corners(target[1]),
                inference=self.inference,
            )
            results.append(
                Prediction(
                    segmentation=segmentation,
                    camera=item.camera if prepared else item,
                    image=item.image if prepared else None,
                )
            )
        return results

    def _align_corners(self, width: int) -> bool:
        """How masks are enlarged to the network's picture: "parity" looks at the picture's width here."""
        rule = self.trunk.align_corners
        return width % 2 == 1 if rule == "parity" else bool(rule)
