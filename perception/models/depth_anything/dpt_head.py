"""The dense prediction head of Depth Anything V2 (DPT, arXiv 2103.13413): four token maps become one full-size map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.ops.constants import cached_constants, is_tracing

PATCH = 14
STRIP = 32  # rows of the full-size map that are computed together on a CPU


class ResidualUnit(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.conv2(F.relu_(self.conv1(F.relu(x)))).add_(x)


class Fusion(nn.Module):
    """Adds a refined skip map, refines, projects and enlarges.

    The official order is enlarge, then project (1x1). Both are linear and the weights of an interpolation sum to 1, so the order does not matter to
    the result; projecting first costs a quarter.
    """

    def __init__(self, channels: int, with_skip: bool) -> None:
        super().__init__()
        self.skip_unit = ResidualUnit(channels) if with_skip else None
        self.unit = ResidualUnit(channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, skip: Tensor | None, size: tuple[int, int]) -> Tensor:
        """(B, C, h, w), optional skip of the same shape -> (B, C, *size)."""
        if self.skip_unit is not None:
            x = x + self.skip_unit(skip)
        return F.interpolate(self.project(self.unit(x)), size, mode="bilinear", align_corners=True)


class DPTHead(nn.Module):
    """From four lists of patch tokens to a (B, 1, 14 rows, 14 columns) map.

    Args:
        dim: width of the tokens.
        features: channels of the fusion.
        channels: of the four maps, fine to coarse (strides 3.5, 7, 14, 28 pixels).
    """

    def __init__(self, dim: int, features: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Conv2d(dim, c, 1) for c in channels)
        self.resize = nn.ModuleList(
            [
                nn.ConvTranspose2d(channels[0], channels[0], 4, 4),
                nn.ConvTranspose2d(channels[1], channels[1], 2, 2),
                nn.Identity(),
                nn.Conv2d(channels[3], channels[3], 3, 2, 1),
            ]
        )
        self.reduce = nn.ModuleList(nn.Conv2d(c, features, 3, padding=1, bias=False) for c in channels)
        self.fuse = nn.ModuleList(Fusion(features, with_skip=index < 3) for index in range(4))
        self.narrow = nn.Conv2d(features, features // 2, 3, padding=1)
        self.hidden = nn.Conv2d(features // 2, 32, 3, padding=1)
        self.out = nn.Conv2d(32, 1, 1)

    def trunk(self, tokens: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Tokens (B, rows * columns, dim), shallow to deep -> (B, features / 2, 8 rows, 8 columns), before the last enlargement."""
        maps = []
        for x, project, resize, reduce in zip(tokens, self.project, self.resize, self.reduce, strict=True):
            x = F.linear(x, project.weight.flatten(1), project.bias).transpose(1, 2).unflatten(2, grid)
            maps.append(reduce(resize(x)))
        x = maps[3]
        for index in (3, 2, 1, 0):
            size = maps[index - 1].shape[-2:] if index else (2 * maps[0].shape[-2], 2 * maps[0].shape[-1])
            x = self.fuse[index](x, maps[index] if index < 3 else None, tuple(size))
        return self.narrow(x)

    def forward(self, tokens: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """The whole map, before the activation that makes it depth: (B, 1, 14 rows, 14 columns)."""
        size = (PATCH * grid[0], PATCH * grid[1])
        x = self.trunk(tokens, grid)
        if x.device.type == "cpu" and not torch.is_grad_enabled() and not is_tracing():
            return self._in_strips(x, size)
        x = F.interpolate(x, size, mode="bilinear", align_corners=True)
        return self.out(F.relu(self.hidden(x)))

    def _in_strips(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """The last enlargement and convolutions a few rows at a time: at full size each of their maps is larger than a processor's cache."""
        x = F.interpolate(x, (x.shape[2], size[1]), mode="bilinear", align_corners=True)
        low, high, part = _enlarged_rows(int(x.shape[2]), size[0], x.device)
        part = part.to(x.dtype).view(-1, 1)
        out = x.new_empty(len(x), 1, *size)
        for begin in range(0, size[0], STRIP):
            end = min(begin + STRIP, size[0])
            rows = slice(
                max(begin - 1, 0), min(end + 1, size[0])
            )  # the 3 x 3 convolution sees a row more on both sides
            strip = torch.lerp(x[:, :, low[rows]], x[:, :, high[rows]], part[rows])
            strip = F.pad(strip, (0, 0, int(begin == 0), int(end == size[0])))
            strip = F.relu_(F.conv2d(strip, self.hidden.weight, self.hidden.bias, padding=(0, 1)))
            out[:, :, begin:end] = self.out(strip)
        return out

    def patch_centres(self, tokens: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """(B, 4, rows, columns): of each patch the four pixels in its middle (row-major), that is the full map at [14 i + 6 | 7, 14 j + 6 | 7].

        A bilinear reduction of the full map to the patch grid reads nothing else, so nothing else is computed: the last convolution sees 4 x 4 pixels
        of each patch instead of 14 x 14.
        """
        x = self.trunk(tokens, grid)
        for axis, count in ((2, grid[0]), (3, grid[1])):
            low, high, part = _centre_samples(int(x.shape[axis]), count, x.device)
            part = part.to(x.dtype).view(*[1] * axis, -1, *[1] * (3 - axis))
            x = torch.lerp(x.index_select(axis, low), x.index_select(axis, high), part)
        # 4 x 4 pixels of each patch side by side; of the 3 x 3 convolution over them only the inner 2 x 2 do not mix patches.
        x = self.out(F.relu(self.hidden(x)))[:, 0]
        x = x.unflatten(2, (grid[1], 4)).unflatten(1, (grid[0], 4))  # (B, rows, 4, columns, 4)
        return x[:, :, 1:3, :, 1:3].permute(0, 2, 4, 1, 3).flatten(1, 2)


@cached_constants(maxsize=32)
def _centre_samples(n_in: int, patches: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Lower index, upper index and weight of the upper one for the full map's pixels 14 i + 5 .. 14 i + 8 (corners aligned)."""
    pixels = torch.arange(patches)[:, None] * PATCH + torch.arange(5, 9)
    at = pixels.flatten().double() * ((n_in - 1) / (patches * PATCH - 1))
    low = at.floor().clamp(max=n_in - 1)
    high = (low + 1).clamp(max=n_in - 1)
    return low.long().to(device), high.long().to(device), (at - low).float().to(device)


@cached_constants(maxsize=32)
def _enlarged_rows(n_in: int, n_out: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Lower index, upper index and weight of the upper one for each of `n_out` rows made from `n_in` (corners aligned)."""
    at = torch.arange(n_out, dtype=torch.float64) * ((n_in - 1) / max(n_out - 1, 1))
    low = at.floor().clamp(max=n_in - 1)
    high = (low + 1).clamp(max=n_in - 1)
    return low.long().to(device), high.long().to(device), (at - low).float().to(device)
