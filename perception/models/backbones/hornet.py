"""HorNet: recursive gated convolutions (Rao et al., NeurIPS 2022, arXiv 2207.14284; github.com/raoyongming/HorNet, MIT).

A gated convolution of order n splits its input into one gate and n contexts of growing width (dim / 2^(n-1) ... dim); the contexts pass
one large depthwise filter, and the gate is multiplied by one context after the other with a pointwise convolution between. The filter is
a 7x7 convolution, or in the deep stages of the "gf" sizes half a 3x3 convolution and half a global filter: a learned product in the
Fourier domain, resized to the map's spectrum and always computed in float32 (bfloat16 has no FFT; ONNX has no general one, so prefer
the 7x7 sizes for export).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from perception.models.backbones.staged import (
    Stage,
    StagedTrunk,
    drop_path_rates,
    initialise,
    register_sizes,
)
from perception.models.layers.conv import ChannelLayerNorm


class GlobalLocalFilter(nn.Module):
    """First half of the channels through a depthwise 3x3 convolution, second half through a filter in the Fourier domain.

    The halves come out interleaved (local, global, local, global ...).

    Args:
        spectrum: (rows, columns) of the learned filter; it fits maps of (rows, 2 * columns - 2) cells and is resized for others.
    """

    def __init__(self, dim: int, spectrum: tuple[int, int]) -> None:
        super().__init__()
        self.pre_norm = ChannelLayerNorm(dim)
        self.local = nn.Conv2d(dim // 2, dim // 2, 3, padding=1, groups=dim // 2, bias=False)
        self.filter = nn.Parameter(torch.empty(dim // 2, *spectrum, 2))  # real and imaginary part
        self.post_norm = ChannelLayerNorm(dim)
        nn.init.trunc_normal_(self.filter, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, H, W) to the same shape."""
        near, far = self.pre_norm(x).chunk(2, 1)
        with torch.autocast(x.device.type, enabled=False):
            spectrum = torch.fft.rfft2(far.float(), norm="ortho")
            weight = self.filter.float()
            if weight.shape[1:3] != spectrum.shape[2:]:
                size = tuple(spectrum.shape[2:])
                weight = F.interpolate(weight.permute(3, 0, 1, 2), size=size, mode="bilinear", align_corners=True)
                weight = weight.permute(1, 2, 3, 0)
            product = spectrum * torch.view_as_complex(weight.contiguous())
            far = torch.fft.irfft2(product, s=tuple(x.shape[2:]), norm="ortho")
        mixed = torch.stack([self.local(near), far.to(near.dtype)], 2).flatten(1, 2)
        return self.post_norm(mixed)


class RecursiveGatedConv(nn.Module):
    """Gated convolution of some order; NCHW.

    Args:
        order: number of gating steps.
        scale: factor on the filtered contexts.
        spectrum: filter size of `GlobalLocalFilter`, or None for a depthwise 7x7 convolution.
    """

    def __init__(self, dim: int, order: int, scale: float, spectrum: tuple[int, int] | None) -> None:
        super().__init__()
        self.widths = [dim // 2**i for i in reversed(range(order))]
        self.scale = scale
        total = sum(self.widths)
        self.proj_in = nn.Conv2d(dim, self.widths[0] + total, 1)
        if spectrum is None:
            self.filter: nn.Module = nn.Conv2d(total, total, 7, padding=3, groups=total)
        else:
            self.filter = GlobalLocalFilter(total, spectrum)
        self.steps = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(self.widths[:-1], self.widths[1:], strict=True))
        self.proj_out = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate, contexts = self.proj_in(x).split([self.widths[0], sum(self.widths)], 1)
        first, *others = (self.filter(contexts) * self.scale).split(self.widths, 1)
        gate = gate * first
        for step, context in zip(self.steps, others, strict=True):
            gate = step(gate) * context
        return self.proj_out(gate)


class HorNetBlock(nn.Module):
    """Gated convolution and MLP, each after a layer norm and with a learned scale on the branch; NCHW."""

    def __init__(self, dim: int, mixer: nn.Module, drop_path: float, layer_scale: float) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(dim)
        self.mixer = mixer
        self.scale1 = nn.Parameter(torch.full((dim,), layer_scale))
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.expand = nn.Linear(dim, 4 * dim)
        self.project = nn.Linear(4 * dim, dim)
        self.scale2 = nn.Parameter(torch.full((dim,), layer_scale))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.scale1[:, None, None] * self.mixer(self.norm1(x)))
        y = self.project(F.gelu(self.expand(self.norm2(x.permute(0, 2, 3, 1)))))
        return x + self.drop_path((self.scale2 * y).permute(0, 3, 1, 2))


