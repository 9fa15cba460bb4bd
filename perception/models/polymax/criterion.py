"""Losses of kMaX-DeepLab (arXiv 2207.04044 and the PyTorch port): matching, class, dice, mask identity, instance discrimination.

Matching and losses are separate: `KMaXCriterion.match` assigns segments to clusters on the final prediction, and the same
assignment serves the final prediction and every decoder layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.dense.losses import nearest


@dataclasses.dataclass(frozen=True)
class SegmentTargets:
    """Segments of a batch, padded to the largest number G.

    labels: (B, G) int64, 0 where padded. masks: (B, G, h, w) float32; they sum to 1 (segment) or 0 (void) at each pixel. present: (B, G) bool.
    """

    labels: Tensor
    masks: Tensor
    present: Tensor

    @classmethod
    def from_masks(cls, labels: Sequence[Tensor], masks: Sequence[Tensor]) -> SegmentTargets:
        """Pad labels (G_b,) and masks (G_b, h, w) of the pictures; pixels that several masks claim are shared out."""
        count = max(1, *(len(value) for value in labels))
        padded = torch.stack([F.pad(m.float(), (0, 0, 0, 0, 0, count - len(m))) for m in masks])
        return cls(
            torch.stack([F.pad(value.long(), (0, count - len(value))) for value in labels]),
            padded / padded.sum(1, keepdim=True).clamp(min=1.0),
            torch.stack([torch.arange(count, device=value.device) < len(value) for value in labels]),
        )

    def only(self, keep: Tensor) -> SegmentTargets:
        """The same with the pixels of segments outside `keep` (B, G) bool made void."""
        return SegmentTargets(self.labels, self.masks * keep[..., None, None], self.present & keep)

    @property
    def known(self) -> Tensor:
        """(B, h w) float32: 1 on segments, 0 on void."""
        return (self.masks.sum(1) > 0).flatten(1).float()


class Match(NamedTuple):
    """Which cluster each segment got, and how good that was on the final prediction, which weighs the losses of every layer."""

    rows: Tensor  # (B, G) clusters; N (one past the last) where a segment has none
    similarity: Tensor  # (B, G) mask similarity
    confidence: Tensor  # (B, G) class probability, 0 where a segment has no cluster
    void: Tensor  # (B, N) share of each cluster's probability mass that lies on void


def panoptic_targets(
    batch: Mapping[str, Tensor], size: tuple[int, int], num_classes: int, things: Sequence[int], ignore: int = 255
) -> SegmentTargets:
    """Segments from `semantic` (B, H, W) and `instance` (B, H, W; 0 = none) at `size`: a thing's instances, a stuff class as a whole.

    A thing pixel without an instance is void, as is `ignore`. One transfer to the CPU and one back a batch.
    """
    semantic = nearest(batch["semantic"], size).long()
    instance = nearest(batch["instance"], size).long() if "instance" in batch else torch.zeros_like(semantic)
    device = semantic.device
    is_thing = torch.tensor([c in set(things) for c in range(num_classes + 1)], device=device)
    known = (semantic >= 0) & (semantic < num_classes) & (semantic != ignore)
    thing = is_thing[semantic.clamp(0, num_classes)] & known
    # Unique a segment: the instance counts from 1 for things and is 0 for stuff.
    ids = torch.where(thing, instance * (num_classes + 1) + semantic, semantic)
    ids = torch.where(known & (~thing | (instance > 0)), ids, torch.full_like(ids, -1))
    found = [np.unique(picture) for picture in ids.cpu().numpy()]
    found = [values[values >= 0] for values in found]
    table = np.full((len(found), max(1, *(len(values) for values in found))), -2, np.int64)  # -2 is no pixel's id
    for row, values in zip(table, found, strict=True):
        row[: len(values)] = values
    segments = torch.from_numpy(table).to(device, non_blocking=True)
    present = segments >= 0
    masks = (ids[:, None] == segments[:, :, None, None]).float()
    return SegmentTargets(torch.where(present, segments % (num_classes + 1), 0), masks, present)


class KMaXCriterion(nn.Module):
    """Unweighted losses of one prediction.

    Args:
        num_classes: real classes; void is index `num_classes`.
        samples: pixels a picture of the instance discrimination; None takes all.
        sample_temperature: how strongly small segments are preferred in sampling.
        contrast_temperature: divides the feature similarities.
        floor: smallest weight of a row of the class loss and of a matched row of the Dice loss.
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
    def match(self, prediction: Mapping[str, Tensor], targets: SegmentTargets) -> Match:
        """Assign segments to clusters by the largest sum of mask similarity x class probability (Hungarian, on the CPU)."""
        from scipy.optimize import linear_sum_assignment

        probability = prediction["mask_logits"].float().flatten(2).softmax(1)  # (B, N, hw)
        inside = probability * targets.known[:, None]
        # Where masks overlap, the match sees them whole (the losses share such pixels out).
        similarity = mask_similarity(inside, (targets.masks > 0).flatten(2).float())  # (B, N, G)
        scores = prediction["class_logits"].float().softmax(-1)
        confidence = scores.gather(2, targets.labels[:, None].expand(-1, scores.shape[1], -1))
        gains = (similarity * confidence).cpu().numpy()
        counts = targets.present.sum(1).tolist()
        rows = np.full(targets.labels.shape, scores.shape[1], np.int64)
        for index, (gain, count) in enumerate(zip(gains, counts, strict=True)):
            clusters, segments = linear_sum_assignment(gain[:, :count], maximize=True)
            rows[index, segments] = clusters
        assigned = torch.from_numpy(rows).to(scores.device, non_blocking=True)
        has = assigned < scores.shape[1]
        if targets.labels.shape[1] > scores.shape[1]:  # more segments than clusters: what is left over is void
            inside = probability * targets.only(has).known[:, None]
        total = probability.sum(2)
        void = (total - inside.sum(2)).clamp(min=0) / (total + 1e-5)
        place = assigned.clamp(max=scores.shape[1] - 1)[:, None]
        matched = confidence.gather(1, place)[:, 0].clamp(min=self.floor)
        return Match(assigned, similarity.gather(1, place)[:, 0] * has, matched * has, void)

    def forward(self, prediction: Mapping[str, Tensor], targets: SegmentTargets, match: Match) -> dict[str, Tensor]:
        """Return the scalar losses `class`, `dice`, `mask` and `instance`.

        prediction: `class_logits` (B, N, C + 1), `mask_logits` (B, N, h', w'), `pixel_feature` (B, D, h', w'); enlarged to the targets' size.
        """
        size = targets.masks.shape[-2:]
        count = prediction["mask_logits"].shape[1]
        if targets.labels.shape[1] > count:
            targets = targets.only(match.rows < count)
        logits = _to_size(prediction["mask_logits"].float(), size).flatten(2)  # (B, N, hw)
        with torch.autocast(logits.device.type, enabled=False):
            found = {"class": self._class_loss(prediction["class_logits"].float(), targets, match)}
            found |= self._mask_losses(logits, targets, match)
            if self.instance and "pixel_feature" in prediction:
                features = _to_size(prediction["pixel_feature"].float(), size)
                found["instance"] = self._discriminate(features.flatten(2), targets)
        return found

    def _class_loss(self, scores: Tensor, targets: SegmentTargets, match: Match) -> Tensor:
        """Cross entropy of every cluster, weighed by its mask's quality (matched) or its share of void (unmatched)."""
        count = scores.shape[1]
        labels = torch.full((len(scores), count + 1), self.num_classes, device=scores.device)
        labels = labels.scatter(1, match.rows, targets.labels)[:, :count]
        weight = F.pad(match.void, (0, 1)).scatter(1, match.rows, match.similarity)[:, :count].clamp(min=self.floor)
        alpha = torch.where(labels == self.num_classes, 0.25, 0.75)
        loss = F.cross_entropy(scores.transpose(1, 2), labels, reduction="none") * weight * alpha
        return _nonzero_mean(loss).mean()

    def _mask_losses(self, logits: Tensor, targets: SegmentTargets, match: Match) -> dict[str, Tensor]:
        """Dice of matched clusters, and the cross entropy of each pixel's cluster."""
        count = logits.shape[1]
        has = (match.rows < count).float()
        truth = targets.masks.flatten(2)
        place = match.rows.clamp(max=count - 1)[..., None].expand_as(truth)
        log_probability = logits.log_softmax(1).gather(1, place)  # (B, G, hw)
        matched = log_probability.exp() * targets.known[:, None]
        overlap = (matched * truth).sum(2)
        dice = (1 - (2 * overlap + 1) / (matched.sum(2) + truth.sum(2) + 1)) * match.confidence
        identity = -(truth * has[..., None] * log_probability).sum(1)
        return {"dice": dice.sum(1).mean() * (0.75 / count), "mask": _nonzero_mean(identity).mean()}

    def _discriminate(self, features: Tensor, targets: SegmentTargets) -> Tensor:
        """Contrast pixels of one segment with those of all others; small segments are sampled more often."""
        masks, known = targets.masks.flatten(2), targets.known  # (B, G, hw), (B, hw)
        pixels = masks.shape[2]
        if self.samples is not None and self.samples < pixels:
            area = (masks * masks.sum(2, keepdim=True)).sum(1).clamp(min=1.0)
            score = self.sample_temperature * (pixels / area).log() + _gumbel(area)
            place = torch.where(known > 0, score, torch.full_like(score, -1e9)).topk(self.samples, dim=1).indices
            features = features.gather(2, place[:, None].expand(-1, features.shape[1], -1))
            masks = masks.gather(2, place[:, None].expand(-1, masks.shape[1], -1))
            known = known.gather(1, place)
        same = masks.transpose(1, 2) @ masks  # (B, K, K)
        same = same / same.sum(2, keepdim=True).clamp(min=1.0)
        similarity = (features.transpose(1, 2) @ features) / self.contrast_temperature
        loss = -(same * similarity.log_softmax(2)).sum(2) * known
        return _nonzero_mean(loss).mean()


