"""Convolution + normalisation + activation as one named unit, in one and two dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,  # the exact one (erf)
    "relu": F.relu,
    "silu": F.silu,
}
_CONVS = {1: nn.Conv1d, 2: nn.Conv2d}
_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}


class ConvNorm(nn.Module):
    """Convolution ("same" padding), optional batch norm, optional activation.

    Batch norm uses eps 1e-3 and momentum 0.01 (torch's convention), the values of the DeepLab family.
    `gain` initialises the norm's weight (0 starts a residual branch as the identity).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        dims: int = 2,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        norm: bool = True,
        activation: str | None = None,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.conv = _CONVS[dims](
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=groups,
            bias=bias,
        )
        self.norm = batch_norm(out_channels, dims=dims, gain=gain) if norm else nn.Identity()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, *size) to (B, out_channels, *size / stride)."""
        x = self.norm(self.conv(x))
        return x if self.activation is None else ACTIVATIONS[self.activation](x)


def batch_norm(channels: int, *, dims: int = 2, gain: float = 1.0) -> nn.Module:
    """Return batch norm over `channels` with the DeepLab family's eps 1e-3 and momentum 0.01."""
    norm = _NORMS[dims](channels, eps=1e-3, momentum=0.01)
    nn.init.constant_(norm.weight, gain)
    return norm


class ChannelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of (B, C, H, W), eps 1e-6 (computed in float32 under autocast)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel of (B, C, H, W) over C."""
        out = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return out.permute(0, 3, 1, 2).to(x.dtype)


def resize(x: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Resize (B, C, H, W) bilinearly to `size`; returns `x` itself if it has that size already."""
    if x.shape[-2:] == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=align_corners)


def resize_picture(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (B, 3, H, W) pictures of any dtype to `size` without aliasing; returns `x` itself if it has that size already."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x.float(), tuple(size), mode="bilinear", align_corners=False, antialias=True)


def set_norm_momentum(module: nn.Module, momentum: float | None) -> None:
    """Set the momentum of every batch norm in `module`; None changes nothing."""
    for child in module.modules():
        if momentum is not None and isinstance(child, nn.modules.batchnorm._BatchNorm):
            child.momentum = momentum
