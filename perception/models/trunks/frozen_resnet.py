"""ResNet in torchvision's layout with frozen batch norm, folded into the convolutions: one operation where the usual code has two.

Detectors of the DETR family fine-tune ImageNet weights with batch norm frozen. The norm is then a constant scale and shift, so the forward pass
uses the weight times the scale and the shift as a bias. Gradients reach the convolution's own weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perception.errors import RecipeError, WeightsError, nearest

_LAYOUTS = {
    "resnet18": ((2, 2, 2, 2), 1),
    "resnet34": ((3, 4, 6, 3), 1),
    "resnet50": ((3, 4, 6, 3), 4),
    "resnet101": ((3, 4, 23, 3), 4),
}


def is_frozen_resnet(name: str) -> bool:
    """Whether `FrozenResNet` knows the name."""
    return name in _LAYOUTS


def _published(name: str) -> dict[str, Tensor]:
    import torchvision

    weights = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise WeightsError(
            f"the ImageNet weights of {name} are not in the local cache and cannot be downloaded ({error}); fetch {weights.url} into "
            f"{torch.hub.get_dir()}/checkpoints, or build the model with pretrained=False"
        ) from error


class FrozenBatchNorm(nn.Module):
    """Batch norm as a constant: buffers weight, bias, running_mean, running_var of (C,), eps 1e-5."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """(C,), (C,): y = x * scale + shift."""
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        return scale, self.bias - self.running_mean * scale


def conv_norm(conv: nn.Conv2d, norm: FrozenBatchNorm, x: Tensor) -> Tensor:
    """Convolution and frozen norm as one convolution."""
    scale, shift = norm.scale_and_shift()
    return F.conv2d(x, conv.weight * scale[:, None, None, None], shift, conv.stride, conv.padding)


class Block(nn.Module):
    """Basic (two 3x3) or bottleneck (1x1, 3x3 with the stride, 1x1) residual block."""

    def __init__(self, channels: int, width: int, expansion: int, stride: int) -> None:
        super().__init__()
        out = width * expansion
        specs = [(channels, width, 3, stride), (width, out, 3, 1)]
        if expansion > 1:
            specs = [(channels, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
        self.count = len(specs)
        for index, (a, b, kernel, step) in enumerate(specs, 1):
            self.add_module(f"conv{index}", nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
            self.add_module(f"bn{index}", FrozenBatchNorm(b))
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), FrozenBatchNorm(out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width * expansion, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else conv_norm(*self.downsample, x)
        for index in range(1, self.count + 1):
            x = conv_norm(getattr(self, f"conv{index}"), getattr(self, f"bn{index}"), x)
            x = F.relu(x if index < self.count else x + shortcut, inplace=True)
        return x


class FrozenResNet(nn.Module):
    """Feature maps of a ResNet.

    Args:
        name: resnet18, resnet34, resnet50 or resnet101.
        levels: which of the stages 1..4 (strides 4, 8, 16, 32) to return.
        frozen_stages: stem and this many stages get no gradients (the usual choice is 1).
        pretrained: start from torchvision's IMAGENET1K_V1 weights (downloads them once).
    """

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        name: str = "resnet50",
        levels: Sequence[int] = (2, 3, 4),
        frozen_stages: int = 1,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        if name not in _LAYOUTS:
            raise RecipeError(
                f"the frozen ResNet {name!r} does not exist; known: {', '.join(_LAYOUTS)}.{nearest(name, _LAYOUTS)}"
            )
        self.name, self.levels = name, tuple(levels)
        counts, expansion = _LAYOUTS[name]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = FrozenBatchNorm(64)
        channels = 64
        for stage, count in enumerate(counts[: max(self.levels)], 1):
            width, blocks = 32 * 2**stage, []
            for index in range(count):
                blocks.append(Block(channels, width, expansion, 2 if stage > 1 and index == 0 else 1))
                channels = width * expansion
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.channels = [32 * 2**stage * expansion for stage in self.levels]
        self.strides = [2 ** (stage + 1) for stage in self.levels]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for frozen in [self.conv1, *(getattr(self, f"layer{i}") for i in range(1, frozen_stages + 1))]:
            frozen.requires_grad_(False)
        if pretrained:
            self.load_torchvision(_published(name))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W), normalised -> one (B, C, H / stride, W / stride) for each of `levels`, sizes rounded up."""
        x = F.relu(conv_norm(self.conv1, self.bn1, x), inplace=True)
        x = F.max_pool2d(x, 3, 2, 1)
        maps = []
        for stage in range(1, max(self.levels) + 1):
            x = getattr(self, f"layer{stage}")(x)
            if stage in self.levels:
                maps.append(x)
        return maps

    def load_torchvision(self, state: dict[str, Tensor]) -> None:
        """Load a torchvision ImageNet state dict; its classifier and counters are left out. Raises `WeightsError` if keys differ."""
        own = self.state_dict()
        unused = ("fc.", *(f"layer{stage}." for stage in range(max(self.levels) + 1, 5)))
        state = {
            key: value
            for key, value in state.items()
            if not key.startswith(unused) and not key.endswith("num_batches_tracked")
        }
        odd = sorted(set(own) ^ set(state))
        if odd:
            raise WeightsError(
                f"the weights do not fit a {self.name}: {len(odd)} entries differ, first {', '.join(odd[:3])}"
            )
        self.load_state_dict(state)