class HorNetStage(Stage):
    def __init__(self, downsample: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.downsample(x))


class HorNet(StagedTrunk):
    """HorNet.

    Args:
        base_dim: channels of the first stage; they double from stage to stage.
        orders: order of the gated convolutions of each stage.
        spectra: per stage the size of the Fourier filter, or None for a 7x7 convolution.
        scale: factor on the contexts.
    """

    def __init__(
        self,
        in_chans: int = 3,
        num_classes: int = 1000,
        depths: Sequence[int] = (2, 3, 18, 2),
        base_dim: int = 64,
        orders: Sequence[int] = (2, 3, 4, 5),
        spectra: Sequence[Sequence[int] | None] = (None, None, None, None),
        scale: float = 1 / 3,
        layer_scale: float = 1e-6,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [base_dim * 2**i for i in range(len(depths))]
        self.stem = nn.Sequential(nn.Conv2d(in_chans, base_dim, 4, 4), ChannelLayerNorm(base_dim))
        stages = []
        for i, (width, rates) in enumerate(zip(widths, drop_path_rates(drop_path_rate, depths), strict=True)):
            if i:
                downsample = nn.Sequential(ChannelLayerNorm(widths[i - 1]), nn.Conv2d(widths[i - 1], width, 2, 2))
            spectrum = tuple(spectra[i]) if spectra[i] else None
            blocks = [
                HorNetBlock(width, RecursiveGatedConv(width, orders[i], scale, spectrum), rate, layer_scale)
                for rate in rates
            ]
            stages.append(HorNetStage(downsample if i else nn.Identity(), blocks))
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.describe(widths, [4 * 2**i for i in range(len(depths))], num_classes)
        self.apply(initialise)

    def pooled(self, features: Tensor) -> Tensor:
        return self.norm(features.mean((2, 3)))


_BLOCK = r"stages\.(\d+)\.(\d+)"
_RULES = [
    (r"downsample_layers\.0\.", "stem."),
    (r"downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
    (_BLOCK + r"\.gamma", r"stages.\1.blocks.\2.scale"),
    (_BLOCK + r"\.gnconv\.dwconv\.complex_weight", r"stages.\1.blocks.\2.mixer.filter.filter"),
    (_BLOCK + r"\.gnconv\.dwconv\.dw\.", r"stages.\1.blocks.\2.mixer.filter.local."),
    (_BLOCK + r"\.gnconv\.dwconv\.", r"stages.\1.blocks.\2.mixer.filter."),
    (_BLOCK + r"\.gnconv\.pws\.", r"stages.\1.blocks.\2.mixer.steps."),
    (_BLOCK + r"\.gnconv\.", r"stages.\1.blocks.\2.mixer."),
    (_BLOCK + r"\.pwconv1\.", r"stages.\1.blocks.\2.expand."),
    (_BLOCK + r"\.pwconv2\.", r"stages.\1.blocks.\2.project."),
    (_BLOCK + r"\.norm", r"stages.\1.blocks.\2.norm"),
    (r"norm\.", "norm."),
    (r"head\.", "head."),
]

_WIDTHS = {"tiny": 64, "small": 96, "base": 128, "large": 192}
_SPECTRA = {"7x7": [None] * 4, "gf": [None, None, [14, 8], [7, 4]], "gf_img384": [None, None, [24, 13], [12, 7]]}
SIZES: dict[str, dict[str, Any]] = {
    f"hornet_{size}_{kind}": {"base_dim": width, "depths": [2, 3, 18, 2], "spectra": spectra}
    for size, width in _WIDTHS.items()
    for kind, spectra in _SPECTRA.items()
    if kind != "gf_img384" or size in ("base", "large")
}
# Of the published files; the 384 large one and the large sizes are trained on ImageNet-22k.
_FILES = {
    "hornet_tiny_7x7": "bac9690c72944d19aca1",
    "hornet_tiny_gf": "460e759c82324ea6bfa3",
    "hornet_small_7x7": "8ef64277da0e469ea857",
    "hornet_small_gf": "959603ca287d4c09ad49",
    "hornet_base_7x7": "13a748487711492e9704",
    "hornet_base_gf": "c212d1d8a3914b47a5c1",
}


def _config(name: str) -> dict[str, Any]:
    url = f"https://cloud.tsinghua.edu.cn/f/{_FILES[name]}/?dl=1" if name in _FILES else ""
    return {"tag": "in1k", "url": url, "license": "mit", "side": 384 if name.endswith("384") else 224}


register_sizes(__name__, HorNet, SIZES, _RULES, _config)
