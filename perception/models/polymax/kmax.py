"""kMaX-DeepLab (arXiv 2207.04044): panoptic, semantic and instance segmentation by clusters of pixels.

Official code: bytedance/kmax-deeplab (PyTorch port) and google-research/deeplab2 (TensorFlow). The two differ; `variant`
selects one, and each difference has a switch of its own:

==================== ========== ========
switch               "torch"    "tf"
==================== ========== ========
decoder_dilation     1          2          of the 3x3 convolutions at strides 8 and 4
low_level_activation None       backbone's on the stride-8 and stride-4 maps of the auxiliary head
align_corners        "parity"   True       of every resizing ("parity": whether the smaller map's width is odd)
ResNet stem_pool     True       False      max-pool, or stride 2 in the first block of stage 2
ResNet preact        False      True       stage outputs before their last ReLU
==================== ========== ========
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perception.errors import RecipeError
from perception.models.polymax.kmeans_decoder import KMeansDecoder
from perception.models.polymax.pixel_decoder import PixelDecoder
from perception.models.polymax.predictor import ClusterHead, Prediction
from perception.models.polymax.semantic_head import CityscapesSemanticHead, SemanticHead
from perception.models.trunks import build_backbone
from perception.options import check_choice

_VARIANTS: dict[str, dict[str, Any]] = {
    "torch": {"decoder_dilation": 1, "activate": False, "align_corners": "parity", "resnet": {}},
    "tf": {
        "decoder_dilation": 2,
        "activate": True,
        "align_corners": True,
        "resnet": {"stem_pool": False, "preact_features": True},
    },
}


class ClusterTrunk(nn.Module):
    """Backbone, pixel decoder and k-means decoder: what every task of kMaX-DeepLab and PolyMaX shares.

    Args:
        backbone: configuration of the trunk (`build_backbone`).
        variant: "torch" or "tf"; see the table above.
        pixel_decoder: keyword arguments of `PixelDecoder` that differ from the published network.
        decoder: keyword arguments of `KMeansDecoder` that differ (`channels`, `num_queries`, `layers`, `ffn_channels`, ...).
        predictor: keyword arguments of the layers' predictors.
        decoder_dilation, align_corners: single switches of the variant; None takes the variant's.
    """

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        *,
        variant: str = "torch",
        pixel_decoder: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        predictor: Mapping[str, Any] | None = None,
        decoder_dilation: int | None = None,
        align_corners: bool | str | None = None,
    ) -> None:
        super().__init__()
        check_choice("kMaX-DeepLab's variant", variant, _VARIANTS)
        switches = _VARIANTS[variant]
        config = {"name": backbone} if isinstance(backbone, str) else dict(backbone)
        is_resnet = config.get("type") == "BottleneckResNet"
        self.backbone = build_backbone(config, **(switches["resnet"] if is_resnet else {}))
        self.align_corners = switches["align_corners"] if align_corners is None else align_corners
        self.low_level_activation = getattr(self.backbone, "activation", None) if switches["activate"] else None
        self.pixel_decoder = PixelDecoder(
            self.backbone.channels[::-1],
            **{
                "dilation": switches["decoder_dilation"] if decoder_dilation is None else decoder_dilation,
                "align_corners": self.align_corners,
                **(pixel_decoder or {}),
            },
        )
        decoder = dict(decoder or {})
        layers = decoder.setdefault("layers", (2, 2, 2))
        self.channels = decoder.setdefault("channels", 256)
        self.decoder = KMeansDecoder(self.pixel_decoder.channels[: len(layers)], predictor=predictor, **decoder)
        mean, std = torch.tensor(self.backbone.mean), torch.tensor(self.backbone.std)
        self.register_buffer("pixel_mean", 255 * mean.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", 255 * std.view(1, -1, 1, 1), persistent=False)

    def normalise(self, image: Tensor) -> Tensor:
        """Map RGB in 0..255 (uint8 or float) to the backbone's input."""
        return (image.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std

    def forward(self, image: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor, list[Prediction]]:
        """Map RGB 0..255 (B, 3, H, W) to backbone maps (shallow to deep), decoder maps (deep to shallow), centres (B, C, N), layer predictions."""
        features = self.backbone(self.normalise(image))
        return features, *self.decode(features)

    def decode(self, features: Sequence[Tensor]) -> tuple[list[Tensor], Tensor, list[Prediction]]:
        """Map backbone maps, shallow to deep, to decoder maps (deep to shallow), centres (B, C, N) and layer predictions."""
        maps = self.pixel_decoder(features[::-1])
        return maps, *self.decoder(maps[: len(self.decoder.layers_per_map)])


def place_of_stride(trunk: nn.Module, stride: int) -> int:
    """Return which of the trunk's maps is its stage of that stride: the widest, and the last of equals, never a stem.

    Where no stride is equal (patches of 14 pixels give 3.5, 7, 14, 28) the nearest one counts, if it is nearer than to another power of two.
    """
    distance = [abs(math.log2(float(found) / stride)) for found in trunk.strides]
    nearest = min(distance)
    found = [(channels, place) for place, channels in enumerate(trunk.channels) if distance[place] == nearest]
    if nearest >= 0.5:
        raise RecipeError(
            f"the auxiliary semantic head needs a map of stride {stride}; the backbone has {trunk.strides}"
        )
    return max(found)[1]


class KMaXNetwork(nn.Module):
    """The network without preprocessing, losses and post-processing. See `KMaXDeepLab` for the arguments."""

    def __init__(
        self,
        backbone: str | Mapping[str, Any],
        *,
        num_classes: int,
        variant: str = "torch",
        mask_channels: int = 128,
        semantic_head: str | None = "aspp",
        aux_low_level_activation: str | None = "variant",
        **trunk: Any,
    ) -> None:
        super().__init__()
        predictor = {"mask_channels": mask_channels, "num_classes": num_classes}
        self.trunk = ClusterTrunk(backbone, variant=variant, predictor=predictor, **trunk)
        self.head = ClusterHead(self.trunk.pixel_decoder.channels[-1], self.trunk.channels, **predictor)
        channels = self.trunk.backbone.channels
        if aux_low_level_activation == "variant":
            aux_low_level_activation = self.trunk.low_level_activation
        self.semantic_head: nn.Module | None = None
        self.semantic_places: list[int] = []
        if semantic_head == "aspp":
            self.semantic_places = [place_of_stride(self.trunk.backbone, stride) for stride in (32, 8, 4)]
            self.semantic_head = SemanticHead(
                [channels[place] for place in self.semantic_places],
                num_classes + 1,
                low_level_activation=aux_low_level_activation,
                align_corners=self.trunk.align_corners,
            )
        elif semantic_head == "cityscapes":
            self.semantic_places = [place_of_stride(self.trunk.backbone, 32)]
            self.semantic_head = CityscapesSemanticHead(channels[self.semantic_places[0]], num_classes)
        elif semantic_head is not None:
            raise RecipeError(
                f"auxiliary semantic head {semantic_head!r} is not one of None, 'aspp' (COCO, ADE20K), 'cityscapes'"
            )

    def forward(self, image: Tensor, auxiliary: bool | None = None) -> dict[str, Any]:
        """Map RGB 0..255 (B, 3, H, W), padded to the trained size, to named outputs.

        Returns `mask_logits` (B, N, H/4, W/4), `class_logits` (B, N, C + 1) with void last, `pixel_feature`, the embeddings, and
        with `auxiliary` (default: in training) `semantic_logits` and `layers`, the predictions of the decoder's layers.
        """
        auxiliary = self.training if auxiliary is None else auxiliary
        features, maps, clusters, layers = self.trunk(image)
        outputs: dict[str, Any] = dict(self.head(maps[-1], clusters))
        if auxiliary:
            outputs["layers"] = layers
            if self.semantic_head is not None:
                outputs["semantic_logits"] = self.semantic_head(*(features[place] for place in self.semantic_places))
        return outputs
