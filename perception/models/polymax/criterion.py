"""Losses of kMaX-DeepLab (arXiv 2207.04044 and the PyTorch port): matching, class, dice, mask identity, instance discrimination.

Matching and losses are separate: `KMaXCriterion.match` assigns segments to clusters on the final prediction, and the same
assignment serves the final prediction and every decoder layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.dense.losses import nearest


@dataclasses.dataclass(frozen=True)
class SegmentTargets:
    """Segments of one picture: labels (G,) int64, masks (G, h, w) float32 that sum to 1 (segment) or 0 (void) at each pixel."""

    labels: Tensor
    masks: Tensor

    @classmethod
    def from_masks(cls, labels: Tensor, masks: Tensor) -> SegmentTargets:
        """Share out pixels that several masks claim."""
        masks = masks.float()
        return cls(labels.long(), masks / masks.sum(0).clamp(min=1.0))


class Match(NamedTuple):
    """One picture's assignment and how good it was on the final prediction, which weighs the losses of every layer."""

    rows: Tensor  # (G,) clusters
    columns: Tensor  # (G,) segments
    similarity: Tensor  # (G,) mask similarity
    confidence: Tensor  # (G,) class probability
    void: Tensor  # (N,) share of each cluster's probability mass that lies on void


Assignment = list[Match]


def panoptic_targets(
    batch: Mapping[str, Tensor], size: tuple[int, int], num_classes: int, things: Sequence[int], ignore: int = 255
) -> list[SegmentTargets]:
    """Segments from `semantic` (B, H, W) and `instance` (B, H, W; 0 = none) at `size`: a thing's instances, a stuff class as a whole.

    A thing pixel without an instance is void, as is `ignore`.
    """
    semantic = nearest(batch["semantic"], size).long()
    instance = nearest(batch["instance"], size).long() if "instance" in batch else torch.zeros_like(semantic)
    is_thing = torch.zeros(num_classes + 1, dtype=torch.bool, device=semantic.device)
    if things:
        is_thing[list(things)] = True
    known = (semantic >= 0) & (semantic < num_classes) & (semantic != ignore)
    thing = is_thing[semantic.clamp(0, num_classes)] & known
    ids = torch.where(
        thing, instance * (num_classes + 1) + semantic, semantic
    )  # unique a segment: instance >= 1 for things
    ids = torch.where(known & (~thing | (instance > 0)), ids, torch.full_like(ids, -1))
    targets = []
    for picture in ids:
        found = torch.unique(picture)
        found = found[found >= 0]
        labels = found % (num_classes + 1)
        targets.append(SegmentTargets(labels, (picture[None] == found[:, None, None]).float()))
    return targets


