"""Losses of MonoDETR (section 3.4), for the last and the earlier decoder layers, and of the depth map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.models.monodetr.depth_bins import DepthBins
from perception.models.monodetr.matcher import FOCAL_ALPHA, FOCAL_GAMMA, GroupMatcher, edges, generalised_iou
from perception.models.monodetr.proposals import proposal_losses
from perception.models.monodetr.targets import MonoTargets
from perception.options import with_changes

FOREGROUND_WEIGHT = 13.0


class MonoCriterion:
    """Matches queries with objects and computes all losses, each summed over pairs and divided by their number.

    Args:
        bins: classes of the depth map.
        heading_bins: bins of the observation angle.
        weights: replaces some of `WEIGHTS`.
        convention: "official" drops objects whose 2D box begins left of or above the picture from the depth map, and counts depths beyond the last
            bin as background, as the released code does; "exact" does neither.
    """

    WEIGHTS = {
        "class": 2.0,
        "centre": 10.0,
        "sides": 5.0,
        "giou": 2.0,
        "depth": 1.0,
        "size": 1.0,
        "heading": 1.0,
        "depth_map": 1.0,
        "heat": 1.0,
        "start": 5.0,
    }

    def __init__(
        self,
        bins: DepthBins,
        heading_bins: int = 12,
        weights: Mapping[str, float] | None = None,
        convention: str = "exact",
    ) -> None:
        self.bins, self.heading_bins, self.convention = bins, heading_bins, convention
        self.weights = with_changes("the loss weights", self.WEIGHTS, weights)
        self.matcher = GroupMatcher(*(self.WEIGHTS[name] for name in ("class", "centre", "sides", "giou")))

    def __call__(self, outputs: Mapping[str, Any], targets: MonoTargets, groups: int) -> dict[str, Tensor]:
        """Unweighted losses: ``class``, ``centre``, ``sides``, ``giou``, ``depth``, ``size``, ``heading``, ``depth_map`` of the last layer, and all but the
        last again for each auxiliary layer i as ``<name>_<i>``; ``heat`` and ``start`` of the proposals, where the model makes some."""
        layers = [outputs, *outputs.get("auxiliary", ())]
        matches = self.matcher(layers, targets, groups)
        pairs = self.normaliser(targets, groups)
        losses = self.layer_losses(outputs, targets, matches[0], pairs)
        losses["depth_map"] = self.depth_map_loss(outputs["depth_logits"], targets)
        if "proposals" in outputs:
            losses |= proposal_losses(outputs["proposals"], targets)
        for index, (layer, match) in enumerate(zip(layers[1:], matches[1:], strict=True)):
            losses |= {
                f"{name}_{index}": value for name, value in self.layer_losses(layer, targets, match, pairs).items()
            }
        return losses

    def weighted(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The losses times their weights, named ``loss_<name>``."""
        weight_of = {name: self.weights[name.rstrip("0123456789").rstrip("_")] for name in losses}
        return {f"loss_{name}": value * weight_of[name] for name, value in losses.items()}

    @staticmethod
    def normaliser(targets: MonoTargets, groups: int) -> float | Tensor:
        """Pairs of the batch, at least 1; averaged over the processes of a distributed run."""
        pairs = float(sum(targets.counts) * groups)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            shared = targets.boxes.new_tensor(pairs)
            torch.distributed.all_reduce(shared)
            return (shared / torch.distributed.get_world_size()).clamp(min=1)
        return max(pairs, 1.0)

    def layer_losses(
        self,
        outputs: Mapping[str, Tensor],
        targets: MonoTargets,
        match: tuple[Tensor, Tensor, Tensor],
        pairs: float | Tensor,
    ) -> dict[str, Tensor]:
        """Losses of one decoder layer, given its (picture, query, object) pairs."""
        picture, query, item = match
        logits = outputs["logits"].float()
        wanted = torch.zeros_like(logits)
        wanted[picture, query, targets.labels[picture, item]] = 1
        boxes, true_boxes = outputs["boxes"][picture, query].float(), targets.boxes[picture, item]
        distance = (boxes - true_boxes).abs()
        depth_error = (outputs["depths"][picture, query].float() - targets.depths[picture, item]).abs()
        log_variance = outputs["depth_log_variances"][picture, query].float()
        losses = {
            "class": sigmoid_focal(logits, wanted).sum(),
            "centre": distance[:, :2].sum(),
            "sides": distance[:, 2:].sum(),
            "giou": (1 - generalised_iou(edges(boxes), edges(true_boxes))).sum(),
            "depth": (1.4142 * torch.exp(-log_variance) * depth_error + log_variance).sum(),
            "size": self._size_loss(outputs["sizes"][picture, query].float(), targets.sizes[picture, item]),
            "heading": self._heading_loss(
                outputs["headings"][picture, query].float(),
                targets.heading_bins[picture, item],
                targets.heading_residuals[picture, item],
            ),
        }
        return {name: value / pairs for name, value in losses.items()}

    @staticmethod
    @torch.no_grad()
    def statistics(
        outputs: Mapping[str, Tensor], targets: MonoTargets, match: tuple[Tensor, Tensor, Tensor]
    ) -> dict[str, Tensor]:
        """For logs, as the official code counts: ``class_error``, per cent of matched queries whose best logit is of another class;
        ``cardinality_error``, mean difference between objects and queries whose best logit is not the last one."""
        picture, query, item = match
        best = outputs["logits"].argmax(-1)
        right = (best[picture, query] == targets.labels[picture, item]).float()
        found = (best != outputs["logits"].shape[-1] - 1).sum(1).float()
        return {
            "class_error": 100 - 100 * right.mean(),
            "cardinality_error": (found - found.new_tensor(targets.counts)).abs().mean(),
        }

    @staticmethod
    def _size_loss(sizes: Tensor, wanted: Tensor) -> Tensor:
        """Error relative to the true size, scaled back to the magnitude of the plain error so that its weight keeps its meaning."""
        if not len(sizes):
            return sizes.sum()
        error = (sizes - wanted).abs()
        relative = error / wanted
        with torch.no_grad():
            scale = error.mean() / relative.mean().clamp(min=1e-12)
        return (relative * scale).sum()

    def _heading_loss(self, headings: Tensor, wanted_bin: Tensor, wanted_residual: Tensor) -> Tensor:
        by_bin = F.cross_entropy(headings[:, : self.heading_bins], wanted_bin, reduction="sum")
        residual = headings[:, self.heading_bins :].gather(1, wanted_bin[:, None])[:, 0]
        return by_bin + (residual - wanted_residual).abs().sum()

    # -- depth map -----------------------------------------------------------------------------------------------------

    def depth_map_loss(self, logits: Tensor, targets: MonoTargets) -> Tensor:
        """Softmax focal loss of (B, bins + 1, h, w) logits over all cells, in float32; cells inside boxes weigh 13 times as much."""
        classes, foreground = self.depth_map_targets(targets, logits.shape[-2:])
        log_p = logits.float().log_softmax(1)
        focal = -FOCAL_ALPHA * (1 - log_p.exp()) ** FOCAL_GAMMA * log_p
        # The official one-hot target has 1e-6 added to all classes.
        cell = focal.gather(1, classes[:, None])[:, 0] + 1e-6 * focal.sum(1)
        return (cell * torch.where(foreground, FOREGROUND_WEIGHT, 1.0)).mean()

    @torch.no_grad()
    def depth_map_targets(self, targets: MonoTargets, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """(B, h, w) int64 depth class (the nearest object's, background where there is none) and (B, h, w) bool: inside a 2D box."""
        height, width = size
        scale = targets.boxes2d.new_tensor([width, height, width, height])
        cells = targets.boxes2d * scale
        low, high = cells[..., :2].floor(), cells[..., 2:].ceil()
        if self.convention == "official":  # a slice with a negative begin or end counts from the other side
            low = torch.where(low < 0, low + scale[:2], low).clamp(min=0)
            high = torch.where(high < 0, high + scale[:2], high)
        x = torch.arange(width, device=cells.device)
        y = torch.arange(height, device=cells.device)
        columns = (x >= low[..., :1]) & (x < high[..., :1])  # (B, N, w)
        rows = (y >= low[..., 1:]) & (y < high[..., 1:])  # (B, N, h)
        covered = rows[..., None] & columns[..., None, :] & targets.valid[..., None, None]
        far = torch.full((), float("inf"), device=cells.device)
        depth = torch.where(covered, targets.depths[..., None, None], far)
        depth = depth.amin(1) if depth.shape[1] else far.expand(len(cells), height, width)
        foreground = depth.isfinite()
        official = self.convention == "official"
        return self.bins.classify(torch.where(foreground, depth, torch.zeros_like(depth)), official), foreground


def sigmoid_focal(logits: Tensor, wanted: Tensor) -> Tensor:
    """Focal loss of each logit against 0 or 1 (arXiv 1708.02002), same shape."""
    p = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    missed = torch.where(wanted > 0, 1 - p, p)
    alpha = torch.where(wanted > 0, FOCAL_ALPHA, 1 - FOCAL_ALPHA)
    return alpha * entropy * missed**FOCAL_GAMMA
