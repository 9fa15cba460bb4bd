"""The dense head of CroCo's downstream models (DPT, arXiv 2103.13413): four taps of encoder and decoder become one full-size map."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.depth_anything.dpt_head import Fusion

LAYER_DIMS = (96, 192, 384, 768)


def default_taps(enc_depth: int, dec_depth: int) -> tuple[int, int, int, int]:
    """Blocks that are tapped, counted through encoder and decoder: the last, and three more in steps of a third of the decoder."""
    step, last = math.ceil(dec_depth / 3), enc_depth + dec_depth - 1
    return last - 3 * step, last - 2 * step, last - step, last


class BinocularHead(nn.Module):
    """From four lists of tokens to (B, channels, 16 rows, 16 columns).

    Args:
        dims: width of each tap's tokens, shallow to deep. channels: of the result. features: of the fusion. layer_dims: of the four maps (strides 4, 8,
            16, 32). head_dims: of the last convolutions.
    """

    def __init__(
        self,
        dims: Sequence[int],
        channels: int,
        features: int = 256,
        layer_dims: Sequence[int] = LAYER_DIMS,
        head_dims: Sequence[int] = (128, 32),
    ) -> None:
        super().__init__()
        a, b, _, d = layer_dims
        self.project = nn.ModuleList(nn.Conv2d(dim, layer, 1) for dim, layer in zip(dims, layer_dims, strict=True))
        self.resize = nn.ModuleList(
            [
                nn.ConvTranspose2d(a, a, 4, 4),
                nn.ConvTranspose2d(b, b, 2, 2),
                nn.Identity(),
                nn.Conv2d(d, d, 3, 2, 1),
            ]
        )
        self.reduce = nn.ModuleList(nn.Conv2d(layer, features, 3, padding=1, bias=False) for layer in layer_dims)
        self.fuse = nn.ModuleList(Fusion(features, with_skip=index < 3) for index in range(4))
        self.narrow = nn.Conv2d(features, head_dims[0], 3, padding=1)
        self.hidden = nn.Conv2d(head_dims[0], head_dims[1], 3, padding=1)
        self.out = nn.Conv2d(head_dims[1], channels, 1)

    def forward(self, tokens: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Tokens (B, rows * columns, dim), shallow to deep; `grid`: (rows, columns), both even."""
        maps = []
        for x, project, resize, reduce in zip(tokens, self.project, self.resize, self.reduce, strict=True):
            x = project(x.transpose(1, 2).unflatten(2, grid))
            maps.append(reduce(resize(x)))
        x = maps[3]
        for index in (3, 2, 1, 0):
            size = (2 * int(x.shape[-2]), 2 * int(x.shape[-1]))
            x = self.fuse[index](x, maps[index] if index < 3 else None, size)
        x = self.narrow(x)
        size = (2 * int(x.shape[-2]), 2 * int(x.shape[-1]))
        x = F.interpolate(x, size, mode="bilinear", align_corners=True)
        return self.out(F.relu(self.hidden(x)))
