"""The decoder of DPT / RefineNet (arXiv 2103.13413): fuse a pyramid from deep to shallow with residual convolution units."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.layers.conv import ConvNorm, resize


class ResidualUnit(nn.Module):
    """x + conv(gelu(conv(gelu(x)))) with batch norm; the second norm starts at 0, so the unit starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels, 3, activation="gelu")
        self.conv2 = ConvNorm(channels, channels, 3, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x + self.conv2(self.conv1(F.gelu(x)))


class GlobalToken(nn.Module):
    """What the whole picture says: pooled deepest map -> token -> log scale and scene kind; the token also goes back to the map."""

    def __init__(self, in_channels: int, channels: int, hidden: int = 128) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(in_channels, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.scale = nn.Linear(hidden, 1)
        self.scene = nn.Linear(hidden, 2)
        self.context = nn.Linear(hidden, channels)
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.scale.bias)

    def forward(self, deepest: Tensor) -> dict[str, Tensor]:
        """Map (B, in_channels, h, w) to `log_scale` (B,), `scene_logits` (B, 2), `context` (B, channels)."""
        token = self.embed(deepest.float().mean((2, 3)))
        return {"log_scale": self.scale(token)[:, 0], "scene_logits": self.scene(token), "context": self.context(token)}


class FusionDecoder(nn.Module):
    """Pyramid -> one map at the stride of its shallowest level.

    Args:
        in_channels: of the levels, shallow to deep.
        channels: of the decoder: one number, or one a level (shallow to deep).
        units: residual units after each fusion.
    """

    def __init__(self, in_channels: Sequence[int], channels: int | Sequence[int] = 96, units: int = 1) -> None:
        super().__init__()
        widths = [channels] * len(in_channels) if isinstance(channels, int) else list(channels)
        self.widths = widths
        self.lateral = nn.ModuleList(ConvNorm(c, w) for c, w in zip(in_channels, widths, strict=True))
        self.refine = nn.ModuleList(nn.Sequential(*(ResidualUnit(w) for _ in range(units))) for w in widths)
        self.reduce = nn.ModuleList(
            ConvNorm(deep, shallow) if deep != shallow else nn.Identity()
            for shallow, deep in zip(widths[:-1], widths[1:], strict=True)
        )

    def forward(self, features: Sequence[Tensor], context: Tensor | None = None) -> Tensor:
        """Map levels (B, C_i, H_i, W_i), shallow to deep, to (B, channels[0], H_0, W_0); `context` (B, channels[-1]) joins the deepest."""
        x = self.lateral[-1](features[-1])
        if context is not None:
            x = x + context[:, :, None, None].to(x.dtype)
        x = self.refine[-1](x)
        for level in reversed(range(len(features) - 1)):
            skip = self.lateral[level](features[level])
            x = self.refine[level](resize(self.reduce[level](x), skip.shape[-2:]) + skip)
        return x


class DetailBranch(nn.Module):
    """A thin look at the picture itself at stride 2, for crisp edges."""

    def __init__(self, channels: int, in_channels: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ConvNorm(in_channels, channels, 3, stride=2, activation="gelu"),
            ConvNorm(channels, channels, 3, activation="gelu"),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map the normalised picture (B, 3, H, W) to (B, channels, ceil(H / 2), ceil(W / 2))."""
        return self.layers(image)


class TaskHead(nn.Module):
    """3x3 at the decoder's stride, enlarge, join the detail branch, 3x3, 1x1 to the values."""

    def __init__(self, in_channels: int, channels: int, values: int, detail_channels: int = 0) -> None:
        super().__init__()
        self.coarse = ConvNorm(in_channels, channels, 3, activation="gelu")
        self.fine = ConvNorm(channels + detail_channels, channels, 3, activation="gelu")
        self.output = nn.Conv2d(channels, values, 1)
        nn.init.trunc_normal_(self.output.weight, std=0.01)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor, size: tuple[int, int], detail: Tensor | None = None) -> Tensor:
        """Map (B, in_channels, h, w) to (B, values, *size)."""
        x = resize(self.coarse(x), size)
        if detail is not None:
            x = torch.cat([x, resize(detail, size).to(x.dtype)], dim=1)
        return self.output(self.fine(x))
