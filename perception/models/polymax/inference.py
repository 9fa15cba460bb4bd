"""Post-processing of kMaX-DeepLab: panoptic, semantic and instance maps from class and mask logits. Float32 throughout."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perception.errors import RecipeError
from perception.models.dense.losses import nearest
from perception.models.layers.conv import resize


@dataclasses.dataclass(frozen=True)
class PanopticThresholds:
    """Defaults are those of COCO; ADE20K 0.4 / 0.4, Cityscapes 0.5 / 0.3 with overlap 0.9 and mask_power 0."""

    thing: float = 0.7  # least class score of a thing
    stuff: float = 0.5
    pixel: float = 0.4  # least probability of a pixel of a mask
    overlap: float = 0.8  # least share of a mask that is still free
    class_power: float = 1.0  # order of painting: class score ^ a x mask score ^ b
    mask_power: float = 1.0
    thing_area: int = (
        0  # smaller segments are dropped afterwards (TensorFlow: 400 and 6400 px); 0 keeps all (PyTorch port)
    )
    stuff_area: int = 0


def panoptic_inference(
    class_logits: Tensor,
    mask_logits: Tensor,
    things: Sequence[int],
    thresholds: PanopticThresholds = PanopticThresholds(),
) -> tuple[Tensor, list[dict[str, Any]]]:
    """Paint the masks in the order of their scores.

    Args:
        class_logits: (N, C + 1), void last.
        mask_logits: (N, H, W) at the size of the result.
        things: classes that are things.

    Returns:
        the panoptic map (H, W) int32, 0 = void, and its segments (`id`, `label`, `is_thing`, `score`, `area`) in order of creation.
    """
    scores, labels = class_logits.float().softmax(-1)[:, :-1].max(-1)
    probability = mask_logits.float().softmax(0)
    panoptic = torch.zeros(probability.shape[1:], dtype=torch.int32, device=probability.device)
    is_thing = torch.zeros(class_logits.shape[1], dtype=torch.bool, device=labels.device)
    is_thing[list(things)] = True
    # Only clusters that can pass cost time below.
    limit = torch.where(is_thing[labels], thresholds.thing, thresholds.stuff)
    candidates = (scores > limit).nonzero()[:, 0]
    binary = probability[candidates] > thresholds.pixel
    area = binary.sum((1, 2))
    confidence = (probability[candidates] * binary).sum((1, 2)) / area.clamp(min=1)
    order = scores[candidates] ** thresholds.class_power * confidence**thresholds.mask_power
    segments: list[dict[str, Any]] = []
    stuff: dict[int, dict[str, Any]] = {}
    for place in order.argsort(descending=True, stable=True).tolist():
        free = binary[place] & (panoptic == 0)
        new = int(free.sum())
        if not new > np.float32(thresholds.overlap) * np.float32(
            area[place]
        ):  # float32, as the official code multiplies
            continue
        index = int(candidates[place])
        label, thing = int(labels[index]), bool(is_thing[labels[index]])
        if not thing and label in stuff:
            panoptic[free] = stuff[label]["id"]
            stuff[label]["area"] += new
            continue
        segment = {"id": len(segments) + 1, "label": label, "is_thing": thing, "area": new}
        segment["score"] = float(scores[index] * confidence[place])
        segments.append(segment)
        panoptic[free] = segment["id"]
        if not thing:
            stuff[label] = segment
    return _drop_small(panoptic, segments, thresholds)


def _drop_small(
    panoptic: Tensor, segments: list[dict[str, Any]], thresholds: PanopticThresholds
) -> tuple[Tensor, list[dict[str, Any]]]:
    kept = []
    for segment in segments:
        if segment["area"] < (thresholds.thing_area if segment["is_thing"] else thresholds.stuff_area):
            panoptic[panoptic == segment["id"]] = 0
        else:
            kept.append(segment)
    return panoptic, kept


def semantic_inference(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """Return class scores (C, H, W): each cluster's class probability (void left out) times its mask probability, summed."""
    classes = class_logits.float().softmax(-1)[:, :-1]
    return torch.einsum("nc,nhw->chw", classes, mask_logits.float().softmax(0))


