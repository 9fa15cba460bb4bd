"""From network outputs to 3D boxes in the camera frame of the original picture, in float32 or better."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from perception.errors import InputError
from perception.geometry.cameras import Pinhole
from perception.geometry.image_transform import ImageTransform
from perception.models.monodetr.matcher import edges
from perception.models.monodetr.targets import VirtualLens, decode_heading, wrap
from perception.models.preprocess import Prepared


@dataclasses.dataclass(frozen=True)
class RankedQueries:
    """The best (query, class) pairs of each picture, best first: all tensors (B, K, ...)."""

    labels: Tensor  # int64
    scores: Tensor  # class probability
    boxes: Tensor  # (cx, cy, l, r, t, b), fractions of the network's input
    depths: Tensor  # metres
    confidences: Tensor  # exp(-log variance) of the depth, may exceed 1
    headings: Tensor  # (B, K, 2 bins)
    sizes: Tensor  # (h, w, l), metres


def rank(outputs: Mapping[str, Tensor], count: int, num_classes: int | None = None) -> RankedQueries:
    """Take the `count` best of all queries x classes; a query may appear once a class. `num_classes` leaves later logits out."""
    probabilities = outputs["logits"].float().sigmoid()
    total = probabilities.shape[-1]
    flat = probabilities[..., :num_classes].flatten(1)
    scores, index = flat.topk(min(count, flat.shape[1]), dim=1)
    kept = total if num_classes is None else min(num_classes, total)
    query = index // kept

    def take(x: Tensor) -> Tensor:
        rows = query.reshape(*query.shape, *[1] * (x.ndim - 2)).expand(*query.shape, *x.shape[2:])
        return x.float().gather(1, rows)

    return RankedQueries(
        labels=index % kept,
        scores=scores,
        boxes=take(outputs["boxes"]),
        depths=take(outputs["depths"]),
        confidences=take(outputs["depth_log_variances"]).neg().exp(),
        headings=take(outputs["headings"]),
        sizes=take(outputs["sizes"]),
    )


def decode_official(ranked: RankedQueries, projections: Tensor, sizes: Tensor, heading_bins: int) -> dict[str, Tensor]:
    """The released code's decoder: the affine map is ignored, the heading is measured at the middle of the 2D box, scores may exceed 1.

    Args:
        projections: (B, 3, 4) KITTI P2 of the original pictures.
        sizes: (B, 2) (width, height) of the original pictures.

    Returns:
        float64, (B, K, ...): ``alpha``; ``boxes2d`` (left, top, right, bottom) pixels; ``sizes`` (h, w, l); ``locations``, the middle of the box's BOTTOM face
        in the camera frame, metres; ``rotation_y`` (KITTI: about the down axis); ``scores``.
    """
    projections, sizes = projections.double(), sizes.double()
    boxes, size3d, depth = ranked.boxes.double(), ranked.sizes.double(), ranked.depths.double()
    boxes2d = edges(boxes) * torch.cat((sizes, sizes), -1)[:, None]
    fu, fv, cu, cv = (projections[:, i, j, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    u, v = boxes[..., 0] * sizes[:, :1], boxes[..., 1] * sizes[:, 1:]
    x = (u - cu) * depth / fu - projections[:, 0, 3, None] / fu
    y = (v - cv) * depth / fv - projections[:, 1, 3, None] / fv
    alpha = decode_heading(ranked.headings.double(), heading_bins)
    middle = (boxes2d[..., 0] + boxes2d[..., 2]) / 2
    return {
        "alpha": alpha,
        "boxes2d": boxes2d,
        "sizes": size3d,
        "locations": torch.stack((x, y + size3d[..., 0] / 2, depth), -1),
        "rotation_y": wrap(alpha + torch.atan2(middle - cu, fu)),
        "scores": ranked.scores.double() * ranked.confidences.double(),
    }


class MonoPostprocess:
    """Turns outputs into results.

    Args:
        classes: names, in the order of the logits.
        convention: "exact" goes back through the input's own affine map, measures the heading at the projected 3D centre and keeps scores within 0..1;
            "official" is `decode_official`.
        score_threshold: smallest class probability that is kept (before the depth's confidence is multiplied in).
        max_detections: at most so many (query, class) pairs a picture.
    """

    def __init__(
        self, classes: Sequence[str], convention: str = "exact", score_threshold: float = 0.2, max_detections: int = 50
    ) -> None:
        self.classes, self.convention = tuple(classes), convention
        self.score_threshold, self.max_detections = score_threshold, max_detections

    @torch.no_grad()
    def decode(
        self,
        outputs: Mapping[str, Tensor],
        cameras: Sequence[Pinhole],
        transforms: Sequence[ImageTransform],
        lens: VirtualLens | None = None,
    ) -> list[dict[str, Tensor]]:
        """For each picture tensors on the CPU: ``boxes3d`` (N, 7) camera frame, ``boxes2d`` (N, 4) pixels, ``labels`` (N,) int64, ``scores`` (N,), best first.

        cameras: of the original pictures. transforms: from their pixels to the network's input.
        """
        count = len(outputs["logits"])
        if not len(cameras) == len(transforms) == count:
            raise InputError(f"prediction needs the camera of each of {count} pictures; found {len(cameras)}")
        ranked = rank(
            {k: v.detach().cpu() for k, v in outputs.items() if isinstance(v, Tensor)},
            self.max_detections,
            len(self.classes),
        )
        bins = ranked.headings.shape[-1] // 2
        if self.convention == "official":
            decoded = self._official(ranked, cameras, bins)
        else:
            decoded = self._exact(ranked, cameras, transforms, lens, bins)
        results = []
        for i in range(count):
            found = {name: value[i] for name, value in decoded.items()}
            keep = (
                (ranked.scores[i] >= self.score_threshold)
                & found["boxes3d"].isfinite().all(-1)
                & (found["boxes3d"][:, 2] > 0)
            )
            keep &= (found["boxes3d"][:, 3:6] > 0).all(-1)
            order = torch.argsort(found["scores"][keep], descending=True, stable=True)
            results.append({name: value[keep][order].float() for name, value in found.items()})
            results[-1]["labels"] = ranked.labels[i][keep][order]
        return results

    @staticmethod
    def _official(ranked: RankedQueries, cameras: Sequence[Any], bins: int) -> dict[str, Tensor]:
        matrices = torch.stack([torch.as_tensor(camera.opencv_matrix) for camera in cameras])
        projections = torch.cat((matrices, matrices.new_zeros(len(cameras), 3, 1)), -1)
        sizes = torch.tensor([[camera.width, camera.height] for camera in cameras])
        raw = decode_official(ranked, projections, sizes, bins)
        x, y, z = raw["locations"].unbind(-1)
        height, width, length = raw["sizes"].unbind(-1)
        boxes3d = torch.stack((x, y - height / 2, z, length, width, height, -raw["rotation_y"]), -1)
        return {"boxes3d": boxes3d, "boxes2d": raw["boxes2d"], "scores": raw["scores"]}

    @staticmethod
    def _exact(
        ranked: RankedQueries,
        cameras: Sequence[Pinhole],
        transforms: Sequence[ImageTransform],
        lens: VirtualLens | None,
        bins: int,
    ) -> dict[str, Tensor]:
        network = torch.tensor([t.target for t in transforms], dtype=torch.float64)[:, None]
        scale = torch.tensor([[t.scale_x, t.scale_y] for t in transforms], dtype=torch.float64)[:, None]
        shift = torch.tensor([[t.shift_x, t.shift_y] for t in transforms], dtype=torch.float64)[:, None]
        k = torch.tensor([[c.fx, c.fy, c.cx, c.cy] for c in cameras], dtype=torch.float64)[:, None]  # (B, 1, 4)
        limit = torch.tensor([[c.width, c.height] for c in cameras], dtype=torch.float64)[:, None]
        boxes, size3d, depth = ranked.boxes.double(), ranked.sizes.double(), ranked.depths.double()
        if lens is not None:
            depth = depth * lens.ratio(k[..., 1] * scale[..., 1])
        centre = (boxes[..., :2] * network - shift) / scale
        corners = edges(boxes)
        corners = (corners * network.repeat(1, 1, 2) - shift.repeat(1, 1, 2)) / scale.repeat(1, 1, 2)
        corners = torch.minimum(corners.clamp(min=0), limit.repeat(1, 1, 2))
        ray = (centre - k[..., 2:]) / k[..., :2]
        yaw = -wrap(decode_heading(ranked.headings.double(), bins) + torch.atan(ray[..., 0]))
        location = torch.cat((ray * depth[..., None], depth[..., None]), -1)
        boxes3d = torch.cat((location, size3d.flip(-1), yaw[..., None]), -1)
        scores = ranked.scores.double() * ranked.confidences.double().clamp(max=1)
        return {"boxes3d": boxes3d, "boxes2d": corners, "scores": scores}

    def __call__(
        self,
        outputs: Mapping[str, Tensor],
        cameras: Sequence[Pinhole],
        transforms: Sequence[ImageTransform],
        lens: VirtualLens | None = None,
    ) -> list[Any]:
        """One `Boxes3DResult` a picture, see `decode`."""
        from perception.results import Boxes3DResult

        return [
            Boxes3DResult(
                boxes=found["boxes3d"].numpy(),
                labels=found["labels"].numpy(),
                scores=found["scores"].numpy(),
                boxes2d=found["boxes2d"].numpy(),
                class_names=self.classes,
                camera=camera,
            )
            for found, camera in zip(self.decode(outputs, cameras, transforms, lens), cameras, strict=True)
        ]


@torch.no_grad()
def foreground_depth(
    outputs: Mapping[str, Tensor], prepared: Sequence[Prepared], lens: VirtualLens | None = None
) -> list[Any]:
    """The coarse depth map of the objects as one `DepthResult` a picture: valid where the background is the less likely class."""
    from perception.results import DepthResult

    maps = torch.stack((outputs["depth_map"].float(), 1 - outputs["depth_logits"].float().softmax(1)[:, -1]), 1)
    results = []
    for pair, item in zip(maps, prepared, strict=True):
        width, height = item.transform.target
        full = F.interpolate(pair[None], (height, width), mode="bilinear", align_corners=False)[0]
        depth, likely = item.transform.undo(full).cpu()
        if lens is not None:
            depth = depth * lens.ratio(torch.tensor(item.camera.fy * abs(item.transform.scale_y)))
        results.append(DepthResult(depth.numpy(), (likely > 0.5).numpy(), kind="metric", camera=item.camera))
    return results
