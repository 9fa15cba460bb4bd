"""Depth-guided decoder: queries ask the depth map, then each other, then the picture (MonoDETR, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.layers.deformable_attention import MultiScaleDeformableAttention
from perception.models.layers.mlp import MLP
from perception.models.layers.packed_attention import PackedAttention
from perception.models.layers.sine_position import sine_of_coordinates
from perception.ops.deformable_attention import Shapes


def logit(x: Tensor) -> Tensor:
    """Inverse of the sigmoid, kept finite: x and 1 - x count as at least 1e-5."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=1e-5) / (1 - x).clamp(min=1e-5))


class DepthGuidedLayer(nn.Module):
    """Post-norm layer: attention over depth tokens, self-attention, deformable attention over the picture, feed-forward.

    The official layer projects query and key of the self-attention twice, as content and as position, from the same tensor; the two projections
    and the attention's own are one linear map, and here they are one parameter (`weights.py` multiplies them out).
    """

    def __init__(self, dim: int, heads: int, levels: int, points: int, ffn_dim: int, dropout: float) -> None:
        super().__init__()
        self.depth_attention = PackedAttention(dim, heads, dropout)
        self.self_attention = PackedAttention(dim, heads, dropout)
        self.visual_attention = MultiScaleDeformableAttention(dim, heads, levels, points)
        self.linear1, self.linear2 = nn.Linear(dim, ffn_dim), nn.Linear(ffn_dim, dim)
        self.norm_depth, self.norm_self = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.norm_visual, self.norm_ffn = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        position: Tensor,
        references: Tensor,
        depth_tokens: Tensor,
        memory: Tensor,
        shapes: Shapes,
        groups: int,
    ) -> Tensor:
        """Advance (B, groups Q, dim) queries, group after group; self-attention stays within a group."""
        x = self.norm_depth(x + self.dropout(self.depth_attention(x, depth_tokens, depth_tokens)))
        grouped = x.unflatten(1, (groups, -1)).flatten(0, 1)  # (B groups, Q, dim)
        placed = (x + position).unflatten(1, (groups, -1)).flatten(0, 1)
        attended = self.self_attention(placed, placed, grouped).reshape(x.shape)
        x = self.norm_self(x + self.dropout(attended))
        x = self.norm_visual(x + self.dropout(self.visual_attention(x + position, references, memory, shapes)))
        return self.norm_ffn(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))


class DepthGuidedDecoder(nn.Module):
    """Layers that refine a box per query: (cx, cy, l, r, t, b), the projected 3D centre and the distances from it to the sides.

    anchors: "points": queries have a learnt position with a 2-d start (MonoDETR). "boxes": they start from learnt 6-d boxes and take their position from
        the current box (DAB-DETR, section 4). "given": the same with start boxes that `forward` is given.
    """

    def __init__(
        self,
        layers: int,
        dim: int,
        heads: int,
        levels: int,
        points: int,
        ffn_dim: int,
        dropout: float,
        queries: int,
        anchors: str = "points",
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DepthGuidedLayer(dim, heads, levels, points, ffn_dim, dropout) for _ in range(layers)
        )
        self.dynamic_anchors = anchors != "points"
        self.content = nn.Parameter(torch.randn(queries, dim))
        if anchors == "boxes":
            self.anchors = nn.Parameter(torch.randn(queries, 6))  # before the sigmoid
        if self.dynamic_anchors:
            self.position_head = MLP(3 * dim, dim, dim)
            self.position_scale = MLP(dim, dim, dim)
        else:
            self.position = nn.Parameter(torch.randn(queries, dim))
            self.reference_head = nn.Linear(dim, 2)
            nn.init.xavier_uniform_(self.reference_head.weight)
            nn.init.zeros_(self.reference_head.bias)

    def start(self, queries: int) -> Tensor:
        """(1, Q, 2 or 6) references of the first `queries` queries, fractions of the picture."""
        if self.dynamic_anchors:
            return self.anchors[:queries].sigmoid()[None]
        return self.reference_head(self.position[:queries]).sigmoid()[None]

    def query_position(self, index: int, x: Tensor, references: Tensor) -> Tensor:
        """(B or 1, Q, dim) position of the queries before layer `index`."""
        if not self.dynamic_anchors:
            return self.position[None, : x.shape[1]]
        yx_first = references[..., [1, 0, 2, 3, 4, 5]]
        position = self.position_head(sine_of_coordinates(yx_first, self.position_head.layers[0].in_features // 6))
        return position if index == 0 else position * self.position_scale(x)

    def forward(
        self,
        memory: Tensor,
        shapes: Shapes,
        depth_tokens: Tensor,
        box_heads: Sequence[nn.Module],
        queries: int,
        groups: int = 1,
        start: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Run `queries` queries in `groups` groups.

        Args:
            memory: (B, S, dim) of the visual encoder, levels of `shapes`.
            depth_tokens: (B, T, dim) of the depth predictor.
            box_heads: for each layer the module that turns (B, Q, dim) into (B, Q, 6) box offsets.
            start: boxes (B, Q, 6) to start from, and (B, Q, dim) to add to the queries' content; with anchors "given" only.

        Returns:
            For each layer the states (B, Q, dim) and the boxes (B, Q, 6), fractions.
        """
        x = self.content[:queries].expand(memory.shape[0], -1, -1)  # len() would fix an export to its batch
        if start is None:
            references = self.start(queries)
        else:
            references, x = start[0], x + start[1]
        states, boxes = [], []
        for index, (layer, box_head) in enumerate(zip(self.layers, box_heads, strict=True)):
            position = self.query_position(index, x, references)
            x = layer(x, position, references, depth_tokens, memory, shapes, groups)
            offsets = box_head(x)
            # float32, as half precision cannot hold a pixel of a wide picture
            anchor = logit(references.float())
            if anchor.shape[-1] == 2:
                anchor = F.pad(anchor, (0, 4))
            box = (offsets.float() + anchor).sigmoid()
            references = box.detach()
            states.append(x)
            boxes.append(box)
        return states, boxes
