"""What a query says about its object: class, box, size, heading and depth (MonoDETR, section 3.4)."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.layers.mlp import MLP


class QueryHeads(nn.Module):
    """Heads of one decoder layer.

    Args:
        dim: width of the queries.
        num_classes: classes; a background has no logit of its own (sigmoid).
        heading_bins: bins over the full turn; each has a logit and a residual.
        first: these heads follow the first layer, whose references have no extent yet: boxes start small.
    """

    def __init__(self, dim: int, num_classes: int, heading_bins: int, first: bool) -> None:
        super().__init__()
        self.classes = nn.Linear(dim, num_classes)
        self.box = MLP(dim, dim, dim, 6)
        self.size = MLP(dim, dim, 3)
        self.heading = MLP(dim, dim, 2 * heading_bins)
        self.depth = MLP(dim, dim, 2)
        nn.init.constant_(self.classes.bias, -math.log(99))  # a prior of 1 % for each class
        nn.init.zeros_(self.box.layers[-1].weight)
        nn.init.zeros_(self.box.layers[-1].bias)
        if first:
            nn.init.constant_(self.box.layers[-1].bias[2:], -2.0)

    def forward(
        self, x: Tensor, boxes: Tensor, depth_map: Tensor, focals: Tensor, heights: Tensor
    ) -> dict[str, Tensor]:
        """Evaluate all heads but the box, whose result the decoder has computed.

        Args:
            x: (B, Q, dim).
            boxes: (B, Q, 6) as (cx, cy, l, r, t, b), fractions of the picture.
            depth_map: (B, h, w) expected depth, metres.
            focals: (B,) focal length in pixels of a picture that is `heights` pixels high.
            heights: (B,) that height.

        Returns:
            ``logits`` (B, Q, classes), ``boxes``, ``sizes`` (B, Q, 3) as (height, width, length) in metres, ``depths`` (B, Q) in metres,
            ``depth_log_variances`` (B, Q), ``headings`` (B, Q, 2 bins): logits, then residuals in radians.
        """
        sizes, raw = self.size(x).float(), self.depth(x).float()
        return {
            "logits": self.classes(x).float(),
            "boxes": boxes,
            "sizes": sizes,
            "depths": three_way_depth(raw[..., 0], sizes[..., 0], boxes, depth_map, focals, heights),
            "depth_log_variances": raw[..., 1],
            "headings": self.heading(x).float(),
        }


def three_way_depth(
    raw: Tensor, object_heights: Tensor, boxes: Tensor, depth_map: Tensor, focals: Tensor, heights: Tensor
) -> Tensor:
    """(B, Q) mean of the regressed depth, the depth from the object's height, and the depth map at the object's centre, metres."""
    regressed = 1 / (raw.sigmoid() + 1e-6) - 1
    pixels_high = ((boxes[..., 4] + boxes[..., 5]) * heights[:, None]).clamp(min=1)
    geometric = object_heights / pixels_high * focals[:, None]
    centres = (boxes[..., None, :2].detach() - 0.5) * 2
    sampled = F.grid_sample(
        depth_map[:, None].to(boxes.dtype), centres, mode="bilinear", padding_mode="zeros", align_corners=True
    )
    return (regressed + geometric + sampled[:, 0, :, 0]) / 3