class KMaXCriterion(nn.Module):
    """Unweighted losses of one prediction.

    Args:
        num_classes: real classes; void is index `num_classes`.
        samples: pixels a picture of the instance discrimination; None takes all.
        sample_temperature: how strongly small segments are preferred in sampling.
        contrast_temperature: divides the feature similarities.
        floor: smallest weight of a row of the class loss.
        instance: compute the instance discrimination.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        samples: int | None = 4096,
        sample_temperature: float = 1.5,
        contrast_temperature: float = 0.3,
        floor: float = 1e-5,
        instance: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes, self.samples, self.floor, self.instance = num_classes, samples, floor, instance
        self.sample_temperature, self.contrast_temperature = sample_temperature, contrast_temperature

    @torch.no_grad()
    def match(self, prediction: Mapping[str, Tensor], targets: Sequence[SegmentTargets]) -> Assignment:
        """Assign segments to clusters by the largest sum of mask similarity x class probability (Hungarian, on the CPU)."""
        from scipy.optimize import linear_sum_assignment

        assignment: Assignment = []
        for scores, logits, target in zip(prediction["class_logits"], prediction["mask_logits"], targets, strict=True):
            inside, outside = (part.sum(1) for part in _probability(logits, target))
            void = outside / (inside + outside).clamp(min=self.floor)
            similarity = mask_similarity(_probability(logits, target)[0], target)
            confidence = scores.float().softmax(-1)[:, target.labels]
            pairs = linear_sum_assignment((similarity * confidence).cpu().numpy(), maximize=True)  # (N, G)
            rows, columns = (torch.as_tensor(index, device=logits.device) for index in pairs)
            assignment.append(Match(rows, columns, similarity[rows, columns], confidence[rows, columns], void))
        return assignment

    def forward(
        self, prediction: Mapping[str, Tensor], targets: Sequence[SegmentTargets], assignment: Assignment
    ) -> dict[str, Tensor]:
        """Return the scalar losses `class`, `dice`, `mask` and `instance`.

        prediction: `class_logits` (B, N, C + 1), `mask_logits` (B, N, h', w'), `pixel_feature` (B, D, h', w'); enlarged to the targets' size.
        """
        size = targets[0].masks.shape[-2:]
        masks = _to_size(prediction["mask_logits"].float(), size)
        with torch.autocast(masks.device.type, enabled=False):
            rows: dict[str, list[Tensor]] = {"class": [], "dice": [], "mask": []}
            for index, (target, matched) in enumerate(zip(targets, assignment, strict=True)):
                losses = self._picture(prediction["class_logits"][index].float(), masks[index], target, matched)
                for name, value in losses.items():
                    rows[name].append(value)
            found = {"class": torch.stack([_nonzero_mean(v) for v in rows["class"]]).mean()}
            found["dice"] = torch.stack([v.sum() for v in rows["dice"]]).mean() * (0.75 / masks.shape[1])
            found["mask"] = torch.stack([_nonzero_mean(v) for v in rows["mask"]]).mean()
            if self.instance and "pixel_feature" in prediction:
                features = _to_size(prediction["pixel_feature"].float(), size)
                found["instance"] = torch.stack(
                    [self._discriminate(feature, target) for feature, target in zip(features, targets, strict=True)]
                ).mean()
        return found

    def _picture(self, scores: Tensor, logits: Tensor, target: SegmentTargets, match: Match) -> dict[str, Tensor]:
        """Loss terms of one picture: (N,) of `class` and `dice`, (h w) of `mask`."""
        rows, columns = match.rows, match.columns
        inside, _ = _probability(logits, target)
        truth = target.masks[columns].flatten(1)  # (G, hw), in the order of `rows`
        count = logits.shape[0]
        matched = inside[rows]
        with torch.no_grad():
            weight = match.void.index_copy(0, rows, match.similarity).clamp(min=self.floor)
            labels = torch.full((count,), self.num_classes, device=scores.device).index_copy(
                0, rows, target.labels[columns]
            )
            alpha = torch.where(labels == self.num_classes, 0.25, 0.75)
        classes = F.cross_entropy(scores, labels, reduction="none") * weight * alpha
        overlap = (matched * truth).sum(1)
        dice = (1 - (2 * overlap + 1) / (matched.sum(1) + truth.sum(1) + 1)) * match.confidence
        log_probability = logits.flatten(1).log_softmax(0)[rows]
        return {"class": classes, "dice": dice, "mask": -(truth * log_probability).sum(0)}

    def _discriminate(self, feature: Tensor, target: SegmentTargets) -> Tensor:
        """Contrast pixels of one segment with those of all others; small segments are sampled more often."""
        feature, masks = feature.flatten(1), target.masks.flatten(1)  # (D, hw), (G, hw)
        pixels = masks.shape[1]
        known = masks.sum(0) > 0
        if self.samples is not None and self.samples < pixels:
            area = (masks * masks.sum(1, keepdim=True)).sum(0).clamp(min=1.0)
            score = self.sample_temperature * (pixels / area).log()
            gumbel = -torch.log(-torch.log(torch.rand_like(score).clamp(1e-9, 1 - 1e-7)))
            score = torch.where(known, score + gumbel, torch.full_like(score, -1e9))
            place = score.topk(self.samples).indices
            feature, masks, known = feature[:, place], masks[:, place], known[place]
        same = masks.T @ masks
        same = same / same.sum(1, keepdim=True).clamp(min=1.0)
        similarity = (feature.T @ feature) / self.contrast_temperature
        loss = -(same * similarity.log_softmax(1)).sum(1)
        return _nonzero_mean(loss * known)


def mask_similarity(probability: Tensor, target: SegmentTargets) -> Tensor:
    """Dice (N, G) between cluster probabilities (N, hw; 0 on void) and the segments."""
    truth = target.masks.flatten(1)
    total = probability.sum(1)[:, None] + truth.sum(1)[None]
    return (probability @ truth.T) / (0.5 * total + 1e-5)


def _probability(logits: Tensor, target: SegmentTargets) -> tuple[Tensor, Tensor]:
    """Softmax over the clusters (N, hw), split into its part on segments and its part on void."""
    probability = logits.float().flatten(1).softmax(0)
    known = (target.masks.sum(0) > 0).flatten().float()
    return probability * known, probability * (1 - known)


def _nonzero_mean(loss: Tensor) -> Tensor:
    """Sum over the number of entries that are not exactly zero, as the official code divides."""
    return loss.sum() / (loss != 0).sum().clamp(min=1)


def _to_size(x: Tensor, size: Sequence[int]) -> Tensor:
    if x.shape[-2:] == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=x.shape[-1] % 2 == 1)


def auxiliary_semantic_loss(
    logits: Tensor, target: Tensor, *, samples: int | None = None, temperature: float = 2.0, ignore: int = -1
) -> Tensor:
    """Cross entropy of the auxiliary head.

    Args:
        logits: (B, C, h, w).
        target: (B, H, W) class indices, `ignore` = none; read where the cells' centres lie.
        samples: pixels a picture, preferring rare classes with `temperature`; None takes all.
    """
    strides = [round(t / s) for t, s in zip(target.shape[1:], logits.shape[2:], strict=True)]
    corners = [(s - 1) * d + 1 == t for t, s, d in zip(target.shape[1:], logits.shape[2:], strides, strict=True)]
    if all(corners):  # sides of 32k + 1: cells sit on every d-th pixel, as in the official code
        target = target[:, :: strides[0], :: strides[1]].flatten(1)
    else:
        target = nearest(target, logits.shape[2:]).flatten(1)
    known = (target != ignore) & (target >= 0) & (target < logits.shape[1])
    loss = (
        F.cross_entropy(logits.float().flatten(2), target.where(known, torch.zeros_like(target)), reduction="none")
        * known
    )
    if samples is not None and samples < loss.shape[1]:
        one_hot = F.one_hot(target.where(known, torch.zeros_like(target)), logits.shape[1]) * known[..., None]
        area = one_hot.sum(1).gather(1, target.where(known, torch.zeros_like(target))).clamp(min=1)
        score = temperature * (loss.shape[1] / area).log()
        gumbel = -torch.log(-torch.log(torch.rand_like(score).clamp(1e-9, 1 - 1e-7)))
        place = torch.where(known, score + gumbel, torch.full_like(score, -1e9)).topk(samples, dim=1).indices
        loss = loss.gather(1, place)
    return loss.sum() / (loss != 0).sum().clamp(min=1)