def instance_inference(
    class_logits: Tensor, mask_logits: Tensor, things: Sequence[int], *, top: int = 100, pixel: float = 0.4
) -> tuple[Tensor, Tensor, Tensor]:
    """Return masks (K, H, W) bool, labels (K,) and scores (K,) of the best `top` (cluster, thing class) pairs.

    A score is the class probability times the mean mask probability inside the mask.
    """
    classes = class_logits.float().softmax(-1)[:, :-1]
    best, place = classes.flatten().topk(min(top, classes.numel()))
    cluster, labels = place // classes.shape[1], place % classes.shape[1]
    is_thing = torch.zeros(classes.shape[1], dtype=torch.bool, device=labels.device)
    is_thing[list(things)] = True
    keep = is_thing[labels]
    best, cluster, labels = best[keep], cluster[keep], labels[keep]
    probability = mask_logits.float().softmax(0)[cluster]
    masks = probability > pixel
    confidence = (probability * masks).sum((1, 2)) / masks.sum((1, 2)).clamp(min=1)
    return masks, labels, best * confidence


MAPS = ("panoptic", "semantic", "instance")
_PAINT_VALUES = 400_000_000  # cluster x pixel values that one picture's painting may hold


def panoptic_result(
    class_logits: Tensor,
    mask_logits: Tensor,
    size: tuple[int, int],
    things: Sequence[int],
    class_names: Sequence[str] = (),
    thresholds: PanopticThresholds = PanopticThresholds(),
    *,
    network_size: tuple[int, int] | None = None,
    align_corners: bool = False,
    inference: Sequence[str] = MAPS,
) -> Any:
    """Return a `SegmentationResult` with the maps that `inference` names, of `size` (H, W).

    Args:
        class_logits: (N, C + 1), void last.
        mask_logits: (N, h, w) at the network's stride.
        size: of the result. Very large pictures are painted at a smaller size and their ids enlarged.
        network_size: first enlarge to this size, then to `size`, both with `align_corners` (the official order).
        inference: of `MAPS`. Instances are the panoptic map's things; without "panoptic", the masks of `instance_inference` above the thing threshold.
    """
    from perception.results import SegmentationResult

    masks = mask_logits[None].float()
    if network_size is not None:
        masks = resize(masks, network_size, align_corners=align_corners)
    shrink = max(1.0, (masks.shape[1] * size[0] * size[1] / _PAINT_VALUES) ** 0.5)
    middle = (max(1, round(size[0] / shrink)), max(1, round(size[1] / shrink)))
    masks = resize(masks, middle, align_corners=align_corners)[0]
    maps: dict[str, Tensor] = {}
    segments: list[dict[str, Any]] = []
    if "panoptic" in inference:
        maps["panoptic"], segments = panoptic_inference(class_logits, masks, things, thresholds)
    if "semantic" in inference:
        maps["semantic"] = semantic_inference(class_logits, masks).argmax(0)
    if "instance" in inference and "panoptic" in inference:
        ids = torch.tensor([0] + [s["id"] for s in segments if s["is_thing"]], device=masks.device)
        maps["instance"] = torch.where(torch.isin(maps["panoptic"], ids), maps["panoptic"], 0)
    elif "instance" in inference:
        found = instance_inference(class_logits, masks, things, pixel=thresholds.pixel)
        maps["instance"] = instance_map(found[0], found[2], thresholds.thing)
    return SegmentationResult(
        **{name: nearest(value[None], size)[0].cpu().numpy() for name, value in maps.items()},
        segments=segments,
        class_names=class_names,
    )


def instance_map(masks: Tensor, scores: Tensor, least: float) -> Tensor:
    """Paint the masks (K, H, W) whose score (K,) is above `least`, the best on top, into (H, W) int32: 1 for the best, 0 = none."""
    masks, scores = masks[scores > least], scores[scores > least]
    order = scores.argsort(descending=True, stable=True)
    covered = masks[order]
    if not len(covered):
        return torch.zeros(masks.shape[1:], dtype=torch.int32, device=masks.device)
    first = covered.int().argmax(0)
    return torch.where(covered.any(0), first + 1, 0).int()


def check_inference(inference: Sequence[str]) -> tuple[str, ...]:
    """Return `inference` as a tuple. Raises `RecipeError` unless it names some of `MAPS`."""
    unknown = [name for name in inference if name not in MAPS]
    if unknown or not inference:
        raise RecipeError(f"inference names some of {', '.join(MAPS)}; found {list(inference)}")
    return tuple(inference)
