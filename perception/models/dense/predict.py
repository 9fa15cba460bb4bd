"""From a dense model's outputs to typed results at the original size, in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.models.dense.model import metric_depth
from perception.models.preprocess import Prepared

_LABEL_PIXELS = 3_000_000  # class scores are enlarged to at most this many pixels, then labels to the rest


def predictions(
    model: Any, outputs: Mapping[str, Any], cameras: Sequence[Any], sizes: Sequence[Any] | None = None
) -> list[Any]:
    """See `DenseModel.predict`."""
    from perception.results import DepthResult, NormalsResult, Prediction, SegmentationResult

    results = []
    depth = metric_depth(outputs).log() if "depth" in model.tasks else None
    for index, item in enumerate(cameras):
        prepared = isinstance(item, Prepared)
        camera = item.camera if prepared else item
        height, width = item.image.shape[:2] if prepared else sizes[index]
        parts: dict[str, Any] = {}
        labels = _labels(outputs, index, (height, width))
        if labels is not None:
            parts["segmentation"] = SegmentationResult(semantic=labels.cpu().numpy(), class_names=model.class_names)
        if depth is not None:
            metres = _enlarge(depth[index], (height, width))[0].exp()
            valid = torch.isfinite(metres)
            # A user's sky has no depth; protocols score every pixel that has truth, so evaluation gets what lies behind the label.
            if prepared and model.sky_class is not None and labels is not None:
                valid &= labels != model.sky_class
            parts["depth"] = DepthResult(metres.cpu().numpy(), valid.cpu().numpy(), kind="metric", camera=camera)
        if "normals" in model.tasks:
            normals = F.normalize(_enlarge(outputs["normals"][index].float(), (height, width)), dim=0, eps=1e-12)
            parts["normals"] = NormalsResult(normals.permute(1, 2, 0).cpu().numpy(), camera=camera)
        parts |= model.extra_results(outputs, index, (height, width)) if hasattr(model, "extra_results") else {}
        results.append(Prediction(camera=camera, image=item.image if prepared else None, **parts))
    return results


def _enlarge(value: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (C, h, w) bilinearly to `size`; pixel centres at + 0.5."""
    return F.interpolate(value[None].float(), size=size, mode="bilinear", align_corners=False)[0]


def _labels(outputs: Mapping[str, Any], index: int, size: tuple[int, int]) -> Tensor | None:
    if "semantic_logits" not in outputs:
        return None
    shrink = max(1.0, (size[0] * size[1] / _LABEL_PIXELS) ** 0.5)
    middle = (max(1, round(size[0] / shrink)), max(1, round(size[1] / shrink)))
    labels = _enlarge(outputs["semantic_logits"][index], middle).argmax(0)
    if middle != tuple(size):
        labels = F.interpolate(labels[None, None].float(), size=size, mode="nearest-exact")[0, 0].long()
    return labels