def mask_similarity(probability: Tensor, truth: Tensor) -> Tensor:
    """Dice (B, N, G) between cluster probabilities (B, N, hw; 0 on void) and segments (B, G, hw)."""
    total = probability.sum(2)[:, :, None] + truth.sum(2)[:, None]
    return (probability @ truth.transpose(1, 2)) / (0.5 * total + 1e-5)


def _nonzero_mean(loss: Tensor) -> Tensor:
    """(B, K) -> (B,): sum over the number of entries that are not exactly zero, as the official code divides."""
    return loss.sum(1) / (loss != 0).sum(1).clamp(min=1)


def _gumbel(like: Tensor) -> Tensor:
    """Gumbel noise: adding it to log weights and taking the largest K samples K without replacement."""
    return -torch.log(-torch.log(torch.rand_like(like).clamp(1e-9, 1 - 1e-7)))


def _to_size(x: Tensor, size: Sequence[int]) -> Tensor:
    if x.shape[-2:] == tuple(size):
        return x
    # The official rule of the losses: the parity of the target's height.
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=size[0] % 2 == 1)


def auxiliary_semantic_loss(
    logits: Tensor, target: Tensor, *, samples: int | None = None, temperature: float = 2.0, ignore: int = -1
) -> Tensor:
    """Cross entropy of the auxiliary head.

    Args:
        logits: (B, C, h, w).
        target: (B, H, W) class indices, `ignore` = none; every d-th pixel is read where that gives (h, w), as in the official code, else the
            pixel nearest to each cell's centre.
        samples: pixels a picture, preferring rare classes with `temperature`; None takes all.
    """
    step = (target.shape[2] - 1) // max(1, logits.shape[3] - 1)
    if step and tuple(target[:1, ::step, ::step].shape[1:]) == tuple(logits.shape[2:]):
        target = target[:, ::step, ::step].flatten(1)
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
        place = torch.where(known, score + _gumbel(score), torch.full_like(score, -1e9)).topk(samples, dim=1).indices
        loss = loss.gather(1, place)
    return _nonzero_mean(loss).mean()
