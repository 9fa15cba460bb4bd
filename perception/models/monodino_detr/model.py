"""MonoDINO-DETR: 3D boxes from the features and the relative depth of a frozen Depth Anything V2 (arXiv 2502.00315).

Three taps of the transformer become a pyramid (hierarchical feature fusion), the relative depth map becomes depth classes (depth transfer), and
queries are dynamic anchor boxes. Encoder, decoder, heads, losses and decoding are MonoDETR's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError
from perception.models.depth_anything.model import SIZES, build_encoder
from perception.models.depth_anything.vit import PATCH
from perception.models.monodetr.depth_predictor import DepthDistribution, conv_norm
from perception.models.monodetr.detector import MonoDetector
from perception.models.registry import register_model


class HierarchicalFusion(nn.Module):
    """Three token maps of one size -> maps 4x, 2x and 1x as fine, all of `dim` channels."""

    def __init__(self, tokens_dim: int, widths: Sequence[int], dim: int) -> None:
        super().__init__()
        steps = [(widths[0], 4), (widths[1], 2)]
        self.levels = nn.ModuleList(
            nn.Sequential(
                *conv_norm(tokens_dim, width, 1),
                nn.ConvTranspose2d(width, dim, factor, factor),
                nn.GroupNorm(32, dim),
            )
            for width, factor in steps
        )
        self.levels.append(conv_norm(tokens_dim, dim, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (B, tokens_dim, h, w), shallow to deep -> (B, dim, 4h, 4w), (B, dim, 2h, 2w), (B, dim, h, w)."""
        return [level(x) for level, x in zip(self.levels, maps, strict=True)]


@register_model
class MonoDINODETR(MonoDetector):
    """MonoDINO-DETR.

    Args:
        encoder: "vits", "vitb", "vitl" or "vitg" of Depth Anything V2.
        vit_size: (height, width) of the transformer's input, multiples of 14. The released model squashes every picture to 518 x 518; a size of the
            picture's aspect, such as (294, 980) for KITTI, keeps shapes.
        pretrained: path of the Depth Anything V2 file (``depth_anything_v2_vits.pth`` ...) to start from; without it the frozen parts are random, which is
            good for loading a trained MonoDINO-DETR only.
        train_backbone: let gradients into the transformer and the depth head (the released model does not).
        dynamic_anchors: queries as boxes (DAB); without, learnt positions as in MonoDETR.
        token_clustering: True or the settings of `TokenClustering`: fewer tokens in the transformer's later blocks at evaluation, nothing trained.
        **options: see `MonoDetector`.
    """

    def __init__(
        self,
        encoder: str = "vits",
        *,
        vit_size: tuple[int, int] = (518, 518),
        pretrained: str | bool = False,
        train_backbone: bool = False,
        dynamic_anchors: bool = True,
        token_clustering: bool | Mapping[str, Any] | None = None,
        levels: int = 3,
        **options: Any,
    ) -> None:
        if levels != 3:
            raise RecipeError(f"MonoDINO-DETR has 3 levels; found {levels}")
        if any(n < PATCH or n % PATCH for n in vit_size):
            raise RecipeError(f"vit_size must be (height, width) in multiples of {PATCH}; found {tuple(vit_size)}")
        self.dynamic_anchors = dynamic_anchors
        super().__init__(levels=levels, **options)
        self.vit_size, self.train_backbone = tuple(int(n) for n in vit_size), train_backbone
        self.vit, self.depth_head = build_encoder(encoder, token_clustering)
        if pretrained:
            from perception.models.monodino_detr.weights import load_depth_anything

            load_depth_anything(self, str(pretrained))
        if not train_backbone:
            self.vit.requires_grad_(False)
            self.depth_head.requires_grad_(False)
        dim = self.encoder.level_embed.shape[1]
        layer = self.encoder.layers[0]
        tokens_dim, channels = SIZES[encoder][0], SIZES[encoder][6]
        self.fusion = HierarchicalFusion(tokens_dim, channels[1:3], dim)
        self.depth_input = nn.Sequential(*conv_norm(1, dim, 3), nn.ReLU())
        self.depth_distribution = DepthDistribution(
            dim, layer.attention.heads, layer.linear1.out_features, layer.dropout.p, self.bins
        )

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of the transformer's patches."""
        return self.vit_size[0] // PATCH, self.vit_size[1] // PATCH

    def vit_images(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, *vit_size), bilinear. The official model pads to multiples of 14 first, at the right and the bottom."""
        if self.convention == "official":
            images = F.pad(images, (0, -images.shape[-1] % PATCH, 0, -images.shape[-2] % PATCH))
        if tuple(images.shape[-2:]) == self.vit_size:
            return images
        return F.interpolate(images, self.vit_size, mode="bilinear", align_corners=False)

    def backbone_features(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Three deeper taps as maps (B, width, rows, columns), and the relative inverse depth averaged over the four pixels in the middle of each
        patch (B, 1, rows, columns): what a bilinear reduction of the full map to the patch grid gives."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.train_backbone):
            tokens, _ = self.vit(self.vit_images(images))
            depth = self.depth_head.patch_centres(tokens, self.grid).relu().mean(1, keepdim=True)
        return [x.transpose(1, 2).unflatten(2, self.grid) for x in tokens[1:]], depth

    def features(self, images: Tensor) -> tuple[list[Tensor], tuple[Tensor, Tensor, Tensor]]:
        """Pyramid and depth, see `MonoDetector.features`."""
        maps, depth = self.backbone_features(images)
        return self.fusion(maps), self.depth_distribution(self.depth_input(depth))
