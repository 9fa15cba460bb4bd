"""kMaX-DeepLab's pixel decoder: one stage a stride, deep to shallow, axial attention at the deep ones (arXiv 2207.04044)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError
from perception.models.layers.conv import ChannelLayerNorm, ConvNorm, resize
from perception.models.polymax.axial_attention import AxialAttention


def align_corners_for(x: Tensor, rule: bool | str) -> bool:
    """Return `align_corners` for enlarging `x` (B, C, H, W): `rule` itself, or for "parity" whether W is odd (official PyTorch port)."""
    return x.shape[-1] % 2 == 1 if rule == "parity" else bool(rule)


class DecoderBlock(nn.Module):
    """Pre-activation bottleneck: GELU; 1x1; axial attention or 3x3; 1x1; plus shortcut. No activation at the end."""

    def __init__(self, in_channels: int, width: int, *, axial: bool, dilation: int, heads: int) -> None:
        super().__init__()
        out_channels = 4 * width
        inner = 2 * width if axial else width
        self.reduce = ConvNorm(in_channels, inner, activation="gelu")
        self.attention = AxialAttention(inner, width, inner, heads) if axial else None
        self.spatial = None if axial else ConvNorm(width, width, 3, dilation=dilation, activation="gelu")
        self.expand = ConvNorm(inner, out_channels, gain=0.0)
        self.shortcut = ConvNorm(in_channels, out_channels) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map the pre-activation (B, in_channels, H, W) to the pre-activation (B, 4 width, H, W)."""
        x = F.gelu(x)
        y = self.reduce(x)
        y = self.spatial(y) if self.attention is None else F.gelu(self.attention(y))
        return self.expand(y) + self.shortcut(x)


class Fuse(nn.Module):
    """Bring the deeper map and the backbone's map to one width and size, and add them."""

    def __init__(self, low_channels: int, high_channels: int, width: int, align_corners: bool | str) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.low = ConvNorm(low_channels, width) if low_channels != width else None
        self.high = ConvNorm(high_channels, width) if high_channels != width else None

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Map (B, low, h, w) and (B, high, H, W) to (B, width, H, W). A map of the right width is added as it is."""
        if self.low is not None:
            low = self.low(F.gelu(low))
        if self.high is not None:
            high = self.high(F.gelu(high))
        return resize(low, high.shape[-2:], align_corners=align_corners_for(low, self.align_corners)) + high


class PixelDecoder(nn.Module):
    """Backbone maps to decoder maps, one stage a backbone level, deep to shallow.

    Args:
        in_channels: channels of the backbone's maps, deep to shallow.
        widths: base width f of each stage; its output has 4 f channels.
        blocks: blocks a stage.
        axial: whether a stage uses axial attention (else 3x3 convolutions).
        dilation: of the 3x3 convolutions (1 in the PyTorch port, 2 in the TensorFlow original).
        align_corners: of the resizing: True (TensorFlow), False or "parity" (PyTorch port).
        heads: heads of the axial attention.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        widths: Sequence[int] = (512, 256, 128, 64),
        blocks: Sequence[int] = (1, 5, 1, 1),
        axial: Sequence[bool] = (True, True, False, False),
        dilation: int = 1,
        align_corners: bool | str = "parity",
        heads: int = 8,
    ) -> None:
        super().__init__()
        if not len(in_channels) == len(widths) == len(blocks) == len(axial):
            raise RecipeError(
                f"the pixel decoder needs one width, block count and kind for each of the {len(in_channels)} backbone maps; "
                f"found {len(widths)}, {len(blocks)} and {len(axial)}"
            )
        self.input_norms = nn.ModuleList(ChannelLayerNorm(c) for c in in_channels)
        self.stages, self.fuses = nn.ModuleList(), nn.ModuleList()
        channels = in_channels[0]
        for index, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            if index:
                self.fuses.append(Fuse(channels, in_channels[index], width, align_corners))
                channels = width
            stage = nn.Sequential()
            for _ in range(count):
                stage.append(DecoderBlock(channels, width, axial=axial[index], dilation=dilation, heads=heads))
                channels = 4 * width
            self.stages.append(stage)
        self.channels = [4 * width for width in widths]

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Map backbone maps (B, C_i, H_i, W_i), deep to shallow, to pre-activation maps (B, 4 f_i, H_i, W_i), deep to shallow."""
        outputs: list[Tensor] = []
        for index, (feature, norm, stage) in enumerate(zip(features, self.input_norms, self.stages, strict=True)):
            feature = norm(feature)
            outputs.append(stage(self.fuses[index - 1](outputs[-1], feature) if index else feature))
        return outputs
